//! Virtual time: one clock, shared by everything in a world.

use soundpost_core::port::Clock;
use soundpost_core::time::{Instant, Span};
use std::cell::Cell;
use std::rc::Rc;

/// A clock that moves only when it is told to. Clones show the same time.
#[derive(Clone, Debug, Default)]
pub struct VirtualClock(Rc<Cell<Instant>>);

impl VirtualClock {
    /// Moves on to `to`; never back.
    pub fn advance_to(&self, to: Instant) {
        self.0.set(self.0.get().max(to));
    }

    /// Moves on by `span`.
    pub fn advance(&self, span: Span) {
        self.0.set(self.0.get().plus(span));
    }

    /// The time.
    #[must_use]
    pub fn time(&self) -> Instant {
        self.0.get()
    }
}

impl Clock for VirtualClock {
    fn now(&mut self) -> Instant {
        self.time()
    }
}
