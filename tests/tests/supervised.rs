//! The real supervisor over real processes, with patience scaled down: children that end, fail, hang and never get ready,
//! each until it is given up, and what follows then.

use soundpost_core::supervise::{Counts, Policy, State};
use soundpost_core::time::Span;
use soundpost_linux::ward::{News, Ward};
use soundpost_linux::worker::link;
use soundpost_linux::worker::process::Child;
use std::process::Command;
use std::time::Duration;

const fn ms(ms: u64) -> Span {
    Span::from_millis(ms)
}

const QUICK: Policy = Policy {
    ready_within: ms(400),
    beat_within: ms(400),
    grace: ms(100),
    kill_again: ms(100),
    first_wait: ms(2),
    longest_wait: ms(8),
    settle: ms(10_000),
    restarts: 3,
    window: ms(600_000),
};

const SOON: Duration = Duration::from_secs(60);

/// A child that does what a shell script says. What it writes to its standard input, it says.
fn ward(policy: Policy, script: &'static str) -> Ward {
    let start = move |_| {
        let (ours, theirs) = link::pair()?;
        let mut command = Command::new(if script.is_empty() { "/nonexistent" } else { "sh" });
        command.args(["-c", script]);
        Ok((Child::process(command, theirs)?, ours))
    };
    Ward::new("test", policy, 7, Box::new(start))
}

fn lives(pid: u32) -> bool {
    std::path::Path::new(&format!("/proc/{pid}")).exists()
}

/// Follows a ward until it waits for somebody; never are there two children.
async fn follow(ward: &mut Ward, until: impl Fn(State) -> bool) -> Counts {
    let books = ward.books();
    let mut room = [0; 64];
    let mut before = None;
    while !until(books.shown().state) {
        let news = tokio::time::timeout(SOON, ward.next(&mut room)).await.expect("something happens");
        match news {
            News::Began(_) => {
                assert!(before.is_none_or(|pid| !lives(pid)), "the one before is gone");
                before = books.shown().pid;
            }
            News::Message(length) => match &room[..length] {
                b"ready" => ward.ready(),
                _ => ward.beat(),
            },
            News::Ended(_) => {}
            News::Over => break,
        }
    }
    books.shown().counts
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

type Counter = fn(&Counts) -> u64;

const STEADY: &str = "printf ready >&0; while :; do printf beat >&0; sleep 0.02; done";

#[test]
fn whatever_a_child_does_it_is_given_up_after_the_same_number_of_restarts() {
    let all = u64::from(QUICK.restarts) + 1;
    let counted: [(&str, &'static str, Counter, u64); 7] = [
        ("leaves cleanly", "printf ready >&0; exit 0", |c| c.clean_exits, 0),
        ("fails", "printf ready >&0; exit 1", |c| c.crashes, 0),
        ("fails before it is ready", "exit 1", |c| c.crashes, 0),
        ("faults", "printf ready >&0; kill -SEGV $$", |c| c.crashes, 0),
        ("hangs, and ignores who asks", "trap '' TERM; printf ready >&0; exec sleep 600", |c| c.missed_beats, all),
        ("never gets ready", "exec sleep 600", |c| c.missed_ready, 0),
        ("cannot be started", "", |c| c.start_failures, 0),
    ];
    runtime().block_on(async {
        for (what, script, counter, kills) in counted {
            let mut ward = ward(QUICK, script);
            let books = ward.books();
            books.start();
            let counts = follow(&mut ward, |state| matches!(state, State::GaveUp { .. })).await;
            let how = books.shown().last_end.expect("words");
            println!("a child that {what}: {how}");
            assert_eq!((counts.starts, counts.restarts, counter(&counts)), (all, all - 1, all), "{what}: {counts:?}");
            assert_eq!((counts.kills, counts.gave_up), (kills, 1), "{what}: {counts:?}");
            assert_eq!(books.shown().restarts, usize::from(QUICK.restarts));
            // It stays so, until somebody asks for a start: then the books are opened anew.
            let mut room = [0; 64];
            assert!(tokio::time::timeout(Duration::from_millis(20), ward.next(&mut room)).await.is_err());
            books.start();
            let counts = follow(&mut ward, |state| matches!(state, State::GaveUp { .. })).await;
            assert_eq!((counts.starts, counts.gave_up), (2 * all, 2), "{what}: {counts:?}");
        }
    });
}

#[test]
fn a_child_that_does_its_work_is_left_alone_replaced_without_a_price_and_stopped() {
    let patient = Policy { ready_within: ms(20_000), beat_within: ms(20_000), grace: ms(5_000), ..QUICK };
    runtime().block_on(async {
        let mut ward = ward(patient, STEADY);
        let books = ward.books();
        books.start();
        for replaced in 0..3 {
            let counts = follow(&mut ward, |state| matches!(state, State::Running { .. })).await;
            assert_eq!((counts.replacements, counts.restarts), (replaced, 0), "{counts:?}");
            books.replace();
            follow(&mut ward, |state| matches!(state, State::Starting { .. })).await;
        }
        follow(&mut ward, |state| matches!(state, State::Running { .. })).await;
        let pid = books.shown().pid.expect("a process");
        books.stop();
        let counts = follow(&mut ward, |state| state == State::Stopped).await;
        assert!(!lives(pid), "it is gone");
        assert_eq!((counts.starts, counts.kills, counts.crashes), (4, 0, 0), "{counts:?}");
    });
}

#[test]
fn a_ward_that_is_dropped_takes_its_child_along() {
    let pid = runtime().block_on(async {
        let mut ward = ward(Policy { ready_within: ms(20_000), beat_within: ms(20_000), ..QUICK }, STEADY);
        let books = ward.books();
        books.start();
        follow(&mut ward, |state| matches!(state, State::Running { .. })).await;
        books.shown().pid.expect("a process")
    });
    let gone = || std::fs::read_to_string(format!("/proc/{pid}/stat")).map_or(true, |stat| stat.contains(") Z "));
    assert!(soundpost_tests::until(SOON, gone), "it is still there");
}
