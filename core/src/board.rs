//! What a board has beside its sound card: a lamp that says that the microphone is live, a switch that mutes
//! it, and an amplifier that wants to be switched without a pop.
//!
//! Pins are those of `embedded-hal`, so the same parts serve a microcontroller, a Linux board and the
//! simulator. The promise is one of privacy: *while anything that the microphone hears can leave, the lamp is
//! lit.* In doubt, muted: before the switch is readable, when a pin fails, after a device was lost. What this
//! module does not know: threads, files, and what a packet is.

mod amp;
mod guard;
mod lamp;
mod switch;

pub use amp::{AmpGate, AmpHold};
pub use guard::{Microphone, MicrophoneGuard, View};
pub use lamp::{LampFault, LiveLamp};
pub use switch::MuteSwitch;

use embedded_hal::digital::PinState;

/// Whether the microphone is muted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Muted(pub bool);

/// Which level of a pin means yes: lit, muted, powered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Polarity {
    /// The high one.
    #[default]
    ActiveHigh,
    /// The low one.
    ActiveLow,
}

impl Polarity {
    /// The level that says `yes`.
    #[must_use]
    pub const fn level(self, yes: bool) -> PinState {
        match (self, yes) {
            (Self::ActiveHigh, true) | (Self::ActiveLow, false) => PinState::High,
            (Self::ActiveHigh, false) | (Self::ActiveLow, true) => PinState::Low,
        }
    }

    /// What a level says.
    #[must_use]
    pub const fn says(self, high: bool) -> bool {
        match self {
            Self::ActiveHigh => high,
            Self::ActiveLow => !high,
        }
    }
}

/// What holds when the switch on the board (if there is one) and a remote command disagree: each can mute, and
/// neither can undo the other's. So a switch that is off stays off, whoever asks.
#[must_use]
pub const fn effective_mute(hardware: Option<Muted>, remote: Muted) -> Muted {
    match hardware {
        Some(Muted(true)) => Muted(true),
        Some(Muted(false)) | None => remote,
    }
}

#[cfg(test)]
mod tests;
