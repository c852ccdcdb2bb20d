//! How patient the daemon is with those who talk to it over HTTP.

use crate::time::Span;

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct WebTiming {
    /// The head of a request is there by then, counted from the end of the one before: so long a connection may idle.
    pub head: Span,
    /// The body of a request is there by then.
    pub body: Span,
    /// Who takes nothing of what is sent for so long is cut off.
    pub stall: Span,
    /// Who follows events hears something at least so often, and so a line that broke is noticed.
    pub heartbeat: Span,
    /// Sound that moved within this time moves.
    pub progress: Span,
    /// A pause when there are no descriptors left for another connection.
    pub breath: Span,
}

/// The timing of every connection.
pub const WEB: WebTiming = WebTiming {
    head: Span::from_millis(5_000),
    body: Span::from_millis(5_000),
    stall: Span::from_millis(20_000),
    heartbeat: Span::from_millis(15_000),
    // Ten reports of a worker.
    progress: Span::from_millis(1_000),
    breath: Span::from_millis(100),
};
