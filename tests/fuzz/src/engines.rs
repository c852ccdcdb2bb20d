//! The engines of capture and playback, and the length of a packet.

use super::Script;
use soundpost_core::adapt::CEILING;
use soundpost_core::capacity::{FRAME_SAMPLES_MAX, PERIOD_SAMPLES_MAX};
use soundpost_core::codec::{CodecError, Decode, Encode, Extent, Input, Payload, opus_samples};
use soundpost_core::config::{Channels, Content, Direction, FrameLen, Quality, Stream, Tuning};
use soundpost_core::engine::capture::{Capture, Command, Outcome};
use soundpost_core::engine::playback::{Playback, Refused};
use soundpost_core::jitter::Arrival;
use soundpost_core::time::{Instant, MediaTime, Span};
use soundpost_core::wire::{Flags, Frame};

/// A codec whose sound is never louder than [`LOUD`], and which refuses when it is told to.
#[derive(Default)]
struct Toy {
    refuses: bool,
}

const LOUD: i16 = 1_000;
/// What a device's period holds before it is served.
const UNTOUCHED: i16 = 30_000;

impl Decode for Toy {
    fn decode(&mut self, input: Input<'_>, pcm: &mut [i16]) -> Result<usize, CodecError> {
        match input {
            Input::Packet([255, ..]) | Input::RecoverFrom([254, ..]) => return Err(CodecError { code: 1 }),
            Input::Packet([sound, ..]) => pcm.fill(i16::from(*sound) * 3),
            Input::RecoverFrom(_) => pcm.fill(LOUD),
            Input::Packet([]) | Input::Conceal => pcm.fill(-LOUD),
        }
        Ok(pcm.len())
    }
}

impl Encode for Toy {
    fn encode(&mut self, pcm: &[i16], out: &mut [u8]) -> Result<usize, CodecError> {
        out[..2].copy_from_slice(&(pcm.len() as u16).to_le_bytes());
        if self.refuses { Err(CodecError { code: 1 }) } else { Ok(2) }
    }

    fn lookahead(&self) -> u32 {
        120
    }

    fn retune(&mut self, tuning: Tuning) -> Result<(), CodecError> {
        self.refuses = tuning.dtx;
        Ok(())
    }
}

/// One byte of payload; a copy of a packet, or the packet.
#[derive(Clone, Copy)]
struct Sound {
    sound: u8,
    is_copy: bool,
}

impl Payload for Sound {
    fn with_bytes<R>(&self, read: impl FnOnce(&[u8]) -> R) -> R {
        read(&[self.sound])
    }

    fn is_copy(&self) -> bool {
        self.is_copy
    }
}

/// A playback engine and what is known of it from outside.
struct Listener {
    engine: Playback<Toy, Sound>,
    channels: Channels,
    now: Instant,
    taken: u64,
    taken_samples: u64,
    duplicates: u64,
    late: u64,
    copies: u64,
}

/// Packets of any length from any time, periods of any length, and a clock that jumps both ways: the device is always
/// served, never louder than the codec, and falls silent when nothing comes any more.
pub fn playback_ops(data: &[u8]) {
    let mut script = Script(data);
    let channels = if script.u8() % 2 == 0 { Channels::Mono } else { Channels::Stereo };
    let mut listener = Listener {
        engine: Playback::new(Toy::default(), channels),
        channels,
        now: Instant::from_micros(1_000_000),
        taken: 0,
        taken_samples: 0,
        duplicates: 0,
        late: 0,
        copies: 0,
    };
    let mut next = 0_u64;
    while !script.is_over() {
        match script.u8() % 8 {
            0 => {
                listener.accept(next, 960, script.u8());
                next = next.wrapping_add(960);
            }
            1 => {
                // A packet that brings copies of what may have come, or not, along.
                let (sound, back) = (script.u8(), u64::from(script.u8() % 4));
                listener.accept_copy(next.wrapping_sub(back * 960), 960, sound);
                listener.accept(next, 960, sound);
                next = next.wrapping_add(960 * (1 + back / 2));
            }
            2 => {
                next = next.wrapping_add(u64::from(script.u16()) * 120);
                listener.accept(next, u32::from(script.u16()), script.u8());
            }
            3 => {
                next = script.u64();
                listener.accept(next, u32::from(script.u8()) * 120, script.u8());
            }
            4 => next = next.wrapping_sub(u64::from(script.u16())),
            5 => listener.now = listener.now.plus(Span::from_micros(u64::from(script.u16()) * 8)),
            6 if script.u8() < 16 => listener.now = Instant::from_micros(script.u64()),
            6 => listener.render(usize::from(script.u16()) % (PERIOD_SAMPLES_MAX + 1), u32::from(script.u8())),
            _ => (0..script.u8() % 16).for_each(|_| listener.render(128, 256)),
        }
        if listener.now.as_micros().is_multiple_of(251) {
            listener.engine.on_xrun();
        }
    }
    listener.falls_silent();
}

impl Listener {
    fn accept(&mut self, media: u64, samples: u32, sound: u8) {
        let extent = Extent { media: MediaTime(media), samples };
        let payload = Sound { sound, is_copy: false };
        let captured = sound.is_multiple_of(2).then_some(self.now.minus(Span::from_millis(u64::from(sound))));
        match self.engine.accept(Arrival { extent, arrived: self.now, captured, payload }) {
            Ok(()) => {
                self.taken += 1;
                self.taken_samples += u64::from(samples);
            }
            Err(Refused::Duplicate) => self.duplicates += 1,
            Err(Refused::Late) => self.late += 1,
            Err(Refused::Length) => assert!(samples == 0 || samples as usize > FRAME_SAMPLES_MAX),
            Err(Refused::Spare) => panic!("it is no copy"),
        }
    }

    fn accept_copy(&mut self, media: u64, samples: u32, sound: u8) {
        let extent = Extent { media: MediaTime(media), samples };
        let payload = Sound { sound, is_copy: true };
        let arrival = Arrival { extent, arrived: self.now, captured: None, payload };
        assert!(matches!(self.engine.accept(arrival), Ok(()) | Err(Refused::Spare)));
        self.copies += 1;
    }

    /// Serves a period; returns whether it was silent.
    fn period(&mut self, samples: usize, queued: u32) -> bool {
        let mut out = [UNTOUCHED; 2 * PERIOD_SAMPLES_MAX];
        let out = &mut out[..samples * self.channels.count()];
        self.engine.render(self.now, queued, out);
        // Interpolation overshoots where sounds meet that have nothing to do with each other.
        assert!(out.iter().all(|value| (-3 * LOUD..=3 * LOUD).contains(value)), "not served, or too loud");
        self.now = self.now.plus(Span::from_samples(samples as u64));
        self.counters_are_consistent(queued);
        out.iter().all(|value| *value == 0)
    }

    fn render(&mut self, samples: usize, queued: u32) {
        self.period(samples, queued);
    }

    fn counters_are_consistent(&self, queued: u32) {
        let report = self.engine.report();
        assert_eq!((report.metrics.frames_received, report.duplicates), (self.taken, self.duplicates));
        assert!(report.late >= self.late && report.late - self.late + report.overflow <= self.taken);
        assert!(report.played_samples <= self.taken_samples);
        assert!(report.copied_samples.div_ceil(960) + report.spare_copies <= self.copies, "copies out of nothing");
        // The aim is at the next place on the grid of pulls, at most a period and a frame above what is asked for.
        assert!(report.target <= CEILING.plus(Span::from_millis(80)), "{:?}", report.target);
        assert_eq!(report.queued, queued);
        assert!(report.held_samples < 1 << 62 && report.concealed_samples < 1 << 62, "counted below zero");
    }

    /// A full store of the longest packets, each behind a gap that is concealed, lasts under six seconds. Silence that
    /// is longer than packets are ever made to wait is the end.
    fn falls_silent(&mut self) {
        let mut silent = 0;
        for _ in 0..400 {
            let is_silent = self.period(PERIOD_SAMPLES_MAX, 0) && !self.engine.report().playing;
            silent = if is_silent { silent + 1 } else { 0 };
            if silent > 60 {
                return;
            }
        }
        panic!("silence is the floor");
    }
}

/// A capture engine and what is known of it from outside.
struct Recorder {
    engine: Capture<Toy>,
    frame: Box<Frame>,
    now: Instant,
    /// Frames that were dealt with, one way or another.
    dealt: u64,
    /// Sequence number and stream time of the packet that comes next if nothing is lost.
    sequence: u32,
    expected: u64,
}

/// Sound, gaps, mute, new frame lengths and lost slots in any order: stream time counts every sample once, and packets
/// say where they belong.
pub fn capture_ops(data: &[u8]) {
    let mut script = Script(data);
    let content = if script.u8() % 2 == 0 { Content::Voice } else { Content::Program };
    let stream = Quality::Medium.stream(Direction::Capture, content);
    let mut recorder = Recorder {
        engine: Capture::new(Toy::default(), stream),
        frame: Box::new(Frame::EMPTY),
        now: Instant::from_micros(1_000_000),
        dealt: 0,
        sequence: 0,
        expected: 0,
    };
    while !script.is_over() {
        let operation = script.u8();
        match operation % 8 {
            0..=2 => recorder.feed(usize::from(script.u16()) % (PERIOD_SAMPLES_MAX + 1), operation),
            3 => recorder.gap(u64::from(script.u16()), operation),
            4 => recorder.gap(script.u64() >> 16, operation),
            5 => recorder.engine.apply(Command::Mute(operation & 8 != 0)),
            6 => recorder.engine.apply(retune(stream, script.u8())),
            _ => recorder.fill_up(operation),
        }
        recorder.ledger_is_balanced();
    }
}

fn retune(stream: Stream, choice: u8) -> Command {
    let frame = FrameLen::ALL[usize::from(choice) % FrameLen::ALL.len()];
    // The toy codec takes this to mean that it refuses.
    Command::Retune(Tuning { dtx: choice & 0x40 != 0, ..stream.tuning }, frame)
}

impl Recorder {
    fn feed(&mut self, samples: usize, operation: u8) {
        let channels = self.engine.stream().channels.count();
        let pcm = [LOUD; 2 * PERIOD_SAMPLES_MAX];
        let mut rest = &pcm[..samples * channels];
        while !rest.is_empty() {
            let before = self.engine.media_time();
            let taken = self.engine.feed(self.now, rest);
            assert!(taken > 0 && taken <= rest.len(), "a frame that is not full takes sound");
            assert_eq!(self.engine.media_time().since(before) as usize * channels, taken);
            self.now = self.now.plus(Span::from_samples((taken / channels) as u64));
            rest = &rest[taken..];
            self.deal(operation);
        }
    }

    fn gap(&mut self, lost: u64, operation: u8) {
        let (mut left, mut rounds) = (lost, 0);
        let before = self.engine.media_time();
        while left > 0 {
            let now_left = self.engine.on_gap(self.now, left);
            assert!(now_left < left && (now_left == 0 || self.engine.is_full()));
            left = now_left;
            self.deal(operation);
            rounds += 1;
        }
        assert!(rounds <= 2, "{rounds} rounds");
        assert_eq!(self.engine.media_time().since(before), lost);
        self.now = self.now.plus(Span::from_samples(lost));
    }

    fn fill_up(&mut self, operation: u8) {
        let before = self.engine.media_time();
        self.engine.fill_up(self.now);
        let filled = self.engine.media_time().since(before);
        assert!(filled < 2880 && (filled == 0 || self.engine.is_full()));
        self.deal(operation);
    }

    /// Does with a full frame what the crank would do.
    fn deal(&mut self, operation: u8) {
        if !self.engine.is_full() {
            return;
        }
        self.dealt += 1;
        if self.engine.is_muted() {
            self.engine.mute();
        } else if operation & 0x70 == 0 {
            self.engine.skip();
            self.sequence = self.sequence.wrapping_add(1);
        } else {
            let outcome = self.encode();
            if outcome == Outcome::Coded && operation & 0x70 == 0x10 {
                let header = self.frame.header;
                self.engine.on_ring_full(&header);
            }
        }
        assert!(!self.engine.is_full());
    }

    fn encode(&mut self) -> Outcome {
        let samples = u64::from(self.engine.stream().frame.samples());
        let begin = self.engine.media_time().0 - samples;
        let outcome = self.engine.encode(&mut self.frame);
        let expected = std::mem::replace(&mut self.expected, begin + samples);
        if outcome == Outcome::Coded {
            let header = self.frame.header;
            assert_eq!((header.media.0, header.sequence), (begin, self.sequence));
            let in_order = begin == expected || header.flags.has(Flags::GAP) || self.sequence > 0;
            assert!(in_order && begin >= expected, "a jump that nobody was told of");
            assert_eq!(self.frame.payload().len(), 2);
        }
        self.sequence = self.sequence.wrapping_add(1);
        outcome
    }

    fn ledger_is_balanced(&self) {
        let report = self.engine.report();
        assert_eq!(report.captured_samples + report.lost_samples, self.engine.media_time().0);
        assert_eq!(report.sent + report.no_slot + report.ring_full + report.muted + report.encode_errors, self.dealt);
        assert!(!self.engine.is_full());
    }
}

/// Frame lengths of Opus in samples at 48 kHz, by configuration number (RFC 6716, table 2).
const FRAMES: [u32; 32] = [
    480, 960, 1920, 2880, 480, 960, 1920, 2880, 480, 960, 1920, 2880, 480, 960, 480, 960, 120, 240, 480, 960, 120, 240,
    480, 960, 120, 240, 480, 960, 120, 240, 480, 960,
];

/// The length of a packet is what the table says, of its first two bytes alone.
pub fn opus_toc(data: &[u8]) {
    let samples = opus_samples(data);
    assert_eq!(samples, opus_samples(&data[..data.len().min(2)]));
    let Some((toc, rest)) = data.split_first() else {
        assert_eq!(samples, None);
        return;
    };
    let count = match toc & 3 {
        0 => Some(1),
        1 | 2 => Some(2),
        _ => rest.first().map(|count| u32::from(count & 0x3f)),
    };
    let expected = count.map(|count| count * FRAMES[usize::from(toc >> 3)]).filter(|n| (120..=5760).contains(n));
    assert_eq!(samples, expected);
}
