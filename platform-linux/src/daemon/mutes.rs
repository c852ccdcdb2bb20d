//! What controllers asked to be muted.
//!
//! A wish stays until a controller takes it back: no restart of a device undoes it, and every turn of the I/O thread sees
//! to it again. The microphone's switch is asked elsewhere, and always wins.

use super::status::MuteStatus;
use soundpost_core::board::{Microphone, Muted};
use soundpost_core::config::Direction;
use std::cell::Cell;

/// The wishes, and how far they got.
#[derive(Debug)]
pub(super) struct Mutes {
    /// The microphone, as it is wished.
    pub(super) capture: Cell<Muted>,
    /// What capture was told, where no panel does that.
    told: Cell<Muted>,
    /// The speaker.
    pub(super) playback: Cell<Muted>,
}

impl Default for Mutes {
    fn default() -> Self {
        let live = || Cell::new(Muted(false));
        Self { capture: live(), told: live(), playback: live() }
    }
}

impl Mutes {
    /// Takes a wish.
    pub(super) fn ask(&self, direction: Direction, muted: bool) {
        let (name, wish) = match direction {
            Direction::Capture => ("capture", &self.capture),
            Direction::Playback => ("playback", &self.playback),
        };
        if wish.replace(Muted(muted)).0 != muted {
            tracing::info!("{name}: {} by a controller", if muted { "muted" } else { "unmuted" });
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
