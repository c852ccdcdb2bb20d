//! Normalised cross-correlation: slides a reference along a signal and says at every offset how
//! alike the two are there, from -1 to 1, whatever their levels. Stretches of the signal that are
//! silent compared with its loudest one are like nothing.

use realfft::RealFftPlanner;

use crate::RATE;

/// Stretches this much below the loudest one (as energy) count as silence.
const SILENCE: f64 = 1e-5;

/// Where a signal was found, and how sure that is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Found {
    /// The offset in samples, between samples by parabolic interpolation.
    pub offset_samples: f64,
    /// Likeness: 1 for a scaled copy, 0 for nothing in common.
    pub peak: f64,
}

impl Found {
    /// The offset in milliseconds.
    pub fn offset_ms(&self) -> f64 {
        self.offset_samples * 1e3 / RATE as f64
    }
}

pub(super) fn find(reference: &[f32], signal: &[f32]) -> Found {
    let wide = |signal: &[f32]| signal.iter().map(|&s| f64::from(s)).collect::<Vec<f64>>();
    best(&likeness(&wide(reference), &wide(signal)))
}

/// The likeness at every offset at which the reference lies within the signal. A signal shorter
/// than the reference is continued with silence.
pub(super) fn likeness(reference: &[f64], signal: &[f64]) -> Vec<f64> {
    let padding = vec![0.0; reference.len().saturating_sub(signal.len())];
    let signal = [signal, &padding].concat();
    let offsets = signal.len() - reference.len() + 1;
    let sum = |signal: &[f64]| signal.iter().map(|s| s * s).sum::<f64>();
    let energy = moving_energy(&signal, reference.len());
    let loudest = energy.iter().copied().fold(0.0, f64::max);
    let own = sum(reference);
    if own == 0.0 || loudest == 0.0 {
        return vec![0.0; offsets];
    }
    let products = correlate(reference, &signal);
    let alike = |(product, energy): (&f64, &f64)| {
        if *energy < SILENCE * loudest { 0.0 } else { product / (own * energy).sqrt() }
    };
    products[..offsets].iter().zip(&energy).map(alike).collect()
}

/// The highest point of a likeness curve.
pub(super) fn best(curve: &[f64]) -> Found {
    let highest = curve.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
    let Some((index, &peak)) = highest.filter(|(_, peak)| **peak > 0.0) else {
        return Found { offset_samples: 0.0, peak: 0.0 };
    };
    let at = |i: Option<usize>| i.and_then(|i| curve.get(i)).copied();
    let (aside, above) = match (at(index.checked_sub(1)), at(index.checked_add(1))) {
        (Some(left), Some(right)) if left + right < 2.0 * peak => {
            let aside = 0.5 * (left - right) / (left + right - 2.0 * peak);
            (aside, 0.25 * (right - left) * aside)
        }
        _ => (0.0, 0.0),
    };
    Found { offset_samples: index as f64 + aside, peak: (peak + above).min(1.0) }
}

fn moving_energy(signal: &[f64], width: usize) -> Vec<f64> {
    let mut sums = Vec::with_capacity(signal.len() + 1);
    let mut sum = 0.0;
    sums.push(sum);
    for sample in signal {
        sum += sample * sample;
        sums.push(sum);
    }
    sums.windows(width + 1).map(|w| (w[width] - w[0]).max(0.0)).collect()
}

/// The sum of products at every offset, by way of the spectrum.
fn correlate(reference: &[f64], signal: &[f64]) -> Vec<f64> {
    // At offsets within the signal nothing wraps around, so its own length is enough room.
    let size = signal.len().next_power_of_two();
    let mut planner = RealFftPlanner::<f64>::new();
    let forward = planner.plan_fft_forward(size);
    let spectrum = |samples: &[f64]| {
        let mut input = forward.make_input_vec();
        input[..samples.len()].copy_from_slice(samples);
        let mut output = forward.make_output_vec();
        forward.process(&mut input, &mut output).expect("buffers of the right size");
        output
    };
    let mut product = spectrum(signal);
    let scale = 1.0 / size as f64;
    product.iter_mut().zip(spectrum(reference)).for_each(|(s, r)| *s *= r.conj() * scale);
    let backward = planner.plan_fft_inverse(size);
    // Real signals have real ends of their spectrum; rounding may say otherwise.
    if let [first, .., last] = &mut product[..] {
        first.im = 0.0;
        last.im = 0.0;
    }
    let mut result = backward.make_output_vec();
    backward.process(&mut product, &mut result).expect("buffers of the right size");
    result
}
