//! The synthetic source: a soft melody that tells the channels apart, a sine, or silence.

use super::pace::Pacer;
use super::{Opened, Options};
use soundpost_core::config::Channels;
use soundpost_core::port::{PcmError, PcmIn, Read};
use soundpost_core::recovery::Step;
use std::f64::consts::TAU;

const RATE: f64 = 48_000.0;
/// Left speaks first: one note that goes up. Right answers: two that come down. Then both rest.
const LEFT: [(f64, f64); 2] = [(0.0, 523.25), (0.25, 783.99)];
const RIGHT: [(f64, f64); 3] = [(1.0, 783.99), (1.25, 659.26), (1.5, 523.25)];
const MELODY_SECONDS: f64 = 2.5;

/// A source that plays a table over and over.
#[derive(Debug)]
pub struct Tone {
    /// Interleaved; a whole number of its periods, so that its end fits its beginning.
    table: Vec<i16>,
    at: usize,
    channels: Channels,
    period: usize,
    pacer: Pacer,
}

impl Tone {
    /// The melody, or a sine of `hertz`.
    pub(super) fn open(hertz: Option<u16>, options: Options) -> (Self, Opened) {
        let (table, description) = match hertz {
            None => (melody(options.channels), "synthetic melody (left up, right down)".to_owned()),
            Some(hertz) => (sine(hertz, options.channels), format!("synthetic sine of {hertz} Hz at -12 dBFS")),
        };
        Self::playing(table, description, options)
    }

    /// Silence.
    pub(super) fn silence(options: Options) -> (Self, Opened) {
        Self::playing(vec![0; 48 * options.channels.count()], "silence".to_owned(), options)
    }

    fn playing(table: Vec<i16>, description: String, options: Options) -> (Self, Opened) {
        let opened = options.opened(description, options.channels, "S16");
        let pacer = Pacer::new(options);
        (Self { table, at: 0, channels: options.channels, period: options.period_samples as usize, pacer }, opened)
    }
}

impl PcmIn for Tone {
    fn channels(&self) -> usize {
        self.channels.count()
    }

    fn period(&self) -> usize {
        self.period
    }

    fn read(&mut self, into: &mut [i16]) -> Result<Read, PcmError> {
        let samples = into.len() / self.channels.count();
        let pending = self.pacer.wait(samples as u64)?;
        for value in into {
            *value = self.table[self.at];
            self.at = (self.at + 1) % self.table.len();
        }
        self.pacer.advance(samples as u64);
        Ok(Read { samples: samples as u32, pending: u32::try_from(pending).unwrap_or(u32::MAX) })
    }

    fn recover(&mut self, _step: Step) -> Result<(), PcmError> {
        self.pacer.restart();
        Ok(())
    }
}

fn sine(hertz: u16, channels: Channels) -> Vec<i16> {
    // One second holds a whole number of periods of any whole frequency.
    let value = |n: u32| (8_192.0 * (TAU * f64::from(hertz) * f64::from(n) / RATE).sin()).round() as i16;
    (0..RATE as u32).flat_map(|n| std::iter::repeat_n(value(n), channels.count())).collect()
}

fn melody(channels: Channels) -> Vec<i16> {
    let samples = (MELODY_SECONDS * RATE) as u32;
    let voice = |notes: &[(f64, f64)], seconds: f64| notes.iter().map(|note| bell(*note, seconds)).sum::<f64>();
    let to_pcm = |value: f64| (value * 9_000.0).round() as i16;
    (0..samples)
        .flat_map(|n| {
            let seconds = f64::from(n) / RATE;
            let (left, right) = (voice(&LEFT, seconds), voice(&RIGHT, seconds));
            match channels {
                Channels::Mono => [to_pcm(left + right), 0].into_iter().take(1),
                Channels::Stereo => [to_pcm(left), to_pcm(right)].into_iter().take(2),
            }
        })
        .collect()
}

/// A struck bell: three partials that die away, softly begun.
fn bell((start, hertz): (f64, f64), seconds: f64) -> f64 {
    let age = seconds - start;
    if !(0.0..1.0).contains(&age) {
        return 0.0;
    }
    let partial = |times: f64, gain: f64, decay: f64| gain * (-age * decay).exp() * (TAU * hertz * times * age).sin();
    let attack = (age / 0.005).min(1.0);
    // The last tenth fades, so that the note ends without a step.
    let release = ((1.0 - age) / 0.1).min(1.0);
    attack * release * (partial(1.0, 0.6, 4.0) + partial(2.0, 0.25, 6.0) + partial(3.0, 0.15, 9.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn energy(values: impl Iterator<Item = i16>) -> f64 {
        values.map(|v| f64::from(v) * f64::from(v)).sum()
    }

    #[test]
    fn the_melody_tells_left_from_right_and_never_clips() {
        let table = melody(Channels::Stereo);
        assert_eq!(table.len(), (MELODY_SECONDS * RATE) as usize * 2);
        let early = &table[..48_000 * 2 * 9 / 10];
        assert!(energy(early.iter().step_by(2).copied()) > 1e9);
        assert_eq!(energy(early.iter().skip(1).step_by(2).copied()), 0.0, "right waits");
        assert!(energy(table.iter().skip(1).step_by(2).copied()) > 1e9);
        assert!(table.iter().all(|v| v.abs() < 20_000));
        assert_eq!(melody(Channels::Mono).len() * 2, table.len());
    }

    #[test]
    fn a_sine_is_exact_to_the_last_bit() {
        for hertz in [20, 440, 20_000] {
            for (n, value) in sine(hertz, Channels::Mono).into_iter().enumerate() {
                let exact = 8_192.0 * (TAU * f64::from(hertz) * n as f64 / 48_000.0).sin();
                assert!((f64::from(value) - exact).abs() <= 0.501, "{hertz} Hz, sample {n}: {value}, not {exact}");
            }
        }
    }

    #[test]
    fn no_table_has_a_step_where_it_begins_again() {
        for table in [melody(Channels::Mono), sine(440, Channels::Mono), sine(20_000, Channels::Mono)] {
            let widest = table.windows(2).map(|w| (i32::from(w[1]) - i32::from(w[0])).abs()).max().unwrap();
            let seam = (i32::from(table[0]) - i32::from(*table.last().unwrap())).abs();
            assert!(seam <= widest, "{seam} > {widest}");
        }
    }
}
