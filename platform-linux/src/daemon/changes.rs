//! Sees what has changed since the last look, and makes it news.
//!
//! Whoever alters something need not say so: the hub looks after whatever happened. That is cheap while nothing has
//! changed, which is nearly always.

use super::news::{News, What};
use super::status::{MuteStatus, device_reason, worker_word};
use crate::direction::State;
use crate::ward::Books;
use soundpost_core::config::{Direction, Quality};
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// Both directions, in the order of everything that comes in pairs.
pub(super) const DIRECTIONS: [Direction; 2] = [Direction::Capture, Direction::Playback];

/// What was seen last.
#[derive(Debug)]
pub(super) struct Changes {
    devices: RefCell<[&'static str; 2]>,
    workers: RefCell<[&'static str; 2]>,
    mutes: RefCell<[&'static str; 2]>,
    quality: Cell<Option<Quality>>,
}

impl Default for Changes {
    fn default() -> Self {
        let all = |word| RefCell::new([word; 2]);
        Self { devices: all("lost"), workers: all("stopped"), mutes: all("live"), quality: Cell::new(None) }
    }
}

impl Changes {
    /// How devices are doing now.
    pub(super) fn devices(&self, news: &News, states: [State; 2]) {
        for ((direction, seen), state) in DIRECTIONS.into_iter().zip(self.devices.borrow_mut().iter_mut()).zip(states) {
            let before = std::mem::replace(seen, state.word());
            if before != *seen {
                news.tell(What::Device(direction), Some(before), Some(seen), device_reason(&state).as_deref());
            }
        }
    }

    /// How workers are doing now.
    pub(super) fn workers(&self, news: &News, books: &[Rc<Books>; 2]) {
        for ((direction, seen), books) in DIRECTIONS.into_iter().zip(self.workers.borrow_mut().iter_mut()).zip(books) {
            let before = std::mem::replace(seen, worker_word(&books.state()));
            if before != *seen {
                // Why is worth a word where it was not wished for.
                let reason = books.shown().last_end.filter(|_| matches!(*seen, "waiting" | "gave up"));
                news.tell(What::Worker(direction), Some(before), Some(seen), reason.as_deref());
            }
        }
    }

    /// The preset that is coded with now, and who chose it.
    pub(super) fn quality(&self, news: &News, quality: Quality, reason: impl FnOnce() -> String) {
        let before = self.quality.replace(Some(quality));
        if before != Some(quality) {
            let before = before.map(|before| before.to_string());
            let what = What::Quality(Direction::Capture);
            news.tell(what, before.as_deref(), Some(&quality.to_string()), Some(&reason()));
        }
    }

    /// Who mutes what now.
    pub(super) fn mutes(&self, news: &News, status: &MuteStatus) {
        let words =
            [muted(status.capture_by_command, status.capture_by_switch), muted(status.playback_by_command, false)];
        for ((direction, seen), word) in DIRECTIONS.into_iter().zip(self.mutes.borrow_mut().iter_mut()).zip(words) {
            let before = std::mem::replace(seen, word);
            if before != word {
                news.tell(What::Mute(direction), Some(before), Some(word), None);
            }
        }
    }
}

/// Who mutes, in words.
fn muted(by_command: bool, by_switch: bool) -> &'static str {
    match (by_command, by_switch) {
        (false, false) => "live",
        (true, false) => "muted by command",
        (false, true) => "muted by switch",
        (true, true) => "muted by command and switch",
    }
}
