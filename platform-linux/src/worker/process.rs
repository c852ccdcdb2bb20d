//! How a worker is started, and how its life is followed: a process of this same program, or a thread.
//!
//! A process gets one end of a link as its standard input and nothing else but standard error, for its log lines. It ends
//! with this process, however that ends: the kernel kills it when its parent dies, and the link is closed then.

use super::{Link, WorkerError, link, serve};
use crate::rt;
use soundpost_core::config::Direction;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{ExitStatus, Stdio};
use tokio::sync::oneshot;

/// How workers are run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Launch {
    /// As processes, whose log is as talkative as this.
    Processes(tracing::Level),
    /// As threads of this process.
    Threads,
}

impl Launch {
    /// Starts a worker; returns it and this end of its link.
    ///
    /// # Errors
    /// If the system has no more processes, threads or descriptors.
    pub fn start(&self, direction: Direction) -> io::Result<(Child, OwnedFd)> {
        let (ours, theirs) = link::pair()?;
        let child = match self {
            Self::Processes(level) => {
                let mut command = std::process::Command::new("/proc/self/exe");
                command.arg0("soundpost").arg("--log-level").arg(level.as_str());
                // What the service manager wants to hear, it hears from the daemon.
                for name in ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"].iter().chain(&crate::handed::VARIABLES) {
                    command.env_remove(name);
                }
                command.arg("worker").arg(name(direction));
                Child::process(command, theirs)?
            }
            Self::Threads => Child::thread(direction, theirs)?,
        };
        Ok((child, ours))
    }
}

/// The name of a direction.
#[must_use]
pub const fn name(direction: Direction) -> &'static str {
    match direction {
        Direction::Capture => "capture",
        Direction::Playback => "playback",
    }
}

/// How a child ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// Of its own will, and it says that all is well.
    pub clean: bool,
    /// In words.
    pub how: String,
}

/// A worker that was started.
#[derive(Debug)]
pub enum Child {
    /// A process.
    Process(tokio::process::Child),
    /// A thread.
    Thread(oneshot::Receiver<End>),
}

impl Child {
    /// Starts `command` with the other end of a link as its standard input. It does not outlive its `Child`.
    ///
    /// # Errors
    /// What the system says.
    pub fn process(mut command: std::process::Command, theirs: OwnedFd) -> io::Result<Self> {
        // A group of its own: what a terminal sends, to the daemon it is sent.
        command.stdin(Stdio::from(theirs)).stdout(Stdio::null()).process_group(0);
        let mut command = tokio::process::Command::from(command);
        command.kill_on_drop(true).spawn().map(Self::Process)
    }

    fn thread(direction: Direction, theirs: OwnedFd) -> io::Result<Self> {
        let (tell, told) = oneshot::channel();
        let life = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async { serve(Link::new(theirs)?, false, std::future::pending()).await })
        };
        std::thread::Builder::new().name(format!("worker-{}", name(direction))).spawn(move || {
            let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(life));
            let (clean, how) = match ended {
                Ok(Ok(())) => (true, "it left".to_owned()),
                Ok(Err(WorkerError::Failed(why))) => (false, why),
                Ok(Err(error)) => (false, error.to_string()),
                Err(_) => (false, "it panicked".to_owned()),
            };
            // Nobody may be there any more.
            let _ = tell.send(End { clean, how });
        })?;
        Ok(Self::Thread(told))
    }

    /// Its process, if it is one of its own and still there.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        match self {
            Self::Process(child) => child.id(),
            Self::Thread(_) => None,
        }
    }

    /// Waits until it is gone and nothing of it is left.
    pub async fn ended(&mut self) -> End {
        match self {
            Self::Process(child) => match child.wait().await {
                Ok(status) => End { clean: status.success(), how: words(status) },
                Err(error) => End { clean: false, how: format!("it cannot be waited for: {error}") },
            },
            Self::Thread(told) => told.await.unwrap_or_else(|_| End { clean: false, how: "it vanished".to_owned() }),
        }
    }

    /// Asks it to leave, beside what is said over the link.
    pub fn terminate(&self) {
        if let Some(pid) = self.id().and_then(|id| rustix::process::Pid::from_raw(id.cast_signed())) {
            // It was not waited for yet, so the number is still its own.
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
    }

    /// Ends it. A thread cannot be ended against its will.
    pub fn kill(&mut self) {
        match self {
            Self::Process(child) => _ = child.start_kill(),
            Self::Thread(_) => tracing::error!("a worker thread hangs and cannot be ended; restart the daemon"),
        }
    }
}

/// How a process ended, in words.
fn words(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(0), _) => "it left".to_owned(),
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("killed by {}", signal_name(signal)),
        (None, None) => "it ended".to_owned(),
    }
}

fn signal_name(signal: i32) -> String {
    const NAMES: [(i32, &str); 13] = [
        (libc::SIGABRT, "SIGABRT"),
        (libc::SIGALRM, "SIGALRM"),
        (libc::SIGBUS, "SIGBUS"),
        (libc::SIGFPE, "SIGFPE"),
        (libc::SIGHUP, "SIGHUP"),
        (libc::SIGILL, "SIGILL"),
        (libc::SIGINT, "SIGINT"),
        (libc::SIGKILL, "SIGKILL"),
        (libc::SIGPIPE, "SIGPIPE"),
        (libc::SIGSEGV, "SIGSEGV"),
        (libc::SIGSYS, "SIGSYS (the sandbox)"),
        (libc::SIGTERM, "SIGTERM"),
        (libc::SIGXCPU, "SIGXCPU"),
    ];
    let known = NAMES.iter().find(|(number, _)| *number == signal);
    known.map_or_else(|| format!("signal {signal}"), |(_, name)| (*name).to_owned())
}

/// The life of a worker process, at whose standard input its link is.
///
/// # Errors
/// If this is not a worker that a daemon started, or [`WorkerError`].
pub fn run() -> Result<(), Box<dyn std::error::Error>> {
    let stdin = io::stdin();
    if !rustix::net::sockopt::socket_type(&stdin).is_ok_and(|kind| kind == rustix::net::SocketType::SEQPACKET) {
        return Err("a worker is started by `soundpost run`, with its link as standard input; not by hand".into());
    }
    rt::close_inherited();
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    let end = std::os::fd::AsFd::as_fd(&stdin).try_clone_to_owned()?;
    // Nothing else is to read from the link by accident.
    rustix::stdio::dup2_stdin(std::fs::File::open("/dev/null")?)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let served = runtime.block_on(async {
        let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        let leave = async { _ = terminate.recv().await };
        serve(Link::new(end)?, true, leave).await
    });
    match served {
        Err(WorkerError::Failed(why)) => {
            // Who started it says so.
            tracing::debug!("cannot begin: {why}");
            std::process::exit(1);
        }
        other => Ok(other?),
    }
}
