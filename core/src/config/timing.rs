//! How devices are driven: periods, queues, deadlines.

use super::Direction;
use crate::time::Span;

/// How devices are driven. The shells take these numbers from here; none of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Timing {
    /// Samples in a device period, however long the codec frame is: it bounds how long a finished frame
    /// waits before anybody notices.
    pub period_samples: u32,
    /// Periods of room that a capture device gets, so that a late wake-up loses nothing.
    pub capture_periods: u32,
    /// Periods that a playback device holds: delay on every path, and all there is against a late wake-up.
    pub playback_periods: u32,
    /// Most periods in the playback device's queue, see [`crate::queue`]: it is delay, so not many.
    pub playback_periods_max: u32,
    /// A queue in which less is left than the period divided by this is too short: it will run dry.
    pub queue_scarce: u32,
    /// A queue that had more than a period to spare for so long gives one back.
    pub queue_patience: Span,
    /// No queue that ran dry after it gave one back waits longer for the next time.
    pub queue_patience_max: Span,
    /// A device that moves nothing for so long stands still.
    pub device_deadline: Span,
    /// `SCHED_FIFO` priority of the thread that captures, where the system grants it: above ordinary work, below the
    /// kernel's interrupt threads (50 by default), without which no sound card moves.
    pub capture_priority: u8,
    /// That of the thread that plays, which is above the other one: a frame that is being coded can wait, for capture has
    /// [`Timing::capture_periods`] of room, and on a small processor it takes as long as playback has left.
    pub playback_priority: u8,
    /// Niceness of the thread that hands packets on, where the system grants it: late packets are delay.
    pub io_nice: i8,
    /// How often a worker says how it gets on, and so how old the status may be; what is news it says at once.
    pub report_pause: Span,
    /// A client that has not introduced itself by then is sent away.
    pub greeting_deadline: Span,
    /// How long a person at a prompt waits for the daemon's answer.
    pub answer: Span,
    /// A file that was written is read when nobody has written to it for so long.
    pub file_settles: Span,
}

impl Timing {
    /// `SCHED_FIFO` priority of a direction's audio thread.
    #[must_use]
    pub const fn priority(&self, direction: Direction) -> u8 {
        match direction {
            Direction::Capture => self.capture_priority,
            Direction::Playback => self.playback_priority,
        }
    }
}

/// The timing of every device.
pub const TIMING: Timing = Timing {
    period_samples: 128,
    capture_periods: 32,
    playback_periods: 3,
    playback_periods_max: 6,
    queue_scarce: 4,
    queue_patience: Span::from_millis(10_000),
    queue_patience_max: Span::from_millis(640_000),
    device_deadline: Span::from_millis(500),
    capture_priority: 45,
    playback_priority: 46,
    io_nice: -11,
    report_pause: Span::from_millis(100),
    greeting_deadline: Span::from_millis(5_000),
    answer: Span::from_millis(5_000),
    file_settles: Span::from_millis(100),
};
