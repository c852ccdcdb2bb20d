//! A pool's handle goes through a ring. The ring is heapless' single-producer one; the peers carry the same handle.

use super::{Case, Group, PLACES, Packet, RING, SLOTS, alone, patiently, together};
use crossbeam_queue::ArrayQueue;
use heapless::{mpmc, spsc};
use soundpost_core::pool::{Pool, Shared};
use std::collections::VecDeque;
use std::hint::black_box;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

pub(crate) const GROUPS: &[Group] = &[
    Group {
        title: "ring: in and out",
        what: "A handle is put into a ring of 8 and taken out again, on one thread.",
        threads: 1,
        cases: &[
            Case { name: "heapless `spsc`, as soundpost uses it", run: spsc_rings::<InAndOut> },
            Case { name: "heapless `mpmc`", run: mpmc_queues::<InAndOut> },
            Case { name: "crossbeam `ArrayQueue`", run: array_queues::<InAndOut> },
            Case { name: "`Mutex<VecDeque>`", run: locked_deques::<InAndOut> },
            Case { name: "`std::sync::mpsc::sync_channel`", run: channels::<InAndOut> },
        ],
    },
    Group {
        title: "ring: there and back, two threads",
        what: "Four handles circle between two threads, through one ring there and another one back; a time is of one \
               round of one handle. Nobody sleeps, both look again and again.",
        threads: 2,
        cases: &[
            Case { name: "heapless `spsc`, as soundpost uses it", run: spsc_rings::<Circle> },
            Case { name: "heapless `mpmc`", run: mpmc_queues::<Circle> },
            Case { name: "crossbeam `ArrayQueue`", run: array_queues::<Circle> },
            Case { name: "`Mutex<VecDeque>`", run: locked_deques::<Circle> },
            Case { name: "`std::sync::mpsc::sync_channel`", run: channels::<Circle> },
        ],
    },
];

/// The end of a ring where things go in.
pub(super) trait Put<T>: Send {
    /// Puts `item` in, or gives it back when the ring is full.
    fn put(&mut self, item: T) -> Result<(), T>;
}

/// The end of a ring where things come out.
pub(super) trait Take<T>: Send {
    /// What has been in longest, if anything.
    fn take(&mut self) -> Option<T>;
}

impl<T: Send> Put<T> for spsc::Producer<'_, T> {
    fn put(&mut self, item: T) -> Result<(), T> {
        self.enqueue(item)
    }
}

impl<T: Send> Take<T> for spsc::Consumer<'_, T> {
    fn take(&mut self) -> Option<T> {
        self.dequeue()
    }
}

impl<T: Send, const N: usize> Put<T> for &mpmc::Queue<T, N> {
    fn put(&mut self, item: T) -> Result<(), T> {
        self.enqueue(item)
    }
}

impl<T: Send, const N: usize> Take<T> for &mpmc::Queue<T, N> {
    fn take(&mut self) -> Option<T> {
        self.dequeue()
    }
}

impl<T: Send> Put<T> for &ArrayQueue<T> {
    fn put(&mut self, item: T) -> Result<(), T> {
        self.push(item)
    }
}

impl<T: Send> Take<T> for &ArrayQueue<T> {
    fn take(&mut self) -> Option<T> {
        self.pop()
    }
}

impl<T: Send> Put<T> for &Mutex<VecDeque<T>> {
    fn put(&mut self, item: T) -> Result<(), T> {
        let mut deque = self.lock().expect("nobody panicked");
        if deque.len() == PLACES {
            return Err(item);
        }
        deque.push_back(item);
        Ok(())
    }
}

impl<T: Send> Take<T> for &Mutex<VecDeque<T>> {
    fn take(&mut self) -> Option<T> {
        self.lock().expect("nobody panicked").pop_front()
    }
}

impl<T: Send> Put<T> for SyncSender<T> {
    fn put(&mut self, item: T) -> Result<(), T> {
        self.try_send(item).map_err(|error| match error {
            TrySendError::Full(item) | TrySendError::Disconnected(item) => item,
        })
    }
}

impl<T: Send> Take<T> for Receiver<T> {
    fn take(&mut self) -> Option<T> {
        self.try_recv().ok()
    }
}

/// A deque that never grows, behind a lock.
pub(super) fn locked_deque<T>() -> Mutex<VecDeque<T>> {
    Mutex::new(VecDeque::with_capacity(PLACES))
}

type Handle<'p> = Shared<'p, Packet, SLOTS>;

/// What is done with two rings.
trait Job {
    fn run<'p, P: Put<Handle<'p>>, T: Take<Handle<'p>>>(
        times: u64,
        pool: &'p Pool<Packet, SLOTS>,
        forth: (P, T),
        back: (P, T),
    ) -> Duration;
}

/// Into the first ring and out of it.
struct InAndOut;

impl Job for InAndOut {
    fn run<'p, P: Put<Handle<'p>>, T: Take<Handle<'p>>>(
        times: u64,
        pool: &'p Pool<Packet, SLOTS>,
        (mut put, mut take): (P, T),
        _back: (P, T),
    ) -> Duration {
        let mut handle = Some(pool.claim().expect("a free slot").share());
        let took = alone(times, || {
            let into = black_box(handle.take()).expect("what came out before");
            put.put(into).expect("an empty ring");
            handle = take.take();
        });
        assert!(handle.is_some(), "what went in came out");
        took
    }
}

/// Four handles, through the first ring to the other thread, and back through the second.
struct Circle;

impl Job for Circle {
    fn run<'p, P: Put<Handle<'p>>, T: Take<Handle<'p>>>(
        times: u64,
        pool: &'p Pool<Packet, SLOTS>,
        (mut put_forth, mut take_forth): (P, T),
        (mut put_back, mut take_back): (P, T),
    ) -> Duration {
        for _ in 0..4 {
            put_back.put(pool.claim().expect("a free slot").share()).expect("an empty ring");
        }
        let took = together(
            || (0..times).for_each(|_| pass_on(&mut take_back, &mut put_forth)),
            || (0..times).for_each(|_| pass_on(&mut take_forth, &mut put_back)),
        );
        assert_eq!(std::iter::from_fn(|| take_back.take()).count(), 4, "all are back");
        took
    }
}

/// Takes one out of a ring as soon as there is one, and puts it into the other.
fn pass_on<T>(from: &mut impl Take<T>, to: &mut impl Put<T>) {
    put_in(to, patiently(|| from.take()));
}

/// Puts `item` in as soon as there is room.
pub(super) fn put_in<T>(ring: &mut impl Put<T>, item: T) {
    let mut kept = Some(item);
    patiently(|| {
        kept = ring.put(kept.take()?).err();
        kept.is_none().then_some(())
    });
}

fn spsc_rings<J: Job>(times: u64) -> Duration {
    let pool = Pool::new([0; 160]);
    let (mut forth, mut back) = (spsc::Queue::<_, RING>::new(), spsc::Queue::<_, RING>::new());
    J::run(times, &pool, forth.split(), back.split())
}

#[expect(deprecated, reason = "it is what many programs took, and heapless names no successor")]
fn mpmc_queues<J: Job>(times: u64) -> Duration {
    let pool = Pool::new([0; 160]);
    let (forth, back) = (mpmc::Queue::<_, PLACES>::new(), mpmc::Queue::<_, PLACES>::new());
    J::run(times, &pool, (&forth, &forth), (&back, &back))
}

fn array_queues<J: Job>(times: u64) -> Duration {
    let pool = Pool::new([0; 160]);
    let (forth, back) = (ArrayQueue::new(PLACES), ArrayQueue::new(PLACES));
    J::run(times, &pool, (&forth, &forth), (&back, &back))
}

fn locked_deques<J: Job>(times: u64) -> Duration {
    let pool = Pool::new([0; 160]);
    let (forth, back) = (locked_deque(), locked_deque());
    J::run(times, &pool, (&forth, &forth), (&back, &back))
}

fn channels<J: Job>(times: u64) -> Duration {
    let pool = Pool::new([0; 160]);
    J::run(times, &pool, sync_channel(PLACES), sync_channel(PLACES))
}
