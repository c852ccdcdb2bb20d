//! How a device is doing, as the audio thread says and the I/O side reads.

use crate::rt::Bell;
use serde::{Deserialize, Serialize};
use soundpost_core::notice::Notice;
use soundpost_core::watch::Stuck;
use std::sync::Arc;

/// How a device is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// Sound moves.
    Running,
    /// It is open, and its clock stands still: a source without a signal, say. It is listened to.
    Stopped,
    /// It was opened again after this, and no sound has moved yet.
    Opened(Reason),
    /// It was lost, for this reason; it is tried again from time to time.
    Lost(Reason),
    /// Its thread gets nowhere, whatever else may be the matter with it.
    Stuck(Stuck),
    /// It was a recording and it is over.
    Ended,
}

impl State {
    /// Whether there is a device from which sound may come, or to which it may go, at any moment.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        matches!(self, Self::Running | Self::Stopped | Self::Opened(_) | Self::Stuck(_))
    }

    /// In one word.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Stopped => "stopped",
            Self::Opened(_) => "opened",
            Self::Lost(_) => "lost",
            Self::Stuck(_) => "stuck",
            Self::Ended => "ended",
        }
    }
}

/// A state that the audio thread sets, rarely, and the I/O side reads: neither waits longer than a copy takes, for
/// who is in a critical section has the priority of who waits for it ([`crate::cs`]).
#[derive(Clone, Debug)]
pub(super) struct SharedState(Arc<Notice<State>>, Bell);

impl SharedState {
    pub(super) fn new(bell: &Bell) -> Self {
        Self(Arc::new(Notice::new(State::Running)), bell.clone())
    }

    pub(super) fn get(&self) -> State {
        self.0.read()
    }

    pub(super) fn set(&self, state: State) {
        self.0.post(state);
        self.1.ring();
    }
}

/// The most bytes of a [`Reason`].
const REASON_BYTES: usize = 240;

/// Why a device was lost, in words; what is too long for it is cut.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct Reason {
    bytes: [u8; REASON_BYTES],
    length: usize,
}

impl Reason {
    pub(crate) fn new(words: &str) -> Self {
        let mut length = words.len().min(REASON_BYTES);
        while !words.is_char_boundary(length) {
            length -= 1;
        }
        let mut bytes = [0; REASON_BYTES];
        bytes[..length].copy_from_slice(&words.as_bytes()[..length]);
        Self { bytes, length }
    }

    /// The words.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.bytes.get(..self.length).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default()
    }
}

impl From<String> for Reason {
    fn from(words: String) -> Self {
        Self::new(&words)
    }
}

impl From<Reason> for String {
    fn from(reason: Reason) -> Self {
        reason.as_str().to_owned()
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::fmt::Debug for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Debug::fmt(self.as_str(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_keeps_its_words_and_is_cut_between_characters() {
        assert_eq!(Reason::new("kein Gerät").to_string(), "kein Gerät");
        let long = Reason::new(&format!("x{}", "ä".repeat(REASON_BYTES)));
        assert_eq!(long.as_str().len(), REASON_BYTES - 1);
        assert!(long.as_str().ends_with('ä'));
    }

    #[test]
    fn what_the_audio_thread_says_is_read_and_the_bell_rings() {
        let bell = Bell::new().unwrap();
        let state = SharedState::new(&bell);
        let shown = state.clone();
        assert_eq!(state.get(), State::Running);
        std::thread::spawn(move || shown.set(State::Lost(Reason::new("unplugged")))).join().unwrap();
        assert_eq!(state.get(), State::Lost(Reason::new("unplugged")));
        assert!(bell.silence());
    }
}
