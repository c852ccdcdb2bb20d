//! What the daemon tells about itself: one structure, as JSON for programs and as a table for people.

mod board;
mod change;
mod device;
mod words;
mod worker;

pub use board::{BoardStatus, RefusalsStatus};
pub use change::{ChangeStatus, GovernorStatus};
pub use device::{DeviceStatus, PaceStatus, RecoveriesStatus, WorkStatus};
pub(super) use device::{reason as device_reason, stuck};
pub use worker::WorkerStatus;
pub(super) use worker::word as worker_word;

use super::Settings;
use super::roster::Client;
use crate::direction::State;
use crate::pcm::Opened;
use crate::rt::Grants;
use serde::{Deserialize, Serialize};
use soundpost_core::config::Gain;
use soundpost_core::meter::{AudioMetrics, CaptureReport, PlaybackReport};
use soundpost_core::pool::PoolStats;
use soundpost_core::signal::Level;
use soundpost_core::time::{Instant, Span};
use soundpost_core::wire::Role;

/// The whole status. Units end the names.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Status {
    /// Version of the program.
    pub version: String,
    /// Version of the socket's protocol.
    pub protocol: u8,
    /// Process number.
    pub pid: u32,
    /// Where clients connect.
    pub socket: String,
    /// Where it is found over HTTP; nothing if nowhere.
    pub http: Option<String>,
    /// Time since the start.
    pub uptime_s: f64,
    /// The audio threads run under `SCHED_FIFO`.
    pub realtime: bool,
    /// Memory is locked.
    pub memory_locked: bool,
    /// Sound card → listeners.
    pub capture: CaptureStatus,
    /// Talker → sound card.
    pub playback: PlaybackStatus,
    /// What is on the board's pins.
    pub board: BoardStatus,
    /// What controllers asked to be muted.
    pub mutes: MuteStatus,
    /// How many are connected.
    pub clients_connected: usize,
    /// Who they are, or the first of them.
    pub clients: Vec<ClientStatus>,
    /// Who was sent away, by the reason.
    pub refusals: RefusalsStatus,
}

/// What is muted by whom.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct MuteStatus {
    /// The microphone, by a controller.
    pub capture_by_command: bool,
    /// The microphone, by its switch. A command cannot undo that.
    pub capture_by_switch: bool,
    /// The speaker, by a controller.
    pub playback_by_command: bool,
}

/// The six numbers of the seed's system.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MetricsStatus {
    /// Packets that were handed on: by capture to whoever listens, by playback to the jitter store.
    pub frames_received: u64,
    /// Packets that did not.
    pub frames_dropped: u64,
    /// Coded bytes.
    pub bytes_processed: u64,
    /// Clients that vanished.
    pub connection_drops: u64,
    /// Time since the latest packet.
    pub last_frame_age_ms: Option<f64>,
    /// Smoothed latency.
    pub average_latency_ms: Option<f64>,
}

/// Slots of a pool.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct PoolStatus {
    /// Lent now.
    pub in_use: u32,
    /// Most ever lent at once.
    pub high_water: u32,
    /// Claims that found a slot.
    pub hits: u32,
    /// Claims that found none.
    pub misses: u32,
}

/// Capture.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CaptureStatus {
    /// The process that does it.
    pub worker: WorkerStatus,
    /// The device.
    pub device: DeviceStatus,
    /// The preset that is used.
    pub quality: String,
    /// Why it is that one.
    pub governor: GovernorStatus,
    /// How far what was asked for is carried out.
    pub changes: ChangeStatus,
    /// Coded channels.
    pub channels: usize,
    /// Coded bits a second.
    pub bitrate_bps: u32,
    /// Sound in a packet.
    pub frame_ms: f64,
    /// Latency is from the capture of a packet's first sample until it was sent to listeners.
    pub metrics: MetricsStatus,
    /// Stream time: samples at 48 kHz, gaps included.
    pub stream_samples: u64,
    /// Samples that the device lost.
    pub lost_samples: u64,
    /// Frames dropped for want of a slot.
    pub dropped_no_slot: u64,
    /// Frames dropped because the I/O side was late.
    pub dropped_ring_full: u64,
    /// Frames that fell into a gap of the device.
    pub gap_frames: u64,
    /// Whether the microphone is muted.
    pub muted: bool,
    /// How much louder or softer sound is sent than it was captured.
    pub gain_db: f64,
    /// Frames not sent because of mute.
    pub muted_frames: u64,
    /// Frames that the encoder refused.
    pub encode_errors: u64,
    /// Loss that the encoder is prepared for, in percent.
    pub expected_loss_percent: u8,
    /// The pool.
    pub pool: PoolStatus,
}

/// Playback.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PlaybackStatus {
    /// The process that does it; `None` where a program plays itself.
    pub worker: Option<WorkerStatus>,
    /// The device.
    pub device: DeviceStatus,
    /// Whether somebody is being played.
    pub playing: bool,
    /// Whether silence is played instead.
    pub muted: bool,
    /// How much louder or softer sound is played than it was sent.
    pub gain_db: f64,
    /// What sound is played with: `low`, `balanced`, `smooth` or `frozen`.
    pub profile: String,
    /// How far what was asked for is carried out; `None` where a program plays itself.
    pub changes: Option<ChangeStatus>,
    /// Latency is from the capture of a packet's first sample until it leaves the device.
    pub metrics: MetricsStatus,
    /// Packets after their time.
    pub late: u64,
    /// Packets that came twice.
    pub duplicates: u64,
    /// Packets thrown out because too many waited.
    pub overflow: u64,
    /// Packets that the decoder refused.
    pub decode_errors: u64,
    /// Packets that never came.
    pub lost: u64,
    /// Sound made up for lost packets, and for late ones that were not waited for.
    pub concealed_ms: f64,
    /// Sound rebuilt from redundancy.
    pub recovered_ms: f64,
    /// Sound of lost packets played from copies.
    pub copied_ms: f64,
    /// Copies that nobody needed.
    pub spare_copies: u64,
    /// Sound made up while waiting for late ones.
    pub held_ms: f64,
    /// Waits.
    pub holds: u64,
    /// Silence that the sender meant.
    pub silent_ms: f64,
    /// Periods taken out to bring the delay down.
    pub removals: u64,
    /// Sound in them.
    pub cut_ms: f64,
    /// Periods put in to gain time.
    pub insertions: u64,
    /// Sound in them.
    pub inserted_ms: f64,
    /// Jumps of stream time that were followed.
    pub resyncs: u64,
    /// Delay now, beyond what the fastest packet of late needed.
    pub depth_ms: f64,
    /// Delay aimed at.
    pub target_ms: f64,
    /// Delay that the lateness of packets asks for.
    pub floor_ms: f64,
    /// What the aim holds for a thread that is woken late.
    pub pull_allowance_ms: f64,
    /// By how many millionths the sender's clock is slow.
    pub drift_ppm: i32,
    /// Sound in the device's queue.
    pub queued_ms: f64,
    /// How the device's clock is kept in step.
    pub pace: PaceStatus,
    /// The pool.
    pub pool: PoolStatus,
}

/// A client.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ClientStatus {
    /// Its number.
    pub id: u32,
    /// `listener`, `talker`, `observer` or `controller`.
    pub role: String,
    /// What it calls itself.
    pub name: String,
    /// Its process, as the kernel says.
    pub pid: Option<i32>,
    /// Its user, as the kernel says.
    pub uid: u32,
    /// Time since it joined.
    pub connected_s: f64,
    /// Packets sent to it or taken from it.
    pub packets: u64,
    /// Packets that it was too slow for, or sent too fast.
    pub dropped: u64,
    /// Packets that were sent to it with a copy of the one before.
    pub copies: u64,
    /// Packets that it says it lost, smoothed, in percent.
    pub loss_percent: Option<f64>,
}

/// Where a status comes from.
pub(super) struct Sources<'a> {
    pub(super) settings: &'a Settings,
    pub(super) url: Option<&'a str>,
    pub(super) grants: Grants,
    pub(super) uptime: Span,
    pub(super) time: Instant,
    pub(super) capture: (&'a Opened, State, CaptureReport, PoolStats),
    pub(super) capture_worker: WorkerStatus,
    pub(super) sent: AudioMetrics,
    /// Of capture and of playback: the latest change that was asked for, and the latest that is carried out.
    pub(super) generations: [(u32, u32); 2],
    pub(super) governor: GovernorStatus,
    pub(super) playback: (&'a Opened, State, PlaybackReport, PoolStats),
    pub(super) playback_worker: WorkerStatus,
    pub(super) pace: PaceStatus,
    pub(super) talker_drops: u64,
    /// Capture was told to mute, whether it has taken that yet or not.
    pub(super) told_to_mute: bool,
    pub(super) mutes: MuteStatus,
    pub(super) board: BoardStatus,
    pub(super) clients_connected: usize,
    pub(super) clients: Vec<ClientStatus>,
    pub(super) refusals: RefusalsStatus,
}

impl Status {
    pub(super) fn gather(from: &Sources<'_>) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            protocol: soundpost_core::wire::VERSION,
            pid: std::process::id(),
            socket: from.settings.socket.display().to_string(),
            http: from.url.map(str::to_owned),
            uptime_s: ms(from.uptime) / 1000.0,
            realtime: from.grants.realtime,
            memory_locked: from.grants.memory_locked,
            capture: CaptureStatus::gather(from),
            playback: PlaybackStatus::gather(from),
            board: from.board.clone(),
            mutes: from.mutes,
            clients_connected: from.clients_connected,
            clients: from.clients.clone(),
            refusals: from.refusals,
        }
    }

    /// As one line of JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Numbers and strings: nothing in it can fail to be JSON.
        serde_json::to_string(self).unwrap_or_else(|_| "{}".to_owned())
    }
}

impl CaptureStatus {
    fn gather(from: &Sources<'_>) -> Self {
        let (opened, state, report, pool) = &from.capture;
        let stream = &from.settings.stream;
        let metrics = AudioMetrics { frames_dropped: report.dropped(), ..from.sent };
        Self {
            worker: from.capture_worker.clone(),
            device: DeviceStatus::capture(&from.settings.capture.to_string(), opened, state, report),
            quality: from.settings.quality.to_string(),
            channels: stream.channels.count(),
            bitrate_bps: stream.tuning.bitrate.bps(),
            frame_ms: f64::from(stream.frame.samples()) / 48.0,
            metrics: MetricsStatus::of(&metrics, from.time),
            stream_samples: report.captured_samples + report.lost_samples,
            lost_samples: report.lost_samples,
            dropped_no_slot: report.no_slot,
            dropped_ring_full: report.ring_full,
            gap_frames: report.gap_frames,
            muted: from.told_to_mute || report.is_muted,
            gain_db: decibels(report.gain),
            muted_frames: report.muted,
            encode_errors: report.encode_errors,
            expected_loss_percent: stream.tuning.expected_loss_percent,
            governor: from.governor.clone(),
            changes: ChangeStatus::of(from.generations[0]),
            pool: PoolStatus::of(*pool),
        }
    }
}

impl PlaybackStatus {
    fn gather(from: &Sources<'_>) -> Self {
        let (opened, state, report, pool) = &from.playback;
        let mut metrics = report.metrics;
        metrics.record_dropped(from.talker_drops);
        let uri = from.settings.playback.to_string();
        let worker = Some(from.playback_worker.clone());
        let changes = Some(ChangeStatus::of(from.generations[1]));
        Self {
            worker,
            changes,
            pace: from.pace.clone(),
            ..Self::of(&uri, opened, state, report, metrics, *pool, from.time)
        }
    }

    /// The status of a playback, in the daemon or in a listener.
    pub(crate) fn of(
        uri: &str,
        opened: &Opened,
        state: &State,
        report: &PlaybackReport,
        metrics: AudioMetrics,
        pool: PoolStats,
        time: Instant,
    ) -> Self {
        let samples_ms = |samples: u64| samples as f64 / 48.0;
        Self {
            worker: None,
            changes: None,
            profile: report.profile.to_string(),
            device: DeviceStatus::playback(uri, opened, state, report),
            playing: report.playing,
            muted: report.is_muted,
            gain_db: decibels(report.gain),
            metrics: MetricsStatus::of(&metrics, time),
            late: report.late,
            duplicates: report.duplicates,
            overflow: report.overflow,
            decode_errors: report.decode_errors,
            lost: report.lost,
            concealed_ms: samples_ms(report.concealed_samples),
            recovered_ms: samples_ms(report.recovered_samples),
            copied_ms: samples_ms(report.copied_samples),
            spare_copies: report.spare_copies,
            held_ms: samples_ms(report.held_samples),
            holds: report.holds,
            silent_ms: samples_ms(report.silent_samples),
            removals: report.removals,
            cut_ms: samples_ms(report.cut_samples),
            insertions: report.insertions,
            inserted_ms: samples_ms(report.inserted_samples),
            resyncs: report.resyncs,
            depth_ms: ms(report.depth),
            target_ms: ms(report.target),
            floor_ms: ms(report.floor),
            pull_allowance_ms: ms(report.pull_allowance),
            drift_ppm: report.drift_ppm,
            queued_ms: samples_ms(u64::from(report.queued)),
            pace: PaceStatus::default(),
            pool: PoolStatus::of(pool),
        }
    }
}

impl MetricsStatus {
    fn of(metrics: &AudioMetrics, time: Instant) -> Self {
        Self {
            frames_received: metrics.frames_received,
            frames_dropped: metrics.frames_dropped,
            bytes_processed: metrics.bytes_processed,
            connection_drops: metrics.connection_drops,
            last_frame_age_ms: metrics.last_frame.map(|last| ms(time.since(last))),
            average_latency_ms: metrics.average_latency.map(ms),
        }
    }
}

impl PoolStatus {
    fn of(stats: PoolStats) -> Self {
        let PoolStats { in_use, high_water, hits, misses } = stats;
        Self { in_use, high_water, hits, misses }
    }
}

impl ClientStatus {
    pub(super) fn of(id: u32, client: &Client, time: Instant) -> Self {
        let loss = (client.additions.redundancy && client.role == Role::Listener).then_some(client.redundancy);
        Self {
            id,
            role: client.role.name().to_owned(),
            name: client.name.clone(),
            pid: client.pid,
            uid: client.uid,
            connected_s: ms(time.since(client.since)) / 1000.0,
            packets: client.packets,
            dropped: client.dropped,
            copies: client.copies,
            loss_percent: loss.map(|loss| f64::from(loss.loss_ppm()) / 10_000.0),
        }
    }
}

fn decibels(gain: Gain) -> f64 {
    f64::from(gain.millibels()) / 100.0
}

/// Milliseconds, rounded to a microsecond.
fn ms(span: Span) -> f64 {
    span.as_micros() as f64 / 1000.0
}

/// Peak level in dB below full scale, rounded to a tenth; `None` for silence.
pub(crate) fn dbfs(level: Level) -> Option<f64> {
    (level.peak > 0).then(|| (200.0 * (f64::from(level.peak) / 32_768.0).log10()).round() / 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_peaks_below_full_scale() {
        assert_eq!(dbfs(Level::default()), None);
        assert_eq!(dbfs(Level { peak: 32_768, mean_square: 1 }), Some(0.0));
        assert_eq!(dbfs(Level { peak: 16_384, mean_square: 1 }), Some(-6.0));
        assert_eq!(dbfs(Level { peak: 1, mean_square: 1 }), Some(-90.3));
    }
}
