//! Rings 0, 2 and 3: counters, the wait for packets, their order.

use crate::board::Stopwatch;
use core::hint::black_box;
use soundpost_core::adapt::{Correction, Depth};
use soundpost_core::capacity::STORE_PACKETS;
use soundpost_core::codec::{Extent, Payload};
use soundpost_core::config::{Channels, Playout};
use soundpost_core::jitter::{Arrival, Store, Stored};
use soundpost_core::meter::AudioMetrics;
use soundpost_core::resample::Resampler;
use soundpost_core::stretch::{LOOK_AHEAD_SAMPLES, Stretch, Urgency};
use soundpost_core::time::{Instant, MediaTime, Span};

/// A packet is known by its stream time; a copy is one of an odd number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Numbered(u64);

impl Payload for Numbered {
    fn with_bytes<R>(&self, read: impl FnOnce(&[u8]) -> R) -> R {
        read(&self.0.to_le_bytes())
    }

    fn is_copy(&self) -> bool {
        self.0 % 2 == 1
    }
}

fn packet(media: u64) -> Arrival<Numbered> {
    let extent = Extent { media: MediaTime(media), samples: 960 };
    Arrival { extent, arrived: Instant::ZERO, captured: None, payload: Numbered(media) }
}

pub(crate) fn packets_come_out_in_stream_order_and_only_once() {
    let mut store = Store::new();
    let copy = Arrival { payload: Numbered(961), ..packet(960) };
    assert_eq!(store.insert(copy), Stored::Kept);
    for media in [1920, 0, 2880] {
        assert_eq!(store.insert(packet(media)), Stored::Kept);
    }
    assert_eq!(store.insert(packet(960)), Stored::Confirmed);
    assert_eq!(store.insert(packet(960)), Stored::Duplicate);
    for media in [0, 960, 1920, 2880] {
        assert_eq!(store.take_front().map(|front| front.payload), Some(Numbered(media)));
    }
    assert!(store.is_empty());
}

pub(crate) fn a_full_store_gives_up_its_oldest() {
    let mut store = Store::new();
    for n in 0..STORE_PACKETS as u64 {
        assert_eq!(store.insert(packet(n * 960)), Stored::Kept);
    }
    assert_eq!(store.insert(packet(100_000)), Stored::Displaced);
    assert_eq!(store.front().map(|front| front.payload), Some(Numbered(960)));
    assert_eq!((store.end(), store.len()), (Some(MediaTime(100_960)), STORE_PACKETS));
}

const PULL: Span = Span::from_millis(10);

/// A network, and a device that plays from it at exactly the delay that is aimed at, or slowly gets there.
struct Link {
    /// Packets and pulls, as the policy's share of them.
    watches: [Stopwatch; 2],
    depth: Depth,
    now: Instant,
    packets: u64,
    position: MediaTime,
}

impl Link {
    fn new() -> Self {
        let now = Instant::from_micros(1_000_000);
        let watches = [Stopwatch::default(), Stopwatch::default()];
        Self { watches, depth: Depth::new(Playout::Balanced), now, packets: 0, position: MediaTime::ZERO }
    }

    /// Plays 20 ms packets for `seconds`, each late by what `late` says of its number; returns the delay at the end.
    fn play(&mut self, seconds: u64, late: impl Fn(u64) -> Span) -> i64 {
        for _ in 0..seconds * 50 {
            let media = MediaTime(self.packets * 960);
            let arrived = self.now.plus(late(self.packets));
            self.watches[0].time(|| self.depth.arrived(arrived, media, 960));
            self.packets += 1;
            for _ in 0..2 {
                let (rate, correction) = self.watches[1].time(|| {
                    self.depth.pulled(self.now, PULL.as_samples());
                    let delay = self.depth.delay_us(self.position);
                    (self.depth.rate_ppm(delay), self.depth.correction(delay, 60_000, false))
                });
                let mut samples = 480 + 480 * i64::from(rate) / 1_000_000;
                if let Correction::Remove(most) = correction {
                    samples += most.as_samples() as i64;
                    self.depth.stretched();
                }
                self.position = self.position.plus(samples.unsigned_abs());
                self.now = self.now.plus(PULL);
            }
        }
        self.depth.delay_us(self.position)
    }
}

pub(crate) fn delay_that_nobody_needs_is_gone_in_ten_seconds() {
    for excess in [5, 50, 150] {
        let mut link = Link::new();
        link.packets = Span::from_millis(excess).as_samples() / 960;
        let delay = link.play(10, |_| Span::ZERO);
        assert!(delay <= 15_000, "{excess} ms too much");
    }
}

pub(crate) fn a_late_packet_raises_the_goal_and_quiet_brings_it_back() {
    let mut link = Link::new();
    link.play(5, |_| Span::ZERO);
    let calm = link.depth.goal_us();
    link.play(10, |n| Span::from_millis(n % 7 * 8));
    assert!(link.depth.goal_us() > calm + 15_000);
    link.play(90, |_| Span::ZERO);
    assert!(link.depth.goal_us() <= calm + 10_500);
    link.watches[0].print("policy, a packet");
    link.watches[1].print("policy, a pull of 10 ms");
}

/// Says what the actuators cost on 10 ms, and on one period that is taken out.
pub(crate) fn print_costs() {
    let mut sound = [0_i16; LOOK_AHEAD_SAMPLES];
    // A sawtooth of 125 Hz.
    (0..).zip(&mut sound).for_each(|(n, value): (i32, _)| *value = (n % 384 * 60 - 11_520) as i16);
    let mut out = [0; 480];
    for (what, ppb) in [("resampler, 10 ms at rest", 0), ("resampler, 10 ms at 300 ppm", 300_000)] {
        let (mut watch, mut resampler) = (Stopwatch::default(), Resampler::new(Channels::Mono));
        resampler.set_ratio_ppb(ppb);
        for _ in 0..100 {
            watch.time(|| resampler.process(black_box(&sound), black_box(&mut out)));
        }
        watch.print(what);
    }
    let (mut remove, mut hear) = (Stopwatch::default(), Stopwatch::default());
    let mut stretch = Stretch::new(Channels::Mono);
    for _ in 0..100 {
        hear.time(|| stretch.hear(black_box(&sound[..480])));
        let mut work = sound;
        let done = remove.time(|| stretch.remove(black_box(&mut work), 720, Urgency::Calm));
        assert_eq!(done.map(|done| done.samples), Some(384));
    }
    let state = [size_of::<Depth>(), size_of::<Resampler>(), size_of::<Stretch>()];
    defmt::println!("figure state: depth, resampler, stretch {} bytes", state);
    hear.print("stretch, 10 ms heard");
    remove.print("stretch, a period removed");
}

pub(crate) fn every_one_of_the_six_numbers_moves() {
    let mut metrics = AudioMetrics::default();
    metrics.record_frame(Instant::from_micros(20_000), 160);
    metrics.record_frame(Instant::from_micros(40_000), 140);
    metrics.record_dropped(3);
    metrics.record_connection_drop();
    metrics.record_latency(Span::from_millis(32));
    metrics.record_latency(Span::from_millis(48));
    let expected = AudioMetrics {
        frames_received: 2,
        frames_dropped: 3,
        bytes_processed: 300,
        connection_drops: 1,
        last_frame: Some(Instant::from_micros(40_000)),
        average_latency: Some(Span::from_millis(33)),
    };
    assert_eq!(metrics, expected);
}
