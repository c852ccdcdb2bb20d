//! The parts of the world: what a sound card, a link, a process and a machine do, good days and bad.

pub mod card;
pub mod host;
pub mod link;
pub mod oscillator;
pub mod source;
