//! The sound of a trace: every sample is a function of its place in the stream, so what is heard tells where it is from.
//!
//! While somebody talks it is something like speech: a voice of changing pitch, a hiss now and then. In between there is
//! soft noise, as in any room. Both come from tables, so that ten minutes take a second.

use crate::trace::Trace;
use soundpost_core::codec::{CodecError, Decode, Input, Payload};
use std::f64::consts::TAU;
use std::rc::Rc;

/// Lengths of the tables in samples: some seconds, and no multiples of each other.
const VOICE: usize = 311_357;
const ROOM: usize = 200_003;
/// Syllables are so long; every fourth hisses.
const SYLLABLE: usize = 9_600;

/// What was captured.
#[derive(Debug)]
pub struct Sound {
    voice: Vec<i16>,
    room: Vec<i16>,
    /// Whether somebody talks in the packet of that number.
    talk: Vec<bool>,
    packet: usize,
}

impl Sound {
    /// What is said in a trace, for the one who speaks in it.
    #[must_use]
    pub fn of(trace: &Trace) -> Self {
        let last = trace.packets.last().map_or(0, |packet| packet.seq as usize);
        let mut talk = vec![false; last + 1];
        trace.packets.iter().for_each(|packet| talk[packet.seq as usize] = packet.talk);
        Self { voice: voice(), room: room(), talk, packet: trace.packet_ms as usize * 48 }
    }

    pub(super) fn talks(&self, sample: u64) -> bool {
        let packet = usize::try_from(sample).unwrap_or(usize::MAX) / self.packet;
        self.talk.get(packet).copied().unwrap_or(false)
    }

    /// Whether a place can be told from what is heard there: in noise, but not in a tone.
    pub(super) fn is_noise(&self, sample: u64) -> bool {
        !self.talks(sample)
    }

    /// A sample of it.
    #[must_use]
    pub fn at(&self, sample: u64) -> i16 {
        let n = usize::try_from(sample).unwrap_or(usize::MAX);
        if self.talks(sample) { self.voice[n % VOICE] } else { self.room[n % ROOM] }
    }
}

/// Noise without its highest notes, from a seed.
fn noise(length: usize, size: f64, seed: u32) -> impl Iterator<Item = f64> {
    let mut state = seed;
    let mut white = move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f64::from(state >> 8) / f64::from(1 << 23) - 1.0
    };
    let (mut low, mut lower) = (0.0, 0.0);
    (0..length).map(move |_| {
        low += 0.35 * (white() - low);
        lower += 0.35 * (low - lower);
        lower * size
    })
}

fn room() -> Vec<i16> {
    noise(ROOM, 60.0, 7).map(|value| value.round() as i16).collect()
}

fn voice() -> Vec<i16> {
    let mut phase = 0.0;
    let hiss = noise(VOICE, 9_000.0, 3);
    let sample = |(n, hiss): (usize, f64)| {
        let (syllable, inside) = (n / SYLLABLE, (n % SYLLABLE) as f64 / SYLLABLE as f64);
        let pitch = 110.0 + 15.0 * (syllable % 7) as f64 - 20.0 * inside;
        phase = (phase + pitch / 48_000.0) % 1.0;
        let swell = (inside * TAU / 2.0).sin().sqrt();
        let tone: f64 = (1..12).map(|k| (f64::from(k) * phase * TAU).sin() / f64::from(k)).sum();
        let value = if syllable % 4 == 3 { hiss } else { 5_000.0 * tone + 0.02 * hiss };
        (value * swell) as i16
    };
    hiss.enumerate().map(sample).collect()
}

/// A packet of a trace: nothing but where it stands. It looks like CELT, without redundancy.
#[derive(Clone, Copy, Debug)]
pub(super) struct Marked([u8; 9]);

impl Marked {
    pub(super) fn new(media: u64) -> Self {
        let mut bytes = [31 << 3; 9];
        bytes[1..].copy_from_slice(&media.to_le_bytes());
        Self(bytes)
    }
}

impl Payload for Marked {
    fn with_bytes<R>(&self, read: impl FnOnce(&[u8]) -> R) -> R {
        read(&self.0)
    }
}

/// Makes the sound of a packet from where it stands, and counts what it makes up.
#[derive(Debug)]
pub(super) struct Decoder(pub(super) Rc<Sound>);

impl Decode for Decoder {
    fn decode(&mut self, input: Input<'_>, pcm: &mut [i16]) -> Result<usize, CodecError> {
        let Input::Packet([_, media @ ..]) = input else {
            pcm.fill(0);
            return Ok(pcm.len());
        };
        let first = u64::from_le_bytes(media.try_into().map_err(|_| CodecError { code: -1 })?);
        pcm.iter_mut().zip(first..).for_each(|(value, n)| *value = self.0.at(n));
        Ok(pcm.len())
    }
}
