//! The two engines: samples to packets, packets to samples. They know no device, no pool and no ring.

pub mod capture;
pub mod fader;
pub mod playback;
