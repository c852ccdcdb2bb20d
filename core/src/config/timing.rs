//! How devices are driven: periods, queues, deadlines.

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
    /// Most periods in the playback device's queue. It is one longer each time that a device runs dry before it has once
    /// played for [`Timing::settled`]: then it takes more at once than is kept there. It is delay, and it stays until the
    /// device is opened anew: so not many.
    pub playback_periods_max: u32,
    /// A device that has played for so long without running dry has enough in its queue.
    pub settled: Span,
    /// A device that moves nothing for so long stands still.
    pub device_deadline: Span,
    /// `SCHED_FIFO` priority of the audio threads, where the system grants it: above ordinary work, below
    /// the kernel's interrupt threads (50 by default), without which no sound card moves.
    pub rt_priority: u8,
    /// Niceness of the thread that hands packets on, where the system grants it: late packets are delay.
    pub io_nice: i8,
    /// How often a worker says how it gets on, and so how old the status may be; what is news it says at once.
    pub report_pause: Span,
    /// A client that has not introduced itself by then is sent away.
    pub greeting_deadline: Span,
}

/// The timing of every device.
pub const TIMING: Timing = Timing {
    period_samples: 128,
    capture_periods: 32,
    playback_periods: 3,
    playback_periods_max: 6,
    settled: Span::from_millis(25),
    device_deadline: Span::from_millis(500),
    rt_priority: 45,
    io_nice: -11,
    report_pause: Span::from_millis(100),
    greeting_deadline: Span::from_millis(5_000),
};
