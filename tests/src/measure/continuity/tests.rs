//! Whether each kind of damage to a recording is found, and harmless changes are not.

use super::*;
use crate::RATE;
use crate::speech::speech;

const TEXT: &str = "The boat was there when the sun rose, and nobody had seen it come. \
    A rod is used to catch pink salmon; the source of the huge river is the clear spring.";

fn spoken() -> Vec<f32> {
    speech(TEXT, 9.0)
}

fn late(signal: &[f32]) -> Vec<f32> {
    [&[0.0; 4321][..], signal, &[0.0; 9600]].concat()
}

/// The frame at which a loud part begins, near the one given.
fn loud_spot(signal: &[f32], near: usize) -> usize {
    let level = |at: usize| signal[at..at + 2400].iter().map(|s| s * s).sum::<f32>();
    (near - 20_000..near + 20_000).step_by(480).max_by(|a, b| level(*a).total_cmp(&level(*b))).expect("a place")
}

#[test]
fn a_copy_is_complete() {
    let reference = spoken();
    let found = continuity(&reference, &late(&reference));
    assert!(found.is_complete(), "{found}");
    assert!((found.lag_ms - 4321.0 / 48.0).abs() < 0.05, "{found}");
    assert!(found.windows() > 40 && found.worst_peak() > 0.95, "{found}");
    assert!(found.lag_spread_ms() < 0.1, "{found}");
}

#[test]
fn a_piece_cut_out_is_a_jump_of_the_lag() {
    let reference = spoken();
    let cut = loud_spot(&reference, 4 * RATE);
    let recording = [&reference[..cut], &reference[cut + 1920..]].concat();
    let found = continuity(&reference, &late(&recording));
    assert!(!found.is_complete() && found.moved() > 10, "{found}");
    assert!((found.lag_spread_ms() - 40.0).abs() < 2.0, "{found}");
}

#[test]
fn a_short_hole_is_found() {
    let reference = spoken();
    let mut recording = reference.clone();
    let at = loud_spot(&reference, 5 * RATE);
    recording[at..at + 960].fill(0.0);
    let found = continuity(&reference, &late(&recording));
    assert!(!found.is_complete(), "{found}");
    assert_eq!((found.missing(), found.moved(), found.holes.len()), (0, 0, 1), "{found}");
    assert!((found.holes[0].at - at as f64 / RATE as f64).abs() < 0.02, "{found}");
}

#[test]
fn a_long_hole_is_missing_pieces_too() {
    let reference = spoken();
    let mut recording = reference.clone();
    let at = loud_spot(&reference, 5 * RATE);
    recording[at..at + RATE / 2].fill(0.0);
    let found = continuity(&reference, &late(&recording));
    assert!(found.missing() > 0 && !found.holes.is_empty(), "{found}");
}

#[test]
fn parts_in_the_wrong_order_are_not_in_their_place() {
    let reference = spoken();
    let third = reference.len() / 3;
    let (a, rest) = reference.split_at(third);
    let (b, c) = rest.split_at(third);
    let found = continuity(&reference, &late(&[a, c, b].concat()));
    assert!(!found.is_complete() && found.missing() + found.moved() > 20, "{found}");
}

#[test]
fn an_end_cut_off_is_missing() {
    let reference = spoken();
    let found = continuity(&reference, &late(&reference[..7 * RATE]));
    assert!(!found.is_complete() && found.missing() > 5, "{found}");
}

#[test]
fn noise_and_another_level_do_no_harm() {
    let reference = spoken();
    let energy = reference.iter().map(|s| s * s).sum::<f32>() / reference.len() as f32;
    let amplitude = (energy / 100.0 * 3.0).sqrt();
    let mut random = 1u32;
    let mut noise = || {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (random as f32 / u32::MAX as f32 * 2.0 - 1.0) * amplitude
    };
    let recording: Vec<f32> = late(&reference).iter().map(|s| 0.3 * (s + noise())).collect();
    let found = continuity(&reference, &recording);
    assert!(found.is_complete(), "{found}");
}

#[test]
fn other_words_are_not_taken_for_these() {
    let reference = spoken();
    let other = speech("Seven weary travellers asked the way to the old mill by the lake.", 9.0);
    let found = continuity(&reference, &late(&other));
    assert!(!found.is_complete(), "{found}");
    assert!(found.missing() + found.moved() > found.windows() / 2, "{found}");
}

#[test]
fn silence_is_nothing() {
    let reference = spoken();
    assert!(!continuity(&reference, &vec![0.0; reference.len()]).is_complete());
    assert!(!continuity(&[0.0; 48_000], &reference).is_complete());
}
