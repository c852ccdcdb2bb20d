//! Soundpost on Linux: ALSA and other devices, libopus, unix sockets, and the daemon that joins them.
//!
//! Nothing here decides anything about sound: thresholds, presets and timing come from `soundpost-core`.
//! Audio runs on threads of its own ([`rt`]); tokio serves everything else on one other thread.

pub mod board;
pub mod cli;
pub mod configuration;
pub mod cs;
pub mod daemon;
mod daytime;
pub mod direction;
pub mod gpio;
pub mod handed;
pub mod hotplug;
pub mod http;
pub mod opus;
pub mod pcm;
pub mod rt;
pub mod socket;
pub mod ward;
pub mod worker;
