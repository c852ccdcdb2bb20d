//! What may be asked of a running daemon, whoever asks: the socket, a signal, another face of it.
//!
//! All or nothing: everything is checked before anything is done, and what is done is answered key by key, with how.

use super::hub::Hub;
use super::news::What;
use super::status::MuteStatus;
use crate::configuration::{Fault, KEYS, Key, Takes, Values};
use crate::ward::Books;
use crate::worker::process::name;
use serde::{Deserialize, Serialize};
use soundpost_core::config::{Change, Direction};
use soundpost_core::supervise::State;
use std::fmt;
use std::rc::Rc;

/// Something that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Other values for keys of the configuration, by their whole names.
    Set(Vec<(String, String)>),
    /// Silence for a direction, or no more.
    Mute {
        /// Which.
        direction: Direction,
        /// Whether it is to be silent.
        muted: bool,
    },
    /// The configuration's file is read again.
    Reload,
    /// A direction's worker is to run.
    Start(Direction),
    /// It is not to run.
    Stop(Direction),
    /// Workers that were given up are tried again.
    Reset,
    /// A direction begins anew, by a fresh worker, however the one before was doing.
    Renew(Direction),
}

/// How a change took effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum How {
    /// It is so already.
    #[serde(rename = "nothing to do")]
    Nothing,
    /// By other settings, where they are used.
    #[serde(rename = "retuned")]
    Retuned,
    /// By another encoder that takes over between two frames.
    #[serde(rename = "reshaped")]
    Reshaped,
    /// By a fresh worker.
    #[serde(rename = "worker replaced")]
    Replaced,
    /// Who is concerned is told: the next talker, or a worker that is to begin or to end.
    #[serde(rename = "told")]
    Told,
    /// Not at all, before the daemon is started again.
    #[serde(rename = "needs a restart of the daemon")]
    Restart,
}

impl fmt::Display for How {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nothing => "nothing to do",
            Self::Retuned => "retuned",
            Self::Reshaped => "reshaped",
            Self::Replaced => "worker replaced",
            Self::Told => "told",
            Self::Restart => "needs a restart of the daemon",
        })
    }
}

/// One thing that changed, or need not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Altered {
    /// The key of the configuration; for other things what they are called in the status.
    pub key: String,
    /// What it was; `None` for nothing.
    pub from: Option<String>,
    /// What it is.
    pub to: Option<String>,
    /// How.
    pub how: How,
}

/// What came of what was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    /// The number of the latest change; the status says which number is carried out.
    pub generation: u32,
    /// What changed, and how.
    pub changes: Vec<Altered>,
    /// What else has to be said.
    pub notes: Vec<String>,
}

/// Why nothing was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{}", .faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct Refused {
    /// Everything that is wrong.
    pub faults: Vec<Wrong>,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wrong {
    /// Where it was said: a file and a line, say.
    pub place: String,
    /// The key; empty if a file is none.
    pub key: String,
    /// The value, as it was written.
    pub value: String,
    /// What is wrong with it.
    pub why: String,
    /// What is allowed.
    pub allowed: Option<String>,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, key, why, allowed, .. } = self;
        let key = if key.is_empty() { String::new() } else { format!("{key}: ") };
        write!(f, "{place}: {key}{why}")?;
        allowed.as_ref().map_or(Ok(()), |allowed| write!(f, "; allowed: {allowed}"))
    }
}

impl From<Vec<Fault>> for Refused {
    fn from(faults: Vec<Fault>) -> Self {
        let wrong = |fault: Fault| {
            let (why, allowed) = match fault.why.split_once("; allowed: ") {
                Some((why, allowed)) => (why.to_owned(), Some(allowed.to_owned())),
                None => (fault.why, None),
            };
            Wrong { place: fault.origin.to_string(), key: fault.key, value: fault.value, why, allowed }
        };
        Self { faults: faults.into_iter().map(wrong).collect() }
    }
}

/// Does what is asked for.
///
/// # Errors
/// [`Refused`]; then nothing is changed.
pub(crate) fn obey(hub: &Rc<Hub>, verb: Verb) -> Result<Applied, Refused> {
    match verb {
        Verb::Set(said) => set(hub, &said),
        Verb::Mute { direction, muted } => Ok(mute(hub, direction, muted)),
        Verb::Reload => reload(hub),
        Verb::Start(direction) => Ok(run(hub, direction, true)),
        Verb::Stop(direction) => Ok(run(hub, direction, false)),
        Verb::Reset => Ok(reset(hub)),
        Verb::Renew(direction) => Ok(renew(hub, direction)),
    }
}

fn set(hub: &Hub, said: &[(String, String)]) -> Result<Applied, Refused> {
    let next = hub.live.borrow().with(said)?;
    let named: Vec<_> = said.iter().filter_map(|(name, _)| Key::find(name)).collect();
    let is_asked = |key: &Key| named.iter().any(|asked| asked.full == key.full);
    Ok(adopt(hub, next, is_asked))
}

fn reload(hub: &Hub) -> Result<Applied, Refused> {
    let next = hub.live.borrow().anew()?;
    Ok(adopt(hub, next, |_| false))
}

/// Goes over to other values; says so of all keys that differ, and of those that were asked for.
fn adopt(hub: &Hub, next: crate::configuration::Live, is_asked: impl Fn(&Key) -> bool) -> Applied {
    let (before, after) = (hub.live.borrow().effective().values().clone(), next.effective().values().clone());
    let began = &hub.began;
    let mut changes = Vec::new();
    for key in KEYS {
        // What takes a restart stays as it was at the start.
        let from = (key.show)(if key.takes == Takes::Restart { began } else { &before });
        let to = (key.show)(&after);
        if from != to || is_asked(key) {
            let how = if from == to { How::Nothing } else { How::Restart };
            changes.push((key, Altered { key: key.full.to_owned(), from, to, how }));
        }
    }
    let is_news = changes.iter().any(|(key, change)| change.how != How::Nothing && key.takes != Takes::Restart);
    let stream = if is_news { hub.adopt(next).1 } else { Change::None };
    let recaptured = before.capture != after.capture || before.capture_volume != after.capture_volume;
    for (key, change) in &mut changes {
        if change.how != How::Nothing {
            change.how = how(key, &stream, recaptured, &before, &after);
        }
        tracing::info!("{}: {} → {}: {}", change.key, or_none(&change.from), or_none(&change.to), change.how);
        if change.how != How::Nothing {
            let how = change.how.to_string();
            hub.news.tell(What::Config(key.full), change.from.as_deref(), change.to.as_deref(), Some(&how));
        }
    }
    let changes = changes.into_iter().map(|(_, change)| change).collect();
    Applied { generation: hub.generation(), changes, notes: Vec::new() }
}

fn or_none(value: &Option<String>) -> &str {
    value.as_deref().unwrap_or("not set")
}

/// How a key that differs takes effect, when the captured stream changes in this way.
fn how(key: &Key, stream: &Change, recaptured: bool, before: &Values, after: &Values) -> How {
    match (key.takes, stream) {
        (Takes::Frame, _) if recaptured => How::Replaced,
        (Takes::Frame, Change::Reshape(_)) => How::Reshaped,
        (Takes::Frame, Change::Retune(..)) => How::Retuned,
        // Whether to adapt takes effect where it is decided.
        (Takes::Frame, Change::None) if before.adapt != after.adapt && key.full == "capture.adapt" => How::Told,
        (Takes::Frame, Change::None) => How::Nothing,
        (Takes::Period, _) => How::Retuned,
        (Takes::Talker, _) => How::Told,
        (Takes::Device, _) => How::Replaced,
        (Takes::Restart, _) => How::Restart,
    }
}

fn word(muted: bool) -> Option<String> {
    Some(if muted { "muted" } else { "live" }.to_owned())
}

fn mute(hub: &Hub, direction: Direction, muted: bool) -> Applied {
    let by_command = |status: MuteStatus| match direction {
        Direction::Capture => status.capture_by_command,
        Direction::Playback => status.playback_by_command,
    };
    let was = by_command(hub.mute_status());
    let status = hub.mute(direction, muted);
    let overruled = direction == Direction::Capture && !muted && status.capture_by_switch;
    let note = overruled.then(|| "its switch still mutes the microphone, and overrules commands".to_owned());
    let how = if was == muted { How::Nothing } else { How::Told };
    let key = format!("{}.mute", name(direction));
    let change = Altered { key, from: word(was), to: word(muted), how };
    Applied { generation: hub.generation(), changes: vec![change], notes: note.into_iter().collect() }
}

/// A direction's worker runs, or does not.
fn run(hub: &Hub, direction: Direction, runs: bool) -> Applied {
    let books = &hub.books[direction as usize];
    let state = books.shown().state;
    let (was, runs_already) = match state {
        State::Stopped => ("stopped", false),
        State::GaveUp { .. } => ("gave up", false),
        State::Stopping { .. } => ("stopping", false),
        _ => ("running", true),
    };
    let nothing = if runs { runs_already } else { matches!(state, State::Stopped) };
    if !nothing {
        let tell = if runs { Books::start } else { Books::stop };
        tell(books);
        tracing::info!("{}: {}", name(direction), if runs { "started as asked for" } else { "stopped as asked for" });
    }
    let to = if runs { "running" } else { "stopped" };
    let note = nothing.then(|| format!("{} is {to} already", name(direction)));
    let how = if nothing { How::Nothing } else { How::Told };
    let key = format!("{}.worker", name(direction));
    let change = Altered { key, from: Some(was.to_owned()), to: Some(to.to_owned()), how };
    Applied { generation: hub.generation(), changes: vec![change], notes: note.into_iter().collect() }
}

fn reset(hub: &Hub) -> Applied {
    let directions = [Direction::Capture, Direction::Playback];
    let given_up = directions.into_iter().filter(|direction| hub.books[*direction as usize].gave_up());
    let answers: Vec<_> = given_up.map(|direction| run(hub, direction, true)).collect();
    let notes = if answers.is_empty() { vec!["no worker was given up".to_owned()] } else { Vec::new() };
    Applied { generation: hub.generation(), changes: answers.into_iter().flat_map(|a| a.changes).collect(), notes }
}

/// A worker that runs is replaced by another; any other begins.
fn renew(hub: &Hub, direction: Direction) -> Applied {
    let books = &hub.books[direction as usize];
    if !matches!(books.state(), State::Running { .. }) {
        return run(hub, direction, true);
    }
    tracing::info!("{}: begins anew as asked for", name(direction));
    books.replace();
    let word = || Some("running".to_owned());
    let change = Altered { key: format!("{}.worker", name(direction)), from: word(), to: word(), how: How::Replaced };
    Applied { generation: hub.generation(), changes: vec![change], notes: Vec::new() }
}
