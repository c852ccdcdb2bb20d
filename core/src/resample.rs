//! Plays a little faster or slower, by fractions of a sample: what two clocks need that are not quite alike.
//!
//! Each output sample is interpolated from 32 input samples by a windowed sinc, 16 on either side: the sound comes
//! out [`DELAY_SAMPLES`] later, always. Positions are counted in 2⁻³² of a sample and never lost, so over any
//! time as much is consumed as the ratios say. With a ratio of zero it glides to the nearest whole sample and from
//! there on hands through what it gets, bit by bit. Why it should play faster is nothing it knows.

mod kernel;

use crate::config::Channels;
use kernel::{KERNEL, TAPS};

/// By how many samples the sound is later, whatever the ratio.
pub const DELAY_SAMPLES: usize = TAPS / 2;

/// The largest ratio, either way: 0.5 %, a twelfth of a semitone. A larger one is taken for this.
pub const RATIO_PPB_MAX: i32 = 5_000_000;

/// How fast it glides to a whole sample when nothing else is asked for: 100 ppm, so 0.1 s at most.
const GLIDE_PPB: i32 = 100_000;

/// A whole sample, as positions are counted.
const WHOLE: i64 = 1 << 32;

/// Interpolates between samples.
#[derive(Clone, Debug)]
pub struct Resampler {
    channels: Channels,
    /// The last samples of each channel, twice: so the last 32 are always found in one piece.
    lines: [[i16; 2 * TAPS]; 2],
    /// Where the oldest one is; less than `TAPS`.
    oldest: usize,
    /// How far behind the middle sample we are.
    phase: u32,
    /// How much more than one sample is consumed for each that is made.
    step: i32,
}

impl Resampler {
    /// One that hands through, `DELAY_SAMPLES` later.
    #[must_use]
    pub const fn new(channels: Channels) -> Self {
        Self { channels, lines: [[0; 2 * TAPS]; 2], oldest: 0, phase: 0, step: 0 }
    }

    /// From now on consumes `ppb` billionths more than it makes; less if that is negative.
    pub fn set_ratio_ppb(&mut self, ppb: i32) {
        self.step = step(ppb);
    }

    /// Forgets what it heard; keeps its ratio.
    pub fn reset(&mut self) {
        *self = Self { step: self.step, ..Self::new(self.channels) };
    }

    /// How many input samples `process` consumes when it is asked for `out_samples`.
    #[must_use]
    pub fn needed(&self, out_samples: usize) -> usize {
        let made = i64::from(u32::try_from(out_samples).unwrap_or(u32::MAX));
        let moved = if self.step != 0 {
            made.wrapping_mul(i64::from(self.step))
        } else {
            let way = self.way_to_whole();
            let glided = made.wrapping_mul(i64::from(step(GLIDE_PPB))).min(way.abs());
            glided.wrapping_mul(way.signum())
        };
        let whole = i64::from(self.phase).wrapping_add(moved) >> 32;
        usize::try_from(made.wrapping_add(whole)).unwrap_or(0)
    }

    /// Fills `out` from `input`, both interleaved, and returns how many input samples it consumed: as many as
    /// [`needed`](Self::needed) says, or all. Input that is not there is silence.
    pub fn process(&mut self, input: &[i16], out: &mut [i16]) -> usize {
        match self.channels {
            Channels::Mono => self.run::<1>(input, out),
            Channels::Stereo => self.run::<2>(input, out),
        }
    }

    fn run<const CHANNELS: usize>(&mut self, input: &[i16], out: &mut [i16]) -> usize {
        if self.step == 0 && self.phase == 0 {
            return self.hand_through(input.as_chunks::<CHANNELS>().0, out.as_chunks_mut().0);
        }
        let mut input = input.as_chunks::<CHANNELS>().0.iter();
        let before = input.len();
        for frame in out.as_chunks_mut::<CHANNELS>().0 {
            for _ in 0..self.advance() {
                self.push(input.next().unwrap_or(&[0; CHANNELS]));
            }
            self.interpolate(frame);
        }
        before.wrapping_sub(input.len())
    }

    /// What the loop of `run` comes to at rest: what was heard last comes first, then the input.
    fn hand_through<const CHANNELS: usize>(&mut self, input: &[[i16; CHANNELS]], out: &mut [[i16; CHANNELS]]) -> usize {
        let made = out.len();
        let mut late = [[0; CHANNELS]; DELAY_SAMPLES];
        for (channel, line) in self.lines.iter().enumerate().take(CHANNELS) {
            let newest = line.get(self.oldest.wrapping_add(TAPS - DELAY_SAMPLES)..).unwrap_or(&[]);
            for (frame, value) in late.iter_mut().zip(newest) {
                if let Some(place) = frame.get_mut(channel) {
                    *place = *value;
                }
            }
        }
        out.iter_mut().zip(&late).for_each(|(to, from)| *to = *from);
        let rest = out.get_mut(DELAY_SAMPLES..).unwrap_or(&mut []);
        rest.iter_mut().zip(input).for_each(|(to, from)| *to = *from);
        rest.get_mut(input.len()..).unwrap_or(&mut []).fill([0; CHANNELS]);
        // Only the newest are remembered.
        for n in made.saturating_sub(TAPS)..made {
            self.push(input.get(n).unwrap_or(&[0; CHANNELS]));
        }
        input.len().min(made)
    }

    /// Moves to the next output sample; returns how many input samples that takes: none, one or two.
    fn advance(&mut self) -> u32 {
        let step = match self.step {
            0 => {
                let glide = i64::from(step(GLIDE_PPB));
                self.way_to_whole().clamp(-glide, glide)
            }
            step => i64::from(step),
        };
        let position = WHOLE.wrapping_add(i64::from(self.phase)).wrapping_add(step);
        self.phase = position as u32;
        (position >> 32) as u32
    }

    /// From here to the nearest whole sample.
    fn way_to_whole(&self) -> i64 {
        let phase = i64::from(self.phase);
        if phase < WHOLE / 2 { -phase } else { WHOLE.wrapping_sub(phase) }
    }

    fn push<const CHANNELS: usize>(&mut self, frame: &[i16; CHANNELS]) {
        for (line, value) in self.lines.iter_mut().zip(frame) {
            let (first, second) = line.split_at_mut(TAPS);
            for half in [first, second] {
                if let Some(place) = half.get_mut(self.oldest) {
                    *place = *value;
                }
            }
        }
        self.oldest = self.oldest.wrapping_add(1) % TAPS;
    }

    fn interpolate<const CHANNELS: usize>(&self, frame: &mut [i16; CHANNELS]) {
        let row = (self.phase >> 25) as usize;
        let (Some(here), Some(next)) = (KERNEL.get(row), KERNEL.get(row.wrapping_add(1))) else { return };
        for (line, out) in self.lines.iter().zip(frame) {
            let Some(heard) = line.get(self.oldest..).and_then(|line| line.first_chunk()) else { return };
            *out = if self.phase == 0 { middle(heard) } else { between(heard, here, next, self.phase) };
        }
    }
}

/// A ratio as positions are counted.
fn step(ppb: i32) -> i32 {
    let ppb = i64::from(ppb.clamp(-RATIO_PPB_MAX, RATIO_PPB_MAX));
    (ppb.wrapping_mul(WHOLE) / 1_000_000_000) as i32
}

fn middle(heard: &[i16; TAPS]) -> i16 {
    let [.., middle] = heard.first_chunk::<{ TAPS / 2 }>().unwrap_or(&[0; TAPS / 2]);
    *middle
}

/// What both rows of the table make of the samples, and between these two in a straight line.
fn between(heard: &[i16; TAPS], here: &[i16; TAPS], next: &[i16; TAPS], phase: u32) -> i16 {
    let (here, next) = (weigh(heard, here), weigh(heard, next));
    let far = i64::from((phase >> 10) & 0x7fff);
    let sum = here.wrapping_add(next.wrapping_sub(here).wrapping_mul(far) >> 15);
    // A coefficient of one is one less than it should be, so a 2⁻¹⁵th is missing.
    let full = sum.wrapping_add(sum >> 15);
    (full.wrapping_add(1 << 14) >> 15).clamp(i64::from(i16::MIN), i64::from(i16::MAX)) as i16
}

/// The products of a half fit 32 bits, those of all might not. Written so that compilers make vectors of it.
fn weigh(heard: &[i16; TAPS], row: &[i16; TAPS]) -> i64 {
    let (heard, _) = heard.as_chunks::<{ TAPS / 2 }>();
    let (row, _) = row.as_chunks::<{ TAPS / 2 }>();
    heard.iter().zip(row).fold(0, |all, (values, weights)| {
        let products =
            values.iter().zip(weights).map(|(value, weight)| i32::from(*value).wrapping_mul(i32::from(*weight)));
        all.wrapping_add(i64::from(products.fold(0_i32, i32::wrapping_add)))
    })
}

#[cfg(test)]
mod tests;
