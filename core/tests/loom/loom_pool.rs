//! Slots that are claimed, written, shared, copied and let go on several threads.

use crate::{RACE, fails, holds};
use loom::thread;
use soundpost_core::pool::{Owned, Pool};
use soundpost_core::sync::model::Weakness;

type Slots<const N: usize> = Pool<u32, N>;

fn mark<const N: usize>(mut owned: Owned<'static, u32, N>, value: u32) -> Owned<'static, u32, N> {
    owned.with_mut(|slot| *slot = value);
    owned
}

/// Two threads, one slot, two claims each: whoever has the slot reads what it wrote.
fn one_slot_two_claimants() {
    loom::lazy_static! {
        static ref POOL: Slots<1> = Pool::new(0);
    }
    let pool: &'static Slots<1> = &POOL;
    let work = move |id: u32| {
        for round in 0..2 {
            let Ok(owned) = pool.claim() else { continue };
            let value = id << 4 | round;
            let mut owned = mark(owned, value);
            owned.with_mut(|slot| assert_eq!(*slot, value));
        }
    };
    let other = thread::spawn(move || work(1));
    work(2);
    other.join().unwrap();
    let stats = pool.stats();
    assert_eq!((stats.in_use, stats.high_water, stats.hits + stats.misses), (0, 1, 4));
}

/// Three claims of two slots at once: never the same slot twice, and at most one miss.
fn two_slots_three_claimants() {
    loom::lazy_static! {
        static ref POOL: Slots<2> = Pool::new(0);
    }
    let pool: &'static Slots<2> = &POOL;
    let work = move |id: u32| {
        let Ok(owned) = pool.claim() else { return };
        mark(owned, id).with_mut(|slot| assert_eq!(*slot, id));
    };
    let others = [1, 2].map(|id| thread::spawn(move || work(id)));
    work(3);
    others.into_iter().for_each(|other| other.join().unwrap());
    assert!(pool.stats().in_use == 0 && pool.stats().misses <= 1);
}

/// A shared slot has a holder on each of two threads. The last to let go returns it, and then it is written again.
fn shared_slot_two_holders() {
    loom::lazy_static! {
        static ref POOL: Slots<1> = Pool::new(0);
    }
    let pool: &'static Slots<1> = &POOL;
    let shared = mark(pool.claim().unwrap(), 7).share();
    let copy = shared.clone();
    let other = thread::spawn(move || {
        let again = copy.clone();
        drop(copy);
        assert_eq!(again.with(|slot| *slot), 7);
        drop(again);
        if let Ok(owned) = pool.claim() {
            drop(mark(owned, 8).share());
        }
    });
    assert_eq!(shared.with(|slot| *slot), 7);
    drop(shared);
    if let Ok(owned) = pool.claim() {
        mark(owned, 9).with_mut(|slot| assert_eq!(*slot, 9));
    }
    other.join().unwrap();
    assert_eq!(pool.stats().in_use, 0, "a slot was lost");
}

#[test]
fn pool_one_slot_has_one_owner_at_a_time() {
    holds(None, one_slot_two_claimants);
}

#[test]
fn pool_three_claimants_share_two_slots() {
    holds(Some(3), two_slots_three_claimants);
}

#[test]
fn pool_the_last_of_two_holders_returns_the_slot() {
    holds(Some(4), shared_slot_two_holders);
}

#[test]
#[cfg(not(sectioned))]
fn pool_negative_weak_claims_and_returns_are_found() {
    for weakness in [Weakness::NoRelease, Weakness::NoAcquire, Weakness::Relaxed] {
        fails(weakness, RACE, one_slot_two_claimants);
    }
}

#[test]
#[cfg(not(sectioned))]
fn pool_negative_weak_counts_of_holders_are_found() {
    for weakness in [Weakness::NoRelease, Weakness::NoAcquire, Weakness::Relaxed] {
        fails(weakness, RACE, shared_slot_two_holders);
    }
}

#[test]
#[cfg(sectioned)]
fn pool_negative_words_that_are_not_guarded_are_found() {
    fails(Weakness::Unguarded, RACE, one_slot_two_claimants);
    // Both take the count from 2 to 1, and nobody returns the slot.
    fails(Weakness::Unguarded, "a slot was lost", shared_slot_two_holders);
}
