//! `soundpost worker`: what the daemon starts, with its link as standard input.

use super::Outcome;
use crate::worker::process;
use clap::{Args, ValueEnum};

/// Have one direction's device and codec, for a daemon. `soundpost run` starts one for capture and one for playback, with
/// one end of a socket pair as standard input; there is nothing to be done with it by hand.
#[derive(Debug, Args)]
pub(super) struct Worker {
    /// Which direction: it only names the process, for what is to be done comes over the link.
    #[arg(value_enum)]
    direction: Which,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Which {
    /// Sound card → packets.
    Capture,
    /// Packets → sound card.
    Playback,
}

impl Worker {
    /// What its log lines begin with.
    pub(super) const fn tag(&self) -> &'static str {
        match self.direction {
            Which::Capture => "[capture] ",
            Which::Playback => "[playback] ",
        }
    }

    pub(super) fn run(self) -> Outcome {
        process::run()
    }
}
