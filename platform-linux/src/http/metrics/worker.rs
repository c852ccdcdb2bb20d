//! Figures of the workers and their supervision.

use super::Kind::{Counter, Gauge};
use super::{Page, both, count, flag, one_of, seconds};
use crate::daemon::status::{Status, WorkerStatus};

type Figure = fn(&WorkerStatus) -> u64;

/// Of each direction's worker, one figure.
fn each(page: &mut Page, status: &Status, name: &str, help: &str, of: Figure) {
    let playback = |status: &Status| status.playback.worker.as_ref().map(|worker| count(of(worker)));
    let values = both(status, |status| Some(count(of(&status.capture.worker))), playback);
    let kind = if name.ends_with("_total") { Counter } else { Gauge };
    page.maybe(name, kind, help, values);
}

pub(super) fn write(page: &mut Page, status: &Status) {
    const STATES: [&str; 6] = ["running", "starting", "stopping", "waiting", "gave up", "stopped"];
    let states = both(
        status,
        |status| one_of(&STATES, &status.capture.worker.state),
        |status| one_of(&STATES, status.playback.worker.as_ref().map_or("", |worker| &worker.state)),
    );
    page.grid(("worker_state", Gauge, "Which of these states the worker is in."), "state", states);
    let up = |worker: &WorkerStatus| flag(worker.state == "running");
    let ups =
        both(status, |status| up(&status.capture.worker), |status| status.playback.worker.as_ref().map_or(0.0, up));
    page.both("worker_up", Gauge, "Whether the worker runs.", ups);
    let running = both(
        status,
        |status| status.capture.worker.running_s,
        |status| status.playback.worker.as_ref().and_then(|worker| worker.running_s),
    );
    page.maybe("worker_running_seconds", Gauge, "How long the worker has been running.", running);
    let retry = both(
        status,
        |status| status.capture.worker.retry_ms.map(seconds),
        |status| status.playback.worker.as_ref().and_then(|worker| worker.retry_ms).map(seconds),
    );
    page.maybe("worker_retry_seconds", Gauge, "Until the worker is started again.", retry);
    let figures: [(&str, &str, Figure); 12] = [
        ("worker_starts_total", "Workers started.", |worker| worker.starts),
        ("worker_restarts_total", "Workers started after a failure.", |worker| worker.restarts),
        ("worker_replacements_total", "Workers replaced as planned.", |worker| worker.replacements),
        ("worker_start_failures_total", "Workers that could not begin.", |worker| worker.start_failures),
        ("worker_crashes_total", "Workers that ended otherwise than cleanly.", |worker| worker.crashes),
        ("worker_clean_exits_total", "Workers that left without being told to.", |worker| worker.clean_exits),
        ("worker_missed_ready_total", "Workers that were not ready in time.", |worker| worker.missed_ready),
        ("worker_missed_beats_total", "Workers that made no progress.", |worker| worker.missed_beats),
        ("worker_kills_total", "Workers killed.", |worker| worker.kills),
        ("worker_gave_up_total", "Times that the worker was given up.", |worker| worker.gave_up),
        ("worker_restarts_in_window", "Restarts that count against the budget.", |worker| {
            worker.restarts_in_window as u64
        }),
        ("worker_restart_budget", "Restarts that are allowed within the window.", |worker| {
            u64::from(worker.restart_budget)
        }),
    ];
    for (name, help, of) in figures {
        each(page, status, name, help, of);
    }
}
