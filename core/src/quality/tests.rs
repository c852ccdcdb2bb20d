use super::*;
use crate::config::{Content, Direction};
use proptest::prelude::*;
use std::vec::Vec;

const SECOND: Span = Span::from_millis(1_000);

fn streams(quality: Quality) -> Stream {
    quality.stream(Direction::Capture, Content::Voice)
}

/// A network and a processor, and what they make of a preset.
#[derive(Clone, Copy, Debug)]
struct Plant {
    /// Bits a second that go through.
    bps: u32,
    /// How long a packet may wait for that, in milliseconds.
    queue_ms: u64,
    /// Loss that nobody here makes, in millionths.
    loss: u32,
    /// Presets from this one on are too much for the processor.
    too_much: Option<Quality>,
    /// The least that a packet takes, in milliseconds.
    way_ms: u64,
}

const FREE: Plant = Plant { bps: 10_000_000, queue_ms: 200, loss: 0, too_much: None, way_ms: 10 };

/// Runs a governor against plants, each for so many seconds. What it decided, and when, in seconds.
struct World {
    governor: Governor,
    now: Instant,
    waits_ms: u64,
    floor: Floor,
    changes: Vec<(u64, Quality, Reason)>,
}

impl World {
    fn new(ceiling: Quality) -> Self {
        let now = Instant::ZERO.plus(SECOND);
        Self { governor: Governor::new(ceiling, streams), now, waits_ms: 0, floor: Floor::new(), changes: Vec::new() }
    }

    fn run(&mut self, plant: Plant, seconds: u64) {
        for _ in 0..seconds {
            self.now = self.now.plus(SECOND);
            let measured = self.measure(plant);
            if let Some(decision) = self.governor.observe(self.now, measured) {
                self.changes.push((self.seconds(), decision.quality, decision.reason));
            }
            assert!(self.governor.quality() <= self.governor.ceiling());
        }
    }

    fn seconds(&self) -> u64 {
        self.now.as_micros() / 1_000_000
    }

    fn measure(&mut self, plant: Plant) -> Measurement {
        let quality = self.governor.quality();
        let (rate, room) = (u64::from(wire_bps(&streams(quality))), u64::from(plant.bps));
        let mut lost = 0;
        if rate > room {
            let grows = (rate - room) * 1_000 / room;
            let most = plant.queue_ms.max(self.waits_ms);
            if self.waits_ms + grows > most {
                lost = (rate - room) * 1_000_000 / rate;
            }
            self.waits_ms = (self.waits_ms + grows).min(most);
        } else {
            self.waits_ms = self.waits_ms.saturating_sub((room - rate) * 1_000 / room);
        }
        self.floor.observe(self.now, (plant.way_ms + self.waits_ms) as u32 * 1_000);
        let arrives = (1_000_000 - lost) * (1_000_000 - u64::from(plant.loss)) / 1_000_000;
        Measurement {
            loss: Some((1_000_000 - arrives) as u32),
            growth: self.floor.take(),
            late: if plant.too_much.is_some_and(|least| quality >= least) { 80_000 } else { 0 },
        }
    }

    fn qualities(&self) -> Vec<Quality> {
        self.changes.iter().map(|(_, quality, _)| *quality).collect()
    }
}

#[test]
fn what_is_fine_stays() {
    for ceiling in Quality::ALL {
        let mut world = World::new(ceiling);
        world.run(FREE, 3_600);
        assert!(world.changes.is_empty() && world.governor.quality() == ceiling);
    }
}

#[test]
fn a_narrow_way_is_answered_within_seconds_by_what_fits_and_left_slowly() {
    let mut world = World::new(Quality::Ultra);
    world.run(FREE, 60);
    world.run(Plant { bps: 100_000, ..FREE }, 15);
    assert_eq!(world.qualities(), [Quality::Medium], "at once to what fits: {:?}", world.changes);
    assert!(world.changes[0].0 <= 64, "{:?}", world.changes);
    world.run(FREE, 120);
    assert_eq!(world.qualities(), [Quality::Medium, Quality::High, Quality::Ultra]);
    let waits: Vec<_> = world.changes.windows(2).map(|pair| pair[1].0 - pair[0].0).collect();
    assert!(waits.iter().all(|wait| *wait >= 20), "{:?}", world.changes);
}

#[test]
fn tries_that_fail_become_rare() {
    let mut world = World::new(Quality::High);
    world.run(Plant { bps: 100_000, ..FREE }, 3_600);
    assert!(world.changes.len() <= 20, "{:?}", world.changes);
    let late = world.changes.iter().filter(|(at, ..)| *at > 1_800).count();
    assert!(late <= 6, "{:?}", world.changes);
    world.run(FREE, 1_000);
    assert_eq!(world.governor.quality(), Quality::High, "and it comes back all the same");
}

#[test]
fn loss_that_is_not_ours_costs_a_moment_and_no_quality() {
    let mut world = World::new(Quality::High);
    world.run(Plant { loss: 150_000, ..FREE }, 600);
    assert_eq!(world.qualities(), [Quality::Medium, Quality::High], "{:?}", world.changes);
    world.run(Plant { loss: 50_000, ..FREE }, 600);
    assert_eq!(world.changes.len(), 2, "what is below the threshold is nothing");
}

#[test]
fn a_longer_way_is_no_queue() {
    let mut world = World::new(Quality::High);
    world.run(FREE, 100);
    world.run(Plant { way_ms: 200, ..FREE }, 600);
    assert!(world.changes.len() <= 2 && world.governor.quality() == Quality::High, "{:?}", world.changes);
}

/// What a governor does with growths in milliseconds, second by second.
fn told(growths: impl IntoIterator<Item = Option<u64>>) -> Vec<(usize, Quality, Reason)> {
    let mut governor = Governor::new(Quality::High, streams);
    let step = |(n, growth): (usize, Option<u64>)| {
        let measured = Measurement { growth: growth.map(Span::from_millis), ..Measurement::default() };
        let decision = governor.observe(Instant::from_micros(n as u64 * 1_000_000), measured)?;
        Some((n, decision.quality, decision.reason))
    };
    growths.into_iter().enumerate().filter_map(step).collect()
}

#[test]
fn a_queue_is_what_two_measurements_say_also_when_there_is_not_one_each_second() {
    assert_eq!(told([0, 0, 100, 0, 100, 0, 100, 0].map(Some)), [], "once is nothing");
    assert_eq!(told([0, 300, 200, 100, 0].map(Some)), [], "it is emptied");
    let grows = [Some(0), Some(100), Some(150), Some(200)];
    assert_eq!(told(grows), [(2, Quality::Medium, Reason::Delay)]);
    assert_eq!(told([Some(0), Some(100), None, Some(150)]), [(3, Quality::Medium, Reason::Delay)]);
    assert_eq!(told([Some(0), Some(100), None, None, None, None]), [], "the same one twice is once");
    assert_eq!(told([Some(0), Some(100), None, None, None, None, Some(150)]), [], "too long ago");
}

#[test]
fn a_way_that_is_longer_is_put_up_with_until_it_is_not() {
    let seconds = |growth, count: usize| std::iter::repeat_n(Some(growth), count);
    let longer = || seconds(0, 5).chain(seconds(150, 50));
    let known = [(6, Quality::Medium, Reason::Delay), (34, Quality::High, Reason::Calm)];
    let said = told(longer());
    assert_eq!(
        said.iter().map(|(_, quality, reason)| (*quality, *reason)).collect::<Vec<_>>(),
        known.map(|(_, q, r)| (q, r))
    );
    let queue = told(longer().chain(seconds(240, 5)));
    assert_eq!(queue[2..], [(56, Quality::Medium, Reason::Delay)], "a queue on top of it");
    assert_eq!(told(longer().chain(seconds(220, 5))).len(), 2, "70 ms on top of it are none");
    let again = told(longer().chain(seconds(0, 1)).chain(seconds(150, 3)));
    assert_eq!(again[2..], [(57, Quality::Medium, Reason::Delay)], "it was short in between");
}

#[test]
fn one_on_a_bad_line_among_three_does_not_count() {
    let of = |said: &[u32]| shared(said.iter().copied());
    assert_eq!(
        [of(&[]), of(&[7]), of(&[0, 7]), of(&[0, 7, 0]), of(&[3, 7, 0])],
        [None, Some(7), Some(7), Some(0), Some(3)]
    );
    assert_eq!(shared([Span::ZERO, Span::ZERO, Span::from_millis(500)].into_iter()), Some(Span::ZERO));
}

#[test]
fn a_processor_that_cannot_do_it_gets_less_to_do() {
    let mut world = World::new(Quality::Ultra);
    world.run(Plant { too_much: Some(Quality::High), ..FREE }, 20);
    assert_eq!(world.qualities(), [Quality::High, Quality::Medium]);
    assert!(world.changes.iter().all(|(.., reason)| *reason == Reason::Load));
    world.run(FREE, 200);
    assert_eq!(world.governor.quality(), Quality::Ultra);
}

#[test]
fn the_user_is_followed_at_once_unless_there_is_a_reason_not_to() {
    let mut world = World::new(Quality::Medium);
    let now = world.now;
    let decision = world.governor.set_ceiling(now, Quality::Ultra);
    assert_eq!(decision, Some(Decision { quality: Quality::Ultra, reason: Reason::User }));
    world.run(Plant { bps: 100_000, ..FREE }, 15);
    assert_eq!(world.governor.quality(), Quality::Medium);
    assert_eq!(world.governor.set_ceiling(world.now, Quality::High), None, "what does not fit is not tried for that");
    assert!(world.governor.set_ceiling(world.now, Quality::Low).is_some(), "less is always possible");
    assert_eq!(world.governor.set_ceiling(world.now, Quality::Low), None);
}

#[test]
fn when_it_will_try_again_is_known() {
    let mut world = World::new(Quality::High);
    assert_eq!(world.governor.next_deadline(), None);
    world.run(Plant { bps: 100_000, ..FREE }, 15);
    assert_eq!(world.governor.quality(), Quality::Medium);
    let due = world.governor.next_deadline().expect("it is known");
    world.run(FREE, due.since(world.now).as_micros() / 1_000_000);
    assert_eq!(world.governor.quality(), Quality::High);
}

#[test]
fn nobody_who_reports_is_no_reason() {
    let mut governor = Governor::new(Quality::High, streams);
    for n in 1..1_000 {
        assert_eq!(governor.observe(Instant::from_micros(n * 1_000_000), Measurement::default()), None);
    }
}

fn plants() -> impl Strategy<Value = Plant> {
    let presets = proptest::option::weighted(0.2, proptest::sample::select(&Quality::ALL[1..]));
    (20_000..600_000_u32, 20..800_u64, 0..400_000_u32, presets, 1..400_u64)
        .prop_map(|(bps, queue_ms, loss, too_much, way_ms)| Plant { bps, queue_ms, loss, too_much, way_ms })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Any measurements at all: never above the ceiling, and never two changes at once.
    #[test]
    fn never_above_the_users_ceiling_whatever_is_measured(
        ceiling in proptest::sample::select(&Quality::ALL[..]),
        measured in proptest::collection::vec(
            (proptest::option::of(any::<u32>()), proptest::option::of(0..10_000_000_u64), any::<u32>(), 0..5_000_u64), 1..200),
        again in proptest::sample::select(&Quality::ALL[..]),
    ) {
        let mut governor = Governor::new(ceiling, streams);
        let (mut now, mut changed) = (Instant::ZERO, None::<Instant>);
        for (n, (loss, growth, late, wait)) in measured.into_iter().enumerate() {
            now = now.plus(Span::from_millis(wait));
            if n == 100 {
                governor.set_ceiling(now, again);
                changed = Some(now);
            }
            let measured = Measurement { loss, growth: growth.map(Span::from_micros), late };
            if let Some(decision) = governor.observe(now, measured) {
                prop_assert!(changed.is_none_or(|changed| now.since(changed) >= SETTLE));
                prop_assert_eq!(decision.quality, governor.quality());
                changed = Some(now);
            }
            prop_assert!(governor.quality() <= governor.ceiling());
        }
    }

    /// One world for an hour: it settles, and tries become rare.
    #[test]
    fn it_does_not_oscillate_in_any_world_that_stays_the_same(
        plant in plants(), ceiling in proptest::sample::select(&Quality::ALL[..]),
    ) {
        let mut world = World::new(ceiling);
        world.run(plant, 3_600);
        for minute in 0..60 {
            let minute = minute * 60..minute * 60 + 60;
            let changes = world.changes.iter().filter(|(at, ..)| minute.contains(at)).count();
            prop_assert!(changes <= 6, "{changes} in a minute: {:?}", world.changes);
        }
        let late = world.changes.iter().filter(|(at, ..)| *at > 1_800).count();
        prop_assert!(late <= 12, "{late} in the second half: {:?}", world.changes);
    }

    /// After any disturbance, when all is fine again, it is back where the user wants it.
    #[test]
    fn it_comes_back_after_every_disturbance(
        disturbances in proptest::collection::vec((plants(), 1..120_u64), 1..5),
        ceiling in proptest::sample::select(&Quality::ALL[..]),
    ) {
        let mut world = World::new(ceiling);
        for (plant, seconds) in disturbances {
            world.run(plant, seconds);
        }
        world.run(FREE, 3 * 32 * 20 + 100);
        prop_assert_eq!(world.governor.quality(), ceiling, "{:?}", world.changes);
    }

    /// Where something fits, it is found, and used nearly all the time.
    #[test]
    fn what_fits_is_used(bps in 30_000..600_000_u32, queue_ms in 20..500_u64) {
        let mut world = World::new(Quality::Ultra);
        let plant = Plant { bps, queue_ms, ..FREE };
        world.run(plant, 600);
        let mut over = 0;
        for _ in 0..1_800 {
            world.run(plant, 1);
            // A tenth of loss is not too much.
            over += u64::from(wire_bps(&streams(world.governor.quality())) > bps / 100 * 115);
        }
        prop_assert!(over <= 180, "too much for {over} s of 1800: {:?}", world.changes);
    }
}
