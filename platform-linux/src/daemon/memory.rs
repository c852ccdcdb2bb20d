//! What outlasts the daemon: what a controller has muted.
//!
//! It is one small file, written anew each time and then renamed, so that whatever happens there is a whole one. One that
//! cannot be read is no reason to listen to anybody: then the microphone is muted.

use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

/// What is remembered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Memory {
    /// The microphone is muted.
    pub(super) capture_muted: bool,
    /// The speaker is.
    pub(super) playback_muted: bool,
}

/// What is remembered of a past that cannot be read.
const FORGOTTEN: Memory = Memory { capture_muted: true, playback_muted: false };

/// The directory that the service manager has for us, if it has one.
pub(crate) fn state_directory() -> Option<PathBuf> {
    let said = std::env::var_os("STATE_DIRECTORY").filter(|said| !said.is_empty())?;
    // There may be several; the first will do.
    std::env::split_paths(&said).next()
}

fn file(directory: &Path) -> PathBuf {
    directory.join("mutes.json")
}

impl Memory {
    /// What was written last; of what cannot be read, the safest.
    pub(super) fn read(directory: &Path) -> Self {
        let path = file(directory);
        let read = std::fs::read(&path).and_then(|text| serde_json::from_slice(&text).map_err(io::Error::other));
        match read {
            Ok(memory) => memory,
            Err(error) if error.kind() == ErrorKind::NotFound => Self::default(),
            Err(error) => {
                tracing::warn!(
                    "{}: cannot be read, so the microphone is muted until it is unmuted: {error}",
                    path.display()
                );
                FORGOTTEN
            }
        }
    }

    /// Writes it down for good.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn write(self, directory: &Path) -> io::Result<()> {
        std::fs::create_dir_all(directory)?;
        let (path, fresh) = (file(directory), directory.join("mutes.json.new"));
        let mut text = serde_json::to_vec(&self).map_err(io::Error::other)?;
        text.push(b'\n');
        let mut out = File::create(&fresh)?;
        out.write_all(&text)?;
        out.sync_all()?;
        std::fs::rename(&fresh, &path)?;
        // The name, too, is to be on the disk.
        File::open(directory)?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_and_nothing_is_left_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let inner = dir.path().join("soundpost");
        assert_eq!(Memory::read(&inner), Memory::default(), "nobody muted anything yet");
        for memory in [FORGOTTEN, Memory::default(), Memory { playback_muted: true, ..FORGOTTEN }] {
            memory.write(&inner).unwrap();
            assert_eq!(Memory::read(&inner), memory);
        }
        assert_eq!(std::fs::read_dir(&inner).unwrap().count(), 1);
    }

    #[test]
    fn of_what_cannot_be_read_the_microphone_is_muted() {
        let dir = tempfile::tempdir().unwrap();
        for broken in ["", "{", "{}", "{\"capture_muted\":1,\"playback_muted\":false}", "\u{0}\u{0}", "null"] {
            std::fs::write(file(dir.path()), broken).unwrap();
            assert_eq!(Memory::read(dir.path()), FORGOTTEN, "{broken:?}");
        }
        std::fs::remove_file(file(dir.path())).unwrap();
        std::fs::create_dir(file(dir.path())).unwrap();
        assert_eq!(Memory::read(dir.path()), FORGOTTEN);
        assert!(Memory::default().write(dir.path()).is_err(), "a directory is in the way");
    }
}
