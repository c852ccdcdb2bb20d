//! A notice with two writers and a reader.

use crate::{RACE, fails, holds};
use loom::thread;
use soundpost_core::notice::Notice;
use soundpost_core::sync::model::Weakness;

fn two_writers() {
    loom::lazy_static! {
        static ref NOTICE: Notice<[u32; 2]> = Notice::new([0; 2]);
    }
    let notice: &'static Notice<[u32; 2]> = &NOTICE;
    let others = [1, 2].map(|value| thread::spawn(move || notice.post([value; 2])));
    for _ in 0..2 {
        let [first, second] = notice.read();
        assert_eq!(first, second);
    }
    others.into_iter().for_each(|other| other.join().unwrap());
    assert_ne!(notice.read(), [0; 2]);
}

#[test]
fn notice_is_read_whole_whoever_writes() {
    holds(Some(3), two_writers);
}

#[test]
fn notice_negative_without_its_section_a_race_is_found() {
    fails(Weakness::Unguarded, RACE, two_writers);
}
