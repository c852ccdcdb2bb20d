//! A clock of quartz: nearly right, never quite, and it wanders.

use crate::dice::Dice;
use soundpost_core::time::{Instant, Span};
use std::collections::VecDeque;

/// How long ago a moment may be to be asked for.
const MEMORY: usize = 64;
const WANDER_PAUSE: Span = Span::from_millis(1_000);

/// From `since` on, the clock went at `ppb` from `own`.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    since: Instant,
    /// Nanoseconds of its own time.
    own: u64,
    ppb: i64,
}

impl Stretch {
    fn own_at(&self, t: Instant) -> u64 {
        let passed = t.since(self.since).as_micros() as i64;
        self.own + (passed * 1000 + passed * self.ppb / 1_000_000) as u64
    }

    /// When its own time is `own`; `None` if it stands still.
    fn when(&self, own: u64) -> Option<Instant> {
        let speed = 1_000_000_000 + self.ppb;
        let left = i128::from(own.saturating_sub(self.own)) * 1_000_000;
        if left == 0 {
            return Some(self.since);
        }
        (speed > 0).then(|| {
            let micros = (left + i128::from(speed) - 1) / i128::from(speed);
            self.since.plus(Span::from_micros(micros as u64))
        })
    }
}

/// The clock of a sound card.
#[derive(Clone, Debug)]
pub struct Oscillator {
    /// The latest is at the back.
    stretches: VecDeque<Stretch>,
    /// What it comes back to, in parts per billion.
    base: i64,
    /// How much it wanders in a second, in parts per billion.
    wander: f64,
    next_wander: Instant,
    running: bool,
    dice: Dice,
}

impl Oscillator {
    /// A clock that begins at 0 at `now`, `ppm` parts per million fast, and wanders about that by `wander` ppm.
    #[must_use]
    pub fn new(now: Instant, ppm: f64, wander: f64, dice: Dice) -> Self {
        let base = (ppm * 1000.0) as i64;
        let first = Stretch { since: now, own: 0, ppb: base };
        Self {
            stretches: VecDeque::from([first]),
            base,
            wander: wander * 1000.0,
            next_wander: now.plus(WANDER_PAUSE),
            running: true,
            dice,
        }
    }

    /// Samples at 48 kHz since it began.
    #[must_use]
    pub fn samples(&self, now: Instant) -> u64 {
        self.latest().own_at(now) * 48 / 1_000_000
    }

    /// The first sample that begins at `now` or later.
    #[must_use]
    pub fn upcoming(&self, now: Instant) -> u64 {
        (self.latest().own_at(now) * 48).div_ceil(1_000_000)
    }

    /// When it will have counted `samples`; `None` while it stands still.
    #[must_use]
    pub fn when(&self, samples: u64) -> Option<Instant> {
        self.latest().when(own(samples))
    }

    /// When it had counted `samples`, which was not long ago, or will have at its present speed.
    #[must_use]
    pub fn was(&self, samples: u64) -> Option<Instant> {
        let own = own(samples);
        let at = self.stretches.iter().rev().find(|stretch| stretch.own <= own);
        at.or(self.stretches.front()).and_then(|stretch| stretch.when(own))
    }

    /// Parts per million that it is fast now.
    #[must_use]
    pub fn ppm(&self) -> f64 {
        self.latest().ppb as f64 / 1000.0
    }

    /// Whether it moves at all.
    #[must_use]
    pub const fn is_running(&self) -> bool {
        self.running
    }

    /// Lets it wander up to `now`.
    pub fn pass(&mut self, now: Instant) {
        while self.wander > 0.0 && self.next_wander <= now {
            let at = self.next_wander;
            self.next_wander = at.plus(WANDER_PAUSE);
            if self.running {
                let from = self.latest().ppb;
                // It is drawn back within a minute, so it stays near.
                let step = self.dice.normal() * self.wander + (self.base - from) as f64 / 60.0;
                self.turn(at, from + step as i64);
            }
        }
    }

    /// It goes at another speed from now on.
    pub fn set_ppm(&mut self, now: Instant, ppm: f64) {
        self.base = (ppm * 1000.0) as i64;
        if self.running {
            self.turn(now, self.base);
        }
    }

    /// It stands still, or goes on.
    pub fn run(&mut self, now: Instant, running: bool) {
        if self.running != running {
            self.running = running;
            self.turn(now, if running { self.base } else { -1_000_000_000 });
        }
    }

    /// It jumps ahead by `samples`.
    pub fn step(&mut self, now: Instant, samples: u64) {
        let latest = *self.latest();
        self.push(Stretch { since: now, own: latest.own_at(now) + own(samples), ppb: latest.ppb });
    }

    fn turn(&mut self, now: Instant, ppb: i64) {
        let own = self.latest().own_at(now);
        self.push(Stretch { since: now, own, ppb });
    }

    fn push(&mut self, stretch: Stretch) {
        if self.stretches.len() == MEMORY {
            self.stretches.pop_front();
        }
        self.stretches.push_back(stretch);
    }

    fn latest(&self) -> &Stretch {
        self.stretches.back().expect("there is always one")
    }
}

/// Nanoseconds of `samples`, rounded up, so that it counts no fewer by then.
const fn own(samples: u64) -> u64 {
    (samples * 1_000_000).div_ceil(48)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(s: u64) -> Instant {
        Instant::ZERO.plus(Span::from_millis(s * 1000))
    }

    #[test]
    fn it_is_fast_by_what_it_was_told() {
        let clock = Oscillator::new(Instant::ZERO, 300.0, 0.0, Dice::new(1, "x"));
        assert_eq!(clock.samples(seconds(3600)), 3600 * 48_000 + 3600 * 48_000 * 300 / 1_000_000);
        let day = seconds(86_400);
        let count = clock.samples(day);
        assert!(clock.when(count).unwrap() <= day && clock.when(count + 2).unwrap() >= day);
    }

    #[test]
    fn when_a_count_is_due_it_is_there() {
        let mut clock = Oscillator::new(Instant::ZERO, -212.5, 3.0, Dice::new(1, "x"));
        let mut now = Instant::ZERO;
        for n in (0..5_000_000).step_by(127) {
            let due = clock.when(n).unwrap().max(now);
            clock.pass(due);
            now = clock.when(n).unwrap().max(due);
            assert!(clock.samples(now) >= n, "{n}");
            let was = clock.was(n).unwrap();
            assert!(now.since(was).as_micros() < 100, "{n}: due at {due:?}, remembered as {was:?}");
        }
        assert!((clock.ppm() + 212.5).abs() < 60.0, "{} ppm is far from home", clock.ppm());
    }

    #[test]
    fn what_is_upcoming_did_not_begin_before() {
        let mut clock = Oscillator::new(Instant::ZERO, 283.0, 0.0, Dice::new(1, "x"));
        assert_eq!(clock.upcoming(Instant::ZERO), 0);
        for micros in (0..2_000_000).step_by(997) {
            let now = Instant::ZERO.plus(Span::from_micros(micros));
            let upcoming = clock.upcoming(now);
            assert!(clock.was(upcoming).unwrap() >= now && upcoming <= clock.samples(now) + 1, "{micros} us");
        }
        clock.run(seconds(3), false);
        let upcoming = clock.upcoming(seconds(4));
        clock.run(seconds(5), true);
        assert!(clock.was(upcoming).unwrap() >= seconds(5));
    }

    #[test]
    fn it_stops_goes_on_and_jumps() {
        let mut clock = Oscillator::new(Instant::ZERO, 0.0, 0.0, Dice::new(1, "x"));
        clock.run(seconds(1), false);
        assert_eq!((clock.samples(seconds(9)), clock.when(48_001)), (48_000, None));
        clock.run(seconds(10), true);
        assert_eq!(clock.samples(seconds(11)), 96_000);
        clock.step(seconds(11), 480);
        assert_eq!(clock.samples(seconds(11)), 96_480);
    }
}
