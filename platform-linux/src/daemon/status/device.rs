//! What is told about a device: what it is, how it does, and what was done about that.

use super::dbfs;
use crate::direction::{PaceShown, State};
use crate::pcm::Opened;
use crate::rt::now;
use serde::{Deserialize, Serialize};
use soundpost_core::config::Direction;
use soundpost_core::meter::{CaptureReport, PlaybackReport, Recoveries, Work};
use soundpost_core::signal::Level;
use soundpost_core::watch::Stuck;
use std::fmt;

/// A device and how it does.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DeviceStatus {
    /// What was asked for.
    pub uri: String,
    /// What was opened, in words.
    pub device: String,
    /// `running`, `stopped`, `opened`, `lost`, `stuck` or `ended`.
    pub state: String,
    /// Why it is not running.
    pub reason: Option<String>,
    /// What its card's own volume was set to, or why not, if that was asked for.
    pub volume: Option<String>,
    /// How the device stores a value.
    pub format: String,
    /// The device's rate.
    pub rate_hz: u32,
    /// Channels of the device.
    pub channels: u32,
    /// Samples in a period, at 48 kHz.
    pub period_samples: u32,
    /// Samples in its buffer, at 48 kHz.
    pub buffer_samples: u32,
    /// The most that a sample waits in device and conversion.
    pub latency_ms: f64,
    /// What a level meter shows, in dB below full scale; `None` for silence.
    pub level_dbfs: Option<f64>,
    /// Times that it ran over (capture) or dry (playback).
    pub xruns: u64,
    /// How long the audio thread works on a frame or period.
    pub work: WorkStatus,
    /// Its trouble, and what was done about it.
    pub recoveries: RecoveriesStatus,
}

/// How long the audio thread works.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct WorkStatus {
    /// Half of the times are longer.
    pub median_us: u64,
    /// One in a thousand is longer.
    pub p999_us: u64,
    /// The longest.
    pub longest_us: u64,
    /// Turns that took one period or longer, two, four, eight; each counts once.
    pub late_turns: [u32; 4],
}

impl From<Work> for WorkStatus {
    fn from(work: Work) -> Self {
        Self {
            median_us: work.median.as_micros(),
            p999_us: work.p999.as_micros(),
            longest_us: work.longest.as_micros(),
            late_turns: work.late,
        }
    }
}

/// What went wrong with a device, and what was done about it.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct RecoveriesStatus {
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

impl From<Recoveries> for RecoveriesStatus {
    fn from(from: Recoveries) -> Self {
        let Recoveries { xruns, suspends, stops, breaks, losses, resumes, prepares, restarts, .. } = from;
        let Recoveries { reopens, open_failures, .. } = from;
        Self { xruns, suspends, stops, breaks, losses, resumes, prepares, restarts, reopens, open_failures }
    }
}

/// How a playback device's clock is kept in step with the sender's.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct PaceStatus {
    /// The card's control for that; `None` if the resampler does it alone.
    pub control: Option<String>,
    /// By how many millionths the card was told to run faster.
    pub ppm: i32,
    /// Whether somebody listens at the other end, where the card says that.
    pub listening: Option<bool>,
}

impl From<PaceShown> for PaceStatus {
    fn from(shown: PaceShown) -> Self {
        let PaceShown { control, ppm, listening } = shown;
        Self { control: control.map(str::to_owned), ppm, listening }
    }
}

impl fmt::Display for PaceStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(control) = &self.control {
            writeln!(f, "  pace       {:+} ppm by `{control}`", self.ppm)?;
        }
        match self.listening {
            Some(listening) => writeln!(f, "  far end    {}", if listening { "listens" } else { "does not listen" }),
            None => Ok(()),
        }
    }
}

/// Where a thread is stuck and for how long, in words.
pub(in crate::daemon) fn stuck(stuck: Stuck) -> String {
    let seconds = now().since(stuck.since()).as_micros() as f64 / 1e6;
    match stuck {
        Stuck::In(call, _) => format!("in {} for {seconds:.1} s", call.name()),
        Stuck::Idle(_) => format!("without sound for {seconds:.1} s, although its device is said to run"),
    }
}

/// Why a device is not running, in words.
pub(in crate::daemon) fn reason(state: &State) -> Option<String> {
    match state {
        State::Running | State::Ended => None,
        State::Stopped => Some("its clock stands still".to_owned()),
        State::Opened(why) | State::Lost(why) => Some(why.to_string()),
        State::Stuck(stuck) => Some(self::stuck(*stuck)),
    }
}

impl DeviceStatus {
    pub(super) fn capture(uri: &str, opened: &Opened, state: &State, report: &CaptureReport) -> Self {
        let figures = (report.level, report.xruns, report.work, report.recoveries);
        Self::of(uri, opened, Direction::Capture, state, figures)
    }

    pub(super) fn playback(uri: &str, opened: &Opened, state: &State, report: &PlaybackReport) -> Self {
        let figures = (report.level, report.xruns, report.work, report.recoveries);
        Self::of(uri, opened, Direction::Playback, state, figures)
    }

    fn of(
        uri: &str,
        opened: &Opened,
        direction: Direction,
        state: &State,
        (level, xruns, work, recoveries): (Level, u64, Work, Recoveries),
    ) -> Self {
        Self {
            uri: uri.to_owned(),
            device: opened.to_string(),
            state: state.word().to_owned(),
            reason: reason(state),
            volume: opened.volume.as_ref().map(|set| match set {
                Ok(shown) => shown.clone(),
                Err(error) => error.to_string(),
            }),
            format: opened.format.to_string(),
            rate_hz: opened.rate_hz,
            channels: opened.device_channels,
            period_samples: opened.device_period,
            buffer_samples: opened.buffer_samples,
            latency_ms: (f64::from(opened.latency_samples(direction)) / 0.48).round() / 100.0,
            level_dbfs: dbfs(level),
            xruns,
            work: work.into(),
            recoveries: recoveries.into(),
        }
    }
}

impl fmt::Display for DeviceStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = self.level_dbfs.map_or_else(|| "silent".to_owned(), |level| format!("{level:.0} dBFS"));
        let reason = self.reason.as_deref().map_or_else(String::new, |why| format!(": {why}"));
        writeln!(f, "  device     {} [{}{reason}] {level}", self.device, self.state)?;
        if let Some(volume) = &self.volume {
            writeln!(f, "  volume     {volume}")?;
        }
        let WorkStatus { median_us, p999_us, longest_us, late_turns } = self.work;
        writeln!(
            f,
            "  work       {median_us} µs ({p999_us} µs one in a thousand, {longest_us} µs the longest); {} turns late",
            late_turns.iter().map(|count| u64::from(*count)).sum::<u64>()
        )?;
        let RecoveriesStatus { suspends, stops, breaks, losses, reopens, .. } = self.recoveries;
        match suspends + stops + breaks + losses + reopens {
            0 => Ok(()),
            _ => writeln!(
                f,
                "  trouble    {suspends} × suspended, {stops} × clock stopped, {breaks} × failed, {losses} × gone; \
                 opened again {reopens} ×"
            ),
        }
    }
}
