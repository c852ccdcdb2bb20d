//! The playback engine against a toy decoder, sample by sample.

use super::*;
use crate::adapt::{CEILING, START};
use crate::codec::{CodecError, Extent, Input};
use crate::jitter::Arrival;
use proptest::prelude::*;
use std::vec::Vec;

pub(super) const PERIOD: usize = 120;
pub(super) const FRAME: u32 = 960;
const MADE_UP: i16 = -12_000;
/// Between the sounds of two packets.
pub(super) const LEVEL: i16 = 50;
/// What a period holds before it is served.
const UNTOUCHED: i16 = i16::MIN;

/// What is rebuilt: the first half of a packet, and the second one.
const REBUILT: [i16; 2] = [14_000, 15_000];
/// A packet of SILK, 20 ms, that holds redundancy.
const REDUNDANT: &[u8] = &[9 << 3, 1 << 6, 0, 0];

/// Decodes a packet to [`LEVEL`] times its first byte, over and over; refuses byte 255. As with libopus, less than a
/// packet is not rebuilt but made up.
pub(super) struct Toy;

impl Decode for Toy {
    fn decode(&mut self, input: Input<'_>, pcm: &mut [i16]) -> Result<usize, CodecError> {
        match input {
            Input::Packet(&[255, ..]) => Err(CodecError { code: 1 }),
            Input::Packet(bytes) => {
                pcm.fill(i16::from(bytes[0]) * LEVEL);
                Ok(pcm.len())
            }
            Input::RecoverFrom(_) if pcm.len() == FRAME as usize => {
                let (first, second) = pcm.split_at_mut(FRAME as usize / 2);
                first.fill(REBUILT[0]);
                second.fill(REBUILT[1]);
                Ok(FRAME as usize)
            }
            Input::RecoverFrom(_) | Input::Conceal => {
                pcm.fill(MADE_UP);
                Ok(pcm.len())
            }
        }
    }
}

struct World {
    engine: Playback<Toy, &'static [u8]>,
    now: Instant,
    heard: Vec<i16>,
}

static BYTES: [[u8; 4]; 256] = {
    let mut bytes = [[0; 4]; 256];
    let mut n = 0;
    while n < 256 {
        bytes[n] = [n as u8, 0, 0, 0];
        n += 1;
    }
    bytes
};

impl World {
    fn new() -> Self {
        Self { engine: Playback::new(Toy, Channels::Mono), now: Instant::from_micros(1_000_000), heard: Vec::new() }
    }

    /// One that never stretches time, whatever comes early.
    fn frozen() -> Self {
        let engine = Playback::new(Toy, Channels::Mono).with_profile(Playout::Frozen);
        Self { engine, ..Self::new() }
    }

    /// Packet `n` of 20 ms arrives; it sounds like `n`.
    fn arrive(&mut self, n: u64) -> Result<(), Refused> {
        self.arrive_as(n, (n % 250) as u8)
    }

    fn arrive_as(&mut self, n: u64, sound: u8) -> Result<(), Refused> {
        self.arrive_with(n, &BYTES[usize::from(sound)])
    }

    fn arrive_with(&mut self, n: u64, payload: &'static [u8]) -> Result<(), Refused> {
        self.engine.accept(Arrival {
            extent: Extent { media: MediaTime(n * u64::from(FRAME)), samples: FRAME },
            arrived: self.now,
            captured: Some(self.now.minus(Span::from_millis(21))),
            payload,
        })
    }

    /// How many samples have a value that is nothing a packet sounds like.
    fn near(&self, value: i16) -> usize {
        self.heard.iter().filter(|v| v.abs_diff(value) < 100).count()
    }

    /// The device is served for `ms` milliseconds.
    fn play(&mut self, ms: u64) {
        for _ in 0..ms * 48 / PERIOD as u64 {
            let mut out = [UNTOUCHED; PERIOD];
            self.engine.render(self.now, 256, &mut out);
            self.heard.extend(out);
            self.now = self.now.plus(Span::from_samples(PERIOD as u64));
        }
    }

    /// A packet every 20 ms.
    fn stream(&mut self, packets: core::ops::Range<u64>) {
        for n in packets {
            self.arrive(n).unwrap();
            self.play(20);
        }
    }

    /// How many samples were heard of packets that sound like `sound`.
    fn count(&self, sound: i16) -> usize {
        // The resampler rounds a little, and rings where one packet's level goes over into the next one's.
        self.heard.iter().filter(|v| (i32::from(**v) - i32::from(sound * LEVEL)).abs() < 12).count()
    }

    /// Whether packet `n` was heard, all of it, give or take the transitions and half a percent of speed.
    fn is_whole(&self, n: i16) -> bool {
        (FRAME as usize - 60..=FRAME as usize + 60).contains(&self.count(n))
    }

    fn made_up(&self) -> usize {
        self.heard.iter().filter(|v| **v < MADE_UP + 1_000).count()
    }
}

#[test]
fn nothing_to_play_is_silence() {
    let mut world = World::new();
    world.play(50);
    assert!(world.heard.iter().all(|v| *v == 0));
    assert!(!world.engine.report().playing);
}

#[test]
fn packets_are_played_whole_in_order_after_the_target_delay() {
    let mut world = World::new();
    world.stream(1..20);
    let first = world.heard.iter().position(|v| *v != 0).unwrap() as u64;
    let target = START.as_samples();
    assert!((target..=target + 4 * PERIOD as u64).contains(&first), "began after {first} samples");
    for n in 2..19 {
        assert!(world.is_whole(n), "packet {n}: {}", world.count(n));
    }
    assert!(world.heard.windows(2).all(|w| w[1] >= w[0] - 20 || w[1] == 0));
    let report = world.engine.report();
    assert_eq!((report.concealed_samples, report.held_samples, report.cut_samples), (0, 0, 0));
    assert_eq!((report.removals, report.insertions), (0, 0));
    assert_eq!(report.metrics.frames_received, 19);
}

#[test]
fn a_device_that_comes_late_does_not_start_with_more_delay_than_wanted() {
    let mut world = World::new();
    world.arrive(1).unwrap();
    world.now = world.now.plus(Span::from_millis(17));
    world.play(3);
    world.stream(2..100);
    let report = world.engine.report();
    assert_eq!(report.cut_samples, 0, "nothing to cut: it began right");
    assert!(report.depth <= START.plus(Span::from_millis(3)), "{:?}", report.depth);
    assert!((100..=800).contains(&world.count(1)), "{} samples of the first packet", world.count(1));
}

#[test]
fn order_of_arrival_does_not_matter() {
    let mut world = World::new();
    world.stream(1..4);
    world.arrive(5).unwrap();
    world.arrive(4).unwrap();
    world.play(40);
    world.stream(6..8);
    let first = |n: i16| world.heard.iter().position(|v| (v - n * LEVEL).abs() < 12).unwrap();
    assert!(first(3) < first(4) && first(4) < first(5) && first(5) < first(6));
    assert_eq!(world.engine.report().concealed_samples, 0);
}

#[test]
fn a_lost_packet_is_made_up_for_and_the_delay_stays_what_it_was() {
    let mut world = World::new();
    world.stream(1..10);
    world.play(20);
    world.stream(11..30);
    let report = *world.engine.report();
    assert_eq!(report.concealed_samples + report.held_samples, 960);
    assert_eq!((report.metrics.frames_dropped, report.lost), (1, 1));
    assert!((840..=960).contains(&world.made_up()), "{}", world.made_up());
    assert!(world.is_whole(11));
    assert!(report.target < Span::from_millis(5), "loss is not lateness: {:?}", report.target);
}

#[test]
fn a_lost_packet_is_rebuilt_from_the_one_behind_it() {
    let mut world = World::frozen();
    world.stream(1..10);
    world.arrive_with(11, REDUNDANT).unwrap();
    world.play(38);
    let report = *world.engine.report();
    assert_eq!(report.recovered_samples, 960);
    assert_eq!((report.concealed_samples, report.held_samples, world.made_up()), (0, 0, 0));
    assert_eq!(report.metrics.frames_dropped, 1);
    for half in REBUILT {
        assert!((440..=500).contains(&world.near(half)), "{} samples near {half}", world.near(half));
    }
    assert!(world.is_whole(9));
}

#[test]
fn of_two_lost_packets_the_second_is_rebuilt() {
    let mut world = World::frozen();
    world.stream(1..10);
    world.arrive_with(12, REDUNDANT).unwrap();
    world.play(58);
    let report = *world.engine.report();
    assert_eq!((report.recovered_samples, report.concealed_samples + report.held_samples), (960, 960));
    assert!(REBUILT.iter().all(|half| world.near(*half) > 440));
}

#[test]
fn after_a_wait_in_vain_the_end_of_the_lost_packet_is_rebuilt() {
    let mut world = World::new();
    world.stream(1..10);
    world.play(13);
    world.arrive_with(11, REDUNDANT).unwrap();
    world.play(27);
    world.stream(12..30);
    let report = *world.engine.report();
    let (made_up, rebuilt) = (report.concealed_samples + report.held_samples, report.recovered_samples);
    assert_eq!(made_up + rebuilt, 960);
    assert!((360..=600).contains(&rebuilt), "{rebuilt} samples");
    let [first, second] = REBUILT.map(|half| world.near(half) as u64);
    assert!(second > 300 && first + second <= rebuilt, "{first} of the first half, {second} of the second one");
}

#[test]
fn without_redundancy_nothing_is_rebuilt() {
    let mut world = World::new();
    world.stream(1..10);
    world.arrive(11).unwrap();
    world.play(40);
    let report = world.engine.report();
    assert_eq!((report.recovered_samples, report.concealed_samples), (0, 960));
}

#[test]
fn a_late_packet_is_waited_for_and_played_whole() {
    let mut world = World::new();
    world.stream(1..10);
    world.play(15);
    world.arrive(10).unwrap();
    world.play(5);
    world.stream(11..20);
    let report = *world.engine.report();
    assert!(world.count(10) >= 840, "nothing of it is lost, the made-up sound fades into it: {}", world.count(10));
    assert_eq!(report.concealed_samples, 0);
    assert!((60..=960).contains(&report.held_samples), "{}", report.held_samples);
    assert!(report.target < Span::from_millis(3), "one is an exception: {:?}", report.target);
    assert_eq!((report.late, report.holds), (0, 1));
    for n in [20, 30, 40] {
        world.play(15);
        world.arrive(n).unwrap();
        world.play(5);
        world.stream(n + 1..n + 10);
    }
    let target = world.engine.report().target;
    assert!(target > Span::from_millis(3), "several are not: {target:?}");
}

#[test]
fn a_packet_after_its_time_is_dropped_and_counted() {
    let mut world = World::new();
    world.stream(1..10);
    world.play(20);
    world.stream(11..14);
    assert_eq!(world.arrive(10), Err(Refused::Late));
    assert_eq!(world.engine.report().late, 1);
}

#[test]
fn a_packet_that_comes_twice_is_played_once() {
    let mut world = World::new();
    world.arrive(1).unwrap();
    assert_eq!(world.arrive(1), Err(Refused::Duplicate));
    world.play(20);
    world.stream(2..4);
    assert_eq!(world.engine.report().duplicates, 1);
    assert!(world.is_whole(2));
}

#[test]
fn after_a_stall_the_delay_is_back_within_seconds() {
    let mut world = World::new();
    world.stream(1..100);
    world.play(200);
    for n in 100..110 {
        // The first of them are too old to be played: no delay is held for them.
        let _ = world.arrive(n);
    }
    world.stream(110..400);
    let report = world.engine.report();
    let depth = report.depth;
    assert!(depth <= report.target.plus(Span::from_millis(4)), "{depth:?} is held, {:?} aimed at", report.target);
    assert!(depth < Span::from_millis(30), "{depth:?}");
}

#[test]
fn a_sender_that_stops_ends_in_silence_and_a_new_start_is_heard_at_once() {
    let mut world = World::new();
    world.stream(1..10);
    world.play(1_500);
    assert!(world.heard[world.heard.len() - 4800..].iter().all(|v| *v == 0));
    assert!(!world.engine.report().playing);
    let before = world.heard.len();
    world.stream(85..95);
    let pause = world.heard[before..].iter().position(|v| *v != 0).unwrap();
    assert!(pause <= START.as_samples() as usize + 480, "heard after {pause} samples");
    assert!(world.is_whole(87));
}

#[test]
fn packets_of_the_stream_before_that_come_after_a_new_one_began_are_not_heard() {
    let mut world = World::new();
    world.now = Instant::from_micros(100_000_000);
    world.stream(0..50);
    // The sender begins anew; stream time does, too.
    let began = world.now;
    world.engine.begin(Some(began));
    let packet = |captured, arrived, n: u64, sound: u8| Arrival {
        extent: Extent { media: MediaTime(n * u64::from(FRAME)), samples: FRAME },
        arrived,
        captured: Some(captured),
        payload: &BYTES[usize::from(sound)] as &'static [u8],
    };
    for n in 0..50 {
        let captured = began.plus(Span::from_millis(20 * n));
        world.engine.accept(packet(captured, world.now, n, 100)).unwrap();
        let straggler = packet(began.minus(Span::from_millis(20 * (n + 1))), world.now, n + 2, 200);
        assert_eq!(world.engine.accept(straggler), Err(Refused::Late));
        world.play(20);
    }
    assert_eq!(world.near(200 * LEVEL), 0);
    assert_eq!(world.engine.report().late, 50);
    // Who has another clock is heard.
    assert!(world.engine.accept(packet(Instant::from_micros(1), world.now, 51, 1)).is_ok());
}

#[test]
fn stream_time_that_jumps_is_followed() {
    let mut world = World::new();
    world.stream(100..110);
    world.stream(5_000..5_010);
    assert!(world.is_whole(5_005 % 250));
    assert_eq!(world.engine.report().resyncs, 1);
    assert_eq!(world.arrive(18), Err(Refused::Late), "a single one took a long way");
    world.stream(5_010..5_012);
    for n in [19, 20] {
        assert_eq!(world.arrive(n), Err(Refused::Late));
        world.play(20);
    }
    world.stream(21..30);
    assert!(world.is_whole(27), "several are a sender that begins anew");
    assert_eq!(world.engine.report().resyncs, 2);
}

#[test]
fn a_packet_that_cannot_be_decoded_is_made_up_for() {
    let mut world = World::new();
    world.stream(1..5);
    world.arrive_as(5, 255).unwrap();
    world.play(20);
    world.stream(6..9);
    assert!((800..=960).contains(&world.made_up()), "{}", world.made_up());
    assert_eq!(world.engine.report().decode_errors, 1);
    assert!(world.is_whole(7));
}

#[test]
fn packets_of_no_length_or_too_much_are_refused() {
    let mut world = World::new();
    for samples in [0, 2881, u32::MAX] {
        let extent = Extent { media: MediaTime(0), samples };
        let arrival = Arrival { extent, arrived: world.now, captured: None, payload: &[1_u8][..] };
        assert_eq!(world.engine.accept(arrival), Err(Refused::Length));
    }
}

#[test]
fn latency_counts_from_capture_to_the_end_of_the_devices_queue() {
    let mut world = World::new();
    world.stream(1..240);
    world.stream(240..600);
    let average = world.engine.report().metrics.average_latency.unwrap();
    // 21 ms until it arrived, the delay held, the resampler, what the device holds.
    let depth = world.engine.report().depth;
    let least = Span::from_millis(21).plus(Span::from_samples(16 + 256));
    assert!(average >= least && average <= least.plus(depth).plus(Span::from_millis(1)), "{average:?}, {depth:?}");
    assert!(depth < Span::from_millis(4), "on a network without jitter: {depth:?}");
}

#[test]
fn silence_that_the_sender_means_is_no_loss_and_adds_no_delay() {
    let mut world = World::new();
    world.stream(1..100);
    let extent = Extent { media: MediaTime(100 * u64::from(FRAME)), samples: FRAME };
    let payload = &BYTES[100][..1];
    world.engine.accept(Arrival { extent, arrived: world.now, captured: None, payload }).unwrap();
    world.play(400);
    world.stream(120..200);
    let report = world.engine.report();
    assert_eq!((report.concealed_samples, report.held_samples, report.lost), (0, 0, 0));
    assert!((18_000..20_000).contains(&report.silent_samples), "{}", report.silent_samples);
    assert!(world.is_whole(150));
}

#[test]
fn the_position_is_that_of_what_is_heard() {
    let mut world = World::new();
    world.stream(1..100);
    let position = world.engine.position().unwrap();
    let last = world.heard.last().copied().unwrap();
    assert_eq!(position.0 / u64::from(FRAME), last as u64 / LEVEL as u64);
    world.play(3_000);
    assert_eq!(world.engine.position(), None);
}

proptest! {
    #[test]
    fn whatever_arrives_the_device_is_served_and_the_books_balance(
        script in proptest::collection::vec((0_u64..400, 0_u64..60, any::<u8>(), 0_u32..3000), 1..300),
    ) {
        let mut world = World::new();
        let mut offered = 0_u64;
        for (media, wait, sound, samples) in script {
            let extent = Extent { media: MediaTime(media * 480), samples };
            let payload = &BYTES[usize::from(sound)][..];
            let captured = Some(Instant::from_micros(media));
            let _ = world.engine.accept(Arrival { extent, arrived: world.now, captured, payload });
            offered += 1;
            world.play(wait);
        }
        world.play(8_000);
        let report = world.engine.report();
        prop_assert!(world.heard[world.heard.len() - 480..].iter().all(|v| *v == 0), "silence is the floor");
        prop_assert!(report.metrics.frames_received + report.duplicates + report.late <= 2 * offered);
        prop_assert!(report.target <= CEILING.plus(Span::from_millis(80)));
        prop_assert_eq!(world.heard.iter().filter(|v| **v == UNTOUCHED).count(), 0, "a period not served");
    }
}

#[test]
fn gain_and_mute_of_a_speaker_change_on_a_ramp() {
    let mut world = World::new();
    let mut next = 1;
    let mut play = |world: &mut World| {
        for _ in 0..10 {
            world.arrive_as(next, 200).unwrap();
            world.play(20);
            next += 1;
        }
        *world.heard.last().unwrap()
    };
    assert!(play(&mut world).abs_diff(10_000) < 12);
    let settled = world.heard.len();
    world.engine.apply(Command::Gain("-6dB".parse().unwrap()));
    assert!(play(&mut world).abs_diff(5_012) < 12);
    world.engine.apply(Command::Mute(true));
    assert_eq!(play(&mut world), 0);
    world.engine.hush(true);
    world.engine.apply(Command::Mute(false));
    assert_eq!(play(&mut world), 0, "an amplifier is being switched");
    world.engine.hush(false);
    assert!(play(&mut world).abs_diff(5_012) < 12);
    assert!(world.heard[settled..].windows(2).all(|pair| pair[0].abs_diff(pair[1]) <= 10_000 / 240 + 12), "a step");
    let report = world.engine.report();
    assert_eq!((report.commands, report.is_muted, report.gain.millibels()), (3, false, -600));
    assert!(report.level.peak.abs_diff(5_012) < 12, "the meter shows what is heard: {}", report.level.peak);
}

#[test]
fn three_packets_after_ten_seconds_of_nothing_are_heard_but_for_five_milliseconds_of_beginning() {
    let mut world = World::new();
    world.play(10_000);
    world.stream(1..4);
    world.play(300);
    // At most a period that would come before its time, and the fade in.
    assert!(world.count(1) >= FRAME as usize - 2 * PERIOD, "{} samples of {FRAME}", world.count(1));
    assert!(world.is_whole(2) && world.is_whole(3));
}
