//! Filtering by way of the spectrum: takes a telephone band out of a signal and thins the result
//! out to 16 kHz. Promises to shift nothing: the filter is symmetric in time.

use std::f64::consts::PI;

use realfft::RealFftPlanner;
use realfft::num_complex::Complex;

use crate::RATE;

/// Samples per second of the result.
pub(super) const THIN_RATE: usize = 16_000;

const LOW: (f64, f64) = (200.0, 300.0);
const HIGH: (f64, f64) = (3400.0, 3900.0);

/// The band between 300 and 3400 Hz of a signal at [`RATE`], at [`THIN_RATE`].
pub(super) fn telephone(signal: &[f32]) -> Vec<f64> {
    const STEP: usize = RATE / THIN_RATE;
    let thin = signal.len().div_ceil(STEP);
    // Room for the filter to ring at the end instead of at the beginning.
    let size = (thin + THIN_RATE / 10).next_power_of_two();
    let mut planner = RealFftPlanner::<f64>::new();
    let forward = planner.plan_fft_forward(size * STEP);
    let mut samples = forward.make_input_vec();
    samples.iter_mut().zip(signal).for_each(|(to, &from)| *to = f64::from(from));
    let mut spectrum = forward.make_output_vec();
    forward.process(&mut samples, &mut spectrum).expect("buffers of the right size");
    let hertz = RATE as f64 / (size * STEP) as f64;
    let backward = planner.plan_fft_inverse(size);
    let mut kept = backward.make_input_vec();
    for (bin, (to, from)) in kept.iter_mut().zip(&spectrum).enumerate() {
        *to = from * gain(bin as f64 * hertz) / (size * STEP) as f64;
    }
    let last = kept.len() - 1;
    kept[0] = Complex::default();
    kept[last] = Complex::default();
    let mut result = backward.make_output_vec();
    backward.process(&mut kept, &mut result).expect("buffers of the right size");
    result.truncate(thin);
    result
}

fn gain(frequency: f64) -> f64 {
    let rise = |(from, to): (f64, f64)| {
        let at = ((frequency - from) / (to - from)).clamp(0.0, 1.0);
        0.5 - 0.5 * (PI * at).cos()
    };
    rise(LOW) * (1.0 - rise(HIGH))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sine(frequency: f64) -> Vec<f32> {
        let sample = |n| (2.0 * PI * frequency * f64::from(n) / RATE as f64).sin() as f32;
        (0..48_000).map(sample).collect()
    }

    fn level(signal: &[f64]) -> f64 {
        let middle = &signal[2000..14_000];
        (2.0 * middle.iter().map(|s| s * s).sum::<f64>() / middle.len() as f64).sqrt()
    }

    #[test]
    fn speech_passes_unshifted_and_the_rest_does_not() {
        let passed = telephone(&sine(1000.0));
        assert_eq!(passed.len(), 16_000);
        assert!((level(&passed) - 1.0).abs() < 1e-3);
        let expected = (2.0 * PI * 1000.0 * 8001.0 / 16_000.0).sin();
        assert!((passed[8001] - expected).abs() < 1e-3);
        assert!(level(&telephone(&sine(100.0))) < 1e-2);
        assert!(level(&telephone(&sine(6000.0))) < 1e-2);
    }
}
