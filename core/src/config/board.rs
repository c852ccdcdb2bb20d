//! The timing of what is soldered to the board: switch and amplifier.

use crate::time::Span;

/// How pins are read and driven. The shells take these numbers from here; none of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct BoardTiming {
    /// A mute switch that says "live" is believed after it said so for so long: longer than contacts bounce.
    pub switch_stable: Span,
    /// Time between two looks at the pins when nothing happens: what is done about an edge that was lost, and
    /// for lines that have no edges.
    pub look_pause: Span,
    /// From the amplifier's power until it may get sound: longer than class D amplifiers take to start.
    pub amp_settle: Span,
    /// From the silence that is put into the stream until it has left the device's queue.
    pub amp_drain: Span,
    /// The amplifier stays on for so long after the last talker, so that a pause is no reason to switch.
    pub amp_hold: Span,
}

/// The timing of every board.
pub const BOARD: BoardTiming = BoardTiming {
    switch_stable: Span::from_millis(20),
    look_pause: Span::from_millis(100),
    amp_settle: Span::from_millis(60),
    amp_drain: Span::from_millis(50),
    amp_hold: Span::from_millis(3_000),
};

// Sound fades, the queue plays out, and the thread that counts may be late by as much again.
const _: () = {
    let periods = (super::TIMING.playback_periods + 1) as u64;
    let ramp = super::Gain::RAMP_SAMPLES as u64;
    let queued = Span::from_samples(periods * super::TIMING.period_samples as u64 + ramp);
    assert!(BOARD.amp_drain.as_micros() >= 2 * queued.as_micros());
};
