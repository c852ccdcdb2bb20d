//! Whether sound makes real progress: what a watchdog asks.

use crate::daemon::hub::Hub;
use serde::Serialize;
use soundpost_core::config::Direction;

/// Both directions, and both together.
#[derive(Serialize)]
pub(super) struct Health {
    pub(super) healthy: bool,
    capture: Side,
    playback: Side,
}

#[derive(Serialize)]
struct Side {
    healthy: bool,
    /// How its device is doing; `stopped by command` where nothing is to move.
    state: &'static str,
}

impl Health {
    /// Sound moves in every direction in which it is to move, and in one at least.
    pub(super) fn of(hub: &Hub) -> Self {
        let side = |direction| {
            let idle = hub.is_idle(direction);
            let state = if idle { "stopped by command" } else { hub.state(direction).word() };
            Side { healthy: idle || hub.moves(direction), state }
        };
        let (capture, playback) = (side(Direction::Capture), side(Direction::Playback));
        let moves = hub.moves(Direction::Capture) || hub.moves(Direction::Playback);
        Self { healthy: capture.healthy && playback.healthy && moves, capture, playback }
    }
}
