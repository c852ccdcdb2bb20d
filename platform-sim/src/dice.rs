//! Chance that repeats itself: every model throws dice of its own, so that one model more, or one fault less,
//! does not change what the others do.

use fnv::FnvHasher;
use rand_pcg::Pcg32;
use rand_pcg::rand_core::Rng;
use std::hash::Hasher;

/// Dice that fall the same way in each run with the same seed, on every machine.
#[derive(Clone, Debug)]
pub struct Dice(Pcg32);

impl Dice {
    /// The dice of `who` in the world of `seed`.
    #[must_use]
    pub fn new(seed: u64, who: &str) -> Self {
        let mut stream = FnvHasher::default();
        stream.write(who.as_bytes());
        Self(Pcg32::new(seed, stream.finish()))
    }

    /// Any number.
    pub fn any(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number from `low` to `high`, both included.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        let span = high.saturating_sub(low).saturating_add(1);
        // The bias is below 2^-32 for every span that occurs here.
        low + self.any() % span.max(1)
    }

    /// One of `choices`.
    ///
    /// # Panics
    /// If there is none.
    pub fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.between(0, choices.len() as u64 - 1) as usize]
    }

    /// Whether something that happens `percent` times in a hundred happens.
    pub fn happens(&mut self, percent: f64) -> bool {
        // Not thrown for what never happens: most models have more hazards than they use.
        percent > 0.0 && self.unit() * 100.0 < percent
    }

    /// From 0 to less than 1, evenly.
    pub fn unit(&mut self) -> f64 {
        (self.any() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Exponential, with this mean: what waiting times are.
    pub fn exponential(&mut self, mean: f64) -> f64 {
        // Not the standard library's logarithm: that is the platform's, and not the same everywhere.
        -mean * libm::log(1.0 - self.unit())
    }

    /// Normal, with mean 0 and deviation 1 (Box and Muller).
    pub fn normal(&mut self) -> f64 {
        let radius = libm::sqrt(self.exponential(2.0));
        radius * libm::cos(self.unit() * core::f64::consts::TAU)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_and_name_fall_the_same_way_and_others_do_not() {
        let throw = |seed, who| {
            (0..8)
                .map({
                    let mut dice = Dice::new(seed, who);
                    move |_| dice.any()
                })
                .collect::<Vec<_>>()
        };
        assert_eq!(throw(1, "link"), throw(1, "link"));
        assert_ne!(throw(1, "link"), throw(2, "link"));
        assert_ne!(throw(1, "link"), throw(1, "device"));
        assert_eq!(
            Dice::new(7, "pinned").any(),
            5_800_391_375_500_425_868,
            "dice that fall otherwise make every kept seed worthless"
        );
    }

    #[test]
    fn means_are_what_they_should_be() {
        let mut dice = Dice::new(3, "means");
        let mean = |draw: &mut dyn FnMut() -> f64| (0..100_000).map(|_| draw()).sum::<f64>() / 100_000.0;
        assert!((mean(&mut || dice.exponential(5.0)) - 5.0).abs() < 0.1);
        assert!(mean(&mut || dice.normal()).abs() < 0.02);
        assert!((mean(&mut || f64::from(u8::from(dice.happens(25.0)))) - 0.25).abs() < 0.01);
        assert!((mean(&mut || dice.between(3, 5) as f64) - 4.0).abs() < 0.02);
    }
}
