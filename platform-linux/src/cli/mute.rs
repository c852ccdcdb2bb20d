//! `soundpost mute`: silence a daemon's microphone or speaker.

use super::{Outcome, SocketArg, patience};
use crate::daemon::status::MuteStatus;
use clap::{Args, ValueEnum};
use soundpost_client::{Direction, blocking::Controller};

/// Silence a daemon's microphone, or its speaker.
#[derive(Debug, Args)]
pub(super) struct Mute {
    /// Whether it is to be silent.
    #[arg(value_name = "on|off")]
    switch: OnOff,
    /// The speaker instead of the microphone.
    #[arg(long)]
    playback: bool,
    #[command(flatten)]
    socket: SocketArg,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum OnOff {
    On,
    Off,
}

impl Mute {
    pub(super) fn run(self) -> Outcome {
        let direction = if self.playback { Direction::Playback } else { Direction::Capture };
        let mut controller = Controller::connect(&self.socket.path(), "soundpost mute", Some(patience()))?;
        let status: MuteStatus = serde_json::from_str(&controller.mute(direction, matches!(self.switch, OnOff::On))?)?;
        controller.leave();
        Ok(super::print(&format!("{}\n", told(&status, direction)))?)
    }
}

fn told(status: &MuteStatus, direction: Direction) -> &'static str {
    match direction {
        Direction::Playback if status.playback_by_command => "playback is muted",
        Direction::Playback => "playback is not muted",
        Direction::Capture if status.capture_by_command => "capture is muted",
        Direction::Capture if status.capture_by_switch => "capture is not muted by command any more, but by its switch",
        Direction::Capture => "capture is not muted",
    }
}
