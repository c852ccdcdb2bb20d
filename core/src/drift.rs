//! The sender's clock beside ours: the slope of the least transits.
//!
//! Delay only ever adds, so the fastest packets of each second lie on a line, and how steep that is says by how much
//! the sender's clock is slow. It is fitted to the lower half of the minima of the last minute (a least-squares line
//! through all, then through those below it), the older way of Moon, Skelly and Towsley (INFOCOM 1999) done coarsely.
//! How fast the *device* runs needs no estimate: the delay is measured at its pulls.

/// Seconds that are looked at.
const POINTS: usize = 64;
/// Fewer say nothing.
const POINTS_MIN: usize = 16;
/// Quartz is never worse, so what is beyond it is a network that changes.
pub const DRIFT_PPM_MAX: i32 = 1_000;
/// Least transits that are so far off the line are not on it.
const OFF_US: i64 = 2_000;

/// A fit that goes on.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Drift {
    /// Time and least transit of each second, a ring.
    points: [(i64, i64); POINTS],
    next: usize,
    count: usize,
    ppm: i32,
}

impl Default for Drift {
    fn default() -> Self {
        Self::new()
    }
}

impl Drift {
    /// Nothing observed.
    #[must_use]
    pub const fn new() -> Self {
        Self { points: [(0, 0); POINTS], next: 0, count: 0, ppm: 0 }
    }

    /// In the second that ended at `at_us`, the least transit was `least_us`.
    pub fn observe(&mut self, at_us: i64, least_us: i64) {
        if let Some(point) = self.points.get_mut(self.next) {
            *point = (at_us, least_us);
        }
        self.next = self.next.wrapping_add(1) % POINTS;
        self.count = self.count.saturating_add(1).min(POINTS);
        if self.count >= POINTS_MIN {
            self.ppm = self.fit();
        }
    }

    /// By how many millionths the sender's clock is slow: positive if its sound must be played slower.
    #[must_use]
    pub const fn ppm(&self) -> i32 {
        self.ppm
    }

    fn fit(&self) -> i32 {
        let all = self.points.get(..self.count).unwrap_or(&[]);
        let Some(through_all) = Line::through(all.iter().copied()) else { return self.ppm };
        let below = all.iter().copied().filter(|(at, least)| *least <= through_all.at(*at));
        let Some(line) = Line::through(below) else { return self.ppm };
        // A network whose base moves has no slope that means anything.
        let off = all.iter().filter(|(at, least)| least.saturating_sub(line.at(*at)).saturating_abs() > OFF_US).count();
        let limit = i64::from(DRIFT_PPM_MAX);
        let ppm = line.slope_ppb / 1_000;
        if off.saturating_mul(2) > all.len() || ppm.saturating_abs() > limit { 0 } else { ppm as i32 }
    }
}

/// A line through points, about their middle.
struct Line {
    middle: (i64, i64),
    slope_ppb: i64,
    /// Microseconds in a millisecond, with so many bits behind the point.
    slope: i32,
}

const SLOPE_BITS: u32 = 20;

impl Line {
    fn through(points: impl Iterator<Item = (i64, i64)> + Clone) -> Option<Self> {
        let (mut count, mut sums) = (0_i64, (0_i64, 0_i64));
        let first = points.clone().next()?;
        for (at, value) in points.clone() {
            count = count.saturating_add(1);
            sums.0 = sums.0.saturating_add(at.saturating_sub(first.0));
            sums.1 = sums.1.saturating_add(value.saturating_sub(first.1));
        }
        let middle =
            (first.0.saturating_add(sums.0.checked_div(count)?), first.1.saturating_add(sums.1.checked_div(count)?));
        let (mut square, mut product) = (0_i64, 0_i64);
        for (at, value) in points {
            // Milliseconds, so that a minute's squares have room.
            let along = apart(at, middle.0) / 1_000;
            square = square.saturating_add(product_of(along, along));
            product = product.saturating_add(product_of(along, apart(value, middle.1)));
        }
        // Microseconds in a millisecond are thousandths; a thousandth is a million billionths.
        let slope_ppb = product.saturating_mul(1_000).checked_div((square / 1_000).max(1))?;
        let slope = slope_ppb.saturating_mul(1 << SLOPE_BITS) / 1_000_000;
        (square > 0).then_some(Self { middle, slope_ppb, slope: apart(slope, 0) })
    }

    fn at(&self, at_us: i64) -> i64 {
        let along = apart(at_us, self.middle.0) / 1_000;
        self.middle.1.saturating_add(product_of(along, self.slope) >> SLOPE_BITS)
    }
}

/// How far apart two times are, within half an hour. (A fit divides hundreds of times, and a processor of 32 bits takes
/// a hundred instructions to divide 64.)
fn apart(a: i64, b: i64) -> i32 {
    a.saturating_sub(b).clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32
}

/// Cannot be too large.
fn product_of(a: i32, b: i32) -> i64 {
    i64::from(a).wrapping_mul(i64::from(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fitted(ppm: i64, noise: impl Fn(i64) -> i64) -> i32 {
        let mut drift = Drift::new();
        for second in 0..120 {
            drift.observe(second * 1_000_000 + 77, 5_000 + second * ppm + noise(second));
        }
        drift.ppm()
    }

    #[test]
    fn a_clock_that_is_off_is_told_to_a_few_millionths() {
        for ppm in [-1_000, -500, -300, -20, 0, 20, 300, 500, 999] {
            let found = fitted(ppm, |second| (second * 7_919 % 13) * 30);
            assert!((i64::from(found) - ppm).abs() <= 8, "{ppm} ppm became {found}");
        }
    }

    #[test]
    fn a_base_that_jumps_about_is_no_drift() {
        let found = fitted(0, |second| if second / 7 % 2 == 0 { 0 } else { 30_000 });
        assert_eq!(found, 0);
        assert_eq!(fitted(5_000, |_| 0), 0, "no quartz is so far off");
    }

    #[test]
    fn absurd_times_are_survived() {
        let mut drift = Drift::new();
        for n in 0..100_i64 {
            drift.observe(i64::MAX.wrapping_mul(n), i64::MIN.wrapping_mul(n));
        }
        assert!(drift.ppm().abs() <= DRIFT_PPM_MAX);
    }
}
