//! What was heard, to listen to: the seconds that say most, small enough to lie in a page.
//!
//! What a card played is joined without the times at which it played nothing. Here they are put back, from the record
//! of how much had sounded by when, so that a second of a recording is a second of the run.

use crate::outcome::{Direction, Point};
use soundpost_core::time::SAMPLE_RATE_HZ;

/// Samples in a second of what is kept.
pub const RATE: u32 = SAMPLE_RATE_HZ;
/// Samples in a second of what lies in a page.
const PAGE_RATE: u32 = RATE / 2;
/// Seconds of it, and how many of them come before the worst.
const LENGTH: f64 = 20.0;
const BEFORE: f64 = 8.0;
/// The worst is looked for among the first minutes: to hear what comes later, all before it has to be run again.
pub const SEARCHED: f64 = 600.0;
/// Coefficients of the filter before every second sample is dropped; its pass band ends at 10.5 kHz.
const TAPS: usize = 63;
const EDGE: f64 = 10_800.0;

/// Some seconds of what was heard.
#[derive(Clone, Debug, PartialEq)]
pub struct Clip {
    /// Where they begin.
    pub from: f64,
    /// Where they end.
    pub until: f64,
    /// Why these.
    pub why: String,
    /// As a file.
    pub wav: Vec<u8>,
}

/// A part of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// Where it begins.
    pub from: f64,
    /// Where it ends.
    pub until: f64,
    /// Why it was chosen.
    pub why: String,
}

/// The part of a direction that says most: where most was made up or broke off, or where sound was oldest.
#[must_use]
pub fn choose(way: &Direction, whole: f64) -> Part {
    let searched = whole.min(SEARCHED);
    let points: Vec<_> = way.series.iter().filter(|point| point.t <= searched).collect();
    let usual = median(points.iter().filter_map(|point| point.delay).map(|[_, mean, _]| mean));
    let begins = points.first().map_or(0.0, |point| point.t);
    let mut was_silent = 0.0;
    let trouble = |point: &&Point| {
        let broke = (point.silent - was_silent).max(0.0);
        was_silent = point.silent;
        // What is twice as old as usual counts like half a second made up.
        let old = point.delay.map_or(0.0, |[_, _, most]| (most / usual.max(1.0) - 1.5).clamp(0.0, 4.0) * 25.0);
        // Before the first sound there is nothing to miss.
        if point.t < 1.0 || point.t <= begins { 0.0 } else { point.concealed + broke + old }
    };
    let troubles: Vec<f64> = points.iter().map(trouble).collect();
    let near = |index: usize| {
        let around = points.iter().zip(&troubles);
        around.filter(|(point, _)| (point.t - points[index].t).abs() <= 2.0).map(|(_, trouble)| trouble).sum::<f64>()
    };
    let worst = (0..points.len()).filter(|index| troubles[*index] > 0.0).max_by(|a, b| near(*a).total_cmp(&near(*b)));
    let (centre, why) = match worst {
        Some(index) => (points[index].t, format!("around the worst moment, at {:.0} s", points[index].t)),
        None => (0.0, "the beginning: nothing went wrong".to_owned()),
    };
    let why = if whole > SEARCHED && worst.is_some() { format!("{why} of the first 10 minutes") } else { why };
    let from = (centre - BEFORE).min(searched - LENGTH).max(0.0);
    Part { from, until: (from + LENGTH).min(whole), why }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// What was kept, with the times at which nothing sounded put back as silence, up to `until`.
#[must_use]
pub fn in_time(kept: &[i16], series: &[Point], until: f64) -> Vec<i16> {
    let samples = |seconds: f64| (seconds * f64::from(RATE)) as usize;
    // A run with real sound has no record of it.
    let is_known = series.iter().any(|point| point.sounded > 0.0);
    let series = if is_known { series } else { &[] };
    let mut laid = Vec::with_capacity(samples(until));
    let (mut time, mut sounded) = (0.0, 0.0);
    for point in series {
        if time >= until || point.t <= time {
            break;
        }
        let (passed, sound) = (point.t - time, (point.sounded - sounded).max(0.0));
        // A card that runs is off by parts per million, and plays a period more or less.
        let missing = samples(passed - sound.min(passed));
        if missing > samples(0.03) {
            laid.resize(laid.len() + missing, 0);
        }
        let from = samples(sounded).min(kept.len());
        let to = samples(point.sounded.max(sounded)).clamp(from, kept.len());
        laid.extend_from_slice(&kept[from..to]);
        (time, sounded) = (point.t, point.sounded.max(sounded));
    }
    // What the record does not reach, and all of it if there is no record.
    let rest = kept.get(samples(sounded).min(kept.len())..).unwrap_or_default();
    laid.extend_from_slice(rest);
    laid.truncate(samples(until));
    laid
}

/// The part of what was heard, as a file.
///
/// # Errors
/// In words, if it cannot be written.
pub fn clip(kept: &[i16], way: &Direction, part: Part) -> Result<Clip, String> {
    let laid = in_time(kept, &way.series, part.until);
    let at = |seconds: f64| ((seconds * f64::from(RATE)) as usize).min(laid.len());
    let wav = file(&halve(&laid[at(part.from)..at(part.until)]), PAGE_RATE)?;
    Ok(Clip { from: part.from, until: part.until, why: part.why, wav })
}

/// Every second sample, after what would fold back is filtered out.
fn halve(pcm: &[i16]) -> Vec<i16> {
    let taps = taps();
    let back = TAPS / 2;
    let one = |middle: usize| {
        let sum: f64 = taps
            .iter()
            .enumerate()
            .filter_map(|(n, tap)| Some(tap * f64::from(*pcm.get((middle + n).checked_sub(back)?)?)))
            .sum();
        sum.round().clamp(f64::from(i16::MIN), f64::from(i16::MAX)) as i16
    };
    (0..pcm.len()).step_by(2).map(one).collect()
}

/// A windowed sinc (Blackman).
fn taps() -> [f64; TAPS] {
    use std::f64::consts::TAU;
    let cut = EDGE / f64::from(RATE);
    let mut taps = [0.0; TAPS];
    for (n, tap) in taps.iter_mut().enumerate() {
        let x = n as f64 - (TAPS / 2) as f64;
        let phase = TAU * n as f64 / (TAPS - 1) as f64;
        let window = 0.42 - 0.5 * phase.cos() + 0.08 * (2.0 * phase).cos();
        let sinc = if x == 0.0 { 2.0 * cut } else { (TAU * cut * x).sin() / (TAU * x / 2.0) };
        *tap = window * sinc;
    }
    let sum: f64 = taps.iter().sum();
    taps.map(|tap| tap / sum)
}

/// A WAV file, mono, 16 bit.
///
/// # Errors
/// In words.
pub fn file(pcm: &[i16], rate: u32) -> Result<Vec<u8>, String> {
    let spec =
        hound::WavSpec { channels: 1, sample_rate: rate, bits_per_sample: 16, sample_format: hound::SampleFormat::Int };
    let mut bytes = std::io::Cursor::new(Vec::new());
    let write = |to: &mut std::io::Cursor<Vec<u8>>| {
        let mut writer = hound::WavWriter::new(to, spec)?;
        pcm.iter().try_for_each(|sample| writer.write_sample(*sample))?;
        writer.finalize()
    };
    write(&mut bytes).map_err(|error| error.to_string())?;
    Ok(bytes.into_inner())
}

/// Bytes as letters.
#[must_use]
pub fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let of = |n: usize| u32::from(three.get(n).copied().unwrap_or(0));
        let bits = of(0) << 16 | of(1) << 8 | of(2);
        for n in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * n) & 63) as usize];
            text.push(if n <= three.len() { char::from(letter) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_become_letters_as_the_standard_says() {
        let words = ["", "f", "fo", "foo", "foob", "fooba", "foobar"];
        let letters = ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"];
        assert_eq!(words.map(|word| base64(word.as_bytes())), letters);
        assert_eq!(base64(&[0xff, 0xef, 0xbe]), "/+++");
    }

    fn tone(hz: f64) -> Vec<i16> {
        (0..4_800).map(|n| ((std::f64::consts::TAU * hz * f64::from(n) / 48_000.0).sin() * 20_000.0) as i16).collect()
    }

    #[test]
    fn what_would_fold_back_is_gone_and_the_rest_is_there() {
        let loudest = |hz| halve(&tone(hz))[100..2_300].iter().map(|v| v.unsigned_abs()).max().unwrap();
        for hz in [100.0, 997.0, 5_000.0, 8_500.0] {
            assert!((19_300..=20_700).contains(&loudest(hz)), "{hz} Hz: {}", loudest(hz));
        }
        for hz in [13_500.0, 16_000.0, 23_000.0] {
            assert!(loudest(hz) < 60, "{hz} Hz: {}", loudest(hz));
        }
    }

    #[test]
    fn times_at_which_nothing_sounded_are_put_back() {
        let point = |t, sounded| Point { t, sounded, ..Point::default() };
        let kept: Vec<i16> = std::iter::repeat_n(1, 48_000).chain(std::iter::repeat_n(2, 48_000)).collect();
        let series = [point(1.0, 1.0), point(2.0, 1.0), point(3.0, 2.0)];
        let laid = in_time(&kept, &series, 3.0);
        assert_eq!(laid.len(), 144_000);
        assert_eq!([laid[47_999], laid[48_000], laid[95_999], laid[96_000]], [1, 0, 0, 2]);
        assert_eq!(in_time(&kept, &series, 1.5).len(), 72_000);
        assert_eq!(in_time(&kept, &[], 2.0), kept);
    }

    #[test]
    fn the_seconds_around_the_worst_are_chosen() {
        let point = |t: u32| Point { t: f64::from(t), delay: Some([40.0; 3]), ..Point::default() };
        let mut way = Direction { series: (1..=100).map(point).collect(), ..Direction::default() };
        assert_eq!((choose(&way, 100.0).from, choose(&way, 100.0).until), (0.0, 20.0));
        way.series[59].concealed = 30.0;
        way.series[10].concealed = 10.0;
        let part = choose(&way, 100.0);
        assert_eq!((part.from, part.until), (52.0, 72.0));
        way.series[99].silent = 100.0;
        assert_eq!(choose(&way, 100.0).until, 100.0);
        way.series.truncate(5);
        assert_eq!(choose(&way, 5.0).until, 5.0);
    }

    #[test]
    fn a_file_can_be_read_back() {
        let bytes = file(&[1, -2, 3], PAGE_RATE).unwrap();
        let mut reader = hound::WavReader::new(bytes.as_slice()).unwrap();
        assert_eq!((reader.spec().sample_rate, reader.spec().channels), (24_000, 1));
        assert_eq!(reader.samples::<i16>().map(Result::unwrap).collect::<Vec<_>>(), [1, -2, 3]);
    }
}
