//! A client's side of the public socket: connect, introduce oneself, and understand a refusal.

use crate::socket::{self, Received, Sent};
use soundpost_core::wire::{
    ErrorCode, Fault, Flags, Frame, HEADER_LEN, Header, Hello, Kind, Report, Welcome, WireError,
};
use std::io;
use std::path::{Path, PathBuf};
use tokio_seqpacket::UnixSeqpacket;

/// Why the daemon could not be talked to.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// There is nobody.
    #[error(
        "no soundpost daemon at {path}: {source}; start one with `soundpost run`, or name its socket with --socket"
    )]
    Connect {
        /// The socket.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It said no.
    #[error("the daemon refused: {text}")]
    Refused {
        /// Why, for programs.
        code: ErrorCode,
        /// Why, in words.
        text: String,
    },
    /// It said something else.
    #[error("the daemon speaks another protocol: {0}")]
    Protocol(String),
    /// It went away.
    #[error("the daemon closed the connection")]
    Closed,
    /// The system.
    #[error("the connection broke: {0}")]
    Io(#[from] io::Error),
}

/// A connection on which both sides introduced themselves.
#[derive(Debug)]
pub struct Connection {
    socket: UnixSeqpacket,
    room: Box<[u8]>,
    /// What the daemon said about the stream.
    pub welcome: Welcome,
}

/// What the daemon sent.
#[derive(Debug)]
pub enum Incoming<'a> {
    /// A packet.
    Packet(Header, &'a [u8]),
    /// Status, as JSON.
    Status(&'a str),
    /// What arrived of what was sent.
    Report(Report),
    /// A goodbye.
    Bye,
}

impl Connection {
    /// Connects and introduces itself.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn open(path: &Path, hello: &Hello<'_>) -> Result<Self, ClientError> {
        let connected = UnixSeqpacket::connect(path).await;
        let socket = connected.map_err(|source| ClientError::Connect { path: path.to_owned(), source })?;
        let mut room = vec![0; HEADER_LEN + usize::from(u16::MAX)].into_boxed_slice();
        let foreign = |error: WireError| ClientError::Protocol(error.to_string());
        let length = hello.emit(&mut room).map_err(foreign)?;
        if socket::send_control(&socket, Kind::Hello, &room[..length]) != Sent::Yes {
            return Err(ClientError::Closed);
        }
        let (header, payload) = receive(&socket, &mut room).await?;
        if header.kind != Kind::Welcome {
            return Err(ClientError::Protocol(format!("{:?} instead of Welcome", header.kind)));
        }
        let welcome = Welcome::parse(payload).map_err(foreign)?;
        Ok(Self { socket, room, welcome })
    }

    /// Waits for what the daemon sends next.
    ///
    /// # Errors
    /// [`ClientError`]; a refusal too.
    pub async fn next(&mut self) -> Result<Incoming<'_>, ClientError> {
        let (header, payload) = receive(&self.socket, &mut self.room).await?;
        match header.kind {
            Kind::Packet => {
                // What was not agreed upon means nothing.
                let flags = if self.welcome.redundancy { header.flags } else { header.flags.without(Flags::COPY) };
                Ok(Incoming::Packet(Header { flags, ..header }, payload))
            }
            Kind::Report => {
                Report::parse(payload).map(Incoming::Report).map_err(|error| ClientError::Protocol(error.to_string()))
            }
            Kind::Status => std::str::from_utf8(payload)
                .map(Incoming::Status)
                .map_err(|_| ClientError::Protocol("status is not UTF-8".to_owned())),
            Kind::Bye => Ok(Incoming::Bye),
            other => Err(ClientError::Protocol(format!("unexpected {other:?}"))),
        }
    }

    /// Sends a control message.
    ///
    /// # Errors
    /// [`ClientError::Closed`] if the daemon is gone.
    pub fn send(&self, kind: Kind, payload: &[u8]) -> Result<(), ClientError> {
        match socket::send_control(&self.socket, kind, payload) {
            Sent::Yes => Ok(()),
            Sent::Full | Sent::Gone => Err(ClientError::Closed),
        }
    }

    /// Tells the daemon what arrived, if it wants to know. When there is no room the next report says the same.
    pub fn report(&self, report: Report) {
        if self.welcome.redundancy {
            let _ = socket::send_control(&self.socket, Kind::Report, &report.emit());
        }
    }

    /// Sends a packet without waiting, with a copy of the one `before` if that is given and belongs there; says whether
    /// it does.
    #[must_use]
    pub fn send_packet(&self, frame: &Frame, before: Option<&Frame>) -> (Sent, bool) {
        socket::send_frame(&self.socket, frame, before.filter(|_| self.welcome.redundancy))
    }
}

/// A message, or the refusal in it.
async fn receive<'a>(socket: &UnixSeqpacket, room: &'a mut [u8]) -> Result<(Header, &'a [u8]), ClientError> {
    match socket::receive(socket, room).await? {
        Received::Message(header, payload) if header.kind == Kind::Error => {
            let fault = Fault::parse(payload).map_err(|error| ClientError::Protocol(error.to_string()))?;
            Err(ClientError::Refused { code: fault.code, text: fault.text.to_owned() })
        }
        Received::Message(header, payload) => Ok((header, payload)),
        Received::Malformed(error) => Err(ClientError::Protocol(error.to_string())),
        Received::Closed => Err(ClientError::Closed),
    }
}
