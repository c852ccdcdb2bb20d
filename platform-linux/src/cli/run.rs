//! `soundpost run`: the daemon.

use super::{Outcome, SocketArg, StreamArgs, live};
use crate::board::Wiring;
use crate::daemon::access::{AllowList, Party};
use crate::daemon::{self, Settings, status::Status};
use crate::gpio::PinName;
use crate::pcm::{Choice, Volume};
use crate::worker::process::Launch;
use clap::Args;
use soundpost_core::capacity::{CLIENTS_LIMIT, CLIENTS_MAX};
use soundpost_core::config::{Content, Direction, Gain, Playout};

/// Serve: capture for listeners, play what a talker sends.
#[derive(Debug, Args)]
pub(super) struct Run {
    /// Where sound comes from: alsa:NAME, usb:PORT, file:PATH.wav[?loop], tone:, null or auto; several, separated by
    /// commas, are tried in this order.
    #[arg(long, default_value = "auto", value_name = "URI")]
    capture: Choice,
    /// Where a talker's sound goes: alsa:NAME, usb:PORT, file:PATH.wav, null or auto, or several.
    #[arg(long, default_value = "auto", value_name = "URI")]
    playback: Choice,
    /// What is captured: voice (a microphone, mono) or program (HDMI or line in, stereo).
    #[arg(long, default_value = "voice", value_name = "KIND")]
    content: Content,
    /// Pin of a lamp that is lit while the microphone is live, such as gpiochip0/17[,active-low].
    #[arg(long, value_name = "PIN")]
    lamp: Option<PinName>,
    /// Pin of a switch that mutes the microphone, such as gpiochip0/27[,active-low][,pull-up|,pull-down].
    #[arg(long, value_name = "PIN")]
    mute_switch: Option<PinName>,
    /// Pin of the amplifier's power, on while somebody talks, such as gpiochip0/22[,active-low].
    #[arg(long, value_name = "PIN")]
    amp: Option<PinName>,
    /// Run capture and playback as threads of this process: no protection from crashes, some memory saved.
    #[arg(long)]
    in_process: bool,
    /// What a talker's sound is played with, delay or gaps: low, balanced, smooth or frozen.
    #[arg(long, default_value = "balanced", value_name = "PROFILE")]
    playout: Playout,
    /// How much louder or softer sound is sent than it is captured: -60dB to 20dB.
    #[arg(long, default_value = "0dB", value_name = "GAIN", allow_hyphen_values = true)]
    capture_gain: Gain,
    /// How much louder or softer a talker is played: -60dB to 20dB.
    #[arg(long, default_value = "0dB", value_name = "GAIN", allow_hyphen_values = true)]
    playback_gain: Gain,
    /// A volume control of the capturing card and what to set it to, such as Mic=40% or Mic=-6dB. Without this none is
    /// touched.
    #[arg(long, value_name = "NAME=VOLUME")]
    capture_volume_control: Option<Volume>,
    /// The same for the card that plays.
    #[arg(long, value_name = "NAME=VOLUME")]
    playback_volume_control: Option<Volume>,
    /// Who may connect: user:NAME or group:NAME, or their numbers; several separated by commas. Root and the daemon's
    /// own user always may [default: whoever the rights of the socket's file let in].
    #[arg(long, value_name = "WHO", value_delimiter = ',')]
    allow: Vec<Party>,
    /// How many clients may be connected at once.
    #[arg(long, default_value_t = CLIENTS_MAX, value_name = "COUNT", value_parser = clients)]
    clients_max: usize,
    #[command(flatten)]
    stream: StreamArgs,
    #[command(flatten)]
    socket: SocketArg,
}

impl Run {
    pub(super) fn run(self, log_level: tracing::Level) -> Outcome {
        let launch = if self.in_process { Launch::Threads } else { Launch::Processes(log_level) };
        let settings = Settings {
            quality: self.stream.quality,
            stream: self.stream.stream(Direction::Capture, self.content),
            talk: self.stream.quality.stream(Direction::Playback, self.content),
            socket: self.socket.path(),
            allow: AllowList::new(self.allow)?,
            clients_max: self.clients_max,
            capture: self.capture.with_volume(self.capture_volume_control),
            playback: self.playback.with_volume(self.playback_volume_control),
            capture_gain: self.capture_gain,
            playback_gain: self.playback_gain,
            playout: self.playout,
            wiring: Wiring { lamp: self.lamp, mute_switch: self.mute_switch, amp: self.amp },
            launch,
        };
        let tick = live::wanted().then_some(show as fn(&Status));
        daemon::run(settings, announce, tick)?;
        Ok(())
    }
}

fn clients(text: &str) -> Result<usize, String> {
    let count = text.parse::<usize>().ok().filter(|count| (1..=CLIENTS_LIMIT).contains(count));
    count.ok_or_else(|| format!("not a number of clients; allowed: 1 to {CLIENTS_LIMIT}"))
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
