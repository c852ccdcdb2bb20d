//! The jobs, and for each of them the contestants. Ours is the first.
//!
//! A case sets up, does its job so many times under the clock, and then checks that it did what it says: a pool is
//! whole again, what was read adds up. So a figure is never of something that does nothing.

mod actuators;
mod case;
mod frame;
mod latest;
mod playout;
mod pool;
mod ring;
mod wire;

pub(crate) use case::{Case, Group};

use case::alone;
use soundpost_core::capacity::{HANDOVER_RING, HANDOVER_RING_LEN};
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

/// What is carried: a packet of 20 ms at 64 kbit/s.
type Packet = [u8; 160];

/// Packets that each pool has. (A power of two, because heapless' mpmc queue asks for one.)
const SLOTS: usize = 16;

/// Places in each ring, as many as the daemon's have.
const PLACES: usize = HANDOVER_RING;

/// The same for heapless' single-producer ring, which keeps one empty.
const RING: usize = HANDOVER_RING_LEN;

/// All of them.
pub(crate) fn groups() -> Vec<Group> {
    [pool::GROUPS, ring::GROUPS, frame::GROUPS, latest::GROUPS, wire::GROUPS, actuators::GROUPS, playout::GROUPS]
        .concat()
}

/// How many threads do a job at once.
trait On {
    const THREADS: u64;
    /// Does the job so many times on each.
    fn run(times: u64, job: impl Fn() + Sync) -> Duration;
}

/// One thread.
struct Alone;

/// Two threads.
struct Twice;

impl On for Alone {
    const THREADS: u64 = 1;
    fn run(times: u64, job: impl Fn() + Sync) -> Duration {
        alone(times, job)
    }
}

impl On for Twice {
    const THREADS: u64 = 2;
    fn run(times: u64, job: impl Fn() + Sync) -> Duration {
        let all = || (0..times).for_each(|_| job());
        together(all, all)
    }
}

/// Times two threads, from when both are there until both are through.
fn together(left: impl FnOnce() + Send, right: impl FnOnce() + Send) -> Duration {
    let gate = Barrier::new(2);
    let (here, there) = thread::scope(|scope| {
        let other = scope.spawn(|| timed(&gate, right));
        let here = timed(&gate, left);
        (here, other.join().expect("the other thread's checks hold"))
    });
    here.1.max(there.1).duration_since(here.0.min(there.0))
}

/// Waits for the other thread, then does the job; returns when it began and when it ended.
fn timed(gate: &Barrier, job: impl FnOnce()) -> (Instant, Instant) {
    gate.wait();
    let start = Instant::now();
    job();
    (start, Instant::now())
}

/// Tries until it works. Gives the processor away now and then: the other thread may be waiting for it.
fn patiently<T>(mut attempt: impl FnMut() -> Option<T>) -> T {
    let mut tries = 0_u32;
    loop {
        if let Some(done) = attempt() {
            return done;
        }
        tries = tries.wrapping_add(1);
        if tries.is_multiple_of(64) { thread::yield_now() } else { std::hint::spin_loop() }
    }
}
