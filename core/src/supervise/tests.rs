//! Every life that a child can have, for six events, and many longer ones, under the eyes of a judge who keeps books
//! of his own.

use super::*;
use proptest::prelude::*;
use std::vec::Vec;

const fn ms(ms: u64) -> Span {
    Span::from_millis(ms)
}

/// Impatient, so that everything happens within a few steps.
const QUICK: Policy = Policy {
    ready_within: ms(50),
    beat_within: ms(20),
    grace: ms(10),
    kill_again: ms(15),
    first_wait: ms(4),
    longest_wait: ms(6),
    settle: ms(3),
    restarts: 2,
    window: ms(40),
};

/// A window out of which no restart falls.
const FOREVER: Span = ms(1_000_000);

/// What the judge saw before.
#[derive(Clone, Copy, PartialEq)]
enum Cause {
    Told(Event),
    Deadline,
}

/// A supervisor, a child that does nothing of itself, and the judge.
#[derive(Clone)]
struct World {
    policy: Policy,
    supervisor: Supervisor,
    now: Instant,
    alive: Option<Generation>,
    /// When the child was last told to leave.
    told: Option<(Instant, bool)>,
    /// The child's successor is to come at once and costs nothing.
    planned: bool,
    /// Somebody wants it to run, and it has not been given up since.
    wanted: bool,
    restarts: heapless::Vec<Instant, 32>,
    spawned: u64,
}

impl World {
    fn new(policy: Policy, seed: u32) -> Self {
        let supervisor = Supervisor::new(policy, seed);
        let restarts = heapless::Vec::new();
        let (now, told) = (Instant::ZERO, None);
        Self { policy, supervisor, now, alive: None, told, planned: false, wanted: false, restarts, spawned: 0 }
    }

    fn running(policy: Policy, seed: u32) -> Self {
        let mut world = Self::new(policy, seed);
        world.tell(Event::Start);
        world.tell(Event::Ready(Generation(1)));
        world
    }

    fn child(&self) -> Generation {
        self.supervisor.child()
    }

    fn wait(&mut self, span: Span) {
        self.now = self.now.plus(span);
    }

    /// Tells it, does what it says, and judges.
    fn tell(&mut self, event: Event) {
        self.tell_at(self.now, event);
    }

    fn tell_at(&mut self, now: Instant, event: Event) {
        let before = self.supervisor.state();
        self.hear(event);
        self.supervisor.handle(now, event);
        let ends = self.books_end(event);
        let planned = self.planned;
        self.obey(Cause::Told(event));
        if ends && planned {
            assert!(matches!(self.supervisor.state(), State::Starting { .. }), "{event:?} after {before:?}");
        }
        self.judge(before);
    }

    /// The next deadline comes; says whether there is one.
    fn fire(&mut self) -> bool {
        let Some(deadline) = self.supervisor.next_deadline() else { return false };
        self.now = self.now.max(deadline);
        let before = self.supervisor.state();
        self.supervisor.handle_deadline(self.now);
        self.obey(Cause::Deadline);
        self.judge(before);
        true
    }

    /// What the judge writes down before an event is told.
    fn hear(&mut self, event: Event) {
        match (event, self.supervisor.state()) {
            (Event::Start, state) => {
                self.wanted |= !matches!(state, State::GaveUp { .. } | State::Stopped);
                if let State::Stopped | State::GaveUp { .. } | State::Stopping { then: Then::Stop, .. } = state {
                    self.wanted = true;
                    self.planned = self.alive.is_some();
                    self.restarts.clear();
                }
            }
            (Event::Stop, _) => (self.wanted, self.planned) = (false, false),
            (Event::Replace, State::Starting { .. } | State::Running { .. }) => self.planned = self.alive.is_some(),
            _ => {}
        }
    }

    /// Whether the event was the end of the child; it is gone then.
    fn books_end(&mut self, event: Event) -> bool {
        let (Event::StartFailed(child) | Event::Exited { child, .. }) = event else { return false };
        let ends = self.alive == Some(child);
        if ends {
            (self.alive, self.told) = (None, None);
        }
        ends
    }

    fn obey(&mut self, cause: Cause) {
        while let Some(action) = self.supervisor.poll_action() {
            match action {
                Action::Spawn { child, attempt } => self.spawn(cause, child, attempt),
                Action::Terminate(child) => {
                    assert_eq!(self.alive, Some(child), "asks one to leave that is not there");
                    assert_eq!(self.told, None, "asks twice");
                    self.told = Some((self.now, false));
                }
                Action::Kill(child) => {
                    assert_eq!(self.alive, Some(child), "kills one that is not there");
                    let (at, killed) = self.told.expect("it was asked before it is killed");
                    let patience = if killed { self.policy.kill_again } else { self.policy.grace };
                    assert!(cause == Cause::Deadline && self.now.since(at) >= patience, "killed at {:?}", self.now);
                    self.told = Some((self.now, true));
                }
            }
        }
    }

    fn spawn(&mut self, cause: Cause, child: Generation, attempt: u8) {
        assert_eq!(self.alive, None, "two children");
        assert!(self.wanted, "nobody wants child {child:?}, or it was given up");
        self.spawned += 1;
        assert_eq!(u64::from(child.0), self.spawned, "generations count");
        match cause {
            Cause::Told(Event::Start) => assert_eq!(attempt, 0),
            Cause::Told(_) => assert!(self.planned, "a restart that did not wait"),
            Cause::Deadline => {
                let (now, window) = (self.now, self.policy.window);
                self.restarts.retain(|at| now.since(*at) < window);
                self.restarts.push(now).expect("more restarts than any budget");
                assert!(self.restarts.len() <= self.budget(), "more restarts than the budget: {:?}", self.restarts);
            }
        }
        (self.alive, self.planned) = (Some(child), false);
    }

    fn budget(&self) -> usize {
        usize::from(self.policy.restarts).min(RESTARTS_MAX)
    }

    /// Whether all is well after a step that began in `before`, and everything was done that was to be done.
    fn judge(&mut self, before: State) {
        let state = self.supervisor.state();
        let idle = matches!(state, State::Stopped | State::GaveUp { .. });
        assert_eq!(self.supervisor.next_deadline().is_none(), idle, "{state:?} waits, or it does not");
        let childless = idle || matches!(state, State::Backoff { .. });
        assert_eq!(self.alive.is_none(), childless, "{state:?} has a child, or has not");
        match state {
            State::Backoff { until, attempt } if state != before => {
                let wait = until.since(self.now);
                assert!(wait <= self.policy.wait_at_most(attempt) && wait <= self.policy.longest_wait, "{wait:?}");
            }
            State::GaveUp { .. } if state != before => {
                let (now, window) = (self.now, self.policy.window);
                self.restarts.retain(|at| now.since(*at) < window);
                assert_eq!(self.restarts.len(), self.budget(), "given up too early");
                self.wanted = false;
            }
            State::Stopped => assert!(!self.wanted, "somebody wants it to run"),
            _ => {}
        }
        let busy = matches!(state, State::Starting { .. } | State::Running { .. });
        assert_eq!(ledger(&self.supervisor.counts()) + u64::from(busy), self.spawned, "{state:?}");
    }

    /// Told of children that are gone or never were, or in the past, it stays exactly as it is.
    fn is_deaf_to_strangers(&self) {
        let Generation(child) = self.child();
        for other in [child.wrapping_sub(1), child + 1, if self.alive.is_some() { child + 2 } else { child }] {
            for event in about(Generation(other)) {
                let mut supervisor = self.supervisor.clone();
                supervisor.handle(Instant::ZERO, event);
                assert_eq!(supervisor, self.supervisor, "{event:?}");
            }
        }
    }

    /// Left to itself with a child that only ever answers a kill, it comes to rest.
    fn comes_to_rest(&self) {
        let mut world = self.clone();
        for _ in 0..8 * (self.budget() + 1) {
            if !world.fire() {
                return;
            }
            if let (Some(child), Some((_, true))) = (world.alive, world.told) {
                world.tell(Event::Exited { child, clean: false });
            }
        }
        panic!("still {:?}", world.supervisor.state());
    }
}

fn ledger(counts: &Counts) -> u64 {
    let ended = counts.start_failures + counts.crashes + counts.clean_exits;
    ended + counts.missed_ready + counts.missed_beats + counts.dismissed
}

fn about(child: Generation) -> [Event; 5] {
    let exited = |clean| Event::Exited { child, clean };
    [Event::StartFailed(child), Event::Ready(child), Event::Beat(child), exited(true), exited(false)]
}

fn alphabet(child: Generation) -> impl Iterator<Item = Event> {
    [Event::Start, Event::Stop, Event::Replace].into_iter().chain(about(child))
}

/// All that `steps` events can do to a world, each with and without the next deadline before it; says how many
/// sequences that were.
fn explore(world: &World, steps: u32) -> u64 {
    if steps == 0 {
        return 1;
    }
    world.is_deaf_to_strangers();
    if world.policy.window == FOREVER {
        world.comes_to_rest();
    }
    let mut sequences = 0;
    for fires in [false, true] {
        let mut world = world.clone();
        world.wait(ms(1));
        if fires && !world.fire() {
            continue;
        }
        for event in alphabet(world.child()) {
            let mut world = world.clone();
            world.tell(event);
            sequences += explore(&world, steps - 1);
        }
    }
    sequences
}

#[test]
fn every_sequence_of_six_events_keeps_the_promises() {
    assert_eq!(explore(&World::new(QUICK, 1), 6), 1_733_416);
}

#[test]
fn after_every_sequence_of_five_events_a_child_that_only_fails_is_given_up() {
    assert_eq!(explore(&World::new(Policy { window: FOREVER, ..QUICK }, 1), 5), 124_056);
}

/// As [`explore`], with actions that are taken when it pleases.
fn explore_lazily(supervisor: &Supervisor, alive: Option<Generation>, now: Instant, steps: u32) -> u64 {
    let counts = supervisor.counts();
    let state = supervisor.state();
    let busy = alive.is_some() && !matches!(state, State::Stopping { .. });
    assert_eq!(ledger(&counts) + u64::from(busy), counts.starts, "{state:?}");
    let idle = matches!(state, State::Stopped | State::GaveUp { .. });
    assert_eq!(supervisor.next_deadline().is_none(), idle);
    if steps == 0 {
        return 1;
    }
    let mut sequences = 0;
    let steps = steps - 1;
    for event in alphabet(supervisor.child()) {
        let mut supervisor = supervisor.clone();
        supervisor.handle(now, event);
        let ends = matches!(event, Event::StartFailed(_) | Event::Exited { .. });
        sequences += explore_lazily(&supervisor, alive.filter(|_| !ends), now, steps);
    }
    if let Some(deadline) = supervisor.next_deadline() {
        let mut supervisor = supervisor.clone();
        supervisor.handle_deadline(deadline);
        sequences += explore_lazily(&supervisor, alive, deadline, steps);
    }
    let mut supervisor = supervisor.clone();
    match supervisor.poll_action() {
        None => sequences,
        Some(Action::Spawn { child, .. }) => {
            assert_eq!(alive, None, "two children");
            sequences + explore_lazily(&supervisor, Some(child), now, steps)
        }
        Some(Action::Terminate(child) | Action::Kill(child)) => {
            assert_eq!(alive, Some(child), "a signal for somebody else");
            sequences + explore_lazily(&supervisor, alive, now, steps)
        }
    }
}

#[test]
fn however_late_actions_are_taken_there_are_never_two_children() {
    assert_eq!(explore_lazily(&Supervisor::new(QUICK, 1), None, Instant::ZERO, 6), 380_442);
}

fn any_policy() -> impl Strategy<Value = Policy> {
    let span = || (0_u64..100).prop_map(ms);
    let waits = (span(), span(), span(), span());
    (waits, (span(), span(), span()), 0_u8..20, 0_u64..1_000).prop_map(|(a, b, restarts, window)| Policy {
        ready_within: a.0,
        beat_within: a.1,
        grace: a.2,
        kill_again: a.3,
        first_wait: b.0,
        longest_wait: b.1,
        settle: b.2,
        restarts,
        window: ms(window),
    })
}

proptest! {
    #[test]
    fn whatever_happens_when_the_promises_are_kept(
        policy in any_policy(),
        seed: u32,
        script in proptest::collection::vec((0_usize..8, 0_u32..6, 0_u64..60, any::<bool>(), 0_u64..3), 1..400),
    ) {
        let mut world = World::new(policy, seed);
        for (what, other, wait, fires, back) in script {
            world.wait(ms(wait / 3));
            if fires {
                world.fire();
            }
            let child = Generation(world.child().0.saturating_sub(other / 4));
            let event = alphabet(child).nth(what).expect("eight events");
            // The time is seen, and then it runs back.
            world.tell(Event::Beat(Generation(0)));
            world.tell_at(world.now.minus(ms(back)), event);
            world.is_deaf_to_strangers();
        }
    }
}

/// Lets a child end in the same way until there is no other; says how long that took.
fn until_given_up(world: &mut World, end: impl Fn(&mut World)) -> Span {
    let begin = world.now;
    for _ in 0..100 {
        if let State::GaveUp { since } = world.supervisor.state() {
            return since.since(begin);
        }
        end(world);
        if matches!(world.supervisor.state(), State::Backoff { .. }) {
            world.fire();
        }
    }
    panic!("never given up");
}

#[test]
fn after_the_first_crash_a_child_is_there_again_in_a_moment() {
    for seed in 0..1_000 {
        let mut world = World::running(Policy::DEFAULT, seed);
        let child = world.child();
        world.wait(ms(86_400_000));
        world.tell(Event::Beat(child));
        let died = world.now;
        world.tell(Event::Exited { child, clean: false });
        world.fire();
        assert!(matches!(world.supervisor.state(), State::Starting { .. }));
        assert!(world.now.since(died) <= ms(25), "{:?}", world.now.since(died));
    }
}

#[test]
fn waits_double_up_to_the_ceiling_and_are_drawn_from_all_of_it() {
    let most: Vec<u64> = (1..=13).map(|n| Policy::DEFAULT.wait_at_most(n).as_micros() / 1_000).collect();
    assert_eq!(most, [25, 50, 100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 30_000, 30_000]);
    assert_eq!(Policy::DEFAULT.wait_at_most(255), ms(30_000));
    let mut tenths = [0; 10];
    let mut supervisor = Supervisor::new(Policy::DEFAULT, 0);
    for _ in 0..10_000 {
        let wait = supervisor.draw(ms(1_000)).as_micros();
        tenths[usize::try_from(wait / 100_001).unwrap()] += 1;
    }
    assert!(tenths.iter().all(|count| (900..1_100).contains(count)), "{tenths:?}");
    assert_eq!(supervisor.draw(Span::ZERO), Span::ZERO);
    assert!(supervisor.draw(Span::from_micros(u64::MAX)) <= Span::from_micros(u64::from(u32::MAX)));
}

#[test]
fn two_supervisors_do_not_come_back_in_step() {
    let untils: Vec<_> = [1, 2]
        .map(|seed| {
            let mut world = World::running(Policy::DEFAULT, seed);
            world.tell(Event::Exited { child: Generation(1), clean: false });
            world.supervisor.next_deadline()
        })
        .into();
    assert_ne!(untils[0], untils[1]);
}

#[test]
fn crashes_clean_exits_and_failed_starts_use_up_the_same_budget() {
    type End = fn(Generation) -> Event;
    type Pick = fn(&Counts) -> u64;
    let ends: [(End, Pick); 3] = [
        (|child| Event::Exited { child, clean: false }, |counts| counts.crashes),
        (|child| Event::Exited { child, clean: true }, |counts| counts.clean_exits),
        (Event::StartFailed, |counts| counts.start_failures),
    ];
    for (end, counted) in ends {
        let mut world = World::new(Policy::DEFAULT, 7);
        world.tell(Event::Start);
        until_given_up(&mut world, |world| world.tell(end(world.child())));
        let counts = world.supervisor.counts();
        assert_eq!((counts.starts, counts.restarts, counted(&counts), counts.gave_up), (16, 15, 16, 1));
    }
}

#[test]
fn the_default_lasts_for_a_minute_and_gives_up_whatever_the_failure() {
    let mut worst = Span::ZERO;
    let mut sum = 0;
    for seed in 0..200 {
        let mut world = World::new(Policy::DEFAULT, seed);
        world.tell(Event::Start);
        let patience = until_given_up(&mut world, |world| world.tell(Event::StartFailed(world.child())));
        sum += patience.as_micros() / 200;
        // The slowest failures: almost settled; never ready, and gone only after a kill.
        let mut world = World::new(Policy::DEFAULT, seed);
        world.tell(Event::Start);
        worst = worst.max(until_given_up(&mut world, |world| {
            world.tell(Event::Ready(world.child()));
            world.wait(ms(4_999));
            world.tell(Event::Exited { child: world.child(), clean: false });
        }));
        let mut world = World::new(Policy::DEFAULT, seed);
        world.tell(Event::Start);
        worst = worst.max(until_given_up(&mut world, |world| {
            world.fire();
            world.fire();
            world.tell(Event::Exited { child: world.child(), clean: false });
        }));
    }
    assert!((60_000_000..120_000_000).contains(&sum), "{sum} us on average");
    assert!(worst < Policy::DEFAULT.window, "{worst:?}");
    let most = (1..=15).fold(Span::ZERO, |sum, n| sum.plus(Policy::DEFAULT.wait_at_most(n)).plus(ms(5_500)));
    assert!(most < Policy::DEFAULT.window, "with the worst luck {most:?}");
}

#[test]
fn giving_up_stays_until_somebody_asks_for_a_start() {
    let mut world = World::running(QUICK, 1);
    until_given_up(&mut world, |world| world.tell(Event::Exited { child: world.child(), clean: true }));
    let given_up = world.supervisor.state();
    world.wait(ms(1_000_000));
    assert!(!world.fire());
    world.tell(Event::Replace);
    assert_eq!(world.supervisor.state(), given_up);
    world.tell(Event::Start);
    assert!(matches!(world.supervisor.state(), State::Starting { .. }));
    until_given_up(&mut world, |world| world.tell(Event::Exited { child: world.child(), clean: true }));
    assert_eq!(world.supervisor.counts().restarts, 4, "the budget was whole again");
}

#[test]
fn a_child_without_progress_is_asked_then_killed_and_succeeded_only_when_it_is_gone() {
    let mut world = World::running(Policy::DEFAULT, 1);
    let child = world.child();
    for _ in 0..10 {
        world.wait(ms(1_999));
        world.tell(Event::Beat(child));
    }
    let mut supervisor = world.supervisor;
    let mut times = Vec::new();
    for _ in 0..4 {
        let at = supervisor.next_deadline().expect("it waits");
        supervisor.handle_deadline(at);
        times.push((at.since(world.now).as_micros() / 1_000, supervisor.poll_action().expect("something to do")));
    }
    let (asked, kill) = (Action::Terminate(child), Action::Kill(child));
    assert_eq!(times, [(2_000, asked), (2_500, kill), (3_500, kill), (4_500, kill)]);
    supervisor.handle(world.now, Event::Exited { child, clean: false });
    assert!(matches!(supervisor.state(), State::Backoff { attempt: 1, .. }), "{:?}", supervisor.state());
    let counts = supervisor.counts();
    assert_eq!((counts.missed_beats, counts.kills, counts.crashes), (1, 3, 0));
}

#[test]
fn a_child_that_is_not_ready_in_time_has_failed() {
    let mut world = World::new(Policy::DEFAULT, 1);
    world.tell(Event::Start);
    world.tell(Event::Beat(Generation(1)));
    world.fire();
    assert_eq!(world.now, Instant::ZERO.plus(ms(5_000)), "a beat is no readiness");
    assert!(matches!(world.supervisor.state(), State::Stopping { then: Then::Restart, .. }));
    assert_eq!(world.supervisor.counts().missed_ready, 1);
}

#[test]
fn a_child_that_settled_makes_the_next_wait_a_first_one() {
    for (up, attempt) in [(4_999, 3), (5_000, 1)] {
        let mut world = World::running(Policy::DEFAULT, 3);
        for _ in 0..2 {
            world.tell(Event::Exited { child: world.child(), clean: false });
            world.fire();
        }
        let child = world.child();
        world.tell(Event::Ready(child));
        for wait in [up - 4_000, 2_000, 2_000] {
            world.wait(ms(wait));
            world.tell(Event::Beat(child));
        }
        world.tell(Event::Exited { child, clean: false });
        assert!(matches!(world.supervisor.state(), State::Backoff { attempt: n, .. } if n == attempt));
    }
}

#[test]
fn a_planned_replacement_costs_no_budget_and_no_wait() {
    let mut world = World::running(QUICK, 1);
    for _ in 0..100 {
        world.tell(Event::Replace);
        world.tell(Event::Exited { child: world.child(), clean: false });
        world.tell(Event::Ready(world.child()));
    }
    assert!(matches!(world.supervisor.state(), State::Running { .. }));
    let counts = world.supervisor.counts();
    assert_eq!((counts.replacements, counts.dismissed, counts.restarts, counts.crashes), (100, 100, 0, 0));
    until_given_up(&mut world, |world| world.tell(Event::Exited { child: world.child(), clean: false }));
    assert_eq!(world.supervisor.counts().restarts, 2, "and leaves the budget whole");
}

#[test]
fn a_start_during_a_stop_waits_until_the_old_child_is_gone() {
    let mut world = World::running(QUICK, 1);
    world.tell(Event::Stop);
    world.tell(Event::Start);
    assert!(matches!(world.supervisor.state(), State::Stopping { then: Then::Start, .. }));
    world.tell(Event::Exited { child: Generation(1), clean: true });
    assert_eq!(world.alive, Some(Generation(2)));
    world.tell(Event::Stop);
    world.tell(Event::Exited { child: Generation(2), clean: true });
    assert_eq!(world.supervisor.state(), State::Stopped);
}

#[test]
fn a_spawn_that_nobody_took_is_never_late_and_can_be_withdrawn() {
    let mut supervisor = Supervisor::new(QUICK, 1);
    supervisor.handle(Instant::ZERO, Event::Start);
    for _ in 0..5 {
        supervisor.handle_deadline(supervisor.next_deadline().expect("it waits"));
        assert!(matches!(supervisor.state(), State::Starting { .. }));
    }
    supervisor.handle(Instant::ZERO, Event::Stop);
    assert_eq!((supervisor.state(), supervisor.poll_action()), (State::Stopped, None));
    assert_eq!(supervisor.counts(), Counts::default());
}

#[test]
fn a_deadline_that_comes_early_changes_nothing() {
    let mut world = World::running(QUICK, 1);
    let before = world.supervisor.clone();
    world.supervisor.handle_deadline(Instant::ZERO.plus(ms(19)));
    assert_eq!((world.supervisor.state(), world.supervisor.counts()), (before.state(), before.counts()));
    assert_eq!(world.supervisor.poll_action(), None);
}
