//! What removing and inserting a period promises.

use super::*;
use proptest::prelude::*;
use std::f64::consts::PI;
use std::vec::Vec;

/// A voice that sings one vowel: harmonics with two formants.
fn vowel(pitch: f64, samples: usize) -> Vec<i16> {
    let formants = [(700.0, 1.0), (1200.0, 0.6), (2600.0, 0.2)];
    let weight =
        |hertz: f64| formants.iter().map(|(f, a)| a / (1.0 + ((hertz - f) / 120.0_f64).powi(2))).sum::<f64>() + 0.02;
    let sample = |n: usize| {
        let turn = 2.0 * PI * pitch * n as f64 / 48_000.0;
        let harmonics = (1..=(4000.0 / pitch) as u32).map(f64::from);
        harmonics.map(|k| weight(k * pitch) * (turn * k + k * k).sin()).sum::<f64>()
    };
    let sound: Vec<f64> = (0..samples).map(sample).collect();
    let peak = sound.iter().fold(0.0_f64, |peak, value| peak.max(value.abs()));
    sound.iter().map(|value| (value / peak * 16_000.0) as i16).collect()
}

fn noise(samples: usize, amplitude: i32) -> Vec<i16> {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        ((state >> 16) as i32 - 32_768) * amplitude / 32_768
    };
    (0..samples).map(|_| next() as i16).collect()
}

fn heard(sound: &[i16], channels: Channels) -> Stretch {
    let mut stretch = Stretch::new(channels);
    stretch.hear(sound);
    stretch
}

/// By how many decibels `sound` is louder than its difference from `from`.
fn alike_db(sound: &[i16], from: &[i16]) -> f64 {
    let square = |value: f64| value * value;
    let signal: f64 = from.iter().map(|v| square(f64::from(*v))).sum();
    let rest: f64 = sound.iter().zip(from).map(|(a, b)| square(f64::from(*a) - f64::from(*b))).sum();
    10.0 * (signal / rest.max(1e-9)).log10()
}

#[test]
fn one_period_of_a_vowel_comes_out_and_goes_in_without_a_seam() {
    for (pitch, least) in [(100.0, 55.0), (120.0, 55.0), (200.0, 55.0), (133.7, 25.0), (223.1, 25.0)] {
        let sound = vowel(pitch, 4000);
        let stretch = heard(&sound, Channels::Mono);
        let mut shorter = sound[..1440].to_vec();
        let removed = stretch.remove(&mut shorter, 720, Urgency::Calm).expect("a period");
        // What a whole number of periods later would have been heard is heard now.
        let periods = (removed.samples as f64 * pitch / 48_000.0).round();
        let shifted = (periods * 48_000.0 / pitch).round() as usize;
        assert!(removed.samples.abs_diff(shifted) <= 1, "{pitch} Hz: {removed:?}");
        let clean = alike_db(&shorter[removed.samples..], &sound[removed.samples..1440]);
        let mut longer = sound[..1440].to_vec();
        longer.resize(1440 + 720, 0);
        let inserted = stretch.insert(&mut longer, 1440, 720, Urgency::Calm).expect("a period");
        let also = alike_db(&longer[..1440 + inserted.samples], &sound[..1440 + inserted.samples]);
        std::println!("{pitch} Hz: {removed:?} {clean:.1} dB, {inserted:?} {also:.1} dB");
        assert!(clean > least && also > least, "{pitch} Hz: {clean} {also}");
    }
}

#[test]
fn both_channels_are_moved_by_one_lag() {
    let (left, right) = (vowel(160.0, 1440), vowel(160.0, 1600));
    // The right channel is turned over: a mix of both would be silent.
    let both: Vec<i16> = left.iter().zip(&right).flat_map(|(l, r)| [*l, -*r]).collect();
    let stretch = heard(&both, Channels::Stereo);
    let mut sound = both.clone();
    let removed = stretch.remove(&mut sound, 480, Urgency::Calm).expect("a period");
    assert_eq!(removed.samples, 300);
    assert!(alike_db(&sound[600..], &both[600..]) > 50.0);
}

#[test]
fn noise_is_refused_unless_it_must_be_and_keeps_its_level() {
    let sound = noise(1440, 8000);
    let stretch = heard(&sound, Channels::Mono);
    let mut touched = sound.clone();
    assert_eq!(stretch.remove(&mut touched, 720, Urgency::Calm), None);
    assert_eq!(stretch.remove(&mut touched, 720, Urgency::Pressed), None);
    let mut room = [touched.clone(), std::vec![0; 720]].concat();
    assert_eq!(stretch.insert(&mut room, 1440, 720, Urgency::Calm), None);
    assert_eq!((&touched, &room[..1440]), (&sound, &sound[..]), "refused is untouched");
    let removed = stretch.remove(&mut touched, 720, Urgency::Must).expect("it must be");
    let level = |pcm: &[i16]| 10.0 * f64::from(Level::of(pcm).mean_square).log10();
    let seam = &touched[removed.samples..][..removed.samples];
    assert!((level(seam) - level(&sound)).abs() < 0.7, "{} {}", level(seam), level(&sound));
}

#[test]
fn in_quiet_any_piece_goes_and_keeps_its_level() {
    let mut stretch = heard(&vowel(120.0, 9600), Channels::Mono);
    let hush = noise(1440, 400);
    stretch.hear(&hush);
    assert!(stretch.is_quiet(&hush));
    let mut sound = hush.clone();
    let removed = stretch.remove(&mut sound, 500, Urgency::Calm).expect("it is quiet");
    assert_eq!(removed.samples, 500);
    let level = |pcm: &[i16]| 10.0 * f64::from(Level::of(pcm).mean_square).log10();
    assert!((level(&sound[500..1000]) - level(&hush)).abs() < 0.7);
    // A click in it is not quiet.
    sound[700..720].fill(9000);
    assert!(!stretch.is_quiet(&sound));
}

#[test]
fn a_level_is_learnt_in_a_moment_and_forgotten_slowly() {
    let mut stretch = Stretch::new(Channels::Mono);
    let hum = noise(48_000, 300);
    assert!(!stretch.is_quiet(&hum), "it knows nothing louder");
    stretch.hear(&vowel(120.0, 4800));
    assert!(stretch.is_quiet(&hum));
    (0..10).for_each(|_| stretch.hear(&hum));
    assert!(stretch.is_quiet(&hum[..9600]), "after 10 s the voice is remembered");
    (0..50).for_each(|_| stretch.hear(&hum));
    assert!(!stretch.is_quiet(&hum), "after a minute what was quiet is the sound");
    assert!(Stretch::new(Channels::Stereo).is_quiet(&[0; 960]), "silence always is");
}

#[test]
fn what_begins_within_reach_is_not_smeared() {
    // A stroke after a pause: the pieces differ, and it is not quiet.
    let mut sound = std::vec![0_i16; 1440];
    sound[500..].copy_from_slice(&vowel(140.0, 940));
    let stretch = heard(&vowel(140.0, 4800), Channels::Mono);
    let before = sound.clone();
    if let Some(removed) = stretch.remove(&mut sound, 720, Urgency::Calm) {
        assert!(2 * removed.samples <= 500 || alike_db(&sound[720..], &before[720..]) > 20.0, "{removed:?}");
    }
}

#[test]
fn the_longest_of_like_periods_is_taken_but_not_more_than_asked() {
    let sound = vowel(250.0, 1440);
    let stretch = heard(&sound, Channels::Mono);
    for (at_most, samples) in [(720, 576), (575, 384), (384, 384), (383, 192), (192, 192)] {
        let removed = stretch.remove(&mut sound.clone(), at_most, Urgency::Calm);
        assert_eq!(removed.map(|r| r.samples), Some(samples), "{at_most}");
    }
    assert_eq!(stretch.remove(&mut sound.clone(), 119, Urgency::Must), None);
    assert_eq!(stretch.remove(&mut sound[..239].to_vec(), 720, Urgency::Must), None, "too little to tell");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 2 } else { 400 }))]
    #[test]
    fn lengths_add_up_and_the_ends_stay_whatever_the_sound(
        seed in prop::collection::vec(any::<i16>(), 0..40),
        length in 0_usize..5000,
        room in 0_usize..2000,
        at_most: u16,
        urgency in prop::sample::select(std::vec![Urgency::Calm, Urgency::Pressed, Urgency::Must]),
        stereo: bool,
    ) {
        let channels = if stereo { Channels::Stereo } else { Channels::Mono };
        let sound: Vec<i16> = seed.iter().copied().cycle().take(if seed.is_empty() { 0 } else { length }).collect();
        let mut stretch = Stretch::new(channels);
        stretch.hear(&sound[sound.len() / 2..]);
        let (each, most) = (channels.count(), usize::from(at_most));
        let mut shorter = sound.clone();
        match stretch.remove(&mut shorter, most, urgency) {
            None => prop_assert_eq!(&shorter, &sound),
            Some(done) => {
                let gone = done.samples * each;
                prop_assert!(done.samples <= most && (120..=720).contains(&done.samples) && 2 * gone <= sound.len());
                prop_assert_eq!(&shorter[2 * gone..], &sound[2 * gone..]);
            }
        }
        let mut longer = sound.clone();
        longer.resize(sound.len() + room, 77);
        match stretch.insert(&mut longer, sound.len(), most, urgency) {
            None => prop_assert_eq!(&longer[..sound.len()], &sound[..]),
            Some(done) => {
                let more = done.samples * each;
                prop_assert!(done.samples <= most && more <= room && 2 * more <= sound.len());
                prop_assert_eq!(&longer[..more], &sound[..more]);
                prop_assert_eq!(&longer[2 * more..][..sound.len() - more], &sound[more..]);
                prop_assert!(longer[sound.len() + more..].iter().all(|value| *value == 77));
            }
        }
        prop_assert_eq!(stretch.insert(&mut [0; 10], 11, most, urgency), None);
    }
}
