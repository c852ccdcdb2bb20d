//! What is told about the board's pins, and about those who were sent away.

use serde::{Deserialize, Serialize};

/// Peers that were sent away, by the code that they were told.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct RefusalsStatus {
    /// Not the protocol.
    pub malformed: u64,
    /// Another version of it.
    pub version: u64,
    /// What they may not send, or not now.
    pub unexpected: u64,
    /// Somebody else talks.
    pub busy: u64,
    /// Somebody else took over.
    pub replaced: u64,
    /// No place.
    pub too_many_clients: u64,
    /// Nothing to hear.
    pub unavailable: u64,
    /// Users who may not connect.
    pub forbidden: u64,
    /// Too much in too short a time.
    pub too_fast: u64,
}

/// Lamp, switch and amplifier; `None` for what there is not.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BoardStatus {
    /// `lit`, `dark` or `failed`.
    pub lamp: Option<String>,
    /// `muted`, `live` or `failed`, which mutes, too.
    pub mute_switch: Option<String>,
    /// `on`, `off` or `failed`.
    pub amp: Option<String>,
}
