//! How far an audio thread has come, for whoever watches it: a device that marks each of its calls.

use super::state::{SharedState, State};
use crate::pcm::{Sink, Source};
use crate::rt::{Bell, now};
use soundpost_core::port::{PcmError, PcmIn, PcmOut, Read};
use soundpost_core::recovery::Step;
use soundpost_core::watch::{Beat, Call, Stuck, Watch};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

/// The marks of one thread; clones share them. One thread writes.
#[derive(Clone, Debug, Default)]
pub(super) struct Pulse(Arc<Marks>);

#[derive(Debug, Default)]
struct Marks {
    steps: AtomicU32,
    moved: AtomicU32,
    /// Place in [`Call::ALL`].
    call: AtomicUsize,
}

impl Pulse {
    /// Marks the begin and the end of `work`.
    pub(super) fn during<R>(&self, call: Call, work: impl FnOnce() -> R) -> R {
        self.mark(call);
        let result = work();
        self.mark(Call::None);
        result
    }

    pub(super) fn mark(&self, call: Call) {
        let place = Call::ALL.iter().position(|known| *known == call).unwrap_or_default();
        self.0.call.store(place, Ordering::Relaxed);
        count(&self.0.steps);
    }

    /// How far it has come.
    pub(super) fn beat(&self, runs: bool) -> Beat {
        let load = |counter: &AtomicU32| counter.load(Ordering::Relaxed);
        let call = Call::ALL.get(self.0.call.load(Ordering::Relaxed)).copied().unwrap_or_default();
        Beat { steps: load(&self.0.steps), moved: load(&self.0.moved), call, runs }
    }
}

fn count(counter: &AtomicU32) {
    // Nobody else writes it.
    counter.store(counter.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
}

/// The eye on a thread, and what it saw.
#[derive(Debug)]
pub(super) struct Watched {
    pulse: Pulse,
    watch: Watch,
    stuck: Option<Stuck>,
}

impl Watched {
    pub(super) fn new(pulse: &Pulse) -> Self {
        Self { pulse: pulse.clone(), watch: Watch::new(now()), stuck: None }
    }

    /// What to say of a thread that says `state` of itself.
    pub(super) fn state(&self, state: &SharedState) -> State {
        self.stuck.map_or_else(|| state.get(), State::Stuck)
    }

    /// Looks at the thread; rings when there is something new to be said.
    pub(super) fn look(&mut self, state: &SharedState, bell: &Bell) {
        self.watch.handle(now(), self.pulse.beat(state.get() == State::Running));
        let stuck = self.watch.observe();
        if stuck != std::mem::replace(&mut self.stuck, stuck) {
            bell.ring();
        }
    }
}

/// A device whose calls are marked.
#[derive(Debug)]
pub(super) struct Marked<T> {
    device: T,
    pulse: Pulse,
}

impl<T> Marked<T> {
    pub(super) fn new(device: T, pulse: &Pulse) -> Self {
        Self { device, pulse: pulse.clone() }
    }
}

impl Marked<Source> {
    pub(super) fn close(&mut self) {
        self.pulse.during(Call::Close, || self.device.close());
    }
}

impl Marked<Sink> {
    pub(super) fn close(&mut self) {
        self.pulse.during(Call::Close, || self.device.close());
    }
}

impl<T: PcmIn> PcmIn for Marked<T> {
    fn channels(&self) -> usize {
        self.device.channels()
    }

    fn period(&self) -> usize {
        self.device.period()
    }

    fn read(&mut self, into: &mut [i16]) -> Result<Read, PcmError> {
        let read = self.pulse.during(Call::Read, || self.device.read(into));
        if read.is_ok_and(|read| read.samples > 0) {
            count(&self.pulse.0.moved);
        }
        read
    }

    fn recover(&mut self, step: Step) -> Result<(), PcmError> {
        self.pulse.during(Call::Recover, || self.device.recover(step))
    }
}

impl<T: PcmOut> PcmOut for Marked<T> {
    fn channels(&self) -> usize {
        self.device.channels()
    }

    fn period(&self) -> usize {
        self.device.period()
    }

    fn wait(&mut self) -> Result<(), PcmError> {
        self.pulse.during(Call::Wait, || self.device.wait())
    }

    fn queued(&mut self) -> u32 {
        self.pulse.during(Call::Queued, || self.device.queued())
    }

    fn write(&mut self, from: &[i16]) -> Result<(), PcmError> {
        let written = self.pulse.during(Call::Write, || self.device.write(from));
        if written.is_ok() {
            count(&self.pulse.0.moved);
        }
        written
    }

    fn recover(&mut self, step: Step) -> Result<(), PcmError> {
        self.pulse.during(Call::Recover, || self.device.recover(step))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pcm::Options;
    use soundpost_core::config::{Channels, Direction};

    #[test]
    fn calls_are_marked_while_they_last_and_sound_is_counted() {
        let pulse = Pulse::default();
        let seen = pulse.during(Call::Open, || pulse.beat(true));
        assert_eq!((seen.call, seen.steps, seen.runs), (Call::Open, 1, true));
        let source = crate::pcm::no_source(Options::of(Direction::Capture, Channels::Mono));
        let mut marked = Marked::new(source, &pulse);
        assert!(marked.read(&mut [0; 128]).is_ok());
        assert_eq!(pulse.beat(false), Beat { steps: 4, moved: 1, call: Call::None, runs: false });
        marked.close();
        assert!(marked.read(&mut [0; 128]).is_err());
        assert_eq!(pulse.beat(false), Beat { steps: 8, moved: 1, call: Call::None, runs: false });
    }
}
