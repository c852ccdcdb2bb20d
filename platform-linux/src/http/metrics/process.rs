//! What the processes take of the machine, as the kernel tells: a share of the processor is the rate of its seconds.

use super::Kind::{Counter, Gauge};
use super::Page;
use crate::daemon::status::Status;

/// What the kernel tells of a process.
struct Taken {
    cpu_seconds: f64,
    resident: f64,
    virtual_bytes: f64,
}

impl Taken {
    /// `None` if there is no such process.
    fn of(pid: u32) -> Option<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name may hold blanks and brackets; what follows the last one does not.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let number = |at: usize| fields.get(at)?.parse::<f64>().ok();
        // Counted from the state, which is the third field: see proc_pid_stat(5).
        let (user, system, virtual_bytes, pages) = (number(11)?, number(12)?, number(20)?, number(21)?);
        let ticks = rustix::param::clock_ticks_per_second() as f64;
        let page = rustix::param::page_size() as f64;
        Some(Self { cpu_seconds: (user + system) / ticks, resident: pages * page, virtual_bytes })
    }
}

/// Memory of the machine.
fn machine() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: f64 = total.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024.0)
}

pub(super) fn write(page: &mut Page, status: &Status) {
    let capture = status.capture.worker.pid;
    let playback = status.playback.worker.as_ref().and_then(|worker| worker.pid);
    let processes = [("daemon", Some(status.pid)), ("capture", capture), ("playback", playback)];
    let taken = processes.map(|(name, pid)| (name, pid.and_then(Taken::of)));
    let mut each = |name, kind, help, of: fn(&Taken) -> f64| {
        page.each((name, kind, help), "process", taken.iter().map(|(name, taken)| (*name, taken.as_ref().map(of))));
    };
    each("process_cpu_seconds_total", Counter, "Time on a processor.", |taken| taken.cpu_seconds);
    each("process_resident_memory_bytes", Gauge, "Memory in use, shared pages counted whole.", |taken| taken.resident);
    each("process_virtual_memory_bytes", Gauge, "Addresses in use.", |taken| taken.virtual_bytes);
    let up = taken.iter().map(|(name, taken)| (*name, Some(super::flag(taken.is_some()))));
    page.each(("process_up", Gauge, "Whether there is such a process."), "process", up);
    if let Some(bytes) = machine() {
        page.one("machine_memory_bytes", Gauge, "Memory of the machine.", bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_takes_something_and_none_takes_nothing() {
        let taken = Taken::of(std::process::id()).unwrap();
        assert!(taken.resident > 0.0 && taken.virtual_bytes >= taken.resident && taken.cpu_seconds >= 0.0);
        assert!(Taken::of(u32::MAX).is_none());
        assert!(machine().unwrap() >= taken.resident);
    }
}
