//! The public unix socket: where it is, how it is claimed, and how whole messages go through it.
//!
//! `SOCK_SEQPACKET` keeps messages whole, so nobody ever has to find their borders again. A lock file beside
//! the socket says who owns it: a second daemon is refused by name, a stale socket is replaced.

use rustix::fs::{FlockOperation, Mode, OFlags, flock, open};
use rustix::io::Errno;
pub use soundpost_client::default_path;
pub use soundpost_client::message::{Sent, send_control, send_frame, send_now};
use soundpost_core::capacity::LAST_WORD_QUEUE_BYTES;
use soundpost_core::wire::{self, ErrorCode, Fault, HEADER_LEN, Header, Kind, WireError};
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use tokio_seqpacket::{UnixSeqpacket, UnixSeqpacketListener};

/// Why the socket could not be claimed.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another daemon has it.
    #[error(
        "socket {path}: another soundpost daemon{owner} is serving it; stop that one, or choose another path with \
         --socket"
    )]
    Taken {
        /// The socket.
        path: PathBuf,
        /// Its process, if it said.
        owner: String,
    },
    /// What the service manager handed over is no good.
    #[error(
        "the socket that was handed over by LISTEN_FDS: {what}; allowed: one listening unix socket of type \
         SOCK_SEQPACKET with a path (ListenSequentialPacket=/…)"
    )]
    Handed {
        /// What is wrong.
        what: String,
    },
    /// The path is no good.
    #[error("socket {path}: {doing}: {source}")]
    Io {
        /// The socket.
        path: PathBuf,
        /// What was being done.
        doing: &'static str,
        /// What the system says.
        source: io::Error,
    },
}

/// The socket that clients connect to; removed when dropped, unless it was handed over.
#[derive(Debug)]
pub struct PublicSocket {
    listener: UnixSeqpacketListener,
    path: PathBuf,
    /// Of a socket of our own.
    lock: Option<File>,
}

impl PublicSocket {
    /// Takes one that was [handed over](crate::handed).
    ///
    /// # Errors
    /// [`BindError`].
    pub fn take(socket: OwnedFd, path: PathBuf) -> Result<Self, BindError> {
        let listener = UnixSeqpacketListener::try_from(socket);
        let listener = listener.map_err(|error| BindError::Handed { what: error.to_string() })?;
        Ok(Self { listener, path, lock: None })
    }

    /// Claims `path`, with mode 0660, or 0666 if it is `for_all`, and listens on it.
    ///
    /// # Errors
    /// [`BindError`].
    pub fn bind(path: &Path, for_all: bool) -> Result<Self, BindError> {
        let io_error = |doing, source| BindError::Io { path: path.to_owned(), doing, source };
        if let Some(dir) = path.parent().filter(|dir| !dir.as_os_str().is_empty()) {
            std::fs::create_dir_all(dir).map_err(|e| io_error("cannot make its directory", e))?;
        }
        let lock = lock(path)?;
        match std::fs::symlink_metadata(path) {
            Ok(found) if std::os::unix::fs::FileTypeExt::is_socket(&found.file_type()) => {
                std::fs::remove_file(path).map_err(|e| io_error("cannot replace the stale socket", e))?;
            }
            Ok(_) => {
                let source = io::Error::new(io::ErrorKind::AlreadyExists, "a file that is not a socket is in the way");
                return Err(io_error("cannot listen", source));
            }
            Err(_) => {}
        }
        // The mask gives the socket its mode from its first moment on; nothing else runs yet.
        let before = rustix::process::umask(Mode::from_raw_mode(if for_all { 0o111 } else { 0o117 }));
        let listener = UnixSeqpacketListener::bind(path);
        rustix::process::umask(before);
        let listener = listener.map_err(|e| io_error("cannot listen", e))?;
        Ok(Self { listener, path: path.to_owned(), lock: Some(lock) })
    }

    /// Waits for the next client.
    ///
    /// # Errors
    /// What the system says.
    pub async fn accept(&mut self) -> io::Result<UnixSeqpacket> {
        self.listener.accept().await
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for PublicSocket {
    fn drop(&mut self) {
        // The lock file stays: removing it would let two daemons lock two files of one name.
        if self.lock.is_some() {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Takes the lock beside the socket and writes this process's number into it.
fn lock(path: &Path) -> Result<File, BindError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let opened = open(Path::new(&name), flags, Mode::from_raw_mode(0o660)).map(File::from);
    let io_error = |doing, source| BindError::Io { path: path.to_owned(), doing, source };
    let mut file = opened.map_err(|e| io_error("cannot open its lock file", e.into()))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(Errno::WOULDBLOCK) => {
            let mut owner = String::new();
            let _ = Read::by_ref(&mut file).take(20).read_to_string(&mut owner);
            let owner = owner.trim().parse::<u32>().map_or(String::new(), |pid| format!(" (process {pid})"));
            return Err(BindError::Taken { path: path.to_owned(), owner });
        }
        Err(e) => return Err(io_error("cannot lock it", e.into())),
    }
    let written = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{}", std::process::id()));
    written.map_err(|e| io_error("cannot write its lock file", e))?;
    Ok(file)
}

/// Tells the peer why it is being sent away, as the last that it is told.
pub fn send_fault(socket: &UnixSeqpacket, code: ErrorCode, text: &str) -> Sent {
    let mut payload = [0; FAULT_MAX];
    let length = Fault { code, text }.emit(&mut payload);
    send_last(socket, Kind::Error, &payload[..length])
}

/// Sends the last message to a peer. However full its queue is, this one has room of its own: nobody has to wait until
/// the peer reads, and when it does, be it long after we have closed, the message is there.
pub fn send_last(socket: &UnixSeqpacket, kind: Kind, payload: &[u8]) -> Sent {
    match send_control(socket, kind, payload) {
        Sent::Full => {
            bound_queue(socket, LAST_WORD_QUEUE_BYTES);
            send_control(socket, kind, payload)
        }
        sent => sent,
    }
}

/// The longest payload of an Error.
const FAULT_MAX: usize = Kind::Error.payload_bounds().1;

/// What came out of a socket.
#[derive(Debug)]
pub enum Received<'a> {
    /// A message.
    Message(Header, &'a [u8]),
    /// Bytes that are none.
    Malformed(WireError),
    /// The peer closed the connection.
    Closed,
}

/// Receives one whole message.
///
/// # Errors
/// What the system says.
pub async fn receive<'a>(socket: &UnixSeqpacket, room: &'a mut [u8]) -> io::Result<Received<'a>> {
    let info = socket.recv(room).await?;
    let (got, limit) = (info.bytes_read(), room.len());
    if info.truncated() {
        let length = WireError::Length { got: limit.saturating_sub(HEADER_LEN) + 1, min: 0, max: limit - HEADER_LEN };
        return Ok(Received::Malformed(length));
    }
    if got == 0 {
        return Ok(Received::Closed);
    }
    Ok(match wire::parse(&room[..got]) {
        Ok((header, payload, [])) => Received::Message(header, payload),
        Ok((_, payload, rest)) => {
            let said = payload.len();
            Received::Malformed(WireError::Length { got: said + rest.len(), min: said, max: said })
        }
        Err(error) => Received::Malformed(error),
    })
}

/// Sets how much the kernel may hold for a peer that does not read.
pub fn bound_queue(socket: &UnixSeqpacket, bytes: usize) {
    if let Err(error) = rustix::net::sockopt::set_socket_send_buffer_size(socket, bytes) {
        tracing::warn!("cannot bound a client's queue: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    }

    #[test]
    fn a_second_owner_is_refused_by_name_and_a_stale_socket_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.sock");
        let inside = runtime();
        let _guard = inside.enter();
        let first = PublicSocket::bind(&path, false).unwrap();
        let refused = PublicSocket::bind(&path, false).unwrap_err().to_string();
        assert!(refused.contains(&format!("process {}", std::process::id())), "{refused}");
        let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o660);
        // As after a crash: the lock is gone, the socket file is not.
        flock(first.lock.as_ref().unwrap(), FlockOperation::Unlock).unwrap();
        assert!(path.exists());
        drop(PublicSocket::bind(&path, false).unwrap());
        assert!(!path.exists(), "removed in good order");
    }

    #[test]
    fn a_file_in_the_way_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("precious");
        std::fs::write(&path, "data").unwrap();
        let inside = runtime();
        let _guard = inside.enter();
        assert!(matches!(PublicSocket::bind(&path, false), Err(BindError::Io { .. })));
        assert_eq!(std::fs::read(&path).unwrap(), b"data");
    }

    #[test]
    fn the_last_word_has_room_in_the_fullest_queue() {
        runtime().block_on(async {
            let (a, b) = UnixSeqpacket::pair().unwrap();
            bound_queue(&a, soundpost_core::capacity::CONTROL_QUEUE_BYTES);
            // The worst case: little by little to the brim, but for the place of one byte, and then the longest status.
            let longest = vec![b' '; Kind::Status.payload_bounds().1];
            let mut waiting = 0;
            while send_control(&a, Kind::Bye, &[]) == Sent::Yes {
                waiting += 1;
            }
            let mut room = vec![0; HEADER_LEN + longest.len()];
            assert!(matches!(receive(&b, &mut room).await.unwrap(), Received::Message(..)));
            assert_eq!(send_control(&a, Kind::Status, &longest), Sent::Yes);
            assert_eq!(send_control(&a, Kind::Bye, &[]), Sent::Full);
            assert_eq!(send_fault(&a, ErrorCode::TooFast, "enough"), Sent::Yes);
            drop(a);
            for _ in 0..waiting {
                assert!(matches!(receive(&b, &mut room).await.unwrap(), Received::Message(..)));
            }
            let last = receive(&b, &mut room).await.unwrap();
            assert!(matches!(last, Received::Message(header, _) if header.kind == Kind::Error));
            assert!(matches!(receive(&b, &mut room).await.unwrap(), Received::Closed));
        });
    }

    #[test]
    fn whole_messages_come_out_and_the_rest_is_named() {
        runtime().block_on(async {
            let (a, b) = UnixSeqpacket::pair().unwrap();
            let mut room = [0; 128];
            assert_eq!(send_control(&a, Kind::Bye, &[]), Sent::Yes);
            assert!(matches!(receive(&b, &mut room).await.unwrap(), Received::Message(h, []) if h.kind == Kind::Bye));
            a.send(&[0; 300]).await.unwrap();
            assert!(matches!(receive(&b, &mut room).await.unwrap(), Received::Malformed(WireError::Length { .. })));
            a.send(b"GET /").await.unwrap();
            assert!(matches!(receive(&b, &mut room).await.unwrap(), Received::Malformed(WireError::Magic(_))));
            drop(a);
            assert!(matches!(receive(&b, &mut room).await.unwrap(), Received::Closed));
            assert_eq!(send_control(&b, Kind::Bye, &[]), Sent::Gone);
        });
    }
}
