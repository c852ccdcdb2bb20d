//! What there is to hear: samples by their number, so that a gap is a gap and never a shift.

use crate::dice::Dice;
use serde::{Deserialize, Serialize};
use std::f64::consts::TAU;
use std::path::Path;
use std::rc::Rc;

/// The value of the sample with number `n`: its own number, folded into 1 to 32 767, so that silence is never
/// mistaken for it.
#[must_use]
pub const fn marker(n: u64) -> i16 {
    (n % MARKERS) as i16 + 1
}

/// After so many samples their numbers begin anew.
pub const MARKERS: u64 = 32_767;

/// How long made sounds are before they begin anew.
const TABLE_SAMPLES: usize = 12 * 48_000;

/// What a source sounds like, where it is sound at all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sound {
    /// Syllables: a buzz through moving formants, with pauses.
    #[default]
    Speech,
    /// Plucked chords.
    Music,
    /// 997 Hz.
    Tone,
    /// 50 Hz to 20 kHz in 6 s.
    Sweep,
    /// White noise.
    Noise,
    /// Nothing.
    Silence,
    /// A click ten times a second.
    Impulses,
    /// A recording, 16 bit, 48 kHz; its first channel.
    Wav(std::path::PathBuf),
}

/// Where samples come from.
#[derive(Clone, Debug)]
pub enum Source {
    /// Each sample says which one it is.
    Markers,
    /// A sound, again and again.
    Sound(Rc<[i16]>),
}

impl Source {
    /// A sound.
    ///
    /// # Errors
    /// In words, if a recording cannot be read.
    pub fn sound(sound: &Sound) -> Result<Self, String> {
        Ok(Self::Sound(match sound {
            Sound::Wav(path) => recording(path)?,
            made => make(made).into(),
        }))
    }

    /// The samples from number `first` on.
    pub fn fill(&self, first: u64, into: &mut [i16]) {
        match self {
            Self::Markers => {
                let mut n = first;
                let mut rest = into;
                while !rest.is_empty() {
                    let run = usize::try_from(MARKERS - n % MARKERS).unwrap_or(usize::MAX).min(rest.len());
                    let (now, later) = rest.split_at_mut(run);
                    now.iter_mut().zip(marker(n)..=i16::MAX).for_each(|(value, number)| *value = number);
                    (n, rest) = (n + run as u64, later);
                }
            }
            Self::Sound(table) => {
                let start = usize::try_from(first % table.len() as u64).unwrap_or(0);
                into.iter_mut().zip(table.iter().cycle().skip(start)).for_each(|(to, from)| *to = *from);
            }
        }
    }
}

fn recording(path: &Path) -> Result<Rc<[i16]>, String> {
    let wrong = |what: String| format!("{}: {what}", path.display());
    let mut reader = hound::WavReader::open(path).map_err(|error| wrong(error.to_string()))?;
    let spec = reader.spec();
    if spec.sample_rate != 48_000 || spec.bits_per_sample != 16 || spec.sample_format != hound::SampleFormat::Int {
        let (rate, bits) = (spec.sample_rate, spec.bits_per_sample);
        return Err(wrong(format!(
            "it has {rate} Hz and {bits} bits; 48000 Hz and 16 bits are needed (sox -r 48000 -b 16)"
        )));
    }
    let values = reader.samples::<i16>().step_by(usize::from(spec.channels)).collect::<Result<Vec<_>, _>>();
    let values = values.map_err(|error| wrong(error.to_string()))?;
    if values.is_empty() { Err(wrong("it holds no sound".to_owned())) } else { Ok(values.into()) }
}

fn make(sound: &Sound) -> Vec<i16> {
    let mut dice = Dice::new(1, "sound");
    let seconds = |n: usize| n as f64 / 48_000.0;
    let all = 0..TABLE_SAMPLES;
    match sound {
        Sound::Speech => speech(&mut dice),
        Sound::Music => music(),
        // Whole cycles in the table.
        Sound::Tone => all.map(|n| level(0.3 * libm::sin(TAU * 997.0 * seconds(n)))).collect(),
        Sound::Sweep => {
            let rate = libm::log(20_000.0 / 50.0) / 6.0;
            let phase = |t: f64| TAU * 50.0 / rate * (libm::exp(rate * t) - 1.0);
            all.map(|n| level(0.3 * libm::sin(phase(seconds(n) % 6.0)))).collect()
        }
        Sound::Noise => all.map(|_| level(0.1 * dice.normal())).collect(),
        Sound::Impulses => all.map(|n| if n % 4_800 == 0 { 20_000 } else { 0 }).collect(),
        Sound::Silence | Sound::Wav(_) => vec![0; TABLE_SAMPLES],
    }
}

fn level(value: f64) -> i16 {
    (value.clamp(-1.0, 1.0) * 32_767.0) as i16
}

/// A buzz at the pitch of a voice through three resonances that move from vowel to vowel, in words with pauses.
fn speech(dice: &mut Dice) -> Vec<i16> {
    const VOWELS: [[f64; 3]; 5] = [
        [730.0, 1090.0, 2440.0],
        [270.0, 2290.0, 3010.0],
        [300.0, 870.0, 2240.0],
        [530.0, 1840.0, 2480.0],
        [570.0, 840.0, 2410.0],
    ];
    let mut out = Vec::with_capacity(TABLE_SAMPLES);
    let (mut phase, mut memory) = (0.0, [[0.0; 2]; 3]);
    while out.len() < TABLE_SAMPLES {
        let (from, to) = (*dice.pick(&VOWELS), *dice.pick(&VOWELS));
        let length = dice.between(6_000, 14_000) as usize;
        let pitch = 95.0 + 40.0 * dice.unit();
        for n in 0..length {
            let along = n as f64 / length as f64;
            phase += pitch * (1.1 - 0.2 * along) / 48_000.0;
            let pulse = if phase >= 1.0 { 1.0 } else { 0.0 };
            phase %= 1.0;
            let mut sum = 0.0;
            for (k, state) in memory.iter_mut().enumerate() {
                let frequency = from[k] + (to[k] - from[k]) * along;
                let radius = libm::exp(-TAU / 2.0 * (60.0 + 30.0 * k as f64) / 48_000.0);
                let made = pulse + 2.0 * radius * libm::cos(TAU * frequency / 48_000.0) * state[0]
                    - radius * radius * state[1];
                *state = [made, state[0]];
                sum += made / (1.0 + k as f64);
            }
            let breath = 0.002 * dice.normal();
            let shape = libm::sin(TAU / 2.0 * along);
            out.push(level(0.02 * sum * shape + breath * shape));
        }
        if dice.happens(30.0) {
            let pause = dice.between(4_800, 28_800);
            out.extend((0..pause).map(|_| level(0.0004 * dice.normal())));
        }
    }
    out.truncate(TABLE_SAMPLES);
    out
}

fn music() -> Vec<i16> {
    const CHORDS: [[f64; 3]; 4] =
        [[261.63, 329.63, 392.0], [220.0, 261.63, 329.63], [174.61, 220.0, 261.63], [196.0, 246.94, 293.66]];
    let beat = TABLE_SAMPLES / 24;
    (0..TABLE_SAMPLES)
        .map(|n| {
            let (chord, t) = (CHORDS[n / beat / 2 % 4], (n % beat) as f64 / 48_000.0);
            let tone = |f: f64| {
                (1..=4)
                    .map(|h| libm::sin(TAU * f * f64::from(h) * t) * libm::exp(-3.0 * f64::from(h) * t) / f64::from(h))
                    .sum::<f64>()
            };
            level(0.12 * chord.iter().map(|f| tone(*f)).sum::<f64>() * (t * 400.0).min(1.0))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markers_number_themselves_across_their_end() {
        let mut values = [0; 300];
        Source::Markers.fill(MARKERS * 3 - 100, &mut values);
        assert!(values.iter().zip(MARKERS * 3 - 100..).all(|(value, n)| *value == marker(n)));
        assert_eq!((values[99], values[100]), (32_767, 1));
    }

    #[test]
    fn every_sound_is_heard_and_none_is_clipped() {
        for sound in [Sound::Speech, Sound::Music, Sound::Tone, Sound::Sweep, Sound::Noise, Sound::Impulses] {
            let values = make(&sound);
            let peak = values.iter().map(|value| value.unsigned_abs()).max().unwrap();
            let mean_square = values.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>() / values.len() as f64;
            assert!((3_000..32_767).contains(&peak) && mean_square > 10_000.0, "{sound:?}: {peak}, {mean_square}");
        }
    }

    #[test]
    fn a_recording_of_another_rate_is_refused_in_words() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.wav");
        let spec = hound::WavSpec {
            channels: 1,
            sample_rate: 8_000,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        hound::WavWriter::create(&path, spec).unwrap().finalize().unwrap();
        let error = Source::sound(&Sound::Wav(path)).unwrap_err();
        assert!(error.contains("8000 Hz") && error.contains("48000"), "{error}");
    }
}
