//! Jobs of a pool: lend and take back, share, count holders.

use super::{Alone, Case, Group, On, Packet, SLOTS, Twice, alone, patiently};
use crossbeam_queue::ArrayQueue;
use heapless::pool::{arc::ArcBlock, boxed::BoxBlock, object::ObjectBlock};
use heapless::{arc_pool, box_pool, mpmc, object_pool};
use soundpost_core::pool::Pool;
use std::hint::black_box;
use std::mem::MaybeUninit;
use std::sync::{Arc, Mutex, Once};
use std::time::Duration;

pub(crate) const GROUPS: &[Group] = &[
    Group {
        title: "pool: claim and return",
        what: "A slot of 160 bytes is claimed and let go, nothing written.",
        threads: 1,
        cases: &[
            Case { name: "soundpost `Pool`", run: ours::<Alone> },
            Case { name: "heapless object pool", run: objects::<Alone> },
            Case { name: "heapless `Box` pool", run: boxes::<Alone> },
            Case { name: "heapless `mpmc` of boxes", run: mpmc_boxes::<Alone> },
            Case { name: "crossbeam `ArrayQueue` of boxes", run: queue_boxes::<Alone> },
            Case { name: "`Mutex<Vec<Box>>`", run: locked_boxes::<Alone> },
            Case { name: "`Box::new_uninit` (allocates)", run: allocated::<Alone> },
        ],
    },
    Group {
        title: "pool: claim and return, two threads",
        what: "The same on two threads at once, both at the same pool; a time is of one claim by each.",
        threads: 2,
        cases: &[
            Case { name: "soundpost `Pool`", run: ours::<Twice> },
            Case { name: "heapless object pool", run: objects::<Twice> },
            Case { name: "heapless `Box` pool", run: boxes::<Twice> },
            Case { name: "heapless `mpmc` of boxes", run: mpmc_boxes::<Twice> },
            Case { name: "crossbeam `ArrayQueue` of boxes", run: queue_boxes::<Twice> },
            Case { name: "`Mutex<Vec<Box>>`", run: locked_boxes::<Twice> },
            Case { name: "`Box::new_uninit` (allocates)", run: allocated::<Twice> },
        ],
    },
    Group {
        title: "pool: claim, share, clone, drop both",
        what: "A slot is claimed, shared, held twice, and comes back when the second holder drops it.",
        threads: 1,
        cases: &[
            Case { name: "soundpost `Pool`", run: shared_ours },
            Case { name: "heapless `Arc` pool", run: shared_arc_pool },
            Case { name: "`ArrayQueue` of `Arc`s, put back by hand", run: shared_queue },
            Case { name: "`Arc::new_uninit` (allocates)", run: shared_allocated },
        ],
    },
    Group {
        title: "pool: clone and drop a handle",
        what: "One more holder of a shared slot, and one fewer.",
        threads: 1,
        cases: &[
            Case { name: "soundpost `Shared`", run: clone_ours::<Alone> },
            Case { name: "heapless `Arc` pool", run: clone_arc_pool::<Alone> },
            Case { name: "`std::sync::Arc`", run: clone_arc::<Alone> },
        ],
    },
    Group {
        title: "pool: clone and drop a handle, two threads",
        what: "The same on two threads at once, both at the same slot.",
        threads: 2,
        cases: &[
            Case { name: "soundpost `Shared`", run: clone_ours::<Twice> },
            Case { name: "heapless `Arc` pool", run: clone_arc_pool::<Twice> },
            Case { name: "`std::sync::Arc`", run: clone_arc::<Twice> },
        ],
    },
];

/// What a pool lends where nothing is to be written: room for a packet.
type Room = MaybeUninit<Packet>;

const ROOM: Room = MaybeUninit::uninit();

object_pool!(Objects: Packet);
box_pool!(Boxes: Room);
arc_pool!(Arcs: Room);

/// Gives the heapless pools, which live for ever, their blocks.
fn stock() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        for _ in 0..SLOTS {
            Objects.manage(Box::leak(Box::new(ObjectBlock::new([0; 160]))));
            Boxes.manage(Box::leak(Box::new(BoxBlock::new())));
            Arcs.manage(Box::leak(Box::new(ArcBlock::new())));
        }
    });
}

fn ours<O: On>(times: u64) -> Duration {
    let pool: Pool<Packet, SLOTS> = Pool::new([0; 160]);
    let took = O::run(times, || drop(black_box(pool.claim().expect("a free slot"))));
    let stats = pool.stats();
    assert_eq!((stats.in_use, u64::from(stats.hits), stats.misses), (0, times * O::THREADS, 0));
    took
}

fn objects<O: On>(times: u64) -> Duration {
    stock();
    let took = O::run(times, || drop(black_box(Objects.request().expect("a free object"))));
    let all: Vec<_> = std::iter::from_fn(|| Objects.request()).collect();
    assert_eq!(all.len(), SLOTS);
    took
}

fn boxes<O: On>(times: u64) -> Duration {
    stock();
    let took = O::run(times, || drop(black_box(Boxes.alloc(ROOM).expect("a free block"))));
    let all: Vec<_> = std::iter::from_fn(|| Boxes.alloc(ROOM).ok()).collect();
    assert_eq!(all.len(), SLOTS);
    took
}

#[expect(deprecated, reason = "it is what many programs took, and heapless names no successor")]
fn mpmc_boxes<O: On>(times: u64) -> Duration {
    let free: mpmc::Queue<Box<Packet>, SLOTS> = mpmc::Queue::new();
    (0..SLOTS).for_each(|_| free.enqueue(Box::new([0; 160])).expect("room for all"));
    // It may say that it is empty, or full, while the other thread is half-way through.
    let took = O::run(times, || {
        let slot = black_box(patiently(|| free.dequeue()));
        put_back(slot, |slot| free.enqueue(slot));
    });
    assert_eq!(std::iter::from_fn(|| free.dequeue()).count(), SLOTS);
    took
}

fn queue_boxes<O: On>(times: u64) -> Duration {
    let free = ArrayQueue::new(SLOTS);
    (0..SLOTS).for_each(|_| free.push(Box::new([0_u8; 160])).expect("room for all"));
    let took = O::run(times, || {
        let slot = black_box(patiently(|| free.pop()));
        put_back(slot, |slot| free.push(slot));
    });
    assert_eq!(free.len(), SLOTS);
    took
}

fn locked_boxes<O: On>(times: u64) -> Duration {
    let free = Mutex::new(vec![Box::new([0_u8; 160]); SLOTS]);
    let took = O::run(times, || {
        let slot = black_box(free.lock().expect("nobody panicked").pop().expect("a free box"));
        free.lock().expect("nobody panicked").push(slot);
    });
    assert_eq!(free.into_inner().expect("nobody panicked").len(), SLOTS);
    took
}

fn allocated<O: On>(times: u64) -> Duration {
    O::run(times, || drop(black_box(Box::<Packet>::new_uninit())))
}

fn shared_ours(times: u64) -> Duration {
    let pool: Pool<Packet, SLOTS> = Pool::new([0; 160]);
    let took = alone(times, || {
        let first = black_box(pool.claim().expect("a free slot")).share();
        drop(black_box(first.clone()));
        drop(black_box(first));
    });
    assert_eq!(pool.stats().in_use, 0);
    took
}

fn shared_arc_pool(times: u64) -> Duration {
    stock();
    let took = alone(times, || {
        let first = black_box(Arcs.alloc(ROOM).expect("a free block"));
        drop(black_box(first.clone()));
        drop(black_box(first));
    });
    let all: Vec<_> = std::iter::from_fn(|| Arcs.alloc(ROOM).ok()).collect();
    assert_eq!(all.len(), SLOTS);
    took
}

fn shared_queue(times: u64) -> Duration {
    let free = ArrayQueue::new(SLOTS);
    (0..SLOTS).for_each(|_| free.push(Arc::new([0_u8; 160])).expect("room for all"));
    let took = alone(times, || {
        let first = black_box(free.pop().expect("a free slot"));
        drop(black_box(first.clone()));
        free.push(black_box(first)).expect("room for all");
    });
    assert_eq!(free.len(), SLOTS);
    took
}

fn shared_allocated(times: u64) -> Duration {
    alone(times, || {
        let first = black_box(Arc::<Packet>::new_uninit());
        drop(black_box(first.clone()));
        drop(black_box(first));
    })
}

fn clone_ours<O: On>(times: u64) -> Duration {
    let pool: Pool<Packet, SLOTS> = Pool::new([0; 160]);
    let first = pool.claim().expect("a free slot").share();
    let took = O::run(times, || drop(black_box(first.clone())));
    assert_eq!(pool.stats().in_use, 1, "the first holder still has it");
    drop(first);
    assert_eq!(pool.stats().in_use, 0);
    took
}

fn clone_arc_pool<O: On>(times: u64) -> Duration {
    stock();
    let first = Arcs.alloc(ROOM).expect("a free block");
    O::run(times, || drop(black_box(first.clone())))
}

fn clone_arc<O: On>(times: u64) -> Duration {
    let first = Arc::new([0_u8; 160]);
    let took = O::run(times, || drop(black_box(first.clone())));
    assert_eq!(Arc::strong_count(&first), 1);
    took
}

/// Puts a slot back, as often as it takes.
fn put_back<T>(slot: T, put: impl Fn(T) -> Result<(), T>) {
    let mut kept = Some(slot);
    patiently(|| {
        kept = put(kept.take()?).err();
        kept.is_none().then_some(())
    });
}
