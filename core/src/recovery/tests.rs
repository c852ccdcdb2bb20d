//! Sequences of trouble, one after the other and all of them.

use super::*;
use std::vec::Vec;

const FAULTS: [Fault; 5] = [Fault::Xrun, Fault::Suspended, Fault::Stopped, Fault::Broken, Fault::Gone];
const PREPARE: Action = Action::Try(Step::Prepare);
const RESTART: Action = Action::Try(Step::Restart);

fn ms(ms: u64) -> Instant {
    Instant::ZERO.plus(Span::from_millis(ms))
}

/// What is done about a fault that nothing helps against.
fn ladder(fault: Fault) -> Vec<Action> {
    let mut recovery = Recovery::default();
    let mut actions = Vec::new();
    while actions.last() != Some(&Action::Reopen) {
        actions.push(recovery.on_fault(ms(0), fault));
    }
    actions
}

#[test]
fn the_least_that_may_help_comes_first() {
    assert_eq!(ladder(Fault::Xrun), [PREPARE, RESTART, Action::Reopen]);
    assert_eq!(ladder(Fault::Suspended), [Action::Try(Step::Resume), PREPARE, RESTART, Action::Reopen]);
    assert_eq!(ladder(Fault::Broken), [PREPARE, RESTART, Action::Reopen]);
    assert_eq!(ladder(Fault::Stopped), [RESTART, Action::Listen, Action::Listen, Action::Reopen]);
    assert_eq!(ladder(Fault::Gone), [Action::Reopen]);
}

#[test]
fn a_storm_of_xruns_never_closes_a_device_that_moves() {
    let mut recovery = Recovery::default();
    for n in 0..1_000 {
        assert_eq!(recovery.on_fault(ms(n), Fault::Xrun), PREPARE);
        assert_eq!(recovery.trouble(), Some(Fault::Xrun));
        recovery.on_moved(ms(n));
        assert_eq!(recovery.trouble(), None);
    }
    let counts = recovery.counts();
    assert_eq!((counts.xruns, counts.prepares, counts.restarts, counts.reopens), (1_000, 1_000, 0, 0));
}

#[test]
fn what_breaks_again_before_it_settles_gets_no_further_round() {
    let mut recovery = Recovery::default();
    for wanted in [PREPARE, RESTART, Action::Reopen, Action::Reopen] {
        assert_eq!(recovery.on_fault(ms(10), Fault::Broken), wanted);
        recovery.on_moved(ms(10));
    }
    recovery.on_moved(ms(1_009));
    assert_eq!(recovery.on_fault(ms(1_009), Fault::Broken), Action::Reopen, "not settled by a hair");
    recovery.on_moved(ms(2_000));
    recovery.on_moved(ms(3_000));
    assert_eq!(recovery.on_fault(ms(3_000), Fault::Broken), PREPARE);
}

/// The waits before so many attempts, of a device that opens or does not.
fn waits(attempts: usize, opens: bool) -> Vec<u64> {
    let mut recovery = Recovery::default();
    let mut now = ms(0);
    let action = recovery.on_fault(now, Fault::Gone);
    assert_eq!(action, Action::Reopen);
    let mut waits = Vec::new();
    for _ in 0..attempts {
        waits.push(recovery.retry_at().since(now).as_micros() / 1_000);
        now = recovery.retry_at();
        if opens {
            recovery.on_opened();
            // Two rounds of steps are over by then.
            while recovery.on_fault(now, Fault::Broken) != Action::Reopen {}
        } else {
            recovery.on_open_failed(now);
        }
    }
    waits
}

#[test]
fn the_first_attempt_is_at_once_and_each_further_one_waits_twice_as_long_up_to_a_bound() {
    assert_eq!(waits(9, false), [0, 25, 50, 100, 200, 400, 800, 800, 800]);
    assert_eq!(waits(12, true), [0, 25, 50, 100, 200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000]);
    assert_eq!(waits(400, false).last(), Some(&800));
}

#[test]
fn a_loose_plug_is_waited_for_no_longer_than_one_that_is_pulled_out() {
    let mut recovery = Recovery::default();
    for n in 0..20 {
        assert_eq!(recovery.on_fault(ms(100 * n), Fault::Gone), Action::Reopen);
        assert!(recovery.retry_at() <= ms(100 * n + 800), "{n}: {recovery:?}");
        recovery.on_opened();
        recovery.on_moved(ms(100 * n + 50));
    }
}

#[test]
fn who_hears_of_a_card_does_not_wait() {
    let mut recovery = Recovery::default();
    recovery.on_fault(ms(0), Fault::Gone);
    (0..20).for_each(|_| recovery.on_open_failed(ms(0)));
    recovery.on_news(ms(100));
    assert_eq!(recovery.retry_at(), ms(100));
    // Its rights may take a moment more.
    recovery.on_open_failed(ms(101));
    assert_eq!(recovery.retry_at(), ms(126));
}

#[test]
fn a_clock_that_goes_on_is_heard_at_once_and_one_that_stands_is_opened_every_fourth_time() {
    let mut recovery = Recovery::default();
    assert_eq!(recovery.on_fault(ms(0), Fault::Stopped), RESTART);
    assert_eq!(recovery.on_fault(ms(500), Fault::Stopped), Action::Listen);
    recovery.on_moved(ms(600));
    assert_eq!((recovery.trouble(), recovery.counts().stops), (None, 1));
    let mut reopened = 0;
    for n in 0..40 {
        if recovery.on_fault(ms(1_000 + 500 * n), Fault::Stopped) == Action::Reopen {
            reopened += 1;
            recovery.on_opened();
        }
    }
    assert_eq!((reopened, recovery.counts().stops), (10, 2));
}

/// Everything that can happen to a device; a number for each.
fn happen(recovery: &mut Recovery, now: Instant, event: usize) -> Option<Action> {
    match event {
        0..5 => return Some(recovery.on_fault(now, FAULTS[event])),
        5 => recovery.on_moved(now),
        6 => recovery.on_opened(),
        7 => recovery.on_open_failed(now),
        _ => recovery.on_news(now),
    }
    None
}

/// Every sequence of five events, and after each of them every fault for ever: it ends in opening again, within the
/// number of steps that there are, and never later than the longest wait.
#[test]
fn after_any_five_events_every_fault_leads_to_a_bounded_wait() {
    for sequence in 0..9_usize.pow(5) {
        let mut recovery = Recovery::default();
        let mut now = ms(0);
        for place in 0..5 {
            now = now.plus(Span::from_millis(300));
            happen(&mut recovery, now, sequence / 9_usize.pow(place) % 9);
        }
        for fault in FAULTS {
            let mut recovery = recovery.clone();
            let actions = (0..).map(|_| recovery.on_fault(now, fault)).take_while(|action| *action != Action::Reopen);
            assert!(actions.count() <= 3, "{sequence} {fault:?}");
            let wait = recovery.retry_at().since(now);
            assert!(wait <= Policy::DEFAULT.longest_broken_wait, "{sequence} {fault:?}: {wait:?}");
            assert!(recovery.trouble() == Some(fault));
        }
    }
}

#[test]
fn a_device_that_fails_for_ever_is_opened_so_many_times_a_minute_and_no_more() {
    let in_minute = |opens: bool, minute: u64| {
        let mut at = 0;
        let times = waits(200, opens).into_iter().map(|wait| {
            at += wait;
            at
        });
        times.filter(|ms| ms / 60_000 == minute).count()
    };
    assert_eq!([0, 1, 5].map(|minute| in_minute(true, minute)), [14, 6, 6], "it opens, and fails");
    assert_eq!([0, 1].map(|minute| in_minute(false, minute)), [80, 75], "it is not there");
}
