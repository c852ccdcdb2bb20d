//! Which of several sound cards to use, best first.
//!
//! The first that opens, of those that have not failed of late: a card that opens and gives no sound (HDMI without a
//! signal) rests for a while, so that the next one has its turn. While a lesser one runs, the better ones are tried in
//! the background, now and then and when the kernel tells of a card, and one of them is taken back only when it has
//! proven itself with sound. That is the hysteresis: a card with a loose plug changes nothing.

use crate::capacity::CANDIDATES_MAX;
use crate::time::{Instant, Span};

/// How patient the choice is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Patience {
    /// How long a card that opened and failed is not tried while there is another.
    pub rest: Span,
    /// Pause between two attempts to get a better card back, where nobody tells of it.
    pub pause: Span,
    /// After news of a card, until it is tried: its rights and its settings come a moment later.
    pub calm: Span,
    /// For how long a better card must give or take sound before it is taken.
    pub proof: Span,
}

/// The patience of every choice.
pub const PATIENCE: Patience = Patience {
    rest: Span::from_millis(10_000),
    pause: Span::from_millis(5_000),
    calm: Span::from_millis(200),
    proof: Span::from_millis(500),
};

/// Remembers which of the candidates failed. They are numbered from 0, the best.
#[derive(Clone, Debug)]
pub struct Preference {
    count: usize,
    current: usize,
    rests_until: [Instant; CANDIDATES_MAX],
}

impl Preference {
    /// So many candidates; those beyond [`CANDIDATES_MAX`] are never chosen.
    #[must_use]
    pub fn new(count: usize) -> Self {
        Self { count: count.min(CANDIDATES_MAX), current: 0, rests_until: [Instant::ZERO; CANDIDATES_MAX] }
    }

    /// All candidates in the order in which they are to be tried.
    pub fn order(&self, now: Instant) -> impl Iterator<Item = usize> {
        let rests = move |rank: &usize| self.rests_until.get(*rank).is_some_and(|until| now < *until);
        let fresh = (0..self.count).filter(move |rank| !rests(rank));
        fresh.chain((0..self.count).filter(rests))
    }

    /// How many are better than the one in use.
    #[must_use]
    pub const fn better(&self) -> usize {
        self.current
    }

    /// This one is in use now.
    pub const fn on_opened(&mut self, rank: usize) {
        self.current = rank;
    }

    /// The one in use was open and failed.
    pub fn on_failed(&mut self, now: Instant) {
        if let Some(until) = self.rests_until.get_mut(self.current) {
            *until = now.plus(PATIENCE.rest);
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn order(preference: &Preference, ms: u64) -> Vec<usize> {
        preference.order(Instant::ZERO.plus(Span::from_millis(ms))).collect()
    }

    #[test]
    fn the_best_is_first_until_it_fails_and_again_after_its_rest() {
        let mut preference = Preference::new(3);
        assert_eq!(order(&preference, 0), [0, 1, 2]);
        preference.on_opened(0);
        preference.on_failed(Instant::ZERO.plus(Span::from_millis(5)));
        assert_eq!(order(&preference, 5), [1, 2, 0]);
        preference.on_opened(1);
        assert_eq!(preference.better(), 1);
        preference.on_failed(Instant::ZERO.plus(Span::from_millis(9_000)));
        assert_eq!(order(&preference, 9_000), [2, 0, 1]);
        assert_eq!(order(&preference, 10_005), [0, 2, 1]);
        assert_eq!(order(&preference, 19_000), [0, 1, 2]);
    }

    #[test]
    fn whatever_fails_each_candidate_is_tried_once() {
        for count in 0..=CANDIDATES_MAX + 2 {
            let mut preference = Preference::new(count);
            for rank in 0..count {
                preference.on_opened(rank);
                preference.on_failed(Instant::ZERO.plus(Span::from_millis(rank as u64 * 3_000)));
                let mut seen = order(&preference, 12_000);
                seen.sort_unstable();
                assert_eq!(seen, (0..count.min(CANDIDATES_MAX)).collect::<Vec<_>>());
            }
        }
    }
}
