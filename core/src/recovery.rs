//! What to do about a sound card in trouble: the least that may help, then the next more.
//!
//! Resume, prepare, restart, open again, and wait longer before each further attempt. A step is tried once for the same
//! trouble; what counts as the same is the point of this module. An xrun is over as soon as a period has moved: a
//! thousand of them in a bad minute are a thousand times `prepare`, and never a device that is closed. An error of input
//! or output is over only when sound has moved for [`Policy::settle`]: a card that takes its parameters, moves a period
//! and fails again gets no further round of the same. A clock that stands still is a state, not an error: it is told to
//! start again once, then listened to, and opened again now and then in case it comes back with another rate.
//!
//! Nothing is given up: a card may come back in a year. What is bounded is how often it is tried, see
//! [`Policy::longest_wait`] and [`Policy::longest_broken_wait`]. Whoever hears of a new card says so with
//! [`Recovery::on_news`] and need not wait.

use crate::config::TIMING;
use crate::meter::Recoveries;
use crate::time::{Instant, Span};

/// What went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Fault {
    /// It ran over or dry.
    Xrun,
    /// The system put it to sleep.
    Suspended,
    /// Nothing moved before the deadline.
    Stopped,
    /// Input or output fails.
    Broken,
    /// It is not there any more.
    Gone,
}

/// What a device can be asked to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Step {
    /// Go on where it was put to sleep.
    Resume,
    /// Begin again; what it held is lost.
    Prepare,
    /// Stop for good, then begin again.
    Restart,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Action {
    /// Ask the device for this.
    Try(Step),
    /// Ask the device for sound again: the attempt has a deadline itself.
    Listen,
    /// Close it, and open it again at [`Recovery::retry_at`].
    Reopen,
}

/// How patient recovery is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Policy {
    /// Sound that has moved for so long without an error is well again.
    pub settle: Span,
    /// The wait after the first attempt to open that failed. Each further one waits twice as long.
    pub first_wait: Span,
    /// No wait for a device that is not there, or taken, is longer: where nobody tells of its return, this is how late
    /// it is noticed.
    pub longest_wait: Span,
    /// No wait for a device that opens and then fails is longer.
    pub longest_broken_wait: Span,
    /// Of so many deadlines in a row at which a clock stands still, the first restarts the device and the last opens it
    /// again.
    pub stops: u8,
}

impl Policy {
    /// What devices run with.
    pub const DEFAULT: Self = Self {
        settle: Span::from_millis(1_000),
        first_wait: Span::from_millis(25),
        longest_wait: Span::from_millis(800),
        longest_broken_wait: Span::from_millis(10_000),
        stops: 4,
    };
}

/// What is tried for a fault before the device is opened again.
const fn steps(fault: Fault) -> &'static [Step] {
    match fault {
        Fault::Xrun | Fault::Broken => &[Step::Prepare, Step::Restart],
        Fault::Suspended => &[Step::Resume, Step::Prepare, Step::Restart],
        // It has its own order: see `on_stopped`.
        Fault::Stopped | Fault::Gone => &[],
    }
}

/// Steps that were tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
struct Tried(u8);

impl Tried {
    /// The first of the steps that was not tried; it is now.
    fn next(&mut self, steps: &[Step]) -> Option<Step> {
        let bit = |step: Step| 1_u8 << step as u8;
        let step = steps.iter().copied().find(|step| self.0 & bit(*step) == 0)?;
        self.0 |= bit(step);
        Some(step)
    }
}

/// Looks after one device.
#[derive(Clone, Debug)]
pub struct Recovery {
    policy: Policy,
    /// Since a period moved.
    lately: Tried,
    /// Since it settled.
    ever: Tried,
    /// Deadlines in a row at which the clock stood still.
    stops: u8,
    /// Since when sound moves without an error.
    moving: Option<Instant>,
    /// Since when it answers, and has no sound.
    idle: Option<Instant>,
    /// What is wrong now.
    trouble: Option<Fault>,
    /// Attempts to open it since it settled.
    attempts: u8,
    /// The latest attempt opened it.
    opened: bool,
    retry_at: Instant,
    counts: Recoveries,
}

impl Default for Recovery {
    fn default() -> Self {
        Self::new(Policy::DEFAULT)
    }
}

impl Recovery {
    /// The device was just opened for the first time.
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        Self {
            policy,
            lately: Tried::default(),
            ever: Tried::default(),
            stops: 0,
            moving: None,
            idle: None,
            trouble: None,
            attempts: 0,
            opened: true,
            retry_at: Instant::ZERO,
            counts: Recoveries::default(),
        }
    }

    /// What is wrong now; `None` while sound moves.
    #[must_use]
    pub const fn trouble(&self) -> Option<Fault> {
        self.trouble
    }

    /// What was counted so far.
    #[must_use]
    pub const fn counts(&self) -> Recoveries {
        self.counts
    }

    /// When the device is to be opened, after [`Action::Reopen`] or an attempt that failed.
    #[must_use]
    pub const fn retry_at(&self) -> Instant {
        self.retry_at
    }

    /// A period has moved.
    pub fn on_moved(&mut self, now: Instant) {
        (self.lately, self.stops, self.trouble, self.idle) = (Tried::default(), 0, None, None);
        let since = *self.moving.get_or_insert(now);
        if self.attempts | self.ever.0 != 0 && now.since(since) >= self.policy.settle {
            (self.ever, self.attempts) = (Tried::default(), 0);
        }
    }

    /// It answers, and has no sound; whether that has been so for too long: then its clock stands still, whatever it is
    /// that wakes us.
    pub fn on_idle(&mut self, now: Instant) -> bool {
        let since = *self.idle.get_or_insert(now);
        let stands = now.since(since) >= TIMING.device_deadline;
        if stands {
            self.idle = None;
        }
        stands
    }

    /// Something is wrong, or still is.
    pub fn on_fault(&mut self, now: Instant, fault: Fault) -> Action {
        let again = self.trouble.replace(fault).is_some();
        let counter = match fault {
            Fault::Xrun => &mut self.counts.xruns,
            Fault::Suspended => &mut self.counts.suspends,
            Fault::Stopped => &mut self.counts.stops,
            Fault::Broken => &mut self.counts.breaks,
            Fault::Gone => &mut self.counts.losses,
        };
        if !again {
            *counter = counter.wrapping_add(1);
        }
        let step = match fault {
            Fault::Xrun | Fault::Suspended => self.lately.next(steps(fault)),
            Fault::Stopped => return self.on_stopped(now),
            Fault::Broken => {
                self.moving = None;
                self.ever.next(steps(fault))
            }
            Fault::Gone => {
                // A loose plug is not a broken card: it is looked for as often as one that is not there.
                self.opened = false;
                None
            }
        };
        match step {
            Some(step) => self.attempt(step),
            None => self.reopen(now),
        }
    }

    fn on_stopped(&mut self, now: Instant) -> Action {
        self.moving = None;
        self.stops = self.stops.saturating_add(1);
        match self.stops {
            1 => self.attempt(Step::Restart),
            stops if stops < self.policy.stops => Action::Listen,
            _ => {
                self.stops = 0;
                self.reopen(now)
            }
        }
    }

    fn attempt(&mut self, step: Step) -> Action {
        let counter = match step {
            Step::Resume => &mut self.counts.resumes,
            Step::Prepare => &mut self.counts.prepares,
            Step::Restart => &mut self.counts.restarts,
        };
        *counter = counter.wrapping_add(1);
        Action::Try(step)
    }

    fn reopen(&mut self, now: Instant) -> Action {
        self.moving = None;
        self.schedule(now);
        Action::Reopen
    }

    /// The device was opened again. Whether it works is another matter.
    pub fn on_opened(&mut self) {
        (self.opened, self.idle) = (true, None);
        self.counts.reopens = self.counts.reopens.wrapping_add(1);
        // A new device may well be worth being prepared; what is broken was tried enough.
        self.lately = Tried::default();
    }

    /// The device could not be opened.
    pub fn on_open_failed(&mut self, now: Instant) {
        self.opened = false;
        self.counts.open_failures = self.counts.open_failures.wrapping_add(1);
        self.schedule(now);
    }

    /// There is reason to hope: a card came, or its rights changed. What is waited for is tried at once.
    pub fn on_news(&mut self, now: Instant) {
        self.attempts = 1;
        self.retry_at = now;
    }

    fn schedule(&mut self, now: Instant) {
        let longest = if self.opened { self.policy.longest_broken_wait } else { self.policy.longest_wait };
        let wait = match self.attempts {
            0 => Span::ZERO,
            attempts => {
                let doubled = 1_u64.checked_shl(u32::from(attempts).saturating_sub(1)).unwrap_or(u64::MAX);
                Span::from_micros(self.policy.first_wait.as_micros().saturating_mul(doubled)).min(longest)
            }
        };
        self.attempts = self.attempts.saturating_add(1);
        self.retry_at = now.plus(wait);
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
