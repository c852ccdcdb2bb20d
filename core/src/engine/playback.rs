//! Packets to samples.
//!
//! The engine is pulled by the device: each period it is asked for sound, and silence is its floor. Packets
//! are played in the order of stream time. What is missing and known to be lost is rebuilt or concealed;
//! what is merely not here yet is waited for under concealment, which adds delay; delay that turns out to be
//! needless is cut out again ([`Depth`]).

mod fifo;

use crate::adapt::{CUT_SAMPLES, Decision, Depth};
use crate::capacity::{FRAME_SAMPLES_MAX, STORE_PACKETS};
use crate::codec::{Decode, Input, Payload};
use crate::config::Channels;
use crate::fmt::{debug_line, warn_line};
use crate::jitter::{Arrival, Store, Stored};
use crate::meter::PlaybackReport;
use crate::signal::{self, Level};
use crate::time::{Instant, MediaTime, Span};
use fifo::Fifo;

/// Concealment is made in pieces of the shortest Opus frame.
const PIECE_SAMPLES: u64 = 120;
/// Longest wait for a packet under concealment; after that silence, and a fresh start with the next packet.
const HOLD_SAMPLES_MAX: u64 = 24 * PIECE_SAMPLES;
/// Longest gap that is concealed in full; a longer one is jumped over.
const GAP_SAMPLES_MAX: u64 = 48 * PIECE_SAMPLES;
/// A packet this far behind is not late: the stream began anew.
const REWIND_SAMPLES: u64 = 48_000;
/// Bound on the work of one period (I6): every step either makes a piece of sound or uses up a packet.
const STEPS_MAX: usize = STORE_PACKETS + 2 * 8 + 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
enum State {
    /// Nothing to play.
    Idle,
    /// A packet came; it waits until the target delay is reached.
    Filling,
    /// Sound is being made; `held` samples were made up while waiting for a packet.
    Playing { held: u64 },
}

/// How the next packet is joined to what was made before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seam {
    /// It continues it.
    None,
    /// There was silence.
    FadeIn,
    /// There was another part of the stream: the extrapolation of that fades into this.
    Splice,
}

/// Why a packet was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Refused {
    /// Its time is over.
    Late,
    /// It is here already.
    Duplicate,
    /// It holds nothing, or more than 60 ms.
    Length,
}

/// Keeps packets, makes sound.
#[derive(Debug)]
pub struct Playback<D, P> {
    decoder: D,
    channels: Channels,
    store: Store<P>,
    depth: Depth,
    state: State,
    /// Stream time of the next sample to make.
    next: MediaTime,
    fifo: Fifo,
    cut_pending: bool,
    seam: Seam,
    /// Samples to leave out at the head of the next packet: it waited longer than it should.
    trim: u64,
    report: PlaybackReport,
}

impl<D: Decode, P: Payload> Playback<D, P> {
    /// An engine that makes sound of `channels` with `decoder`, which must decode to that many.
    #[must_use]
    pub fn new(decoder: D, channels: Channels) -> Self {
        Self {
            decoder,
            channels,
            store: Store::new(),
            depth: Depth::new(),
            state: State::Idle,
            next: MediaTime::ZERO,
            fifo: Fifo::new(channels),
            cut_pending: false,
            seam: Seam::None,
            trim: 0,
            report: PlaybackReport::default(),
        }
    }

    /// What has been done so far, and how it stands.
    pub const fn report(&self) -> &PlaybackReport {
        &self.report
    }

    /// Counts an underrun of the device.
    pub fn on_xrun(&mut self) {
        self.report.xruns = self.report.xruns.wrapping_add(1);
        debug_line!("playback: the device ran dry at {}", self.next.0);
    }

    /// Forgets the stream: another one begins.
    pub fn restart(&mut self) {
        self.store.clear();
        self.depth.restart();
        self.state = State::Idle;
    }

    /// Takes a packet that arrived.
    ///
    /// # Errors
    /// [`Refused`] if it is of no use; it is counted and dropped.
    pub fn accept(&mut self, arrival: Arrival<P>) -> Result<(), Refused> {
        let extent = arrival.extent;
        let bytes = arrival.payload.with_bytes(<[u8]>::len);
        let arrived = arrival.arrived;
        if extent.samples == 0 || extent.samples as usize > FRAME_SAMPLES_MAX {
            self.report.decode_errors = self.report.decode_errors.wrapping_add(1);
            self.report.metrics.record_dropped(1);
            return Err(Refused::Length);
        }
        if matches!(self.state, State::Playing { .. }) && extent.end() <= self.next {
            if self.next.since(extent.end()) < REWIND_SAMPLES {
                self.report.late = self.report.late.wrapping_add(1);
                self.report.metrics.record_dropped(1);
                return Err(Refused::Late);
            }
            self.report.resyncs = self.report.resyncs.wrapping_add(1);
            warn_line!("playback: stream time went back from {} to {}", self.next.0, extent.media.0);
            self.restart();
        }
        match self.store.insert(arrival) {
            Stored::Duplicate => {
                self.report.duplicates = self.report.duplicates.wrapping_add(1);
                return Err(Refused::Duplicate);
            }
            Stored::Displaced => {
                self.report.overflow = self.report.overflow.wrapping_add(1);
                self.report.metrics.record_dropped(1);
            }
            Stored::Kept => {}
        }
        self.report.metrics.record_frame(arrived, bytes);
        Ok(())
    }

    /// Makes a period of sound. `queued` is what the device still holds. Never fails: silence is the floor.
    pub fn render(&mut self, now: Instant, queued: u32, out: &mut [i16]) {
        for _ in 0..STEPS_MAX {
            let wanted = out.len().max(if self.cut_pending { 2 * self.values(CUT_SAMPLES) } else { 0 });
            if self.fifo.len() >= wanted || (self.fifo.len() >= out.len() && !self.next_is_here()) {
                break;
            }
            self.step(now, queued, out.len());
        }
        if self.cut_pending && self.fifo.cut(self.values(CUT_SAMPLES)) {
            self.cut_pending = false;
            self.report.cut_samples = self.report.cut_samples.wrapping_add(CUT_SAMPLES);
            self.depth.shortened(Span::from_samples(CUT_SAMPLES));
        }
        self.fifo.pop(out);
        self.report.level = self.report.level.follow(Level::of(out));
        self.report.queued = queued;
        self.report.target = self.depth.target();
        self.report.depth = self.depth.depth().unwrap_or(Span::ZERO);
        self.report.playing = matches!(self.state, State::Playing { .. });
    }

    fn next_is_here(&self) -> bool {
        self.store.front().is_some_and(|front| front.extent.media <= self.next)
    }

    /// Does one thing that brings the period nearer to being full.
    fn step(&mut self, now: Instant, queued: u32, period_values: usize) {
        match self.state {
            State::Idle if self.store.is_empty() => self.fifo.push_silence(period_values),
            State::Idle => self.state = State::Filling,
            State::Filling => self.fill(now, period_values),
            State::Playing { held } => self.play(now, queued, held),
        }
    }

    /// Waits until the oldest packet has waited for the target delay, then starts so that no more than that
    /// is held: what a stall, or a device that was not ready, has piled up is not worth playing.
    fn fill(&mut self, now: Instant, period_values: usize) {
        let target = self.depth.target();
        let ripe = self.store.front().is_some_and(|front| now.since(front.arrived) >= target);
        if !ripe {
            self.fifo.push_silence(period_values);
            return;
        }
        let end = self.store.end().unwrap_or_default();
        while self.store.front().is_some_and(|f| end.since(f.extent.end()) >= target.as_samples().max(1)) {
            drop(self.store.take_front());
            self.report.overflow = self.report.overflow.wrapping_add(1);
            self.report.metrics.record_dropped(1);
        }
        let Some(front) = self.store.front() else { return };
        self.next = front.extent.media;
        let waited = now.since(front.arrived).minus(target).as_samples();
        self.trim = waited.min(u64::from(front.extent.samples).saturating_sub(PIECE_SAMPLES));
        self.depth.restart();
        self.seam = Seam::FadeIn;
        self.state = State::Playing { held: 0 };
    }

    fn play(&mut self, now: Instant, queued: u32, held: u64) {
        let Some(front) = self.store.front() else {
            self.hold(held);
            return;
        };
        let gap = front.extent.media.since(self.next);
        let samples = u64::from(front.extent.samples);
        if front.extent.end() <= self.next {
            drop(self.store.take_front());
            self.report.late = self.report.late.wrapping_add(1);
            self.report.metrics.record_dropped(1);
        } else if gap > GAP_SAMPLES_MAX {
            warn_line!("playback: {} samples are missing at {}: jumped over", gap, self.next.0);
            self.next = front.extent.media;
            self.report.resyncs = self.report.resyncs.wrapping_add(1);
            self.seam = Seam::Splice;
        } else if gap > 0 {
            self.bridge(gap, held, samples);
        } else {
            if held > 0 {
                self.depth.late(now, Span::from_samples(held));
                self.state = State::Playing { held: 0 };
            }
            self.decode_front(now, queued);
        }
    }

    /// The next packet is not here: makes up sound without advancing stream time.
    fn hold(&mut self, held: u64) {
        let first = self.conceal(PIECE_SAMPLES, false);
        let held = held.saturating_add(PIECE_SAMPLES);
        self.report.held_samples = self.report.held_samples.wrapping_add(PIECE_SAMPLES);
        self.state = State::Playing { held };
        if held >= HOLD_SAMPLES_MAX {
            signal::fade_out(self.fifo.tail_mut(first), self.channels.count());
            self.state = State::Idle;
        }
    }

    /// `gap` samples are lost: the packet after them is here. What was made up while waiting counts.
    fn bridge(&mut self, gap: u64, held: u64, packet_samples: u64) {
        let credit = held.min(gap);
        self.report.held_samples = self.report.held_samples.wrapping_sub(credit);
        self.report.concealed_samples = self.report.concealed_samples.wrapping_add(gap);
        let lost = gap.checked_div(packet_samples).unwrap_or(1).max(1);
        self.report.metrics.record_dropped(lost);
        self.next = self.next.plus(gap);
        self.state = State::Playing { held: held.saturating_sub(credit) };
        let mut missing = gap.saturating_sub(credit);
        while missing > packet_samples.max(PIECE_SAMPLES) {
            self.conceal(PIECE_SAMPLES, false);
            missing = missing.saturating_sub(PIECE_SAMPLES);
        }
        if missing > 0 {
            self.conceal(missing, true);
        }
    }

    /// Appends `samples` of made-up sound, from the front packet's redundancy if `recover`. Returns how
    /// many values were appended.
    fn conceal(&mut self, samples: u64, recover: bool) -> usize {
        let values = self.values(samples);
        let (decoder, store) = (&mut self.decoder, &self.store);
        self.fifo.push_with(values, |room| {
            let made = match store.front().filter(|_| recover) {
                Some(front) => front.payload.with_bytes(|bytes| decoder.decode(Input::RecoverFrom(bytes), room)),
                None => decoder.decode(Input::Conceal, room),
            };
            if made.is_err() {
                room.fill(0);
            }
            values
        })
    }

    fn decode_front(&mut self, now: Instant, queued: u32) {
        let Some(packet) = self.store.take_front() else {
            return;
        };
        let trim = core::mem::take(&mut self.trim);
        let slack = now.since(packet.arrived).minus(Span::from_samples(trim));
        match self.depth.observe(now, slack) {
            Decision::Keep => {}
            Decision::Cut => self.cut_pending = true,
            Decision::Skip if self.store.is_empty() => self.cut_pending = true,
            Decision::Skip => {
                self.next = packet.extent.end();
                self.seam = Seam::Splice;
                let samples = u64::from(packet.extent.samples);
                self.report.cut_samples = self.report.cut_samples.wrapping_add(samples);
                self.depth.shortened(Span::from_samples(samples));
                return;
            }
        }
        self.sample_latency(now, queued, packet.captured);
        let values = self.values(u64::from(packet.extent.samples));
        let seam = core::mem::replace(&mut self.seam, Seam::None);
        let bridge = if seam == Seam::Splice { self.conceal(PIECE_SAMPLES, false) } else { 0 };
        let decoder = &mut self.decoder;
        let mut failed = false;
        let pushed = self.fifo.push_with(values, |room| {
            let decoded = packet.payload.with_bytes(|bytes| decoder.decode(Input::Packet(bytes), room));
            failed = decoded.is_err();
            if failed && decoder.decode(Input::Conceal, room).is_err() {
                room.fill(0);
            }
            values
        });
        let pushed = pushed.saturating_sub(self.fifo.drop_head(pushed, self.values(trim)));
        match seam {
            Seam::None => {}
            Seam::FadeIn => {
                let edge = self.values(PIECE_SAMPLES).min(pushed);
                signal::fade_in(self.fifo.tail_mut(pushed).get_mut(..edge).unwrap_or(&mut []), self.channels.count());
            }
            Seam::Splice => self.fifo.overlap(bridge, pushed),
        }
        self.next = packet.extent.end();
        let made = u64::from(packet.extent.samples);
        if failed {
            self.report.decode_errors = self.report.decode_errors.wrapping_add(1);
            self.report.concealed_samples = self.report.concealed_samples.wrapping_add(made);
        } else {
            self.report.played_samples = self.report.played_samples.wrapping_add(made);
        }
    }

    /// From capture until the packet's first sample leaves the device.
    fn sample_latency(&mut self, now: Instant, queued: u32, captured: Option<Instant>) {
        let Some(captured) = captured.filter(|captured| *captured <= now) else {
            return;
        };
        let ahead = self.fifo.samples().saturating_add(u64::from(queued));
        let latency = now.since(captured).plus(Span::from_samples(ahead));
        self.report.metrics.record_latency(latency);
    }

    fn values(&self, samples: u64) -> usize {
        usize::try_from(samples).unwrap_or(0).saturating_mul(self.channels.count())
    }
}

#[cfg(test)]
mod tests;
