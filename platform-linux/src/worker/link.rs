//! The link between the daemon and a worker: an inherited pair of `SOCK_SEQPACKET` sockets.
//!
//! Messages stay whole, the kernel bounds how many wait, and the end of either process is the end of the link. A packet is
//! what it is on the public socket, header and payload in one `sendmsg`; everything else is a byte that no packet begins
//! with, and JSON.

use crate::socket::{self, Sent};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SendAncillaryBuffer, SendFlags, SocketFlags, SocketType, socketpair};
use serde::Serialize;
use soundpost_core::capacity::LINK_QUEUE_BYTES;
use soundpost_core::wire::{self, Frame, Header, Kind};
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use tokio_seqpacket::UnixSeqpacket;

/// What a message begins with that is no packet.
const COLD: u8 = 1;

/// One end of a link.
#[derive(Debug)]
pub struct Link(UnixSeqpacket);

/// What came over a link.
#[derive(Debug)]
pub enum Received<'a> {
    /// A packet.
    Packet(Header, &'a [u8]),
    /// Anything else, as JSON.
    Said(&'a [u8]),
    /// Nothing that makes sense.
    Nonsense(&'a [u8]),
    /// The other end is gone.
    Closed,
}

/// The meaning of a message.
#[must_use]
pub fn read(message: &[u8]) -> Received<'_> {
    match message {
        [] => Received::Closed,
        [COLD, json @ ..] => Received::Said(json),
        _ => match wire::parse(message) {
            Ok((header, payload, [])) if header.kind == Kind::Packet => Received::Packet(header, payload),
            _ => Received::Nonsense(message),
        },
    }
}

/// Both ends of a new link, which no other process inherits unless it is given one.
///
/// # Errors
/// If the system has no more descriptors.
pub fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
    for end in [&ours, &theirs] {
        rustix::net::sockopt::set_socket_send_buffer_size(end, LINK_QUEUE_BYTES)?;
    }
    Ok((ours, theirs))
}

impl Link {
    /// An end of a link, on the runtime of this thread.
    ///
    /// # Errors
    /// If the runtime cannot wait for it.
    pub fn new(end: OwnedFd) -> io::Result<Self> {
        UnixSeqpacket::try_from(end).map(Self)
    }

    /// Sends a packet without waiting.
    #[must_use]
    pub fn send_packet(&self, header: &Header, payload: &[u8]) -> Sent {
        socket::send_now(&self.0, header, payload)
    }

    /// Says something without waiting.
    #[must_use]
    pub fn say(&self, words: &impl Serialize) -> Sent {
        say(self.0.as_fd(), words)
    }

    /// Waits for a message; returns its length, for [`read`]. Nothing is lost when the wait is given up.
    ///
    /// # Errors
    /// What the system says.
    pub async fn receive_into(&self, room: &mut [u8]) -> io::Result<usize> {
        let info = self.0.recv(room).await?;
        // What is too long is no message, and what is no message has no meaning.
        Ok(if info.truncated() { room.len() } else { info.bytes_read() })
    }

    /// The same, with its meaning.
    ///
    /// # Errors
    /// What the system says.
    pub async fn receive<'a>(&self, room: &'a mut [u8]) -> io::Result<Received<'a>> {
        let length = self.receive_into(room).await?;
        Ok(read(room.get(..length).unwrap_or_default()))
    }

    /// Another hold on this end, to speak from another thread.
    ///
    /// # Errors
    /// If the system has no more descriptors.
    pub fn mouthpiece(&self) -> io::Result<OwnedFd> {
        self.0.as_fd().try_clone_to_owned()
    }
}

/// Sends a coded frame over this end of a link: one system call, which neither waits nor allocates here.
#[must_use]
pub fn send_frame(end: BorrowedFd<'_>, frame: &Frame) -> Sent {
    let header = frame.header.emit();
    let parts = [IoSlice::new(&header), IoSlice::new(frame.payload())];
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    became(rustix::net::sendmsg(end, &parts, &mut SendAncillaryBuffer::default(), flags))
}

fn became(sent: Result<usize, Errno>) -> Sent {
    match sent {
        Ok(_) => Sent::Yes,
        Err(Errno::WOULDBLOCK | Errno::NOBUFS | Errno::MSGSIZE) => Sent::Full,
        Err(_) => Sent::Gone,
    }
}

/// Says something over this end of a link, without waiting.
#[must_use]
pub fn say(end: BorrowedFd<'_>, words: &impl Serialize) -> Sent {
    let mut message = vec![COLD];
    if serde_json::to_writer(&mut message, words).is_err() {
        return Sent::Gone;
    }
    became(rustix::net::send(end, &message, SendFlags::DONTWAIT | SendFlags::NOSIGNAL))
}

#[cfg(test)]
mod tests {
    use super::*;
    use soundpost_core::wire::Flags;

    #[test]
    fn packets_words_and_nonsense_are_told_apart_and_the_end_is_noticed() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (a, b) = pair().unwrap();
            let (a, b) = (Link::new(a).unwrap(), Link::new(b).unwrap());
            let mut room = [0; 256];
            let header = Header { flags: Flags::START, sequence: 7, ..Header::new(Kind::Packet, 3).unwrap() };
            assert_eq!(a.send_packet(&header, &[1, 2, 3]), Sent::Yes);
            assert_eq!(a.say(&"word"), Sent::Yes);
            assert!(matches!(b.receive(&mut room).await.unwrap(), Received::Packet(h, [1, 2, 3]) if h == header));
            assert!(matches!(b.receive(&mut room).await.unwrap(), Received::Said(b"\"word\"")));
            let far = b.mouthpiece().unwrap();
            rustix::net::send(&far, b"SPx", SendFlags::empty()).unwrap();
            assert_eq!(say(far.as_fd(), &1), Sent::Yes);
            drop((b, far));
            assert!(matches!(a.receive(&mut room).await.unwrap(), Received::Nonsense(b"SPx")));
            assert!(matches!(a.receive(&mut room).await.unwrap(), Received::Said(b"1")));
            assert!(matches!(a.receive(&mut room).await.unwrap(), Received::Closed));
            assert_eq!(a.say(&2), Sent::Gone);
        });
    }

    #[test]
    fn a_link_that_nobody_reads_is_full_soon() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let _inside = runtime.enter();
        let (a, _b) = pair().unwrap();
        let link = Link::new(a).unwrap();
        let header = Header::new(Kind::Packet, 160).unwrap();
        let fit = (0..10_000).take_while(|_| link.send_packet(&header, &[0; 160]) == Sent::Yes).count();
        assert!((20..200).contains(&fit), "{fit} packets");
    }
}
