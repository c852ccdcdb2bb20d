//! A job, and who does it. `tests/arm` counts some of them on another processor, so this stands alone.

use std::time::{Duration, Instant};

/// One contestant.
pub(crate) struct Case {
    /// Whose it is.
    pub(crate) name: &'static str,
    /// Does the job so many times; returns how long that took.
    pub(crate) run: fn(u64) -> Duration,
}

/// One job and its contestants.
#[derive(Clone, Copy)]
pub(crate) struct Group {
    /// The job's name.
    pub(crate) title: &'static str,
    /// What is done once.
    pub(crate) what: &'static str,
    /// Threads that do it.
    pub(crate) threads: u32,
    /// Ours first.
    pub(crate) cases: &'static [Case],
}

/// Times a job on this thread.
pub(crate) fn alone(times: u64, mut job: impl FnMut()) -> Duration {
    let start = Instant::now();
    (0..times).for_each(|_| job());
    start.elapsed()
}
