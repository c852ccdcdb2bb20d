//! Louder, softer and silent without a click.
//!
//! A [`Fader`] multiplies sound by a gain and changes it along a ramp of [`Gain::RAMP_SAMPLES`]. At 0 dB it does not
//! touch a sample. What would be louder than the loudest is bent under the ceiling rather than cut off at it: up to half of
//! full scale sound is as loud as was asked for, and what is above has the rest between it and the ceiling.

use crate::config::Gain;

/// The loudest value.
const CEILING: u64 = i16::MAX as u64;
/// From here on sound that is made louder is bent.
const KNEE: u64 = 1 << 14;

/// A gain that moves no faster than along its ramp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Fader {
    gain: Gain,
    silent: bool,
    /// The factor now, in Q20.
    now: u32,
    goal: u32,
    /// Samples left of the ramp.
    left: u32,
}

impl Fader {
    /// One that does nothing yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { gain: Gain::NONE, silent: false, now: Gain::UNITY, goal: Gain::UNITY, left: 0 }
    }

    /// What was asked for, silent or not.
    #[must_use]
    pub const fn gain(&self) -> Gain {
        self.gain
    }

    /// Goes to `gain`, on a ramp that begins with the next sample.
    pub fn set(&mut self, gain: Gain) {
        self.gain = gain;
        self.head_for_goal();
    }

    /// Goes to silence, or back from it.
    pub fn silence(&mut self, silent: bool) {
        self.silent = silent;
        self.head_for_goal();
    }

    fn head_for_goal(&mut self) {
        let goal = if self.silent { 0 } else { self.gain.factor() };
        // Saying the same again does not slow a ramp down.
        if goal != self.goal {
            self.goal = goal;
            self.left = Gain::RAMP_SAMPLES;
        }
    }

    /// Does its work on `pcm`, interleaved.
    pub fn process(&mut self, pcm: &mut [i16], channels: usize) {
        let channels = channels.max(1);
        let on_ramp = (self.left as usize).saturating_mul(channels).min(pcm.len());
        let (ramp, rest) = pcm.split_at_mut_checked(on_ramp).unwrap_or_default();
        for sample in ramp.chunks_mut(channels) {
            self.step();
            let factor = self.now;
            sample.iter_mut().for_each(|value| *value = scale(*value, factor));
        }
        match self.now {
            Gain::UNITY => {}
            0 => rest.fill(0),
            factor => rest.iter_mut().for_each(|value| *value = scale(*value, factor)),
        }
    }

    /// One sample further along the ramp.
    fn step(&mut self) {
        let way = i64::from(self.goal).wrapping_sub(i64::from(self.now));
        let step = way.checked_div(i64::from(self.left)).unwrap_or(way);
        self.now = u32::try_from(i64::from(self.now).wrapping_add(step)).unwrap_or(self.goal);
        self.left = self.left.saturating_sub(1);
    }
}

impl Default for Fader {
    fn default() -> Self {
        Self::new()
    }
}

/// `value` times a factor in Q20, under the ceiling.
fn scale(value: i16, factor: u32) -> i16 {
    let half = i64::from(Gain::UNITY / 2);
    let scaled = i64::from(value).wrapping_mul(i64::from(factor)).wrapping_add(half) >> 20;
    let size = scaled.unsigned_abs();
    let bent = if factor > Gain::UNITY && size > KNEE { bend(size, factor) } else { size };
    let bent = i64::try_from(bent).unwrap_or(i64::MAX);
    let signed = if scaled < 0 { bent.wrapping_neg() } else { bent };
    signed.clamp(i64::from(i16::MIN), i64::from(i16::MAX)) as i16
}

/// What `size` comes out as that lies between the knee and what full scale would become: a hyperbola that begins in the
/// direction of what is below and ends at the ceiling. The less is to be bent the straighter it is.
fn bend(size: u64, factor: u32) -> u64 {
    let most = (u64::from(factor) << 15) >> 20;
    let (beyond, range, room) = (size.wrapping_sub(KNEE), most.saturating_sub(KNEE), CEILING.wrapping_sub(KNEE));
    // All three fit in 19 bits.
    let whole = room.wrapping_mul(range);
    let under = whole.wrapping_add(beyond.wrapping_mul(range.saturating_sub(room)));
    KNEE.wrapping_add(beyond.wrapping_mul(whole).checked_div(under).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    fn gains() -> impl Strategy<Value = Gain> {
        (Gain::MIN_MILLIBELS..=Gain::MAX_MILLIBELS).prop_map(|millibels| Gain::from_millibels(millibels).unwrap())
    }

    /// A fader that has settled.
    fn at(gain: Gain) -> Fader {
        let mut fader = Fader::new();
        fader.set(gain);
        fader.process(&mut [0; Gain::RAMP_SAMPLES as usize], 1);
        assert_eq!((fader.left, fader.now), (0, gain.factor()));
        fader
    }

    #[test]
    fn no_gain_is_no_change_for_every_value() {
        let all: Vec<i16> = (i16::MIN..=i16::MAX).collect();
        let mut pcm = all.clone();
        Fader::new().process(&mut pcm, 2);
        assert_eq!(pcm, all);
        at(Gain::NONE).process(&mut pcm, 1);
        assert_eq!(pcm, all);
    }

    #[test]
    fn silence_is_reached_on_a_ramp_and_left_on_one_and_is_silence() {
        let mut fader = Fader::new();
        fader.silence(true);
        let mut pcm = [10_000; 400];
        fader.process(&mut pcm, 1);
        assert!(pcm[..240].is_sorted_by(|a, b| a >= b) && pcm[0] > 9_900 && pcm[238] > 0, "{pcm:?}");
        assert!(pcm[239..].iter().all(|value| *value == 0));
        fader.set(Gain::from_millibels(-600).unwrap());
        let mut pcm = [10_000; 400];
        fader.process(&mut pcm, 1);
        assert_eq!(pcm, [0; 400], "a gain does not end it");
        fader.silence(false);
        let mut pcm = [10_000; 400];
        fader.process(&mut pcm, 1);
        assert!(pcm[..240].is_sorted() && pcm[0] < 50);
        assert!(pcm[240..].iter().all(|value| *value == 5_012), "{pcm:?}");
    }

    #[test]
    fn both_channels_get_the_same_and_saying_it_again_makes_it_no_slower() {
        let mut fader = Fader::new();
        fader.silence(true);
        let mut pcm = [8_000; 480];
        for piece in pcm.chunks_mut(96) {
            fader.silence(true);
            fader.process(piece, 2);
        }
        assert!(pcm.as_chunks::<2>().0.iter().all(|[left, right]| left == right));
        assert_eq!(pcm[478], 0);
    }

    proptest! {
        #[test]
        fn a_step_is_never_larger_than_the_ramp_allows(
            turns in prop::collection::vec((gains(), any::<bool>(), 1_usize..400), 1..8),
        ) {
            let mut fader = Fader::new();
            for (gain, silent, samples) in turns {
                let from = fader.now;
                fader.set(gain);
                fader.silence(silent);
                let goal = if silent { 0 } else { gain.factor() };
                let most = from.abs_diff(goal).max(fader.now.abs_diff(goal)).div_ceil(Gain::RAMP_SAMPLES) + 1;
                // On its way already, it may have less of its ramp left.
                let most = most.max(fader.now.abs_diff(goal).div_ceil(fader.left.max(1)));
                for _ in 0..samples {
                    let before = fader.now;
                    fader.process(&mut [0], 1);
                    prop_assert!(before.abs_diff(fader.now) <= most, "{before} to {} of {goal}", fader.now);
                    prop_assert!((from.min(goal)..=from.max(goal)).contains(&fader.now));
                }
            }
        }

        #[test]
        fn louder_in_is_never_softer_out_and_nothing_wraps(gain in gains(), a: i16, b: i16) {
            let fader = at(gain);
            let mut pcm = [a.min(b), a.max(b)];
            fader.clone().process(&mut pcm, 1);
            prop_assert!(pcm[0] <= pcm[1], "{pcm:?}");
            for (value, out) in [a.min(b), a.max(b)].into_iter().zip(pcm) {
                prop_assert!(i32::from(value).signum() * i32::from(out).signum() >= 0);
                let right = f64::from(value) * f64::from(gain.factor()) / f64::from(Gain::UNITY);
                prop_assert!(f64::from(out).abs() <= right.abs() + 1.0);
                if right.abs() < KNEE as f64 - 1.0 || gain <= Gain::NONE {
                    prop_assert!((f64::from(out) - right).abs() <= 1.0, "{value}: {out} and not {right}");
                }
            }
        }

        #[test]
        fn the_ceiling_has_no_step(gain in gains(), value in i16::MIN..i16::MAX) {
            let factor = gain.factor();
            let step = i32::from(scale(value + 1, factor)) - i32::from(scale(value, factor));
            prop_assert!((0..=(factor >> 20) as i32 + 1).contains(&step), "{step}");
            // And a little more gain is a little more sound.
            let louder = i32::from(scale(value, factor + factor / 200)) - i32::from(scale(value, factor));
            prop_assert!(louder.abs() <= i32::from(value).abs() * 10 / 200 + 2, "{louder}");
        }
    }
}
