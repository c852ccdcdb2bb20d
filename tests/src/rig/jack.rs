//! A private JACK server: its own name, a dummy driver at 48 kHz with short periods, real-time
//! priority where the system grants it. Promises that clients can connect once [`Jack::start`] has
//! returned, and that process, sockets and shared memory are gone when the last handle is dropped.
//!
//! The server runs in synchronous mode: a late client delays the whole graph instead of missing a
//! cycle. On a crowded machine the audio clock then runs a little slow, but every client still sees
//! every frame, so a test judges the program and not the scheduler.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::seat::{SHARED_MEMORY, Seat, user};
use crate::proc::Lines;
use crate::spawn;
use crate::{until, until_some};

/// Frames per cycle of the server.
pub const PERIOD: usize = 64;

const PRIORITY: libc::c_int = 70;
const READY: Duration = Duration::from_secs(20);
const PATIENCE: Duration = Duration::from_secs(5);

/// A running server; clones share it.
#[derive(Clone)]
pub struct Jack(Arc<Server>);

struct Server {
    realtime: bool,
    running: Mutex<(Child, Lines)>,
    // Last, so that the next rig starts after everything of this one is gone.
    seat: Seat,
}

impl Jack {
    /// Starts a server and waits until clients can connect. Waits first until no other rig of this
    /// process is running.
    ///
    /// # Panics
    ///
    /// When `jackd` is not installed or does not come up.
    pub fn start() -> Self {
        let seat = Seat::take();
        let name = seat.name();
        // What a killed predecessor left.
        remove_leftovers(name);
        // SAFETY: rigs take turns, and within a turn only the JACK library reads this variable; all
        // other access to the environment in this process goes through std, which locks it.
        unsafe { std::env::set_var("JACK_DEFAULT_SERVER", name) };
        jack::set_logger(jack::LoggerType::None);
        let realtime = realtime_allowed();
        let (child, output) = until_some(READY, || launch(name, realtime))
            .unwrap_or_else(|| panic!("{name} is taken by a jackd that does not end"));
        Self(Arc::new(Server { realtime, running: Mutex::new((child, output)), seat }))
    }

    /// The server's name.
    pub fn name(&self) -> &str {
        self.0.seat.name()
    }

    /// Whether server and clients run with real-time priority.
    pub fn realtime(&self) -> bool {
        self.0.realtime
    }

    /// What a child process needs in its environment to reach this server and no other.
    pub fn envs(&self) -> Vec<(String, String)> {
        vec![("JACK_DEFAULT_SERVER".into(), self.name().to_owned()), ("JACK_NO_START_SERVER".into(), "1".into())]
    }

    /// What the server has printed so far.
    pub fn output(&self) -> String {
        self.0.running.lock().unwrap_or_else(PoisonError::into_inner).1.all()
    }

    /// Kills the server, calls `meanwhile`, and starts another one of that name; waits until clients can connect. This
    /// process may have none by then.
    ///
    /// # Panics
    ///
    /// When it does not come up again.
    pub fn crash(&self, meanwhile: impl FnOnce()) {
        let mut running = self.0.running.lock().unwrap_or_else(PoisonError::into_inner);
        let (child, output) = &mut *running;
        let _ = spawn::end(child, Duration::ZERO);
        output.wait_closed(PATIENCE);
        remove_leftovers(self.name());
        meanwhile();
        let again = until_some(READY, || launch(self.name(), self.realtime()));
        *running = again.unwrap_or_else(|| panic!("{} does not come up again", self.name()));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let (child, output) = self.running.get_mut().unwrap_or_else(PoisonError::into_inner);
        // Nothing to be done about an error here; the kernel ends the server with this process.
        let _ = spawn::end(child, PATIENCE);
        remove_leftovers(self.seat.name());
        if std::thread::panicking() {
            eprintln!("--- {} said:\n{}---", self.seat.name(), output.all());
        }
    }
}

/// A server that accepts clients; none if a killed predecessor of that name is not quite gone.
fn launch(name: &str, realtime: bool) -> Option<(Child, Lines)> {
    let mut child = spawn::spawn_bound(command(name, realtime))
        .unwrap_or_else(|e| panic!("cannot run jackd (Debian package jackd2): {e}"));
    let output = Lines::read(&mut child);
    let ready = || jack::Client::new("ready", jack::ClientOptions::NO_START_SERVER).is_ok();
    let mut ended = false;
    until(READY, || {
        ended = !matches!(child.try_wait(), Ok(None));
        ended || ready()
    });
    if !ended && ready() {
        return Some((child, output));
    }
    let _ = spawn::end(&mut child, Duration::ZERO);
    output.wait_closed(PATIENCE);
    let said = output.all();
    assert!(said.contains("already active"), "jackd did not come up; its output:\n{said}");
    None
}

fn command(name: &str, realtime: bool) -> Command {
    let mut command = Command::new("jackd");
    match realtime {
        true => command.args(["--realtime", "--realtime-priority", &PRIORITY.to_string()]),
        false => command.arg("--no-realtime"),
    };
    command.args(["--sync", "--port-max", "128", "--name", name]);
    command.args(["-d", "dummy", "--rate", &crate::RATE.to_string()]);
    command.args(["--period", &PERIOD.to_string()]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Whether a thread of ours may have the server's priority, tried on a thread made for it.
fn realtime_allowed() -> bool {
    let attempt = || {
        let priority = libc::sched_param { sched_priority: PRIORITY };
        // SAFETY: pid 0 is the calling thread, and `priority` outlives the call.
        unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &raw const priority) == 0 }
    };
    std::thread::spawn(attempt).join().unwrap_or(false)
}

/// A server that ends by itself cleans up; one that was killed leaves these. Its sample memory is
/// numbered, not named: the next server on the machine finds it in the registry and frees it.
fn remove_leftovers(name: &str) {
    let user = user();
    let socket = format!("jack_{name}_{user}_");
    let semaphore = format!("jack_sem.{user}_{name}_");
    for entry in fs::read_dir(SHARED_MEMORY).into_iter().flatten().flatten() {
        let file = entry.file_name();
        let file = file.to_string_lossy();
        if file.starts_with(&socket) || file.starts_with(&semaphore) {
            // Gone already is as good.
            let _ = fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_follow_one_another_and_leave_nothing_behind() {
        for _ in 0..2 {
            let jack = Jack::start();
            let name = jack.name().to_owned();
            let pid = jack.0.running.lock().expect("no panic").0.id();
            drop(jack);
            let left: Vec<_> = fs::read_dir(SHARED_MEMORY)
                .expect("a shared memory directory")
                .flatten()
                .filter(|e| e.file_name().to_string_lossy().contains(&format!("_{name}_")))
                .collect();
            assert!(left.is_empty(), "left over: {left:?}");
            assert!(!fs::exists(format!("/proc/{pid}")).expect("/proc is readable"));
        }
    }
}
