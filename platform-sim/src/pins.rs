//! Pins that remember and pins that follow a script.
//!
//! An output pin records every edge with the virtual time at which it happened; an input pin shows what the test
//! sets. Both can be told to fail, as a pin behind a bus does.

use crate::VirtualClock;
use embedded_hal::delay::DelayNs;
use embedded_hal::digital::{ErrorKind, ErrorType, InputPin, OutputPin};
use soundpost_core::time::{Instant, Span};
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// A pin that was told to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PinBroken;

impl embedded_hal::digital::Error for PinBroken {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Other
    }
}

/// A change of a pin's level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edge {
    /// When.
    pub at: Instant,
    /// The new level.
    pub high: bool,
}

#[derive(Debug, Default)]
struct Record {
    edges: RefCell<Vec<Edge>>,
    writes: Cell<u64>,
    broken: Cell<bool>,
}

/// An output pin, low at first. Clones are the same pin.
#[derive(Clone, Debug)]
pub struct RecorderPin {
    clock: VirtualClock,
    record: Rc<Record>,
}

impl RecorderPin {
    /// A pin that is low.
    #[must_use]
    pub fn new(clock: VirtualClock) -> Self {
        Self { clock, record: Rc::default() }
    }

    /// The level.
    #[must_use]
    pub fn is_high(&self) -> bool {
        self.record.edges.borrow().last().is_some_and(|edge| edge.high)
    }

    /// Every change of level so far.
    #[must_use]
    pub fn edges(&self) -> Vec<Edge> {
        self.record.edges.borrow().clone()
    }

    /// How often it was written, with or without effect.
    #[must_use]
    pub fn writes(&self) -> u64 {
        self.record.writes.get()
    }

    /// Whether it was high at `time`. At the moment of an edge it was both.
    #[must_use]
    pub fn was_high(&self, time: Instant) -> bool {
        let edges = self.record.edges.borrow();
        let before = edges.iter().rev().find(|edge| edge.at < time).is_some_and(|edge| edge.high);
        before || edges.iter().any(|edge| edge.at == time && edge.high)
    }

    /// Whether it was high from `from` to `to`, without a break.
    #[must_use]
    pub fn was_high_throughout(&self, from: Instant, to: Instant) -> bool {
        let edges = self.record.edges.borrow();
        let mut until = None;
        for edge in edges.iter().rev() {
            if edge.high && edge.at <= from {
                return until.is_none_or(|dark: Instant| dark >= to);
            }
            if !edge.high {
                until = Some(edge.at);
            }
        }
        false
    }

    /// From now on writes fail, and change nothing; or they work again.
    pub fn set_broken(&self, broken: bool) {
        self.record.broken.set(broken);
    }
}

impl ErrorType for RecorderPin {
    type Error = PinBroken;
}

impl OutputPin for RecorderPin {
    fn set_low(&mut self) -> Result<(), PinBroken> {
        self.write(false)
    }

    fn set_high(&mut self) -> Result<(), PinBroken> {
        self.write(true)
    }
}

impl RecorderPin {
    fn write(&self, high: bool) -> Result<(), PinBroken> {
        self.record.writes.set(self.record.writes.get() + 1);
        if self.record.broken.get() {
            return Err(PinBroken);
        }
        if self.is_high() != high {
            self.record.edges.borrow_mut().push(Edge { at: self.clock.time(), high });
        }
        Ok(())
    }
}

/// An input pin that shows what it is set to. Clones are the same pin.
#[derive(Clone, Debug, Default)]
pub struct ScriptedPin(Rc<Cell<Option<bool>>>);

impl ScriptedPin {
    /// Sets the level; `None` makes reading fail, as it does at first.
    pub fn set(&self, level: Option<bool>) {
        self.0.set(level);
    }
}

impl ErrorType for ScriptedPin {
    type Error = PinBroken;
}

impl InputPin for ScriptedPin {
    fn is_high(&mut self) -> Result<bool, PinBroken> {
        self.0.get().ok_or(PinBroken)
    }

    fn is_low(&mut self) -> Result<bool, PinBroken> {
        self.is_high().map(|high| !high)
    }
}

/// A delay that moves the clock on.
impl DelayNs for VirtualClock {
    fn delay_ns(&mut self, ns: u32) {
        // Rounded up: a delay is never shorter than asked for.
        self.advance(Span::from_micros(u64::from(ns.div_ceil(1000))));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recorder_knows_when_its_level_changed() {
        let clock = VirtualClock::default();
        let pin = RecorderPin::new(clock.clone());
        for (us, high) in [(5, true), (7, true), (9, false)] {
            clock.advance_to(Instant::from_micros(us));
            pin.clone().set_state(high.into()).unwrap();
        }
        let edge = |us, high| Edge { at: Instant::from_micros(us), high };
        assert_eq!(pin.edges(), [edge(5, true), edge(9, false)]);
        assert_eq!(pin.writes(), 3);
        let high = |us| pin.was_high(Instant::from_micros(us));
        assert_eq!([4, 5, 6, 9, 10].map(high), [false, true, true, true, false]);
        let lit = |from, to| pin.was_high_throughout(Instant::from_micros(from), Instant::from_micros(to));
        assert_eq!([lit(5, 9), lit(4, 6), lit(6, 10), lit(10, 11)], [true, false, false, false]);
    }

    #[test]
    fn a_broken_pin_keeps_its_level() {
        let mut pin = RecorderPin::new(VirtualClock::default());
        pin.set_broken(true);
        assert_eq!(pin.set_high(), Err(PinBroken));
        assert!(!pin.is_high());
        let mut input = ScriptedPin::default();
        assert_eq!(input.is_high(), Err(PinBroken));
        input.set(Some(false));
        assert_eq!(input.is_low(), Ok(true));
    }

    #[test]
    fn a_delay_is_time_that_passes() {
        let mut clock = VirtualClock::default();
        clock.delay_ms(3);
        clock.delay_ns(1);
        assert_eq!(clock.time(), Instant::from_micros(3_001));
    }
}
