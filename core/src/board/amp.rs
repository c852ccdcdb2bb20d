//! The amplifier behind the sound card, switched without a pop.

use super::Polarity;
use crate::config::BOARD;
use crate::time::Instant;
use embedded_hal::delay::DelayNs;
use embedded_hal::digital::OutputPin;

/// An amplifier's power (or its enable pin), and the order of things around it: it is switched only while the
/// stream is silent. Off at first, off again when it is dropped.
#[derive(Debug)]
pub struct AmpGate<P: OutputPin, D: DelayNs> {
    pin: P,
    delay: D,
    polarity: Polarity,
    on: bool,
}

impl<P: OutputPin, D: DelayNs> AmpGate<P, D> {
    /// An amplifier that is off.
    ///
    /// # Errors
    /// The pin's.
    pub fn new(mut pin: P, delay: D, polarity: Polarity) -> Result<Self, P::Error> {
        pin.set_state(polarity.level(false))?;
        Ok(Self { pin, delay, polarity, on: false })
    }

    /// Whether it is on, as far as the pin did as it was told.
    pub const fn is_on(&self) -> bool {
        self.on
    }

    /// Powers it, waits until it has settled, then calls `unmute` to let sound into the stream.
    ///
    /// # Errors
    /// The pin's; the stream stays silent then.
    pub fn open(&mut self, unmute: impl FnOnce()) -> Result<(), P::Error> {
        if !self.on {
            self.pin.set_state(self.polarity.level(true))?;
            self.on = true;
            self.delay.delay_us(micros(BOARD.amp_settle.as_micros()));
        }
        unmute();
        Ok(())
    }

    /// Calls `mute` to silence the stream, waits until that has been played, then takes its power away.
    ///
    /// # Errors
    /// The pin's; the amplifier may still be on then, with a silent stream.
    pub fn close(&mut self, mute: impl FnOnce()) -> Result<(), P::Error> {
        mute();
        if self.on {
            self.delay.delay_us(micros(BOARD.amp_drain.as_micros()));
            self.pin.set_state(self.polarity.level(false))?;
            self.on = false;
        }
        Ok(())
    }
}

impl<P: OutputPin, D: DelayNs> Drop for AmpGate<P, D> {
    fn drop(&mut self) {
        if self.on {
            // Nobody is left to tell.
            let _ = self.pin.set_state(self.polarity.level(false));
        }
    }
}

fn micros(us: u64) -> u32 {
    u32::try_from(us).unwrap_or(u32::MAX)
}

/// When the amplifier is wanted: while somebody may be heard, and for a while after, so that a pause is no reason
/// to switch.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct AmpHold {
    until: Option<Instant>,
}

impl AmpHold {
    /// Whether it is wanted. `busy` says that somebody has the floor or is still being played.
    pub fn wanted(&mut self, now: Instant, busy: bool) -> bool {
        if busy {
            self.until = Some(now.plus(BOARD.amp_hold));
        }
        self.until = self.until.filter(|until| now < *until);
        self.until.is_some()
    }
}
