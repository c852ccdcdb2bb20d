//! Handles of slots that go from one thread to another through a ring.
//!
//! The ring of the system is heapless' `spsc::Queue`, whose atomics are not loom's: its own correctness is taken on
//! trust, and Miri runs it in the unit tests. Here stands a ring with the same two indices and the same orderings, to
//! show that an acquire and a release of them is all that the handles need, and that they do need it.

use crate::{RACE, fails, holds};
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;
use soundpost_core::pool::{Pool, Shared};
use soundpost_core::sync::model::Weakness;

const SLOTS: usize = 2;
const PACKETS: u32 = 3;
type Packet = Shared<'static, u32, SLOTS>;

/// Room for one packet: as with heapless, one place stays empty.
struct Ring {
    places: [UnsafeCell<Option<Packet>>; 2],
    head: AtomicUsize,
    tail: AtomicUsize,
    publish: Ordering,
    observe: Ordering,
}

// SAFETY: a place is the producer's until the tail passes it and the consumer's until the head does; whether that
// suffices is what the model finds out.
unsafe impl Sync for Ring {}
// SAFETY: it owns its packets, which may be sent.
unsafe impl Send for Ring {}

impl Ring {
    fn new(publish: Ordering, observe: Ordering) -> Self {
        let places = [UnsafeCell::new(None), UnsafeCell::new(None)];
        Self { places, head: AtomicUsize::new(0), tail: AtomicUsize::new(0), publish, observe }
    }

    fn enqueue(&self, packet: Packet) -> Result<(), Packet> {
        let tail = self.tail.load(Ordering::Relaxed);
        let next = (tail + 1) % 2;
        if next == self.head.load(self.observe) {
            return Err(packet);
        }
        // SAFETY: see `Sync`.
        self.places[tail].with_mut(|place| unsafe { *place = Some(packet) });
        self.tail.store(next, self.publish);
        Ok(())
    }

    fn dequeue(&self) -> Option<Packet> {
        let head = self.head.load(Ordering::Relaxed);
        if head == self.tail.load(self.observe) {
            return None;
        }
        // SAFETY: see `Sync`.
        let packet = self.places[head].with_mut(|place| unsafe { (*place).take() });
        self.head.store((head + 1) % 2, self.publish);
        packet
    }
}

/// One thread claims, writes, shares and hands over; the other reads and lets go. More packets than slots.
fn hand_over(publish: Ordering, observe: Ordering) {
    loom::lazy_static! {
        static ref POOL: Pool<u32, SLOTS> = Pool::new(0);
    }
    let pool: &'static Pool<u32, SLOTS> = &POOL;
    let ring = Arc::new(Ring::new(publish, observe));
    let out = Arc::clone(&ring);
    let reader = thread::spawn(move || {
        let mut before = 0;
        for _ in 0..PACKETS {
            let Some(packet) = out.dequeue() else {
                thread::yield_now();
                continue;
            };
            let copy = packet.clone();
            drop(packet);
            let value = copy.with(|value| *value);
            assert!(value > before, "{value} after {before}");
            before = value;
        }
    });
    for value in 1..=PACKETS {
        let Ok(mut owned) = pool.claim() else { continue };
        owned.with_mut(|slot| *slot = value);
        drop(ring.enqueue(owned.share()));
    }
    reader.join().unwrap();
    while ring.dequeue().is_some() {}
    assert_eq!(pool.stats().in_use, 0);
}

#[test]
fn ring_hands_over_what_was_written() {
    holds(Some(3), || hand_over(Ordering::Release, Ordering::Acquire));
}

#[test]
fn ring_negative_weak_indices_are_found() {
    fails(Weakness::None, RACE, || hand_over(Ordering::Relaxed, Ordering::Acquire));
    fails(Weakness::None, RACE, || hand_over(Ordering::Release, Ordering::Relaxed));
}

#[test]
#[cfg(not(sectioned))]
fn ring_negative_weak_words_of_the_pool_are_found() {
    fails(Weakness::Relaxed, RACE, || hand_over(Ordering::Release, Ordering::Acquire));
}
