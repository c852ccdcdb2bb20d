//! Sound cards: a clock of their own, a buffer, and everything that can happen to them.
//!
//! A card is shared by the rig that reads or writes it ([`MicPort`], [`SpeakerPort`]) and the world, which asks when
//! it is due next and does things to it. A port never waits: the world turns the rig when the card is due.

use super::oscillator::Oscillator;
use super::source::Source;
use crate::VirtualClock;
use crate::codec::Number;
use crate::dice::Dice;
use crate::judge::ear::Ear;
use soundpost_core::config::TIMING;
use soundpost_core::port::{PcmError, PcmIn, PcmOut, Read};
use soundpost_core::recovery::Step;
use soundpost_core::time::{Instant, Span};
use std::cell::RefCell;
use std::rc::Rc;

/// `ENODEV`.
const NO_DEVICE: i32 = 19;

/// What a card is like.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CardOptions {
    /// How fast its clock is, in parts per million.
    pub drift_ppm: f64,
    /// How much that wanders in a second.
    pub wander_ppm: f64,
    /// Samples in a period.
    pub period: u32,
    /// Samples in its buffer.
    pub room: u32,
    /// It says how far it is in steps of so many samples.
    pub grain: u32,
    /// Reads bring less than a period, now and then.
    pub short_reads: bool,
}

/// What holds it up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Trouble {
    #[default]
    None,
    /// It ran over or dry, or was made to.
    Xrun,
    Suspended,
    Gone,
}

/// Clock, buffer, trouble: what both kinds of card have.
#[derive(Debug)]
struct Works {
    options: CardOptions,
    oscillator: Oscillator,
    trouble: Trouble,
    stopped_since: Instant,
    dice: Dice,
}

impl Works {
    fn new(now: Instant, options: CardOptions, seed: u64, who: &str) -> Self {
        let clock = Dice::new(seed, &format!("{who}: clock"));
        Self {
            options,
            oscillator: Oscillator::new(now, options.drift_ppm, options.wander_ppm, clock),
            trouble: Trouble::None,
            stopped_since: now,
            dice: Dice::new(seed, who),
        }
    }

    /// How far it says that it is.
    fn shown(&mut self, now: Instant) -> u64 {
        self.oscillator.pass(now);
        let grain = u64::from(self.options.grain.max(1));
        self.oscillator.samples(now) / grain * grain
    }

    /// When it will say that it is at `count`, or has something else to say.
    fn due(&self, now: Instant, count: u64) -> Instant {
        let grain = u64::from(self.options.grain.max(1));
        match self.oscillator.when(count.div_ceil(grain) * grain) {
            _ if self.trouble != Trouble::None => now,
            Some(at) => at.max(now),
            None => self.stopped_since.plus(TIMING.device_deadline).max(now),
        }
    }

    fn check(&mut self, now: Instant) -> Result<(), PcmError> {
        match self.trouble {
            Trouble::None if self.oscillator.is_running() => Ok(()),
            Trouble::None if now >= self.stopped_since.plus(TIMING.device_deadline) => {
                // Whoever asks again has another deadline.
                self.stopped_since = now;
                Err(PcmError::Stopped)
            }
            Trouble::None => Ok(()),
            Trouble::Xrun => Err(PcmError::Xrun),
            Trouble::Suspended => Err(PcmError::Suspended),
            Trouble::Gone => Err(PcmError::Gone(NO_DEVICE)),
        }
    }

    /// What [`PcmIn::recover`] and [`PcmOut::recover`] can do.
    fn recover(&mut self) -> Result<(), PcmError> {
        match self.trouble {
            Trouble::Gone => return Err(PcmError::Gone(NO_DEVICE)),
            Trouble::Suspended => return Err(PcmError::Suspended),
            Trouble::Xrun | Trouble::None => self.trouble = Trouble::None,
        }
        Ok(())
    }

    fn apply(&mut self, now: Instant, act: Act) {
        self.oscillator.pass(now);
        match act {
            Act::Xrun => self.trouble = Trouble::Xrun,
            Act::Suspend => self.trouble = Trouble::Suspended,
            // What was suspended, or is new, has lost sound: that is an xrun for whoever looks next.
            Act::Resume | Act::Plug => self.trouble = Trouble::Xrun,
            Act::Unplug => self.trouble = Trouble::Gone,
            Act::Stop => {
                self.stopped_since = now;
                self.oscillator.run(now, false);
            }
            Act::Go => self.oscillator.run(now, true),
            Act::Step(samples) => self.oscillator.step(now, samples),
            Act::Drift(ppm) => self.oscillator.set_ppm(now, ppm),
            Act::ShortReads(yes) => self.options.short_reads = yes,
        }
    }
}

/// What the world can do to a card.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Act {
    /// It runs over, or dry.
    Xrun,
    /// The system puts it to sleep.
    Suspend,
    /// The system wakes it.
    Resume,
    /// It is pulled out.
    Unplug,
    /// It is back.
    Plug,
    /// Its clock stands still.
    Stop,
    /// Its clock goes on.
    Go,
    /// Its clock jumps ahead by so many samples.
    Step(u64),
    /// Its clock is so fast now, in parts per million.
    Drift(f64),
    /// Reads bring less than a period, or no longer.
    ShortReads(bool),
}

/// What really happened at a microphone, to hold against what the rig says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MicTruth {
    /// Samples that were read.
    pub read: u64,
    /// Samples that nobody read in time.
    pub lost: u64,
    /// Times that this was reported as an xrun or as having been suspended.
    pub xruns: u64,
}

/// A card that sound comes from, one channel.
#[derive(Debug)]
pub struct Mic {
    works: Works,
    source: Source,
    /// Number of the next sample to be read.
    next: u64,
    /// Samples that are waited for.
    wanted: u32,
    truth: MicTruth,
    newest: Number,
}

impl Mic {
    /// A card that begins at `now`. `who` names its dice.
    #[must_use]
    pub fn new(now: Instant, options: CardOptions, source: Source, seed: u64, who: &str) -> Self {
        let works = Works::new(now, options, seed, who);
        Self { works, source, next: 0, wanted: options.period, truth: MicTruth::default(), newest: Number::default() }
    }

    /// When the rig is to be turned next.
    #[must_use]
    pub fn due(&self, now: Instant) -> Instant {
        self.works.due(now, self.next + u64::from(self.wanted))
    }

    /// Does something to it.
    pub fn apply(&mut self, now: Instant, act: Act) {
        self.works.apply(now, act);
    }

    /// Opens it anew: what was not read is gone.
    ///
    /// # Errors
    /// [`PcmError`] if it is not there.
    pub fn open(&mut self, now: Instant) -> Result<(), PcmError> {
        self.works.recover()?;
        self.restart(now);
        // A clock that stands still is found out about later, as with a real card.
        self.works.stopped_since = now;
        Ok(())
    }

    /// What really happened.
    #[must_use]
    pub const fn truth(&self) -> MicTruth {
        self.truth
    }

    /// Where it says which sample is the newest that was read.
    #[must_use]
    pub fn newest(&self) -> Number {
        Rc::clone(&self.newest)
    }

    /// When sample number `n` was captured.
    #[must_use]
    pub fn captured(&self, n: u64) -> Option<Instant> {
        self.works.oscillator.was(n)
    }

    /// Parts per million that its clock is fast now.
    #[must_use]
    pub fn ppm(&self) -> f64 {
        self.works.oscillator.ppm()
    }

    /// It begins anew with what comes from `now` on, however coarse the steps are in which it tells how far it is.
    fn restart(&mut self, now: Instant) {
        self.works.oscillator.pass(now);
        let first = self.works.oscillator.upcoming(now);
        self.truth.lost += first.saturating_sub(self.next);
        self.next = self.next.max(first);
    }

    fn read(&mut self, now: Instant, into: &mut [i16]) -> Result<Read, PcmError> {
        let shown = self.works.shown(now);
        if self.works.trouble == Trouble::None && shown.saturating_sub(self.next) > u64::from(self.works.options.room) {
            self.works.trouble = Trouble::Xrun;
        }
        if let Err(error) = self.works.check(now) {
            self.truth.xruns += u64::from(matches!(error, PcmError::Xrun | PcmError::Suspended));
            return Err(error);
        }
        let ready = shown.saturating_sub(self.next);
        // Its clock may have slowed down since it said when: whoever comes a moment early waits on. Less than a period
        // would leave every packet after it to wait for the next one.
        let samples = if ready < u64::from(self.wanted) { 0 } else { into.len().min(self.wanted as usize) };
        let into = &mut into[..samples];
        self.source.fill(self.next, into);
        self.next += samples as u64;
        self.newest.set(self.next.saturating_sub(1));
        self.truth.read += samples as u64;
        let period = self.works.options.period;
        let short = self.works.options.short_reads;
        self.wanted = if short { self.works.dice.between(1, u64::from(period)) as u32 } else { period };
        Ok(Read { samples: samples as u32, pending: (ready - samples as u64) as u32 })
    }
}

/// The end of a [`Mic`] that a rig holds.
#[derive(Clone, Debug)]
pub struct MicPort {
    /// The card.
    pub card: Rc<RefCell<Mic>>,
    /// The time.
    pub clock: VirtualClock,
}

impl PcmIn for MicPort {
    fn channels(&self) -> usize {
        1
    }

    fn period(&self) -> usize {
        self.card.borrow().works.options.period as usize
    }

    fn read(&mut self, into: &mut [i16]) -> Result<Read, PcmError> {
        self.card.borrow_mut().read(self.clock.time(), into)
    }

    fn recover(&mut self, _step: Step) -> Result<(), PcmError> {
        let mut card = self.card.borrow_mut();
        card.works.recover()?;
        card.restart(self.clock.time());
        Ok(())
    }
}

/// A card that sound goes to, one channel.
#[derive(Debug)]
pub struct Speaker {
    works: Works,
    /// Samples handed over since it was started.
    written: u64,
    /// Its own count when it was started.
    started: Option<u64>,
    xruns: u64,
    ear: Ear,
}

impl Speaker {
    /// A card that begins at `now`, and who hears it.
    #[must_use]
    pub fn new(now: Instant, options: CardOptions, ear: Ear, seed: u64, who: &str) -> Self {
        Self { works: Works::new(now, options, seed, who), written: 0, started: None, xruns: 0, ear }
    }

    /// When the rig is to be turned next.
    #[must_use]
    pub fn due(&self, now: Instant) -> Instant {
        let options = &self.works.options;
        let over = (self.written + u64::from(options.period)).saturating_sub(u64::from(options.room));
        match self.started {
            Some(started) => self.works.due(now, started + over),
            None => now,
        }
    }

    /// Does something to it.
    pub fn apply(&mut self, now: Instant, act: Act) {
        self.works.apply(now, act);
    }

    /// Opens it anew.
    ///
    /// # Errors
    /// [`PcmError`] if it is not there.
    pub fn open(&mut self, now: Instant) -> Result<(), PcmError> {
        self.works.recover()?;
        (self.written, self.started) = (0, None);
        self.works.stopped_since = now;
        Ok(())
    }

    /// Who hears it.
    pub const fn ear(&mut self) -> &mut Ear {
        &mut self.ear
    }

    /// Times that it ran dry, or was suspended, and said so.
    #[must_use]
    pub const fn xruns(&self) -> u64 {
        self.xruns
    }

    /// Parts per million that its clock is fast now.
    #[must_use]
    pub fn ppm(&self) -> f64 {
        self.works.oscillator.ppm()
    }

    /// Samples that it played since it was started.
    fn played(&mut self, now: Instant) -> u64 {
        let shown = self.works.shown(now);
        self.started.map_or(0, |started| shown.saturating_sub(started))
    }

    fn wait(&mut self, now: Instant) -> Result<(), PcmError> {
        if self.works.trouble == Trouble::None && self.played(now) > self.written {
            self.works.trouble = Trouble::Xrun;
        }
        self.works.check(now).inspect_err(|error| {
            self.xruns += u64::from(matches!(error, PcmError::Xrun | PcmError::Suspended));
        })
    }

    fn write(&mut self, now: Instant, from: &[i16]) {
        let shown = self.works.shown(now);
        let queued = self.written.saturating_sub(self.played(now));
        // Exact while it runs; while it fills, this is when it would be heard if it began now.
        let at = self.started.and_then(|started| self.works.oscillator.was(started + self.written));
        self.ear.hear(from, at.unwrap_or(now.plus(Span::from_samples(queued))));
        self.written += from.len() as u64;
        if self.started.is_none() && self.written >= u64::from(self.works.options.room) {
            self.started = Some(shown);
        }
    }
}

/// The end of a [`Speaker`] that a rig holds.
#[derive(Clone, Debug)]
pub struct SpeakerPort {
    /// The card.
    pub card: Rc<RefCell<Speaker>>,
    /// The time.
    pub clock: VirtualClock,
}

impl PcmOut for SpeakerPort {
    fn channels(&self) -> usize {
        1
    }

    fn period(&self) -> usize {
        self.card.borrow().works.options.period as usize
    }

    fn wait(&mut self) -> Result<(), PcmError> {
        self.card.borrow_mut().wait(self.clock.time())
    }

    fn queued(&mut self) -> u32 {
        let mut card = self.card.borrow_mut();
        let played = card.played(self.clock.time());
        u32::try_from(card.written.saturating_sub(played)).unwrap_or(0)
    }

    fn write(&mut self, from: &[i16]) -> Result<(), PcmError> {
        self.card.borrow_mut().write(self.clock.time(), from);
        Ok(())
    }

    fn recover(&mut self, _step: Step) -> Result<(), PcmError> {
        let mut card = self.card.borrow_mut();
        card.works.recover()?;
        (card.written, card.started) = (0, None);
        Ok(())
    }
}
