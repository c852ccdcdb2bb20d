//! Rings 0, 2 and 3: counters, the wait for packets, their order.

use soundpost_core::adapt::{CEILING, CUT_SAMPLES, Decision, Depth, FLOOR};
use soundpost_core::capacity::STORE_PACKETS;
use soundpost_core::codec::Extent;
use soundpost_core::jitter::{Arrival, Store, Stored};
use soundpost_core::meter::AudioMetrics;
use soundpost_core::time::{Instant, MediaTime, Span};

fn packet(media: u64) -> Arrival<u64> {
    let extent = Extent { media: MediaTime(media), samples: 960 };
    Arrival { extent, arrived: Instant::ZERO, captured: None, payload: media }
}

pub(crate) fn packets_come_out_in_stream_order_and_only_once() {
    let mut store = Store::new();
    for media in [1920, 0, 2880, 960] {
        assert_eq!(store.insert(packet(media)), Stored::Kept);
    }
    assert_eq!(store.insert(packet(960)), Stored::Duplicate);
    for media in [0, 960, 1920, 2880] {
        assert_eq!(store.take_front().map(|front| front.payload), Some(media));
    }
    assert!(store.is_empty());
}

pub(crate) fn a_full_store_gives_up_its_oldest() {
    let mut store = Store::new();
    for n in 0..STORE_PACKETS as u64 {
        assert_eq!(store.insert(packet(n * 960)), Stored::Kept);
    }
    assert_eq!(store.insert(packet(100_000)), Stored::Displaced);
    assert_eq!(store.front().map(|front| front.payload), Some(960));
    assert_eq!((store.end(), store.len()), (Some(MediaTime(100_960)), STORE_PACKETS));
}

/// Plays 20 ms packets whose slack is `slack` for `seconds`, obeying; returns the slack at the end.
fn play(depth: &mut Depth, now: &mut Instant, mut slack: Span, seconds: u64) -> Span {
    for _ in 0..seconds * 50 {
        let cut = match depth.observe(*now, slack) {
            Decision::Keep => Span::ZERO,
            Decision::Cut => Span::from_samples(CUT_SAMPLES),
            Decision::Skip => Span::from_millis(20),
        };
        depth.shortened(cut);
        slack = slack.minus(cut);
        *now = now.plus(Span::from_millis(20));
    }
    slack
}

pub(crate) fn delay_that_nobody_needs_is_gone_in_three_seconds() {
    for excess in [5, 50, 150, 1500] {
        let (mut depth, mut now) = (Depth::new(), Instant::ZERO);
        let slack = play(&mut depth, &mut now, FLOOR.plus(Span::from_millis(excess)), 3);
        assert!(slack <= FLOOR.plus(Span::from_millis(3)), "{excess} ms too much");
        assert!(slack >= FLOOR.minus(Span::from_millis(3)), "{excess} ms: cut too deep");
    }
}

pub(crate) fn a_late_packet_raises_the_target_and_quiet_brings_it_back() {
    let (mut depth, mut now) = (Depth::new(), Instant::ZERO);
    depth.late(now, Span::from_millis(10));
    assert_eq!(depth.target(), FLOOR.plus(Span::from_millis(10)));
    depth.late(now, Span::from_millis(5_000));
    assert_eq!(depth.target(), CEILING);
    let mut slack = CEILING;
    for _ in 0..80 {
        slack = play(&mut depth, &mut now, slack, 10);
    }
    assert_eq!(depth.target(), FLOOR);
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
