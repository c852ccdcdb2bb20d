//! What is agreed on with devices of all kinds, and that the sound survives it.

use soundpost_core::config::{Channels, Direction, TIMING};
use soundpost_core::port::{PcmError, PcmIn, PcmOut};
use soundpost_core::recovery::Step;
use soundpost_linux::pcm::{self, Opened, Options, Uri};
use soundpost_tests::proc::Program;
use soundpost_tests::rig::{FORMATS, Trouble, Wishes};
use std::f64::consts::TAU;
use std::time::Duration;

const RATES: [u32; 13] =
    [8_000, 11_025, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 64_000, 88_200, 96_000, 176_400, 192_000];

fn uri(device: &Trouble) -> Uri {
    device.uri().parse().expect("a URI")
}

/// Captures so many samples of the first two channels.
fn captured(device: &Trouble, count: usize) -> (Opened, Vec<[i16; 2]>) {
    let (mut source, opened) =
        pcm::open_capture(&uri(device), Options::of(Direction::Capture, Channels::Stereo)).expect("it opens");
    let channels = source.channels();
    let mut room = vec![0; source.period() * channels];
    let mut heard = Vec::new();
    while heard.len() < count {
        let read = match source.read(&mut room) {
            Ok(read) => read,
            // This machine was busy elsewhere.
            Err(PcmError::Xrun) => {
                source.recover(Step::Prepare).expect("it comes back");
                heard.clear();
                continue;
            }
            Err(error) => panic!("{opened}: {error:?}"),
        };
        let samples = room[..read.samples as usize * channels].chunks(channels);
        heard.extend(samples.map(|sample| [sample[0], sample[channels - 1]]));
    }
    (opened, heard)
}

/// Amplitude of a tone in sound at 48 kHz, and what is not that tone, as an amplitude.
fn tone(heard: &[i16], hertz: f64) -> (f64, f64) {
    let at = |n: usize| TAU * hertz * n as f64 / 48_000.0;
    let scale = 2.0 / heard.len() as f64;
    let part =
        |wave: fn(f64) -> f64| heard.iter().enumerate().map(|(n, v)| f64::from(*v) * wave(at(n))).sum::<f64>() * scale;
    let (sine, cosine) = (part(f64::sin), part(f64::cos));
    let rest = heard.iter().enumerate().map(|(n, v)| f64::from(*v) - sine * at(n).sin() - cosine * at(n).cos());
    (sine.hypot(cosine), (rest.map(|x| x * x).sum::<f64>() * scale).sqrt())
}

/// That the channels hold the tones of these channels of the device, undisturbed.
fn check_tones(opened: &Opened, heard: &[[i16; 2]], channels: [u32; 2]) {
    // Whole cycles, and not the converter's first breath.
    let heard = &heard[heard.len() - 4_800..];
    for (ours, channel) in channels.into_iter().enumerate() {
        let values: Vec<i16> = heard.iter().map(|sample| sample[ours]).collect();
        let (amplitude, rest) = tone(&values, 100.0 * f64::from(channel));
        assert!((amplitude - 8_000.0).abs() < 20.0 && rest < 4.0, "{opened}: {ours}: {amplitude:.1} {rest:.2}");
    }
}

#[test]
fn every_format_at_every_rate_is_captured_as_it_was() {
    std::thread::scope(|scope| {
        for (format, _) in FORMATS {
            scope.spawn(move || {
                for rate in RATES {
                    let device = Trouble::new(Wishes::default().formats(&[format]).rates(&[rate]).channels(2, 2));
                    let (opened, heard) = captured(&device, 6_400);
                    assert_eq!((&*opened.format, opened.rate_hz, device.seen().rate), (format, rate, rate));
                    check_tones(&opened, &heard, [1, 2]);
                }
            });
        }
    });
}

#[test]
fn of_one_to_eight_channels_the_front_ones_are_captured() {
    for channels in 1..=8 {
        let device = Trouble::new(Wishes::default().channels(channels, channels));
        let (opened, heard) = captured(&device, 6_400);
        assert_eq!(opened.device_channels, channels);
        check_tones(&opened, &heard, [1, channels.min(2)]);
    }
}

#[test]
fn a_channel_map_says_which_channels_are_the_front_ones() {
    // FL is 3, FR is 4, FC is 7, LFE is 8 in ALSA's numbers.
    for (map, picked) in [([4, 3, 0, 0], [2, 1]), ([7, 8, 3, 4], [3, 4])] {
        let count = map.iter().filter(|position| **position > 0).count() as u32;
        let mut wishes = Wishes::default().rates(&[44_100]).channels(count, count);
        wishes.chmap[..4].copy_from_slice(&map);
        let device = Trouble::new(wishes);
        let (opened, heard) = captured(&device, 6_400);
        check_tones(&opened, &heard, picked);
        assert!(opened.to_string().contains(&format!("({} and {} used)", picked[0], picked[1])), "{opened}");
    }
}

#[test]
fn every_format_rate_and_number_of_channels_is_played() {
    std::thread::scope(|scope| {
        for (format, _) in FORMATS {
            scope.spawn(move || {
                for (rate, channels) in RATES.into_iter().zip((1..=8).cycle()) {
                    played(Wishes::default().formats(&[format]).rates(&[rate]).channels(channels, channels), rate);
                }
            });
        }
    });
}

/// Plays a steady value until the device has that in its front channels and silence in the others.
fn played(wishes: Wishes, rate: u32) {
    let device = Trouble::new(wishes);
    let (mut sink, opened) =
        pcm::open_playback(&uri(&device), Options::of(Direction::Playback, Channels::Stereo)).expect("it opens");
    let period = vec![4_000; sink.period() * sink.channels()];
    let ours = opened.channels.count();
    // What a machine that is busy elsewhere lets the queue grow to.
    let most = opened.period_samples * TIMING.playback_periods_max + opened.conversion_samples + 2;
    let arrived = || device.seen().last[..ours].iter().all(|value| (3_990..=4_010).contains(value));
    let enough = (0..).take_while(|turn| *turn < 10 || !arrived()).take(1_000);
    for _ in enough {
        let turned = sink.wait().and_then(|()| {
            assert!(sink.queued() <= most, "{opened}: {}", sink.queued());
            sink.write(&period)
        });
        match turned {
            Ok(()) => {}
            // This machine was busy elsewhere.
            Err(PcmError::Xrun) => sink.recover(Step::Prepare).expect("it comes back"),
            Err(error) => panic!("{opened}: {error:?}"),
        }
    }
    let seen = device.seen();
    assert_eq!((opened.rate_hz, seen.rate), (rate, rate), "{opened}");
    assert!(seen.last[..ours].iter().all(|value| (3_990..=4_010).contains(value)), "{opened}: {:?}", seen.last);
    assert!(seen.last[ours..].iter().all(|value| *value == 0), "{opened}: {:?}", seen.last);
}

#[test]
fn our_own_rate_is_preferred_and_then_the_one_that_costs_least() {
    for (offered, chosen) in [
        (&[8_000, 44_100, 48_000, 96_000][..], 48_000),
        (&[44_100, 96_000], 96_000),
        (&[32_000, 44_100], 44_100),
        (&[8_000, 16_000], 16_000),
    ] {
        let device = Trouble::new(Wishes::default().rates(offered));
        assert_eq!(captured(&device, 1).0.rate_hz, chosen);
    }
}

#[test]
fn a_plugins_own_conversion_is_left_alone() {
    let device = Trouble::new(Wishes::default().rates(&[44_100]));
    let uri = format!("alsa:plug:{}", device.name()).parse::<Uri>().expect("a URI");
    let (_, opened) = pcm::open_capture(&uri, Options::of(Direction::Capture, Channels::Stereo)).expect("it opens");
    assert_eq!(opened.rate_hz, 44_100, "the plugin would have offered 48 kHz");
}

#[test]
fn short_reads_are_gathered() {
    for rate in [48_000, 44_100] {
        let device = Trouble::new(Wishes { short_reads: 7, ..Wishes::default().rates(&[rate]) });
        let (opened, heard) = captured(&device, 6_400);
        check_tones(&opened, &heard, [1, 2]);
    }
}

#[test]
fn long_periods_are_moved_in_parts_and_said_to_be_long() {
    for (rate, parts) in [(48_000, 2), (44_100, 2), (192_000, 1)] {
        let device = Trouble::new(Wishes { period: [1_024, 1_024], ..Wishes::default().rates(&[rate]).channels(2, 2) });
        let (opened, heard) = captured(&device, 12_000);
        check_tones(&opened, &heard, [1, 2]);
        let period = 1_024 * 48_000 / rate;
        assert!(opened.device_period.abs_diff(period) <= 1, "{opened}");
        assert!((opened.period_samples * parts).abs_diff(period) <= parts, "{opened}");
        assert!(opened.latency_samples(Direction::Capture) >= period);
    }
}

#[test]
fn absurd_devices_are_refused_by_what_is_wrong_with_them() {
    let opened = |wishes: Wishes| {
        let device = Trouble::new(wishes);
        let error = pcm::open_capture(&uri(&device), Options::of(Direction::Capture, Channels::Mono));
        error.map(|(_, opened)| opened.to_string()).unwrap_err().to_string()
    };
    for (wishes, named) in [
        (Wishes::default().rates(&[4_000]), &["runs at no rate from 8000 to 192000 Hz", "4000 Hz"][..]),
        (Wishes::default().channels(9, 12), &["no number of channels from 1 to 8", "9 to 12"]),
        (Wishes { open_errno: libc::EBUSY as u32, ..Wishes::default() }, &["another program is using it"]),
        (Wishes { open_errno: libc::EACCES as u32, ..Wishes::default() }, &["permission denied", "`audio`"]),
        (Wishes { gone: 1, ..Wishes::default() }, &["no such device", "soundpost devices"]),
    ] {
        let error = opened(wishes);
        assert!(named.iter().all(|name| error.contains(name)), "{error}");
    }
}

#[test]
fn the_list_says_what_would_be_asked_of_a_device_and_how_late_that_is() {
    let odd = Trouble::new(Wishes { period: [1_024, 1_024], ..Wishes::default().formats(&["S32"]).rates(&[44_100]) });
    let taken = Trouble::new(Wishes { open_errno: libc::EBUSY as u32, ..Wishes::default() });
    let (_, known) = odd.envs().remove(0);
    let named = |name: &str, device: &Trouble| {
        let control = device.name().replace("trouble:", "");
        format!("pcm.{name} {{ type trouble control \"{control}\" hint {{ show on description \"card {name}\" }} }}\n")
    };
    let folder = tempfile::tempdir().expect("a directory");
    let conf = folder.path().join("alsa.conf");
    std::fs::write(&conf, format!("<{known}>\n{}{}", named("odd", &odd), named("taken", &taken))).expect("a file");
    let envs = [("ALSA_CONFIG_PATH".to_owned(), conf.display().to_string())];
    let mut asked = Program::spawn(&["devices", "--json"], &envs);
    assert!(asked.wait_exit(Duration::from_secs(20)).success(), "{}", asked.output());
    let list: serde_json::Value =
        asked.output().lines().find_map(|line| serde_json::from_str(line).ok()).expect("a line of JSON");
    let of = |uri: &str, direction: &str| {
        let found = list.as_array().expect("a list").iter().find(|d| d["uri"] == uri && d["direction"] == direction);
        found.unwrap_or_else(|| panic!("{uri} is not in {list:#}")).clone()
    };
    for direction in [Direction::Capture, Direction::Playback] {
        let word = if direction == Direction::Capture { "capture" } else { "playback" };
        let found = of("alsa:odd", word);
        assert_eq!(found["description"], "card odd");
        let chosen = &found["chosen"];
        assert_eq!((&chosen["format"], &chosen["rate_hz"]), (&"S32".into(), &44_100.into()), "{found:#}");
        // What it says is what opening it comes to.
        let opened = match direction {
            Direction::Capture => {
                pcm::open_capture(&uri(&odd), Options::of(direction, Channels::Mono)).map(|(_, opened)| opened)
            }
            Direction::Playback => {
                pcm::open_playback(&uri(&odd), Options::of(direction, Channels::Stereo)).map(|(_, opened)| opened)
            }
        };
        let opened = opened.expect("it opens");
        for (said, samples) in [("period_ms", opened.device_period), ("latency_ms", opened.latency_samples(direction))]
        {
            let ms = chosen[said].as_f64().expect("a number");
            assert!((ms - f64::from(samples) / 48.0).abs() < 0.01, "{said}: {found:#}, {samples} samples");
        }
        assert!(opened.latency_samples(direction) >= 1_024, "no less than a period of the device");
        let error = of("alsa:taken", word)["error"].as_str().unwrap_or_default().to_owned();
        assert!(error.contains("using it") || error.contains("busy"), "{error:?}");
    }
}
