//! Ring 1 on bare metal: slots and newest values shared with an interrupt, and bytes on the wire.

use crate::board::while_interrupted;
use core::array::from_fn;
use core::cell::RefCell;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use critical_section::Mutex;
use soundpost_core::config::{Channels, FrameLen};
use soundpost_core::latest::{Latest, Publisher};
use soundpost_core::pool::{Exhausted, Pool, PoolStats, Shared};
use soundpost_core::wire::{
    self, Additions, ErrorCode, Fault, Frame, HEADER_LEN, Header, Hello, Kind, Role, VERSION, Welcome, WireError,
};

pub(crate) fn a_pool_lends_every_slot_once_and_says_when_it_is_empty() {
    let pool: Pool<u8, 32> = Pool::new(0);
    let mut all: [_; 32] = from_fn(|_| pool.claim().ok());
    for (mark, slot) in (0_u8..).zip(all.iter_mut().flatten()) {
        slot.with_mut(|value| *value = mark);
    }
    for (mark, slot) in (0_u8..).zip(all.iter_mut().flatten()) {
        assert_eq!(slot.with_mut(|value| *value), mark);
    }
    assert_eq!(pool.claim().err(), Some(Exhausted));
    drop(all);
    assert_eq!(pool.stats(), PoolStats { in_use: 0, high_water: 32, hits: 32, misses: 1 });
    assert!(pool.claim().is_ok());
}

pub(crate) fn a_slot_comes_back_when_its_last_holder_lets_go() {
    let pool: Pool<u32, 2> = Pool::new(0);
    let mut owned = pool.claim().expect("a slot");
    owned.with_mut(|value| *value = 7);
    let first = owned.share();
    let second = first.clone();
    drop(first);
    assert_eq!(second.with(|value| *value), 7);
    assert_eq!(pool.stats().in_use, 1);
    drop(second);
    assert_eq!(pool.stats().in_use, 0);
}

/// How often a test is interrupted. The numbers of ticks between two interrupts share no factor with the length of a
/// round of the program, so that they come everywhere in it; a handler is done long before the next one.
const INTERRUPTS: u32 = 2_000;

static SHARED_POOL: Pool<[u32; 8], 3> = Pool::new([0; 8]);
/// Times that the interrupt came, and times that it got a slot. Only the interrupt writes them.
static TICKS: AtomicU32 = AtomicU32::new(0);
static SERVED: AtomicU32 = AtomicU32::new(0);

/// Uses a slot of [`SHARED_POOL`] for a whole life of one, leaving `mark` in it; says whether there was one.
fn use_slot(mark: u32) -> bool {
    let Ok(mut owned) = SHARED_POOL.claim() else {
        return false;
    };
    owned.with_mut(|slot| slot.fill(mark));
    assert_eq!(owned.with_mut(|slot| *slot), [mark; 8], "somebody else wrote");
    let shared = owned.share();
    let copies = [shared.clone(), shared.clone(), shared];
    for copy in copies {
        assert_eq!(copy.with(|slot| *slot), [mark; 8], "somebody else wrote");
    }
    true
}

fn count(counter: &AtomicU32) -> u32 {
    let next = counter.load(Relaxed).wrapping_add(1);
    counter.store(next, Relaxed);
    next
}

/// What the interrupt keeps from one time to the next, and the mark in it. A handler that left everything as it was
/// could not disturb the program, however badly slots were counted.
static KEPT: Mutex<RefCell<Option<Kept>>> = Mutex::new(RefCell::new(None));
type Kept = (Shared<'static, [u32; 8], 3>, u32);

/// Gives back what the interrupt keeps, or claims a slot for it to keep.
fn keep_or_give_back(mark: u32) {
    let kept = critical_section::with(|token| KEPT.borrow_ref_mut(token).take());
    if let Some((slot, mark)) = kept {
        assert_eq!(slot.with(|slot| *slot), [mark; 8], "somebody else wrote");
    } else if let Ok(mut slot) = SHARED_POOL.claim() {
        slot.with_mut(|slot| slot.fill(mark));
        count(&SERVED);
        critical_section::with(|token| KEPT.borrow_ref_mut(token).replace((slot.share(), mark)));
    }
}

pub(crate) fn an_interrupt_and_the_program_never_hold_the_same_slot() {
    let on_tick = || {
        let mark = count(&TICKS) | 1 << 31;
        keep_or_give_back(mark);
        if use_slot(mark) {
            count(&SERVED);
        }
    };
    let mut used = 0;
    while_interrupted(211, on_tick, || {
        while TICKS.load(Relaxed) < INTERRUPTS {
            used += u32::from(use_slot(used));
        }
    });
    let (ticks, served) = (TICKS.load(Relaxed), SERVED.load(Relaxed));
    assert_eq!(served, ticks + ticks.div_ceil(2), "there is a slot for each");
    if ticks % 2 == 1 {
        keep_or_give_back(0);
    }
    let stats = SHARED_POOL.stats();
    assert_eq!((stats.in_use, stats.hits, stats.misses), (0, used + served, 0));
    assert_eq!(stats.high_water, 3, "an interrupt came while the program held a slot");
}

type Value = [u32; 16];

static PUBLISHER: Mutex<RefCell<Option<Publisher<'static, Value>>>> = Mutex::new(RefCell::new(None));
static PUBLISHED: AtomicU32 = AtomicU32::new(0);

pub(crate) fn the_newest_value_of_an_interrupt_is_read_whole() {
    let cell = cortex_m::singleton!(: Latest<Value> = Latest::new([0; 16])).expect("it is asked for once");
    let (publisher, mut reader) = cell.split();
    critical_section::with(|token| PUBLISHER.borrow_ref_mut(token).replace(publisher));
    let on_tick = || {
        let next = count(&PUBLISHED);
        critical_section::with(|token| {
            if let Some(publisher) = &mut *PUBLISHER.borrow_ref_mut(token) {
                publisher.publish([next; 16]);
            }
        });
    };
    let (mut before, mut fresh) = (0, 0);
    while_interrupted(97, on_tick, || {
        while before < INTERRUPTS {
            let value = reader.read();
            assert!(value.iter().all(|part| *part == value[0]), "half a value");
            assert!(value[0] >= before, "{} after {before}", value[0]);
            fresh += u32::from(value[0] > before);
            before = value[0];
        }
    });
    assert_eq!(reader.read()[0], PUBLISHED.load(Relaxed), "the newest");
    assert!(fresh > INTERRUPTS / 2, "{fresh} values were seen");
}

pub(crate) fn every_kind_of_message_survives_the_wire_cut_anywhere() {
    for kind in Kind::ALL {
        let payload = [7_u8; 16];
        let payload = &payload[..kind.payload_bounds().0];
        let mut bytes = [0; HEADER_LEN + 16];
        let length = wire::emit(kind, payload, &mut bytes).expect("it fits");
        for cut in 0..length {
            let Err(WireError::Incomplete { needed }) = wire::parse(&bytes[..cut]) else {
                panic!("{cut} bytes are no whole message");
            };
            assert!(needed > cut && needed <= length);
        }
        let (header, read, rest) = wire::parse(&bytes).expect("a message");
        assert_eq!((header.kind, read), (kind, payload));
        assert_eq!(rest.len(), bytes.len() - length);
    }
    let mut frame = Frame::EMPTY;
    let header = Header::new(Kind::Packet, 3).expect("a length");
    frame.fill(header, &[1, 2, 3]).expect("it fits");
    assert_eq!(frame.payload(), [1, 2, 3]);
}

pub(crate) fn greetings_and_refusals_survive_the_wire() {
    let mut room = [0; 64];
    let additions = Additions { redundancy: true, notices: true };
    for role in Role::ALL {
        let hello = Hello { role, takeover: true, additions, name: "küche" };
        let length = hello.emit(&mut room).expect("it fits");
        assert_eq!(Hello::parse(&room[..length]), Ok(hello));
    }
    for frame in FrameLen::ALL {
        let welcome =
            Welcome { client: 0xdead_beef, channels: Channels::Stereo, frame, bitrate_bps: 96_000, additions };
        assert_eq!(Welcome::parse(&welcome.emit()), Ok(welcome));
    }
    for code in ErrorCode::ALL {
        let fault = Fault { code, text: "nö" };
        let length = fault.emit(&mut room);
        assert_eq!(Fault::parse(&room[..length]), Ok(fault));
    }
}

pub(crate) fn what_is_wrong_with_a_message_is_named() {
    assert_eq!(Header::parse(b"GET / HTTP/1.1\r\n"), Err(WireError::Magic(*b"GE")));
    let mut bytes = Header::new(Kind::Bye, 0).expect("a length").emit();
    bytes[2] = VERSION + 1;
    assert_eq!(Header::parse(&bytes), Err(WireError::Version(VERSION + 1)));
    bytes[2] = VERSION;
    bytes[3] = 99;
    assert_eq!(Header::parse(&bytes), Err(WireError::Kind(99)));
    assert_eq!(Hello::parse(&[9, 0, 0, 0]), Err(WireError::Field("role", 9)));
}
