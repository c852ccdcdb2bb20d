//! The newest value, with more writes than there are copies.

use crate::{RACE, fails, holds};
use loom::thread;
use soundpost_core::latest::Latest;
use soundpost_core::sync::model::Weakness;

/// Writes 1 to `WRITES` here, reads three times there: whole values only, never an older one, the last one at last.
fn newest<const WRITES: u32>() {
    let (mut publisher, mut reader) = Box::leak(Box::new(Latest::new([0_u32; 2]))).split();
    let looks = thread::spawn(move || {
        let mut before = 0;
        for _ in 0..3 {
            let [first, second] = reader.read();
            assert!(first == second && first >= before, "{first} and {second} after {before}");
            before = first;
        }
        reader
    });
    (1..=WRITES).for_each(|value| publisher.publish([value; 2]));
    let mut reader = looks.join().unwrap();
    assert_eq!(reader.read(), [WRITES; 2]);
}

#[test]
fn latest_reads_are_whole_and_never_go_back() {
    holds(None, newest::<5>);
}

#[test]
#[cfg(not(sectioned))]
fn latest_negative_weak_swaps_are_found() {
    for weakness in [Weakness::NoRelease, Weakness::NoAcquire, Weakness::Relaxed] {
        fails(weakness, RACE, newest::<4>);
    }
}

#[test]
#[cfg(sectioned)]
fn latest_negative_swaps_that_are_not_guarded_are_found() {
    fails(Weakness::Unguarded, RACE, newest::<4>);
}
