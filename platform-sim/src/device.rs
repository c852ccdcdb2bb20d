//! Sound cards as arithmetic.

use crate::VirtualClock;
use soundpost_core::port::{PcmError, PcmIn, PcmOut, Read};
use soundpost_core::time::{Instant, Span};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

/// The value of the sample with number `n`: its own number, folded into 1 to 32 767, so that silence is never
/// mistaken for it.
#[must_use]
pub fn marker(n: u64) -> i16 {
    (n % 32_767) as i16 + 1
}

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

    fn recover(&mut self, _why: PcmError) -> Result<(), PcmError> {
        Ok(())
    }
}

/// A mono playback device with a queue; what it played can be looked at.
#[derive(Debug)]
pub struct SimOut {
    clock: VirtualClock,
    period: u32,
    buffer: u32,
    written: u64,
    started: Option<Instant>,
    heard: Rc<RefCell<Vec<i16>>>,
}

impl SimOut {
    /// A device whose buffer is `periods` long, and where to look at what it plays.
    #[must_use]
    pub fn new(clock: VirtualClock, period: u32, periods: u32) -> (Self, Rc<RefCell<Vec<i16>>>) {
        let heard = Rc::default();
        let this =
            Self { clock, period, buffer: period * periods, written: 0, started: None, heard: Rc::clone(&heard) };
        (this, heard)
    }

    fn played(&self) -> u64 {
        self.started.map_or(0, |started| self.clock.time().since(started).as_samples())
    }
}

impl PcmOut for SimOut {
    fn channels(&self) -> usize {
        1
    }

    fn period(&self) -> usize {
        self.period as usize
    }

    fn wait(&mut self) -> Result<(), PcmError> {
        let over = (self.written + u64::from(self.period)).saturating_sub(u64::from(self.buffer));
        if let Some(started) = self.started {
            self.clock.advance_to(started.plus(Span::from_samples(over)));
        }
        if self.played() > self.written && self.started.is_some() { Err(PcmError::Xrun) } else { Ok(()) }
    }

    fn queued(&mut self) -> u32 {
        u32::try_from(self.written.saturating_sub(self.played())).unwrap_or(0)
    }

    fn write(&mut self, from: &[i16]) -> Result<(), PcmError> {
        self.heard.borrow_mut().extend_from_slice(from);
        self.written += from.len() as u64;
        if self.written >= u64::from(self.buffer) && self.started.is_none() {
            self.started = Some(self.clock.time());
        }
        Ok(())
    }

    fn recover(&mut self, _why: PcmError) -> Result<(), PcmError> {
        (self.written, self.started) = (0, None);
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

    #[test]
    fn a_sink_that_is_left_alone_runs_dry_and_comes_back() {
        let clock = VirtualClock::default();
        let (mut device, heard) = SimOut::new(clock.clone(), 48, 2);
        for _ in 0..2 {
            assert_eq!(device.wait(), Ok(()));
            device.write(&[7; 48]).unwrap();
        }
        assert_eq!(device.queued(), 96);
        clock.advance(Span::from_millis(5));
        assert_eq!(device.wait(), Err(PcmError::Xrun));
        device.recover(PcmError::Xrun).unwrap();
        assert_eq!(device.wait(), Ok(()));
        assert_eq!(heard.borrow().len(), 96);
    }
}
