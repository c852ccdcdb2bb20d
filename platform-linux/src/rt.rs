//! Audio threads: a clock, a priority, locked memory, and a way to wake the I/O side.
//!
//! What the system does not grant is done without, said once, and shown in the status.

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::mm::{MlockAllFlags, mlockall};
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};
use soundpost_core::config::{Direction, TIMING};
use soundpost_core::port::Clock;
use soundpost_core::time::{Instant, Span};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// `CLOCK_MONOTONIC`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Monotonic;

impl Clock for Monotonic {
    fn now(&mut self) -> Instant {
        now()
    }
}

/// The time on `CLOCK_MONOTONIC`.
#[must_use]
pub fn now() -> Instant {
    let time = clock_gettime(ClockId::Monotonic);
    let (seconds, nanos) = (time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs());
    Instant::from_micros(seconds * 1_000_000 + nanos / 1_000)
}

/// What the system granted.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Grants {
    /// The audio threads run under `SCHED_FIFO`.
    pub realtime: bool,
    /// Memory is locked: no page fault waits for a disk.
    pub memory_locked: bool,
}

impl Grants {
    /// What both have.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self { realtime: self.realtime && other.realtime, memory_locked: self.memory_locked && other.memory_locked }
    }
}

/// Locks memory and makes this thread, which hands packets on, less nice; whether memory is locked.
pub fn prepare_io() -> bool {
    // With a finite limit a later allocation would fail instead of merely being slow: then better not.
    let unlimited = rustix::process::getrlimit(rustix::process::Resource::Memlock).current.is_none()
        || rustix::process::geteuid().is_root();
    let lock = MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT;
    // Whether this is granted goes with SCHED_FIFO: both are CAP_SYS_NICE.
    let _ = rustix::process::setpriority_process(None, i32::from(TIMING.io_nice));
    unlimited && mlockall(lock).is_ok()
}

/// Locks memory, makes this thread (the I/O side's) less nice, and finds out whether real-time scheduling is
/// allowed. Warns once about what is not.
#[must_use]
pub fn prepare() -> Grants {
    let memory_locked = prepare_io();
    // Tried on a thread of its own, so that nothing but audio ever runs with that priority: the higher one.
    let realtime = std::thread::spawn(|| schedule_fifo(Direction::Playback)).join().unwrap_or(false);
    if !(realtime && memory_locked) {
        let missing = match (realtime, memory_locked) {
            (false, false) => "SCHED_FIFO and mlock are",
            (false, true) => "SCHED_FIFO is",
            _ => "mlock is",
        };
        tracing::warn!(
            "{missing} not granted: sound may crackle under load. Grant with: setcap cap_sys_nice,cap_ipc_lock=ep \
             <binary>, or LimitRTPRIO=/LimitMEMLOCK=infinity in the service"
        );
    }
    Grants { realtime, memory_locked }
}

/// Puts the calling thread under `SCHED_FIFO`, as a direction's audio thread; whether that was allowed.
fn schedule_fifo(direction: Direction) -> bool {
    let parameters = libc::sched_param { sched_priority: libc::c_int::from(TIMING.priority(direction)) };
    // SAFETY: the call reads the structure, which outlives it, and changes nothing in this process's memory.
    unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK, &raw const parameters) == 0 }
}

/// Closes every descriptor but the first three: what whoever started this program forgot to close.
///
/// To be called first of all, before anything that has a descriptor was made.
pub fn close_inherited() {
    // SAFETY: by the time of the call nothing in this process owns a descriptor that this closes. Kernels older than the
    // call refuse it, and change nothing.
    let _ = unsafe { libc::syscall(libc::SYS_close_range, 3_u32, u32::MAX, 0_u32) };
}

/// Descriptor 3, which a service manager hands over.
///
/// To be called once, before anything that has a descriptor was made, and only if the service manager says that it did.
///
/// # Errors
/// If there is no such descriptor.
pub fn handed_over() -> io::Result<OwnedFd> {
    // SAFETY: it is only looked at, for as long as this line takes.
    let there = unsafe { BorrowedFd::borrow_raw(3) };
    rustix::io::fcntl_setfd(there, rustix::io::FdFlags::CLOEXEC)?;
    // SAFETY: it is open, as the line before shows, and nobody in this process owns it: it was there before `main`.
    Ok(unsafe { OwnedFd::from_raw_fd(3) })
}

/// Takes away from the calling thread what it may have inherited from an audio thread.
fn schedule_normally() {
    let parameters = libc::sched_param { sched_priority: 0 };
    // SAFETY: as above.
    let _ = unsafe { libc::sched_setscheduler(0, libc::SCHED_OTHER, &raw const parameters) };
}

/// Wakes the I/O side: one non-blocking write, the only system call of the audio thread besides the device.
#[derive(Clone, Debug)]
pub struct Bell(Arc<File>);

impl Bell {
    /// A bell that nobody has rung.
    ///
    /// # Errors
    /// If the system has no more descriptors.
    pub fn new() -> io::Result<Self> {
        let fd = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self(Arc::new(File::from(fd))))
    }

    /// Rings it.
    pub fn ring(&self) {
        // Fails only when the counter is full, and then the bell is ringing already.
        let _ = (&*self.0).write(&1_u64.to_ne_bytes());
    }

    /// Silences it; false if nobody had rung.
    #[must_use]
    pub fn silence(&self) -> bool {
        rustix::io::read(&*self.0, &mut [0; 8]).is_ok()
    }

    /// An ear for it, on the runtime of this thread.
    ///
    /// # Errors
    /// What the system says.
    pub fn ear(&self) -> io::Result<Ear> {
        // SAFETY: the descriptor is in an `Arc<File>` that nobody closes or replaces while this clone lives,
        // and the clone lives inside the `AsyncFd`.
        let fd = unsafe { AsyncFd::register_with_interest(self.clone(), Interest::READABLE) };
        Ok(Ear(fd.map_err(io::Error::from)?))
    }
}

impl AsRawFd for Bell {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// A descriptor that something can be read from now and then, on the runtime of this thread.
///
/// # Errors
/// What the system says.
pub fn readable(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: the descriptor is owned, and nobody can close or replace it while it lives inside the `AsyncFd`.
    let fd = unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) };
    fd.map_err(io::Error::from)
}

/// Hears a bell.
#[derive(Debug)]
pub struct Ear(AsyncFd<Bell>);

impl Ear {
    /// Waits until the bell rings, and silences it: what rings afterwards is heard by the next call.
    ///
    /// # Errors
    /// What the system says.
    pub async fn hear(&self) -> io::Result<()> {
        loop {
            let mut ready = self.0.readable().await?;
            if ready.get_inner().silence() {
                return Ok(());
            }
            ready.clear_ready();
        }
    }
}

/// How a thread is told to stop, at work or asleep.
#[derive(Debug)]
pub struct Stop {
    flag: AtomicBool,
    bell: Bell,
}

/// Why [`Stop::wait`] ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Woken {
    /// The thread is to stop.
    Stop,
    /// Something can be read from the descriptor.
    News,
    /// The time is over.
    Due,
}

impl Stop {
    fn new() -> io::Result<Self> {
        Ok(Self { flag: AtomicBool::new(false), bell: Bell::new()? })
    }

    /// Whether the thread is to stop.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.flag.load(Ordering::Acquire)
    }

    fn set(&self) {
        self.flag.store(true, Ordering::Release);
        self.bell.ring();
    }

    /// Sleeps for so long, or until there is something to read, or the thread is to stop.
    #[must_use]
    pub fn wait(&self, time: Span, other: Option<BorrowedFd<'_>>) -> Woken {
        // An eventfd that was rung stays readable: nobody silences this one.
        let ring = PollFd::from_borrowed_fd(self.bell.0.as_fd(), PollFlags::IN);
        let mut fds = [ring.clone(), other.map_or(ring, |fd| PollFd::from_borrowed_fd(fd, PollFlags::IN))];
        let count = 1 + usize::from(other.is_some());
        let micros = time.as_micros();
        let timeout = Timespec { tv_sec: (micros / 1_000_000) as i64, tv_nsec: (micros % 1_000_000 * 1_000) as i64 };
        // Interrupted is as good as over: whoever waits looks at the time.
        let _ = poll(&mut fds[..count], Some(&timeout));
        match &fds[..count] {
            _ if self.is_set() => Woken::Stop,
            [_, news] if news.revents().contains(PollFlags::IN) => Woken::News,
            _ => Woken::Due,
        }
    }
}

/// A thread that turns a crank until it is told to stop; told and waited for when this is dropped.
#[derive(Debug)]
pub struct AudioThread {
    stop: Arc<Stop>,
    handle: Option<JoinHandle<()>>,
}

impl AudioThread {
    /// Starts a direction's thread, which does `work` with real-time priority, if granted, until it is told to stop.
    ///
    /// # Errors
    /// If the system has no more threads or descriptors.
    pub fn spawn(direction: Direction, work: impl FnOnce(&Stop) + Send + 'static) -> io::Result<Self> {
        let name = match direction {
            Direction::Capture => "capture",
            Direction::Playback => "playback",
        };
        Self::background(name, move |stop| {
            schedule_fifo(direction);
            work(stop);
        })
    }

    /// The same without that priority: for what is about devices and may take its time.
    ///
    /// # Errors
    /// If the system has no more threads or descriptors.
    pub fn background(name: &str, work: impl FnOnce(&Stop) + Send + 'static) -> io::Result<Self> {
        let stop = Arc::new(Stop::new()?);
        let told = Arc::clone(&stop);
        let builder = Builder::new().name(name.to_owned()).stack_size(512 * 1024);
        let handle = builder.spawn(move || {
            schedule_normally();
            work(&told);
        })?;
        Ok(Self { stop, handle: Some(handle) })
    }
}

impl Drop for AudioThread {
    fn drop(&mut self) {
        self.stop.set();
        let Some(handle) = self.handle.take() else { return };
        if handle.join().is_err() {
            tracing::error!("an audio thread panicked");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bell_rings_until_it_is_silenced() {
        let bell = Bell::new().unwrap();
        assert!(!bell.silence());
        bell.ring();
        bell.ring();
        assert!(bell.silence());
        assert!(!bell.silence());
    }

    #[test]
    fn an_audio_thread_stops_when_it_is_dropped() {
        let turns = Arc::new(std::sync::atomic::AtomicU32::new(0));
        let seen = Arc::clone(&turns);
        let thread = AudioThread::spawn(Direction::Capture, move |stop| {
            while !stop.is_set() {
                seen.fetch_add(1, Ordering::Relaxed);
                std::thread::yield_now();
            }
        });
        drop(thread.unwrap());
        let after = turns.load(Ordering::Relaxed);
        assert_eq!(turns.load(Ordering::Relaxed), after);
        assert_eq!(Arc::strong_count(&turns), 1, "the thread is gone");
    }

    #[test]
    fn a_thread_that_sleeps_is_woken_by_news_and_by_the_end() {
        let (news, woken) = (Bell::new().unwrap(), std::sync::mpsc::channel());
        let heard = news.clone();
        let thread = AudioThread::spawn(Direction::Capture, move |stop| {
            loop {
                let why = stop.wait(Span::from_millis(60_000), Some(heard.0.as_fd()));
                woken.0.send(why).unwrap();
                if why == Woken::Stop || !heard.silence() {
                    return;
                }
            }
        });
        news.ring();
        assert_eq!(woken.1.recv(), Ok(Woken::News));
        drop(thread.unwrap());
        assert_eq!(woken.1.recv(), Ok(Woken::Stop));
        assert_eq!(Stop::new().unwrap().wait(Span::from_millis(1), None), Woken::Due);
    }

    #[test]
    fn the_clock_goes_forward() {
        let first = now();
        assert!(now() >= first && first > Instant::ZERO);
    }
}
