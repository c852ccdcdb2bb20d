//! The command line: words in, words out, exit code 0 (done), 1 (failed) or 2 (wrong usage).

mod config;
mod devices;
mod listen;
mod live;
mod log;
mod mute;
mod run;
mod set;
mod status;
mod talk;
mod told;
mod watch;
mod worker;

use crate::configuration;
use clap::{Args, Parser, Subcommand, ValueEnum};
use soundpost_core::config::{Bitrate, Channels, Content, Direction, FrameLen, Quality, Rate, Stream, TIMING};
use std::error::Error;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

const EXAMPLES: &str = "\
Examples:
  soundpost run                                   capture and playback on this device's sound card
  soundpost run --capture tone: --playback null   no sound card needed
  soundpost listen                                hear it, in a second terminal
  soundpost listen -o file:heard.wav --for 10s    record ten seconds of it
  soundpost talk -i file:hello.wav                say something through its speaker
  soundpost status                                how it is doing
  soundpost mute on                               silence its microphone
  soundpost set quality high                      change something while it runs

Devices are named by URI: alsa:NAME (any ALSA name), usb:PORT, file:PATH.wav, tone:, null, auto.";

/// Real-time, two-way audio link for embedded Linux: sound card → Opus → listeners, talker → sound card.
#[derive(Debug, Parser)]
#[command(name = "soundpost", version, after_help = EXAMPLES, max_term_width = 100)]
struct Cli {
    /// How much to say on stderr: error, warn, info, debug or trace.
    #[arg(long, global = true, default_value = "info", value_name = "LEVEL")]
    log_level: tracing::Level,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Serve: capture for listeners, play what a talker sends.
    Run(run::Run),
    /// Print the configuration that would be used, and where each value comes from.
    Config(config::Config),
    /// List sound devices and what each can do.
    Devices(devices::Devices),
    /// Hear what a daemon captures.
    Listen(listen::Listen),
    /// Send sound to a daemon's speaker.
    Talk(talk::Talk),
    /// Ask a daemon how it is doing.
    Status(status::Status),
    /// Silence a daemon's microphone, or its speaker.
    Mute(mute::Mute),
    /// See what changes in a daemon, as it happens.
    Watch(watch::Watch),
    /// Change keys of a running daemon's configuration, all of them or none.
    Set(set::Set),
    /// Send or play louder or softer.
    Gain(set::Gain),
    /// Have a running daemon read its configuration again.
    Reload(set::Reload),
    /// Have a direction run that was stopped or given up.
    Start(set::Start),
    /// Stop a direction: its device is closed.
    Stop(set::Stop),
    /// What `run` starts for each direction; of no use by hand.
    #[command(hide = true)]
    Worker(worker::Worker),
}

/// A direction, as a word.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Way {
    /// Sound card → packets.
    Capture,
    /// Packets → sound card.
    Playback,
}

impl Way {
    const fn direction(self) -> Direction {
        match self {
            Self::Capture => Direction::Capture,
            Self::Playback => Direction::Playback,
        }
    }
}

/// Where the daemon is.
#[derive(Debug, Args)]
struct SocketArg {
    /// The daemon's socket [default: as $SOUNDPOST_SOCKET_PATH or /etc/soundpost.toml say, else
    /// $XDG_RUNTIME_DIR/soundpost.sock, else /run/soundpost/soundpost.sock].
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
}

impl SocketArg {
    fn path(&self) -> PathBuf {
        self.socket.clone().unwrap_or_else(configuration::socket_path)
    }
}

/// What is coded.
#[derive(Debug, Args)]
struct StreamArgs {
    /// Preset: low, medium, high or ultra.
    #[arg(long, default_value = "medium", value_name = "PRESET")]
    quality: Quality,
    /// Sound in one packet: 2.5ms, 5ms, 10ms, 20ms, 40ms or 60ms [default: the preset's].
    #[arg(long, value_name = "LENGTH")]
    frame: Option<FrameLen>,
    /// Coded bits a second, 6k to 510k [default: the preset's].
    #[arg(long, value_name = "BITRATE")]
    bitrate: Option<Bitrate>,
    /// Sampling rate whose band is coded at most: 8k, 12k, 16k, 24k or 48k [default: the preset's].
    #[arg(long, value_name = "RATE")]
    rate: Option<Rate>,
    /// Coded channels, 1 or 2 [default: the preset's].
    #[arg(long, value_name = "COUNT")]
    channels: Option<Channels>,
}

impl StreamArgs {
    fn stream(&self, direction: Direction, content: Content) -> Stream {
        let preset = self.quality.stream(direction, content);
        let channels = self.channels.unwrap_or(preset.channels);
        let stream = Stream { channels, ..preset };
        let mut stream = stream.with_frame(self.frame.unwrap_or(preset.frame));
        stream.tuning.bitrate = self.bitrate.unwrap_or(stream.tuning.bitrate);
        stream.tuning.rate = self.rate.unwrap_or(stream.tuning.rate);
        stream
    }
}

/// A length of time with its unit: `500ms`, `10s`, `2min`, `1h`.
fn duration(text: &str) -> Result<std::time::Duration, String> {
    const UNITS: [(&str, f64); 4] = [("ms", 0.001), ("min", 60.0), ("s", 1.0), ("h", 3600.0)];
    let allowed = || format!("{text:?} is not a length of time; allowed: a number and ms, s, min or h, such as 10s");
    let unit = UNITS.iter().find_map(|(unit, seconds)| Some((text.strip_suffix(unit)?.trim_end(), seconds)));
    let (number, seconds) = unit.ok_or_else(allowed)?;
    let value = number.parse::<f64>().ok().filter(|value| *value > 0.0).ok_or_else(allowed)?;
    std::time::Duration::try_from_secs_f64(value * seconds).map_err(|_| allowed())
}

/// Does what the command line says.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let tag = if let Verb::Worker(worker) = &cli.verb { worker.tag() } else { "" };
    log::start(cli.log_level, tag);
    let done = match cli.verb {
        Verb::Run(verb) => verb.run(cli.log_level),
        Verb::Config(verb) => verb.run(),
        Verb::Devices(verb) => verb.run(),
        Verb::Listen(verb) => verb.run(),
        Verb::Talk(verb) => verb.run(),
        Verb::Status(verb) => verb.run(),
        Verb::Mute(verb) => verb.run(),
        Verb::Watch(verb) => verb.run(),
        Verb::Set(verb) => verb.run(),
        Verb::Gain(verb) => verb.run(),
        Verb::Reload(verb) => verb.run(),
        Verb::Start(verb) => verb.run(),
        Verb::Stop(verb) => verb.run(),
        Verb::Worker(verb) => verb.run(),
    };
    live::end();
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Where that cannot be said, the code says enough.
            let _ = writeln!(std::io::stderr(), "soundpost: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Writes to stdout. A reader that went away, such as `head`, is no fault.
fn print(text: &str) -> std::io::Result<()> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

type Outcome = Result<(), Box<dyn Error>>;

/// How long a person waits at a prompt.
fn patience() -> std::time::Duration {
    std::time::Duration::from_micros(TIMING.answer.as_micros())
}

/// A tokio runtime on this thread.
fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;
    use std::time::Duration;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn lengths_of_time_need_a_unit() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("1.5 s"), Ok(Duration::from_millis(1500)));
        assert_eq!(duration("2min"), Ok(Duration::from_secs(120)));
        for bad in ["10", "", "s", "-1s", "infs", "1e300h", "ten s"] {
            assert!(duration(bad).unwrap_err().contains("allowed"), "{bad}");
        }
    }

    #[test]
    fn wrong_values_name_the_option_the_value_and_what_is_allowed() {
        for (args, named) in [
            (["run", "--quality", "best"], "low, medium, high or ultra"),
            (["run", "--frame", "30ms"], "2.5ms, 5ms, 10ms, 20ms, 40ms or 60ms"),
            (["run", "--rate", "22050"], "8000, 12000, 16000, 24000 or 48000 Hz"),
            (["run", "--bitrate", "5k"], "6000 to 510000 bit/s"),
            (["run", "--channels", "6"], "1 (mono) or 2 (stereo)"),
            (["run", "--capture", "pulse:x"], "alsa:NAME"),
            (["listen", "--for", "10"], "such as 10s"),
            (["run", "--clients-max", "0"], "1 to 1000"),
            (["run", "--allow", "user:no-such-user"], "user:NUMBER"),
            (["run", "--allow", "alice"], "group:NAME"),
        ] {
            let error = Cli::try_parse_from(["soundpost"].into_iter().chain(args)).unwrap_err();
            let text = error.to_string();
            assert_eq!(error.exit_code(), 2);
            assert!(text.contains(args[1]) && text.contains(args[2]) && text.contains(named), "{text}");
        }
    }
}
