//! When the device asks for sound, beside when it should.
//!
//! A thread that was woken late asks late; it never asks early. So the schedule is the line along the earliest pulls,
//! let rise a little so that it can follow a slow clock, and what lies above it is lateness: what a busy processor
//! really does, measured where it matters.

use super::histogram::{Histogram, ONE};
use crate::time::{Instant, Span};

/// Bins of lateness: up to 28 ms.
const BINS: usize = 96;
/// Later than that, it is another schedule: the device stood still.
const LOST_US: i64 = 40_000;
/// Pulls that go into the histogram together: ageing it takes a thousand instructions, and nobody looks in between.
const BATCH: u32 = 64;
/// They leave so much of the weight to those before, at periods of 10 ms about 30 s; Q16.
const KEEP: u32 = 64_143;
/// One pull in a thousand may be later than what is allowed for; Q24.
const RARE: u32 = ONE / 1_000;
/// What any scheduler does, and nobody needs to allow for.
const USUAL_US: i64 = 500;
/// The most that is allowed for.
const ALLOWANCE_MAX_US: i64 = 20_000;

/// The device's schedule.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) struct Pulls {
    due: Option<i64>,
    lateness: Histogram<BINS>,
    /// Pulls of each bin that are not in the histogram yet, and how many.
    recent: [u8; BINS],
    since: u32,
    period: i64,
    samples: u64,
    allowance: i64,
}

impl Pulls {
    pub(super) const fn new() -> Self {
        let (lateness, recent) = (Histogram::new(), [0; BINS]);
        Self { due: None, lateness, recent, since: 0, period: 0, samples: 0, allowance: 0 }
    }

    /// The device asks for `samples`, after so many the time before.
    pub(super) fn observe(&mut self, now: Instant, samples: u64) {
        let now = super::micros(now);
        let next = self.due.map(|due| due.saturating_add(self.period));
        let late = match next {
            Some(next) if now >= next && now <= next.saturating_add(LOST_US) => {
                let late = now.saturating_sub(next);
                let rise = (late / 256).saturating_add(i64::from(late > 0));
                self.due = Some(next.saturating_add(rise));
                late
            }
            _ => {
                self.due = Some(now);
                0
            }
        };
        if self.samples != samples {
            self.samples = samples;
            self.period = super::micros(Instant::ZERO.plus(Span::from_samples(samples)));
        }
        if let Some(count) = self.recent.get_mut(Histogram::<BINS>::bin(late.unsigned_abs())) {
            *count = count.saturating_add(1);
        }
        self.since = self.since.saturating_add(1);
        if self.since >= BATCH {
            self.since = 0;
            self.lateness.add_counts(&self.recent, KEEP);
            self.recent = [0; BINS];
            let usual = self.lateness.quantile(RARE) as i64;
            self.allowance = usual.saturating_sub(USUAL_US).clamp(0, ALLOWANCE_MAX_US);
        }
    }

    /// When this pull should have been.
    pub(super) fn due(&self) -> i64 {
        self.due.unwrap_or(0)
    }

    /// Length of a period.
    pub(super) const fn period(&self) -> i64 {
        self.period
    }

    /// Samples in a period.
    pub(super) const fn samples(&self) -> u64 {
        self.samples
    }

    /// Delay to add, so that pulls which come late find what they need all the same.
    pub(super) const fn allowance(&self) -> i64 {
        self.allowance
    }
}
