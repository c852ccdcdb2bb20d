//! `soundpost run`: the daemon.

use super::told::Told;
use super::{Outcome, live};
use crate::daemon::{self, status::Status};
use clap::Args;

/// Serve: capture for listeners, play what a talker sends.
#[derive(Debug, Args)]
pub(super) struct Run {
    #[command(flatten)]
    told: Told,
}

impl Run {
    pub(super) fn run(self, log_level: tracing::Level) -> Outcome {
        let tick = live::wanted().then_some(show as fn(&Status));
        daemon::run(self.told.live()?, log_level, announce, tick)?;
        Ok(())
    }
}

/// Says that the daemon is ready, and what to do with it.
fn announce(status: &Status) {
    let (capture, playback) = (&status.capture, in_lines(&status.playback.device.device));
    let (version, socket, captured) = (&status.version, &status.socket, in_lines(&capture.device.device));
    let (quality, kbps, frame) = (&capture.quality, capture.bitrate_bps / 1000, capture.frame_ms);
    let text = format!(
        "soundpost {version} is ready on {socket}\n  capture   {captured}\n            {quality} · {kbps} kbit/s · \
         {frame} ms frames\n  playback  {playback}\n"
    );
    let control = status.http.as_ref().map(|url| format!("  control   {url}\n")).unwrap_or_default();
    if let Err(error) = super::print(&(text + &control)) {
        tracing::debug!("nobody was told that the daemon is ready: {error}");
    }
}

/// The description of a device, its reason and its parameters on lines of their own.
fn in_lines(device: &str) -> String {
    device.replacen(", because ", "\n            because ", 1).replacen(" · ", "\n            ", 1)
}

/// The live line.
fn show(status: &Status) {
    let (capture, playback) = (&status.capture, &status.playback);
    let count = |role: &str| status.clients.iter().filter(|client| client.role == role).count();
    let talker = status.clients.iter().find(|client| client.role == "talker").map_or("nobody", |t| t.name.as_str());
    live::show(&format!(
        "capture {} {} packets, {} to {} listeners │ playback {} {talker} talks, {}",
        if capture.muted { "muted".to_owned() } else { live::meter(capture.device.level_dbfs) },
        capture.metrics.frames_received,
        live::latency(capture.metrics.average_latency_ms),
        count("listener"),
        live::meter(playback.device.level_dbfs),
        live::latency(playback.metrics.average_latency_ms),
    ));
}
