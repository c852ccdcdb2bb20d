//! Sees what has changed since the last look, and makes it news.
//!
//! Whoever alters something need not say so: the hub looks after whatever happened. That is cheap while nothing has
//! changed, which is nearly always.

use super::news::{News, What};
use super::status::{MuteStatus, device_reason, worker_word};
use crate::direction::State;
use crate::ward::Books;
use soundpost_core::config::{Direction, Quality};
use std::cell::Cell;
use std::rc::Rc;

/// Both directions, in the order of everything that comes in pairs.
pub(super) const DIRECTIONS: [Direction; 2] = [Direction::Capture, Direction::Playback];

/// What was seen last.
#[derive(Debug)]
pub(super) struct Changes {
    devices: Cell<[&'static str; 2]>,
    workers: Cell<[&'static str; 2]>,
    mutes: Cell<[&'static str; 2]>,
    quality: Cell<Option<Quality>>,
}

impl Default for Changes {
    fn default() -> Self {
        let all = |word| Cell::new([word; 2]);
        Self { devices: all("lost"), workers: all("stopped"), mutes: all("live"), quality: Cell::new(None) }
    }
}

/// Tells of each direction that is another than before.
fn compare(
    seen: &Cell<[&'static str; 2]>,
    words: [&'static str; 2],
    mut tell: impl FnMut(Direction, Option<&str>, Option<&str>),
) {
    let before = seen.replace(words);
    for direction in DIRECTIONS {
        let (before, word) = (before[direction as usize], words[direction as usize]);
        if before != word {
            tell(direction, Some(before), Some(word));
        }
    }
}

impl Changes {
    /// How devices are doing now.
    pub(super) fn devices(&self, news: &News, states: [State; 2]) {
        compare(&self.devices, states.map(|state| state.word()), |direction, from, to| {
            let reason = device_reason(&states[direction as usize]);
            news.tell(What::Device(direction), from, to, reason.as_deref());
        });
    }

    /// How workers are doing now.
    pub(super) fn workers(&self, news: &News, books: &[Rc<Books>; 2]) {
        let words = DIRECTIONS.map(|direction| worker_word(&books[direction as usize].state()));
        compare(&self.workers, words, |direction, from, to| {
            // Why is worth a word where it was not wished for.
            let is_trouble = matches!(to, Some("waiting" | "gave up"));
            let reason = books[direction as usize].shown().last_end.filter(|_| is_trouble);
            news.tell(What::Worker(direction), from, to, reason.as_deref());
        });
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
        compare(&self.mutes, words, |direction, from, to| news.tell(What::Mute(direction), from, to, None));
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
