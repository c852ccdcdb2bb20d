//! What is told about a worker: whether it lives, how often that was otherwise, and what it may do.

use crate::ward::Shown;
use crate::worker::sandbox::Sandbox;
use serde::{Deserialize, Serialize};
use soundpost_core::supervise::State;
use soundpost_core::time::{Instant, Span};
use std::fmt;

/// A worker and its supervision.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WorkerStatus {
    /// `running`, `starting`, `stopping`, `waiting` (for its restart), `gave up` or `stopped`.
    pub state: String,
    /// Its process; `None` if there is none, or it is a thread.
    pub pid: Option<u32>,
    /// How long it has been running.
    pub running_s: Option<f64>,
    /// Until its restart.
    pub retry_ms: Option<f64>,
    /// The how manieth restart in a row is being waited for.
    pub attempt: Option<u8>,
    /// How its predecessor ended.
    pub last_end: Option<String>,
    /// Restarts that count against the budget.
    pub restarts_in_window: usize,
    /// Restarts that are allowed within the window.
    pub restart_budget: u8,
    /// Workers started.
    pub starts: u64,
    /// Of these, restarts after a failure.
    pub restarts: u64,
    /// Of these, planned.
    pub replacements: u64,
    /// Workers that could not begin.
    pub start_failures: u64,
    /// Workers that ended otherwise than cleanly.
    pub crashes: u64,
    /// Workers that left without being told to.
    pub clean_exits: u64,
    /// Workers that were not ready in time.
    pub missed_ready: u64,
    /// Workers that made no progress.
    pub missed_beats: u64,
    /// Kills.
    pub kills: u64,
    /// Times that it was given up.
    pub gave_up: u64,
    /// What it may not do.
    pub sandbox: Sandbox,
}

/// How a worker stands, in a word or two.
pub(in crate::daemon) const fn word(state: &State) -> &'static str {
    match state {
        State::Stopped => "stopped",
        State::Starting { .. } => "starting",
        State::Running { .. } => "running",
        State::Stopping { .. } => "stopping",
        State::Backoff { .. } => "waiting",
        State::GaveUp { .. } => "gave up",
    }
}

impl WorkerStatus {
    pub(in crate::daemon) fn of(shown: &Shown, sandbox: &Sandbox, time: Instant) -> Self {
        let ms = |span: Span| span.as_micros() as f64 / 1000.0;
        let (running, retry, attempt) = match shown.state {
            State::Running { since, .. } => (Some(ms(time.since(since)) / 1000.0), None, None),
            State::Backoff { until, attempt } => (None, Some(ms(until.since(time))), Some(attempt)),
            _ => (None, None, None),
        };
        let counts = shown.counts;
        Self {
            state: word(&shown.state).to_owned(),
            pid: shown.pid,
            running_s: running,
            retry_ms: retry,
            attempt,
            last_end: shown.last_end.clone(),
            restarts_in_window: shown.restarts,
            restart_budget: shown.budget,
            starts: counts.starts,
            restarts: counts.restarts,
            replacements: counts.replacements,
            start_failures: counts.start_failures,
            crashes: counts.crashes,
            clean_exits: counts.clean_exits,
            missed_ready: counts.missed_ready,
            missed_beats: counts.missed_beats,
            kills: counts.kills,
            gave_up: counts.gave_up,
            sandbox: sandbox.clone(),
        }
    }
}

impl fmt::Display for WorkerStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let process = self.pid.map_or_else(|| "no process of its own".to_owned(), |pid| format!("process {pid}"));
        write!(f, "  worker     {process} [{}] {} started", self.state, self.starts)?;
        if let Some(how) = &self.last_end {
            write!(f, ", the last one: {how}; {} of {} restarts", self.restarts_in_window, self.restart_budget)?;
        }
        if let Some(ms) = self.retry_ms {
            write!(f, ", again in {ms:.0} ms")?;
        }
        writeln!(f)?;
        writeln!(f, "  sandbox    {}", self.sandbox)
    }
}
