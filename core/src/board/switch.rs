//! The switch that mutes the microphone.

use super::{Muted, Polarity};
use crate::config::BOARD;
use crate::time::Instant;
use embedded_hal::digital::InputPin;

/// A debounced switch that is in doubt muted.
///
/// It is believed at once when it says "muted", and only after it said nothing else for
/// [`switch_stable`](crate::config::BoardTiming::switch_stable) when it says "live": a contact that bounces is
/// muted, whichever way it goes. Before the first stable reading, and from a reading that failed until the next
/// stable one, it is muted, too.
#[derive(Debug)]
pub struct MuteSwitch<P: InputPin> {
    pin: P,
    polarity: Polarity,
    muted: Muted,
    /// Since when it says "live" without a break.
    live_since: Option<Instant>,
}

impl<P: InputPin> MuteSwitch<P> {
    /// A switch whose active level means muted. Nothing is read yet.
    pub const fn new(pin: P, polarity: Polarity) -> Self {
        Self { pin, polarity, muted: Muted(true), live_since: None }
    }

    /// Reads the pin; says so if what holds has changed.
    ///
    /// # Errors
    /// The pin's. The switch is muted then ([`muted`](Self::muted)).
    pub fn sample(&mut self, now: Instant) -> Result<Option<Muted>, P::Error> {
        let before = self.muted;
        let read = self.pin.is_high().map(|high| self.polarity.says(high));
        if let Ok(false) = read {
            let since = *self.live_since.get_or_insert(now);
            self.muted = Muted(self.muted.0 && now.since(since) < BOARD.switch_stable);
        } else {
            self.live_since = None;
            self.muted = Muted(true);
        }
        read.map(|_| (self.muted != before).then_some(self.muted))
    }

    /// What holds.
    pub const fn muted(&self) -> Muted {
        self.muted
    }

    /// When a reading that says "live" will be believed: the time for the next sample, if no edge comes before.
    #[must_use]
    pub fn settles_at(&self) -> Option<Instant> {
        self.live_since.filter(|_| self.muted.0).map(|since| since.plus(BOARD.switch_stable))
    }
}
