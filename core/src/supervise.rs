//! The life of one worker: started, watched, told to leave, started again, given up.
//!
//! A [`Supervisor`] looks after one child, whatever a child is: it says when one is to be spawned, asked to leave or
//! killed, and somebody else does it. It promises three things. There are never two children: a successor is spawned
//! only after its predecessor was reported gone, however long that takes. However a child ends that was not told to
//! (a crash, a clean exit, a start that failed, silence), the restart that follows is taken from one budget, so that
//! no window of time sees more of them than [`Policy::restarts`]. And giving up is a state that stays until somebody
//! asks for a start. What a signal is and what counts as progress it does not know.
//!
//! The clock is expected to be monotonic; should it run backwards all the same, it is taken to stand still. Events of
//! a child say which one they are about, and those about a child that is gone change nothing.

use crate::capacity::RESTARTS_MAX;
use crate::time::{Instant, Span};
use heapless::Deque;

/// How patient a supervisor is.
///
/// Where the defaults are those of the seed's system, or are not, the fields say so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Policy {
    /// How long a child may take until it is ready: long enough to open a device on a busy board. The seed's system
    /// had no such limit on children; 5 s is how long it tried to connect to one.
    pub ready_within: Span,
    /// How long a child that is ready may be without progress. The seed's system never looked.
    pub beat_within: Span,
    /// How long a child that was asked to leave has for it. It takes 0.3 s to fade and drain; the seed's 5 s would be
    /// 5 s of silence after each child that hangs.
    pub grace: Span,
    /// How long after a kill that did not help comes the next.
    pub kill_again: Span,
    /// The longest wait before the first restart in a row; each further one may wait twice as long. The seed's 1 s
    /// would be heard, and most crashes are the only one of their day.
    pub first_wait: Span,
    /// No wait is longer: the seed's 30 s.
    pub longest_wait: Span,
    /// A child that still makes progress so long after it was ready has proven itself: the next wait is a first one.
    pub settle: Span,
    /// The most restarts within [`window`](Self::window); [`RESTARTS_MAX`] if that is less. The seed's 5, together
    /// with waits that begin at once, would be used up before a replugged device is there again; 15 of these last
    /// a minute and a half on average, a little longer than the seed's 5.
    pub restarts: u8,
    /// The time in which restarts are counted: the seed's 5 min. The default waits are short enough that a child
    /// that does nothing but fail is given up within it.
    pub window: Span,
}

impl Policy {
    /// What a device runs with.
    pub const DEFAULT: Self = Self {
        ready_within: Span::from_millis(5_000),
        beat_within: Span::from_millis(2_000),
        grace: Span::from_millis(500),
        kill_again: Span::from_millis(1_000),
        first_wait: Span::from_millis(25),
        longest_wait: Span::from_millis(30_000),
        settle: Span::from_millis(5_000),
        restarts: 15,
        window: Span::from_millis(300_000),
    };

    /// The longest wait before the `attempt`th restart in a row, which is 1 or more.
    #[must_use]
    pub fn wait_at_most(&self, attempt: u8) -> Span {
        let doubled = 1_u64.checked_shl(u32::from(attempt).saturating_sub(1)).unwrap_or(u64::MAX);
        Span::from_micros(self.first_wait.as_micros().saturating_mul(doubled)).min(self.longest_wait)
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self::DEFAULT
    }
}

const _: () = assert!(Policy::DEFAULT.restarts as usize <= RESTARTS_MAX, "the budget fits its window");

/// Which child, counted from 1. Nobody is child 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Generation(pub u32);

/// What happened, as the supervisor is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Event {
    /// Somebody wants it to run. The books are opened anew if it was stopped or given up; on its way, it stays so.
    Start,
    /// Somebody wants it not to run.
    Stop,
    /// Somebody wants a fresh child in place of the running one, with other settings say. It costs no budget; it
    /// neither starts what is not meant to run nor hurries a restart.
    Replace,
    /// The child could not be started: there is none.
    StartFailed(Generation),
    /// The child is set up.
    Ready(Generation),
    /// The child made progress: it moved frames, not only bytes to say so.
    Beat(Generation),
    /// The child is gone, and nothing of it is left.
    Exited {
        /// Which one.
        child: Generation,
        /// It said that it left of its own will and without a fault. It is a reason to restart all the same.
        clean: bool,
    },
}

/// What is to be done, each once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Action {
    /// Start a child. It is answered by [`Event::StartFailed`], or by [`Event::Exited`] in the end.
    Spawn {
        /// What its events are to be marked with.
        child: Generation,
        /// The how manieth restart in a row this is; 0 if nothing had failed.
        attempt: u8,
    },
    /// Ask the child to leave.
    Terminate(Generation),
    /// End the child, without its consent.
    Kill(Generation),
}

/// What follows when the child that is leaving has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Then {
    /// Nothing.
    Stop,
    /// A start: somebody changed his mind.
    Start,
    /// A successor, at once: this was planned.
    Replace,
    /// A restart, if the budget has one: it was silent for too long.
    Restart,
}

/// How things stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum State {
    /// Not meant to run.
    Stopped,
    /// A child is being started.
    Starting {
        /// When it has to be ready.
        ready_by: Instant,
    },
    /// A child does its work.
    Running {
        /// Since when.
        since: Instant,
        /// When it has to have made progress again.
        beat_by: Instant,
    },
    /// A child was told to leave.
    Stopping {
        /// When it will be killed, or killed again.
        kill_at: Instant,
        /// What follows.
        then: Then,
    },
    /// The last one failed, the next one waits.
    Backoff {
        /// How long.
        until: Instant,
        /// The how manieth restart in a row it will be.
        attempt: u8,
    },
    /// The budget is used up. Only [`Event::Start`] leads to another child.
    GaveUp {
        /// Since when.
        since: Instant,
    },
}

/// What was counted. All counters wrap.
///
/// The ledger: each child that was started is still starting or running, or is in exactly one of `start_failures`,
/// `crashes`, `clean_exits`, `missed_ready`, `missed_beats` and `dismissed`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Counts {
    /// Children spawned, for whatever reason.
    pub starts: u64,
    /// Those of them that were restarts after something failed.
    pub restarts: u64,
    /// Those of them that took the place of one that did nothing wrong.
    pub replacements: u64,
    /// Children that could not be started.
    pub start_failures: u64,
    /// Children that ended otherwise than cleanly, and were not told to.
    pub crashes: u64,
    /// Children that ended cleanly, and were not told to.
    pub clean_exits: u64,
    /// Children told to leave because they did not become ready in time.
    pub missed_ready: u64,
    /// Children told to leave because they made no progress.
    pub missed_beats: u64,
    /// Children told to leave because somebody wanted it.
    pub dismissed: u64,
    /// Kills, also those that did not help.
    pub kills: u64,
    /// Times that the budget was used up.
    pub gave_up: u64,
}

/// Why a child is spawned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    Asked,
    Restart,
    Replacement,
}

/// What has been decided and nobody has taken yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Spawn(Why),
    Terminate,
    Kill,
}

/// Looks after one child.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Supervisor {
    policy: Policy,
    state: State,
    /// At most one thing is to be done at a time; what comes later overrides it.
    next: Option<Next>,
    /// The child that was spawned last.
    child: Generation,
    /// Restarts in a row, since a child last settled.
    attempt: u8,
    /// When there were restarts, of those within the window.
    restarts: Deque<Instant, RESTARTS_MAX>,
    counts: Counts,
    /// The latest time that was seen.
    now: Instant,
    random: u32,
}

impl Supervisor {
    /// Nothing runs. `seed` decides about the waits: two supervisors of one device should have different ones, so
    /// that two workers that failed for one reason do not come back in step.
    #[must_use]
    pub const fn new(policy: Policy, seed: u32) -> Self {
        Self {
            policy,
            state: State::Stopped,
            next: None,
            child: Generation(0),
            attempt: 0,
            restarts: Deque::new(),
            counts: ZERO,
            now: Instant::ZERO,
            // The generator below is stuck at zero.
            random: if seed == 0 { 0x9E37_79B9 } else { seed },
        }
    }

    /// How things stand.
    #[must_use]
    pub const fn state(&self) -> State {
        self.state
    }

    /// What was counted so far.
    #[must_use]
    pub const fn counts(&self) -> Counts {
        self.counts
    }

    /// The child that was spawned last.
    #[must_use]
    pub const fn child(&self) -> Generation {
        self.child
    }

    /// Restarts that the budget has to answer for now.
    pub fn restarts_within_window(&self, now: Instant) -> usize {
        self.restarts.iter().filter(|at| now.since(**at) < self.policy.window).count()
    }

    /// When [`handle_deadline`](Self::handle_deadline) is to be called; `None` if nothing is waited for.
    #[must_use]
    pub const fn next_deadline(&self) -> Option<Instant> {
        match self.state {
            State::Starting { ready_by: at }
            | State::Running { beat_by: at, .. }
            | State::Stopping { kill_at: at, .. }
            | State::Backoff { until: at, .. } => Some(at),
            State::Stopped | State::GaveUp { .. } => None,
        }
    }

    /// Takes what is to be done; to be called after each event and each deadline.
    pub fn poll_action(&mut self) -> Option<Action> {
        match self.next.take()? {
            Next::Spawn(why) => {
                self.child = Generation(self.child.0.wrapping_add(1));
                add(&mut self.counts.starts);
                match why {
                    Why::Asked => {}
                    Why::Restart => add(&mut self.counts.restarts),
                    Why::Replacement => add(&mut self.counts.replacements),
                }
                Some(Action::Spawn { child: self.child, attempt: self.attempt })
            }
            Next::Terminate => Some(Action::Terminate(self.child)),
            Next::Kill => {
                add(&mut self.counts.kills);
                Some(Action::Kill(self.child))
            }
        }
    }

    /// Takes note of what happened.
    pub fn handle(&mut self, now: Instant, event: Event) {
        self.now = self.now.max(now);
        match event {
            Event::Start => self.on_start(),
            Event::Stop => self.on_stop(),
            Event::Replace => self.on_replace(),
            Event::Ready(child) if self.has(child) => self.on_ready(),
            Event::Beat(child) if self.has(child) => self.on_beat(),
            Event::StartFailed(child) if self.has(child) => self.on_end(|counts| &mut counts.start_failures),
            Event::Exited { child, clean: true } if self.has(child) => self.on_end(|counts| &mut counts.clean_exits),
            Event::Exited { child, clean: false } if self.has(child) => self.on_end(|counts| &mut counts.crashes),
            // Of a child that is gone, or never was.
            Event::Ready(_) | Event::Beat(_) | Event::StartFailed(_) | Event::Exited { .. } => {}
        }
    }

    /// Takes note of the time. Too early, it does nothing.
    pub fn handle_deadline(&mut self, now: Instant) {
        self.now = self.now.max(now);
        if self.next_deadline().is_none_or(|deadline| self.now < deadline) {
            return;
        }
        match self.state {
            // Nobody has taken the spawn yet, so it cannot be late.
            State::Starting { .. } if !self.has_child() => self.spawn(self.next),
            State::Starting { .. } => {
                add(&mut self.counts.missed_ready);
                self.dismiss(Then::Restart);
            }
            State::Running { .. } => {
                add(&mut self.counts.missed_beats);
                self.dismiss(Then::Restart);
            }
            State::Stopping { then, .. } => {
                self.next = Some(Next::Kill);
                self.state = State::Stopping { kill_at: self.now.plus(self.policy.kill_again), then };
            }
            State::Backoff { .. } => {
                // Cannot fail: the budget, which is no more than there is room for, was not used up.
                let _ = self.restarts.push_back(self.now);
                self.spawn(Some(Next::Spawn(Why::Restart)));
            }
            State::Stopped | State::GaveUp { .. } => {}
        }
    }

    /// Whether there may be a child: from when a spawn was taken until its end was reported.
    const fn has_child(&self) -> bool {
        let one = matches!(self.state, State::Starting { .. } | State::Running { .. } | State::Stopping { .. });
        one && !matches!(self.next, Some(Next::Spawn(_)))
    }

    fn has(&self, child: Generation) -> bool {
        self.has_child() && child == self.child
    }

    fn on_start(&mut self) {
        match &mut self.state {
            State::Stopped | State::GaveUp { .. } => {
                self.forget();
                self.spawn(Some(Next::Spawn(Why::Asked)));
            }
            State::Stopping { then: then @ Then::Stop, .. } => {
                *then = Then::Start;
                self.forget();
            }
            _ => {}
        }
    }

    fn on_stop(&mut self) {
        if let State::Stopping { then, .. } = &mut self.state {
            *then = Then::Stop;
        } else if self.has_child() {
            add(&mut self.counts.dismissed);
            self.dismiss(Then::Stop);
        } else {
            self.next = None;
            self.state = State::Stopped;
        }
    }

    fn on_replace(&mut self) {
        if self.has_child() && !matches!(self.state, State::Stopping { .. }) {
            add(&mut self.counts.dismissed);
            self.dismiss(Then::Replace);
        }
    }

    fn on_ready(&mut self) {
        if matches!(self.state, State::Starting { .. }) {
            self.state = State::Running { since: self.now, beat_by: self.now.plus(self.policy.beat_within) };
        }
    }

    fn on_beat(&mut self) {
        if let State::Running { since, beat_by } = &mut self.state {
            *beat_by = self.now.plus(self.policy.beat_within);
            if self.now.since(*since) >= self.policy.settle {
                self.attempt = 0;
            }
        }
    }

    /// The child has ended. If it was told to, it has been counted already.
    fn on_end(&mut self, counter: impl FnOnce(&mut Counts) -> &mut u64) {
        // A signal that nobody took would hit somebody else.
        self.next = None;
        match self.state {
            State::Stopping { then: Then::Stop, .. } => self.state = State::Stopped,
            State::Stopping { then: Then::Start, .. } => self.spawn(Some(Next::Spawn(Why::Asked))),
            State::Stopping { then: Then::Replace, .. } => self.spawn(Some(Next::Spawn(Why::Replacement))),
            State::Stopping { then: Then::Restart, .. } => self.restart_or_give_up(),
            _ => {
                add(counter(&mut self.counts));
                self.restart_or_give_up();
            }
        }
    }

    fn restart_or_give_up(&mut self) {
        while self.restarts.front().is_some_and(|at| self.now.since(*at) >= self.policy.window) {
            self.restarts.pop_front();
        }
        if self.restarts.is_full() || self.restarts.len() >= usize::from(self.policy.restarts) {
            add(&mut self.counts.gave_up);
            self.state = State::GaveUp { since: self.now };
            return;
        }
        self.attempt = self.attempt.saturating_add(1);
        let wait = self.draw(self.policy.wait_at_most(self.attempt));
        self.state = State::Backoff { until: self.now.plus(wait), attempt: self.attempt };
    }

    fn spawn(&mut self, spawn: Option<Next>) {
        self.next = spawn;
        self.state = State::Starting { ready_by: self.now.plus(self.policy.ready_within) };
    }

    fn dismiss(&mut self, then: Then) {
        self.next = Some(Next::Terminate);
        self.state = State::Stopping { kill_at: self.now.plus(self.policy.grace), then };
    }

    /// What failed before does not count any more: somebody asked for a start.
    fn forget(&mut self) {
        self.attempt = 0;
        self.restarts.clear();
    }

    /// A time from nothing to `most`, each as likely ("full jitter"): that spreads those best who wait for the same
    /// thing. A time of more than an hour is cut off there.
    fn draw(&mut self, most: Span) -> Span {
        // Xorshift with 32 bits (Marsaglia, 2003).
        self.random ^= self.random << 13;
        self.random ^= self.random >> 17;
        self.random ^= self.random << 5;
        let choices = most.as_micros().min(u64::from(u32::MAX)).saturating_add(1);
        Span::from_micros(u64::from(self.random).saturating_mul(choices) >> 32)
    }
}

const ZERO: Counts = Counts {
    starts: 0,
    restarts: 0,
    replacements: 0,
    start_failures: 0,
    crashes: 0,
    clean_exits: 0,
    missed_ready: 0,
    missed_beats: 0,
    dismissed: 0,
    kills: 0,
    gave_up: 0,
};

fn add(counter: &mut u64) {
    *counter = counter.wrapping_add(1);
}

#[cfg(test)]
mod tests;
