//! What the resampler promises, by ear of a measuring instrument.

use super::*;
use proptest::prelude::*;
use std::f64::consts::PI;
use std::vec::Vec;

const PULL: usize = 480;

fn sine(hertz: f64, amplitude: f64, samples: usize) -> Vec<i16> {
    (0..samples).map(|n| (amplitude * (2.0 * PI * hertz * n as f64 / 48_000.0).sin()).round() as i16).collect()
}

/// Pulls until the input is used up; `ratio` is asked before each pull.
fn pulled(input: &[i16], channels: Channels, mut ratio: impl FnMut(usize) -> i32) -> Vec<i16> {
    let mut resampler = Resampler::new(channels);
    let (mut out, mut rest) = (Vec::new(), input);
    for pull in 0.. {
        resampler.set_ratio_ppb(ratio(pull));
        let mut piece = std::vec![0; PULL * channels.count()];
        if resampler.needed(PULL) * channels.count() > rest.len() {
            break;
        }
        rest = &rest[resampler.process(rest, &mut piece) * channels.count()..];
        out.extend(piece);
    }
    out
}

/// Fits a sine of this frequency; its amplitude, and by how many decibels it is louder than all else.
fn fit(sound: &[i16], hertz: f64) -> (f64, f64) {
    let turn = |n: usize| 2.0 * PI * hertz * n as f64 / 48_000.0;
    // Least squares over sine and cosine, which are all but orthogonal over a second; one step of refinement.
    let (mut a, mut b) = (0.0, 0.0);
    for _ in 0..4 {
        let (mut da, mut db) = (0.0, 0.0);
        for (n, value) in sound.iter().enumerate() {
            let (s, c) = turn(n).sin_cos();
            let rest = f64::from(*value) - a * s - b * c;
            da += rest * s;
            db += rest * c;
        }
        a += 2.0 * da / sound.len() as f64;
        b += 2.0 * db / sound.len() as f64;
    }
    let noise = sound.iter().enumerate().map(|(n, value)| {
        let (s, c) = turn(n).sin_cos();
        (f64::from(*value) - a * s - b * c).powi(2)
    });
    let noise = noise.sum::<f64>() / sound.len() as f64;
    ((a * a + b * b).sqrt(), 10.0 * ((a * a + b * b) / 2.0 / noise).log10())
}

#[test]
fn a_sine_comes_out_as_a_sine_of_the_new_pitch() {
    // Hertz, least decibels above noise and distortion, most decibels of droop.
    let bands = [(100.0, 75.0, 0.01), (1000.0, 75.0, 0.01), (8000.0, 70.0, 0.01), (16_000.0, 65.0, 0.02)];
    for (hertz, clean, droop) in bands {
        let input = sine(hertz, 20_000.0, 2 * 48_000);
        for ppb in [300_000, -300_000, 5_000_000, -5_000_000] {
            let out = pulled(&input, Channels::Mono, |_| ppb);
            let pitch = hertz * (1.0 + f64::from(step(ppb)) / WHOLE as f64);
            let (amplitude, decibels) = fit(&out[PULL..][..48_000], pitch);
            let loss = -20.0 * (amplitude / 20_000.0).log10();
            std::println!("{hertz} Hz, {ppb} ppb: {decibels:.1} dB above noise and distortion, droop {loss:.4} dB");
            assert!(decibels > clean, "{hertz} Hz, {ppb} ppb: {decibels} dB");
            assert!(loss.abs() < droop, "{hertz} Hz, {ppb} ppb: {loss} dB");
        }
    }
}

#[test]
fn without_a_ratio_every_bit_comes_out_as_it_went_in() {
    let noise: Vec<i16> = (0..9600_u32).map(|n| n.wrapping_mul(2_654_435_761).rotate_left(9) as i16).collect();
    for channels in [Channels::Mono, Channels::Stereo] {
        let out = pulled(&noise, channels, |_| 0);
        let late = DELAY_SAMPLES * channels.count();
        assert!(out[..late].iter().all(|value| *value == 0));
        assert_eq!(out[late..], noise[..out.len() - late]);
    }
}

#[test]
fn after_a_ratio_it_glides_back_to_handing_through() {
    let input = sine(997.0, 20_000.0, 96_000);
    let out = pulled(&input, Channels::Mono, |pull| if pull < 50 { 123_456 } else { 0 });
    let tail = &out[out.len() - 24_000..];
    assert!(input.windows(tail.len()).any(|window| window == tail), "the tail is a copy of a part of the input");
}

#[test]
fn a_change_of_ratio_is_not_heard() {
    // A step of a sine's phase or level would stand out in the second difference.
    let input = sine(1000.0, 20_000.0, 96_000);
    let ratios = [0, 5_000_000, -5_000_000, 0, 300_000, 1, 0, 0, 0, 0, 0, 0, 0, 0, -300_000, 0];
    let out = pulled(&input, Channels::Mono, |pull| ratios[pull % ratios.len()]);
    let bend = |sound: &[i16]| {
        let bends = sound.windows(3).map(|w| i32::from(w[0]) - 2 * i32::from(w[1]) + i32::from(w[2]));
        bends.map(i32::abs).max().unwrap_or(0)
    };
    let (before, after) = (bend(&input), bend(&out[64..]));
    assert!(after <= before + before / 50 + 4, "{before} before, {after} after");
}

#[test]
fn as_much_is_consumed_as_the_ratio_says_over_an_hour() {
    for ppb in [300_000, -300_000, 5_000_000, -5_000_000, 1, -1, 0] {
        let mut resampler = Resampler::new(Channels::Mono);
        resampler.set_ratio_ppb(ppb);
        let (mut consumed, mut made) = (0_i64, 0_i64);
        // Positions alone: interpolating an hour would take minutes in a debug build.
        for _ in 0..if cfg!(miri) { 1_000 } else { 3600 * 48_000 } {
            consumed += i64::from(resampler.advance());
            made += 1;
        }
        let exact = made + ((made * i64::from(step(ppb))) >> 32);
        assert_eq!(consumed, exact, "{ppb} ppb");
        let ideal = i128::from(made) * (1_000_000_000 + i128::from(ppb)) / 1_000_000_000;
        assert!((i128::from(consumed) - ideal).abs() <= 1, "{ppb} ppb: {consumed}, ideal {ideal}");
    }
}

#[test]
fn channels_do_not_mix() {
    let left = sine(440.0, 15_000.0, 24_000);
    let both: Vec<i16> = left.iter().flat_map(|value| [*value, 0]).collect();
    let out = pulled(&both, Channels::Stereo, |_| 1_000_000);
    let alone = pulled(&left, Channels::Mono, |_| 1_000_000);
    assert_eq!(out.iter().step_by(2).copied().collect::<Vec<_>>(), alone);
    assert!(out.iter().skip(1).step_by(2).all(|value| *value == 0));
}

#[test]
fn full_scale_is_clipped_and_never_wraps() {
    let square: Vec<i16> = (0..48_000).map(|n| if n / 24 % 2 == 0 { i16::MAX } else { i16::MIN }).collect();
    let out = pulled(&square, Channels::Mono, |_| 700_000);
    // What wraps has the wrong sign for a moment.
    let turns = out[64..].windows(2).filter(|w| (w[0] < 0) != (w[1] < 0)).count();
    assert!(turns.abs_diff((out.len() - 64) / 24) < 4, "{turns} in {} samples", out.len());
    assert!(out.contains(&i16::MAX) && out.contains(&i16::MIN));
}

#[test]
fn a_reset_forgets_the_sound_and_keeps_the_ratio() {
    let mut resampler = Resampler::new(Channels::Mono);
    resampler.set_ratio_ppb(400_000);
    resampler.process(&[9_999; 600], &mut [0; 500]);
    resampler.reset();
    let mut out = [1; 100];
    assert_eq!(resampler.process(&[0; 200], &mut out), 100);
    assert_eq!(out, [0; 100]);
    assert_eq!(resampler.needed(10_000), 10_004);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 4 } else { 256 }))]
    #[test]
    fn what_is_needed_is_what_is_consumed(
        ratios in prop::collection::vec((any::<i32>(), 0_usize..700), 1..20),
        stereo: bool,
    ) {
        let channels = if stereo { Channels::Stereo } else { Channels::Mono };
        let mut resampler = Resampler::new(channels);
        let noise: Vec<i16> = (0..4000_u32).map(|n| n.wrapping_mul(2_654_435_761) as i16).collect();
        for (ppb, samples) in ratios {
            // Every other one is zero, to enter and leave the copying.
            resampler.set_ratio_ppb(if ppb % 2 == 0 { 0 } else { ppb });
            let mut out = std::vec![0; samples * channels.count()];
            let needed = resampler.needed(samples);
            prop_assert!(needed.abs_diff(samples) <= 5);
            prop_assert_eq!(resampler.process(&noise, &mut out), needed);
            prop_assert_eq!(resampler.process(&noise[..7], &mut out[..0]), 0);
        }
    }

    #[test]
    fn too_little_input_is_used_up_and_followed_by_silence(have in 0_usize..100, want in 0_usize..300, ppb: i32) {
        let mut resampler = Resampler::new(Channels::Mono);
        resampler.set_ratio_ppb(ppb);
        let needed = resampler.needed(want);
        let consumed = resampler.process(&std::vec![1234; have], &mut std::vec![0; want]);
        prop_assert_eq!(consumed, needed.min(have));
    }
}
