use super::*;
use crate::config::{Bitrate, Content, Direction, FrameLen, Quality};
use proptest::prelude::*;
use std::vec::Vec;

fn second(n: u64) -> Instant {
    Instant::from_micros(1_000_000 * (n + 1))
}

const fn report(expected: u32, received: u32) -> Report {
    Report { expected, received, delay_us: None }
}

fn tallied(sequences: &[u32]) -> (u32, u32) {
    let mut tally = Tally::new();
    sequences.iter().for_each(|sequence| tally.count(*sequence));
    (tally.report.expected, tally.report.received)
}

#[test]
fn what_never_came_is_counted_once_whatever_the_order() {
    assert_eq!(tallied(&[7, 8, 9]), (3, 3));
    assert_eq!(tallied(&[7, 9, 12]), (6, 3), "8, 10 and 11 are lost");
    assert_eq!(tallied(&[7, 9, 8, 12, 11, 10]), (6, 6), "late is not lost");
    assert_eq!(tallied(&[7, 7, 8, 8, 7]), (2, 2), "twice is once");
    assert_eq!(tallied(&[u32::MAX - 1, u32::MAX, 1]), (4, 3), "it wraps");
    assert_eq!(tallied(&[100, 99, 98]), (1, 1), "what began before anybody counted");
    let late: Vec<u32> = (0..200).filter(|n| *n != 100).chain([136, 100]).collect();
    assert_eq!(tallied(&late), (200, 199), "too old to be told from a copy");
}

#[test]
fn another_stream_is_no_loss() {
    assert_eq!(tallied(&[7, 8, 1_000_000, 1_000_001]), (4, 4));
    assert_eq!(tallied(&[1_000_000, 1_000_001, 5, 6, 8]), (6, 5));
    assert_eq!(tallied(&[0, 3_000]), (3_001, 2), "an outage");
}

#[test]
fn a_report_is_due_once_a_second_while_packets_come() {
    let mut tally = Tally::new();
    let reports: Vec<_> = (0..500_u32)
        .filter_map(|n| tally.received(Instant::from_micros(u64::from(n) * 20_000), n * 2, Instant::ZERO))
        .collect();
    assert_eq!(reports.len(), 9);
    assert_eq!(reports[0], report(101, 51));
    assert_eq!(
        tally.received(second(100), 1_000, Instant::ZERO).map(|report| report.expected),
        Some(1_001),
        "after a pause, at once"
    );
}

#[test]
fn a_report_tells_what_the_fastest_packet_since_the_last_one_took_by_whatever_clocks() {
    for apart in [0, 5, u64::from(u32::MAX) - 100_000, 1 << 40] {
        let mut tally = Tally::new();
        let mut reports = Vec::new();
        for n in 0..150 {
            let captured = Instant::from_micros(20_000 * n + 1);
            let takes = if n % 50 == 20 { 7_000 } else { 60_000 } + 1_000 * (n / 50);
            let arrived = Instant::from_micros(captured.as_micros() + takes + apart);
            reports.extend(tally.received(arrived, n as u32, captured).and_then(|report| report.delay_us));
        }
        let fastest: Vec<_> = reports.iter().map(|delay| delay.wrapping_sub(apart as u32)).collect();
        assert_eq!(fastest, [7_000, 8_000], "{apart}");
    }
}

/// Feeds a second of packets of 20 ms, of which `lost(second)` are lost; returns the needs, second by second.
fn needs(redundancy: &mut Redundancy, seconds: core::ops::Range<u64>, lost: impl Fn(u64) -> u32) -> Vec<u8> {
    let mut report = redundancy.latest.unwrap_or_default();
    let mut step = |n: u64| {
        report.expected = report.expected.wrapping_add(50);
        report.received = report.received.wrapping_add(50 - lost(n));
        redundancy.observe(second(n), report);
        redundancy.need()
    };
    seconds.map(&mut step).collect()
}

#[test]
fn loss_is_answered_within_seconds_and_forgotten_within_half_a_minute() {
    let mut redundancy = Redundancy::new();
    assert_eq!(needs(&mut redundancy, 0..10, |_| 0), [0; 10]);
    let needed = needs(&mut redundancy, 10..40, |n| 2 + (n % 2) as u32);
    assert!(needed[1] >= 2 && needed[6] >= 5, "{needed:?}");
    assert!(needed.is_sorted(), "it goes up and stays: {needed:?}");
    assert!((45_000..55_000).contains(&redundancy.loss_ppm()), "{}", redundancy.loss_ppm());
    let after = needs(&mut redundancy, 40..90, |_| 0);
    assert!(after[15] >= 5, "not at once: {after:?}");
    assert_eq!(after[35..], [0; 15], "{after:?}");
    assert!(after.is_sorted_by(|a, b| a >= b), "{after:?}");
}

#[test]
fn a_packet_that_is_lost_now_and_then_is_no_reason() {
    let mut redundancy = Redundancy::new();
    let needed = needs(&mut redundancy, 0..600, |n| u32::from(n % 30 == 7));
    assert!(needed.iter().all(|need| *need == 0), "one in 1500");
}

#[test]
fn what_trembles_about_a_threshold_moves_nothing() {
    for level in &LEVELS {
        // Ten seconds above what enters, ten below what leaves, for ten minutes.
        let lost = |n: u64| {
            let ppm = if (n / 10).is_multiple_of(2) { level.enter * 3 / 2 } else { level.leave * 2 / 3 };
            ((u64::from(ppm) * 50 * (n + 1) / 1_000_000) - (u64::from(ppm) * 50 * n / 1_000_000)) as u32
        };
        let mut redundancy = Redundancy::new();
        let needed = needs(&mut redundancy, 0..600, lost);
        let changes = needed.windows(2).filter(|pair| pair[0] != pair[1]).count();
        assert!(changes <= 4, "{changes} changes at {} %: {needed:?}", level.percent);
    }
}

#[test]
fn reports_that_go_back_or_say_nothing_change_nothing() {
    let mut redundancy = Redundancy::new();
    needs(&mut redundancy, 0..20, |_| 5);
    let before = redundancy.loss_ppm();
    for report in [report(0, 0), report(0, 900)] {
        redundancy.observe(second(21), report);
        assert_eq!(redundancy.loss_ppm(), before);
    }
    redundancy.observe(second(22), report(50, 1_000));
    assert!(redundancy.loss_ppm() < before, "more than was expected is all of it");
}

#[test]
fn a_third_of_the_listeners_decides_and_one_among_three_does_not() {
    let shared = |needs: &[u8]| shared(needs.iter().copied());
    assert_eq!(shared(&[]), 0);
    assert_eq!(shared(&[10]), 10);
    assert_eq!(shared(&[0, 5]), 5);
    assert_eq!(shared(&[0, 0, 25]), 0, "one among three");
    assert_eq!(shared(&[0, 2, 25]), 2, "what both need");
    assert_eq!(shared(&[0, 0, 0, 0, 0, 10, 25]), 0, "two of seven");
    assert_eq!(shared(&[0, 0, 0, 0, 5, 10, 25]), 5);
    assert_eq!(shared(&[25; 64]), 25);
}

#[test]
fn speech_modes_with_bits_to_spare_do_it_themselves_and_all_else_gets_copies() {
    for quality in Quality::ALL {
        for frame in FrameLen::ALL {
            for bits in [16_000, 26_000, 31_000] {
                let mut stream = quality.stream(Direction::Capture, Content::Voice).with_frame(frame);
                stream.tuning.bitrate = Bitrate::from_bps(bits).unwrap();
                // The preset's band is that of 16 kHz.
                let least = [(FrameLen::Ms10, 31_000), (FrameLen::Ms20, 26_000)];
                let speech = quality == Quality::Low && least.iter().any(|(f, least)| *f == frame && bits >= *least);
                assert_eq!((in_band(&stream, 10), copies(&stream, 10)), (if speech { 10 } else { 0 }, !speech));
                assert_eq!((in_band(&stream, 0), copies(&stream, 0)), (0, false));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 4 } else { 256 },
        failure_persistence: if cfg!(miri) { None } else { ProptestConfig::default().failure_persistence },
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_order_with_any_losses_is_counted_right(
        lost in proptest::collection::vec(any::<bool>(), 200),
        late in proptest::collection::vec(0_u32..40, 200),
        start: u32,
    ) {
        let mut order: Vec<u32> = (1..200).filter(|n| !lost[*n as usize]).collect();
        order.sort_by_key(|n| n + late[*n as usize]);
        let sequences: Vec<u32> = [0].into_iter().chain(order.iter().copied()).map(|n| start.wrapping_add(n)).collect();
        let highest = order.iter().max().map_or(1, |highest| highest + 1);
        prop_assert_eq!(tallied(&sequences), (highest, sequences.len() as u32));
    }

    #[test]
    fn whatever_is_reported_the_level_is_one_of_the_table(
        reports in proptest::collection::vec((any::<u32>(), any::<u32>(), any::<u32>()), 0..100),
    ) {
        let mut redundancy = Redundancy::new();
        for (at, expected, received) in reports {
            redundancy.observe(Instant::from_micros(u64::from(at)), report(expected, received));
            prop_assert!(redundancy.loss_ppm() <= 1_000_000);
            prop_assert!([0, 2, 5, 10, 25].contains(&redundancy.need()));
        }
    }
}
