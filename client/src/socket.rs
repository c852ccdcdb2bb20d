//! The socket below both kinds of client: made, connected, read from.

use crate::Error;
use crate::message::{self, Sent};
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SocketAddrUnix, SocketFlags, SocketType, connect, recv, socket_with};
use soundpost_core::wire::{HEADER_LEN, Hello, Kind};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

/// Room for the longest message there is.
pub(crate) fn room() -> Box<[u8]> {
    vec![0; HEADER_LEN + usize::from(u16::MAX)].into_boxed_slice()
}

/// Connects.
pub(crate) fn open(path: &Path) -> Result<OwnedFd, Error> {
    let connected = || {
        let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        connect(&socket, &SocketAddrUnix::new(path)?)?;
        Ok(socket)
    };
    connected().map_err(|errno: Errno| Error::Connect { path: path.to_owned(), source: errno.into() })
}

/// Sends the greeting. What the daemon thinks of it comes with its answer, also that it closed at once.
pub(crate) fn greet(socket: &impl AsFd, hello: &Hello<'_>, room: &mut [u8]) -> Result<(), Error> {
    let length = hello.emit(room)?;
    let _: Sent = message::send_control(socket, Kind::Hello, &room[..length]);
    Ok(())
}

/// Receives one message; zero bytes at the end.
pub(crate) fn receive(socket: &impl AsFd, room: &mut [u8]) -> io::Result<usize> {
    let mut reset = false;
    loop {
        match recv(socket, &mut *room, RecvFlags::empty()) {
            Ok((got, _)) => return Ok(got),
            Err(Errno::INTR) => {}
            // The daemon closed while a message to it was under way. What it said last is still there.
            Err(Errno::CONNRESET) if !reset => reset = true,
            Err(errno) => return Err(errno.into()),
        }
    }
}
