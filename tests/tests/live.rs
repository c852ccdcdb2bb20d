//! A daemon is changed while somebody listens: presets, contents, frame lengths and devices, in the middle of a chirp.
//! Between two devices there is a gap, which stream time accounts for; everything else is not heard.

use soundpost_client::Heard;
use soundpost_client::blocking::{Controller, Listener};
use soundpost_core::codec::{Decode, Input, opus_samples};
use soundpost_core::config::{Channels, Content, Direction, FrameLen, Quality};
use soundpost_core::wire::{Flags, Header};
use soundpost_linux::daemon::control::{Applied, How};
use soundpost_linux::opus::OpusDecoder;
use soundpost_linux::rt::AudioThread;
use soundpost_tests::proc::Program;
use soundpost_tests::{until_some_every, wav};
use std::collections::BTreeMap;
use std::f64::consts::PI;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(30);
/// Changes, if nobody says otherwise by `SOUNDPOST_CHANGES`; each of [`DEVICE_EVERY`] is to another device.
const CHANGES: usize = 240;
/// A take in which the machine had no time for the sound is taken again.
const TAKES: usize = 3;
const DEVICE_EVERY: usize = 24;
/// A controller may ask fifty times a second; so many take turns.
const CONTROLLERS: usize = 4;
const PACE: Duration = Duration::from_millis(8);
/// The chirp repeats without a seam.
const PERIOD: u64 = 4 * 48_000;
/// What is heard trails by one of these: the look-ahead of encoders without speech modes and with them.
const TRAILS: [u64; 2] = [120, 312];
const PIECE: usize = 240;
const WINDOW: usize = 2_400;
/// Speech modes do not keep the waveform of tones; a window that is a millisecond off is less alike than this.
const ALIKE: f64 = 0.7;
/// What another recording is found by.
const STRETCH: usize = WINDOW * 4;
/// Each stream is heard for so many samples at least.
const HEARD: u64 = 4_800;

/// A tone that glides from 300 to 1300 Hz and back every four seconds.
fn chirp(n: u64) -> f64 {
    let t = (n % PERIOD) as f64 / 48_000.0;
    let slow = 2.0 * PI / 4.0;
    8_000.0 * (2.0 * PI * (800.0 * t + 500.0 / slow * (1.0 - (slow * t).cos()))).sin()
}

/// What was heard, sample by sample of stream time; what is missing is silence.
struct Take {
    begins: u64,
    sound: Vec<f64>,
    /// Steps of stream time.
    steps: usize,
}

/// A packet, or what came instead.
type Caught = Result<(Header, Vec<u8>), String>;

/// Listens until it is dropped. What is not read at once is lost, so it has the priority of an audio thread, and does
/// nothing else.
fn listen(socket: &Path) -> (AudioThread, Receiver<Caught>) {
    let mut listener = Listener::connect(socket, "ear").expect("a welcome");
    let (caught, packets) = channel();
    let ear = AudioThread::spawn(Direction::Playback, move |stop| {
        while !stop.is_set() {
            let packet = match listener.hear() {
                Ok(Heard::Packet(header, opus)) => Ok((header, opus.to_vec())),
                other => Err(format!("{other:?}")),
            };
            if caught.send(packet).is_err() {
                break;
            }
        }
        listener.leave();
    });
    (ear.expect("a thread"), packets)
}

/// Decodes what was caught; nothing may be missing that stream time does not tell of.
fn decode(packets: &Receiver<Caught>) -> Take {
    let mut decoder = OpusDecoder::new(Channels::Stereo).expect("a decoder");
    let mut take = Take { begins: 0, sound: Vec::new(), steps: 0 };
    let mut expected = None;
    for packet in packets.try_iter() {
        let (header, opus) = packet.expect("a packet");
        let (sequence, media) = expected.unwrap_or_else(|| {
            take.begins = header.media.0;
            (header.sequence, header.media.0)
        });
        assert_eq!(header.sequence, sequence, "no packet is missing");
        assert!(header.media.0 >= media, "stream time never goes back: {} after {media}", header.media.0);
        let missing = header.media.0 - media;
        if missing > 0 {
            assert!(header.flags.has(Flags::GAP), "a step of stream time is said to be one");
            take.steps += 1;
            take.sound.extend(std::iter::repeat_n(0.0, missing as usize));
        }
        let samples = u64::from(opus_samples(&opus).expect("a packet"));
        expected = Some((header.sequence.wrapping_add(1), header.media.0 + samples));
        let mut pcm = [0; 5_760];
        let made = decoder.decode(Input::Packet(&opus), &mut pcm).expect("it can be decoded");
        assert_eq!(made as u64, samples);
        take.sound.extend(pcm[..made * 2].chunks(2).map(|both| f64::from(both[0])));
    }
    take
}

/// How alike two sounds are, from −1 to 1.
fn likeness(a: &[f64], b: &[f64]) -> f64 {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt().max(1.0)
}

/// The chirp as it is heard.
struct Score(Vec<f64>);

impl Score {
    fn new() -> Self {
        Self((0..PERIOD * 2).map(chirp).collect())
    }

    /// What should be heard in so many samples from `media` on with this trail, if the recording began at `origin`.
    fn at(&self, samples: usize, media: u64, origin: u64, trail: u64) -> &[f64] {
        let from = ((media + PERIOD * 1_000 - origin - trail) % PERIOD) as usize;
        &self.0[from..from + samples]
    }

    /// How alike a sound is to what it should be with the better one of the trails.
    fn alike(&self, is: &[f64], media: u64, origin: u64) -> f64 {
        let with = |trail| likeness(is, self.at(is.len(), media, origin, trail));
        TRAILS.map(with).into_iter().fold(-1.0, f64::max)
    }

    /// What should be heard, where the trail may change from piece to piece.
    fn ought(&self, is: &[f64], media: u64, origin: u64) -> Vec<f64> {
        let piece = |(n, is): (usize, &[f64])| {
            let with = TRAILS.map(|trail| self.at(PIECE, media + (n * PIECE) as u64, origin, trail));
            with.into_iter().max_by(|a, b| likeness(is, a).total_cmp(&likeness(is, b))).expect("there are trails")
        };
        is.chunks(PIECE).enumerate().flat_map(piece).copied().collect()
    }

    /// Which trail a sound has, if that can be told.
    fn trail(&self, is: &[f64], media: u64, origin: u64) -> Option<u64> {
        let [short, long] = TRAILS.map(|trail| likeness(is, self.at(is.len(), media, origin, trail)));
        ((short - long).abs() > 0.3).then(|| TRAILS[usize::from(long > short)])
    }

    /// When the recording began that is heard from `media` on: within this stretch of stream time.
    fn origin(&self, sound: &[f64], media: u64, within: Range<u64>) -> u64 {
        let first = |origin: u64| self.alike(&sound[..STRETCH], media, origin);
        // The tone is at most 1.3 kHz: two samples off are still alike. But a whole wave off is so, too, for a while.
        let rough: Vec<_> = within.step_by(4).map(|origin| (first(origin), origin)).collect();
        let most = rough.iter().map(|(alike, _)| *alike).fold(-1.0, f64::max);
        let near = rough.iter().filter(|(alike, _)| *alike > most - 0.15);
        let near =
            near.flat_map(|(_, origin)| origin.saturating_sub(2)..origin + 2).filter(|n| first(*n) > most - 0.01);
        let all = |origin: u64| {
            let windows = sound.chunks_exact(WINDOW).zip((media..).step_by(WINDOW));
            windows.map(|(is, media)| self.alike(is, media, origin)).sum::<f64>()
        };
        near.map(|origin| (all(origin), origin)).max_by(|a, b| a.0.total_cmp(&b.0)).expect("a range").1
    }
}

struct Judged {
    windows: usize,
    worst: f64,
    least_db: f64,
    most_db: f64,
}

/// Follows the chirp through all that was heard but for these stretches of stream time, behind each of which another
/// recording begins.
fn judge(take: &Take, others: &[Range<u64>], changes: &[(u64, String)]) -> Judged {
    let (score, end) = (Score::new(), take.begins + take.sound.len() as u64);
    let mut judged = Judged { windows: 0, worst: 1.0, least_db: 0.0, most_db: 0.0 };
    // The first recording began with stream time, but for what was lost while everything else began, too.
    let first = take.begins + 2 * WINDOW as u64;
    let begins = std::iter::once((0..9_600, first)).chain(others.iter().map(|other| (other.clone(), other.end)));
    let ends = others.iter().map(|other| other.start).chain([end]);
    for ((within, begin), end) in begins.zip(ends) {
        let sound = &take.sound[(begin - take.begins) as usize..(end - take.begins) as usize];
        let origin = score.origin(sound, begin, within);
        let mut trail = 0;
        for (n, is) in sound.chunks_exact(WINDOW).enumerate() {
            let media = begin + (n * WINDOW) as u64;
            let ought = score.ought(is, media, origin);
            let alike = likeness(is, &ought);
            let before = changes[..changes.partition_point(|(at, _)| *at < media)].last();
            assert!(alike > ALIKE, "at {media}, with a recording that began at {origin}: {alike:.2}; {before:?}");
            judged.worst = judged.worst.min(alike);
            judged.windows += 1;
            // What trails longer is held back, and nothing is jumped over: a chirp is never quiet.
            let now = score.trail(is, media, origin).unwrap_or(trail);
            assert!(now >= trail, "{} samples are jumped over at {media}", trail - now);
            trail = now;
            let power = |sound: &[f64]| sound.iter().map(|value| value * value).sum::<f64>();
            for (is, ought) in is.chunks(PIECE).zip(ought.chunks(PIECE)) {
                let db = 10.0 * (power(is) / power(ought)).log10();
                (judged.least_db, judged.most_db) = (judged.least_db.min(db), judged.most_db.max(db));
                if !(-6.0..4.0).contains(&db) {
                    println!("{db:.1} dB in the 50 ms from {media} on, after {before:?}");
                }
            }
        }
    }
    judged
}

/// Who changes things, and waits until they are so.
struct Conductor {
    controllers: Vec<Controller>,
    turn: usize,
    took: BTreeMap<String, Vec<Duration>>,
}

impl Conductor {
    fn new(socket: &Path) -> Self {
        let one = || Controller::connect(socket, "conductor", Some(SOON)).expect("a welcome");
        Self { controllers: (0..CONTROLLERS).map(|_| one()).collect(), turn: 0, took: BTreeMap::new() }
    }

    fn next(&mut self) -> &mut Controller {
        self.turn += 1;
        &mut self.controllers[self.turn % CONTROLLERS]
    }

    fn status(&mut self) -> serde_json::Value {
        serde_json::from_str(&self.next().status().expect("a status")).expect("JSON")
    }

    /// Stream time, as it was a moment ago.
    fn time(&mut self) -> u64 {
        self.status()["capture"]["stream_samples"].as_u64().expect("a number")
    }

    /// Samples that were captured by nobody.
    fn lost(&mut self) -> u64 {
        self.status()["capture"]["lost_samples"].as_u64().expect("a number")
    }

    /// Waits until so much more of the stream has been captured.
    fn hear(&mut self, samples: u64) {
        let end = self.time() + samples;
        let heard = until_some_every(PACE, SOON, || (self.time() >= end).then_some(()));
        heard.expect("stream time goes on");
    }

    /// Sets these and waits until the worker says that they are in effect; how that came.
    fn set(&mut self, said: &[(&str, &str)]) -> How {
        let began = Instant::now();
        let answer = self.next().set(said).unwrap_or_else(|error| panic!("{said:?}: {error}"));
        let applied: Applied = serde_json::from_str(&answer).expect("JSON");
        let hows = applied.changes.iter().map(|change| change.how).filter(|how| *how != How::Nothing);
        let Some(how) = hows.max_by_key(|how| *how as u8) else { return How::Nothing };
        let in_effect = until_some_every(PACE, SOON, || {
            let status = self.status();
            let applied_now = status["capture"]["changes"]["applied"].as_u64().expect("a number");
            let runs = status["capture"]["worker"]["state"] == "running";
            (runs && applied_now >= u64::from(applied.generation)).then_some(())
        });
        assert!(in_effect.is_some(), "{said:?}: {}", self.status());
        self.took.entry(how.to_string()).or_default().push(began.elapsed());
        how
    }
}

/// All presets, contents and frame lengths, from one to the next in an order that repeats late.
fn streams(count: usize) -> Vec<(Quality, Content, FrameLen)> {
    let contents = [Content::Voice, Content::Program];
    let all: Vec<_> = Quality::ALL
        .into_iter()
        .flat_map(|quality| contents.map(|content| (quality, content)))
        .flat_map(|(quality, content)| FrameLen::ALL.map(|frame| (quality, content, frame)))
        .collect();
    let steps = [1, 5, 7, 11, 13, 17, 19, 23, 25, 29, 31, 35, 37, 41, 43, 47];
    let mut at = 0;
    let next = |n: usize| {
        at = (at + steps[n / all.len() % steps.len()]) % all.len();
        all[at]
    };
    (0..count).map(next).collect()
}

#[test]
fn hundreds_of_changes_are_not_heard_and_other_devices_for_no_longer_than_they_take() {
    let count = std::env::var("SOUNDPOST_CHANGES").map_or(CHANGES, |text| text.parse().expect("a number"));
    assert!((0..TAKES).any(|_| are_not_heard(count)), "in none of {TAKES} takes the machine had time for the sound");
}

/// Makes so many changes and judges what is heard; `false` if that cannot be judged.
fn are_not_heard(count: usize) -> bool {
    let dir = tempfile::tempdir().expect("a directory");
    let devices = ["a.wav", "b.wav"].map(|name| {
        wav::write(&dir.path().join(name), (0..PERIOD).map(|n| chirp(n) as i16));
        format!("file:{}?loop", dir.path().join(name).display())
    });
    let socket: PathBuf = dir.path().join("s.sock");
    let args = ["run", "--playback", "null", "--adapt", "false", "--quality", "medium", "--capture", &devices[0]];
    let daemon = Program::spawn(&[&args[..], &["--socket", &socket.display().to_string()]].concat(), &[]);
    daemon.wait_for_line(|line| line.contains("is ready"), SOON);

    let (ear, packets) = listen(&socket);
    let mut conductor = Conductor::new(&socket);
    let (mut others, mut between, mut changes) = (Vec::new(), 0, Vec::new());
    conductor.hear(2 * HEARD + STRETCH as u64);
    let at_first = conductor.lost();
    for (n, (quality, content, frame)) in streams(count).into_iter().enumerate() {
        let (quality, began) = (quality.to_string(), conductor.time());
        if n % DEVICE_EVERY == DEVICE_EVERY - 1 {
            let lost = conductor.lost();
            // Without speech modes, so that the chirp is easily found again.
            let device = devices[(others.len() + 1) % 2].as_str();
            assert_eq!(conductor.set(&[("capture.device", device), ("capture.quality", "high")]), How::Replaced);
            // Until the device has come to rest.
            conductor.hear(2 * HEARD);
            others.push(began.saturating_sub(HEARD)..conductor.time());
            between += conductor.lost() - lost;
            changes.push((began, "another device, high".to_owned()));
            conductor.hear(HEARD + STRETCH as u64);
        } else {
            let said = [
                ("capture.quality", quality.as_str()),
                ("capture.content", content.name()),
                ("capture.frame", frame.name()),
            ];
            let how = conductor.set(&said);
            changes.push((began, format!("{quality} {} {}: {how}", content.name(), frame.name())));
            // What came with another device may be the next in the row.
            let is_there = how == How::Nothing && n % DEVICE_EVERY == 0;
            assert!(is_there || matches!(how, How::Retuned | How::Reshaped), "{said:?}");
            conductor.hear(HEARD);
        }
    }
    let replaced = others.len();
    let (status, starved) = (conductor.status(), conductor.lost() - between - at_first);
    // One more packet comes, and ends that.
    drop(ear);
    let take = decode(&packets);

    let worker = &status["capture"]["worker"];
    assert_eq!((&worker["restarts"], &worker["replacements"]), (&0.into(), &replaced.into()), "{worker}");
    for (how, mut took) in conductor.took {
        took.sort_unstable();
        let ms = |at: usize| took[at.min(took.len() - 1)].as_secs_f64() * 1e3;
        println!(
            "{:>4} {how}: in effect within {:.0} ms (median), {:.0} ms (most)",
            took.len(),
            ms(took.len() / 2),
            ms(took.len())
        );
    }
    if starved > 0 {
        println!(
            "{starved} samples were lost because the machine had too much else to do: that is heard, and not judged"
        );
        return false;
    }
    let judged = judge(&take, &others, &changes);
    println!(
        "{:.0} s, {} windows of 50 ms at least {:.3} alike, level {:.1} to {:.1} dB; {replaced} other devices cost {:.0} ms each",
        take.sound.len() as f64 / 48_000.0,
        judged.windows,
        judged.worst,
        judged.least_db,
        judged.most_db,
        between as f64 / 48.0 / replaced.max(1) as f64,
    );
    assert!(take.steps <= replaced, "nothing but another device makes a step of stream time");
    assert!(judged.least_db > -6.0 && judged.most_db < 4.0, "{} to {} dB", judged.least_db, judged.most_db);
    true
}
