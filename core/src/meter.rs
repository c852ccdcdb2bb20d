//! Counters with one owner each, published as snapshots.
//!
//! Nobody shares a counter: the engine that counts owns it, and others get copies. [`AudioMetrics`] are the
//! six numbers of the seed's system; here each of them is really written.

mod work;

use crate::config::{Gain, Playout};
use crate::signal::Level;
use crate::time::{Instant, Span};
pub use work::{Stopwatch, Work};

/// What the seed's system counts, for one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct AudioMetrics {
    /// Packets that were handed on.
    pub frames_received: u64,
    /// Packets that did not, for whatever reason.
    pub frames_dropped: u64,
    /// Coded bytes in the received ones.
    pub bytes_processed: u64,
    /// Clients that went away without a goodbye.
    pub connection_drops: u64,
    /// When the latest packet was received.
    pub last_frame: Option<Instant>,
    /// Smoothed latency (see [`record_latency`](Self::record_latency)); `None` before the first sample.
    pub average_latency: Option<Span>,
}

impl AudioMetrics {
    /// Counts a packet of `bytes` coded bytes.
    pub fn record_frame(&mut self, now: Instant, bytes: usize) {
        self.frames_received = self.frames_received.wrapping_add(1);
        self.bytes_processed = self.bytes_processed.wrapping_add(bytes as u64);
        self.last_frame = Some(now);
    }

    /// Counts `count` packets that did not make it.
    pub fn record_dropped(&mut self, count: u64) {
        self.frames_dropped = self.frames_dropped.wrapping_add(count);
    }

    /// Counts a client that vanished.
    pub fn record_connection_drop(&mut self) {
        self.connection_drops = self.connection_drops.wrapping_add(1);
    }

    /// Takes a latency sample into the average: exponential smoothing with weight 1/16.
    pub fn record_latency(&mut self, sample: Span) {
        let average = match self.average_latency {
            None => sample.as_micros(),
            Some(old) => old.as_micros().saturating_mul(15).saturating_add(sample.as_micros()) / 16,
        };
        self.average_latency = Some(Span::from_micros(average));
    }
}

/// What went wrong with a device, and what was done about it. All of them wrap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Recoveries {
    /// Times that it ran over or dry.
    pub xruns: u32,
    /// Times that it was put to sleep.
    pub suspends: u32,
    /// Times that its clock stood still.
    pub stops: u32,
    /// Times that input or output failed.
    pub breaks: u32,
    /// Times that it was pulled out.
    pub losses: u32,
    /// Attempts to resume it.
    pub resumes: u32,
    /// Attempts to prepare it.
    pub prepares: u32,
    /// Attempts to stop and start it.
    pub restarts: u32,
    /// Times that it was opened again.
    pub reopens: u32,
    /// Attempts to open it that failed.
    pub open_failures: u32,
}

impl Recoveries {
    /// Nothing yet.
    pub const NONE: Self = Self {
        xruns: 0,
        suspends: 0,
        stops: 0,
        breaks: 0,
        losses: 0,
        resumes: 0,
        prepares: 0,
        restarts: 0,
        reopens: 0,
        open_failures: 0,
    };

    /// The sum of both: what happened to a predecessor, and since.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            xruns: self.xruns.wrapping_add(other.xruns),
            suspends: self.suspends.wrapping_add(other.suspends),
            stops: self.stops.wrapping_add(other.stops),
            breaks: self.breaks.wrapping_add(other.breaks),
            losses: self.losses.wrapping_add(other.losses),
            resumes: self.resumes.wrapping_add(other.resumes),
            prepares: self.prepares.wrapping_add(other.prepares),
            restarts: self.restarts.wrapping_add(other.restarts),
            reopens: self.reopens.wrapping_add(other.reopens),
            open_failures: self.open_failures.wrapping_add(other.open_failures),
        }
    }
}

/// What the capture thread has done so far.
///
/// The ledger: every captured sample is in a frame that was sent, dropped, muted or refused by the encoder,
/// or waits for its frame to fill (`captured_samples + lost_samples` is the stream time).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct CaptureReport {
    /// Samples that the device delivered.
    pub captured_samples: u64,
    /// Samples that the device lost, by the clock.
    pub lost_samples: u64,
    /// Times that the device ran over.
    pub xruns: u64,
    /// Frames encoded and handed over.
    pub sent: u64,
    /// Frames dropped because no slot was free.
    pub no_slot: u64,
    /// Frames dropped because the I/O thread did not take them in time.
    pub ring_full: u64,
    /// Frames not sent because of mute.
    pub muted: u64,
    /// Whole frames that fell into a gap of the device.
    pub gap_frames: u64,
    /// Frames that the encoder refused.
    pub encode_errors: u64,
    /// Coded bytes.
    pub bytes: u64,
    /// What a level meter shows.
    pub level: Level,
    /// Commands taken; wraps.
    pub commands: u32,
    /// Of these and of other encoders handed over, changes of the stream that are in effect: the next frame is coded as
    /// the last of them says; wraps.
    pub changes: u32,
    /// Whether the last of them left it muted.
    pub is_muted: bool,
    /// How much louder or softer sound is sent than it was captured.
    pub gain: Gain,
    /// How long it takes to encode a frame, and how late turns are.
    pub work: Work,
    /// The device's trouble.
    pub recoveries: Recoveries,
    /// When the latest sample was captured: the moment of the stream time `captured_samples + lost_samples`.
    pub edge: Option<Instant>,
}

impl CaptureReport {
    /// Frames that were captured and not sent, mute aside.
    #[must_use]
    pub const fn dropped(&self) -> u64 {
        self.no_slot.wrapping_add(self.ring_full).wrapping_add(self.gap_frames).wrapping_add(self.encode_errors)
    }
}

/// What the playback thread has done so far, and how it stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct PlaybackReport {
    /// Packets, bytes and latency: from the capture of a packet's first sample until it leaves the device,
    /// if the sender says when it captured.
    pub metrics: AudioMetrics,
    /// Packets that came after their time.
    pub late: u64,
    /// Packets that came twice.
    pub duplicates: u64,
    /// Packets thrown out because the store was full.
    pub overflow: u64,
    /// Packets that the decoder refused.
    pub decode_errors: u64,
    /// Packets that never came.
    pub lost: u64,
    /// Samples made up for packets that were lost or came too late.
    pub concealed_samples: u64,
    /// Samples made up while waiting for a late packet; the delay grew by them.
    pub held_samples: u64,
    /// Times that a wait began.
    pub holds: u64,
    /// Samples of lost packets that were jumped over to bring the delay down.
    pub spliced_samples: u64,
    /// Samples rebuilt from the redundancy in the next packet.
    pub recovered_samples: u64,
    /// Samples of lost packets that were played from copies.
    pub copied_samples: u64,
    /// Copies that nobody needed: the packet came, or its time was over.
    pub spare_copies: u64,
    /// Samples of silence that the sender meant.
    pub silent_samples: u64,
    /// Periods taken out, or pieces of quiet, to bring the delay down.
    pub removals: u64,
    /// Samples in them.
    pub cut_samples: u64,
    /// Periods put in, to gain time for a late packet.
    pub insertions: u64,
    /// Samples in them.
    pub inserted_samples: u64,
    /// Times that the stream time jumped and playback followed.
    pub resyncs: u64,
    /// Times that the device ran dry.
    pub xruns: u64,
    /// Samples played from packets.
    pub played_samples: u64,
    /// Delay now: how much later sound is played than the fastest packet of late would have allowed.
    pub depth: Span,
    /// The delay aimed at.
    pub target: Span,
    /// The delay that lateness of packets alone asks for; the aim is the next one at which a pull begins with a packet.
    pub floor: Span,
    /// What the aim holds for pulls that come late themselves.
    pub pull_allowance: Span,
    /// By how many millionths the sender's clock is slow beside ours.
    pub drift_ppm: i32,
    /// By how many millionths the device's clock is slow beside ours.
    pub card_slow_ppm: i32,
    /// For how many seconds that was looked at.
    pub card_seconds: u32,
    /// Samples in the device after the latest period.
    pub queued: u32,
    /// What a level meter shows.
    pub level: Level,
    /// Whether a stream is being played.
    pub playing: bool,
    /// Commands taken; wraps.
    pub commands: u32,
    /// Whether the last of them left it muted.
    pub is_muted: bool,
    /// How much louder or softer sound is played than it was sent.
    pub gain: Gain,
    /// What sound is played with, delay or gaps.
    pub profile: Playout,
    /// How long it takes to make a period, and how late turns are.
    pub work: Work,
    /// The device's trouble.
    pub recoveries: Recoveries,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_one_of_the_six_numbers_moves() {
        let mut metrics = AudioMetrics::default();
        metrics.record_frame(Instant::from_micros(20_000), 160);
        metrics.record_frame(Instant::from_micros(40_000), 140);
        metrics.record_dropped(3);
        metrics.record_connection_drop();
        metrics.record_latency(Span::from_millis(32));
        assert_eq!(metrics.average_latency, Some(Span::from_millis(32)), "the first sample is the average");
        metrics.record_latency(Span::from_millis(48));
        assert_eq!(
            metrics,
            AudioMetrics {
                frames_received: 2,
                frames_dropped: 3,
                bytes_processed: 300,
                connection_drops: 1,
                last_frame: Some(Instant::from_micros(40_000)),
                average_latency: Some(Span::from_millis(33)),
            }
        );
    }
}
