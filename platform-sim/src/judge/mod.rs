//! Who watches: judges that compare what the rigs say with what really happened, after every event.
//!
//! They know what no program on a device can know: when each sample was captured, which packets a link lost, and
//! which sample it is that is being heard. The first verdict ends a run.

pub mod ear;
pub mod ledger;
pub mod privacy;

use crate::world::DAWN;
use serde::{Deserialize, Serialize};
use soundpost_core::time::Instant;
use std::cell::RefCell;
use std::rc::Rc;

/// A promise that was broken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// Which judge found it.
    pub judge: String,
    /// Microseconds since the world began.
    pub at_us: u64,
    /// What is wrong.
    pub words: String,
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} at {:.3} s: {}", self.judge, self.at_us as f64 / 1e6, self.words)
    }
}

/// Where judges say what they found. Clones are the same court.
#[derive(Clone, Debug, Default)]
pub struct Court(Rc<RefCell<Vec<Verdict>>>);

impl Court {
    /// Something is wrong.
    pub fn accuse(&self, judge: &'static str, at: Instant, words: String) {
        let at_us = at.since(DAWN).as_micros();
        self.0.borrow_mut().push(Verdict { judge: judge.to_owned(), at_us, words });
    }

    /// Whether nothing is.
    #[must_use]
    pub fn is_content(&self) -> bool {
        self.0.borrow().is_empty()
    }

    /// Everything that was found.
    #[must_use]
    pub fn verdicts(&self) -> Vec<Verdict> {
        self.0.borrow().clone()
    }
}
