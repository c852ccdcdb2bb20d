//! What deciding about delay and keeping the books cost, beside what makes the sound: one Opus decode.

use super::actuators::{decode, hear, insert, remove, resample};
use super::{Case, Group, alone};
use soundpost_core::adapt::{Correction, Depth};
use soundpost_core::codec::{CodecError, Decode, Extent, Input};
use soundpost_core::config::{Channels, Playout};
use soundpost_core::engine::playback::Playback;
use soundpost_core::jitter::Arrival;
use soundpost_core::time::{Instant, MediaTime};
use std::hint::black_box;
use std::time::Duration;

pub(crate) const GROUPS: &[Group] = &[Group {
    title: "playout",
    what: "One packet of 20 ms is decoded (mono, a voice, SILK at 24 kbit/s), and next to it: what a packet and the two \
           pulls of 10 ms that play it cost besides. *Policy* only decides; the *engine* has a codec that does nothing.",
    threads: 1,
    cases: &[
        Case { name: "libopus: decode 20 ms", run: decode::<1> },
        Case { name: "policy: a packet", run: packet },
        Case { name: "policy: a packet and two pulls", run: decide },
        Case { name: "engine: a packet accepted", run: accept },
        Case { name: "engine: a packet accepted and two pulls, all of it", run: play },
        Case { name: "resample 10 ms, at rest", run: resample::<1, 0> },
        Case { name: "resample 10 ms, 300 ppm", run: resample::<1, 300_000> },
        Case { name: "hear 10 ms", run: hear::<1> },
        Case { name: "remove a period", run: remove::<1> },
        Case { name: "insert a period", run: insert::<1> },
    ],
}];

const FRAME: u64 = 960;
const PULL: u64 = FRAME / 2;
/// Before the clock starts: the engine knows the network, and plays.
const BEFORE: u64 = 500;

/// When packet `n` arrives: up to 3 ms late.
fn arrival(n: u64) -> Instant {
    Instant::from_micros(1_000_000 + n * 20_000 + n * 7_919 % 3_000)
}

/// When pull `m` is due: just behind the packet that could not come later.
fn pull(m: u64) -> Instant {
    Instant::from_micros(1_003_700 + m * 10_000)
}

fn packet(times: u64) -> Duration {
    let mut depth = Depth::new(Playout::Balanced);
    let mut n = 0;
    let mut arrive = || {
        depth.arrived(black_box(arrival(n)), MediaTime(n * FRAME), FRAME as u32);
        n += 1;
    };
    (0..BEFORE).for_each(|_| arrive());
    alone(times, arrive)
}

fn decide(times: u64) -> Duration {
    let mut depth = Depth::new(Playout::Balanced);
    let (mut n, mut next, mut moved) = (0, MediaTime::ZERO, 0);
    let mut turn = || {
        depth.arrived(black_box(arrival(n)), MediaTime(n * FRAME), FRAME as u32);
        for half in [0, 1] {
            depth.pulled(pull(2 * n + half), PULL);
            let delay = depth.delay_us(next);
            moved += u64::from(depth.rate_ppm(delay) != 0);
            moved += u64::from(depth.correction(delay, 20_000 - 10_000 * half as i64, true) != Correction::None);
            next = next.plus(PULL);
        }
        n += 1;
    };
    (0..BEFORE).for_each(|_| turn());
    let took = alone(times, turn);
    black_box(moved);
    assert!((3_000..30_000).contains(&depth.goal_us()), "{} us", depth.goal_us());
    took
}

/// A codec that does nothing.
struct Nothing;

impl Decode for Nothing {
    fn decode(&mut self, _: Input<'_>, pcm: &mut [i16]) -> Result<usize, CodecError> {
        Ok(pcm.len())
    }
}

/// A packet of CELT, as long as one of 24 kbit/s.
const BYTES: &[u8] = &[31 << 3; 60];

fn arrived(n: u64) -> Arrival<&'static [u8]> {
    let extent = Extent { media: MediaTime(n * FRAME), samples: FRAME as u32 };
    Arrival { extent, arrived: arrival(n), captured: Some(Instant::from_micros(980_000 + n * 20_000)), payload: BYTES }
}

fn accept(times: u64) -> Duration {
    let mut engine = Playback::new(Nothing, Channels::Mono);
    // Nobody takes them, so the oldest of three makes way each time.
    engine.limit_packets(3);
    let mut n = 0;
    let mut accept = || {
        engine.accept(black_box(arrived(n))).expect("room");
        n += 1;
    };
    (0..BEFORE).for_each(|_| accept());
    let took = alone(times, accept);
    assert_eq!(engine.report().metrics.frames_received, BEFORE + times);
    took
}

fn play(times: u64) -> Duration {
    let mut engine = Playback::new(Nothing, Channels::Mono);
    let (mut n, mut out) = (0, [0; PULL as usize]);
    let mut turn = || {
        engine.accept(black_box(arrived(n))).expect("in time");
        for half in [0, 1] {
            engine.render(pull(2 * n + half), 0, black_box(&mut out));
        }
        n += 1;
    };
    (0..BEFORE).for_each(|_| turn());
    let took = alone(times, turn);
    let report = engine.report();
    assert_eq!(report.concealed_samples + report.held_samples, 0, "nothing was missing");
    assert!(report.played_samples > (times + BEFORE - 10) * FRAME);
    took
}
