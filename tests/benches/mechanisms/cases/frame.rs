//! The whole way of a packet from the thread that makes it to the one that sends it.

use super::ring::{Put, Take, locked_deque, put_in};
use super::{Case, Group, PLACES, Packet, RING, SLOTS, alone, patiently, together};
use crossbeam_queue::ArrayQueue;
use heapless::pool::{arc::ArcBlock, boxed::BoxBlock, object::ObjectBlock};
use heapless::{arc_pool, box_pool, mpmc, object_pool, spsc};
use soundpost_core::pool::Pool;
use std::hint::black_box;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, Once};
use std::time::Duration;

pub(crate) const GROUPS: &[Group] = &[
    Group {
        title: "frame: hand over",
        what: "A slot is claimed, 160 bytes written, the slot shared and put into a ring, taken out, read, let go.",
        threads: 1,
        cases: &[
            Case { name: "soundpost `Pool`, heapless `spsc`", run: ours::<InTurn> },
            Case { name: "heapless `Arc` pool, `spsc`", run: arcs::<InTurn> },
            Case { name: "heapless `Box` pool, `spsc` (one reader)", run: boxes::<InTurn> },
            Case { name: "heapless object pool, `spsc` (one reader)", run: objects::<InTurn> },
            Case { name: "heapless `mpmc` of boxes, `mpmc` (one reader)", run: mpmc_boxes::<InTurn> },
            Case { name: "`ArrayQueue` of boxes, `ArrayQueue` (one reader)", run: queue_boxes::<InTurn> },
            Case { name: "`Mutex<Vec<Box>>`, `Mutex<VecDeque>` (one reader)", run: locked_boxes::<InTurn> },
            Case { name: "`Arc::new`, `sync_channel` (allocates)", run: allocated::<InTurn> },
        ],
    },
    Group {
        title: "frame: hand over, two threads",
        what: "The same, the first half on one thread and the second on another, each as fast as it can. Nobody \
               sleeps, both look again and again.",
        threads: 2,
        cases: &[
            Case { name: "soundpost `Pool`, heapless `spsc`", run: ours::<Across> },
            Case { name: "heapless `Arc` pool, `spsc`", run: arcs::<Across> },
            Case { name: "heapless `Box` pool, `spsc` (one reader)", run: boxes::<Across> },
            Case { name: "heapless object pool, `spsc` (one reader)", run: objects::<Across> },
            Case { name: "heapless `mpmc` of boxes, `mpmc` (one reader)", run: mpmc_boxes::<Across> },
            Case { name: "`ArrayQueue` of boxes, `ArrayQueue` (one reader)", run: queue_boxes::<Across> },
            Case { name: "`Mutex<Vec<Box>>`, `Mutex<VecDeque>` (one reader)", run: locked_boxes::<Across> },
            Case { name: "`Arc::new`, `sync_channel` (allocates)", run: allocated::<Across> },
        ],
    },
];

/// Who does the two halves.
trait Way {
    /// Makes packets and puts them into the ring, takes them out and reads them.
    fn go<H: Send>(
        times: u64,
        make: impl FnMut(&Packet) -> Option<H> + Send,
        ring: (impl Put<H>, impl Take<H>),
        read: impl FnMut(H, &mut Packet) + Send,
    ) -> Duration;
}

/// One thread does both, in turn.
struct InTurn;

/// One thread each.
struct Across;

impl Way for InTurn {
    fn go<H: Send>(
        times: u64,
        mut make: impl FnMut(&Packet) -> Option<H> + Send,
        (mut put, mut take): (impl Put<H>, impl Take<H>),
        mut read: impl FnMut(H, &mut Packet) + Send,
    ) -> Duration {
        let (mut number, mut sum) = (0_u64, 0_u64);
        let took = alone(times, || {
            let handle = make(&packet(number)).expect("a free slot");
            assert!(put.put(handle).is_ok(), "an empty ring");
            sum += number_of(|out| read(take.take().expect("what was put in"), out));
            number += 1;
        });
        assert_eq!(sum, sum_to(times));
        took
    }
}

impl Way for Across {
    fn go<H: Send>(
        times: u64,
        mut make: impl FnMut(&Packet) -> Option<H> + Send,
        (mut put, mut take): (impl Put<H>, impl Take<H>),
        mut read: impl FnMut(H, &mut Packet) + Send,
    ) -> Duration {
        let mut sum = 0_u64;
        let took = together(
            || (0..times).for_each(|number| put_in(&mut put, patiently(|| make(&packet(number))))),
            || {
                for _ in 0..times {
                    let handle = patiently(|| take.take());
                    sum += number_of(|out| read(handle, out));
                }
            },
        );
        assert_eq!(sum, sum_to(times));
        took
    }
}

/// The packet with this number: it begins with it.
fn packet(number: u64) -> Packet {
    let mut packet = [0x55; 160];
    packet[..8].copy_from_slice(&number.to_le_bytes());
    black_box(packet)
}

/// Reads a packet, all of it, and tells its number.
fn number_of(read: impl FnOnce(&mut Packet)) -> u64 {
    let mut out = [0; 160];
    read(&mut out);
    let (number, _) = black_box(&out).split_first_chunk().expect("160 bytes");
    u64::from_le_bytes(*number)
}

/// What the numbers of so many packets add up to.
fn sum_to(times: u64) -> u64 {
    (0..times).sum()
}

object_pool!(Objects: Packet);
box_pool!(Boxes: Packet);
arc_pool!(Arcs: Packet);

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

fn ours<W: Way>(times: u64) -> Duration {
    let pool: Pool<Packet, SLOTS> = Pool::new([0; 160]);
    let mut ring = spsc::Queue::<_, RING>::new();
    let make = |packet: &Packet| {
        let mut slot = pool.claim().ok()?;
        slot.with_mut(|room| room.copy_from_slice(packet));
        Some(slot.share())
    };
    let took = W::go(times, make, ring.split(), |slot, out| slot.with(|packet| out.copy_from_slice(packet)));
    assert_eq!(pool.stats().in_use, 0);
    took
}

fn arcs<W: Way>(times: u64) -> Duration {
    stock();
    let mut ring = spsc::Queue::<_, RING>::new();
    W::go(times, |packet| Arcs.alloc(*packet).ok(), ring.split(), |slot, out| out.copy_from_slice(&*slot))
}

fn boxes<W: Way>(times: u64) -> Duration {
    stock();
    let mut ring = spsc::Queue::<_, RING>::new();
    W::go(times, |packet| Boxes.alloc(*packet).ok(), ring.split(), |slot, out| out.copy_from_slice(&*slot))
}

fn objects<W: Way>(times: u64) -> Duration {
    stock();
    let mut ring = spsc::Queue::<_, RING>::new();
    let make = |packet: &Packet| {
        let mut slot = Objects.request()?;
        slot.copy_from_slice(packet);
        Some(slot)
    };
    W::go(times, make, ring.split(), |slot, out| out.copy_from_slice(&*slot))
}

#[expect(deprecated, reason = "it is what many programs took, and heapless names no successor")]
fn mpmc_boxes<W: Way>(times: u64) -> Duration {
    let free: mpmc::Queue<Box<Packet>, SLOTS> = mpmc::Queue::new();
    (0..SLOTS).for_each(|_| free.enqueue(Box::new([0; 160])).expect("room for all"));
    let ring: mpmc::Queue<Box<Packet>, PLACES> = mpmc::Queue::new();
    let make = |packet: &Packet| filled(free.dequeue()?, packet);
    let took = W::go(times, make, (&ring, &ring), |slot, out| {
        out.copy_from_slice(&*slot);
        put_in(&mut &free, slot);
    });
    assert_eq!(std::iter::from_fn(|| free.dequeue()).count(), SLOTS);
    took
}

fn queue_boxes<W: Way>(times: u64) -> Duration {
    let free = ArrayQueue::new(SLOTS);
    (0..SLOTS).for_each(|_| free.push(Box::new([0; 160])).expect("room for all"));
    let ring = ArrayQueue::new(PLACES);
    let make = |packet: &Packet| filled(free.pop()?, packet);
    let took = W::go(times, make, (&ring, &ring), |slot, out| {
        out.copy_from_slice(&*slot);
        put_in(&mut &free, slot);
    });
    assert_eq!(free.len(), SLOTS);
    took
}

fn locked_boxes<W: Way>(times: u64) -> Duration {
    let free = Mutex::new(vec![Box::new([0; 160]); SLOTS]);
    let ring = locked_deque();
    let make = |packet: &Packet| filled(free.lock().expect("nobody panicked").pop()?, packet);
    let took = W::go(times, make, (&ring, &ring), |slot: Box<Packet>, out| {
        out.copy_from_slice(&*slot);
        free.lock().expect("nobody panicked").push(slot);
    });
    assert_eq!(free.into_inner().expect("nobody panicked").len(), SLOTS);
    took
}

fn allocated<W: Way>(times: u64) -> Duration {
    W::go(times, |packet| Some(Arc::new(*packet)), sync_channel(PLACES), |slot, out| out.copy_from_slice(&*slot))
}

/// Writes a preallocated box.
fn filled(mut slot: Box<Packet>, packet: &Packet) -> Option<Box<Packet>> {
    slot.copy_from_slice(packet);
    Some(slot)
}
