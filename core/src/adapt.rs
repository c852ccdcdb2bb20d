//! How long sound waits before it is played: as little as the network allows, and it always comes back.
//!
//! *Delay* is how much later a sample is played than the fastest packet of late would have allowed
//! (`arrivals`): it is a difference of stream time and clock, so it is known exactly and without noise, whatever is in
//! which queue. From how late packets come and what made-up sound is worth ([`Terms`]) follows the delay to aim at; from
//! the distance to that, what to do: play by up to half a percent faster or slower, take a period out, put one in, or
//! wait under made-up sound. Nothing here knows what a sample is.
//!
//! The ideas are old and public: the sliding reference and the histogram of block maxima as in WebRTC's NetEq, the price of
//! lateness as in Agrawal, Chen and Sreenan (1998), insertion ahead of trouble as in Liang, Färber and Girod (2003).
//! `docs/playout.md` says how they are put together and what that achieves.

mod arrivals;
mod goal;
pub mod histogram;
mod pulls;

use crate::config::{Playout, Terms};
use crate::time::{Instant, MediaTime, Span};
use arrivals::Arrivals;
use goal::Goal;
use pulls::Pulls;

/// The most delay that is ever aimed at.
pub const CEILING: Span = Span::from_millis(600);
/// What a stream begins with as long as nothing is known of the network.
pub const START: Span = Span::from_millis(2);
/// The most by which playing is made faster or slower: less than a tenth of a semitone.
pub const RATE_PPM_MAX: i32 = 5_000;
/// One insertion or removal changes the delay by this at most.
pub const STRETCH_US_MAX: i64 = 15_000;
/// As much may be cut out in one go where it is quiet.
pub const QUIET_US_MAX: i64 = 40_000;

/// An error is undone within this time, if the rate allows.
const SETTLE_MS: i32 = 400;
const SETTLE_US: i64 = SETTLE_MS as i64 * 1_000;
/// Smaller errors are none.
const DEAD_US: i32 = 150;
/// More than this too much is not left to the rate alone,
const FAR_US: i64 = 30_000;
/// nor is this, when there was no trouble for a while and stretches are plenty.
const OFF_US: i64 = 10_000;
const CALM_US: i64 = 500_000;
/// Between two removals or insertions, so that each is heard alone.
const APART_US: i64 = 120_000;
/// Between two insertions against a gap: it is worse to wait.
const APART_PRESSED_US: i64 = 10_000;
/// Stretches that may be saved up.
const SAVED_MAX: i64 = 20;
const MINUTE_US: i64 = 60_000_000;
/// With no stretch left, a gap must be so likely; Q15.
const SURE: i64 = 29_491;
/// A gap is expected so long before it is there.
const AHEAD_US: i64 = 10_000;
/// Time that is this far off is another time.
const SANE_US: i64 = 10_000_000;

/// What to do to the sound that is played next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Correction {
    /// Nothing.
    None,
    /// Take so much out if nobody hears it.
    Remove(Span),
    /// Put so much in, for soon there will be nothing to play.
    Insert(Span),
}

/// Watches arrivals and pulls, decides about delay.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Depth {
    terms: Terms,
    arrivals: Arrivals,
    pulls: Pulls,
    goal: Goal,
    ceiling: i64,
    /// What lateness asks for.
    wanted: i64,
    /// The most that was wanted so far, for terms that never shrink.
    most: i64,
    /// Stretches that may be used, in microseconds of a minute each.
    saved: i64,
    latest: i64,
    /// When there was nothing to play.
    trouble: i64,
    /// No stretch before.
    free_at: i64,
}

impl Default for Depth {
    fn default() -> Self {
        Self::new(Playout::default())
    }
}

impl Depth {
    /// Nothing observed.
    #[must_use]
    pub const fn new(profile: Playout) -> Self {
        Self {
            terms: profile.terms(),
            arrivals: Arrivals::new(),
            pulls: Pulls::new(),
            goal: Goal::new(),
            ceiling: micros(Instant::ZERO.plus(CEILING)),
            wanted: START.as_micros() as i64,
            most: 0,
            saved: SAVED_MAX.saturating_mul(MINUTE_US),
            latest: 0,
            trouble: 0,
            free_at: 0,
        }
    }

    /// Other terms from now on; what was observed stays.
    pub const fn set_terms(&mut self, terms: Terms) {
        self.terms = terms;
        self.arrivals.renew();
    }

    /// Never aims at more than this, nor than [`CEILING`]: there is no room for more.
    pub fn limit(&mut self, most: Span) {
        self.ceiling = micros(Instant::ZERO.plus(most.min(CEILING)));
    }

    /// A new stream begins. What was observed of the network stays, for it is the same one.
    pub fn restart(&mut self) {
        self.arrivals.restart();
        self.goal = Goal::new();
    }

    /// A packet came.
    pub fn arrived(&mut self, now: Instant, media: MediaTime, samples: u32) {
        self.arrivals.observe(now, media, samples);
    }

    /// The device asks for `samples`.
    pub fn pulled(&mut self, now: Instant, samples: u64) {
        self.pulls.observe(now, samples);
        let due = self.pulls.due();
        let past = due.saturating_sub(self.latest).clamp(0, MINUTE_US);
        self.latest = due;
        if self.free_at > due.saturating_add(MINUTE_US) {
            self.free_at = due;
        }
        self.trouble = self.trouble.min(due);
        let earned = past.saturating_mul(i64::from(self.terms.stretches_per_minute));
        self.saved = self.saved.saturating_add(earned).min(SAVED_MAX.saturating_mul(MINUTE_US));
        self.aim();
    }

    /// Delay to aim at, on the grid of pulls.
    fn aim(&mut self) {
        let Some(reference) = self.arrivals.reference() else { return };
        self.refresh();
        let mut wanted = self.wanted;
        if !self.terms.shrinks {
            self.most = self.most.max(wanted);
            wanted = self.most;
        }
        let wanted = wanted.saturating_add(self.pulls.allowance()).min(self.ceiling).max(0);
        let now = self.pulls.due().saturating_sub(reference);
        self.goal.aim(wanted, now, self.pulls.samples(), self.arrivals.packet());
    }

    /// What is wanted, found anew only when there is something new to go by.
    fn refresh(&mut self) {
        if self.arrivals.take_news() {
            let found = self.find_wanted();
            // What was late is forgotten bit by bit, until a little is enough for what is left of it: that is no reason to
            // hold more than before.
            self.wanted = if self.arrivals.exceeds(self.wanted) { found } else { found.min(self.wanted) };
        }
    }

    /// What the price rule says; where little is enough for a calm network, that.
    fn find_wanted(&self) -> i64 {
        if !self.arrivals.is_known() {
            return micros(Instant::ZERO.plus(START));
        }
        let fair = self.arrivals.quantile(self.terms.price.as_micros());
        let calm = self.arrivals.quantile(self.terms.calm_price.as_micros());
        let cap = self.terms.calm.as_micros() as i64;
        if self.terms.price == self.terms.calm_price || calm <= cap { fair.max(calm) } else { fair }
    }

    /// The delay that `next` has, if it is played at this pull; negative if it is earlier than packets come.
    #[must_use]
    pub fn delay_us(&self, next: MediaTime) -> i64 {
        let Some(reference) = self.arrivals.reference() else { return 0 };
        let due = self.pulls.due().saturating_sub(self.arrivals.micros(next));
        due.saturating_sub(reference).clamp(-SANE_US, SANE_US)
    }

    /// The delay aimed at.
    #[must_use]
    pub const fn goal_us(&self) -> i64 {
        self.goal.get()
    }

    /// The delay that lateness alone asks for, before it is put on the grid of pulls.
    #[must_use]
    pub fn floor(&self) -> Span {
        Span::from_micros(self.wanted.max(0).unsigned_abs())
    }

    /// Allowance for late pulls that is part of the goal.
    #[must_use]
    pub const fn pull_allowance(&self) -> Span {
        Span::from_micros(self.pulls.allowance().unsigned_abs())
    }

    /// By how many millionths the sender's clock is slow.
    #[must_use]
    pub fn drift_ppm(&self) -> i32 {
        self.arrivals.drift_ppm()
    }

    /// How much faster to play, in millionths, when the delay is `delay_us`.
    #[must_use]
    pub fn rate_ppm(&self, delay_us: i64) -> i32 {
        let error = delay_us.saturating_sub(self.goal.get());
        // On a grid the goal itself moves as fast as the clocks drift apart: then sound goes at the device's own pace.
        let clocks = if self.goal.is_on_grid() { 0 } else { -i64::from(self.arrivals.drift_ppm()) };
        // (Far more than the limit; and 32 bits are divided by a constant in a few instructions, 64 in a hundred.)
        let error = error.clamp(-SETTLE_US, SETTLE_US) as i32;
        let chase =
            if error.saturating_abs() < DEAD_US { 0 } else { i64::from(error.saturating_mul(1_000) / SETTLE_MS) };
        let limit = i64::from(RATE_PPM_MAX);
        clocks.saturating_add(chase).clamp(-limit, limit) as i32
    }

    /// What to do besides, when the delay is `delay_us` and `ahead_us` of sound without a gap is here; `missing` says
    /// that what comes after it is not, nor anything later. More than [`STRETCH_US_MAX`] is for quiet alone.
    #[must_use]
    pub fn correction(&self, delay_us: i64, ahead_us: i64, missing: bool) -> Correction {
        let due = self.pulls.due();
        let error = delay_us.saturating_sub(self.goal.get());
        let spare = ahead_us.saturating_sub(self.pulls.period());
        let calm = due.saturating_sub(self.trouble) > CALM_US;
        // When trouble is over, delay comes back even if that takes more than was saved up.
        if self.terms.stretches_per_minute == 0 || (self.saved < MINUTE_US && !(calm && error > FAR_US)) {
            return Correction::None;
        }
        let plenty = self.saved > SAVED_MAX.saturating_mul(MINUTE_US) / 2;
        if error > (if calm && plenty { OFF_US } else { FAR_US }) && spare >= STRETCH_US_MAX && due >= self.free_at {
            return Correction::Remove(Span::from_micros(QUIET_US_MAX.min(error).min(spare).unsigned_abs()));
        }
        if missing && self.saved >= MINUTE_US && self.will_starve(delay_us, ahead_us) {
            return Correction::Insert(Span::from_micros(STRETCH_US_MAX.unsigned_abs()));
        }
        Correction::None
    }

    /// Whether it is likely enough that the packet behind `ahead_us` of sound will not be here in time. The fewer
    /// stretches are left, the surer it must be.
    fn will_starve(&self, delay_us: i64, ahead_us: i64) -> bool {
        let period = self.pulls.period();
        let waited = delay_us.saturating_sub(ahead_us);
        if ahead_us >= period.saturating_add(AHEAD_US) || waited <= 0 {
            return false;
        }
        if self.pulls.due() < self.free_at.saturating_sub(APART_US).saturating_add(APART_PRESSED_US) {
            return false;
        }
        if ahead_us < period {
            return true;
        }
        let full = SAVED_MAX.saturating_mul(MINUTE_US);
        let used = full.saturating_sub(self.saved).saturating_mul(1 << 15).checked_div(full).unwrap_or(0);
        let least = i64::from(self.terms.hazard);
        let least = least.saturating_add(SURE.saturating_sub(least).max(0).saturating_mul(used) >> 15);
        i64::from(self.arrivals.hazard(waited, delay_us)) >= least
    }

    /// How much of a gap of `gap_us` to jump over instead of making sound up for it, because the delay is too large.
    #[must_use]
    pub fn splice_us(&self, delay_us: i64, gap_us: i64) -> i64 {
        let error = delay_us.saturating_sub(self.goal.get());
        if error > micros(Instant::ZERO.plus(self.terms.splice)) { error.min(gap_us) } else { 0 }
    }

    /// A correction was made.
    pub fn stretched(&mut self) {
        self.saved = self.saved.saturating_sub(MINUTE_US).max(0);
        self.free_at = self.pulls.due().saturating_add(APART_US);
    }

    /// There is nothing to play for `gap_us`, the delay is `delay_us`: for how much of that stream time stands still, so
    /// that the delay grows and what comes late is still played.
    #[must_use]
    pub fn hold_us(&self, delay_us: i64, gap_us: i64) -> i64 {
        let slack = micros(Instant::ZERO.plus(self.terms.slack));
        let most = self.goal.get().saturating_add(slack).min(self.ceiling.saturating_add(slack));
        most.saturating_sub(delay_us).min(gap_us).max(0)
    }

    /// There was nothing to play at this pull; the packet that is waited for is `late_us` late already.
    pub fn starved(&mut self, late_us: i64) {
        self.trouble = self.pulls.due();
        self.arrivals.pend(late_us.clamp(0, SANE_US));
    }
}

/// Microseconds since the start of the clock, far from the end of the number.
const fn micros(at: Instant) -> i64 {
    let us = at.as_micros();
    if us < 1 << 61 { us as i64 } else { 1 << 61 }
}

#[cfg(test)]
mod tests;
