//! Child processes that cannot outlive this one. The kernel sends SIGKILL to a child whose parent
//! *thread* ends, so every child is started by one thread that lives as long as the process: it may
//! be used from short-lived test threads, and is gone when the test process is, however that ends.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus};
use std::sync::OnceLock;
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Duration;

use crate::until_some;

type Order = (Command, Sender<io::Result<Child>>);

/// Starts `command` so that the kernel ends it together with this process.
pub(crate) fn spawn_bound(mut command: Command) -> io::Result<Child> {
    // SAFETY: getpid cannot fail and touches no memory.
    let parent = unsafe { libc::getpid() };
    // SAFETY: the closure runs between fork and exec and makes only async-signal-safe calls.
    unsafe { command.pre_exec(move || die_with(parent)) };
    let (answer, result) = channel();
    spawner().send((command, answer)).expect("the spawner thread lives");
    result.recv().expect("the spawner thread answers")
}

fn spawner() -> &'static Sender<Order> {
    static SPAWNER: OnceLock<Sender<Order>> = OnceLock::new();
    SPAWNER.get_or_init(|| {
        let (orders, inbox) = channel::<Order>();
        thread::Builder::new()
            .name("spawner".into())
            .spawn(move || {
                for (mut command, answer) in inbox {
                    // Whoever asked may have panicked meanwhile; then nobody wants the child.
                    if let Err(lost) = answer.send(command.spawn())
                        && let Ok(mut child) = lost.0
                    {
                        let _ = end(&mut child, Duration::ZERO);
                    }
                }
            })
            .expect("a thread can be started");
        orders
    })
}

fn die_with(parent: libc::pid_t) -> io::Result<()> {
    // SAFETY: prctl with these arguments only sets a number in the calling process.
    if unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: getppid cannot fail and touches no memory.
    if unsafe { libc::getppid() } != parent {
        return Err(io::Error::from_raw_os_error(libc::ESRCH));
    }
    Ok(())
}

/// Sends `signal` to a child that has not been reaped yet.
pub(crate) fn signal(child: &mut Child, signal: libc::c_int) -> io::Result<()> {
    if child.try_wait()?.is_some() {
        return Ok(());
    }
    let pid = libc::pid_t::try_from(child.id()).expect("a pid fits");
    // SAFETY: the child is not reaped (checked above, and only its owner reaps it), so the pid is
    // still its own.
    match unsafe { libc::kill(pid, signal) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Waits for the child to end by itself.
pub(crate) fn wait_exit(child: &mut Child, deadline: Duration) -> Option<ExitStatus> {
    until_some(deadline, || child.try_wait().expect("a child of ours can be waited for"))
}

/// Ends the child: SIGTERM, the given time to comply, then SIGKILL; reaped when this returns.
pub(crate) fn end(child: &mut Child, patience: Duration) -> io::Result<ExitStatus> {
    if !patience.is_zero() {
        signal(child, libc::SIGTERM)?;
        if let Some(status) = wait_exit(child, patience) {
            return Ok(status);
        }
    }
    child.kill()?;
    child.wait()
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    fn shell(script: &str) -> Child {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        spawn_bound(command).expect("sh starts")
    }

    #[test]
    fn a_child_outlives_the_thread_that_asked_for_it_and_obeys_sigterm() {
        let mut child = thread::spawn(|| shell("sleep 60")).join().expect("no panic");
        assert_eq!(wait_exit(&mut child, Duration::from_millis(20)), None);
        let status = end(&mut child, Duration::from_secs(5)).expect("it ends");
        assert_eq!(status.signal(), Some(libc::SIGTERM));
    }

    #[test]
    fn a_child_that_ignores_sigterm_is_killed() {
        let mut child = shell("trap '' TERM; exec sleep 60");
        let status = end(&mut child, Duration::from_millis(200)).expect("it ends");
        assert!(status.signal().is_some());
    }
}
