//! `soundpost worker`: what the daemon starts, with its link as standard input.

use super::{Outcome, Way};
use crate::worker::process;
use clap::Args;

/// Have one direction's device and codec, for a daemon. `soundpost run` starts one for capture and one for playback, with
/// one end of a socket pair as standard input; there is nothing to be done with it by hand.
#[derive(Debug, Args)]
pub(super) struct Worker {
    /// Which direction: it only names the process, for what is to be done comes over the link.
    #[arg(value_enum)]
    direction: Way,
}

impl Worker {
    /// What its log lines begin with.
    pub(super) const fn tag(&self) -> &'static str {
        match self.direction {
            Way::Capture => "[capture] ",
            Way::Playback => "[playback] ",
        }
    }

    pub(super) fn run(self) -> Outcome {
        process::run()
    }
}
