//! `soundpost status`: what the daemon tells about itself.

use super::{Outcome, SocketArg, patience};
use crate::daemon::status::Status as Report;
use clap::Args;
use soundpost_client::blocking::Controller;

/// Ask a daemon how it is doing.
#[derive(Debug, Args)]
pub(super) struct Status {
    /// As one line of JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    socket: SocketArg,
}

impl Status {
    pub(super) fn run(self) -> Outcome {
        let mut controller = Controller::connect(&self.socket.path(), "soundpost status", Some(patience()))?;
        let json = controller.status()?;
        controller.leave();
        let text = if self.json { format!("{json}\n") } else { serde_json::from_str::<Report>(&json)?.to_string() };
        Ok(super::print(&text)?)
    }
}
