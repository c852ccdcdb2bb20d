//! What the crank needs of the world: two devices and a clock.
//!
//! A port is an adapter and nothing else: it reports what happened and leaves every decision to core. All
//! sound here is interleaved `i16` at 48 kHz.

use crate::recovery::{Fault, Step};
use crate::time::Instant;

/// What went wrong with a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum PcmError {
    /// It ran over or ran dry; sound was lost; it wants [`recover`](PcmIn::recover).
    Xrun,
    /// The system put it to sleep; it wants [`recover`](PcmIn::recover), perhaps more than once.
    Suspended,
    /// Its clock stands still: nothing moved before the deadline.
    Stopped,
    /// Input or output fails. The number is the system's.
    Broken(i32),
    /// It is gone. The number is the system's.
    Gone(i32),
    /// It was a recording, and it is over.
    Ended,
}

impl PcmError {
    /// What is wrong with the device; `None` if it is only over.
    #[must_use]
    pub const fn fault(self) -> Option<Fault> {
        match self {
            Self::Xrun => Some(Fault::Xrun),
            Self::Suspended => Some(Fault::Suspended),
            Self::Stopped => Some(Fault::Stopped),
            Self::Broken(_) => Some(Fault::Broken),
            Self::Gone(_) => Some(Fault::Gone),
            Self::Ended => None,
        }
    }
}

/// What a read brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Read {
    /// Samples that were read.
    pub samples: u32,
    /// Samples that the device already holds beyond these.
    pub pending: u32,
}

/// A device that sound comes from.
pub trait PcmIn {
    /// Channels, interleaved.
    fn channels(&self) -> usize;

    /// Samples in a period.
    fn period(&self) -> usize;

    /// Waits for sound and reads at most a period of it into the front of `into`.
    ///
    /// # Errors
    /// [`PcmError`]; nothing was read then.
    fn read(&mut self, into: &mut [i16]) -> Result<Read, PcmError>;

    /// Does this once to get going again.
    ///
    /// # Errors
    /// [`PcmError`] if that did not work.
    fn recover(&mut self, step: Step) -> Result<(), PcmError>;
}

/// A device that sound goes to.
pub trait PcmOut {
    /// Channels, interleaved.
    fn channels(&self) -> usize;

    /// Samples in a period.
    fn period(&self) -> usize;

    /// Waits until the device has room for a period.
    ///
    /// # Errors
    /// [`PcmError`].
    fn wait(&mut self) -> Result<(), PcmError>;

    /// Samples that the device holds and has not played.
    fn queued(&mut self) -> u32;

    /// Hands over a period.
    ///
    /// # Errors
    /// [`PcmError`]; the period is lost then.
    fn write(&mut self, from: &[i16]) -> Result<(), PcmError>;

    /// Does this once to get going again.
    ///
    /// # Errors
    /// [`PcmError`] if that did not work.
    fn recover(&mut self, step: Step) -> Result<(), PcmError>;
}

/// The monotonic clock.
pub trait Clock {
    /// The time.
    fn now(&mut self) -> Instant;
}
