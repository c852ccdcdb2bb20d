//! How long work takes, and how often it takes longer than it may.
//!
//! Times are counted in buckets a quarter of an octave wide, so a percentile is right to 19 %, for ever and in a few
//! hundred bytes. What decides about short frames is the worst one in a thousand and not the mean.

use crate::time::Span;

/// Buckets in an octave.
const STEPS: u32 = 4;
/// Octaves from 1 µs: the last ends at 0.26 s.
const OCTAVES: usize = 18;
const BUCKETS: usize = OCTAVES * STEPS as usize;

/// Counts times.
#[derive(Clone, Debug)]
pub struct Stopwatch {
    buckets: [u32; BUCKETS],
    count: u32,
    longest: Span,
    late: [u32; 4],
}

/// What a stopwatch has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Work {
    /// No more than half of the times are longer.
    pub median: Span,
    /// No more than one in a thousand is longer.
    pub p999: Span,
    /// The longest.
    pub longest: Span,
    /// Times longer than one, two, four and eight deadlines; each counts once, for the most.
    pub late: [u32; 4],
}

impl Work {
    /// Nothing yet.
    pub const NONE: Self = Self { median: Span::ZERO, p999: Span::ZERO, longest: Span::ZERO, late: [0; 4] };
}

impl Default for Stopwatch {
    fn default() -> Self {
        Self::new()
    }
}

impl Stopwatch {
    /// Nothing seen.
    #[must_use]
    pub const fn new() -> Self {
        Self { buckets: [0; BUCKETS], count: 0, longest: Span::ZERO, late: [0; 4] }
    }

    /// Something took so long.
    pub fn took(&mut self, time: Span) {
        // Old times fade where a counter would overflow.
        if self.count == u32::MAX {
            self.count = 0;
            for bucket in &mut self.buckets {
                *bucket /= 2;
                self.count = self.count.saturating_add(*bucket);
            }
        }
        if let Some(bucket) = self.buckets.get_mut(bucket_of(time)) {
            *bucket = bucket.saturating_add(1);
            self.count = self.count.saturating_add(1);
        }
        self.longest = self.longest.max(time);
    }

    /// A turn took so long, and should not have taken longer than `deadline`.
    pub fn turned(&mut self, time: Span, deadline: Span) {
        let times = time.as_micros().checked_div(deadline.as_micros()).unwrap_or(0);
        let row = match times {
            0 => return,
            1 => 0,
            2..4 => 1,
            4..8 => 2,
            _ => 3,
        };
        if let Some(late) = self.late.get_mut(row) {
            *late = late.wrapping_add(1);
        }
    }

    /// What was seen.
    #[must_use]
    pub fn work(&self) -> Work {
        Work {
            median: self.longer_than(self.count / 2).min(self.longest),
            p999: self.longer_than(self.count / 1_000).min(self.longest),
            longest: self.longest,
            late: self.late,
        }
    }

    /// The end of the bucket that at most `beyond` times are above.
    fn longer_than(&self, beyond: u32) -> Span {
        let mut above = 0_u32;
        for (number, bucket) in self.buckets.iter().enumerate().rev() {
            above = above.saturating_add(*bucket);
            if above > beyond {
                return end_of(number);
            }
        }
        Span::ZERO
    }
}

/// The bucket of a time: its octave, and the two bits behind its first.
fn bucket_of(time: Span) -> usize {
    let micros = time.as_micros().max(1);
    let octave = micros.ilog2();
    let step = (micros.saturating_mul(u64::from(STEPS)) >> octave) as u32 % STEPS;
    (octave.saturating_mul(STEPS).saturating_add(step) as usize).min(BUCKETS.saturating_sub(1))
}

/// The longest time of a bucket.
fn end_of(number: usize) -> Span {
    let (octave, step) = (number as u32 / STEPS, number as u64 % u64::from(STEPS));
    let next = u64::from(STEPS).saturating_add(step).saturating_add(1);
    let end = next.checked_shl(octave).unwrap_or(u64::MAX).div_ceil(u64::from(STEPS));
    Span::from_micros(end.saturating_sub(1))
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn every_time_is_in_a_bucket_that_ends_at_most_a_quarter_of_an_octave_later() {
        let mut before = 0;
        for micros in 1..300_000 {
            let bucket = bucket_of(Span::from_micros(micros));
            assert!(bucket >= before && bucket < BUCKETS);
            before = bucket;
            let end = end_of(bucket).as_micros();
            if micros < 1 << OCTAVES {
                assert!(end >= micros && end <= micros + micros / 4 + 1, "{micros} ends at {end}");
            }
        }
    }

    #[test]
    fn one_in_a_thousand_is_told_from_the_rest() {
        let mut watch = Stopwatch::new();
        assert_eq!(watch.work(), Work::NONE);
        for n in 0..100_000_u64 {
            watch.took(Span::from_micros(if n % 500 == 0 { 3_000 } else { 100 }));
        }
        watch.took(Span::from_micros(90_000));
        let work = watch.work();
        assert!((100..=127).contains(&work.median.as_micros()), "{work:?}");
        assert!((3_000..=3_600).contains(&work.p999.as_micros()), "{work:?}");
        assert_eq!(work.longest, Span::from_micros(90_000));
    }

    #[test]
    fn lateness_is_counted_by_how_much() {
        let mut watch = Stopwatch::new();
        for micros in [999, 1_000, 1_999, 2_000, 3_999, 4_000, 8_000, 80_000] {
            watch.turned(Span::from_micros(micros), Span::from_micros(1_000));
        }
        watch.turned(Span::from_micros(5), Span::ZERO);
        assert_eq!(watch.work().late, [2, 2, 1, 2]);
    }

    #[test]
    fn counters_that_are_full_fade() {
        let mut watch = Stopwatch::new();
        (watch.buckets[8], watch.count) = (u32::MAX, u32::MAX);
        watch.took(Span::from_micros(1_000));
        assert!(watch.count == u32::MAX / 2 + 1 && watch.work().median.as_micros() < 10);
    }
}
