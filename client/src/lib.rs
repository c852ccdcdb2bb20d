//! Talk to a soundpost daemon: be a listener, a talker or a controller on its unix socket.
//!
//! [`blocking`] needs nothing but a thread; `asynchronous` (feature `tokio`) is the same for tokio. Both speak the
//! protocol of `docs/protocol.md`, and add what every client wants: a listener reports what it lost, a talker counts its
//! stream time, a controller finds the answer that belongs to its command. Sending never waits: what finds no room is
//! dropped, and said to be. What a newer daemon may say and is not known here is passed over.
//!
//! Hear what is captured:
//!
//! ```no_run
//! use soundpost_client::{Heard, blocking::Listener, default_path};
//!
//! let mut listener = Listener::connect(&default_path(), "example")?;
//! loop {
//!     match listener.hear()? {
//!         Heard::Packet(header, opus) => println!("{} bytes of Opus at sample {}", opus.len(), header.media.0),
//!         Heard::Dropped { fresh, .. } => println!("too slow: {fresh} packets were dropped"),
//!         Heard::Bye => break,
//!     }
//! }
//! # Ok::<(), soundpost_client::Error>(())
//! ```
//!
//! Send sound, here 20 ms of silence, and mute the microphone:
//!
//! ```no_run
//! use soundpost_client::{Direction, blocking::{Controller, Talker}, default_path};
//! use std::time::Duration;
//!
//! let mut talker = Talker::connect(&default_path(), "example", false)?;
//! talker.say(&[0xf8, 0xff, 0xfe])?;
//! talker.leave();
//! let mut controller = Controller::connect(&default_path(), "example", Some(Duration::from_secs(5)))?;
//! println!("{}", controller.mute(Direction::Capture, true)?);
//! # Ok::<(), soundpost_client::Error>(())
//! ```

#[cfg(feature = "tokio")]
pub mod asynchronous;
pub mod blocking;
mod connection;
pub mod message;
mod socket;
mod stream;

pub use message::Sent;
pub use soundpost_core::config::Direction;
pub use soundpost_core::wire::{Additions, ErrorCode, Frame, Header, Hello, Kind, Report, Role, Verb, Welcome};

use soundpost_core::wire::{self, Answer, Fault, Flags, Notice, Outcome, WireError};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Where the daemon's socket is, unless it was told otherwise: `$XDG_RUNTIME_DIR/soundpost.sock`, else
/// `/run/soundpost/soundpost.sock`.
#[must_use]
pub fn default_path() -> PathBuf {
    match std::env::var_os("XDG_RUNTIME_DIR") {
        Some(dir) if !dir.is_empty() => Path::new(&dir).join("soundpost.sock"),
        _ => PathBuf::from("/run/soundpost/soundpost.sock"),
    }
}

/// The arguments of [`Verb::Set`].
fn assignments(values: &[(&str, &str)]) -> String {
    values.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join("\n")
}

/// Why the daemon could not be talked to.
#[derive(Debug)]
pub enum Error {
    /// There is nobody.
    Connect {
        /// The socket.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It said why the conversation is over.
    Refused {
        /// Why, for programs: a number of [`ErrorCode`], or one that is not known here.
        code: u16,
        /// Why, in words.
        text: String,
    },
    /// A command was not done.
    NotDone {
        /// Why, for programs: a number of [`Outcome`], or one that is not known here.
        outcome: u16,
        /// Why, in words.
        text: String,
    },
    /// It said something that is not the protocol.
    Protocol(String),
    /// It did not answer in time.
    TimedOut,
    /// It went away.
    Closed,
    /// The system.
    Io(io::Error),
}

impl Error {
    /// The reason of a refusal, if it is one and is known here.
    #[must_use]
    pub fn code(&self) -> Option<ErrorCode> {
        let Self::Refused { code, .. } = self else { return None };
        ErrorCode::ALL.into_iter().find(|known| *known as u16 == *code)
    }

    /// How a command ended, if it did not end well and that is known here.
    #[must_use]
    pub fn outcome(&self) -> Option<Outcome> {
        let Self::NotDone { outcome, .. } = self else { return None };
        Outcome::ALL.into_iter().find(|known| *known as u16 == *outcome)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect { path, source } => write!(
                f,
                "no soundpost daemon at {}: {source}; start one with `soundpost run`, or name its socket with --socket",
                path.display()
            ),
            Self::Refused { text, .. } => write!(f, "the daemon refused: {text}"),
            Self::NotDone { text, .. } => write!(f, "the daemon did not do it: {text}"),
            Self::Protocol(what) => write!(f, "the daemon speaks another protocol: {what}"),
            Self::TimedOut => f.write_str("the daemon does not answer; is it stopped or overloaded?"),
            Self::Closed => f.write_str("the daemon closed the connection"),
            Self::Io(error) => write!(f, "the connection broke: {error}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Connect { source, .. } | Self::Io(source) => Some(source),
            _ => None,
        }
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        // What a socket with a time limit says when that is over.
        if error.kind() == io::ErrorKind::WouldBlock { Self::TimedOut } else { Self::Io(error) }
    }
}

impl From<WireError> for Error {
    fn from(error: WireError) -> Self {
        Self::Protocol(error.to_string())
    }
}

/// What the daemon sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A packet.
    Packet(Header, &'a [u8]),
    /// Packets were dropped for this client.
    Dropped {
        /// Since it was last told.
        fresh: u32,
        /// Since it was welcomed.
        total: u64,
    },
    /// Status, as JSON.
    Status(&'a str),
    /// What became of a command.
    Answer(Answer<'a>),
    /// What arrived of what was sent.
    Report(Report),
    /// A goodbye.
    Bye,
}

/// What a listener hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard<'a> {
    /// A packet: its header, and one Opus packet (with a copy of another in front if the header's flags say so; see
    /// [`soundpost_core::wire::redundant`]).
    Packet(Header, &'a [u8]),
    /// This listener was too slow, and packets were dropped for it.
    Dropped {
        /// Since it was last told.
        fresh: u32,
        /// Since it was welcomed.
        total: u64,
    },
    /// The daemon leaves in good order; nothing comes after this.
    Bye,
}

/// What a message from the daemon means to a client that agreed on these additions; `None` if it means nothing to it.
fn understand(bytes: &[u8], agreed: Additions) -> Result<Option<Event<'_>>, Error> {
    let (header, payload) = match wire::parse(bytes) {
        Ok((header, payload, [])) => (header, payload),
        Ok((_, payload, rest)) => {
            let said = payload.len();
            return Err(WireError::Length { got: said + rest.len(), min: said, max: said }.into());
        }
        // A newer daemon may say more.
        Err(WireError::Kind(_)) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    Ok(Some(match header.kind {
        Kind::Packet => {
            // What was not agreed upon means nothing.
            let flags = if agreed.redundancy { header.flags } else { header.flags.without(Flags::COPY) };
            Event::Packet(Header { flags, ..header }, payload)
        }
        Kind::Report => Event::Report(Report::parse(payload)?),
        Kind::Answer => Event::Answer(Answer::parse(payload)?),
        Kind::Status => Event::Status(std::str::from_utf8(payload).map_err(|_| WireError::Text("status"))?),
        Kind::Bye => Event::Bye,
        Kind::Notice => match Notice::parse(payload)? {
            Notice::Dropped { fresh, total } => Event::Dropped { fresh, total },
            Notice::Unknown(_) => return Ok(None),
        },
        Kind::Error => {
            let (code, text) = Fault::read(payload)?;
            return Err(Error::Refused { code, text: text.to_owned() });
        }
        other @ (Kind::Hello | Kind::Welcome | Kind::StatusRequest | Kind::Command) => {
            return Err(Error::Protocol(format!("unexpected {other:?}")));
        }
    }))
}

/// The answer to a greeting.
fn welcome(bytes: &[u8]) -> Result<Welcome, Error> {
    match wire::parse(bytes) {
        Ok((Header { kind: Kind::Welcome, .. }, payload, [])) => Ok(Welcome::parse(payload)?),
        _ => match understand(bytes, Additions::NONE)? {
            Some(event) => Err(Error::Protocol(format!("{event:?} instead of Welcome"))),
            None => Err(Error::Protocol("something unknown instead of Welcome".to_owned())),
        },
    }
}

/// The text of an answer that went well.
fn done(outcome: u16, text: &str) -> Result<String, Error> {
    if outcome == Outcome::Done as u16 {
        return Ok(text.to_owned());
    }
    Err(Error::NotDone { outcome, text: text.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: Kind, payload: &[u8]) -> Vec<u8> {
        let mut out = vec![0; wire::HEADER_LEN + payload.len()];
        wire::emit(kind, payload, &mut out).expect("room");
        out
    }

    #[test]
    fn what_a_newer_daemon_says_is_passed_over() {
        let mut kind = message(Kind::Bye, &[]);
        kind[3] = 200;
        assert!(matches!(understand(&kind, Additions::NONE), Ok(None)));
        let notice = message(Kind::Notice, &Notice::Unknown(9).emit());
        assert!(matches!(understand(&notice, Additions::NONE), Ok(None)));
        let refused = understand(&message(Kind::Error, &[99, 0, b'n', b'o']), Additions::NONE).expect_err("a refusal");
        assert!(matches!(&refused, Error::Refused { code: 99, text } if text == "no"));
        assert_eq!(refused.code(), None);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let mut other = message(Kind::Bye, &[]);
        other[2] = 2;
        assert!(understand(&other, Additions::NONE).expect_err("another").to_string().contains("version 2"));
        let long = [message(Kind::Bye, &[]), vec![0]].concat();
        assert!(understand(&long, Additions::NONE).expect_err("too long").to_string().contains("payload of 1 bytes"));
        assert!(welcome(&message(Kind::Bye, &[])).expect_err("no welcome").to_string().contains("Bye instead"));
        assert!(done(1, "x").is_err_and(|error| error.outcome() == Some(Outcome::UnknownVerb)));
    }
}
