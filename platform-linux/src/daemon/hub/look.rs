//! What of the hub is looked at from outside: what changes, and whether sound really moves.

use super::Hub;
use crate::daemon::changes::DIRECTIONS;
use crate::direction::State;
use crate::rt::now;
use soundpost_core::config::{Direction, WEB};
use soundpost_core::supervise;

impl Hub {
    /// Looks whether anything is another now than at the last look.
    pub(super) fn look(&self) {
        self.changes.workers(&self.news, &self.books);
        self.changes.devices(&self.news, DIRECTIONS.map(|direction| self.state(direction)));
        self.changes.mutes(&self.news, &self.mute_status());
        let quality = self.settings.borrow().quality;
        self.changes.quality(&self.news, quality, || self.governor.borrow().shown().reason);
    }

    /// A worker said something, and that sound moved or not.
    pub(super) fn note_progress(&self, direction: Direction, progress: bool) {
        if progress && self.state(direction) == State::Running {
            let mut moved = self.moved.get();
            moved[direction as usize] = Some(now());
            self.moved.set(moved);
        }
    }

    /// Packets that listeners were too slow for.
    pub(crate) fn listener_drops(&self) -> u64 {
        self.listener_drops.get()
    }

    /// Whether sound really moves in a direction.
    pub(crate) fn moves(&self, direction: Direction) -> bool {
        let moved = self.moved.get()[direction as usize];
        self.state(direction) == State::Running && moved.is_some_and(|at| now().since(at) < WEB.progress)
    }

    /// Whether nothing is to move in a direction, because somebody wanted it so.
    pub(crate) fn is_idle(&self, direction: Direction) -> bool {
        matches!(self.books[direction as usize].state(), supervise::State::Stopped)
    }

    /// How a device is doing.
    pub(crate) fn state(&self, direction: Direction) -> State {
        match direction {
            Direction::Capture => self.capture.borrow().state,
            Direction::Playback => self.playback.borrow().state,
        }
    }
}
