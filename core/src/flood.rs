//! Who does too much in too short a time.
//!
//! A [`Bucket`] is full of permissions at first; each thing that is done takes one, and they come back at a steady rate.
//! A [`Doorkeeper`] has one for each user who connects, and a bounded number of them: users that it has forgotten begin
//! with a full one, and it forgets those first who have used least.

use crate::config::Allowance;
use crate::time::Instant;
use heapless::Vec;

/// Millionths of a permission, the unit of a level: a microsecond at a rate of one a second is worth one.
const WHOLE: u64 = 1_000_000;

/// What is left of an allowance.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Bucket {
    allowance: Allowance,
    level: u64,
    seen: Instant,
}

impl Bucket {
    /// A full one.
    #[must_use]
    pub const fn new(allowance: Allowance, now: Instant) -> Self {
        Self { allowance, level: allowance.burst as u64 * WHOLE, seen: now }
    }

    /// Takes a permission; false if there is none now.
    pub fn take(&mut self, now: Instant) -> bool {
        self.level = self.level(now);
        self.seen = self.seen.max(now);
        match self.level.checked_sub(WHOLE) {
            Some(left) => {
                self.level = left;
                true
            }
            None => false,
        }
    }

    /// What is in it by now.
    fn level(&self, now: Instant) -> u64 {
        let back = now.since(self.seen).as_micros().saturating_mul(u64::from(self.allowance.per_second));
        self.level.saturating_add(back).min(u64::from(self.allowance.burst).saturating_mul(WHOLE))
    }
}

/// A bucket for each user.
#[derive(Debug)]
pub struct Doorkeeper<const N: usize> {
    allowance: Allowance,
    users: Vec<(u32, Bucket), N>,
}

impl<const N: usize> Doorkeeper<N> {
    /// One that has seen nobody.
    #[must_use]
    pub const fn new(allowance: Allowance) -> Self {
        Self { allowance, users: Vec::new() }
    }

    /// Whether the user may come in once more.
    pub fn admits(&mut self, user: u32, now: Instant) -> bool {
        if let Some((_, bucket)) = self.users.iter_mut().find(|(known, _)| *known == user) {
            return bucket.take(now);
        }
        if self.users.is_full() {
            let levels = self.users.iter().enumerate().map(|(at, (_, bucket))| (at, bucket.level(now)));
            if let Some((at, _)) = levels.max_by_key(|(_, level)| *level) {
                self.users.swap_remove(at);
            }
        }
        let mut bucket = Bucket::new(self.allowance, now);
        let admitted = bucket.take(now);
        // There is room: one was just forgotten.
        let _ = self.users.push((user, bucket));
        admitted
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Span;
    use proptest::prelude::*;

    const FEW: Allowance = Allowance { burst: 3, per_second: 2 };

    fn at(ms: u64) -> Instant {
        Instant::ZERO.plus(Span::from_millis(ms))
    }

    #[test]
    fn a_burst_is_let_through_and_then_a_steady_rate() {
        let mut bucket = Bucket::new(FEW, at(0));
        assert_eq!([0; 5].map(|ms| bucket.take(at(ms))), [true, true, true, false, false]);
        assert!(!bucket.take(at(499)));
        assert!(bucket.take(at(500)));
        assert!(!bucket.take(at(999)));
        assert!(bucket.take(at(1000)));
        // However long it was quiet, no more than the burst.
        assert_eq!([3_600_000; 4].map(|ms| bucket.take(at(ms))), [true, true, true, false]);
        // A clock that seems to go back gives nothing and takes nothing.
        assert!(!bucket.take(at(0)) && !bucket.take(at(3_600_000)));
    }

    proptest! {
        #[test]
        fn no_more_than_burst_and_rate_ever_pass(steps in proptest::collection::vec(0_u64..2_000, 1..200)) {
            let mut bucket = Bucket::new(FEW, at(0));
            let (mut time, mut passed) = (0, 0_u64);
            for step in steps {
                time += step;
                passed += u64::from(bucket.take(at(time)));
                prop_assert!(passed <= 3 + time * 2 / 1000);
            }
        }
    }

    #[test]
    fn users_do_not_use_up_each_others_and_the_quietest_is_forgotten() {
        let mut door = Doorkeeper::<2>::new(FEW);
        assert!((0..3).all(|_| door.admits(1, at(0))));
        assert!(!door.admits(1, at(0)) && door.admits(2, at(0)));
        // A third one takes the place of the second, not of the one who floods.
        assert!(door.admits(3, at(0)));
        assert!(!door.admits(1, at(0)));
    }
}
