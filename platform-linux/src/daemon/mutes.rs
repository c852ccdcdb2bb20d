//! What controllers asked to be muted.
//!
//! A wish stays until a controller takes it back: no restart of a device undoes it, and every turn of the I/O thread sees
//! to it again. If there is a directory for that, it outlasts the daemon, too. The microphone's switch is asked elsewhere,
//! and always wins.

use super::memory::Memory;
use super::status::MuteStatus;
use soundpost_core::board::{Microphone, Muted};
use soundpost_core::config::Direction;
use std::cell::Cell;
use std::io;
use std::path::PathBuf;
use tokio::sync::Notify;

/// The wishes, and how far they got.
#[derive(Debug)]
pub(super) struct Mutes {
    /// The microphone, as it is wished.
    pub(super) capture: Cell<Muted>,
    /// What capture was told, where no panel does that.
    told: Cell<Muted>,
    /// The speaker.
    pub(super) playback: Cell<Muted>,
    /// Where the wishes are written down, if anywhere.
    directory: Option<PathBuf>,
    /// What is written there.
    written: Cell<Memory>,
    wished: Notify,
}

impl Mutes {
    /// As they were when the daemon before ended, if that was written down.
    pub(super) fn new(directory: Option<PathBuf>) -> Self {
        let memory = directory.as_deref().map(Memory::read).unwrap_or_default();
        let wish = |muted| Cell::new(Muted(muted));
        Self {
            capture: wish(memory.capture_muted),
            told: wish(false),
            playback: wish(memory.playback_muted),
            directory,
            written: Cell::new(memory),
            wished: Notify::new(),
        }
    }

    /// Writes the wishes down, if they are others than those that are.
    pub(super) fn settle(&self) {
        if let Some((directory, memory)) = self.due() {
            self.note(memory, memory.write(&directory));
        }
    }

    /// Waits for another wish and has it written down by a thread that may wait for the disk.
    pub(super) async fn settle_elsewhere(&self) {
        self.wished.notified().await;
        if let Some((directory, memory)) = self.due() {
            let written = tokio::task::spawn_blocking(move || memory.write(&directory)).await;
            self.note(memory, written.unwrap_or_else(|error| Err(io::Error::other(error))));
        }
    }

    fn due(&self) -> Option<(PathBuf, Memory)> {
        let wish = Memory { capture_muted: self.capture.get().0, playback_muted: self.playback.get().0 };
        self.directory.clone().filter(|_| wish != self.written.get()).map(|directory| (directory, wish))
    }

    fn note(&self, memory: Memory, written: io::Result<()>) {
        match written {
            Ok(()) => self.written.set(memory),
            Err(error) => {
                let directory = self.directory.as_deref().unwrap_or("".as_ref()).display();
                tracing::warn!(
                    "{directory}: what is muted cannot be written down, and is forgotten at the end: {error}"
                );
            }
        }
    }

    /// Takes a wish.
    pub(super) fn ask(&self, direction: Direction, muted: bool) {
        let (name, wish) = match direction {
            Direction::Capture => ("capture", &self.capture),
            Direction::Playback => ("playback", &self.playback),
        };
        if wish.replace(Muted(muted)).0 != muted {
            tracing::info!("{name}: {} by a controller", if muted { "muted" } else { "unmuted" });
            self.wished.notify_one();
        }
    }

    /// Tells capture, if it does not know yet. With no room for a command, the next turn tries again.
    pub(super) fn see_to(&self, capture: &mut impl Microphone) {
        let wish = self.capture.get();
        if wish != self.told.get() && capture.send(wish) {
            self.told.set(wish);
        }
    }

    /// What capture is to be, or was told to be.
    pub(super) fn told(&self) -> Muted {
        Muted(self.capture.get().0 || self.told.get().0)
    }

    /// How things stand, with what the switch is, if there is one.
    pub(super) fn status(&self, switch: Option<&str>) -> MuteStatus {
        MuteStatus {
            capture_by_command: self.capture.get().0,
            // One that failed mutes, too.
            capture_by_switch: switch.is_some_and(|switch| switch != "live"),
            playback_by_command: self.playback.get().0,
        }
    }
}
