//! Worlds drawn from a seed: anything may be wrong with them for a while, then everything is mended and must come back.
//!
//! Which hazards a world has at all is drawn first, so that some worlds have only one or two, and others all of them:
//! what hides behind many faults is found where there are few.

use crate::dice::Dice;
use crate::outcome::Outcome;
use crate::scenario::{Card, Fault, Kind, Link, Listener, Machine, Part, Scenario, Spell, Talker};
use crate::units::{Kbps, Percent, Ppm, Time};
use crate::world::{self, Options};
use soundpost_core::config::{FrameLen, Quality};
use soundpost_core::time::Span;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// What was mended has so long to come back; now and then so long that everything must be forgotten, too.
const CALM: Span = Span::from_millis(13_000);
const LONG_CALM: Span = Span::from_millis(125_000);

/// The world of a seed.
#[must_use]
pub fn draw(seed: u64) -> Scenario {
    let mut dice = Dice::new(seed, "swarm");
    // A few are long: some things take minutes to go wrong.
    let long = dice.happens(6.0);
    let calm = if dice.happens(12.0) { LONG_CALM } else { CALM };
    let trouble = if long { 400_000 } else { dice.between(8_000, 40_000) };
    let faults = dice.between(0, 12);
    let listeners = dice.between(1, 3);
    let mut scenario = Scenario {
        title: format!("Swarm {seed}"),
        about: "Drawn from a seed.".to_owned(),
        duration: Time(Span::from_millis(trouble).plus(calm)),
        seed: Some(seed),
        heal: Some(Time::ms(trouble)),
        preset: *dice.pick(&Quality::ALL),
        frame: dice.happens(50.0).then(|| *dice.pick(&FrameLen::ALL)),
        microphone: card(&mut dice),
        speaker: card(&mut dice),
        host: Machine { audio: us(&mut dice, 0, 300), io: us(&mut dice, 0, 800) },
        listener: (0..listeners).map(|_| Listener { count: 1, card: card(&mut dice), link: link(&mut dice) }).collect(),
        talker: dice.happens(85.0).then(|| Talker { card: card(&mut dice), link: link(&mut dice) }),
        ..Scenario::default()
    };
    let kinds: Vec<Kind> = Kind::ALL.into_iter().filter(|_| dice.happens(40.0)).collect();
    if !kinds.is_empty() {
        scenario.fault = (0..faults).map(|_| fault(&mut dice, &kinds, trouble, long)).collect();
    }
    // What dies soon after each start is given up only after minutes.
    if long && dice.happens(50.0) {
        let on = *dice.pick(Kind::CrashLoop.parts());
        scenario.fault.push(Fault::new(ms(&mut dice, 500, 20_000), Time::ms(trouble), on, Kind::CrashLoop));
    }
    scenario.fault.sort_by_key(|fault| fault.at);
    scenario
}

fn ms(dice: &mut Dice, low: u64, high: u64) -> Time {
    Time::ms(dice.between(low, high))
}

fn us(dice: &mut Dice, low: u64, high: u64) -> Time {
    Time(Span::from_micros(dice.between(low, high)))
}

fn percent(dice: &mut Dice, most: f64) -> Percent {
    Percent((dice.unit() * most * 10.0).floor() / 10.0)
}

fn card(dice: &mut Dice) -> Card {
    let drift = if dice.happens(60.0) { dice.between(0, 600) as f64 - 300.0 } else { 0.0 };
    let wander = if dice.happens(30.0) { 0.5 } else { 0.0 };
    let grain = if dice.happens(30.0) { us(dice, 20, 2_000) } else { Time::default() };
    Card { drift: Ppm(drift), wander: Ppm(wander), grain }
}

fn link(dice: &mut Dice) -> Link {
    let spell = |dice: &mut Dice, longest: u64| Spell { every: ms(dice, 1_000, 20_000), lasts: ms(dice, 5, longest) };
    let mut link = Link { delay: us(dice, 0, 60_000), ..Link::default() };
    if dice.happens(60.0) {
        link.jitter = us(dice, 0, 20_000);
    }
    if dice.happens(40.0) {
        link.loss = percent(dice, 8.0);
    }
    if dice.happens(30.0) {
        link.bursts = Some(spell(dice, 200));
    }
    if dice.happens(30.0) {
        link.stalls = Some(spell(dice, 400));
    }
    if dice.happens(20.0) {
        link.reorder = percent(dice, 4.0);
    }
    if dice.happens(20.0) {
        link.duplicate = percent(dice, 4.0);
    }
    if dice.happens(15.0) {
        link.corrupt = percent(dice, 2.0);
    }
    if dice.happens(15.0) {
        link.bandwidth = Some(Kbps(dice.between(40, 2_000) as f64));
        link.queue = ms(dice, 20, 500);
    }
    link
}

fn fault(dice: &mut Dice, kinds: &[Kind], trouble: u64, long: bool) -> Fault {
    let kind = *dice.pick(kinds);
    let on = *dice.pick(kind.parts());
    let at = Time::ms(dice.between(500, trouble - 1));
    // Most are short; some last.
    let longest = match dice.happens(20.0) {
        true if long => 300_000,
        true => 10_000,
        false => 1_000,
    };
    let lasts = if kind.takes_time() { ms(dice, 1, longest) } else { Time::default() };
    let mut fault = Fault::new(at, lasts, on, kind);
    match kind {
        Kind::ClockStep => fault.samples = Some(dice.between(1, 20_000) as u32),
        Kind::Drift => fault.ppm = Some(Ppm(dice.between(0, 600) as f64 - 300.0)),
        Kind::Loss => fault.percent = Some(percent(dice, 60.0)),
        Kind::Delay => fault.extra = Some(ms(dice, 1, 300)),
        Kind::Squeeze => fault.bandwidth = Some(Kbps(dice.between(10, 100) as f64)),
        Kind::Starve => {
            fault.audio = Some(us(dice, 0, 20_000));
            fault.io = Some(us(dice, 0, 100_000));
        }
        Kind::Reclaim => {
            fault.percent = Some(percent(dice, 20.0));
            fault.io = Some(us(dice, 0, 200_000));
        }
        Kind::Join => fault.count = Some(dice.between(1, 10) as u32),
        Kind::Flood => fault.count = Some(dice.between(2, 8) as u32),
        _ => {}
    }
    fault
}

/// A world that broke a promise.
#[derive(Debug)]
pub struct Broken {
    /// Its seed.
    pub seed: u64,
    /// What came of it.
    pub outcome: Outcome,
}

/// What a hunt was.
#[derive(Debug, Default)]
pub struct Hunt {
    /// Worlds that were run.
    pub worlds: u64,
    /// Simulated seconds.
    pub simulated_s: f64,
    /// The one that broke a promise, if one did.
    pub broken: Option<Broken>,
}

/// Runs the worlds of `first` and the seeds after it for `time`, or until one breaks a promise, on all processors.
/// `tell` hears how many were run.
///
/// # Panics
/// If a world panics, with its seed.
pub fn hunt(first: u64, time: Duration, tell: &(dyn Fn(u64, f64) + Sync)) -> Hunt {
    let (next, found, run) = (AtomicU64::new(first), AtomicBool::new(false), AtomicU64::new(0));
    let begun = Instant::now();
    let one = || {
        let mut hunt = Hunt::default();
        while begun.elapsed() < time && !found.load(Ordering::Relaxed) {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            let outcome = check(seed);
            hunt.worlds += 1;
            hunt.simulated_s += outcome.duration_s;
            if !outcome.verdicts.is_empty() {
                found.store(true, Ordering::Relaxed);
                hunt.broken = Some(Broken { seed, outcome });
            }
            let worlds = run.fetch_add(1, Ordering::Relaxed) + 1;
            tell(worlds, begun.elapsed().as_secs_f64() / time.as_secs_f64());
        }
        hunt
    };
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        let hunters: Vec<_> = (0..processors).map(|_| scope.spawn(one)).collect();
        hunters.into_iter().map(|hunter| hunter.join().expect("a world panicked; its seed is above")).fold(
            Hunt::default(),
            |mut all, one| {
                all.worlds += one.worlds;
                all.simulated_s += one.simulated_s;
                // Of several, the lowest: so that two hunts agree more often.
                let before = all.broken.take();
                all.broken = [before, one.broken].into_iter().flatten().min_by_key(|broken| broken.seed);
                all
            },
        )
    })
}

/// Runs the world of a seed. If it panics, its seed is said first.
fn check(seed: u64) -> Outcome {
    struct Loud(u64);
    impl Drop for Loud {
        fn drop(&mut self) {
            if std::thread::panicking() {
                eprintln!("the world of seed {} panicked", self.0);
            }
        }
    }
    let _loud = Loud(seed);
    let scenario = draw(seed);
    world::run(&scenario, seed, Options::default()).expect("a drawn world needs no files").0
}

/// The least of a scenario that still breaks a promise of the same judge: faults are taken out, by halves first, then
/// everything else that need not be there. `tell` hears of every success.
pub fn shrink(scenario: &Scenario, seed: u64, judge: &str, tell: &mut dyn FnMut(&str)) -> Scenario {
    let breaks = |scenario: &Scenario| {
        world::run(scenario, seed, Options::default())
            .is_ok_and(|(outcome, _)| outcome.verdicts.iter().any(|verdict| verdict.judge == judge))
    };
    let mut best = scenario.clone();
    let mut size = best.fault.len().div_ceil(2);
    while size >= 1 {
        let mut from = 0;
        while from < best.fault.len() {
            let mut less = best.clone();
            less.fault.drain(from..(from + size).min(less.fault.len()));
            if breaks(&less) {
                tell(&format!("{} faults are enough", less.fault.len()));
                best = less;
            } else {
                from += size;
            }
        }
        size = if size == 1 { 0 } else { size.div_ceil(2) };
    }
    for (what, change) in SIMPLER {
        let mut less = best.clone();
        change(&mut less);
        if less != best && breaks(&less) {
            tell(what);
            best = less;
        }
    }
    best
}

type Simpler = (&'static str, fn(&mut Scenario));

/// What a world may do without, one after the other.
const SIMPLER: [Simpler; 13] = [
    ("one listener is enough", |s| s.listener.truncate(1)),
    ("nobody needs to talk", |s| {
        s.talker = None;
        s.fault.retain(|fault| !matches!(fault.on, Part::Talker | Part::TalkerCard | Part::TalkerLink));
    }),
    ("nobody needs to listen", |s| s.listener.clear()),
    ("nothing wakes up late", |s| s.host = Machine { audio: Time::default(), io: Time::default() }),
    ("the device's clock is exact", |s| (s.microphone, s.speaker) = (Card::default(), Card::default())),
    ("others' clocks are exact", |s| {
        s.listener.iter_mut().for_each(|listener| listener.card = Card::default());
        s.talker.iter_mut().for_each(|talker| talker.card = Card::default());
    }),
    ("links do nothing at all", |s| links(s, |link| *link = Link::default())),
    ("nothing is lost", |s| links(s, |link| (link.loss, link.bursts) = (Percent(0.0), None))),
    ("nothing stalls", |s| links(s, |link| link.stalls = None)),
    ("there is no jitter", |s| links(s, |link| link.jitter = Time::default())),
    ("nothing is reordered, doubled or garbled", |s| {
        links(s, |link| (link.reorder, link.duplicate, link.corrupt) = (Percent(0.0), Percent(0.0), Percent(0.0)));
    }),
    ("there is room for everything", |s| links(s, |link| link.bandwidth = None)),
    ("the preset does not matter", |s| (s.preset, s.frame) = (Quality::Medium, None)),
];

fn links(scenario: &mut Scenario, change: impl Fn(&mut Link)) {
    scenario.listener.iter_mut().for_each(|listener| change(&mut listener.link));
    scenario.talker.iter_mut().for_each(|talker| change(&mut talker.link));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drawn_world_can_be_written_down_and_read_back() {
        for seed in 0..300 {
            let drawn = draw(seed);
            let text = drawn.text();
            let read = Scenario::parse("drawn", &text, None).unwrap_or_else(|error| panic!("{error}\n{text}"));
            assert_eq!(read, drawn);
        }
    }

    #[test]
    fn seeds_reach_every_fault_on_every_part() {
        let mut seen = std::collections::BTreeSet::new();
        for seed in 0..3_000 {
            seen.extend(draw(seed).fault.iter().map(|fault| (fault.kind, fault.on)));
        }
        for kind in Kind::ALL {
            assert!(kind.parts().iter().all(|part| seen.contains(&(kind, *part))), "{kind:?}");
        }
    }
}
