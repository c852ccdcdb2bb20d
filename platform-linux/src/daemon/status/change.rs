//! What is told about changes: which preset is used and why, and which wish is in effect.

use serde::{Deserialize, Serialize};

/// What looks after the preset.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct GovernorStatus {
    /// Whether the preset follows what the network and the processor carry.
    pub adapts: bool,
    /// The preset that is wished: a better one is never used.
    pub ceiling: String,
    /// Why the one in use is used: `user`, `loss`, `delay`, `load`, or `calm` after one of those.
    pub reason: String,
    /// How often another one was used, other than by wish.
    pub turns: u64,
    /// Packets that listeners lost when it was last looked, in percent; `None` if nobody said so.
    pub loss_percent: Option<f64>,
    /// By how much the fastest packets then took longer to listeners than the fastest of the last minute, in milliseconds;
    /// `None` if nobody said so.
    pub delay_growth_ms: Option<f64>,
    /// Turns of the audio thread that were late then, in percent.
    pub late_percent: f64,
}

/// How far what was asked for is carried out. Each change of the configuration has a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeStatus {
    /// The latest.
    pub asked: u32,
    /// The latest that the worker says is in effect.
    pub applied: u32,
}

impl ChangeStatus {
    pub(super) const fn of((asked, applied): (u32, u32)) -> Self {
        Self { asked, applied }
    }
}
