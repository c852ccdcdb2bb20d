//! Between a device's rate and 48 kHz.
//!
//! A windowed-sinc resampler of the `rubato` crate, in blocks of a period. The rates of devices are in ratios of small
//! numbers (44 100 to 48 000 is 147 to 160), so the kernel is kept at exactly the phases that occur and none is
//! interpolated. It allocates when it is made and never afterwards. Its delay is half the kernel's length: 0.7 ms
//! where the slower side has 44.1 kHz, 4 ms at 8 kHz.

use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{
    Async, FixedAsync, Resampler as _, ResamplerConstructionError, SincInterpolationParameters, SincInterpolationType,
    WindowFunction,
};
use soundpost_core::time::SAMPLE_RATE_HZ;

/// Length of the kernel in samples of the slower side. With this window whatever would fold back is 90 dB down, and
/// of 44.1 kHz the band up to 19 kHz is kept.
const KERNEL: usize = 64;

/// More phases than this are interpolated between; only odd rates have so many.
const PHASES_MAX: usize = 1_024;

/// A resampler between a device and core.
pub(super) struct Converter {
    resampler: Async<f32>,
    channels: usize,
    from: Vec<f32>,
    into: Vec<f32>,
    /// Samples at 48 kHz.
    delay: u32,
}

impl std::fmt::Debug for Converter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Converter").field("delay", &self.delay).finish_non_exhaustive()
    }
}

impl Converter {
    /// From a device at `rate_hz` to blocks of `period` samples at 48 kHz.
    pub(super) fn from_device(
        rate_hz: u32,
        period: usize,
        channels: usize,
    ) -> Result<Self, ResamplerConstructionError> {
        Self::new(rate_hz, SAMPLE_RATE_HZ, period, channels, FixedAsync::Output)
    }

    /// From blocks of `period` samples at 48 kHz to a device at `rate_hz`.
    pub(super) fn to_device(rate_hz: u32, period: usize, channels: usize) -> Result<Self, ResamplerConstructionError> {
        Self::new(SAMPLE_RATE_HZ, rate_hz, period, channels, FixedAsync::Input)
    }

    fn new(
        from_hz: u32,
        into_hz: u32,
        period: usize,
        channels: usize,
        fixed: FixedAsync,
    ) -> Result<Self, ResamplerConstructionError> {
        let ratio = f64::from(into_hz) / f64::from(from_hz);
        // The kernel is made of samples of the input.
        let kernel = (KERNEL as f64 / ratio.min(1.0)).ceil() as usize;
        let phases = (into_hz / common_divisor(from_hz, into_hz)) as usize;
        let sinc = SincInterpolationParameters::new(kernel, WindowFunction::BlackmanHarris);
        let sinc = match phases <= PHASES_MAX {
            true => sinc.oversampling_factor(phases).interpolation(SincInterpolationType::Nearest),
            false => sinc.oversampling_factor(PHASES_MAX / 4).interpolation(SincInterpolationType::Linear),
        };
        let resampler = Async::new_sinc(ratio, 1.0, &sinc, period, channels, fixed)?;
        let delay = kernel as u64 * u64::from(SAMPLE_RATE_HZ) / u64::from(from_hz) / 2;
        Ok(Self {
            channels,
            from: vec![0.0; resampler.input_frames_max() * channels],
            into: vec![0.0; resampler.output_frames_max() * channels],
            resampler,
            delay: delay as u32,
        })
    }

    /// Samples that the next block takes.
    pub(super) fn takes(&self) -> usize {
        self.resampler.input_frames_next()
    }

    /// The most samples that a block ever takes.
    pub(super) fn takes_at_most(&self) -> usize {
        self.resampler.input_frames_max()
    }

    /// The most samples that a block ever gives.
    pub(super) fn gives_at_most(&self) -> usize {
        self.resampler.output_frames_max()
    }

    /// How much later sound comes out than it went in, in samples at 48 kHz.
    pub(super) const fn delay(&self) -> u32 {
        self.delay
    }

    /// Converts a block of [`takes`](Self::takes) samples; returns how many came out. Values of `from` beyond the
    /// block are not looked at; where it is shorter, or `into` has no room, nothing is done.
    pub(super) fn run(&mut self, from: &[i16], into: &mut [i16]) -> usize {
        let (takes, gives) = (self.takes(), self.resampler.output_frames_next());
        let (Some(from), true) = (from.get(..takes * self.channels), into.len() >= gives * self.channels) else {
            return 0;
        };
        for (float, value) in self.from.iter_mut().zip(from) {
            *float = f32::from(*value);
        }
        let input = InterleavedSlice::new(&self.from, self.channels, takes);
        let output = InterleavedSlice::new_mut(&mut self.into, self.channels, gives);
        let (Ok(input), Ok(mut output)) = (input, output) else { return 0 };
        let Ok((_, given)) = self.resampler.process_into_buffer(&input, &mut output, None) else { return 0 };
        for (value, float) in into.iter_mut().zip(&self.into[..given * self.channels]) {
            // A cast of a float keeps to what there is room for.
            *value = float.round() as i16;
        }
        given
    }
}

fn common_divisor(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::TAU;

    const RATES: [u32; 14] = [
        8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 47_999, 64_000, 88_200, 96_000, 176_400, 192_000,
    ];

    fn sine(hertz: f64, rate_hz: u32, count: usize) -> Vec<i16> {
        let value = |n| (12_000.0 * (TAU * hertz * n as f64 / f64::from(rate_hz)).sin()).round() as i16;
        (0..count).map(value).collect()
    }

    /// Converts mono sound block by block.
    fn converted(converter: &mut Converter, sound: &[i16]) -> Vec<i16> {
        let (mut out, mut at) = (Vec::new(), 0);
        let mut room = vec![0; converter.gives_at_most()];
        while at + converter.takes() <= sound.len() {
            let takes = converter.takes();
            let given = converter.run(&sound[at..], &mut room);
            assert!(given > 0 && takes <= converter.takes_at_most());
            out.extend_from_slice(&room[..given]);
            at += takes;
        }
        out
    }

    /// Of a sine: amplitude, what is not that sine in dB below it, and how late it is in samples.
    fn judged(heard: &[i16], hertz: f64, rate_hz: u32) -> (f64, f64, f64) {
        let step = TAU * hertz / f64::from(rate_hz);
        // Whole cycles, or sine and cosine would not be orthogonal.
        let (skip, cycles) = (heard.len() / 4, (4.0 * f64::from(rate_hz) / hertz) as usize);
        let count = (heard.len() - skip) / cycles * cycles;
        let heard: Vec<_> =
            heard.iter().enumerate().skip(skip).take(count).map(|(n, v)| (step * n as f64, f64::from(*v))).collect();
        let scale = 2.0 / heard.len() as f64;
        let i: f64 = heard.iter().map(|(phase, value)| value * phase.sin()).sum::<f64>() * scale;
        let q: f64 = heard.iter().map(|(phase, value)| value * phase.cos()).sum::<f64>() * scale;
        let rest = heard.iter().map(|(phase, value)| (value - i * phase.sin() - q * phase.cos()).powi(2));
        let noise = (rest.sum::<f64>() / heard.len() as f64).sqrt();
        let amplitude = i.hypot(q);
        (amplitude, 20.0 * (noise * 2.0_f64.sqrt() / amplitude).log10(), -q.atan2(i) / step)
    }

    #[test]
    fn a_tone_stays_that_tone_at_every_rate_both_ways_and_is_as_late_as_said() {
        for rate in RATES {
            for (from, into, mut converter) in [
                (rate, SAMPLE_RATE_HZ, Converter::from_device(rate, 128, 1).unwrap()),
                (SAMPLE_RATE_HZ, rate, Converter::to_device(rate, 128, 1).unwrap()),
            ] {
                let second = from as usize;
                let heard = converted(&mut converter, &sine(100.0, from, second));
                assert!(heard.len().abs_diff(into as usize) < into as usize / 50, "{from} to {into}: {}", heard.len());
                let (amplitude, noise, late) = judged(&heard, 100.0, into);
                assert!((amplitude - 12_000.0).abs() < 12.0, "{from} to {into}: {amplitude}");
                // An odd rate has no whole cycles to judge by.
                assert!(noise < if rate % 25 == 0 { -75.0 } else { -60.0 }, "{from} to {into}: {noise} dB");
                let late = late * 48_000.0 / f64::from(into);
                assert!((late - f64::from(converter.delay())).abs() < 8.0, "{from} to {into}: {late}");
            }
        }
    }

    #[test]
    fn what_the_slower_side_cannot_carry_is_gone() {
        for (rate, hertz) in [(96_000, 30_000.0), (192_000, 61_000.0), (88_200, 30_000.0)] {
            let mut converter = Converter::from_device(rate, 128, 1).unwrap();
            let heard = converted(&mut converter, &sine(hertz, rate, rate as usize / 4));
            let loudest = heard[heard.len() / 4..].iter().map(|value| value.unsigned_abs()).max();
            assert!(loudest <= Some(1), "{rate}: {loudest:?}");
        }
    }

    #[test]
    fn the_band_of_a_compact_disc_is_kept_up_to_18_khz() {
        let mut converter = Converter::from_device(44_100, 128, 1).unwrap();
        let heard = converted(&mut converter, &sine(18_000.0, 44_100, 44_100));
        let (amplitude, noise, _) = judged(&heard, 18_000.0, SAMPLE_RATE_HZ);
        assert!(amplitude > 11_000.0 && noise < -70.0, "{amplitude} {noise}");
    }

    #[test]
    fn channels_are_kept_apart_and_blocks_that_do_not_fit_change_nothing() {
        let mut converter = Converter::from_device(44_100, 128, 2).unwrap();
        let sound: Vec<i16> = sine(100.0, 44_100, 4_410).into_iter().flat_map(|value| [value, 0]).collect();
        let mut room = vec![1; 2 * converter.gives_at_most()];
        assert_eq!(converter.run(&sound[..10], &mut room), 0);
        assert_eq!(converter.run(&sound, &mut []), 0);
        assert_eq!(converter.run(&sound, &mut room), 128);
        assert!(room.chunks(2).all(|sample| sample[1] == 0) && room.iter().any(|value| *value > 0));
    }
}
