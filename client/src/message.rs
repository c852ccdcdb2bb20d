//! Whole messages through a seqpacket socket, without waiting. The daemon sends through these, too.

use rustix::io::Errno;
use rustix::net::{SendAncillaryBuffer, SendFlags, sendmsg};
use soundpost_core::wire::{Frame, Header, Kind, redundant};
use std::io::IoSlice;
use std::os::fd::AsFd;

/// What became of a message that was sent without waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// The kernel has it.
    Yes,
    /// The peer is too slow: there is no room.
    Full,
    /// The peer is gone.
    Gone,
}

/// Sends a message without waiting, from its two parts.
#[must_use]
pub fn send_now(socket: &impl AsFd, header: &Header, payload: &[u8]) -> Sent {
    send_parts(socket, &[IoSlice::new(&header.emit()), IoSlice::new(payload)])
}

/// Sends a coded frame without waiting, with a copy of the one `before` if there is one and it belongs there; says
/// whether it does.
#[must_use]
pub fn send_frame(socket: &impl AsFd, frame: &Frame, before: Option<&Frame>) -> (Sent, bool) {
    let joined = before.and_then(|before| Some((before, redundant::join(&frame.header, &before.header)?)));
    let Some((before, (header, lead))) = joined else {
        return (send_now(socket, &frame.header, frame.payload()), false);
    };
    let header = header.emit();
    let parts = [&header[..], &lead, before.payload(), frame.payload()].map(IoSlice::new);
    (send_parts(socket, &parts), true)
}

/// Sends a control message without waiting. One that is too long for its kind is a bug, and `Gone`.
#[must_use]
pub fn send_control(socket: &impl AsFd, kind: Kind, payload: &[u8]) -> Sent {
    match Header::new(kind, payload.len()) {
        Ok(header) => send_now(socket, &header, payload),
        Err(_) => Sent::Gone,
    }
}

fn send_parts(socket: &impl AsFd, parts: &[IoSlice<'_>]) -> Sent {
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    match sendmsg(socket, parts, &mut SendAncillaryBuffer::default(), flags) {
        Ok(_) => Sent::Yes,
        // Also a status that is longer than a listener's queue.
        Err(Errno::WOULDBLOCK | Errno::NOBUFS | Errno::MSGSIZE) => Sent::Full,
        Err(_) => Sent::Gone,
    }
}
