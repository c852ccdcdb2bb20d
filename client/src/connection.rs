//! What a connection is, whichever way it waits: what is sent is sent at once or not at all.

use crate::message::{self, Sent};
use crate::{Error, Frame, Header, Kind, Report, Welcome};
use std::os::fd::{AsFd, BorrowedFd};

/// A connection on which both sides introduced themselves.
#[derive(Debug)]
pub struct Connection<S> {
    pub(crate) socket: S,
    pub(crate) room: Box<[u8]>,
    /// What the daemon said about the stream.
    pub welcome: Welcome,
}

impl<S: AsFd> Connection<S> {
    /// Sends a control message.
    ///
    /// # Errors
    /// [`Error::Closed`] if the daemon is gone or does not read.
    pub fn send(&self, kind: Kind, payload: &[u8]) -> Result<(), Error> {
        match message::send_control(&self.socket, kind, payload) {
            Sent::Yes => Ok(()),
            Sent::Full | Sent::Gone => Err(Error::Closed),
        }
    }

    /// Tells the daemon what arrived, if it wants to know. When there is no room the next report says the same.
    pub fn report(&self, report: Report) {
        if self.welcome.additions.redundancy {
            let _ = message::send_control(&self.socket, Kind::Report, &report.emit());
        }
    }

    /// Sends a packet without waiting.
    #[must_use]
    pub fn send_packet(&self, header: &Header, opus: &[u8]) -> Sent {
        message::send_now(&self.socket, header, opus)
    }

    /// Sends a coded frame without waiting, with a copy of the one `before` if that is given and belongs there; says
    /// whether it does.
    #[must_use]
    pub fn send_frame(&self, frame: &Frame, before: Option<&Frame>) -> (Sent, bool) {
        message::send_frame(&self.socket, frame, before.filter(|_| self.welcome.additions.redundancy))
    }
}

impl<S: AsFd> AsFd for Connection<S> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
