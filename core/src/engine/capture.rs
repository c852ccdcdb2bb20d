//! Samples to packets.
//!
//! The engine gathers device periods into frames and encodes each frame the moment its last sample is
//! there. Stream time is the count of samples, gaps included: whatever happens to a frame, the next one
//! begins exactly one frame length later.

mod resume;
mod seam;

pub use resume::{Last, Resume};
pub use seam::{PRIMING_SAMPLES, Shape};

use crate::capacity::FRAME_VALUES_MAX;
use crate::codec::Encode;
use crate::config::{FrameLen, Gain, Stream, Tuning};
use crate::engine::fader::Fader;
use crate::fmt::debug_line;
use crate::meter::{CaptureReport, Recoveries, Work};
use crate::signal::{self, Level};
use crate::time::{Instant, MediaTime, Span};
use crate::wire::{Flags, Frame, Header, Kind};
use seam::Past;

/// Samples over which sound fades towards and from a gap, so that it does not click: 1 ms.
const GAP_FADE_SAMPLES: usize = 48;

/// Sound with larger peaks is sent, whatever an encoder takes it for: −40 dB of full scale. What tells speech from noise
/// takes a tone that goes on for noise.
const PAUSE_PEAK: u16 = 328;

/// A change that takes effect between two frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Command {
    /// Other encoder settings and another frame length, for the same encoder.
    Retune(Tuning, FrameLen),
    /// Go on with the encoder that was handed over beside this.
    Reshape,
    /// Stop or resume sending; stream time goes on.
    Mute(bool),
    /// Louder or softer.
    Gain(Gain),
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
    /// The encoder that codes from the next frame on, and the one that did before the last such change.
    next: Option<Shape<E>>,
    spent: Option<E>,
    /// Changes of the stream that wait for the next frame.
    waiting: u32,
    past: Past,
    /// What was captured before is not sent.
    heard_from: Instant,
    gathered: [i16; FRAME_VALUES_MAX],
    filled: usize,
    /// Of the first gathered sample.
    media: MediaTime,
    captured: Instant,
    sequence: u32,
    flags: Flags,
    /// Samples left of the fade from a gap into sound.
    fade_in: usize,
    /// The frame under way is the last one before mute: silence from here on.
    closing: bool,
    fader: Fader,
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
            next: None,
            spent: None,
            waiting: 0,
            past: Past::NONE,
            heard_from: Instant::ZERO,
            gathered: [0; FRAME_VALUES_MAX],
            filled: 0,
            media: MediaTime::ZERO,
            captured: Instant::ZERO,
            sequence: 0,
            flags: Flags::START,
            fade_in: 0,
            closing: false,
            fader: Fader::new(),
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
                changes: 0,
                is_muted: false,
                gain: Gain::NONE,
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
    /// microphone was unmuted. So not one sample leaves that was captured while muted. A frame that had begun before is
    /// sent: it ends in silence.
    pub fn is_muted(&self) -> bool {
        !self.closing && self.is_unheard()
    }

    fn is_unheard(&self) -> bool {
        self.report.is_muted || self.captured < self.heard_from
    }

    /// Sends nothing that was captured before `when`.
    pub const fn hear_from(&mut self, when: Instant) {
        self.heard_from = when;
    }

    /// Takes a command. New settings wait for the end of the frame that is being gathered.
    pub fn apply(&mut self, command: Command) {
        self.report.commands = self.report.commands.wrapping_add(1);
        if command == Command::Mute(true) {
            self.close_frame();
        }
        match command {
            Command::Mute(muted) => self.report.is_muted = muted,
            Command::Retune(tuning, frame) => {
                self.waiting = self.waiting.saturating_add(1);
                self.pending = Some((tuning, frame));
            }
            // Its encoder comes through `reshape`; one that did not come changes nothing.
            Command::Reshape => {}
            Command::Gain(gain) => self.fader.set(gain),
        }
        self.report.gain = self.fader.gain();
        self.begin_frame();
    }

    /// Takes another encoder, which takes over when the present one has coded one more frame; settings that wait are not
    /// for it.
    ///
    /// Only while nothing [is spent](Self::has_spent).
    pub fn reshape(&mut self, shape: Shape<E>) {
        self.waiting = self.waiting.saturating_add(1);
        self.pending = None;
        self.encoder.wind_up();
        // One that waited in vain goes, too.
        self.spent = self.next.replace(shape).map(|shape| shape.encoder);
    }

    /// Whether an encoder waits to be taken away.
    pub const fn has_spent(&self) -> bool {
        self.spent.is_some()
    }

    /// An encoder that is not needed any more, to be dropped elsewhere.
    pub const fn take_spent(&mut self) -> Option<E> {
        self.spent.take()
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
        let room = room.get_mut(..taken).unwrap_or_default();
        let channels = self.stream.channels.count();
        room.iter_mut().zip(pcm).for_each(|(to, from)| *to = *from);
        self.fader.process(room, channels);
        self.report.level = self.report.level.follow(Level::of(room));
        if self.closing {
            room.fill(0);
        } else if self.fade_in > 0 {
            self.fade_in = fade_in(room, channels, self.fade_in);
        }
        self.filled = self.filled.saturating_add(taken);
        let samples = self.samples(taken);
        self.report.captured_samples = self.report.captured_samples.wrapping_add(samples);
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
        self.fade_in = GAP_FADE_SAMPLES;
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
        let pcm = self.gathered.get_mut(..self.filled).unwrap_or(&mut []);
        self.past.pass(pcm, self.stream.channels);
        let late = self.encoder.lookahead().saturating_add(self.past.lag());
        if self.stream.tuning.dtx {
            self.encoder.may_pause(Level::of(pcm).peak < PAUSE_PEAK);
        }
        let coded = self.encoder.encode(pcm, out.room_mut()).ok();
        let header = coded.and_then(|length| Header::new(Kind::Packet, length).ok());
        let outcome = match header {
            Some(header) => {
                out.header = Header {
                    sequence: self.sequence,
                    flags: self.flags,
                    media: self.media,
                    // What the decoder makes of the packet begins that much earlier.
                    captured: self.captured.minus(Span::from_samples(u64::from(late))),
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
        let pcm = self.gathered.get_mut(..self.filled).unwrap_or(&mut []);
        self.past.pass(pcm, self.stream.channels);
        self.report.no_slot = self.report.no_slot.wrapping_add(1);
        self.sequence = self.sequence.wrapping_add(1);
        self.next_frame();
    }

    /// Passes over the full frame because of mute: not a loss, so no sequence number is used.
    pub fn mute(&mut self) {
        self.report.muted = self.report.muted.wrapping_add(1);
        self.flags = self.flags.with(Flags::GAP);
        // Sound goes on in its middle.
        self.fade_in = GAP_FADE_SAMPLES;
        // Nothing of it may be in what is coded later.
        self.past.forget();
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
        if !self.has_spent()
            && let Some(shape) = self.next.take()
        {
            self.swap(shape);
        }
        // What follows begins in the middle of its sound.
        if core::mem::take(&mut self.closing) {
            self.fade_in = GAP_FADE_SAMPLES;
        }
        self.begin_frame();
    }

    /// Applies what was asked for, if no frame is under way.
    fn begin_frame(&mut self) {
        if self.filled > 0 {
            return;
        }
        if self.next.is_some() {
            return;
        }
        if let Some((tuning, frame)) = self.pending.take() {
            if self.encoder.retune(tuning).is_err() {
                self.report.encode_errors = self.report.encode_errors.wrapping_add(1);
            }
            self.stream.tuning = tuning;
            self.stream.frame = frame;
        }
        self.report.changes = self.report.changes.wrapping_add(core::mem::take(&mut self.waiting));
    }

    /// The next frame is another encoder's.
    fn swap(&mut self, shape: Shape<E>) {
        let Shape { mut encoder, stream } = shape;
        let late = self.encoder.lookahead().saturating_add(self.past.lag());
        self.past.hand_over(&mut encoder, late, self.stream.channels, stream.channels);
        self.stream = stream;
        self.spent = Some(core::mem::replace(&mut self.encoder, encoder));
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

    /// Mute begins: the frame under way fades out where it is, and is sent. If there is too little of it to fade, it is
    /// not sent, and listeners let fade what came before.
    fn close_frame(&mut self) {
        let enough = GAP_FADE_SAMPLES.saturating_mul(self.stream.channels.count());
        if self.filled >= enough && !self.is_unheard() && !self.closing {
            self.fade_out_edge();
            self.closing = true;
        }
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

/// Goes on with a fade of which so many samples are left, over the begin of `pcm`; returns how many are left then.
fn fade_in(pcm: &mut [i16], channels: usize, left: usize) -> usize {
    let samples = pcm.len().checked_div(channels).unwrap_or(0).min(left);
    // Fewer than fifty: no cast loses anything.
    let gain =
        |left: usize| (GAP_FADE_SAMPLES.saturating_sub(left) << 15).checked_div(GAP_FADE_SAMPLES).unwrap_or(0) as i32;
    let (from, rest) = (gain(left), left.saturating_sub(samples));
    let edge = pcm.get_mut(..samples.saturating_mul(channels)).unwrap_or_default();
    signal::fade(edge, channels, from, gain(rest));
    rest
}

#[cfg(test)]
mod tests;
