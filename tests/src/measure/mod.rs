//! Instruments: how late did a sound arrive, and did all of it arrive?
//!
//! [`delay`] finds a known signal in a recording, [`Train`] and [`delays`] do so many times over
//! and sum it up, [`continuity`] follows a long signal through a recording piece by piece. All work
//! on similarity of shape (normalised cross-correlation), so levels do not matter; a codec's
//! changes to the waveform lower the peak but do not move it. Figures in frames are at [`RATE`].
//! [`likeness`] and [`opinion`] say how much a sound has suffered.

mod continuity;
mod correlate;
mod quality;
mod spectrum;

use std::f64::consts::PI;
use std::fmt;

pub use continuity::{Continuity, Hole, Limits, Piece, Verdict, continuity, continuity_with, followed};
pub use correlate::Found;
pub use quality::{Likeness, SEGMENT, likeness, opinion, spectrum};

use crate::RATE;

/// A chirp less alike than this is not one; noise reaches about 0.3, low bit rates fall to 0.5.
const ENOUGH: f64 = 0.4;

/// Length of the chirp that delays are measured with, in seconds.
pub const CHIRP: f64 = 0.025;

/// Where `reference` begins in `recording`: the offset at which the two are most alike.
///
/// A recording shorter than the reference is taken to be silent from its end on.
pub fn delay(reference: &[f32], recording: &[f32]) -> Found {
    correlate::find(reference, recording)
}

/// A sine sweep from 300 Hz to 6 kHz, the pitch rising evenly, with soft ends and amplitude 0.5.
pub fn chirp(seconds: f64) -> Vec<f32> {
    const LOW: f64 = 300.0;
    const HIGH: f64 = 6000.0;
    const EDGE: f64 = 0.15;
    let rate = (HIGH / LOW).ln();
    let frames = (seconds * RATE as f64).round() as usize;
    let sample = |n: usize| {
        let at = n as f64 / frames as f64;
        let phase = 2.0 * PI * LOW * seconds / rate * ((at * rate).exp() - 1.0);
        let edge = (at.min(1.0 - at) / EDGE).min(1.0);
        (0.5 * phase.sin() * (0.5 - 0.5 * (PI * edge).cos())) as f32
    };
    (0..frames).map(sample).collect()
}

/// Chirps at irregular distances, to measure the same delay many times at ever other moments of
/// whatever periods the path has.
#[derive(Clone, Debug)]
pub struct Train {
    /// The signal to play.
    pub signal: Vec<f32>,
    /// Where the chirps begin in it, in frames.
    pub at: Vec<usize>,
    chirp: Vec<f32>,
    reach: usize,
}

impl Train {
    /// So many chirps, the next one beginning between one and two times `reach` seconds after the
    /// last one; `reach` is the longest delay that can be told. Equal seeds give equal trains.
    pub fn new(count: usize, reach: f64, seed: u64) -> Self {
        let chirp = chirp(CHIRP);
        let reach = (reach * RATE as f64) as usize;
        let mut random = seed;
        let mut next = 0;
        let at: Vec<usize> = (0..count)
            .map(|_| {
                let here = next;
                // Knuth's linear congruential generator; its upper bits are random enough.
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                next += reach + chirp.len() + (random >> 33) as usize % reach;
                here
            })
            .collect();
        let mut signal = vec![0.0; next];
        for &start in &at {
            signal[start..start + chirp.len()].copy_from_slice(&chirp);
        }
        Self { signal, at, chirp, reach }
    }

    /// How many frames must be recorded from the beginning on to hear the last chirp.
    pub fn frames(&self) -> usize {
        self.signal.len()
    }
}

/// Many measurements of one delay, in milliseconds.
#[derive(Clone, Debug, PartialEq)]
pub struct Delays {
    /// The delays found, in ascending order.
    pub sorted: Vec<f64>,
    /// Chirps not found again.
    pub missing: usize,
    /// The worst likeness of those that were found.
    pub worst_peak: f64,
}

/// Finds each chirp of a train in a recording; `start` is where the train's first frame would be in
/// the recording if there were no delay.
pub fn delays(train: &Train, start: usize, recording: &[f32]) -> Delays {
    let mut result = Delays { sorted: Vec::new(), missing: 0, worst_peak: 1.0 };
    for at in &train.at {
        let from = (start + at).min(recording.len());
        let to = (from + train.reach + train.chirp.len()).min(recording.len());
        let found = delay(&train.chirp, &recording[from..to]);
        if found.peak < ENOUGH {
            result.missing += 1;
        } else {
            result.sorted.push(found.offset_ms());
            result.worst_peak = result.worst_peak.min(found.peak);
        }
    }
    result.sorted.sort_by(f64::total_cmp);
    result
}

impl Delays {
    /// The delay that half of the measurements do not exceed.
    pub fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    /// The delay that 95 of 100 measurements do not exceed.
    pub fn p95(&self) -> f64 {
        self.quantile(0.95)
    }

    /// The shortest delay.
    pub fn min(&self) -> f64 {
        self.quantile(0.0)
    }

    /// The longest delay.
    pub fn max(&self) -> f64 {
        self.quantile(1.0)
    }

    /// The delay that this part of the measurements does not exceed; not a number without any.
    pub fn quantile(&self, part: f64) -> f64 {
        let last = self.sorted.len().saturating_sub(1);
        let index = (part * last as f64).ceil() as usize;
        self.sorted.get(index).copied().unwrap_or(f64::NAN)
    }
}

impl fmt::Display for Delays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "median {:.2} ms, p95 {:.2}, min {:.2}, max {:.2}; {} found, {} missing, worst peak {:.2}",
            self.median(),
            self.p95(),
            self.min(),
            self.max(),
            self.sorted.len(),
            self.missing,
            self.worst_peak,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shifted(signal: &[f32], frames: usize, length: usize) -> Vec<f32> {
        let mut recording = vec![0.0; length];
        recording[frames..frames + signal.len()].copy_from_slice(signal);
        recording
    }

    #[test]
    fn a_chirp_is_found_to_the_sample_whatever_its_level() {
        let chirp = chirp(CHIRP);
        let mut recording = shifted(&chirp, 1234, 48_000);
        recording.iter_mut().for_each(|s| *s *= 0.01);
        let found = delay(&chirp, &recording);
        assert!((found.offset_samples - 1234.0).abs() < 1e-3, "{found:?}");
        assert!(found.peak > 0.999, "{found:?}");
    }

    #[test]
    fn a_chirp_is_found_between_samples() {
        let chirp = chirp(CHIRP);
        let mean = |pair: &[f32]| (pair[0] + pair[1]) / 2.0;
        let recording: Vec<f32> = shifted(&chirp, 500, 9600).windows(2).map(mean).collect();
        let found = delay(&chirp, &recording);
        assert!((found.offset_samples - 499.5).abs() < 0.05, "{found:?}");
    }

    #[test]
    fn silence_and_short_recordings_hold_nothing() {
        let chirp = chirp(CHIRP);
        assert_eq!(delay(&chirp, &[0.0; 9600]).peak, 0.0);
        assert_eq!(delay(&chirp, &[]).peak, 0.0);
        assert!(delay(&chirp, &chirp[..600]).peak < 0.95);
    }

    #[test]
    fn a_train_measures_its_delay_and_counts_what_is_missing() {
        let train = Train::new(20, 0.2, 1);
        let mut recording = shifted(&train.signal, 100 + 960, train.frames() + 20_000);
        recording[train.at[19] + 1060..].fill(0.0);
        let delays = delays(&train, 100, &recording);
        assert_eq!((delays.sorted.len(), delays.missing), (19, 1), "{delays}");
        assert!((delays.median() - 20.0).abs() < 1e-3, "{delays}");
        assert!(delays.max() - delays.min() < 1e-3, "{delays}");
        assert!(train.at.windows(2).any(|w| w[1] - w[0] != train.at[1]), "irregular");
    }
}
