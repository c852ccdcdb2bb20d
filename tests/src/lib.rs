//! Support for the behaviour tests: a studio without hardware, and the instruments to judge what
//! comes out of it.
//!
//! [`rig`] runs a private JACK server with a dummy driver, gives programs ALSA devices whose other
//! ends are ports of that server, and plays and records there accurate to the sample. [`speech`]
//! makes something worth listening to, [`measure`] says how late and how complete it arrived, and
//! [`proc`] runs the programs under test. [`actuators`] does to a sound what playback may do to it.
//! [`clocks`] are what a machine may have against a program. [`guest`] is a board to run them on. Everything waits for
//! events with a deadline, nothing sleeps for a guessed time, and no process survives the test that started it.

pub mod actuators;
pub mod clocks;
pub mod guest;
pub mod measure;
pub mod proc;
pub mod rig;
mod spawn;
pub mod speech;
mod wait;
pub mod wav;

pub use wait::{until, until_some, until_some_every};

/// Frames per second everywhere in the rig; JACK, the probe, the speech and the measurements agree.
pub const RATE: usize = 48_000;
