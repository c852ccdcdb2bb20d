//! The crate `neteq`, with what it is set to by default: 16 kHz, and sound that has the pauses of the trace.
//!
//! Its decoder is ours and tells which packets it plays. Where the next sample is from follows from the last one of
//! them and from what the crate holds behind it. A packet that it passes over is left out of the stream.

use crate::{PERIOD_US, Player, Pull};
use neteq::codec::AudioDecoder;
use neteq::neteq::SpeechType;
use neteq::{AudioPacket, NetEq, NetEqConfig, RtpHeader};
use soundpost_sim::playout::Sound;
use soundpost_sim::trace::Trace;
use std::sync::{Arc, Mutex};
use web_time::Duration;

const RATE: u32 = 16_000;
/// A sample of 16 kHz is so many of the stream.
const STEP: u64 = 3;

/// Makes the sound of a packet, and notes that it was asked for.
struct Decoder {
    sound: Sound,
    samples: u64,
    played: Arc<Mutex<Vec<u64>>>,
}

impl AudioDecoder for Decoder {
    fn sample_rate(&self) -> u32 {
        RATE
    }

    fn channels(&self) -> u8 {
        1
    }

    fn decode(&mut self, encoded: &[u8]) -> neteq::Result<Vec<f32>> {
        let seq = encoded.try_into().map_or(0, u64::from_le_bytes);
        self.played.lock().expect("one thread").push(seq);
        let samples = seq * self.samples..(seq + 1) * self.samples;
        Ok(samples.map(|n| f32::from(self.sound.at(n * STEP)) / 32_768.0).collect())
    }
}

pub(crate) struct Crate {
    neteq: NetEq,
    played: Arc<Mutex<Vec<u64>>>,
    packet_ms: u32,
    /// The latest packet that was played.
    latest: Option<u64>,
    operations: u64,
}

impl Crate {
    pub(crate) fn new(trace: &Trace) -> Self {
        let mut neteq = NetEq::new(NetEqConfig { sample_rate: RATE, ..NetEqConfig::default() }).expect("its defaults");
        let played = Arc::new(Mutex::new(Vec::new()));
        let samples = u64::from(trace.packet_ms * RATE / 1_000);
        let decoder = Decoder { sound: Sound::of(trace), samples, played: Arc::clone(&played) };
        neteq.register_decoder(96, Box::new(decoder));
        Self { neteq, played, packet_ms: trace.packet_ms, latest: None, operations: 0 }
    }

    /// What is decoded and not played yet, in microseconds.
    fn held_us(&self) -> i64 {
        let waiting = self.neteq.get_statistics().packets_awaiting_decode * (self.packet_ms * RATE / 1_000) as usize;
        (self.neteq.current_buffer_size_samples().saturating_sub(waiting)) as i64 * 1_000_000 / i64::from(RATE)
    }

    fn place_us(&self, seq: u64) -> i64 {
        (seq * u64::from(self.packet_ms)) as i64 * 1_000
    }
}

impl Player for Crate {
    fn arrive(&mut self, at_us: i64, seq: u64) {
        web_time::set(Duration::from_micros(at_us.unsigned_abs()));
        let timestamp = (seq as u32).wrapping_mul(self.packet_ms * RATE / 1_000);
        let header = RtpHeader::new(seq as u16, timestamp, 1, 96, false);
        let packet = AudioPacket::new(header, seq.to_le_bytes().to_vec(), RATE, 1, self.packet_ms);
        self.neteq.insert_packet(packet).expect("it takes every packet");
    }

    fn pull(&mut self, at_us: i64) -> Pull {
        web_time::set(Duration::from_micros(at_us.unsigned_abs()));
        let held = self.held_us();
        let before = self.latest;
        let frame = self.neteq.get_audio().expect("it always makes sound");
        let mut pull = Pull::default();
        let played = std::mem::take(&mut *self.played.lock().expect("one thread"));
        let first = match before {
            Some(seq) if held > 0 => Some(self.place_us(seq + 1) - held),
            _ => played.first().map(|seq| self.place_us(*seq)),
        };
        for seq in played {
            // What is passed over is left out; what comes out of its order is no sound of its place.
            let (next, length) = (self.latest.map_or(seq, |latest| latest + 1), self.place_us(1));
            pull.made_up_us += if seq < next { length } else { self.place_us(seq - next) };
            self.latest = Some(self.latest.map_or(seq, |latest| latest.max(seq)));
        }
        if frame.speech_type == SpeechType::Expand {
            pull.made_up_us += PERIOD_US;
        } else {
            pull.first = first.map(|from| (0, from));
        }
        let lifetime = self.neteq.get_statistics().lifetime;
        let operations = lifetime.inserted_samples_for_deceleration + lifetime.removed_samples_for_acceleration;
        pull.operations = u32::from(operations > self.operations);
        self.operations = operations;
        pull
    }
}
