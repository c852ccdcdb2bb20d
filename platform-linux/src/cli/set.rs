//! `soundpost set`, `gain` and `reload`: other values while the daemon runs.

use super::{Outcome, SocketArg, Way, patience, print};
use crate::configuration::{KEYS, Key};
use crate::daemon::control::Applied;
use clap::Args;
use soundpost_client::blocking::Controller;

/// Change keys of a running daemon's configuration, all of them or none.
///
/// It holds until the daemon ends, or its file says something else about that key; the value `default` takes it back.
#[derive(Debug, Args)]
pub(super) struct Set {
    /// Keys and values by turns, such as capture.quality high, or capture.gain=-6dB. Without its section, a key is what it
    /// is on the command line of `run`: quality is that of both directions.
    #[arg(value_name = "KEY VALUE", required = true)]
    said: Vec<String>,
    #[command(flatten)]
    out: Out,
}

/// Send or play louder or softer.
#[derive(Debug, Args)]
pub(super) struct Gain {
    /// The microphone or the speaker.
    direction: Way,
    /// How much: -60dB to 20dB.
    #[arg(value_name = "GAIN", allow_hyphen_values = true)]
    gain: soundpost_core::config::Gain,
    #[command(flatten)]
    out: Out,
}

/// Have a running daemon read its configuration again.
#[derive(Debug, Args)]
pub(super) struct Reload {
    #[command(flatten)]
    out: Out,
}

/// Have a direction run that was stopped or given up.
#[derive(Debug, Args)]
pub(super) struct Start {
    /// Which; without one, those that were given up.
    direction: Option<Way>,
    #[command(flatten)]
    out: Out,
}

/// Stop a direction: its device is closed.
#[derive(Debug, Args)]
pub(super) struct Stop {
    /// Which.
    direction: Way,
    #[command(flatten)]
    out: Out,
}

/// Whom to ask, and how to print the answer.
#[derive(Debug, Args)]
struct Out {
    /// Print what changed as one line of JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    socket: SocketArg,
}

impl Out {
    fn ask(self, ask: impl FnOnce(&mut Controller) -> Result<String, soundpost_client::Error>) -> Outcome {
        let mut controller = Controller::connect(&self.socket.path(), "soundpost control", Some(patience()))?;
        let answer = ask(&mut controller);
        controller.leave();
        let answer = answer?;
        if self.json {
            return Ok(print(&format!("{answer}\n"))?);
        }
        Ok(print(&in_words(&serde_json::from_str(&answer)?))?)
    }
}

fn in_words(applied: &Applied) -> String {
    let or_none = |value: &Option<String>| value.clone().unwrap_or_else(|| "not set".to_owned());
    let mut text = String::new();
    for change in &applied.changes {
        let (from, to) = (or_none(&change.from), or_none(&change.to));
        let turn = if from == to { to } else { format!("{from} → {to}") };
        text.push_str(&format!("{}: {turn} ({})\n", change.key, change.how));
    }
    applied.notes.iter().for_each(|note| text.push_str(&format!("{note}\n")));
    if text.is_empty() { "nothing differs\n".to_owned() } else { text }
}

impl Set {
    pub(super) fn run(self) -> Outcome {
        let mut said = Vec::new();
        let mut words = self.said.iter().map(String::as_str);
        while let Some(word) = words.next() {
            let pair = word.split_once('=').or_else(|| Some((word, words.next()?)));
            let no_value = || format!("{word:?} has no value; allowed: keys and values by turns, or KEY=VALUE");
            let (key, value) = pair.ok_or_else(no_value)?;
            said.extend(names(key)?.into_iter().map(|name| (name, value)));
        }
        let said: Vec<_> = said.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        self.out.ask(|controller| controller.set(&said))
    }
}

/// The whole names of a key: of one without its section there may be several.
fn names(key: &str) -> Result<Vec<String>, String> {
    if key.contains('.') {
        return Ok(vec![key.to_owned()]);
    }
    let found: Vec<_> = KEYS.iter().filter(|known| known.name() == key).map(|known| known.full.to_owned()).collect();
    match &found[..] {
        [] => {
            let mut all: Vec<_> = KEYS.iter().map(Key::name).collect();
            all.sort_unstable();
            all.dedup();
            Err(format!("there is no key {key:?}; allowed: {}", all.join(", ")))
        }
        // As `--quality` does.
        [_] => Ok(found),
        _ if key == "quality" => Ok(found),
        several => Err(format!("{key:?} may be {}; say which", several.join(" or "))),
    }
}

impl Gain {
    pub(super) fn run(self) -> Outcome {
        let key = match self.direction {
            Way::Capture => "capture.gain",
            Way::Playback => "playback.gain",
        };
        let value = self.gain.to_string();
        self.out.ask(|controller| controller.set(&[(key, &value)]))
    }
}

impl Reload {
    pub(super) fn run(self) -> Outcome {
        self.out.ask(Controller::reload)
    }
}

impl Start {
    pub(super) fn run(self) -> Outcome {
        match self.direction {
            Some(way) => self.out.ask(|controller| controller.run(way.direction(), true)),
            None => self.out.ask(Controller::reset),
        }
    }
}

impl Stop {
    pub(super) fn run(self) -> Outcome {
        self.out.ask(|controller| controller.run(self.direction.direction(), false))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_without_a_section_are_found_where_there_is_but_one() {
        assert_eq!(names("bitrate"), Ok(vec!["capture.bitrate".to_owned()]));
        assert_eq!(names("profile"), Ok(vec!["playback.profile".to_owned()]));
        assert_eq!(names("quality"), Ok(["capture", "playback"].map(|way| format!("{way}.quality")).to_vec()));
        assert_eq!(names("capture.speed"), Ok(vec!["capture.speed".to_owned()]), "the daemon says what is wrong");
        assert!(names("gain").is_err_and(|why| why.contains("capture.gain or playback.gain")));
        assert!(names("speed").is_err_and(|why| why.contains("allowed: ") && why.contains("bitrate")));
    }
}
