//! Clients for tokio. What can be waited for can also be dropped half-way (in `select!`, say) and loses nothing.
//!
//! ```no_run
//! use soundpost_client::{Heard, asynchronous::Listener, default_path};
//!
//! # async fn example() -> Result<(), soundpost_client::Error> {
//! let mut listener = Listener::connect(&default_path(), "example").await?;
//! loop {
//!     match listener.hear().await? {
//!         Heard::Packet(header, opus) => println!("{} bytes of Opus at sample {}", opus.len(), header.media.0),
//!         Heard::Dropped { fresh, .. } => println!("too slow: {fresh} packets were dropped"),
//!         Heard::Bye => break,
//!     }
//! }
//! # Ok(())
//! # }
//! ```

use crate::message::{self, Sent};
use crate::socket;
use crate::stream::{Ear, Voice};
use crate::{Additions, Direction, Error, Event, Heard, Hello, Kind, Role, Verb, Welcome};
use crate::{done, understand};
use soundpost_core::wire::{ARGUMENTS_MAX, COMMAND_LEAD, Command, Mute, emit_direction};
use std::io;
use std::path::Path;
use tokio_seqpacket::UnixSeqpacket;

/// A connection on which both sides introduced themselves.
pub type Connection = crate::connection::Connection<UnixSeqpacket>;

impl Connection {
    /// Connects and introduces itself.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn open(path: &Path, hello: &Hello<'_>) -> Result<Self, Error> {
        let connected = UnixSeqpacket::connect(path).await;
        let socket = connected.map_err(|source| Error::Connect { path: path.to_owned(), source })?;
        let mut room = socket::room();
        socket::greet(&socket, hello, &mut room)?;
        let got = receive(&socket, &mut room).await?;
        let welcome = crate::welcome(&room[..got])?;
        Ok(Self { socket, room, welcome })
    }

    /// Waits for what the daemon sends next.
    ///
    /// # Errors
    /// [`Error`]; a refusal too.
    pub async fn event(&mut self) -> Result<Event<'_>, Error> {
        let agreed = self.welcome.additions;
        let got = loop {
            let got = receive(&self.socket, &mut self.room).await?;
            if understand(&self.room[..got], agreed)?.is_some() {
                break got;
            }
        };
        understand(&self.room[..got], agreed)?.ok_or(Error::Closed)
    }
}

/// Hears what the daemon captures, and tells it what was lost on the way and how long the rest took.
#[derive(Debug)]
pub struct Listener {
    connection: Connection,
    ear: Ear,
}

impl Listener {
    /// Connects.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn connect(path: &Path, name: &str) -> Result<Self, Error> {
        let additions = Additions { redundancy: true, notices: true };
        let hello = Hello { role: Role::Listener, takeover: false, additions, name };
        Self::open(path, &hello).await
    }

    /// Connects with a greeting of one's own, whose role should be that of a listener.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn open(path: &Path, hello: &Hello<'_>) -> Result<Self, Error> {
        let connection = Connection::open(path, hello).await?;
        Ok(Self { connection, ear: Ear::new() })
    }

    /// What the stream is like.
    #[must_use]
    pub const fn welcome(&self) -> Welcome {
        self.connection.welcome
    }

    /// Waits for what comes next.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn hear(&mut self) -> Result<Heard<'_>, Error> {
        let agreed = self.connection.welcome.additions;
        let got = loop {
            let got = receive(&self.connection.socket, &mut self.connection.room).await?;
            match understand(&self.connection.room[..got], agreed)? {
                Some(Event::Packet(header, _)) => {
                    if let Some(report) = self.ear.count(&header) {
                        self.connection.report(report);
                    }
                    break got;
                }
                Some(Event::Dropped { .. } | Event::Bye) => break got,
                Some(Event::Status(_) | Event::Answer(_) | Event::Report(_)) | None => {}
            }
        };
        match understand(&self.connection.room[..got], agreed)? {
            Some(Event::Packet(header, opus)) => Ok(Heard::Packet(header, opus)),
            Some(Event::Dropped { fresh, total }) => Ok(Heard::Dropped { fresh, total }),
            _ => Ok(Heard::Bye),
        }
    }

    /// Leaves in good order.
    pub fn leave(self) {
        let _ = self.connection.send(Kind::Bye, &[]);
    }
}

/// Sends sound that the daemon plays.
#[derive(Debug)]
pub struct Talker {
    connection: Connection,
    voice: Voice,
}

impl Talker {
    /// Connects; `takeover` replaces the one who is talking, if there is one.
    ///
    /// # Errors
    /// [`Error`]; [`ErrorCode::Busy`](crate::ErrorCode::Busy) if somebody else is talking.
    pub async fn connect(path: &Path, name: &str, takeover: bool) -> Result<Self, Error> {
        let additions = Additions { redundancy: false, notices: true };
        let hello = Hello { role: Role::Talker, takeover, additions, name };
        let connection = Connection::open(path, &hello).await?;
        Ok(Self { connection, voice: Voice::default() })
    }

    /// What the daemon would like to be sent.
    #[must_use]
    pub const fn welcome(&self) -> Welcome {
        self.connection.welcome
    }

    /// Sends the next Opus packet of at most 60 ms. To be called in real time.
    ///
    /// # Errors
    /// [`Error`], if the daemon is gone why that is, such as [`ErrorCode::Replaced`](crate::ErrorCode::Replaced).
    pub async fn say(&mut self, opus: &[u8]) -> Result<Sent, Error> {
        let header = self.voice.next(opus)?;
        let sent = self.connection.send_packet(&header, opus);
        if sent == Sent::Gone {
            // Why is in what it last said.
            loop {
                self.connection.event().await?;
            }
        }
        Ok(sent)
    }

    /// Says nothing for so many samples at 48 kHz.
    pub fn pause(&mut self, samples: u64) {
        self.voice.pause(samples);
    }

    /// Waits for what the daemon says: that it dropped packets, that it or this talker has to go.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn news(&mut self) -> Result<Event<'_>, Error> {
        self.connection.event().await
    }

    /// Leaves in good order.
    pub fn leave(self) {
        let _ = self.connection.send(Kind::Bye, &[]);
    }
}

/// Asks for status, and tells the daemon what to do.
#[derive(Debug)]
pub struct Controller {
    connection: Connection,
    tag: u32,
}

impl Controller {
    /// Connects.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn connect(path: &Path, name: &str) -> Result<Self, Error> {
        let hello = Hello { role: Role::Controller, takeover: false, additions: Additions::NONE, name };
        Ok(Self { connection: Connection::open(path, &hello).await?, tag: 0 })
    }

    /// The status, as JSON.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn status(&mut self) -> Result<String, Error> {
        self.ask(Verb::Status as u16, &[]).await
    }

    /// Mutes or unmutes a direction; how things stand then, as JSON.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn mute(&mut self, direction: Direction, muted: bool) -> Result<String, Error> {
        self.ask(Verb::Mute as u16, &Mute { direction, muted }.emit()).await
    }

    /// Sets keys of the configuration, such as `capture.quality`; what changed and how, as JSON.
    ///
    /// # Errors
    /// [`Error`]; then none of them is set.
    pub async fn set(&mut self, values: &[(&str, &str)]) -> Result<String, Error> {
        self.ask(Verb::Set as u16, crate::assignments(values).as_bytes()).await
    }

    /// Has the configuration's file read again; what changed and how, as JSON.
    ///
    /// # Errors
    /// [`Error`]; then nothing is changed.
    pub async fn reload(&mut self) -> Result<String, Error> {
        self.ask(Verb::Reload as u16, &[]).await
    }

    /// Has a direction run, or not; what changed, as JSON.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn run(&mut self, direction: Direction, runs: bool) -> Result<String, Error> {
        let verb = if runs { Verb::Start } else { Verb::Stop };
        self.ask(verb as u16, &emit_direction(direction)).await
    }

    /// Has directions that were given up tried again; what changed, as JSON.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn reset(&mut self) -> Result<String, Error> {
        self.ask(Verb::Reset as u16, &[]).await
    }

    /// Asks to be told every change from now on; how everything is now, as JSON. Each change comes from
    /// [`Controller::change`].
    ///
    /// # Errors
    /// [`Error`].
    pub async fn watch(&mut self) -> Result<String, Error> {
        self.ask(Verb::Watch as u16, &[]).await
    }

    /// Waits for the next change, as JSON: what changed, or how many changes were missed because nobody read them. To be
    /// called after [`Controller::watch`], and before anything else is asked.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn change(&mut self) -> Result<String, Error> {
        loop {
            match self.connection.event().await? {
                Event::Answer(answer) if answer.tag == self.tag => return done(answer.outcome, answer.text),
                Event::Bye => return Err(Error::Closed),
                _ => {}
            }
        }
    }

    /// Asks for anything by its number, and waits for the answer.
    ///
    /// # Errors
    /// [`Error`]; [`Error::NotDone`] if it was not done.
    pub async fn ask(&mut self, verb: u16, arguments: &[u8]) -> Result<String, Error> {
        self.tag = self.tag.wrapping_add(1);
        let mut payload = [0; COMMAND_LEAD + ARGUMENTS_MAX];
        let length = Command { tag: self.tag, verb, arguments }.emit(&mut payload)?;
        let _: Sent = message::send_control(&self.connection.socket, Kind::Command, &payload[..length]);
        self.change().await
    }

    /// Leaves in good order.
    pub fn leave(self) {
        let _ = self.connection.send(Kind::Bye, &[]);
    }
}

/// Receives one message.
async fn receive(socket: &UnixSeqpacket, room: &mut [u8]) -> Result<usize, Error> {
    let mut got = socket.recv(room).await;
    // The daemon closed while a message to it was under way. What it said last is still there.
    if got.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::ConnectionReset) {
        got = socket.recv(room).await;
    }
    match got?.bytes_read() {
        0 => Err(Error::Closed),
        got => Ok(got),
    }
}
