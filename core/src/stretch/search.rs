//! Finds the period of a sound: the distance at which it resembles itself most.
//!
//! First at 4 kHz over all distances, then around the best one at 16 kHz, then at 48 kHz. Both channels count as they
//! are, not mixed, so that what is different in them is not overlooked.

use super::{ALIKE, LOOK_AHEAD_SAMPLES, PERIOD_SAMPLES_MAX, PERIOD_SAMPLES_MIN};
use core::ops::RangeInclusive;

/// Samples that become one at 16 kHz, and how many of those one at 4 kHz.
const FINE: usize = 3;
const COARSE: usize = 4;

/// Short pieces are compared over 5 ms, at 4 kHz: over less, anything resembles anything.
const COMPARED_MIN: usize = 20;

/// A longer distance that is as good by all but 2 % is better: there will be fewer seams.
const AS_GOOD: i32 = ALIKE / 50;

/// A distance, and how alike the two pieces of that length are.
#[derive(Clone, Copy)]
pub(super) struct Found {
    pub(super) lag: usize,
    pub(super) likeness: i32,
}

/// The period of `sound`, of `longest` samples at most; twice as many must be there.
pub(super) fn period<const CHANNELS: usize>(sound: &[i16], longest: usize) -> Found {
    let (mut fine, mut coarse) = ([0; LOOK_AHEAD_SAMPLES / FINE * 2], [0; LOOK_AHEAD_SAMPLES / FINE / COARSE * 2]);
    let needed = longest.saturating_add(longest.max(COMPARED_MIN * COARSE * FINE)).saturating_mul(CHANNELS);
    let sound = sound.get(..needed).unwrap_or(sound);
    let fine = thin::<FINE, CHANNELS>(sound, &mut fine);
    let coarse = thin::<COARSE, CHANNELS>(fine, &mut coarse);
    let rough = roughly::<CHANNELS>(coarse, longest / (COARSE * FINE)).saturating_mul(COARSE);
    let lags = PERIOD_SAMPLES_MIN / FINE..=longest / FINE;
    let better = near::<CHANNELS>(fine, rough, COARSE, lags).lag.saturating_mul(FINE);
    near::<CHANNELS>(sound, better, FINE - 1, PERIOD_SAMPLES_MIN..=longest)
}

/// How alike the pieces of this length are.
pub(super) fn at<const CHANNELS: usize>(sound: &[i16], lag: usize) -> Found {
    let values = lag.saturating_mul(CHANNELS);
    Found { lag, likeness: compare(sound, values, values) }
}

/// Averages of `BY` samples each.
fn thin<'a, const BY: usize, const CHANNELS: usize>(from: &[i16], to: &'a mut [i16]) -> &'a [i16] {
    let mut made = 0_usize;
    let groups = from.as_chunks::<CHANNELS>().0.as_chunks::<BY>().0;
    for (group, frame) in groups.iter().zip(to.as_chunks_mut::<CHANNELS>().0) {
        let mut sums = [0_i32; CHANNELS];
        for values in group {
            sums.iter_mut().zip(values).for_each(|(sum, value)| *sum = sum.wrapping_add(i32::from(*value)));
        }
        frame.iter_mut().zip(sums).for_each(|(value, sum)| *value = (sum / BY as i32) as i16);
        made = made.wrapping_add(CHANNELS);
    }
    to.get(..made).unwrap_or(&[])
}

/// Among all distances, the longest that is a peak and all but the best.
fn roughly<const CHANNELS: usize>(sound: &[i16], longest: usize) -> usize {
    const SHORTEST: usize = PERIOD_SAMPLES_MIN / (FINE * COARSE);
    let mut scores = [-ALIKE; PERIOD_SAMPLES_MAX / (FINE * COARSE) + 1];
    let mut best = -ALIKE;
    for (lag, score) in scores.iter_mut().enumerate().take(longest.saturating_add(1)).skip(SHORTEST) {
        let compared = lag.max(COMPARED_MIN).min((sound.len() / CHANNELS).saturating_sub(lag));
        *score = compare(sound, lag.saturating_mul(CHANNELS), compared.saturating_mul(CHANNELS));
        best = best.max(*score);
    }
    let peaks = scores.windows(3).zip(1_usize..).filter_map(|(three, lag)| match three {
        [before, here, after] => (*here >= *before && *here >= *after).then_some((lag, *here)),
        _ => None,
    });
    let as_good = peaks.filter(|(_, score)| *score >= best.saturating_sub(AS_GOOD)).map(|(lag, _)| lag);
    // Without a peak the best is at an end.
    as_good.last().or_else(|| scores.iter().position(|score| *score == best)).unwrap_or(SHORTEST)
}

/// The best distance that is no farther than `reach` from `around`.
fn near<const CHANNELS: usize>(sound: &[i16], around: usize, reach: usize, lags: RangeInclusive<usize>) -> Found {
    let (first, last) = lags.into_inner();
    let from = around.saturating_sub(reach).clamp(first, last.max(first));
    let to = around.saturating_add(reach).clamp(first, last.max(first));
    let mut best = Found { lag: from, likeness: -ALIKE };
    for lag in from..=to {
        let found = at::<CHANNELS>(sound, lag);
        if found.likeness > best.likeness {
            best = found;
        }
    }
    best
}

/// How alike the first `values` values and as many after the first `lag` are; those that are there.
pub(super) fn compare(sound: &[i16], lag: usize, values: usize) -> i32 {
    let later = sound.get(lag..).unwrap_or(&[]);
    likeness(sound.get(..values).unwrap_or(sound), later.get(..values).unwrap_or(later))
}

/// Normalised correlation, Q15. Silence is like silence and like nothing else.
fn likeness(one: &[i16], other: &[i16]) -> i32 {
    let (mut product, mut energy, mut other_energy) = (0_i64, 0_u64, 0_u64);
    for (a, b) in one.iter().zip(other) {
        let (a, b) = (i32::from(*a), i32::from(*b));
        product = product.wrapping_add(i64::from(a.wrapping_mul(b)));
        energy = energy.wrapping_add(u64::from(a.wrapping_mul(a) as u32));
        other_energy = other_energy.wrapping_add(u64::from(b.wrapping_mul(b) as u32));
    }
    if energy == 0 && other_energy == 0 {
        return ALIKE;
    }
    let size = energy.isqrt().saturating_mul(other_energy.isqrt()).max(1) as i64;
    let ratio = product.saturating_mul(i64::from(ALIKE)).checked_div(size).unwrap_or(0);
    ratio.clamp(-i64::from(ALIKE), i64::from(ALIKE)) as i32
}
