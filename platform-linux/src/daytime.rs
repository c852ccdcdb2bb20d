//! The time of day, which is shown to people and decides nothing: somebody may set that clock at any moment.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The time since 1970 began.
pub(crate) fn since_1970() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
