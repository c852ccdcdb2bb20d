//! The daemon's configuration: one table of keys, and values for them from a file, the environment and the command line.
//!
//! [`load`] gives all of it or nothing: every fault is named by its place, its key, its value and what is allowed. The
//! example file and the page about it are written from the same table ([`page`]), and so is what `soundpost config`
//! prints. What two configurations differ by, and what that takes, says [`Effective::diff`].

mod keys;
mod live;
pub mod page;
mod read;
mod values;

pub(crate) use keys::clients;
pub use keys::{KEYS, Key, Takes};
pub use live::{Live, Place, TAKE_BACK};
pub use read::Fault;
pub use values::Values;

use crate::board::Wiring;
use crate::daemon::Settings;
use crate::worker::process::Launch;
use soundpost_core::config::{Change as StreamChange, Direction, Gain, Playout, Stream};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

/// Where the file is, if it is not named.
pub const DEFAULT_FILE: &str = "/etc/soundpost.toml";

/// Where a value comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Origin {
    /// Nobody said anything.
    #[default]
    Default,
    /// A file, and a line in it; line 0 is the file as such.
    File(PathBuf, usize),
    /// A variable of the environment.
    Environment(String),
    /// The command line.
    CommandLine,
    /// It was set while the daemon runs.
    Set,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path, 0) => write!(f, "{}", path.display()),
            Self::File(path, line) => write!(f, "{}, line {line}", path.display()),
            Self::Environment(name) => write!(f, "environment, {name}"),
            Self::CommandLine => f.write_str("command line"),
            Self::Set => f.write_str("set while running"),
        }
    }
}

/// Where values are looked for; the last one that says something wins.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// A file's name and text.
    pub file: Option<(PathBuf, String)>,
    /// The environment.
    pub environment: Vec<(String, String)>,
    /// Keys of [`KEYS`], such as `capture.quality`, and values.
    pub command_line: Vec<(&'static str, String)>,
    /// The same, set while the daemon runs.
    pub set: Vec<(String, String)>,
}

/// A whole configuration, and where each value comes from.
#[derive(Clone, Debug)]
pub struct Effective {
    values: Values,
    said: BTreeMap<&'static str, (String, Origin)>,
}

/// What has to be done to get from one configuration to another.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// The captured stream is coded in another way, while it goes on.
    Capture(StreamChange),
    /// Talkers are asked for another stream.
    Talk(Stream),
    /// What is played is played with another profile.
    Profile(Playout),
    /// Louder or softer.
    Gain(Direction, Gain),
    /// Another device for one direction, or another volume of its card.
    Device(Direction),
    /// The daemon has to be started anew for this key.
    Restart(&'static str),
}

/// All of it, or everything that is wrong.
///
/// # Errors
/// The faults, the file's first.
pub fn load(sources: &Sources) -> Result<Effective, Vec<Fault>> {
    let mut entries = Vec::new();
    let mut faults = Vec::new();
    if let Some((path, text)) = &sources.file {
        read::file(path, text, &mut entries, &mut faults);
    }
    read::environment(&sources.environment, &mut entries, &mut faults);
    let command_line = sources.command_line.iter().map(|(name, value)| (*name, value, Origin::CommandLine));
    let set = sources.set.iter().map(|(name, value)| (name.as_str(), value, Origin::Set));
    for (name, value, origin) in command_line.chain(set) {
        match Key::find(name) {
            Some(key) => entries.push((key, value.clone(), origin)),
            None => faults.push(Fault::unknown(origin, name, value)),
        }
    }
    let mut effective = Effective { values: Values::default(), said: BTreeMap::new() };
    for (key, value, origin) in entries {
        match (key.take)(&mut effective.values, &value) {
            Ok(()) => drop(effective.said.insert(key.full, (value, origin))),
            Err(why) => faults.push(Fault::value(origin, key, &value, &why)),
        }
    }
    // In the order of the file.
    faults.sort_by_key(|fault| if let Origin::File(_, line) = fault.origin { line } else { usize::MAX });
    if faults.is_empty() { Ok(effective) } else { Err(faults) }
}

/// Where a daemon's socket is that was started without options: as the environment says, or the default file, or the
/// default. What else is wrong with them does not matter to who only looks for it.
#[must_use]
pub fn socket_path() -> PathBuf {
    let (mut entries, mut faults) = (Vec::new(), Vec::new());
    if let Ok(text) = std::fs::read_to_string(DEFAULT_FILE) {
        read::file(DEFAULT_FILE.as_ref(), &text, &mut entries, &mut faults);
    }
    read::environment(&environment(), &mut entries, &mut faults);
    let mut values = Values::default();
    for (key, value, _) in entries.iter().filter(|(key, ..)| key.full == SOCKET) {
        let _ = (key.take)(&mut values, value);
    }
    values.socket.unwrap_or_else(crate::socket::default_path)
}

const SOCKET: &str = "socket.path";

/// The variables of the environment that are text.
pub(crate) fn environment() -> Vec<(String, String)> {
    let text = |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
    std::env::vars_os().filter_map(text).collect()
}

impl Effective {
    /// The values.
    #[must_use]
    pub const fn values(&self) -> &Values {
        &self.values
    }

    /// Where the value of a key comes from.
    #[must_use]
    pub fn origin(&self, key: &Key) -> Origin {
        self.said.get(key.full).map(|(_, origin)| origin.clone()).unwrap_or_default()
    }

    /// What was said about a key, if anything was.
    #[must_use]
    pub fn said(&self, full: &str) -> Option<&str> {
        self.said.get(full).map(|(value, _)| value.as_str())
    }

    /// What the daemon is asked to do; its workers log at this level.
    #[must_use]
    pub fn settings(&self, log_level: tracing::Level) -> Settings {
        let values = self.values.clone();
        Settings {
            quality: values.quality,
            stream: values.stream(),
            talk: values.talk(),
            socket: values.socket.unwrap_or_else(crate::socket::default_path),
            allow: values.allow,
            clients_max: values.clients_max,
            listen: values.listen,
            token_file: values.token_file,
            state: values.state.or_else(crate::daemon::state_directory),
            capture: values.capture.with_volume(values.capture_volume),
            playback: values.playback.with_volume(values.playback_volume),
            capture_gain: values.capture_gain,
            playback_gain: values.playback_gain,
            playout: values.profile,
            wiring: Wiring { lamp: values.lamp, mute_switch: values.mute_switch, amp: values.amp },
            launch: if values.in_process { Launch::Threads } else { Launch::Processes(log_level) },
        }
    }

    /// What it takes to get from this to `to`, the smallest way. Nothing, if nothing differs.
    #[must_use]
    pub fn diff(&self, to: &Self) -> Vec<Change> {
        let (from, to) = (&self.values, &to.values);
        let mut changes = Vec::new();
        match from.stream().diff(to.stream()) {
            StreamChange::None => {}
            change => changes.push(Change::Capture(change)),
        }
        if from.talk() != to.talk() {
            changes.push(Change::Talk(to.talk()));
        }
        if from.profile != to.profile {
            changes.push(Change::Profile(to.profile));
        }
        for (direction, before, after) in [
            (Direction::Capture, from.capture_gain, to.capture_gain),
            (Direction::Playback, from.playback_gain, to.playback_gain),
        ] {
            if before != after {
                changes.push(Change::Gain(direction, after));
            }
        }
        let same_capture = from.capture == to.capture && from.capture_volume == to.capture_volume;
        let same_playback = from.playback == to.playback && from.playback_volume == to.playback_volume;
        for (direction, is_same) in [(Direction::Capture, same_capture), (Direction::Playback, same_playback)] {
            if !is_same {
                changes.push(Change::Device(direction));
            }
        }
        let restarts = KEYS.iter().filter(|key| key.takes == Takes::Restart);
        let differs = |key: &&Key| (key.show)(from) != (key.show)(to);
        changes.extend(restarts.filter(differs).map(|key| Change::Restart(key.full)));
        changes
    }

    /// As a file has it, with a word about each value on where it comes from.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        let mut section = "";
        for key in KEYS {
            if key.section() != section {
                section = key.section();
                let gap = if text.is_empty() { "" } else { "\n" };
                text.push_str(&format!("{gap}[{section}]\n"));
            }
            let origin = self.origin(key);
            let line = match (key.show)(&self.values) {
                Some(value) => format!("{} = {}", key.name(), page::quoted(&value)),
                None => format!("# {}: {}", key.name(), key.unset),
            };
            text.push_str(&format!("{line:<40} # {origin}\n"));
        }
        text
    }
}
