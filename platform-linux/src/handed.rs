//! A listening socket that a service manager opened and hands over: systemd's protocol of socket activation, which is
//! descriptor 3 and three variables. Clients can connect to it before the daemon is there and while it starts anew; who
//! made the socket's file sees to its rights and removes it.

use crate::rt;
use crate::socket::BindError;
use rustix::net::sockopt::{socket_acceptconn, socket_domain, socket_type};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType, getsockname};
use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// What says that there is such a socket. It is meant for this process, and for none that this one starts.
pub const VARIABLES: [&str; 3] = ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"];

/// The socket that was handed over to this process, and where it is; `None` if there is none. To be called once, before
/// the process has descriptors of its own.
///
/// # Errors
/// [`BindError::Handed`] if it is not one socket that we could have made.
pub fn socket() -> Result<Option<(OwnedFd, PathBuf)>, BindError> {
    let [pid, count, _] = VARIABLES.map(|name| std::env::var(name).ok());
    // Variables that were left over by somebody else's start are not for us.
    if pid.and_then(|pid| pid.trim().parse().ok()) != Some(std::process::id()) {
        return Ok(None);
    }
    let count = count.unwrap_or_default();
    match count.trim().parse::<u32>() {
        Ok(0) => return Ok(None),
        Ok(1) => {}
        _ => return Err(wrong(format!("LISTEN_FDS is {count:?}"))),
    }
    let socket = rt::handed_over().map_err(|error| wrong(format!("descriptor 3 cannot be had: {error}")))?;
    let path = check(&socket).map_err(wrong)?;
    // Service managers hand over what blocks; nothing of ours may.
    rustix::io::ioctl_fionbio(&socket, true).map_err(|error| wrong(format!("descriptor 3 blocks: {error}")))?;
    Ok(Some((socket, path)))
}

fn wrong(what: String) -> BindError {
    BindError::Handed { what }
}

/// Where a socket listens, if it is of the right kind; otherwise what is wrong.
fn check(socket: &impl AsFd) -> Result<PathBuf, String> {
    let system = |error: rustix::io::Errno| format!("descriptor 3 is no socket: {error}");
    if socket_domain(socket).map_err(system)? != AddressFamily::UNIX {
        return Err("descriptor 3 is not a unix socket".to_owned());
    }
    if socket_type(socket).map_err(system)? != SocketType::SEQPACKET {
        return Err("descriptor 3 is a unix socket of another type than SOCK_SEQPACKET".to_owned());
    }
    if !socket_acceptconn(socket).map_err(system)? {
        return Err("descriptor 3 does not listen".to_owned());
    }
    let address = getsockname(socket).map_err(system)?;
    let address = SocketAddrUnix::try_from(address).map_err(system)?;
    let path = address.path_bytes().ok_or("descriptor 3 has no path")?;
    Ok(PathBuf::from(OsStr::from_bytes(path)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::net::{SocketFlags, bind, listen, socket_with};

    fn made(family: AddressFamily, kind: SocketType) -> OwnedFd {
        socket_with(family, kind, SocketFlags::CLOEXEC, None).unwrap()
    }

    #[test]
    fn only_a_listening_seqpacket_socket_with_a_path_will_do() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let fails = |fd: &OwnedFd, why: &str| assert!(check(fd).unwrap_err().contains(why), "{why}");
        fails(&std::fs::File::open("/dev/null").unwrap().into(), "no socket");
        fails(&made(AddressFamily::INET, SocketType::STREAM), "not a unix socket");
        fails(&made(AddressFamily::UNIX, SocketType::STREAM), "another type");
        let socket = made(AddressFamily::UNIX, SocketType::SEQPACKET);
        fails(&socket, "does not listen");
        bind(&socket, &SocketAddrUnix::new(&path).unwrap()).unwrap();
        listen(&socket, 1).unwrap();
        assert_eq!(check(&socket), Ok(path));
        let nameless = made(AddressFamily::UNIX, SocketType::SEQPACKET);
        bind(&nameless, &SocketAddrUnix::new_abstract_name(dir.path().as_os_str().as_encoded_bytes()).unwrap())
            .unwrap();
        listen(&nameless, 1).unwrap();
        fails(&nameless, "no path");
    }
}
