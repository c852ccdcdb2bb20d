//! `soundpost status`: what the daemon tells about itself.

use super::{Outcome, SocketArg, runtime};
use crate::client::{ClientError, Connection, Incoming};
use crate::daemon::status::Status as Report;
use clap::Args;
use soundpost_core::wire::{Hello, Kind, Role};
use std::path::Path;
use std::time::Duration;

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
        let path = self.socket.path();
        let json = runtime()?.block_on(async {
            let answer = tokio::time::timeout(Duration::from_secs(5), ask(&path)).await;
            answer
                .map_err(|_| "the daemon does not answer; is it stopped or overloaded?".to_owned())?
                .map_err(|e| e.to_string())
        })?;
        let text = if self.json { format!("{json}\n") } else { serde_json::from_str::<Report>(&json)?.to_string() };
        Ok(super::print(&text)?)
    }
}

async fn ask(path: &Path) -> Result<String, ClientError> {
    let hello = Hello { role: Role::Observer, takeover: false, redundancy: false, name: "soundpost status" };
    let mut connection = Connection::open(path, &hello).await?;
    connection.send(Kind::StatusRequest, &[])?;
    let json = loop {
        if let Incoming::Status(json) = connection.next().await? {
            break json.to_owned();
        }
    };
    connection.send(Kind::Bye, &[])?;
    Ok(json)
}
