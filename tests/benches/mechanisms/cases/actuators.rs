//! What makes sound faster, slower, shorter or longer, beside what makes the sound: one Opus decode.

use super::{Case, Group, alone};
use soundpost_core::codec::{Decode, Encode, Input};
use soundpost_core::config::{Bitrate, Channels, Content, Direction, Quality, Stream};
use soundpost_core::resample::Resampler;
use soundpost_core::stretch::{LOOK_AHEAD_SAMPLES, Stretch, Urgency};
use soundpost_linux::opus::{OpusDecoder, OpusEncoder};
use std::f32::consts::TAU;
use std::hint::black_box;
use std::time::Duration;

pub(crate) const GROUPS: &[Group] = &[
    Group {
        title: "actuators: mono",
        what: "One packet of 20 ms is decoded (a voice, SILK at 24 kbit/s), and next to it: 10 ms are resampled, a \
               period is looked for in 30 ms, found and removed or inserted, 10 ms are listened to.",
        threads: 1,
        cases: &[
            Case { name: "libopus: decode 20 ms", run: decode::<1> },
            Case { name: "resample 10 ms, 300 ppm", run: resample::<1, 300_000> },
            Case { name: "resample 10 ms, at rest", run: resample::<1, 0> },
            Case { name: "remove a period", run: remove::<1> },
            Case { name: "insert a period", run: insert::<1> },
            Case { name: "look for a period in noise, in vain", run: refuse::<1> },
            Case { name: "hear 10 ms", run: hear::<1> },
        ],
    },
    Group {
        title: "actuators: stereo",
        what: "The same with two channels; the packet is of CELT at 96 kbit/s.",
        threads: 1,
        cases: &[
            Case { name: "libopus: decode 20 ms", run: decode::<2> },
            Case { name: "resample 10 ms, 300 ppm", run: resample::<2, 300_000> },
            Case { name: "resample 10 ms, at rest", run: resample::<2, 0> },
            Case { name: "remove a period", run: remove::<2> },
            Case { name: "insert a period", run: insert::<2> },
            Case { name: "look for a period in noise, in vain", run: refuse::<2> },
            Case { name: "hear 10 ms", run: hear::<2> },
        ],
    },
];

const PULL: usize = 480;

const fn layout(channels: usize) -> Channels {
    if channels == 1 { Channels::Mono } else { Channels::Stereo }
}

/// Harmonics of 125 Hz, so many samples of so many channels.
fn voice(samples: usize, channels: usize) -> Vec<i16> {
    let sample = |n: usize| {
        let turn = TAU * 125.0 * n as f32 / 48_000.0;
        (1..24).map(|k| 4000.0 / k as f32 * (turn * k as f32 + (k * k) as f32).sin()).sum::<f32>() as i16
    };
    (0..samples).flat_map(|n| std::iter::repeat_n(sample(n), channels)).collect()
}

fn stream(channels: usize) -> Stream {
    let (quality, direction) =
        if channels == 1 { (Quality::Low, Direction::Capture) } else { (Quality::Medium, Direction::Playback) };
    let mut stream = quality.stream(direction, Content::Voice);
    assert_eq!(stream.channels.count(), channels);
    stream.tuning.bitrate = Bitrate::from_bps(if channels == 1 { 24_000 } else { 96_000 }).expect("Opus has it");
    stream
}

pub(super) fn decode<const CHANNELS: usize>(times: u64) -> Duration {
    let mut encoder = OpusEncoder::new(&stream(CHANNELS)).expect("libopus");
    let mut decoder = OpusDecoder::new(layout(CHANNELS)).expect("libopus");
    let packets: Vec<Vec<u8>> = voice(960 * 50, CHANNELS)
        .chunks(960 * CHANNELS)
        .map(|frame| {
            let mut packet = vec![0; 1500];
            let length = encoder.encode(frame, &mut packet).expect("a frame");
            packet.truncate(length);
            packet
        })
        .collect();
    let mut pcm = vec![0; 960 * CHANNELS];
    let mut packets = packets.iter().cycle();
    alone(times, || {
        let packet = Input::Packet(packets.next().expect("for ever"));
        assert_eq!(decoder.decode(packet, black_box(&mut pcm)), Ok(960));
    })
}

pub(super) fn resample<const CHANNELS: usize, const PPB: i32>(times: u64) -> Duration {
    let input = voice(PULL + 8, CHANNELS);
    let mut resampler = Resampler::new(layout(CHANNELS));
    resampler.set_ratio_ppb(PPB);
    let mut out = vec![0; PULL * CHANNELS];
    let mut consumed = 0;
    let took = alone(times, || consumed += resampler.process(black_box(&input), black_box(&mut out)) as u64);
    let ideal = times * PULL as u64 * (1_000_000_000 + PPB as u64) / 1_000_000_000;
    assert!(consumed.abs_diff(ideal) <= 1);
    took
}

pub(super) fn remove<const CHANNELS: usize>(times: u64) -> Duration {
    let sound = voice(LOOK_AHEAD_SAMPLES, CHANNELS);
    let stretch = Stretch::new(layout(CHANNELS));
    let mut work = sound.clone();
    alone(times, || {
        work.copy_from_slice(&sound);
        let done = stretch.remove(black_box(&mut work), 720, Urgency::Calm);
        assert_eq!(done.expect("a period").samples, 384);
    })
}

pub(super) fn insert<const CHANNELS: usize>(times: u64) -> Duration {
    let sound = voice(LOOK_AHEAD_SAMPLES, CHANNELS);
    let stretch = Stretch::new(layout(CHANNELS));
    let mut room = vec![0; 3 * sound.len()];
    alone(times, || {
        room[..sound.len()].copy_from_slice(&sound);
        let done = stretch.insert(black_box(&mut room), sound.len(), 720, Urgency::Calm);
        assert_eq!(done.expect("a period").samples, 384);
    })
}

fn refuse<const CHANNELS: usize>(times: u64) -> Duration {
    let noise = |n: u32| n.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
    let state = std::iter::successors(Some(1_u32), |n| Some(noise(*n)));
    let mut sound: Vec<i16> = state.map(|n| (n >> 16) as i16).take(LOOK_AHEAD_SAMPLES * CHANNELS).collect();
    let stretch = Stretch::new(layout(CHANNELS));
    alone(times, || assert_eq!(stretch.remove(black_box(&mut sound), 720, Urgency::Calm), None))
}

pub(super) fn hear<const CHANNELS: usize>(times: u64) -> Duration {
    let sound = voice(PULL, CHANNELS);
    let mut stretch = Stretch::new(layout(CHANNELS));
    let took = alone(times, || stretch.hear(black_box(&sound)));
    assert!(!stretch.is_quiet(&sound));
    took
}
