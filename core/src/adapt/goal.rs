//! The delay to aim at, put where a pull begins with a packet.
//!
//! A pull that begins in the middle of one packet and ends in the next needs that one for its end as well: only at the
//! moments where a packet's edge and a pull's begin together is delay used to the full. So the goal goes in steps, and the
//! steps keep the size of it from swinging.

use crate::time::Span;

/// An edge shall lie so far inside the pull, rather than just before it.
const INSIDE_US: i64 = 250;
/// To the next step it takes so long, at half a percent of speed, and some more.
const LEAVE_US: i64 = 3_000_000;
/// The fastest that clocks drift apart.
const SLOPE_PPB_MAX: i64 = 2_000_000;
/// The grid is looked at so often,
const LOOK_US: i64 = 1_000_000;
/// and averaged over so many times.
const SMOOTH: i64 = 8;
/// It does not drift by more than this meanwhile.
const JUMP_US: i64 = 2_500;
/// Finer grids are none.
const GRID_US_MIN: i64 = 400;
/// It goes down only by more than this, beyond a step.
const HYSTERESIS_US: i64 = 100;

/// The delay aimed at.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) struct Goal {
    us: i64,
    /// Lengths of pull and packet in samples, and what follows from them: the pull's and the grid's in microseconds.
    lengths: (u64, u64),
    period: i64,
    grid: i64,
    on_grid: bool,
    phase: i64,
    since: i64,
    /// How fast the grid moves, in billionths: by as much as the clocks of sender and device drift apart.
    slope_ppb: i64,
    /// By so much it sinks until the next step is reached.
    sinking: i64,
}

impl Goal {
    pub(super) const fn new() -> Self {
        Self {
            us: 0,
            lengths: (0, 0),
            period: 0,
            grid: 0,
            on_grid: false,
            phase: 0,
            since: 0,
            slope_ppb: 0,
            sinking: 0,
        }
    }

    pub(super) const fn get(self) -> i64 {
        self.us
    }

    /// Whether pulls and packets have a common grid.
    pub(super) const fn is_on_grid(self) -> bool {
        self.on_grid
    }

    /// Aims at `wanted` or the next step above. `now` is this pull's time since the reference, `packet` where a packet
    /// begins; lengths of pull and packet are in samples, all else in microseconds.
    pub(super) fn aim(&mut self, wanted: i64, now: i64, pull: u64, packet: (i64, u64)) {
        let (at, length) = packet;
        if self.lengths != (pull, length) {
            self.lengths = (pull, length);
            self.period = of_samples(pull);
            self.grid = of_samples(common(pull, length));
            self.on_grid = self.grid >= GRID_US_MIN;
        }
        let (period, grid) = (self.period, self.grid);
        if !self.on_grid {
            // No moment is better than another, and a packet may end anywhere in a pull.
            self.step(wanted.saturating_add(period), period / 4);
            return;
        }
        // In the worst of all pulls the edge lies this far inside.
        let wanted = wanted.saturating_add(period.saturating_sub(grid));
        let phase = within(now.saturating_sub(at), grid);
        self.follow(phase, grid, period);
        // While it sinks, it is left for the next step before it is too low, for getting there takes a while.
        let wanted = wanted.saturating_add(self.sinking);
        let above = |least: i64| {
            let beyond = least.saturating_sub(phase).saturating_add(grid.saturating_sub(1));
            phase.saturating_add(beyond).saturating_sub(within(beyond, grid)).saturating_add(INSIDE_US)
        };
        let lowest = above(wanted);
        // The level it is on, wherever drift has moved the grid.
        let level = above(self.us.saturating_sub(INSIDE_US).saturating_sub(grid / 2));
        let stays = wanted >= level.saturating_sub(INSIDE_US).saturating_sub(grid).saturating_sub(HYSTERESIS_US);
        self.us = if lowest > level || !stays { lowest } else { level };
    }

    /// Watches how the grid moves.
    fn follow(&mut self, phase: i64, grid: i64, period: i64) {
        self.since = self.since.saturating_add(period);
        if self.since < LOOK_US {
            return;
        }
        let half = grid / 2;
        let moved = within(phase.saturating_sub(self.phase).saturating_add(half), grid).saturating_sub(half);
        // What jumps is not a drift.
        if moved.saturating_abs() <= JUMP_US {
            let now = moved.saturating_mul(1_000_000_000).checked_div(self.since).unwrap_or(0);
            self.slope_ppb = self.slope_ppb.saturating_add(now.saturating_sub(self.slope_ppb) / SMOOTH);
            let falls = self.slope_ppb.saturating_neg().clamp(0, SLOPE_PPB_MAX);
            self.sinking = falls.saturating_mul(LEAVE_US) / 1_000_000_000;
        }
        self.phase = phase;
        self.since = 0;
    }

    fn step(&mut self, wanted: i64, tolerance: i64) {
        if wanted > self.us || wanted < self.us.saturating_sub(tolerance) {
            self.us = wanted;
        }
    }
}

/// How far `us` is beyond the last line of a grid. (Times here are seconds, and a processor of 32 bits takes far longer to
/// divide 64.)
fn within(us: i64, grid: i64) -> i64 {
    let short = i32::try_from(us).ok().zip(i32::try_from(grid).ok());
    let rest = short.and_then(|(us, grid)| us.checked_rem_euclid(grid)).map(i64::from);
    rest.or_else(|| us.checked_rem_euclid(grid)).unwrap_or(0)
}

/// Samples as microseconds.
fn of_samples(samples: u64) -> i64 {
    i64::try_from(Span::from_samples(samples.min(1 << 32)).as_micros()).unwrap_or(0)
}

/// The greatest length of which both are multiples, all in samples.
fn common(a: u64, b: u64) -> u64 {
    let (mut a, mut b) = (a.max(b), a.min(b));
    // Each second round at least halves the larger of two.
    for _ in 0..128 {
        if b == 0 {
            break;
        }
        (a, b) = (b, a.checked_rem(b).unwrap_or(0));
    }
    a
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grid_is_what_pull_and_packet_share() {
        assert_eq!([common(480, 960), common(128, 960), common(480, 120), common(240, 2_880)], [480, 64, 120, 240]);
        assert!(common(441, 960) < 20, "next to nothing");
        assert_eq!(common(0, 0), 0);
        assert_eq!(common(u64::MAX, u64::MAX - 1), 1);
    }

    #[test]
    fn it_is_on_the_grid_and_no_lower_than_wanted() {
        for now in (0..40_000).step_by(700) {
            let mut goal = Goal::new();
            goal.aim(12_000, now, 480, (20_000, 960));
            assert!((12_000..=22_500).contains(&goal.get()), "{}", goal.get());
            assert_eq!((now - 20_000 - goal.get() + INSIDE_US).rem_euclid(10_000), 0);
        }
    }

    #[test]
    fn a_wish_that_trembles_moves_it_once() {
        let (mut goal, mut moves, mut before) = (Goal::new(), 0, 0);
        for n in 0..1_000_i64 {
            goal.aim(19_950 + n % 2 * 100, 3_700 + n * 10_000, 480, (0, 960));
            moves += i32::from(goal.get() != before);
            before = goal.get();
        }
        assert_eq!(moves, 1);
    }
}
