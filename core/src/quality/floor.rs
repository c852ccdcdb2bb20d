//! How much longer packets take to a receiver than they did of late.

use crate::time::{Instant, Span};
use crate::wire::Report;

/// The fastest packet is looked for in so long a time, in two halves.
const HALF: Span = Span::from_millis(30_000);
const WHOLE: Span = Span::from_millis(60_000);

/// What the fastest packet of the last minute took to one receiver, and how much slower the latest ones are.
///
/// It is told what packets took by two clocks that know nothing of each other, in microseconds that wrap: only differences
/// mean anything. The clocks may run apart: 500 ppm, much more than between two crystals, make 30 ms in the minute that
/// the floor reaches back, which is less than the governor takes for anything but calm.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Floor {
    /// The least of this half and of the one before.
    halves: [Option<u32>; 2],
    since: Instant,
    growth: Option<Span>,
}

impl Floor {
    /// Nothing was measured yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { halves: [None; 2], since: Instant::ZERO, growth: None }
    }

    /// The fastest packet of late took so long.
    pub fn observe(&mut self, now: Instant, delay_us: u32) {
        let age = now.since(self.since);
        if age >= HALF {
            // What was before a long silence says nothing: the clocks went on.
            let [recent, _] = self.halves;
            self.halves = [None, recent.filter(|_| age < WHOLE)];
            self.since = now;
        }
        let [recent, before] = &mut self.halves;
        let least = recent.map_or(delay_us, |recent| Report::faster(recent, delay_us));
        *recent = Some(least);
        let floor = before.map_or(least, |before| Report::faster(before, least));
        // Not below the floor, unless what was said makes no sense.
        let above = u64::try_from(delay_us.wrapping_sub(floor).cast_signed()).unwrap_or(0);
        let growth = Span::from_micros(above);
        self.growth = Some(self.growth.map_or(growth, |other| other.min(growth)));
    }

    /// By how much the fastest packet since this was last asked is slower than the fastest of late, if anybody said so.
    pub const fn take(&mut self) -> Option<Span> {
        self.growth.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(n: u64) -> Instant {
        Instant::from_micros(1_000_000 * (n + 1))
    }

    fn growth_ms(floor: &mut Floor, at: u64, delay_ms: u32) -> u64 {
        floor.observe(second(at), delay_ms.wrapping_mul(1_000));
        floor.take().expect("it was just told").as_micros() / 1_000
    }

    #[test]
    fn what_is_slower_than_the_fastest_of_late_is_a_growth_until_that_is_a_minute_ago() {
        let mut floor = Floor::new();
        assert_eq!(floor.take(), None);
        let said: [u64; 4] = [(0, 30), (1, 20), (2, 50), (3, 120)].map(|(at, ms)| growth_ms(&mut floor, at, ms));
        assert_eq!(said, [0, 0, 30, 100]);
        assert_eq!(floor.take(), None, "it is told once");
        let gone = (4..100).find(|at| growth_ms(&mut floor, *at, 120) == 0);
        assert!(gone.is_some_and(|at| (30..=62).contains(&at)), "{gone:?}");
    }

    #[test]
    fn the_fastest_since_it_was_asked_counts() {
        let mut floor = Floor::new();
        growth_ms(&mut floor, 0, 10);
        for (at, ms) in [(1, 90), (2, 40), (3, 70)] {
            floor.observe(second(at), ms * 1_000);
        }
        assert_eq!(floor.take(), Some(Span::from_millis(30)));
    }

    #[test]
    fn clocks_that_wrap_or_are_far_apart_make_no_difference() {
        for base in [0, 1, u32::MAX, u32::MAX - 30_000, 1 << 31] {
            let mut floor = Floor::new();
            let mut said = |at, us: u32| {
                floor.observe(second(at), base.wrapping_add(us));
                floor.take().map(Span::as_micros)
            };
            let said = [said(0, 20_000), said(1, 50_000), said(2, 5_000), said(3, 100_000)];
            assert_eq!(said, [Some(0), Some(30_000), Some(0), Some(95_000)], "{base}");
        }
    }

    #[test]
    fn clocks_that_run_apart_are_no_queue() {
        let mut floor = Floor::new();
        for at in 0..10_000 {
            // 500 ppm, for hours: the delay wraps on its way.
            floor.observe(second(at), u32::MAX.wrapping_sub(1_000_000).wrapping_add(at as u32 * 500));
            assert!(floor.take() < Some(super::super::DELAY_FINE), "{at} s");
        }
    }

    #[test]
    fn what_was_before_a_silence_is_forgotten() {
        let mut floor = Floor::new();
        growth_ms(&mut floor, 0, 20);
        assert_eq!(growth_ms(&mut floor, 3_600, 1_820), 0);
        assert_eq!(growth_ms(&mut floor, 3_601, 1_920), 100);
    }

    #[test]
    fn whatever_is_said_it_stays_a_number_of_half_an_hour() {
        let mut floor = Floor::new();
        for (n, us) in [0, u32::MAX / 2 + 1, u32::MAX, 7, u32::MAX / 2, 1 << 30, 3 << 30].into_iter().enumerate() {
            floor.observe(second(n as u64 * 20), us);
            assert!(floor.take() <= Some(Span::from_micros(u64::from(u32::MAX / 2))));
        }
    }
}
