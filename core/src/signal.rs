//! Small integer operations on PCM: levels, fades, cross-fades and channel layout.
//!
//! Samples are `i16`, interleaved. Gains are Q15: 32 768 is one.

/// One, in Q15.
const UNITY: i32 = 1 << 15;

/// Peak and energy of some sound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Level {
    /// Largest absolute value, 0 to 32 768.
    pub peak: u16,
    /// Mean of the squares.
    pub mean_square: u32,
}

impl Level {
    /// The level of `pcm`; silence if it is empty.
    #[must_use]
    pub fn of(pcm: &[i16]) -> Self {
        let mut peak = 0;
        let mut energy = 0_u64;
        for &value in pcm {
            let size = value.unsigned_abs();
            peak = size.max(peak);
            energy = energy.wrapping_add(u64::from(size).wrapping_mul(u64::from(size)));
        }
        let mean = energy.checked_div(pcm.len() as u64).unwrap_or(0);
        Self { peak, mean_square: u32::try_from(mean).unwrap_or(u32::MAX) }
    }

    /// What a meter shows that showed `self` when `next` comes: it rises at once and falls by a sixteenth, so
    /// that somebody who looks now and then still sees the loud moments.
    #[must_use]
    pub fn follow(self, next: Self) -> Self {
        let peak = self.peak.saturating_sub(self.peak.div_ceil(16));
        let mean_square = self.mean_square.saturating_sub(self.mean_square.div_ceil(16));
        Self { peak: peak.max(next.peak), mean_square: mean_square.max(next.mean_square) }
    }
}

/// Fades `pcm` linearly from gain `from` to gain `to`, both Q15, over its whole length.
pub fn fade(pcm: &mut [i16], channels: usize, from: i32, to: i32) {
    let channels = channels.max(1);
    let steps = i32::try_from(pcm.len().checked_div(channels).unwrap_or(0)).unwrap_or(i32::MAX).max(1);
    for (step, frame) in (0_i32..).zip(pcm.chunks_mut(channels)) {
        let gain = from.saturating_add(to.saturating_sub(from).saturating_mul(step).checked_div(steps).unwrap_or(0));
        for value in frame {
            *value = scale(*value, gain);
        }
    }
}

/// Moves everything down by `by` values; the first ones are lost, the last ones stay.
pub fn move_down(pcm: &mut [i16], by: usize) {
    let cells = core::cell::Cell::from_mut(pcm).as_slice_of_cells();
    cells.iter().zip(cells.get(by..).unwrap_or(&[])).for_each(|(to, from)| to.set(from.get()));
}

/// Moves everything up by `by` values; the last ones are lost, the first ones stay.
pub fn move_up(pcm: &mut [i16], by: usize) {
    let cells = core::cell::Cell::from_mut(pcm).as_slice_of_cells();
    let to = cells.get(by..).unwrap_or(&[]);
    // From the end, so that nothing is read after it was overwritten.
    to.iter().zip(cells).rev().for_each(|(to, from)| to.set(from.get()));
}

/// Fades in from silence.
pub fn fade_in(pcm: &mut [i16], channels: usize) {
    fade(pcm, channels, 0, UNITY);
}

/// Fades out to silence.
pub fn fade_out(pcm: &mut [i16], channels: usize) {
    fade(pcm, channels, UNITY, 0);
}

/// Replaces `into` by a linear cross-fade from what it holds to `next`, over the shorter of both.
pub fn cross_fade(into: &mut [i16], next: &[i16], channels: usize) {
    let channels = channels.max(1);
    let steps = i32::try_from(into.len().min(next.len()).checked_div(channels).unwrap_or(0)).unwrap_or(0).max(1);
    for (step, (old, new)) in (0_i32..).zip(into.chunks_mut(channels).zip(next.chunks(channels))) {
        let gain = UNITY.saturating_mul(step).checked_div(steps).unwrap_or(UNITY);
        for (a, b) in old.iter_mut().zip(new) {
            *a = mix(*a, *b, gain);
        }
    }
}

/// The same between sounds that are alike by so much (Q15: 32 768 for copies, 0 for strangers), at an even level:
/// halfway a linear cross-fade of strangers is 3 dB too quiet, so both are raised by as much as will be missing.
pub fn cross_fade_level(into: &mut [i16], next: &[i16], channels: usize, likeness: i32) {
    let channels = channels.max(1);
    let steps = i32::try_from(into.len().min(next.len()).checked_div(channels).unwrap_or(0)).unwrap_or(0).max(1);
    let strange = UNITY.wrapping_sub(likeness.clamp(0, UNITY));
    for (step, (old, new)) in (0_i32..).zip(into.chunks_mut(channels).zip(next.chunks(channels))) {
        let gain = UNITY.saturating_mul(step).checked_div(steps).unwrap_or(UNITY).clamp(0, UNITY);
        let rest = UNITY.wrapping_sub(gain);
        let missing = (gain.wrapping_mul(rest) >> 14).wrapping_mul(strange) >> 15;
        let raise = inverse_root(missing);
        for (a, b) in old.iter_mut().zip(new) {
            let mixed = i32::from(*a).wrapping_mul(rest).wrapping_add(i32::from(*b).wrapping_mul(gain));
            let raised = i64::from(mixed).wrapping_mul(i64::from(raise)) >> 30;
            *a = raised.clamp(i64::from(i16::MIN), i64::from(i16::MAX)) as i16;
        }
    }
}

/// `1 / √(1 − missing)` in Q15 for up to a half: the series to its fifth term, right to 1 %.
fn inverse_root(missing: i32) -> i32 {
    // 35/128, 5/16, 3/8, 1/2, 1, the last one first.
    [8_960, 10_240, 12_288, 16_384, UNITY]
        .into_iter()
        .fold(0, |sum: i32, term| term.wrapping_add(sum.wrapping_mul(missing) >> 15))
}

/// Turns interleaved sound of `from` channels into `to` channels, frame by frame: one to two copies, two
/// to one averages. Returns how many values were written.
pub fn convert_channels(input: &[i16], from: usize, output: &mut [i16], to: usize) -> usize {
    let mut written = 0_usize;
    for (source, sink) in input.chunks_exact(from.max(1)).zip(output.chunks_exact_mut(to.max(1))) {
        match (source, &mut *sink) {
            ([one], [left, right]) => (*left, *right) = (*one, *one),
            ([left, right], [one]) => *one = average(*left, *right),
            _ => sink.iter_mut().zip(source).for_each(|(to, from)| *to = *from),
        }
        written = written.saturating_add(sink.len());
    }
    written
}

fn average(left: i16, right: i16) -> i16 {
    (i32::from(left).wrapping_add(i32::from(right)) >> 1) as i16
}

/// `value` times a gain of at most one. The result cannot leave the range of `i16`.
fn scale(value: i16, gain: i32) -> i16 {
    let scaled = i32::from(value).wrapping_mul(gain.clamp(0, UNITY)) >> 15;
    scaled.clamp(i32::from(i16::MIN), i32::from(i16::MAX)) as i16
}

/// So much of `new` as the gain says, and the rest of `old`. Rounded once: two roundings would reach beyond both.
fn mix(old: i16, new: i16, gain: i32) -> i16 {
    let gain = gain.clamp(0, UNITY);
    let old = i32::from(old).wrapping_mul(UNITY.wrapping_sub(gain));
    (old.wrapping_add(i32::from(new).wrapping_mul(gain)) >> 15) as i16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_of_silence_full_scale_and_nothing() {
        assert_eq!(Level::of(&[]), Level::default());
        assert_eq!(Level::of(&[0; 8]), Level::default());
        assert_eq!(Level::of(&[i16::MIN; 4]), Level { peak: 32_768, mean_square: 1 << 30 });
        assert_eq!(Level::of(&[3, -4]), Level { peak: 4, mean_square: 12 });
    }

    #[test]
    fn a_meter_rises_at_once_and_falls_to_silence() {
        let loud = Level { peak: 32_768, mean_square: u32::MAX };
        let mut shown = Level::default().follow(loud);
        assert_eq!(shown, loud);
        shown = shown.follow(Level::default());
        assert_eq!(shown.peak, 30_720);
        for _ in 0..400 {
            shown = shown.follow(Level::default());
        }
        assert_eq!(shown, Level::default());
    }

    #[test]
    fn fades_start_and_end_where_they_should() {
        let mut pcm = [1000; 101];
        fade_in(&mut pcm, 1);
        assert_eq!((pcm[0], pcm[50]), (0, 495));
        assert!(pcm[100] > 980 && pcm.windows(2).all(|w| w[0] <= w[1]));
        let mut pcm = [-1000; 100];
        fade_out(&mut pcm, 2);
        assert_eq!((pcm[0], pcm[1]), (-1000, -1000));
        assert!(pcm[98] > -30 && pcm[98] == pcm[99]);
    }

    #[test]
    fn a_cross_fade_of_equal_sounds_changes_next_to_nothing() {
        let mut pcm = [12_345_i16; 64];
        cross_fade(&mut pcm, &[12_345; 64], 2);
        assert!(pcm.iter().all(|v| (12_344..=12_345).contains(v)));
        let mut extremes = [i16::MIN; 8];
        cross_fade(&mut extremes, &[i16::MIN; 8], 1);
        assert!(extremes.iter().all(|v| *v < -32_760));
    }

    #[test]
    fn a_cross_fade_stays_between_both_sounds() {
        for (from, to) in [(-1000, -1000), (-1000, -999), (i16::MIN, i16::MIN), (i16::MIN, i16::MAX), (7, -7)] {
            let mut pcm = [from; 120];
            cross_fade(&mut pcm, &[to; 120], 1);
            assert!(pcm.iter().all(|v| (from.min(to)..=from.max(to)).contains(v)), "{from} to {to}: {pcm:?}");
        }
    }

    #[test]
    fn an_even_cross_fade_of_strangers_keeps_the_level_and_of_copies_the_sound() {
        let mut state = 1_u32;
        let mut noise = || -> [i16; 4800] {
            core::array::from_fn(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 16) as i16 / 4
            })
        };
        let (before, next) = (noise(), noise());
        let mut mixed = before;
        cross_fade_level(&mut mixed, &next, 1, 0);
        let middle = |pcm: &[i16]| f64::from(Level::of(&pcm[2000..2800]).mean_square);
        let ratio = middle(&mixed) / middle(&before);
        assert!((0.85..1.15).contains(&ratio), "{ratio}");
        let mut same = before;
        cross_fade_level(&mut same, &before, 1, UNITY);
        assert!(same.iter().zip(&before).all(|(a, b)| (i32::from(*a) - i32::from(*b)).abs() <= 1));
        let mut loud = [i16::MIN; 64];
        cross_fade_level(&mut loud, &[i16::MIN; 64], 2, 0);
        assert_eq!(loud, [i16::MIN; 64], "clipped, not wrapped");
    }

    #[test]
    fn sound_moves_either_way_over_itself() {
        let mut pcm = [1, 2, 3, 4, 5];
        move_down(&mut pcm, 2);
        assert_eq!(pcm, [3, 4, 5, 4, 5]);
        move_up(&mut pcm, 1);
        assert_eq!(pcm, [3, 3, 4, 5, 4]);
        move_up(&mut pcm, 9);
        move_down(&mut pcm, 9);
        assert_eq!(pcm, [3, 3, 4, 5, 4]);
    }

    #[test]
    fn channels_are_copied_and_averaged() {
        let mut two = [0; 4];
        assert_eq!(convert_channels(&[5, -7], 1, &mut two, 2), 4);
        assert_eq!(two, [5, 5, -7, -7]);
        let mut one = [0; 2];
        assert_eq!(convert_channels(&[i16::MAX, i16::MAX, -3, -4], 2, &mut one, 1), 2);
        assert_eq!(one, [i16::MAX, -4]);
        let mut same = [0; 4];
        assert_eq!(convert_channels(&[1, 2, 3, 4], 2, &mut same, 2), 4);
        assert_eq!(same, [1, 2, 3, 4]);
    }
}
