//! A worker: the process that has one direction's device and codec, and nothing else.
//!
//! `soundpost run` never opens a sound card and never runs a codec: it starts `soundpost worker capture` and `soundpost
//! worker playback`, each at the other end of a [`Link`]. What crosses a link is packets as they are on the public socket,
//! and rare messages: [`Order`]s in, [`Word`]s out. A worker knows nothing of clients, of its sibling, or of restarts; it
//! is told with what to begin, and a successor is told where its predecessor ended. With `--in-process` the same function
//! runs on a thread, at the end of the same kind of link.

mod capture;
pub mod link;
mod playback;
pub mod process;
pub mod sandbox;

pub use link::Link;

use crate::daemon::status::PaceStatus;
use crate::direction::State;
use crate::pcm::{Choice, Opened, Volume};
use crate::rt::Grants;
use link::Received;
use sandbox::Sandbox;
use serde::{Deserialize, Serialize};
use soundpost_core::capacity::LINK_MESSAGE_MAX;
use soundpost_core::config::{Channels, Direction, Playout, Stream};
use soundpost_core::engine::capture::{Command, Resume};
use soundpost_core::engine::playback::Command as PlaybackCommand;
use soundpost_core::meter::{CaptureReport, PlaybackReport};
use soundpost_core::pool::PoolStats;

/// What a worker is told.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Order {
    /// First of all: what to do.
    Begin(Box<Begin>),
    /// To capture: a change between two frames.
    Command(Command),
    /// To capture: another encoder, which takes over between two frames.
    Reshape(Stream),
    /// To playback: a change of what is heard.
    Playback(PlaybackCommand),
    /// To playback: give silence to the device, or sound again.
    Hush(bool),
    /// Fade, drain and go.
    Leave,
}

/// What to begin with.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Begin {
    /// The version of the daemon, which is that of the worker.
    pub version: String,
    /// The devices, as on the command line.
    pub devices: String,
    /// What the card's own volume is set to, if anybody asked for that.
    pub volume: Option<Volume>,
    /// The direction.
    pub task: Task,
}

/// What is different between the directions.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Task {
    /// Capture.
    Capture {
        /// What is coded.
        stream: Stream,
        /// Begin muted.
        muted: bool,
        /// What is known of the predecessor, if there was one: the stream goes on.
        resume: Option<Box<Resume>>,
    },
    /// Playback.
    Playback {
        /// Channels that are wanted.
        channels: Channels,
        /// Delay or gaps.
        playout: Playout,
        /// Begin with silence, for the amplifier.
        hush: bool,
        /// Begin muted.
        muted: bool,
        /// What the predecessor counted, if there was one.
        counts: Option<Box<PlaybackReport>>,
    },
}

impl Task {
    /// Which direction it is.
    #[must_use]
    pub const fn direction(&self) -> Direction {
        match self {
            Self::Capture { .. } => Direction::Capture,
            Self::Playback { .. } => Direction::Playback,
        }
    }
}

/// What a worker says.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Word {
    /// The device is open, sound moves.
    Ready(Box<Ready>),
    /// It cannot begin, for this reason. It ends after that.
    Failed(String),
    /// How capture gets on.
    Capture(Box<CaptureWord>),
    /// How playback gets on.
    Playback(Box<PlaybackWord>),
}

/// What came of the beginning.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Ready {
    /// What was opened.
    pub opened: Opened,
    /// What the system granted.
    pub grants: Grants,
    /// What it took from the worker.
    pub sandbox: Sandbox,
}

/// How capture gets on.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CaptureWord {
    /// Commands that have reached the audio thread's ring. What follows was looked at after that.
    pub commands: u32,
    /// The counters.
    pub report: CaptureReport,
    /// The device.
    pub state: State,
    /// Turns of the crank: what is alive turns.
    pub turns: u64,
    /// The pool.
    pub pool: PoolStats,
    /// What was opened since.
    pub opened: Option<Box<Opened>>,
}

/// How playback gets on.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PlaybackWord {
    /// The counters.
    pub report: PlaybackReport,
    /// The device.
    pub state: State,
    /// Turns of the crank.
    pub turns: u64,
    /// The pool.
    pub pool: PoolStats,
    /// Packets that found no slot or no room.
    pub rejected: u64,
    /// The device's clock.
    pub pace: PaceStatus,
    /// What was opened since.
    pub opened: Option<Box<Opened>>,
}

/// Why a worker ends.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// It could not begin, and has said so to who started it.
    #[error("{0}")]
    Failed(String),
    /// The system.
    #[error("the link to the daemon: {0}")]
    System(#[from] std::io::Error),
}

/// The whole life of a worker: until it is told to leave, the link is closed, or `leave` comes.
///
/// # Errors
/// [`WorkerError`].
pub async fn serve(link: Link, confined: bool, leave: impl Future<Output = ()>) -> Result<(), WorkerError> {
    let mut room = vec![0; LINK_MESSAGE_MAX].into_boxed_slice();
    let begin = match link.receive(&mut room).await? {
        Received::Said(bytes) => serde_json::from_slice(bytes).map_err(|error| error.to_string()),
        Received::Closed => return Ok(()),
        Received::Packet(..) | Received::Nonsense(_) => Err("a packet".to_owned()),
    };
    let served = match begin {
        Ok(Order::Begin(begin)) => match check(&begin) {
            Ok(choice) => {
                let trade = Trade { link: &link, confined, room: &mut room };
                match begin.task {
                    Task::Capture { stream, muted, resume } => {
                        capture::serve(trade, &choice, stream, muted, resume.as_deref(), leave).await
                    }
                    Task::Playback { .. } => playback::serve(trade, &choice, &begin.task, leave).await,
                }
            }
            Err(why) => Err(WorkerError::Failed(why)),
        },
        Ok(other) => Err(WorkerError::Failed(format!("{other:?} instead of what to begin with"))),
        Err(error) => Err(WorkerError::Failed(format!("not an order: {error}"))),
    };
    if let Err(WorkerError::Failed(why)) = &served {
        let _ = link.say(&Word::Failed(why.clone()));
    }
    served
}

/// What both directions work with.
struct Trade<'a> {
    link: &'a Link,
    /// It is a process of its own, which can do without what it does not need.
    confined: bool,
    room: &'a mut [u8],
}

fn check(begin: &Begin) -> Result<Choice, String> {
    let (ours, theirs) = (env!("CARGO_PKG_VERSION"), &begin.version);
    if ours != theirs {
        return Err(format!("this is version {ours}, the daemon {theirs}; restart the daemon"));
    }
    let choice: Choice = begin.devices.parse().map_err(|error: crate::pcm::UriError| error.to_string())?;
    Ok(choice.with_volume(begin.volume.clone()))
}

/// The order in a message; `None` if it is none, which only a daemon of another version says.
fn order(bytes: &[u8]) -> Option<Order> {
    serde_json::from_slice(bytes).inspect_err(|error| tracing::warn!("not an order: {error}")).ok()
}
