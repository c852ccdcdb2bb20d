//! A forgetting histogram over bins that widen with the value, in integers.
//!
//! Ageing counts of delays beside a price for lateness go back to Agrawal, Chen and Sreenan (1998); the bins are those
//! of a logarithmic scale made of straight pieces, so that finding one takes a count of leading zeros. Masses are
//! Q24 and always sum to one exactly.

/// One, in Q24.
pub const ONE: u32 = 1 << 24;

/// With so many values before it, one weighs less than a twentieth.
const PRIOR: u32 = 40;

/// The width of the narrowest bins.
const UNIT_US: u64 = 125;
/// Bins of each width; every next group is twice as wide.
const GROUP: u64 = 32;
const GROUP_BITS: u32 = GROUP.trailing_zeros();

/// The bin of a value. What is beyond the last bin belongs to it.
const fn bin_of(value_us: u64, bins: usize) -> usize {
    let shifted = (value_us / UNIT_US).saturating_add(GROUP);
    // At least `GROUP`, so the group is never negative.
    let group = 63_u32.saturating_sub(shifted.leading_zeros()).saturating_sub(GROUP_BITS);
    let inside = (shifted >> group).saturating_sub(GROUP);
    let bin = (group as u64).saturating_mul(GROUP).saturating_add(inside) as usize;
    if bin < bins { bin } else { bins.saturating_sub(1) }
}

/// Where a bin begins.
const fn edge_us(bin: usize) -> u64 {
    let (group, inside) = (bin as u64 / GROUP, bin as u64 % GROUP);
    // No caller has more than a few groups.
    let group = if group > 32 { 32 } else { group };
    ((GROUP.saturating_add(inside)) << group).saturating_sub(GROUP).saturating_mul(UNIT_US)
}

/// How likely each size was of late; `N` bins.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Histogram<const N: usize> {
    mass: [u32; N],
    adds: u32,
}

impl<const N: usize> Default for Histogram<N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const N: usize> Histogram<N> {
    /// Nothing seen yet, and nothing feared: as if there had been forty values of zero. So one bad value in the
    /// beginning is what it is later, an exception, while two or three in a row are believed.
    #[must_use]
    pub const fn new() -> Self {
        let mut mass = [0; N];
        if let Some(calm) = mass.first_mut() {
            *calm = ONE;
        }
        Self { mass, adds: PRIOR }
    }

    /// Whether nothing has been seen yet.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.adds == PRIOR
    }

    /// Takes a value in; what was seen before keeps `keep` (Q16) of its weight, less in the beginning, so that the
    /// first few values weigh alike.
    pub fn add(&mut self, value_us: u64, keep: u32) {
        let rest = self.age(1, keep);
        if let Some(mass) = self.mass.get_mut(Self::bin(value_us)) {
            *mass = mass.saturating_add(rest);
        }
    }

    /// Takes so many values of each bin in at once; what was seen before keeps `keep` of its weight.
    pub fn add_counts(&mut self, counts: &[u8; N], keep: u32) {
        let many = counts.iter().fold(0_u32, |sum, count| sum.saturating_add(u32::from(*count)));
        let Some(first) = counts.iter().position(|count| *count > 0) else { return };
        let mut rest = self.age(many, keep);
        let each = rest.checked_div(many).unwrap_or(0);
        for (mass, count) in self.mass.iter_mut().zip(counts) {
            let share = each.saturating_mul(u32::from(*count));
            *mass = mass.saturating_add(share);
            rest = rest.saturating_sub(share);
        }
        if let Some(mass) = self.mass.get_mut(first) {
            *mass = mass.saturating_add(rest);
        }
    }

    /// Makes room for `many` values; returns how much.
    fn age(&mut self, many: u32, keep: u32) -> u32 {
        let before = self.adds;
        self.adds = before.saturating_add(many);
        let keep = keep.min(young(before, self.adds));
        let mut sum = 0_u32;
        for mass in &mut self.mass {
            *mass = (u64::from(*mass).wrapping_mul(u64::from(keep)) >> 16) as u32;
            sum = sum.saturating_add(*mass);
        }
        ONE.saturating_sub(sum)
    }

    /// The bin that a value belongs to.
    #[must_use]
    pub const fn bin(value_us: u64) -> usize {
        bin_of(value_us, N)
    }

    /// The share of values above `value_us`, Q24; within a bin they lie evenly.
    #[must_use]
    pub fn above(&self, value_us: u64) -> u32 {
        let bin = bin_of(value_us, N);
        let beyond = self.mass.iter().skip(bin.saturating_add(1)).fold(0_u32, |sum, mass| sum.saturating_add(*mass));
        let (from, to) = (edge_us(bin), edge_us(bin.saturating_add(1)));
        let (left, width) = (to.saturating_sub(value_us), to.saturating_sub(from).max(1));
        let here = self.mass.get(bin).copied().unwrap_or(0);
        let part = u64::from(here).saturating_mul(left.min(width)).checked_div(width).unwrap_or(0);
        beyond.saturating_add(part as u32)
    }

    /// The least value that no more than the share `part` (Q24) of all values exceeds.
    #[must_use]
    pub fn quantile(&self, part: u32) -> u64 {
        self.quantile_with(part, 0, 0)
    }

    /// As [`quantile`](Self::quantile), if `pending_us` were added with the weight `weight` (Q24).
    #[must_use]
    pub fn quantile_with(&self, part: u32, pending_us: u64, weight: u32) -> u64 {
        let pending = if weight > 0 { bin_of(pending_us, N) } else { usize::MAX };
        let rest = u64::from(ONE.saturating_sub(weight));
        let mut above = 0_u32;
        for (bin, mass) in self.mass.iter().enumerate().rev() {
            // No mass is above one, so this fits.
            let mut here = (u64::from(*mass).wrapping_mul(rest) >> 24) as u32;
            if bin == pending {
                here = here.saturating_add(weight);
            }
            let sum = above.saturating_add(here);
            if sum > part {
                let (from, to) = (edge_us(bin), edge_us(bin.saturating_add(1)));
                let room = u64::from(part.saturating_sub(above));
                let step = to.saturating_sub(from).saturating_mul(room).checked_div(u64::from(here)).unwrap_or(0);
                return to.saturating_sub(step);
            }
            above = sum;
        }
        0
    }
}

/// The weight (Q16) that the past keeps when `before` values become `after`: 1 − 2 / (n + 1) at the nth, one after the
/// other.
fn young(before: u32, after: u32) -> u32 {
    let pairs = |n: u32| u64::from(n.min(1 << 16)).saturating_mul(u64::from(n.min(1 << 16)).saturating_add(1));
    (pairs(before) << 16).checked_div(pairs(after)).unwrap_or(0) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    const BINS: usize = 256;

    #[test]
    fn every_microsecond_of_a_second_is_in_the_bin_that_holds_it() {
        for us in (0..1_000_000).step_by(if cfg!(miri) { 9_999 } else { 1 }) {
            let bin = bin_of(us, BINS);
            assert!(edge_us(bin) <= us && (us < edge_us(bin + 1) || bin == BINS - 1), "{us}");
        }
        assert_eq!(bin_of(u64::MAX, BINS), BINS - 1);
        assert!((0..BINS).all(|bin| bin_of(edge_us(bin), BINS) == bin));
    }

    fn values(count: u64) -> impl Iterator<Item = u64> {
        let mut state = 1_u64;
        (0..count).map(move |_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) % 100_000
        })
    }

    #[test]
    fn mass_is_neither_lost_nor_made() {
        let mut histogram = Histogram::<BINS>::new();
        for value in values(if cfg!(miri) { 100 } else { 1_000_000 }) {
            histogram.add(value, 64_990);
        }
        assert_eq!(histogram.mass.iter().map(|mass| u64::from(*mass)).sum::<u64>(), u64::from(ONE));
    }

    #[test]
    fn quantiles_fall_as_more_may_be_above_and_agree_with_sorting() {
        let mut histogram = Histogram::<BINS>::new();
        let mut all: Vec<u64> = values(4_000).collect();
        // Nothing is forgotten, so that it can be compared.
        all.iter().for_each(|value| histogram.add(*value, 1 << 16));
        all.sort_unstable();
        let mut before = u64::MAX;
        for percent in 1..100_u32 {
            let found = histogram.quantile(ONE / 100 * percent);
            assert!(found <= before);
            before = found;
            let exact = all[all.len() * (100 - percent as usize) / 100 - 1];
            assert!(found.abs_diff(exact) <= 2_500, "{percent} %: {found}, sorted {exact}");
            assert!(histogram.above(found).abs_diff(ONE / 100 * percent) < ONE / 50);
        }
    }

    #[test]
    fn the_newsvendors_delay_costs_less_than_its_neighbours() {
        // Uniform up to 100 ms, blocks of 250 ms, a price of 1 s: a quarter may be above, that is 75 ms.
        let mut histogram = Histogram::<BINS>::new();
        let all: Vec<u64> = values(4_000).collect();
        all.iter().for_each(|value| histogram.add(*value, 1 << 16));
        let best = histogram.quantile(ONE / 4);
        assert!(best.abs_diff(75_000) < 3_000, "{best}");
        let cost = |delay: u64| {
            let missing: u64 = all.iter().map(|value| value.saturating_sub(delay)).sum();
            delay + 1_000_000 / 250_000 * missing / all.len() as u64
        };
        assert!(cost(best) <= cost(best + 5_000) && cost(best) <= cost(best - 5_000));
    }

    #[test]
    fn many_at_once_weigh_as_much_as_one_by_one() {
        let (mut at_once, mut singly) = (Histogram::<BINS>::new(), Histogram::<BINS>::new());
        let all: Vec<u64> = values(6_400).collect();
        for batch in all.chunks(64) {
            let mut counts = [0_u8; BINS];
            for value in batch {
                singly.add(*value, 65_514);
                counts[Histogram::<BINS>::bin(*value)] += 1;
            }
            at_once.add_counts(&counts, 64_143);
            assert_eq!(at_once.mass.iter().map(|mass| u64::from(*mass)).sum::<u64>(), u64::from(ONE));
        }
        for (one, other) in at_once.mass.iter().zip(&singly.mass) {
            assert!(one.abs_diff(*other) < ONE / 2_000, "{one} {other}");
        }
    }

    #[test]
    fn what_pends_counts_as_if_it_were_there() {
        let mut histogram = Histogram::<BINS>::new();
        (0..100).for_each(|_| histogram.add(1_000, 64_990));
        let calm = histogram.quantile(ONE / 100);
        let pending = histogram.quantile_with(ONE / 100, 300_000, ONE / 50);
        assert!(calm < 1_500 && pending > 250_000, "{calm} {pending}");
    }
}
