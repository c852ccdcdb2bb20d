//! A virtual world that turns soundpost's crank in virtual time.
//!
//! The same rigs that run on Linux threads run here against cards, links, processes and people that exist only as
//! arithmetic ([`model`]), in the order of one queue of events ([`world`]). A codec that loses nothing lets judges
//! ([`judge`]) know of every sample which one it was. What happens is a [`scenario`], or is drawn from a seed
//! ([`swarm`]). Nothing in a world reads a clock or sleeps, and equal seeds give equal runs, on every machine.

pub mod audit;
pub mod cli;
mod clock;
mod codec;
mod device;
pub mod dice;
pub mod judge;
pub mod model;
pub mod outcome;
mod pins;
pub mod playout;
mod queue;
mod record;
pub mod report;
pub mod scenario;
pub mod swarm;
pub mod trace;
pub mod units;
pub mod world;

pub use clock::VirtualClock;
pub use codec::{CONCEALED, MarkerDecoder, MarkerEncoder, Number};
pub use device::{Fault, SimIn};
pub use model::source::marker;
pub use pins::{Edge, PinBroken, RecorderPin, ScriptedPin};
