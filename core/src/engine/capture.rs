//! Samples to packets.
//!
//! The engine gathers device periods into frames and encodes each frame the moment its last sample is
//! there. Stream time is the count of samples, gaps included: whatever happens to a frame, the next one
//! begins exactly one frame length later.

mod resume;

pub use resume::{Last, Resume};

use crate::capacity::FRAME_VALUES_MAX;
use crate::codec::Encode;
use crate::config::{FrameLen, Stream, Tuning};
use crate::fmt::debug_line;
use crate::meter::{CaptureReport, Recoveries, Work};
use crate::signal::{self, Level};
use crate::time::{Instant, MediaTime, Span};
use crate::wire::{Flags, Frame, Header, Kind};

/// Samples over which sound fades towards and from a gap, so that it does not click: 1 ms.
const GAP_FADE_SAMPLES: usize = 48;

/// A change that takes effect between two frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Command {
    /// Other encoder settings and another frame length, for the same encoder.
    Retune(Tuning, FrameLen),
    /// Stop or resume sending; stream time goes on.
    Mute(bool),
}

/// What became of a full frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Outcome {
    /// It is coded, in the slot.
    Coded,
    /// The encoder refused; counted.
    Refused,
}

/// Gathers samples and encodes frames.
#[derive(Debug)]
pub struct Capture<E> {
    encoder: E,
    stream: Stream,
    pending: Option<(Tuning, FrameLen)>,
    /// What was captured before is not sent.
    heard_from: Instant,
    gathered: [i16; FRAME_VALUES_MAX],
    filled: usize,
    /// Of the first gathered sample.
    media: MediaTime,
    captured: Instant,
    sequence: u32,
    flags: Flags,
    fade_in: bool,
    report: CaptureReport,
}

impl<E: Encode> Capture<E> {
    /// An engine that codes `stream` with `encoder`, from stream time zero.
    #[must_use]
    pub const fn new(encoder: E, stream: Stream) -> Self {
        Self {
            encoder,
            stream,
            pending: None,
            heard_from: Instant::ZERO,
            gathered: [0; FRAME_VALUES_MAX],
            filled: 0,
            media: MediaTime::ZERO,
            captured: Instant::ZERO,
            sequence: 0,
            flags: Flags::START,
            fade_in: false,
            report: CaptureReport {
                captured_samples: 0,
                lost_samples: 0,
                xruns: 0,
                sent: 0,
                no_slot: 0,
                ring_full: 0,
                muted: 0,
                gap_frames: 0,
                encode_errors: 0,
                bytes: 0,
                level: Level { peak: 0, mean_square: 0 },
                commands: 0,
                is_muted: false,
                work: Work::NONE,
                recoveries: Recoveries::NONE,
                edge: None,
            },
        }
    }

    /// The same engine, muted from the start.
    #[must_use]
    pub const fn muted(mut self) -> Self {
        self.report.is_muted = true;
        self
    }

    /// The stream as it is coded now.
    pub const fn stream(&self) -> &Stream {
        &self.stream
    }

    /// What has been done so far.
    pub const fn report(&self) -> &CaptureReport {
        &self.report
    }

    /// Stream time of the next sample.
    pub fn media_time(&self) -> MediaTime {
        self.media.plus(self.filled_samples())
    }

    /// Whether a frame is full: [`encode`](Self::encode) or [`skip`](Self::skip) it before feeding on.
    pub fn is_full(&self) -> bool {
        self.filled >= self.stream.frame_values()
    }

    /// Whether a full frame is to be skipped rather than sent: because of mute, or because it began before the
    /// microphone was unmuted. So not one sample leaves that was captured while muted.
    pub fn is_muted(&self) -> bool {
        self.report.is_muted || self.captured < self.heard_from
    }

    /// Sends nothing that was captured before `when`.
    pub const fn hear_from(&mut self, when: Instant) {
        self.heard_from = when;
    }

    /// Takes a command. New settings wait for the end of the frame that is being gathered.
    pub fn apply(&mut self, command: Command) {
        self.report.commands = self.report.commands.wrapping_add(1);
        match command {
            Command::Mute(muted) => self.report.is_muted = muted,
            Command::Retune(tuning, frame) => self.pending = Some((tuning, frame)),
        }
        self.begin_frame();
    }

    /// Counts a run over of the device.
    pub fn on_xrun(&mut self) {
        self.report.xruns = self.report.xruns.wrapping_add(1);
        debug_line!("capture: the device ran over at {}", self.media.0);
    }

    /// Takes samples until the frame is full; returns how many *values* it took. `first` is when the first
    /// one was captured.
    pub fn feed(&mut self, first: Instant, pcm: &[i16]) -> usize {
        if self.filled == 0 {
            self.captured = first;
        }
        let end = self.stream.frame_values();
        let Some(room) = self.gathered.get_mut(self.filled..end) else {
            return 0;
        };
        let taken = room.len().min(pcm.len());
        room.iter_mut().zip(pcm).for_each(|(to, from)| *to = *from);
        if self.fade_in {
            let fade = GAP_FADE_SAMPLES.saturating_mul(self.stream.channels.count()).min(taken);
            if let Some(edge) = room.get_mut(..fade) {
                signal::fade_in(edge, self.stream.channels.count());
            }
            self.fade_in = false;
        }
        self.filled = self.filled.saturating_add(taken);
        let samples = self.samples(taken);
        self.report.captured_samples = self.report.captured_samples.wrapping_add(samples);
        self.report.level = self.report.level.follow(Level::of(pcm.get(..taken).unwrap_or(&[])));
        taken
    }

    /// The device lost `lost` samples here, beginning at `since`. Returns how many are left to account for:
    /// when that is not zero the frame is full; deal with it and call again.
    ///
    /// The frame under way is filled up with silence, frames that were lost whole are skipped, and the rest
    /// of the gap is silence at the head of the next frame: the grid of stream times stays what it was.
    pub fn on_gap(&mut self, since: Instant, lost: u64) -> u64 {
        if lost == 0 {
            return 0;
        }
        self.fade_in = true;
        if self.filled > 0 {
            self.fade_out_edge();
            return lost.saturating_sub(self.pad(lost));
        }
        let frame = u64::from(self.stream.frame.samples());
        let whole = lost.checked_div(frame).unwrap_or(0);
        let skipped = whole.saturating_mul(frame);
        if whole > 0 {
            self.media = self.media.plus(skipped);
            self.flags = self.flags.with(Flags::GAP);
            self.report.gap_frames = self.report.gap_frames.wrapping_add(whole);
            self.report.lost_samples = self.report.lost_samples.wrapping_add(skipped);
        }
        self.captured = since.plus(Span::from_samples(skipped));
        let rest = lost.saturating_sub(skipped);
        rest.saturating_sub(self.pad(rest))
    }

    /// No more sound will come after `edge`: fills the frame under way up with silence, if there is one.
    pub fn fill_up(&mut self, edge: Instant) {
        if self.filled > 0 {
            self.on_gap(edge, u64::from(self.stream.frame.samples()));
        }
    }

    /// Encodes the full frame into `out`.
    pub fn encode(&mut self, out: &mut Frame) -> Outcome {
        let pcm = self.gathered.get(..self.filled).unwrap_or(&[]);
        let coded = self.encoder.encode(pcm, out.room_mut()).ok();
        let header = coded.and_then(|length| Header::new(Kind::Packet, length).ok());
        let outcome = match header {
            Some(header) => {
                out.header = Header {
                    sequence: self.sequence,
                    flags: self.flags,
                    media: self.media,
                    // What the decoder makes of the packet begins that much earlier.
                    captured: self.captured.minus(Span::from_samples(u64::from(self.encoder.lookahead()))),
                    ..header
                };
                self.flags = Flags::NONE;
                self.report.sent = self.report.sent.wrapping_add(1);
                self.report.bytes = self.report.bytes.wrapping_add(u64::from(header.length));
                Outcome::Coded
            }
            None => {
                self.report.encode_errors = self.report.encode_errors.wrapping_add(1);
                Outcome::Refused
            }
        };
        self.sequence = self.sequence.wrapping_add(1);
        self.next_frame();
        outcome
    }

    /// Passes over the full frame because no slot is free; listeners see a sequence number missing.
    pub fn skip(&mut self) {
        self.report.no_slot = self.report.no_slot.wrapping_add(1);
        self.sequence = self.sequence.wrapping_add(1);
        self.next_frame();
    }

    /// Passes over the full frame because of mute: not a loss, so no sequence number is used.
    pub fn mute(&mut self) {
        self.report.muted = self.report.muted.wrapping_add(1);
        self.flags = self.flags.with(Flags::GAP);
        // Sound goes on in its middle.
        self.fade_in = true;
        self.next_frame();
    }

    /// The coded frame with this header could not be handed over after all. What its marks say, the next one says.
    pub fn on_ring_full(&mut self, header: &Header) {
        self.report.ring_full = self.report.ring_full.wrapping_add(1);
        self.report.sent = self.report.sent.wrapping_sub(1);
        self.report.bytes = self.report.bytes.wrapping_sub(u64::from(header.length));
        self.flags = self.flags.with(header.flags);
    }

    fn next_frame(&mut self) {
        self.media = self.media.plus(self.filled_samples());
        self.filled = 0;
        self.begin_frame();
    }

    /// Applies what was asked for, if no frame is under way.
    fn begin_frame(&mut self) {
        if self.filled > 0 {
            return;
        }
        if let Some((tuning, frame)) = self.pending.take() {
            if self.encoder.retune(tuning).is_err() {
                self.report.encode_errors = self.report.encode_errors.wrapping_add(1);
            }
            self.stream.tuning = tuning;
            self.stream.frame = frame;
        }
    }

    /// Fills the frame up with at most `lost` samples of silence; returns how many.
    fn pad(&mut self, lost: u64) -> u64 {
        let channels = self.stream.channels.count();
        let end = self.stream.frame_values();
        let Some(room) = self.gathered.get_mut(self.filled..end) else {
            return 0;
        };
        let wanted = usize::try_from(lost).unwrap_or(usize::MAX).saturating_mul(channels);
        let silence = room.len().min(wanted);
        room.iter_mut().take(silence).for_each(|value| *value = 0);
        self.filled = self.filled.saturating_add(silence);
        let samples = self.samples(silence);
        self.report.lost_samples = self.report.lost_samples.wrapping_add(samples);
        samples
    }

    fn fade_out_edge(&mut self) {
        let channels = self.stream.channels.count();
        let from = self.filled.saturating_sub(GAP_FADE_SAMPLES.saturating_mul(channels));
        if let Some(edge) = self.gathered.get_mut(from..self.filled) {
            signal::fade_out(edge, channels);
        }
    }

    fn samples(&self, values: usize) -> u64 {
        match self.stream.channels {
            crate::config::Channels::Mono => values as u64,
            crate::config::Channels::Stereo => values as u64 / 2,
        }
    }

    fn filled_samples(&self) -> u64 {
        self.samples(self.filled)
    }
}
