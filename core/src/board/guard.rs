//! The guard between microphone and lamp.
//!
//! Capture runs on a thread of its own, takes commands when it gets to them, and may lose its device and get it
//! back at any moment. The guard keeps one order all the same: the lamp is lit, *then* the microphone is
//! unmuted; the microphone is known to be muted, *then* the lamp goes dark. What lies between is a lamp that
//! is lit a moment too early or too long; never the other way.

use super::{LampFault, LiveLamp, Muted};
use crate::capacity::COMMANDS_PER_TURN;
use embedded_hal::digital::OutputPin;

/// What can be seen of capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct View {
    /// The device is open.
    pub open: bool,
    /// Capture said that it is muted, after the last command that it took.
    pub muted: Muted,
    /// Commands that it has not taken yet.
    pub waiting: u32,
}

impl View {
    /// Whether nothing can leave, now or later, of a capture that was last told to mute.
    const fn is_silent(&self) -> bool {
        if self.open {
            self.muted.0 && self.waiting == 0
        } else {
            // It takes that many commands before it reads from a device that is back.
            self.waiting as usize <= COMMANDS_PER_TURN
        }
    }
}

/// Capture, as the guard needs it. Nobody else may mute or unmute it.
pub trait Microphone {
    /// What there is to see now. `open` must not be older than the last command that was sent.
    fn look(&mut self) -> View;

    /// Sends a command to mute or unmute; false if there is no room for it now.
    fn send(&mut self, muted: Muted) -> bool;
}

/// Mutes and unmutes a microphone that begins muted, and keeps the lamp, if there is one, in step.
#[derive(Debug)]
pub struct MicrophoneGuard<P: OutputPin> {
    lamp: Option<LiveLamp<P>>,
    /// What was last sent.
    sent: Muted,
}

impl<P: OutputPin> MicrophoneGuard<P> {
    /// A guard of a microphone that is muted.
    pub const fn new(lamp: Option<LiveLamp<P>>) -> Self {
        Self { lamp, sent: Muted(true) }
    }

    /// Goes as far as can be gone now towards `wanted`. To be called whenever that changes, whenever capture took
    /// commands or its device came or went, and now and then.
    ///
    /// # Errors
    /// [`LampFault`]. After [`LampFault::NotLit`] the microphone is being muted; the next call tries again.
    pub fn step(&mut self, wanted: Muted, microphone: &mut impl Microphone) -> Result<(), LampFault<P::Error>> {
        let view = microphone.look();
        if wanted.0 || !view.open {
            return self.mute(microphone);
        }
        // An older command may still wait: then capture says when it took it.
        if self.sent.0 && view.waiting > 0 {
            return Ok(());
        }
        if let Err(fault) = self.show(true) {
            // That the lamp cannot be told to be dark either would be no news.
            let _ = self.mute(microphone);
            return Err(fault);
        }
        if self.sent.0 && microphone.send(Muted(false)) {
            self.sent = Muted(false);
        }
        Ok(())
    }

    /// The lamp: lit, dark, or failed; `None` if there is none.
    #[must_use]
    pub fn lamp(&self) -> Option<Option<bool>> {
        self.lamp.as_ref().map(LiveLamp::shown)
    }

    /// What capture was last told.
    pub const fn told(&self) -> Muted {
        self.sent
    }

    fn mute(&mut self, microphone: &mut impl Microphone) -> Result<(), LampFault<P::Error>> {
        if !self.sent.0 && microphone.send(Muted(true)) {
            self.sent = Muted(true);
        }
        if self.sent.0 && microphone.look().is_silent() { self.show(false) } else { Ok(()) }
    }

    fn show(&mut self, live: bool) -> Result<(), LampFault<P::Error>> {
        self.lamp.as_mut().map_or(Ok(()), |lamp| lamp.set(live))
    }
}
