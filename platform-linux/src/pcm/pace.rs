//! Real time for things that have no clock of their own: files, tones, and nothing.
//!
//! A [`Pacer`] behaves like a sound card on `CLOCK_MONOTONIC`: samples fall due one by one since it started,
//! and if nobody comes for longer than its buffer is, it has run over (or dry), like any other.

use super::{Opened, Options};
use crate::rt::now;
use soundpost_core::config::Channels;
use soundpost_core::port::{PcmError, PcmOut};
use soundpost_core::recovery::Step;
use soundpost_core::time::{Instant, Span};
use std::time::Duration;

/// Counts samples against the clock.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pacer {
    started: Option<Instant>,
    done: u64,
    buffer: u64,
}

impl Pacer {
    pub(super) fn new(options: Options) -> Self {
        Self { started: None, done: 0, buffer: u64::from(options.period_samples * options.buffer_periods) }
    }

    /// When `samples` more samples have fallen due since the last [`advance`](Self::advance).
    fn due(&self, started: Instant, samples: u64) -> Instant {
        started.plus(Span::from_samples(self.done + samples))
    }

    /// How many samples are overdue at `now`.
    fn overdue(&self, started: Instant, now: Instant) -> u64 {
        now.since(started).as_samples().saturating_sub(self.done)
    }

    /// Sleeps until `samples` are due; returns how many are due beyond them. The clock starts with the first
    /// call.
    pub(super) fn wait(&mut self, samples: u64) -> Result<u64, PcmError> {
        let time = now();
        let started = *self.started.get_or_insert(time);
        let rest = self.due(started, samples).since(time);
        if rest > Span::ZERO {
            std::thread::sleep(Duration::from_micros(rest.as_micros()));
        }
        self.check(started, samples, now())
    }

    fn check(&self, started: Instant, samples: u64, now: Instant) -> Result<u64, PcmError> {
        let overdue = self.overdue(started, now);
        if overdue > self.buffer + samples { Err(PcmError::Xrun) } else { Ok(overdue.saturating_sub(samples)) }
    }

    pub(super) fn advance(&mut self, samples: u64) {
        self.done += samples;
    }

    /// Starts the clock anew, from now.
    pub(super) fn restart(&mut self) {
        (self.started, self.done) = (None, 0);
    }
}

/// The clock of a sink: a queue of a few periods that plays itself empty.
#[derive(Clone, Copy, Debug)]
pub(super) struct Queue {
    pacer: Pacer,
    period: u32,
    /// Samples written; the pacer counts the ones played.
    written: u64,
}

impl Queue {
    pub(super) fn new(options: Options) -> Self {
        let pacer = Pacer::new(options);
        let period = options.period_samples;
        // Like a sound card here, it begins with silence in all periods but one.
        Self { pacer, period, written: pacer.buffer.saturating_sub(u64::from(period)) }
    }

    pub(super) fn period(&self) -> usize {
        self.period as usize
    }

    /// Waits until there is room for a period.
    pub(super) fn wait(&mut self) -> Result<(), PcmError> {
        let over = (self.written + u64::from(self.period)).saturating_sub(self.pacer.buffer);
        if over == 0 {
            return Ok(());
        }
        // Nothing is ever taken out of the pacer: what is due is what was played.
        self.pacer.wait(over).map(|_| ())
    }

    pub(super) fn queued(&self) -> u32 {
        let played = self.pacer.started.map_or(0, |started| self.pacer.overdue(started, now()));
        u32::try_from(self.written.saturating_sub(played)).unwrap_or(u32::MAX)
    }

    pub(super) fn write(&mut self) -> Result<(), PcmError> {
        if let Some(started) = self.pacer.started
            && self.pacer.overdue(started, now()) > self.written
        {
            return Err(PcmError::Xrun);
        }
        self.written += u64::from(self.period);
        // It starts once it is full.
        if self.written >= self.pacer.buffer && self.pacer.started.is_none() {
            self.pacer.started = Some(now());
        }
        Ok(())
    }

    pub(super) fn restart(&mut self) {
        self.pacer.restart();
        self.written = self.pacer.buffer.saturating_sub(u64::from(self.period));
    }
}

/// A sink that keeps time and nothing else.
#[derive(Debug)]
pub struct NullOut {
    queue: Queue,
    channels: Channels,
}

impl NullOut {
    pub(super) fn open(options: Options) -> (Self, Opened) {
        let opened = options.opened("nowhere, in real time".to_owned(), options.channels, "S16");
        (Self { queue: Queue::new(options), channels: options.channels }, opened)
    }
}

impl PcmOut for NullOut {
    fn channels(&self) -> usize {
        self.channels.count()
    }

    fn period(&self) -> usize {
        self.queue.period()
    }

    fn wait(&mut self) -> Result<(), PcmError> {
        self.queue.wait()
    }

    fn queued(&mut self) -> u32 {
        self.queue.queued()
    }

    fn write(&mut self, _from: &[i16]) -> Result<(), PcmError> {
        self.queue.write()
    }

    fn recover(&mut self, _step: Step) -> Result<(), PcmError> {
        self.queue.restart();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> Options {
        Options {
            channels: Channels::Mono,
            exact: false,
            period_samples: 128,
            buffer_periods: 3,
            deadline: Duration::from_secs(1),
            append: false,
        }
    }

    #[test]
    fn samples_fall_due_by_the_clock_and_not_by_the_calls() {
        let start = Instant::from_micros(1_000_000);
        let mut pacer = Pacer::new(options());
        pacer.started = Some(start);
        pacer.advance(48_000);
        assert_eq!(pacer.due(start, 960), start.plus(Span::from_millis(1_020)));
        assert_eq!(pacer.overdue(start, start.plus(Span::from_millis(1_030))), 1_440);
    }

    #[test]
    fn coming_later_than_the_buffer_is_long_is_an_overrun() {
        let start = Instant::from_micros(0);
        let pacer = Pacer::new(options());
        assert_eq!(pacer.check(start, 128, start.plus(Span::from_samples(130))), Ok(2));
        assert_eq!(pacer.check(start, 128, start.plus(Span::from_samples(512))), Ok(384));
        assert_eq!(pacer.check(start, 128, start.plus(Span::from_samples(513))), Err(PcmError::Xrun));
    }

    #[test]
    fn a_sink_starts_full_and_says_what_it_holds() {
        let mut queue = Queue::new(options());
        assert_eq!((queue.wait(), queue.queued()), (Ok(()), 256));
        assert!(queue.pacer.started.is_none());
        assert_eq!(queue.write(), Ok(()));
        assert!(queue.pacer.started.is_some());
        assert!((1..=384).contains(&queue.queued()));
    }
}
