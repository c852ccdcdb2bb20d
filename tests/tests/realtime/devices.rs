//! Devices that make trouble now and then, and nothing on the heap.

use soundpost_core::config::Channels;
use soundpost_core::port::{PcmError, PcmIn, PcmOut, Read};
use soundpost_core::recovery::Step;
use soundpost_core::time::{Instant, Span};
use soundpost_sim::VirtualClock;

const PERIOD: usize = 128;

/// Delivers something like speech: noise and a tone that swell and fade. Moves the clock.
pub(crate) struct Microphone {
    clock: VirtualClock,
    channels: usize,
    reads: u64,
    /// Samples since the start, lost ones included.
    next: u64,
    noise: u32,
}

impl Microphone {
    pub(crate) fn new(clock: VirtualClock, channels: Channels) -> Self {
        Self { clock, channels: channels.count(), reads: 0, next: 0, noise: 1 }
    }

    fn value(&mut self, n: u64) -> i16 {
        self.noise = self.noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let swell = (n / 64 % 256).min(255 - n / 64 % 256) as i32;
        let tone = if (n / 100).is_multiple_of(2) { 6_000 } else { -6_000 };
        let noise = (self.noise >> 19) as i32 - 4_096;
        ((tone + noise) * swell / 128) as i16
    }
}

impl PcmIn for Microphone {
    fn channels(&self) -> usize {
        self.channels
    }

    fn period(&self) -> usize {
        PERIOD
    }

    fn read(&mut self, into: &mut [i16]) -> Result<Read, PcmError> {
        self.reads += 1;
        let over = self.reads.is_multiple_of(1_500);
        let first = self.next;
        self.next += if over { 3_000 } else { PERIOD as u64 };
        self.clock.advance_to(Instant::ZERO.plus(Span::from_samples(self.next)));
        if over {
            return Err(PcmError::Xrun);
        }
        for (n, sample) in (first..).zip(into.chunks_mut(self.channels)) {
            sample.fill_with(|| self.value(n));
        }
        Ok(Read { samples: PERIOD as u32, pending: 0 })
    }

    fn recover(&mut self, _step: Step) -> Result<(), PcmError> {
        Ok(())
    }
}

/// Takes a period whenever it is asked to.
pub(crate) struct Speaker {
    channels: usize,
    waits: u64,
}

impl Speaker {
    pub(crate) fn new(channels: Channels) -> Self {
        Self { channels: channels.count(), waits: 0 }
    }
}

impl PcmOut for Speaker {
    fn channels(&self) -> usize {
        self.channels
    }

    fn period(&self) -> usize {
        PERIOD
    }

    fn wait(&mut self) -> Result<(), PcmError> {
        self.waits += 1;
        if self.waits.is_multiple_of(5_000) { Err(PcmError::Xrun) } else { Ok(()) }
    }

    fn queued(&mut self) -> u32 {
        2 * PERIOD as u32
    }

    fn write(&mut self, _from: &[i16]) -> Result<(), PcmError> {
        Ok(())
    }

    fn recover(&mut self, _step: Step) -> Result<(), PcmError> {
        Ok(())
    }
}
