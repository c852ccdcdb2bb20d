//! How much a sound differs from what it was made from, in figures that a listener would understand.
//!
//! Both are taken over short segments of the sound, each beside the part of the original that it should be. Silent
//! segments do not count. Neither figure is a judgement by itself: an inaudible shift of phase costs decibels, so it
//! takes a worse way of doing the same to compare with.

use std::f64::consts::PI;

use realfft::RealFftPlanner;

/// A segment: 20 ms.
pub const SEGMENT: usize = 960;

/// Signal-to-noise ratios of segments are held between these, as is usual: a perfect one must not outweigh all others.
const SNR: (f64, f64) = (-10.0, 60.0);

/// Mean square below which a segment is silent: −60 dB of full scale.
const SILENCE: f64 = 1e-6;

/// What is this much below the loudest spot of all, in decibels, is not heard.
const DEPTH: f64 = 50.0;

/// The distance is taken up to 12 kHz.
const BINS: usize = 240;

/// How the segments of a sound compare with their originals.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Likeness {
    /// Segments that are not silent.
    pub segments: usize,
    /// Mean segmental signal-to-noise ratio in decibels, each between −10 and 60.
    pub snr: f64,
    /// Mean distance of the logarithmic spectra in decibels.
    pub distance: f64,
}

/// Compares pairs of an original and a sound, each [`SEGMENT`] long; shorter ones are passed over.
pub fn likeness<'a>(pairs: impl Iterator<Item = (&'a [f32], &'a [f32])>) -> Likeness {
    let power = |signal: &mut dyn Iterator<Item = f64>| signal.map(|v| v * v).sum::<f64>();
    let mut sum = Likeness::default();
    let mut spectra = Vec::new();
    for (original, sound) in pairs.filter(|(a, b)| a.len() == SEGMENT && b.len() == SEGMENT) {
        let own = power(&mut original.iter().map(|v| f64::from(*v)));
        if own < SILENCE * SEGMENT as f64 {
            continue;
        }
        let rest = power(&mut original.iter().zip(sound).map(|(a, b)| f64::from(*a) - f64::from(*b)));
        sum.snr += (10.0 * (own / rest.max(1e-12)).log10()).clamp(SNR.0, SNR.1);
        spectra.push((spectrum(original), spectrum(sound)));
    }
    let spots = spectra.iter().flat_map(|(original, _)| &original[..BINS]);
    let floor = spots.copied().fold(f64::MIN, f64::max) - DEPTH;
    sum.segments = spectra.len();
    sum.distance = spectra.iter().map(|(one, other)| distance(one, other, floor)).sum();
    let count = sum.segments.max(1) as f64;
    Likeness { snr: sum.snr / count, distance: sum.distance / count, ..sum }
}

/// The root of the mean square of the difference of two spectra in decibels, where one of them is above the floor.
fn distance(one: &[f64], other: &[f64], floor: f64) -> f64 {
    let squares = one.iter().zip(other).take(BINS).map(|(a, b)| (a.max(floor) - b.max(floor)).powi(2));
    (squares.sum::<f64>() / BINS as f64).sqrt()
}

/// The spectrum of a piece of sound in decibels, through a Hann window.
pub fn spectrum(sound: &[f32]) -> Vec<f64> {
    let forward = RealFftPlanner::<f64>::new().plan_fft_forward(sound.len());
    let mut input = forward.make_input_vec();
    let turn = 2.0 * PI / sound.len() as f64;
    for (n, (to, from)) in input.iter_mut().zip(sound).enumerate() {
        *to = f64::from(*from) * (0.5 - 0.5 * (turn * n as f64).cos());
    }
    let mut output = forward.make_output_vec();
    forward.process(&mut input, &mut output).expect("buffers of the right size");
    output.iter().map(|bin| 10.0 * (bin.norm_sqr() + 1e-12).log10()).collect()
}

/// Mean opinion from 1 to 4.6 that ITU-T P.862.2 (wideband PESQ) predicts for speech.
///
/// # Panics
///
/// When a sound is too short or silent for it.
pub fn opinion(original: &[f32], sound: &[f32]) -> f64 {
    let score = pesq::pesq_wb(&at_16_khz(original), &at_16_khz(sound)).expect("two sounds with speech in them");
    f64::from(score)
}

/// A third of the samples, after a filter that leaves what is below 7 kHz.
fn at_16_khz(sound: &[f32]) -> Vec<i16> {
    const HALF: i32 = 72;
    let tap = |n: i32| {
        let x = PI * f64::from(n) / 3.2;
        let sinc = if n == 0 { 1.0 } else { x.sin() / x };
        sinc * (0.5 + 0.5 * (PI * f64::from(n) / f64::from(HALF)).cos()) / 3.2
    };
    let taps: Vec<f64> = (-HALF..=HALF).map(tap).collect();
    let padding = vec![0.0; HALF as usize];
    let padded = [&padding, sound, &padding].concat();
    let filtered = padded.windows(taps.len()).step_by(3);
    let value = |w: &[f32]| w.iter().zip(&taps).map(|(v, t)| f64::from(*v) * t).sum::<f64>();
    filtered.map(|window| (value(window) * 32_768.0).round().clamp(-32_768.0, 32_767.0) as i16).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sine(hertz: f64) -> Vec<f32> {
        (0..48_000).map(|n| (0.3 * (2.0 * PI * hertz * f64::from(n) / 48_000.0).sin()) as f32).collect()
    }

    fn of(original: &[f32], sound: &[f32]) -> Likeness {
        likeness(original.chunks(SEGMENT).zip(sound.chunks(SEGMENT)))
    }

    #[test]
    fn the_same_is_perfect_and_silence_does_not_count() {
        let sound = sine(1000.0);
        assert_eq!(of(&sound, &sound), Likeness { segments: 50, snr: 60.0, distance: 0.0 });
        assert_eq!(of(&[0.0; 9600], &sound[..9600]).segments, 0);
    }

    #[test]
    fn noise_costs_what_it_has_and_a_level_costs_its_decibels() {
        let sound = sine(1000.0);
        let worse: Vec<f32> = sound.iter().zip(sine(3000.0)).map(|(a, b)| a + b / 100.0).collect();
        assert!((of(&sound, &worse).snr - 40.0).abs() < 0.1);
        let louder: Vec<f32> = sound.iter().map(|v| v * 2.0).collect();
        let likeness = of(&sound, &louder);
        assert!(likeness.snr.abs() < 0.1 && likeness.distance < 6.1, "{likeness:?}");
    }

    #[test]
    fn thinned_sound_keeps_its_level() {
        let thin = at_16_khz(&sine(1000.0));
        assert_eq!(thin.len(), 16_000);
        let peak = thin[1000..15_000].iter().max().copied().unwrap_or(0);
        assert!((9_700..9_950).contains(&peak), "{peak}");
    }
}
