//! `soundpost watch`: what changes in a daemon, a line for each change.

use super::{Outcome, SocketArg, patience, print};
use clap::Args;
use serde_json::Value;
use soundpost_client::{Error, blocking::Controller};

/// See what changes in a daemon, as it happens, until it ends.
#[derive(Debug, Args)]
pub(super) struct Watch {
    /// Each change as one line of JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    socket: SocketArg,
}

impl Watch {
    pub(super) fn run(self) -> Outcome {
        let mut controller = Controller::connect(&self.socket.path(), "soundpost watch", Some(patience()))?;
        let status = controller.watch()?;
        if !self.json {
            print(&beginning(&serde_json::from_str(&status)?))?;
        }
        controller.set_patience(None)?;
        loop {
            match controller.change() {
                Ok(change) if self.json => print(&format!("{change}\n"))?,
                Ok(change) => print(&line(&serde_json::from_str(&change)?))?,
                Err(Error::Closed) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// How things stand at first.
fn beginning(status: &Value) -> String {
    let word = |pointer: &str| status.pointer(pointer).and_then(Value::as_str).unwrap_or("unknown").to_owned();
    format!("capture is {}, playback is {}\n", word("/capture/device/state"), word("/playback/device/state"))
}

/// A change as a person reads it; the time is that of Greenwich.
fn line(change: &Value) -> String {
    if let Some(missed) = change["missed"].as_u64() {
        return format!("{missed} changes were missed\n");
    }
    let word = |name: &str| change[name].as_str().unwrap_or("–");
    let reason = change["reason"].as_str().map_or_else(String::new, |reason| format!(" ({reason})"));
    let second = change["time_s"].as_f64().unwrap_or(0.0) as u64;
    let (hours, minutes, seconds) = (second / 3600 % 24, second / 60 % 60, second % 60);
    let (what, which, from, to) = (word("what"), word("which"), word("from"), word("to"));
    format!("{hours:02}:{minutes:02}:{seconds:02}Z {what} {which}: {from} → {to}{reason}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_a_line() {
        let change = serde_json::json!({"number": 3, "time_s": 86_400.0 + 3_661.5, "what": "device", "which": "capture",
            "from": "running", "to": "lost", "reason": "pulled out"});
        assert_eq!(line(&change), "01:01:01Z device capture: running → lost (pulled out)\n");
        let change = serde_json::json!({"time_s": 0, "what": "client", "which": "7", "from": null, "to": "talker", "reason": null});
        assert_eq!(line(&change), "00:00:00Z client 7: – → talker\n");
        assert_eq!(line(&serde_json::json!({"missed": 4})), "4 changes were missed\n");
    }
}
