//! A process of the device: what the supervisor asks for, and how processes answer, or do not.

use crate::dice::Dice;
use crate::judge::Court;
use soundpost_core::supervise::{Action, Counts, Event, Generation, Policy, State, Supervisor};
use soundpost_core::time::{Instant, Span};
use std::collections::VecDeque;

/// What is to happen to a worker, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// It is set up.
    Ready(Generation),
    /// It says whether it got on.
    Beat(Generation),
    /// It is gone.
    Gone { child: Generation, clean: bool },
    /// The supervisor wants to look.
    Deadline,
}

/// What the world has to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Demand {
    /// Begin the process's work.
    Begin,
    /// It is gone: forget everything of it.
    End,
    /// Announce a step.
    At(Instant, Step),
}

const BEAT_PAUSE: Span = Span::from_millis(250);
/// What sits in a driver may take so long to die.
const SLOWEST_DEATH: Span = Span::from_millis(4_000);

/// A worker and who looks after it.
#[derive(Debug)]
pub(super) struct Worker {
    supervisor: Supervisor,
    alive: Option<Generation>,
    /// It does nothing any more, since then.
    hung: Option<Instant>,
    /// By order of the scenario: it dies soon after each start.
    pub(super) crash_loop: bool,
    /// By order of the scenario: it does not die when told to.
    pub(super) slow_death: bool,
    turns_at_beat: u64,
    /// When it was set up.
    ready: Option<Instant>,
    /// The judge's own book: when it was started without being asked to.
    restarts: VecDeque<Instant>,
    asked: bool,
    policy: Policy,
    court: Court,
    who: &'static str,
    dice: Dice,
    demands: Vec<Demand>,
}

impl Worker {
    pub(super) fn new(who: &'static str, court: Court, seed: u64) -> Self {
        let mut dice = Dice::new(seed, who);
        let policy = Policy::DEFAULT;
        Self {
            supervisor: Supervisor::new(policy, dice.any() as u32),
            alive: None,
            hung: None,
            crash_loop: false,
            slow_death: false,
            turns_at_beat: 0,
            ready: None,
            restarts: VecDeque::new(),
            asked: false,
            policy,
            court,
            who,
            dice,
            demands: Vec::new(),
        }
    }

    pub(super) fn counts(&self) -> Counts {
        self.supervisor.counts()
    }

    pub(super) fn gave_up(&self) -> bool {
        matches!(self.supervisor.state(), State::GaveUp { .. })
    }

    /// Since when it does its work, if it does.
    pub(super) fn works_since(&self) -> Option<Instant> {
        self.ready.filter(|_| self.works())
    }

    /// Whether it does its work.
    pub(super) const fn works(&self) -> bool {
        self.alive.is_some() && self.hung.is_none()
    }

    /// Somebody wants it to run.
    pub(super) fn start(&mut self, now: Instant) -> Vec<Demand> {
        self.asked = true;
        self.tell(now, Event::Start)
    }

    /// It dies by itself.
    pub(super) fn crash(&mut self, now: Instant) -> Vec<Demand> {
        self.alive.map_or_else(Vec::new, |child| self.step(now, Step::Gone { child, clean: false }, 0))
    }

    /// It does nothing any more.
    pub(super) fn hang(&mut self, now: Instant) {
        self.hung = self.hung.or(self.alive.map(|_| now));
    }

    /// Time for a step. `turns` is how often its crank was turned.
    pub(super) fn step(&mut self, now: Instant, step: Step, turns: u64) -> Vec<Demand> {
        match step {
            Step::Ready(child) if self.alive == Some(child) => {
                self.ready = Some(now);
                self.demands.push(Demand::Begin);
                self.demands.push(Demand::At(now.plus(BEAT_PAUSE), Step::Beat(child)));
                if self.crash_loop {
                    self.die(now, child, 20, 200);
                }
                self.tell(now, Event::Ready(child))
            }
            Step::Beat(child) if self.alive == Some(child) => {
                self.demands.push(Demand::At(now.plus(BEAT_PAUSE), Step::Beat(child)));
                let got_on = turns != std::mem::replace(&mut self.turns_at_beat, turns);
                self.judge_hang(now);
                if got_on && self.hung.is_none() {
                    self.tell(now, Event::Beat(child))
                } else {
                    std::mem::take(&mut self.demands)
                }
            }
            Step::Gone { child, clean } if self.alive == Some(child) => {
                (self.alive, self.hung, self.ready) = (None, None, None);
                self.demands.push(Demand::End);
                self.tell(now, Event::Exited { child, clean })
            }
            Step::Deadline if self.supervisor.next_deadline().is_some_and(|deadline| deadline <= now) => {
                self.supervisor.handle_deadline(now);
                self.obey(now)
            }
            // Of a process that is gone, or too early.
            Step::Ready(_) | Step::Beat(_) | Step::Gone { .. } | Step::Deadline => Vec::new(),
        }
    }

    fn tell(&mut self, now: Instant, event: Event) -> Vec<Demand> {
        self.supervisor.handle(now, event);
        self.obey(now)
    }

    fn obey(&mut self, now: Instant) -> Vec<Demand> {
        while let Some(action) = self.supervisor.poll_action() {
            match action {
                Action::Spawn { child, .. } => self.spawn(now, child),
                Action::Terminate(child) if self.hung.is_none() && !self.slow_death => self.die(now, child, 5, 60),
                Action::Terminate(_) => {}
                // What sits in a driver dies when the driver lets it.
                Action::Kill(child) => {
                    self.die(now, child, 1, if self.slow_death { SLOWEST_DEATH.as_micros() / 1000 } else { 10 });
                }
            }
        }
        if let Some(deadline) = self.supervisor.next_deadline() {
            self.demands.push(Demand::At(deadline.max(now), Step::Deadline));
        }
        std::mem::take(&mut self.demands)
    }

    fn spawn(&mut self, now: Instant, child: Generation) {
        if let Some(other) = self.alive {
            self.court.accuse("supervisor", now, format!("{}: {child:?} was started while {other:?} lives", self.who));
        }
        if !std::mem::take(&mut self.asked) {
            self.judge_restart(now);
        }
        self.alive = Some(child);
        let takes = Span::from_millis(self.dice.between(15, 60));
        self.demands.push(Demand::At(now.plus(takes), Step::Ready(child)));
    }

    /// I8: restarts stay within the budget, whatever the supervisor believes.
    fn judge_restart(&mut self, now: Instant) {
        self.restarts.retain(|at| now.since(*at) < self.policy.window);
        self.restarts.push_back(now);
        let (count, most) = (self.restarts.len(), usize::from(self.policy.restarts));
        if count > most {
            let window = self.policy.window.as_micros() / 1_000_000;
            let words = format!("{}: restart {count} within {window} s, of {most} allowed", self.who);
            self.court.accuse("supervisor", now, words);
        }
    }

    /// Who hangs is not left hanging: it is asked, killed, and gone, however slowly it dies.
    fn judge_hang(&self, now: Instant) {
        let policy = &self.policy;
        let patience = policy.beat_within.plus(policy.grace).plus(policy.kill_again).plus(SLOWEST_DEATH);
        if let Some(since) = self.hung.filter(|since| now.since(*since) > patience) {
            let hung = now.since(since).as_micros() / 1000;
            self.court.accuse("supervisor", now, format!("{}: it hangs for {hung} ms and is still there", self.who));
        }
    }

    fn die(&mut self, now: Instant, child: Generation, least_ms: u64, most_ms: u64) {
        let takes = Span::from_millis(self.dice.between(least_ms, most_ms));
        self.demands.push(Demand::At(now.plus(takes), Step::Gone { child, clean: false }));
    }
}
