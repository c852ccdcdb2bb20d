//! A virtual world that turns soundpost's crank in virtual time.
//!
//! The same rigs that run on Linux threads run here against devices that exist only as arithmetic: a clock
//! that moves when a device is waited for, a source whose every sample is its own number, faults at chosen
//! moments, and a codec that loses nothing, so that a judge knows exactly what was heard. Nothing here reads
//! a clock or sleeps, and equal inputs give equal outputs.

pub mod audit;
mod clock;
mod codec;
mod device;
mod pins;
pub mod playout;

pub use clock::VirtualClock;
pub use codec::{CONCEALED, MarkerDecoder, MarkerEncoder};
pub use device::{Fault, SimIn, SimOut, marker};
pub use pins::{Edge, PinBroken, RecorderPin, ScriptedPin};
