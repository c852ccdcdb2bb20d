//! Packets to samples.
//!
//! The engine is pulled by the device: each period it is asked for sound, and silence is its floor. Packets are played in
//! the order of stream time, each when [`Depth`] says. What is missing and known to be lost is rebuilt or made up; what
//! is merely not here yet is waited for under made-up sound, as long as the delay may grow by that, and then passed over.
//! The rest of the way to the delay that is aimed at goes through a resampler and by periods put in or taken out.

mod fifo;
mod sound;
mod take;

use crate::adapt::Depth;
use crate::capacity::{FRAME_SAMPLES_MAX, PERIOD_SAMPLES_MAX, STORE_PACKETS};
use crate::codec::{Decode, Payload};
use crate::config::{Channels, Gain, Playout, Terms};
use crate::engine::fader::Fader;
use crate::fmt::{debug_line, warn_line};
use crate::jitter::Store;
use crate::meter::PlaybackReport;
use crate::resample::{DELAY_SAMPLES, Resampler};
use crate::signal::Level;
use crate::stretch::{LOOK_AHEAD_SAMPLES, Stretch};
use crate::time::{Instant, MediaTime, Span};
use fifo::Fifo;

/// Concealment is made in pieces of the shortest Opus frame.
const PIECE_SAMPLES: usize = 120;
/// A longer gap is jumped over; after so long without a packet the stream has paused.
const PAUSE_SAMPLES: u64 = 48_000;
/// Packets this far behind are not late, if so many come in a row: the stream began anew, and nobody said so. (A single
/// one took a long way.)
const REWIND_SAMPLES: u64 = 48_000;
const REWIND_PACKETS: u8 = 3;
/// A packet is overtaken by no more than so many copies.
const COPIES_KNOWN: usize = 4;
/// Made-up sound is heard in full for so long, and then fades out.
const FADE_AFTER_SAMPLES: usize = 60 * 48;
/// It has faded out after so much more.
const FADE_SAMPLES: usize = 40 * 48;
/// Bound on the work of one period (I6): every step makes a piece of sound or uses up a packet.
const STEPS_MAX: usize = STORE_PACKETS + (PERIOD_SAMPLES_MAX + LOOK_AHEAD_SAMPLES) / PIECE_SAMPLES + 8;

const _: () = assert!(FRAME_SAMPLES_MAX.is_multiple_of(PIECE_SAMPLES));

/// A change that takes effect with the next period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Command {
    /// Louder or softer.
    Gain(Gain),
    /// Silence, whatever is played, or no more.
    Mute(bool),
    /// Delay or gaps.
    Profile(Playout),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
enum State {
    /// Nothing to play.
    Idle,
    /// A packet came; it waits until the delay aimed at is reached.
    Filling,
    /// Sound is being made.
    Playing,
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
    /// A copy of what came, or of what is over.
    Spare,
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
    resampler: Resampler,
    stretch: Stretch,
    /// Stream time of the end of the packet that was decoded last.
    latest_end: MediaTime,
    /// The latest packets that were played from copies: what comes of them now is not late, it is here already.
    copied: [MediaTime; COPIES_KNOWN],
    /// Samples made up since the latest one from a packet.
    made_up: usize,
    /// Of these, those for which stream time stood still.
    held: usize,
    /// The sender said that it will be silent: what does not come is not missing.
    pausing: bool,
    /// What was made before was silence.
    fade_in: bool,
    /// Packets in a row that were far behind.
    behind: u8,
    /// When the newest sample that arrived was captured, if its sender says.
    newest: Option<Instant>,
    /// When the first sample of the stream was captured, if its sender says.
    began: Option<Instant>,
    fader: Fader,
    /// Silence is wanted around an amplifier that is being switched.
    hushed: bool,
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
            depth: Depth::new(Playout::Balanced),
            state: State::Idle,
            next: MediaTime::ZERO,
            fifo: Fifo::new(channels),
            resampler: Resampler::new(channels),
            stretch: Stretch::new(channels),
            latest_end: MediaTime::ZERO,
            copied: [MediaTime(u64::MAX); COPIES_KNOWN],
            made_up: 0,
            held: 0,
            pausing: false,
            fade_in: false,
            behind: 0,
            newest: None,
            began: None,
            fader: Fader::new(),
            hushed: false,
            report: PlaybackReport::default(),
        }
    }

    /// The same engine, which prefers what `profile` says.
    #[must_use]
    pub fn with_profile(mut self, profile: Playout) -> Self {
        self.report.profile = profile;
        self.with_terms(profile.terms())
    }

    /// The same engine, which keeps to `terms` that no profile stands for.
    #[must_use]
    pub fn with_terms(mut self, terms: Terms) -> Self {
        self.depth.set_terms(terms);
        self
    }

    /// The same engine, which goes on counting where a predecessor ended.
    #[must_use]
    pub const fn with_counts(mut self, counts: PlaybackReport) -> Self {
        self.report = PlaybackReport {
            playing: false,
            is_muted: self.report.is_muted,
            gain: self.report.gain,
            profile: self.report.profile,
            ..counts
        };
        self
    }

    /// Keeps at most so many packets: whoever lends their memory has no more.
    pub fn limit_packets(&mut self, most: usize) {
        self.store.limit(most);
    }

    /// What has been done so far, and how it stands.
    pub const fn report(&self) -> &PlaybackReport {
        &self.report
    }

    /// Takes a command.
    pub fn apply(&mut self, command: Command) {
        self.report.commands = self.report.commands.wrapping_add(1);
        match command {
            Command::Gain(gain) => self.fader.set(gain),
            Command::Mute(muted) => self.report.is_muted = muted,
            Command::Profile(profile) => {
                self.depth.set_terms(profile.terms());
                self.report.profile = profile;
            }
        }
        self.report.gain = self.fader.gain();
        self.fader.silence(self.hushed || self.report.is_muted);
    }

    /// Whether silence is wanted whatever is played, for an amplifier that is being switched; muted or not, and whatever
    /// the gain is.
    pub fn hush(&mut self, silent: bool) {
        self.hushed = silent;
        self.fader.silence(silent || self.report.is_muted);
    }

    /// Stream time of the next sample that the device gets; `None` while nothing is played. Under made-up sound that
    /// waits for a packet it stands still.
    #[must_use]
    pub fn position(&self) -> Option<MediaTime> {
        let back = self.fifo.samples().saturating_add(DELAY_SAMPLES) as u64;
        (self.state == State::Playing).then(|| MediaTime(self.next.0.saturating_sub(back)))
    }

    /// Counts an underrun of the device.
    pub fn on_xrun(&mut self) {
        self.report.xruns = self.report.xruns.wrapping_add(1);
        debug_line!("playback: the device ran dry at {}", self.next.0);
    }

    /// Forgets the stream: another one begins.
    fn restart(&mut self) {
        self.store.clear();
        self.depth.restart();
        self.copied = [MediaTime(u64::MAX); COPIES_KNOWN];
        self.stop();
    }

    /// Nothing is played any more, until a packet comes.
    fn stop(&mut self) {
        self.fifo.clear();
        self.latest_end = MediaTime::ZERO;
        (self.made_up, self.held) = (0, 0);
        self.pausing = false;
        self.state = State::Idle;
    }

    /// Makes a period of sound. `queued` is what the device still holds. Never fails: silence is the floor.
    pub fn render(&mut self, now: Instant, queued: u32, out: &mut [i16]) {
        let samples = out.len().checked_div(self.channels.count()).unwrap_or(0);
        self.depth.pulled(now, samples as u64);
        if self.state == State::Idle && !self.store.is_empty() {
            self.state = State::Filling;
        }
        if self.state == State::Filling {
            self.fill();
        }
        let needed = if self.state == State::Playing {
            self.report.depth = span(self.delay_us());
            self.steer(samples);
            let needed = self.resampler.needed(samples);
            self.supply(now, queued, needed);
            needed
        } else {
            self.resampler.set_ratio_ppb(0);
            self.resampler.needed(samples)
        };
        if self.state != State::Playing {
            let missing = needed.saturating_sub(self.fifo.samples());
            self.fifo.push_silence(missing);
            self.fade_in = true;
            self.report.depth = Span::ZERO;
        }
        let head = self.fifo.head(needed);
        self.stretch.hear(head);
        let used = self.resampler.process(head, out);
        self.fifo.played(used);
        self.fader.process(out, self.channels.count());
        self.report.level = self.report.level.follow(Level::of(out));
        self.publish(queued);
    }

    fn publish(&mut self, queued: u32) {
        let report = &mut self.report;
        report.queued = queued;
        report.playing = self.state == State::Playing;
        report.target = span(self.depth.goal_us());
        report.floor = self.depth.floor();
        report.pull_allowance = self.depth.pull_allowance();
        report.drift_ppm = self.depth.drift_ppm();
    }

    /// Stream time of the next sample that leaves the fifo.
    fn front(&self) -> MediaTime {
        MediaTime(self.next.0.saturating_sub(self.fifo.samples() as u64))
    }

    /// The delay of what is played next.
    fn delay_us(&self) -> i64 {
        self.depth.delay_us(self.front())
    }

    /// Begins to play once the oldest packet has the delay aimed at, so that no more than that is held: what a stall,
    /// or a device that was not ready, has piled up is not worth playing.
    fn fill(&mut self) {
        let (Some(front), Some(end)) = (self.store.front(), self.store.end()) else { return };
        let early = self.depth.goal_us().saturating_sub(self.depth.delay_us(front.extent.media));
        if early > 0 {
            // Unless so much waits that the clock must be wrong.
            let waiting = Span::from_samples(end.since(front.extent.media)).as_micros();
            if waiting <= crate::adapt::CEILING.as_micros() {
                return;
            }
        }
        let skipped = span(early.saturating_neg()).as_samples();
        let last = end.0.saturating_sub(1);
        self.next = MediaTime(front.extent.media.plus(skipped).0.min(last));
        let old = |front: &crate::jitter::Arrival<P>, next| front.extent.end() <= next;
        while self.store.front().is_some_and(|front| old(front, self.next)) {
            if self.store.take_front().is_some_and(|front| front.payload.is_copy()) {
                self.report.spare_copies = self.report.spare_copies.wrapping_add(1);
                continue;
            }
            self.report.overflow = self.report.overflow.wrapping_add(1);
            self.report.metrics.record_dropped(1);
        }
        self.fifo.clear();
        (self.made_up, self.held) = (0, 0);
        self.fade_in = true;
        self.state = State::Playing;
        debug_line!("playback: begins at {}, {} us behind", self.next.0, self.depth.goal_us());
    }

    /// Jumps to `media`: between lies nothing that could be made up for.
    fn jump(&mut self, media: MediaTime) {
        warn_line!("playback: stream time goes from {} to {}", self.next.0, media.0);
        self.report.resyncs = self.report.resyncs.wrapping_add(1);
        self.stop();
        self.state = State::Filling;
        self.fill();
    }
}

/// A length of time that may come out negative; then zero.
const fn span(us: i64) -> Span {
    Span::from_micros(if us > 0 { us.unsigned_abs() } else { 0 })
}

#[cfg(test)]
mod copies;
#[cfg(test)]
mod tests;
