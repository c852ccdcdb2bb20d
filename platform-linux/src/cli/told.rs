//! What the daemon is told on the command line, beside its file and the environment.

use crate::configuration::{self, Live, Place};
use crate::daemon::access::AllowList;
use crate::gpio::PinName;
use crate::http::Listen;
use crate::pcm::{Choice, Volume};
use clap::Args;
use soundpost_core::config::{
    Bitrate, Channels, Complexity, Content, FrameLen, Gain, Playout, Quality, Rate, SignalKind, switch,
};
use std::error::Error;
use std::path::PathBuf;
use std::str::FromStr;

/// A value that can be read as a `T`, as it was written.
fn text<T: FromStr<Err: ToString>>(text: &str) -> Result<String, String> {
    text.parse::<T>().map(|_| text.to_owned()).map_err(|error| error.to_string())
}

fn clients(text: &str) -> Result<String, String> {
    configuration::clients(text).map(|_| text.to_owned())
}

fn flag(text: &str) -> Result<String, String> {
    switch(text).map(|_| text.to_owned()).map_err(|error| error.to_string())
}

/// What `soundpost run` and `soundpost config` are told.
#[derive(Debug, Args)]
pub(super) struct Told {
    /// Where the configuration is [default: /etc/soundpost.toml, if there is one].
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where sound comes from: alsa:NAME, usb:PORT, file:PATH.wav[?loop], tone:, null or auto; several, separated by
    /// commas, are tried in this order [default: auto].
    #[arg(long, value_name = "URI", value_parser = text::<Choice>)]
    capture: Option<String>,
    /// Where a talker's sound goes: alsa:NAME, usb:PORT, file:PATH.wav, null or auto, or several [default: auto].
    #[arg(long, value_name = "URI", value_parser = text::<Choice>)]
    playback: Option<String>,
    /// What is captured: voice (a microphone, mono) or program (HDMI or line in, stereo) [default: voice].
    #[arg(long, value_name = "KIND", value_parser = text::<Content>)]
    content: Option<String>,
    /// Preset, for both directions: low, medium, high or ultra [default: medium].
    #[arg(long, value_name = "PRESET", value_parser = text::<Quality>)]
    quality: Option<String>,
    /// Use a worse preset for as long as the network or the processor does not carry that one: true or false
    /// [default: true].
    #[arg(long, value_name = "SWITCH", value_parser = flag)]
    adapt: Option<String>,
    /// Sound in one packet: 2.5ms, 5ms, 10ms, 20ms, 40ms or 60ms [default: the preset's].
    #[arg(long, value_name = "LENGTH", value_parser = text::<FrameLen>)]
    frame: Option<String>,
    /// Coded bits a second, 6k to 510k [default: the preset's].
    #[arg(long, value_name = "BITRATE", value_parser = text::<Bitrate>)]
    bitrate: Option<String>,
    /// Sampling rate whose band is coded at most: 8k, 12k, 16k, 24k or 48k [default: the preset's].
    #[arg(long, value_name = "RATE", value_parser = text::<Rate>)]
    rate: Option<String>,
    /// Coded channels, 1 or 2 [default: the preset's].
    #[arg(long, value_name = "COUNT", value_parser = text::<Channels>)]
    channels: Option<String>,
    /// How hard the encoder works, 0 to 10 [default: the preset's].
    #[arg(long, value_name = "EFFORT", value_parser = text::<Complexity>)]
    complexity: Option<String>,
    /// What kind of sound the encoder expects: voice or music [default: the preset's].
    #[arg(long, value_name = "KIND", value_parser = text::<SignalKind>)]
    signal: Option<String>,
    /// Packets as large as the sound needs: true or false [default: the preset's].
    #[arg(long, value_name = "SWITCH", value_parser = flag)]
    vbr: Option<String>,
    /// Next to nothing is sent during silence (below −40 dB of full scale): true or false [default: the preset's].
    #[arg(long, value_name = "SWITCH", value_parser = flag)]
    dtx: Option<String>,
    /// What a talker's sound is played with, delay or gaps: low, balanced, smooth or frozen [default: balanced].
    #[arg(long, value_name = "PROFILE", value_parser = text::<Playout>)]
    playout: Option<String>,
    /// How much louder or softer sound is sent than it is captured: -60dB to 20dB [default: 0dB].
    #[arg(long, value_name = "GAIN", allow_hyphen_values = true, value_parser = text::<Gain>)]
    capture_gain: Option<String>,
    /// How much louder or softer a talker is played: -60dB to 20dB [default: 0dB].
    #[arg(long, value_name = "GAIN", allow_hyphen_values = true, value_parser = text::<Gain>)]
    playback_gain: Option<String>,
    /// A volume control of the capturing card and what to set it to, such as Mic=40% or Mic=-6dB. Without this none is
    /// touched.
    #[arg(long, value_name = "NAME=VOLUME", value_parser = text::<Volume>)]
    capture_volume_control: Option<String>,
    /// The same for the card that plays.
    #[arg(long, value_name = "NAME=VOLUME", value_parser = text::<Volume>)]
    playback_volume_control: Option<String>,
    /// Pin of a lamp that is lit while the microphone is live, such as gpiochip0/17[,active-low].
    #[arg(long, value_name = "PIN", value_parser = text::<PinName>)]
    lamp: Option<String>,
    /// Pin of a switch that mutes the microphone, such as gpiochip0/27[,active-low][,pull-up|,pull-down].
    #[arg(long, value_name = "PIN", value_parser = text::<PinName>)]
    mute_switch: Option<String>,
    /// Pin of the amplifier's power, on while somebody talks, such as gpiochip0/22[,active-low].
    #[arg(long, value_name = "PIN", value_parser = text::<PinName>)]
    amp: Option<String>,
    /// The daemon's socket [default: $XDG_RUNTIME_DIR/soundpost.sock, else /run/soundpost/soundpost.sock].
    #[arg(long, value_name = "PATH")]
    socket: Option<String>,
    /// Who may connect: user:NAME or group:NAME, or their numbers; several separated by commas. Root and the daemon's
    /// own user always may [default: whoever the rights of the socket's file let in].
    #[arg(long, value_name = "WHO", value_parser = text::<AllowList>)]
    allow: Option<String>,
    /// How many clients may be connected at once [default: 64].
    #[arg(long, value_name = "COUNT", value_parser = clients)]
    clients_max: Option<String>,
    /// Where to serve status, control and metrics over HTTP, or off [default: 127.0.0.1:4886 if that is free].
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = text::<Listen>)]
    http: Option<String>,
    /// The file with the token that everybody has to show over HTTP; beyond this machine there has to be one.
    #[arg(long, value_name = "FILE")]
    http_token_file: Option<String>,
    /// The directory for what outlasts the daemon: what was muted [default: $STATE_DIRECTORY].
    #[arg(long, value_name = "DIRECTORY")]
    state_directory: Option<String>,
    /// Run capture and playback as threads of this process: no protection from crashes, some memory saved.
    #[arg(long, value_name = "SWITCH", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = flag)]
    in_process: Option<String>,
}

impl Told {
    /// All that holds together: the file, the environment and this.
    ///
    /// # Errors
    /// What is wrong, each on a line; or that there is no such file.
    pub(super) fn live(&self) -> Result<Live, Box<dyn Error>> {
        let environment = configuration::environment();
        let place = self.config.clone().map_or(Place::Default, Place::Named);
        Live::load(place, environment, self.said()).map_err(|faults| {
            let lines: Vec<_> = faults.iter().map(ToString::to_string).collect();
            lines.join("\nsoundpost: ").into()
        })
    }

    fn said(&self) -> Vec<(&'static str, String)> {
        let said = [
            ("capture.device", &self.capture),
            ("capture.content", &self.content),
            ("capture.quality", &self.quality),
            ("capture.adapt", &self.adapt),
            ("capture.frame", &self.frame),
            ("capture.bitrate", &self.bitrate),
            ("capture.rate", &self.rate),
            ("capture.channels", &self.channels),
            ("capture.complexity", &self.complexity),
            ("capture.signal", &self.signal),
            ("capture.vbr", &self.vbr),
            ("capture.dtx", &self.dtx),
            ("capture.gain", &self.capture_gain),
            ("capture.volume-control", &self.capture_volume_control),
            ("playback.device", &self.playback),
            ("playback.quality", &self.quality),
            ("playback.profile", &self.playout),
            ("playback.gain", &self.playback_gain),
            ("playback.volume-control", &self.playback_volume_control),
            ("board.lamp", &self.lamp),
            ("board.mute-switch", &self.mute_switch),
            ("board.amp", &self.amp),
            ("socket.path", &self.socket),
            ("socket.allow", &self.allow),
            ("socket.clients-max", &self.clients_max),
            ("http.listen", &self.http),
            ("http.token-file", &self.http_token_file),
            ("state.directory", &self.state_directory),
            ("workers.in-process", &self.in_process),
        ];
        said.into_iter().filter_map(|(key, value)| Some((key, value.clone()?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::configuration::KEYS;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        told: Told,
    }

    #[test]
    fn the_command_line_can_say_every_key() {
        let options = KEYS.iter().flat_map(|key| match key.full {
            "capture.device" => vec!["--capture", "null"],
            "playback.device" => vec!["--playback", "null"],
            "playback.quality" => vec![],
            "playback.profile" => vec!["--playout", "low"],
            "socket.path" => vec!["--socket", "/s"],
            "capture.gain" => vec!["--capture-gain", key.example],
            "capture.volume-control" => vec!["--capture-volume-control", key.example],
            "playback.gain" => vec!["--playback-gain", key.example],
            "playback.volume-control" => vec!["--playback-volume-control", key.example],
            "http.listen" => vec!["--http", key.example],
            "http.token-file" => vec!["--http-token-file", key.example],
            "state.directory" => vec!["--state-directory", key.example],
            "workers.in-process" => vec!["--in-process"],
            "board.lamp" => vec!["--lamp", key.example],
            "board.mute-switch" => vec!["--mute-switch", key.example],
            "board.amp" => vec!["--amp", key.example],
            _ => vec![Box::leak(format!("--{}", key.name()).into_boxed_str()), key.example],
        });
        let line = Line::try_parse_from(std::iter::once("soundpost").chain(options)).unwrap();
        let said: Vec<_> = line.told.said().into_iter().map(|(key, _)| key).collect();
        assert_eq!(said, KEYS.iter().map(|key| key.full).collect::<Vec<_>>());
    }
}
