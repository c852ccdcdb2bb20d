//! The newest value, from one writer to one reader.

use super::{Case, Group, alone, together};
use arc_swap::ArcSwap;
use crossbeam_utils::atomic::AtomicCell;
use soundpost_core::latest::Latest;
use std::hint::black_box;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;

pub(crate) const GROUPS: &[Group] = &[
    Group {
        title: "latest: publish and read",
        what: "A report of 96 bytes is published and read.",
        threads: 1,
        cases: &[
            Case { name: "soundpost `Latest`", run: ours::<InTurn> },
            Case { name: "crossbeam `AtomicCell`", run: cell::<InTurn> },
            Case { name: "`Mutex`", run: locked::<InTurn> },
            Case { name: "`ArcSwap` (allocates)", run: swapped::<InTurn> },
            Case { name: "tokio `watch`", run: watched::<InTurn> },
        ],
    },
    Group {
        title: "latest: read again",
        what: "The same report is read once more: there is no newer one.",
        threads: 1,
        cases: &[
            Case { name: "soundpost `Latest`", run: ours::<Again> },
            Case { name: "crossbeam `AtomicCell`", run: cell::<Again> },
            Case { name: "`Mutex`", run: locked::<Again> },
            Case { name: "`ArcSwap`", run: swapped::<Again> },
            Case { name: "tokio `watch`", run: watched::<Again> },
        ],
    },
    Group {
        title: "latest: publish and read, two threads",
        what: "One thread publishes as fast as it can while another reads as fast as it can, equally often; a time is \
               of one of each.",
        threads: 2,
        cases: &[
            Case { name: "soundpost `Latest`", run: ours::<Across> },
            Case { name: "crossbeam `AtomicCell`", run: cell::<Across> },
            Case { name: "`Mutex`", run: locked::<Across> },
            Case { name: "`ArcSwap` (allocates)", run: swapped::<Across> },
            Case { name: "tokio `watch`", run: watched::<Across> },
        ],
    },
];

/// About as large as what the capture thread publishes after each packet.
type Report = [u64; 12];

/// Who publishes and reads when.
trait When {
    fn go(times: u64, publish: impl FnMut(Report) + Send, read: impl FnMut() -> Report + Send) -> Duration;
}

/// One thread, in turn.
struct InTurn;

impl When for InTurn {
    fn go(times: u64, mut publish: impl FnMut(Report) + Send, mut read: impl FnMut() -> Report + Send) -> Duration {
        let mut number = 0;
        alone(times, || {
            number += 1;
            publish(black_box([number; 12]));
            assert_eq!(black_box(read())[0], number, "the newest value");
        })
    }
}

/// One thread that only reads.
struct Again;

impl When for Again {
    fn go(times: u64, mut publish: impl FnMut(Report) + Send, mut read: impl FnMut() -> Report + Send) -> Duration {
        publish([7; 12]);
        alone(times, || assert_eq!(black_box(read())[0], 7, "the newest value"))
    }
}

/// One thread each.
struct Across;

impl When for Across {
    fn go(times: u64, mut publish: impl FnMut(Report) + Send, mut read: impl FnMut() -> Report + Send) -> Duration {
        let took = together(
            || (1..=times).for_each(|number| publish(black_box([number; 12]))),
            || {
                let mut before = 0;
                for _ in 0..times {
                    let report = black_box(read());
                    assert!(report[0] == report[11] && report[0] >= before, "whole, and not older");
                    before = report[0];
                }
            },
        );
        assert_eq!(read(), [times; 12], "the newest value");
        took
    }
}

fn ours<W: When>(times: u64) -> Duration {
    let mut cell = Latest::new([0; 12]);
    let (mut publisher, mut reader) = cell.split();
    W::go(times, |report| publisher.publish(report), || reader.read())
}

fn cell<W: When>(times: u64) -> Duration {
    let cell = AtomicCell::new([0; 12]);
    W::go(times, |report| cell.store(report), || cell.load())
}

fn locked<W: When>(times: u64) -> Duration {
    let cell = Mutex::new([0; 12]);
    let write = |report| *cell.lock().expect("nobody panicked") = report;
    W::go(times, write, || *cell.lock().expect("nobody panicked"))
}

fn swapped<W: When>(times: u64) -> Duration {
    let cell = ArcSwap::from_pointee([0; 12]);
    W::go(times, |report| cell.store(Arc::new(report)), || **cell.load())
}

fn watched<W: When>(times: u64) -> Duration {
    let (sender, receiver) = watch::channel([0; 12]);
    let write = |report| {
        sender.send_replace(report);
    };
    W::go(times, write, || *receiver.borrow())
}
