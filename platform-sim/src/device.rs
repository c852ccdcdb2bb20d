//! A capture device for tests of one rig: it takes no time to wait for, and loses what it is told to.

use crate::VirtualClock;
use crate::model::source::marker;
use soundpost_core::port::{PcmError, PcmIn, Read};
use soundpost_core::recovery::Step;
use soundpost_core::time::{Instant, Span};
use std::collections::VecDeque;

/// Something that happens to a capture device once its sample number `at` would be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The first sample concerned.
    pub at: u64,
    /// Samples that are lost.
    pub lost: u64,
}

/// A mono capture device. Its sample number `n` was captured `n` samples after the start of the clock.
#[derive(Debug)]
pub struct SimIn {
    clock: VirtualClock,
    period: u32,
    next: u64,
    faults: VecDeque<Fault>,
    /// Ends after this many samples.
    end: u64,
}

impl SimIn {
    /// A device that delivers `end` samples in periods, with `faults` in the order of their samples.
    #[must_use]
    pub fn new(clock: VirtualClock, period: u32, end: u64, faults: &[Fault]) -> Self {
        Self { clock, period, next: 0, faults: faults.iter().copied().collect(), end }
    }
}

impl PcmIn for SimIn {
    fn channels(&self) -> usize {
        1
    }

    fn period(&self) -> usize {
        self.period as usize
    }

    fn read(&mut self, into: &mut [i16]) -> Result<Read, PcmError> {
        if self.next >= self.end {
            return Err(PcmError::Ended);
        }
        if let Some(fault) = self.faults.front().copied().filter(|fault| fault.at <= self.next) {
            self.faults.pop_front();
            self.next += fault.lost;
            return Err(PcmError::Xrun);
        }
        let first = self.next;
        let left = usize::try_from(self.end - self.next).unwrap_or(usize::MAX);
        let samples = into.len().min(self.period as usize).min(left);
        into.iter_mut().zip(first..).take(samples).for_each(|(value, n)| *value = marker(n));
        self.next += samples as u64;
        self.clock.advance_to(Instant::ZERO.plus(Span::from_samples(self.next)));
        Ok(Read { samples: samples as u32, pending: 0 })
    }

    fn recover(&mut self, _step: Step) -> Result<(), PcmError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_numbers_its_samples_and_loses_what_it_is_told_to() {
        let clock = VirtualClock::default();
        let mut device = SimIn::new(clock.clone(), 4, 20, &[Fault { at: 4, lost: 6 }]);
        let mut into = [0; 4];
        assert_eq!(device.read(&mut into), Ok(Read { samples: 4, pending: 0 }));
        assert_eq!(into, [1, 2, 3, 4]);
        assert_eq!(device.read(&mut into), Err(PcmError::Xrun));
        assert!(device.read(&mut into).is_ok());
        assert_eq!(into, [11, 12, 13, 14]);
        assert_eq!(clock.time(), Instant::ZERO.plus(Span::from_samples(14)));
    }
}
