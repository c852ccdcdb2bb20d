//! Packets that bring copies along, against the toy decoder.

use super::tests::{FRAME, LEVEL, PERIOD, Toy};
use super::*;
use crate::codec::Extent;
use crate::jitter::Arrival;
use std::vec::Vec;

/// A packet that sounds like its first byte, or a copy of one.
#[derive(Clone, Copy, Debug)]
struct Sounding {
    bytes: [u8; 4],
    is_copy: bool,
}

impl Payload for Sounding {
    fn with_bytes<R>(&self, read: impl FnOnce(&[u8]) -> R) -> R {
        read(&self.bytes)
    }

    fn is_copy(&self) -> bool {
        self.is_copy
    }
}

struct World {
    engine: Playback<Toy, Sounding>,
    now: Instant,
    heard: Vec<i16>,
    copies: bool,
}

impl World {
    /// One in which each packet brings a copy of the one before along, or none does.
    fn new(copies: bool) -> Self {
        let engine = Playback::new(Toy, Channels::Mono);
        Self { engine, now: Instant::from_micros(1_000_000), heard: Vec::new(), copies }
    }

    /// One that never stretches time, so that what is heard is whole.
    fn frozen() -> Self {
        let engine = Playback::new(Toy, Channels::Mono).with_profile(Playout::Frozen);
        Self { engine, ..Self::new(true) }
    }

    fn accept(&mut self, n: u64, is_copy: bool) -> Result<(), Refused> {
        let extent = Extent { media: MediaTime(n * u64::from(FRAME)), samples: FRAME };
        let payload = Sounding { bytes: [(n % 250) as u8, 0, 0, 0], is_copy };
        self.engine.accept(Arrival { extent, arrived: self.now, captured: None, payload })
    }

    /// Packet `n` arrives, its copy of the one before first, as [`cycle`](crate::cycle) has it.
    fn arrive(&mut self, n: u64) -> Result<(), Refused> {
        if self.copies {
            let _ = self.accept(n - 1, true);
        }
        self.accept(n, false)
    }

    fn play(&mut self, ms: u64) {
        for _ in 0..ms * 48 / PERIOD as u64 {
            let mut out = [0; PERIOD];
            self.engine.render(self.now, 256, &mut out);
            self.heard.extend(out);
            self.now = self.now.plus(Span::from_samples(PERIOD as u64));
        }
    }

    /// A packet every 20 ms, but not those that are lost.
    fn stream(&mut self, packets: core::ops::Range<u64>, lost: impl Fn(u64) -> bool) {
        for n in packets {
            if !lost(n) {
                self.arrive(n).unwrap();
            }
            self.play(20);
        }
    }

    fn count(&self, n: u64) -> usize {
        let level = (n % 250) as i32 * i32::from(LEVEL);
        self.heard.iter().filter(|v| (i32::from(**v) - level).abs() < 12).count()
    }

    fn made_up(&self) -> u64 {
        self.engine.report().concealed_samples + self.engine.report().held_samples
    }
}

#[test]
fn a_lost_packet_is_played_from_the_copy_in_the_one_behind_it() {
    let mut world = World::frozen();
    world.stream(1..50, |_| false);
    // What stalls for a moment comes all at once, but one of it is lost.
    world.play(60);
    for n in [50, 51, 53, 54] {
        world.arrive(n).unwrap();
    }
    world.play(20);
    world.stream(55..70, |_| false);
    let report = *world.engine.report();
    assert_eq!((report.copied_samples, report.lost, report.late, report.duplicates), (960, 0, 0, 0), "{report:?}");
    assert!(world.count(52) > 900, "{} samples of it", world.count(52));
    // The very first copy is of a packet that belongs to no stream yet.
    assert_eq!(report.spare_copies + 1, report.metrics.frames_received);
}

#[test]
fn copies_that_nobody_needs_change_nothing() {
    let run = |copies| {
        let mut world = World::new(copies);
        // Packets that come up to 15 ms late teach a delay.
        for n in 1..600_u64 {
            let late = n * n % 16;
            world.play(late);
            world.arrive(n).unwrap();
            world.play(20 - late);
        }
        (*world.engine.report(), world.heard)
    };
    let ((without, heard), (with, same)) = (run(false), run(true));
    assert_eq!(with.spare_copies, 599);
    assert_eq!(PlaybackReport { spare_copies: 0, ..with }, without, "the estimator learned nothing from them");
    assert_eq!(heard, same);
}

#[test]
fn a_packet_that_comes_after_its_copy_is_neither_late_nor_a_copy_itself() {
    let mut world = World::frozen();
    world.stream(1..50, |_| false);
    world.play(40);
    let before = world.engine.report().spare_copies;
    // 52 overtakes 51, of which it brings a copy.
    for n in [50, 52, 51] {
        world.arrive(n).unwrap();
    }
    world.play(20);
    world.stream(53..60, |_| false);
    let report = *world.engine.report();
    assert_eq!((report.copied_samples, report.late, report.duplicates, report.lost), (0, 0, 0, 0), "{report:?}");
    assert_eq!(report.spare_copies - before, 3 + 7);
    assert!(world.count(51) > 900, "{}", world.count(51));
}

#[test]
fn a_packet_whose_copy_was_played_is_here_already_and_teaches_nothing() {
    let run = |late: Option<u64>| {
        let mut world = World::new(true);
        world.stream(1..400, |n| n % 10 == 9);
        for n in 400..500 {
            if n % 10 != 9 {
                world.arrive(n).unwrap();
            }
            if late == Some(n) {
                assert_eq!(world.accept(n - 5, false), Err(Refused::Duplicate));
            }
            world.play(20);
        }
        *world.engine.report()
    };
    // 489 comes when 494 does.
    let (without, with) = (run(None), run(Some(494)));
    assert!(without.copied_samples > 20 * 960, "{without:?}");
    assert_eq!(with, PlaybackReport { duplicates: 1, ..without });
}

#[test]
fn where_much_is_lost_copies_are_waited_for_and_where_little_is_they_are_not() {
    let run = |copies, every: u64| {
        let mut world = World::new(copies);
        let lost = |n: u64| n % every == every / 2;
        world.stream(1..1_500, lost);
        let before = world.made_up();
        world.stream(1_500..3_000, lost);
        (*world.engine.report(), world.made_up() - before)
    };
    // One in twenty: without copies each of 75 is made up for, all of it.
    let ((poor, made_up), (rich, left)) = (run(false, 20), run(true, 20));
    assert!(made_up > 70 * 960 && poor.target < Span::from_millis(5), "{made_up} made up, {:?}", poor.target);
    assert!(left < made_up / 20, "{left} of {made_up} are left");
    // A packet is 20 ms: so much is the wait for what comes behind it.
    assert!(rich.target > Span::from_millis(18) && rich.target < Span::from_millis(26), "{:?}", rich.target);
    // One in five hundred is not worth 20 ms, all of the time, at 50 ms a percent.
    let (calm, _) = run(true, 500);
    assert!(calm.target < Span::from_millis(5), "{:?}", calm.target);
}

#[test]
fn a_copy_drives_no_packet_out_and_begins_no_stream() {
    let mut world = World::new(false);
    assert_eq!(world.accept(7, true), Err(Refused::Spare), "nothing has begun");
    world.engine.limit_packets(3);
    for n in [10, 12, 14] {
        world.accept(n, false).unwrap();
    }
    assert_eq!(world.accept(13, true), Err(Refused::Spare), "there is no room");
    world.engine.limit_packets(4);
    assert_eq!(world.accept(13, true), Ok(()));
    assert_eq!(world.accept(13, true), Err(Refused::Spare));
    let report = *world.engine.report();
    assert_eq!((report.spare_copies, report.overflow, report.duplicates), (3, 0, 0));
    assert_eq!(report.metrics.frames_received, 3, "a copy is no packet");
}
