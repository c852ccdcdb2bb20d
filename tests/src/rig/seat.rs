//! The right to run a server, kept so that rigs do not get in each other's way. Promises that a
//! process runs one at a time, a machine at most [`SEATS`] for the same user, each under a name
//! nobody else uses meanwhile, and that the right is given back by a panic and even by a kill.
//!
//! What the JACK library keeps in shared memory makes this necessary. Its clients find one server
//! per process. Its register of servers has eight places, and a place whose server was killed is
//! only free again for a server of the same name: hence few names, used over and over. And all
//! servers of a user share one database of port descriptions, which each of them deletes when it
//! ends, under the hands of whoever is about to open it (that ends in a bus error): hence an empty
//! file where that database would be, which makes everybody go without.

use std::fs::{self, File, OpenOptions};
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use crate::until_some;

/// Where the JACK library keeps its files.
pub(super) const SHARED_MEMORY: &str = "/dev/shm";

const SEATS: usize = 4;
const PATIENCE: Duration = Duration::from_secs(1800);

static TAKEN: Mutex<bool> = Mutex::new(false);
static FREED: Condvar = Condvar::new();

/// The right to run a server under [`Seat::name`], until dropped.
pub(super) struct Seat {
    name: String,
    // In the order in which they are given back.
    _no_database: Placeholder,
    _ours: Reserved,
    _turn: Turn,
}

impl Seat {
    /// Waits until one is free.
    pub(super) fn take() -> Self {
        let turn = Turn::take();
        let (name, ours) =
            until_some(PATIENCE, || (0..SEATS).find_map(reserve)).expect("a seat gets free when another test ends");
        Self { name, _no_database: Placeholder::put(), _ours: ours, _turn: turn }
    }

    /// The name for the server.
    pub(super) fn name(&self) -> &str {
        &self.name
    }
}

/// The number of the user, which all names in shared memory contain.
pub(super) fn user() -> u32 {
    // SAFETY: getuid cannot fail and touches no memory.
    unsafe { libc::getuid() }
}

fn reserve(number: usize) -> Option<(String, Reserved)> {
    let name = format!("soundpost-rig-{number}");
    let path = Path::new(SHARED_MEMORY).join(format!("{name}-{}.lock", user()));
    let file = lock(&path, libc::LOCK_EX | libc::LOCK_NB)?;
    Some((name, Reserved { path, _file: file }))
}

/// A name reserved by a lock on a file.
struct Reserved {
    path: PathBuf,
    _file: File,
}

impl Drop for Reserved {
    fn drop(&mut self) {
        // Still locked by us. If this fails, the next one finds the file there and locks it.
        let _ = fs::remove_file(&self.path);
    }
}

/// The empty file instead of the database, shared by all rigs; the last one takes it away.
struct Placeholder {
    path: PathBuf,
    file: Option<File>,
}

impl Placeholder {
    fn put() -> Self {
        let path = Path::new(SHARED_MEMORY).join(format!("jack_db-{}", user()));
        if path.is_dir() {
            // Left over by a server that was killed, or in use; who uses it has its files open.
            let aside = path.with_extension(std::process::id().to_string());
            let _ = fs::rename(&path, &aside).and_then(|()| fs::remove_dir_all(&aside));
        }
        let file = lock(&path, libc::LOCK_SH);
        Self { path, file }
    }
}

impl Drop for Placeholder {
    fn drop(&mut self) {
        let last = |file: &File| flock(file, libc::LOCK_EX | libc::LOCK_NB);
        if self.file.as_ref().is_some_and(last) {
            // If this fails, the file stays, which does little harm.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Opens the file, making it if need be, and locks it; none if somebody else has locked it.
fn lock(path: &Path, operation: libc::c_int) -> Option<File> {
    loop {
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(path).ok()?;
        if !flock(&file, operation) {
            return None;
        }
        // Who had it before may have removed it; then the lock is on a file without a name.
        let same = |now: fs::Metadata| file.metadata().is_ok_and(|own| own.ino() == now.ino());
        if fs::metadata(path).is_ok_and(same) {
            return Some(file);
        }
    }
}

fn flock(file: &File, operation: libc::c_int) -> bool {
    // SAFETY: the descriptor belongs to `file`, which outlives the call.
    unsafe { libc::flock(file.as_raw_fd(), operation) == 0 }
}

/// One rig at a time in this process.
struct Turn(());

impl Turn {
    fn take() -> Self {
        let taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
        let mut taken = FREED.wait_while(taken, |taken| *taken).unwrap_or_else(PoisonError::into_inner);
        *taken = true;
        Self(())
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        *TAKEN.lock().unwrap_or_else(PoisonError::into_inner) = false;
        FREED.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seat_is_not_given_twice_and_free_again_afterwards() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("lock");
        let exclusive = libc::LOCK_EX | libc::LOCK_NB;
        let first = lock(&path, exclusive).expect("nobody has it");
        assert!(lock(&path, exclusive).is_none());
        drop(Reserved { path: path.clone(), _file: first });
        assert!(!path.exists());
        assert!(lock(&path, exclusive).is_some());
    }
}
