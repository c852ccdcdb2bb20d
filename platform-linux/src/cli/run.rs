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
    let capture = &status.capture;
    println!("soundpost {} is ready on {}", status.version, status.socket);
    println!("  capture   {}", in_lines(&capture.device.device));
    println!(
        "            {} · {} kbit/s · {} ms frames",
        capture.quality,
        capture.bitrate_bps / 1000,
        capture.frame_ms
    );
    println!("  playback  {}", in_lines(&status.playback.device.device));
    if let Some(url) = &status.http {
        println!("  control   {url}");
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
