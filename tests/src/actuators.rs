//! Sound that an actuator of the playback has worked on, and where each part of it came from.
//!
//! The same is done as in the playback engine, with the same parts of core, but at known places and often, so that what
//! it does to the sound can be measured and looked at. [`report`] sums it up.

use std::f64::consts::{PI, TAU};
use std::ops::Range;

use soundpost_core::codec::{Decode, Encode, Input};
use soundpost_core::config::{Bitrate, Channels, Content, Direction, FrameLen, Quality, Stream};
use soundpost_core::resample::{DELAY_SAMPLES, Resampler};
use soundpost_core::signal;
use soundpost_core::stretch::{LOOK_AHEAD_SAMPLES, Stretch, Urgency};
use soundpost_linux::opus::{OpusDecoder, OpusEncoder};

use crate::measure::{Likeness, SEGMENT, likeness};
use crate::speech;

/// What is decoded or pulled at a time here: 20 ms.
const FRAME: usize = 960;

/// A period is taken out or put in every 400 ms at most, far more often than in any playback.
const PAUSE: usize = 19_200;

/// What came out.
pub struct Treated {
    /// The sound.
    pub sound: Vec<f32>,
    /// What it should be like.
    pub original: Vec<f32>,
    /// From which sample on, and how much later in the original that is.
    pub offsets: Vec<(usize, isize)>,
    /// Where in the sound something was done.
    pub seams: Vec<Range<usize>>,
}

impl Treated {
    fn new(sound: &[i16], original: &[i16]) -> Self {
        let (sound, original) = (speech::to_f32(sound), speech::to_f32(original));
        Self { sound, original, offsets: vec![(0, 0)], seams: Vec::new() }
    }

    /// Where in the original what is heard here was.
    pub fn origin(&self, at: usize) -> usize {
        let after = self.offsets.partition_point(|(from, _)| *from <= at);
        at.saturating_add_signed(self.offsets[after - 1].1)
    }

    /// How it compares, all of it.
    pub fn all(&self) -> Likeness {
        likeness((0..self.sound.len()).step_by(SEGMENT / 2).map(|at| self.pair(at)))
    }

    /// How it compares where something was done.
    pub fn at_seams(&self) -> Likeness {
        let middles = self.seams.iter().map(|seam| seam.start.midpoint(seam.end));
        likeness(middles.map(|middle| self.pair(middle.saturating_sub(SEGMENT / 2))))
    }

    /// The segment from here on, and its original.
    fn pair(&self, at: usize) -> (&[f32], &[f32]) {
        let from = self.origin(at + SEGMENT / 2).saturating_sub(SEGMENT / 2);
        let piece = |signal: &'_ [f32], from: usize| from.min(signal.len())..(from + SEGMENT).min(signal.len());
        (&self.original[piece(&self.original, from)], &self.sound[piece(&self.sound, at)])
    }

    /// By how many decibels it is louder than the original.
    pub fn louder(&self) -> f64 {
        let power = |sound: &[f32]| sound.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>() / sound.len() as f64;
        10.0 * (power(&self.sound) / power(&self.original)).log10()
    }
}

/// Twelve seconds of speech.
pub fn spoken() -> Vec<i16> {
    let text = "The quick brown fox jumps over the lazy dog. Where were you while we were away? \
                She sells sea shells on the shore; fifty ships should steer by the shining stars.";
    speech::to_i16(&speech::speech(text, 12.0))
}

/// Twelve seconds of something like music: plucked chords, a bass, and a brush on a drum.
pub fn played() -> Vec<i16> {
    const CHORDS: [[f64; 4]; 4] = [
        [110.0, 220.0, 277.18, 329.63],
        [98.0, 196.0, 246.94, 293.66],
        [87.31, 220.0, 261.63, 349.23],
        [82.41, 207.65, 246.94, 329.63],
    ];
    let mut noise = 1_u32;
    let sample = |n: usize| {
        let seconds = n as f64 / 48_000.0;
        let chord = CHORDS[(seconds / 1.5) as usize % CHORDS.len()];
        let within = seconds % 1.5;
        let string = |(k, hertz): (usize, f64)| {
            let since = within - 0.2 * k as f64;
            let tone = (1..8).map(|h| (TAU * hertz * f64::from(h) * since).sin() / f64::from(h * h));
            if since < 0.0 { 0.0 } else { tone.sum::<f64>() * (-2.0 * since).exp() * (since * 300.0).min(1.0) }
        };
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let brush = f64::from((noise >> 16) as i16) / 32_768.0 * (-40.0 * (seconds % 0.375)).exp();
        let strings: f64 = chord.into_iter().enumerate().map(string).sum();
        (32_768.0 * (0.12 * strings + 0.06 * brush)) as i16
    };
    (0..12 * 48_000).map(sample).collect()
}

/// At another pace, beside what an ideal resampler would make.
pub fn resampled(input: &[i16], ppb: i32) -> Treated {
    let mut resampler = Resampler::new(Channels::Mono);
    resampler.set_ratio_ppb(ppb);
    let (mut out, mut pull, mut rest) = (Vec::new(), [0; FRAME / 2], input);
    while resampler.needed(pull.len()) <= rest.len() {
        rest = &rest[resampler.process(rest, &mut pull)..];
        out.extend(pull);
    }
    let pace = 1.0 + f64::from(ppb) / 1e9;
    // The first sample is made after one and the ratio's worth were consumed.
    let ideal = (0..out.len()).map(|n| ideal(input, (n + 1) as f64 * pace - 1.0 - DELAY_SAMPLES as f64));
    let mut treated = Treated::new(&out, &ideal.collect::<Vec<_>>());
    treated.seams = (0..out.len()).step_by(FRAME).map(|at| at..at + FRAME).collect();
    treated
}

/// The value between samples, from 256 of them.
fn ideal(input: &[i16], at: f64) -> i16 {
    const HALF: i64 = 128;
    let middle = at.floor() as i64;
    let weighted = (middle - HALF + 1..=middle + HALF).map(|n| {
        let value = usize::try_from(n).ok().and_then(|n| input.get(n)).copied().unwrap_or(0);
        let t = at - n as f64;
        let sinc = if t.abs() < 1e-9 { 1.0 } else { (PI * t).sin() / (PI * t) };
        f64::from(value) * sinc * (0.5 + 0.5 * (PI * t / HALF as f64).cos())
    });
    weighted.sum::<f64>().round().clamp(-32_768.0, 32_767.0) as i16
}

/// What is done to the length.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Length {
    /// Always less.
    Less,
    /// Always more.
    More,
    /// Less and more in turn, so that the whole stays as long as it was.
    InTurn,
}

/// Periods of at most 10 ms are taken out or put in, where that may be done.
pub fn stretched(input: &[i16], length: Length, urgency: Urgency) -> Treated {
    worked(input, length, |stretch, room, less| {
        let done = match less {
            true => stretch.remove(&mut room[..LOOK_AHEAD_SAMPLES], 480, urgency),
            false => stretch.insert(room, LOOK_AHEAD_SAMPLES, 480, urgency),
        };
        done.map(|done| done.samples)
    })
}

/// The same without looking: 8 ms are left out or said twice wherever it is, with a cross-fade of 2.5 ms.
pub fn stretched_blindly(input: &[i16], length: Length) -> Treated {
    const PIECE: usize = 384;
    const FADE: usize = 120;
    worked(input, length, |_, room, less| {
        if !less {
            room.copy_within(PIECE..LOOK_AHEAD_SAMPLES, 2 * PIECE);
            let (first, again) = room.split_at_mut(PIECE);
            // What follows the piece fades into its beginning.
            signal::cross_fade(&mut again[..FADE], &first[..FADE], 1);
            again[FADE..PIECE].copy_from_slice(&first[FADE..]);
        } else {
            let (first, second) = room.split_at_mut(PIECE);
            signal::cross_fade(&mut first[..FADE], &second[..FADE], 1);
            second[..FADE].copy_from_slice(&first[..FADE]);
        }
        Some(PIECE)
    })
}

/// Lets `work` change the length of what comes next, every 10 ms until it has done it and then not for a while. It
/// gets 30 ms of sound with as much room behind and whether to make it less, and says by how many samples it did.
fn worked(input: &[i16], length: Length, work: impl Fn(&Stretch, &mut [i16], bool) -> Option<usize>) -> Treated {
    let mut stretch = Stretch::new(Channels::Mono);
    let (mut source, mut out, mut at, mut next) = (input.to_vec(), Vec::new(), 0, PAUSE);
    let (mut offsets, mut seams, mut offset) = (vec![(0, 0)], Vec::new(), 0_isize);
    while at + LOOK_AHEAD_SAMPLES <= source.len() {
        let less = length == Length::Less || (length == Length::InTurn && seams.len() % 2 == 0);
        let mut room = source[at..at + LOOK_AHEAD_SAMPLES].to_vec();
        room.resize(2 * LOOK_AHEAD_SAMPLES, 0);
        if let Some(by) = if out.len() < next { None } else { work(&stretch, &mut room, less) } {
            let (kept, seam, moved) = match less {
                true => (by..LOOK_AHEAD_SAMPLES, out.len()..out.len() + by, by as isize),
                false => (0..LOOK_AHEAD_SAMPLES + by, out.len() + by..out.len() + 2 * by, -(by as isize)),
            };
            source.splice(at..at + LOOK_AHEAD_SAMPLES, room[kept].iter().copied());
            offset += moved;
            offsets.push((seam.start.midpoint(seam.end), offset));
            next = seam.end + PAUSE;
            seams.push(seam);
        }
        let pull = &source[at..(at + FRAME / 2).min(source.len())];
        stretch.hear(pull);
        out.extend_from_slice(pull);
        at += FRAME / 2;
    }
    Treated { offsets, seams, ..Treated::new(&out, input) }
}

/// Every eleventh packet is lost and made up by libopus; the original is what is decoded without loss.
pub fn concealed(input: &[i16], content: Content) -> Treated {
    let packets = packets(input, content);
    let whole = decoded(&packets, |_| false);
    let lost = |number: usize| number % 11 == 10;
    let seams = (0..packets.len()).filter(|n| lost(*n)).map(|n| n * FRAME..(n + 1) * FRAME).collect();
    Treated { seams, ..Treated::new(&decoded(&packets, lost), &whole) }
}

/// Every 25th packet is passed over: what the decoder makes up in 2.5 ms fades into the next one.
pub fn spliced(input: &[i16], content: Content) -> Treated {
    const BRIDGE: usize = 120;
    let packets = packets(input, content);
    let mut decoder = OpusDecoder::new(Channels::Mono).expect("libopus");
    let (mut out, mut offsets, mut seams) = (Vec::new(), vec![(0, 0)], Vec::new());
    let mut bridge = Vec::new();
    for (number, packet) in packets.iter().enumerate() {
        if number % 25 == 24 {
            bridge = vec![0; BRIDGE];
            decoder.decode(Input::Conceal, &mut bridge).expect("made up");
            offsets.push((out.len() + BRIDGE / 2, ((number + 1) * FRAME - out.len()) as isize));
            seams.push(out.len()..out.len() + BRIDGE);
            continue;
        }
        let mut pcm = [0; FRAME];
        decoder.decode(Input::Packet(packet), &mut pcm).expect("a packet");
        signal::cross_fade(&mut bridge, &pcm[..BRIDGE], 1);
        pcm.iter_mut().zip(bridge.drain(..)).for_each(|(to, from)| *to = from);
        out.extend(pcm);
    }
    Treated { offsets, seams, ..Treated::new(&out, &decoded(&packets, |_| false)) }
}

fn packets(input: &[i16], content: Content) -> Vec<Vec<u8>> {
    let mut encoder = OpusEncoder::new(&coded(content)).expect("libopus");
    let mut packet = [0; 1500];
    let mut coded = |frame: &[i16]| {
        let length = encoder.encode(frame, &mut packet).expect("a frame");
        packet[..length].to_vec()
    };
    input.as_chunks::<FRAME>().0.iter().map(|frame| coded(frame)).collect()
}

/// Speech at 24 kbit/s (SILK), all else at 96 kbit/s (CELT), in one channel.
fn coded(content: Content) -> Stream {
    let (quality, bits) = match content {
        Content::Voice => (Quality::Low, 24_000),
        Content::Program => (Quality::High, 96_000),
    };
    let mut stream = quality.stream(Direction::Capture, Content::Voice).with_frame(FrameLen::Ms20);
    stream.tuning.bitrate = Bitrate::from_bps(bits).expect("Opus has it");
    stream.tuning.dtx = false;
    stream
}

fn decoded(packets: &[Vec<u8>], lost: impl Fn(usize) -> bool) -> Vec<i16> {
    let mut decoder = OpusDecoder::new(Channels::Mono).expect("libopus");
    let mut out = Vec::new();
    for (number, packet) in packets.iter().enumerate() {
        let mut pcm = [0; FRAME];
        let input = if lost(number) { Input::Conceal } else { Input::Packet(packet) };
        decoder.decode(input, &mut pcm).expect("a packet");
        out.extend(pcm);
    }
    out
}

/// All that is done to one sound, by name, and what came out.
pub fn report(input: &[i16], content: Content) -> Vec<(&'static str, Treated)> {
    vec![
        ("resampled by 300 ppm", resampled(input, 300_000)),
        ("resampled by 0.5 %", resampled(input, 5_000_000)),
        ("periods removed, calm", stretched(input, Length::Less, Urgency::Calm)),
        ("periods inserted, calm", stretched(input, Length::More, Urgency::Calm)),
        ("both in turn, calm", stretched(input, Length::InTurn, Urgency::Calm)),
        ("both in turn, pressed", stretched(input, Length::InTurn, Urgency::Pressed)),
        ("both in turn, must", stretched(input, Length::InTurn, Urgency::Must)),
        ("both in turn, blindly (for comparison)", stretched_blindly(input, Length::InTurn)),
        ("one packet in 11 concealed by libopus", concealed(input, content)),
        ("one packet in 25 passed over", spliced(input, content)),
    ]
}
