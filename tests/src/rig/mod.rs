//! A studio in software: a JACK server with a dummy driver keeps the clock, programs reach it
//! through ordinary ALSA devices, and a probe holds the other end of every cable. What it promises:
//! nothing outside the rig is heard or disturbed, sound keeps its place on the server's frame
//! clock, and everything is gone when the rig is dropped.
//!
//! One process talks to one server at a time (a property of the JACK client library), so rigs of
//! the tests in one binary take turns; those of several binaries run side by side.

mod alsa;
mod jack;
mod listen;
mod probe;
mod seat;
mod tape;
mod trouble;

pub use alsa::{AlsaConf, AlsaConfBuilder};
pub use jack::{Jack, PERIOD};
pub use listen::{Take, mouth_to_ear, passage};
pub use probe::{Probe, Recording};
pub use trouble::{FORMATS, Seen, Trouble, Wishes};

#[cfg(test)]
mod tests;
