//! How fast a sound card is told to run, where it can be told: a USB gadget and a loopback have a control for that.
//!
//! What the resampler does from moment to moment is no guide: it makes good disturbances, too. So both clocks are
//! measured beside ours: the sender's by its fastest packets ([`Drift`]), the card's by how much it has played
//! ([`CardClock`]), and the card is told the difference. It is told rarely, when all that was measured was measured since
//! the last time. Then the resampler, which does nothing at all when it is not needed, rests.

use crate::drift::{DRIFT_PPM_MAX, Drift};
use crate::time::{Instant, SAMPLE_RATE_HZ, Span};

/// How often [`Pitch::step`] is to be called.
pub const STEP: Span = Span::from_millis(1_000);
/// Seconds of measurement before a card is told anything.
const SECONDS_MIN: u32 = 20;
/// Seconds after which nothing is left of what was measured before: [`Drift`] looks at 64.
const SECONDS_FRESH: u32 = 66;
/// A difference that is left alone: a measurement is not better.
const ENOUGH_PPM: i32 = 2;

/// A card's clock beside ours.
#[derive(Clone, Debug)]
pub struct CardClock {
    fit: Drift,
    /// When the count began, and with how many samples.
    since: Option<(Instant, u64)>,
    /// Seconds that were looked at.
    seconds: u32,
    /// Of the second under way, by how much the card was behind at least.
    least_us: i64,
}

impl Default for CardClock {
    fn default() -> Self {
        Self::new()
    }
}

impl CardClock {
    /// Nothing seen.
    #[must_use]
    pub const fn new() -> Self {
        Self { fit: Drift::new(), since: None, seconds: 0, least_us: i64::MAX }
    }

    /// By `now` the card has played so many samples since some time; a look that comes late is later than it says,
    /// never earlier.
    pub fn played(&mut self, now: Instant, samples: u64) {
        let (since, first) = *self.since.get_or_insert((now, samples));
        let elapsed = now.since(since).as_micros() as i64;
        let played =
            samples.saturating_sub(first).saturating_mul(1_000_000).checked_div(u64::from(SAMPLE_RATE_HZ)).unwrap_or(0)
                as i64;
        self.least_us = self.least_us.min(elapsed.saturating_sub(played));
        if elapsed >= i64::from(self.seconds).saturating_add(1).saturating_mul(1_000_000) {
            self.fit.observe(elapsed, self.least_us);
            self.seconds = (elapsed / 1_000_000) as u32;
            self.least_us = i64::MAX;
        }
    }

    /// It was started anew, or is another card.
    pub fn restart(&mut self) {
        *self = Self::new();
    }

    /// By how many millionths it is slow.
    #[must_use]
    pub const fn slow_ppm(&self) -> i32 {
        self.fit.ppm()
    }

    /// For how many seconds it has been looked at.
    #[must_use]
    pub const fn seconds(&self) -> u32 {
        self.seconds
    }
}

/// The pitch of one card.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Pitch {
    /// By how many millionths it was told to run faster.
    ppm: i32,
    /// Steps since then; `None` if it was told nothing yet.
    age: Option<u32>,
}

impl Pitch {
    /// A card at its own pace.
    #[must_use]
    pub const fn new() -> Self {
        Self { ppm: 0, age: None }
    }

    /// By how many millionths the card was told to run faster.
    #[must_use]
    pub const fn ppm(&self) -> i32 {
        self.ppm
    }

    /// To be called each [`STEP`] with by how many millionths card and sender are slow, and for how many seconds the card
    /// was looked at; what to tell the card, if that is something else than before.
    pub fn step(&mut self, card_slow_ppm: i32, seconds: u32, sender_slow_ppm: i32) -> Option<i32> {
        let age = self.age.map(|age| age.saturating_add(1));
        self.age = age;
        let error = card_slow_ppm.saturating_sub(sender_slow_ppm);
        if seconds < SECONDS_MIN || age.is_some_and(|age| age < SECONDS_FRESH) || error.saturating_abs() <= ENOUGH_PPM {
            return None;
        }
        let ppm = self.ppm.saturating_add(error).clamp(-DRIFT_PPM_MAX, DRIFT_PPM_MAX);
        self.age = Some(0);
        (ppm != self.ppm).then(|| {
            self.ppm = ppm;
            ppm
        })
    }

    /// The card did not take it: it runs as before.
    pub const fn refused(&mut self, before: i32) {
        self.ppm = before;
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// A card that is `slow` without being told anything, a sender that is `sender_slow`, pulls that are late by up to 3 ms
    /// and sometimes by 40. What the card was told, and how often.
    fn told(slow: i32, sender_slow: i32, seconds: u64) -> (i32, u32) {
        let (mut clock, mut pitch) = (CardClock::new(), Pitch::new());
        let (mut samples, mut changes) = (0.0_f64, 0);
        for n in 0..seconds * 375 {
            samples += 128.0 * (1.0 + f64::from(pitch.ppm() - slow) * 1e-6);
            let late = n * 7_919 % 3_000 + if n % 331 == 0 { 40_000 } else { 0 };
            // 128 samples are 2666 2/3 µs.
            let now = Instant::from_micros(n * 8_000 / 3 + late);
            clock.played(now, samples as u64);
            if n % 375 == 0
                && let Some(ppm) = pitch.step(clock.slow_ppm(), clock.seconds(), sender_slow)
            {
                assert_eq!(ppm, pitch.ppm());
                changes += 1;
            }
        }
        (pitch.ppm(), changes)
    }

    #[test]
    fn the_card_is_told_the_difference_of_the_clocks_once_or_twice() {
        for (slow, sender) in [(0, 0), (400, 0), (-400, 0), (0, 250), (300, 300), (-500, 300), (20, -20)] {
            let (ppm, changes) = told(slow, sender, 220);
            assert!((ppm - (slow - sender)).abs() <= 6, "{slow} {sender}: told {ppm}");
            assert!(changes <= 3, "{slow} {sender}: told {changes} times");
        }
    }

    #[test]
    fn nothing_is_told_before_it_was_measured_and_what_is_refused_is_not_believed() {
        let mut pitch = Pitch::new();
        assert_eq!(pitch.step(100, SECONDS_MIN - 1, 0), None);
        assert_eq!(pitch.step(2, 100, 0), None);
        assert_eq!(pitch.step(100, SECONDS_MIN, 0), Some(100));
        for _ in 1..SECONDS_FRESH {
            assert_eq!(pitch.step(50, 100, 0), None);
        }
        assert_eq!(pitch.step(i32::MAX, 100, i32::MIN), Some(DRIFT_PPM_MAX));
        pitch.refused(100);
        assert_eq!(pitch.ppm(), 100);
    }

    #[test]
    fn a_card_that_was_started_anew_is_measured_anew() {
        let mut clock = CardClock::new();
        for n in 0..40 {
            clock.played(Instant::from_micros(n * 1_000_000), n * 47_976);
        }
        assert!((490..=520).contains(&clock.slow_ppm()) && clock.seconds() == 39, "{clock:?}");
        clock.restart();
        assert_eq!((clock.slow_ppm(), clock.seconds()), (0, 0));
    }
}
