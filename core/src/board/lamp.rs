//! The lamp that says that the microphone is live.

use super::Polarity;
use embedded_hal::digital::OutputPin;

/// A lamp that did not do as it was told. The two are not the same: a lamp that stays dark must keep the
/// microphone muted, one that stays lit only says too much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum LampFault<E> {
    /// It may be dark although it should be lit.
    NotLit(E),
    /// It may be lit although it should be dark.
    NotDark(E),
}

/// A lamp on a pin: dark at first, dark again when it is dropped.
///
/// It writes its pin only when something changes, or when the last write failed. What is soldered between pin
/// and eye it cannot know.
#[derive(Debug)]
pub struct LiveLamp<P: OutputPin> {
    pin: P,
    polarity: Polarity,
    /// What the pin shows; nothing after a write that failed.
    shown: Option<bool>,
}

impl<P: OutputPin> LiveLamp<P> {
    /// A lamp that is dark.
    ///
    /// # Errors
    /// [`LampFault::NotDark`] if the pin cannot be written: better found now than with the microphone open.
    pub fn new(pin: P, polarity: Polarity) -> Result<Self, LampFault<P::Error>> {
        let mut lamp = Self { pin, polarity, shown: None };
        lamp.set(false)?;
        Ok(lamp)
    }

    /// Shows whether the microphone is live. To be called with `true` *before* it becomes live and with `false`
    /// *after* it was muted.
    ///
    /// # Errors
    /// [`LampFault`]. After [`LampFault::NotLit`] the microphone must not become live, or not stay it.
    pub fn set(&mut self, live: bool) -> Result<(), LampFault<P::Error>> {
        if self.shown == Some(live) {
            return Ok(());
        }
        self.shown = None;
        match self.pin.set_state(self.polarity.level(live)) {
            Ok(()) => self.shown = Some(live),
            Err(error) if live => return Err(LampFault::NotLit(error)),
            Err(error) => return Err(LampFault::NotDark(error)),
        }
        Ok(())
    }

    /// Whether it is known to be lit; `None` if its pin failed.
    #[must_use]
    pub const fn shown(&self) -> Option<bool> {
        self.shown
    }
}

impl<P: OutputPin> Drop for LiveLamp<P> {
    fn drop(&mut self) {
        // Nobody is left to tell.
        let _ = self.set(false);
    }
}
