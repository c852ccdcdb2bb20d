//! The policy and the arithmetic of soundpost: time, memory and sound, without an operating system.
//!
//! Everything in here is a passive, single-owner state machine. Time arrives as an argument, memory is of
//! fixed capacity, numbers are integers. The crate never asks for a clock, a random number, a file or a
//! socket, never allocates, and its real-time entry points do not panic. Whoever owns the sound card turns
//! the crank ([`cycle`]); the same crank is turned by Linux threads and by the simulator.
//!
//! # The rings
//!
//! A module uses its own ring and those below it, never one above.
//!
//! | ring | what | modules |
//! |---|---|---|
//! | 4 crank | one turn of capture or playback; lamp, switch, amplifier | [`port`], [`cycle`], [`board`] |
//! | 3 engines | samples to packets and back; the pace of sound | [`codec`], [`engine`], [`jitter`], [`resample`], [`stretch`] |
//! | 2 policy | decisions | [`adapt`], [`drift`], [`flood`], [`pitch`], [`preference`], [`quality`], [`queue`], [`recovery`], [`redundancy`], [`supervise`], [`watch`] |
//! | 1 mechanism | memory and bytes | [`sync`], [`pool`], [`latest`], [`notice`], [`wire`] |
//! | 0 vocabulary | words and numbers | [`time`], [`config`], [`capacity`], [`meter`], [`signal`], `fmt` |
//!
//! # Words
//!
//! **Capture** is sound card → Opus → listeners; **playback** is a talker's Opus → sound card. A **period**
//! is what the device hands over, a **frame** is what the codec codes, a **packet** is what the wire
//! carries, a **slot** is what a pool lends. A *sample* counted in a length or a time is one instant of all
//! channels.
#![no_std]
#![deny(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::float_arithmetic)
)]

#[cfg(any(test, loom))]
extern crate std;

pub mod adapt;
pub mod board;
pub mod capacity;
pub mod codec;
pub mod config;
pub mod cycle;
pub mod drift;
pub mod engine;
pub mod flood;
mod fmt;
pub mod jitter;
pub mod latest;
pub mod meter;
pub mod notice;
pub mod pitch;
pub mod pool;
pub mod port;
pub mod preference;
pub mod quality;
pub mod queue;
pub mod recovery;
pub mod redundancy;
pub mod resample;
pub mod signal;
pub mod stretch;
pub mod supervise;
pub mod sync;
pub mod time;
pub mod watch;
pub mod wire;
