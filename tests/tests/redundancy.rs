//! What real Opus packets hold of the packet before, and what the engine makes of it.

use soundpost_core::capacity::PAYLOAD_MAX;
use soundpost_core::codec::{CodecError, Decode, Encode, Extent, Input, opus_rebuilds};
use soundpost_core::config::{Bitrate, Channels, Content, Direction, FrameLen, Playout, Quality, Rate, Stream, Tuning};
use soundpost_core::engine::capture::{Capture, Command, Outcome};
use soundpost_core::engine::playback::Playback;
use soundpost_core::jitter::Arrival;
use soundpost_core::meter::PlaybackReport;
use soundpost_core::redundancy::{Redundancy, Tally, in_band};
use soundpost_core::time::{Instant, MediaTime, Span};
use soundpost_core::wire::{Frame, Header};
use soundpost_linux::opus::{OpusDecoder, OpusEncoder};
use soundpost_tests::actuators::spoken;
use soundpost_tests::measure::{Likeness, SEGMENT, likeness};
use soundpost_tests::speech::to_f32;

fn stream(channels: Channels, frame: FrameLen, bits: u32, loss_percent: u8) -> Stream {
    let mut stream = Quality::Low.stream(Direction::Capture, Content::Voice).with_frame(frame);
    stream.channels = channels;
    stream.tuning.bitrate = Bitrate::from_bps(bits).expect("Opus has it");
    stream.tuning.rate = Rate::Hz48000;
    stream.tuning.dtx = false;
    stream.tuning.expected_loss_percent = loss_percent;
    stream
}

fn packets(sound: &[i16], stream: &Stream) -> Vec<Vec<u8>> {
    let mut encoder = OpusEncoder::new(stream).expect("libopus");
    let mut packet = [0; PAYLOAD_MAX];
    let wide: Vec<i16> = sound.iter().flat_map(|v| std::iter::repeat_n(*v, stream.channels.count())).collect();
    let coded = |frame| {
        let length = encoder.encode(frame, &mut packet).expect("a frame");
        packet[..length].to_vec()
    };
    wide.chunks_exact(stream.frame_values()).map(coded).collect()
}

/// What libopus makes of packet `n` being lost: from the one behind it, or from nothing.
fn replaced(packets: &[Vec<u8>], n: usize, stream: &Stream, rebuild: bool) -> Vec<i16> {
    let mut decoder = OpusDecoder::new(stream.channels).expect("libopus");
    let mut pcm = vec![0; stream.frame_values()];
    for packet in &packets[n.saturating_sub(3)..n] {
        decoder.decode(Input::Packet(packet), &mut pcm).expect("a packet");
    }
    let input = if rebuild { Input::RecoverFrom(&packets[n + 1]) } else { Input::Conceal };
    decoder.decode(input, &mut pcm).expect("something");
    pcm
}

#[test]
fn core_sees_redundancy_where_libopus_finds_it() {
    let sound = &spoken()[..3 * 48_000];
    let (mut with, mut without) = (0, 0);
    for channels in [Channels::Mono, Channels::Stereo] {
        for frame in [FrameLen::Ms10, FrameLen::Ms20, FrameLen::Ms40, FrameLen::Ms60] {
            for (bits, loss) in [(16_000, 25), (24_000, 25), (40_000, 10), (64_000, 20), (24_000, 0)] {
                let stream = stream(channels, frame, bits, loss);
                let packets = packets(sound, &stream);
                let mut found = 0;
                for n in 3..packets.len() - 1 {
                    let told = opus_rebuilds(&packets[n + 1]);
                    // Without SILK before and behind there is none; of several frames only the last could be rebuilt.
                    let may = |packet: &[u8]| packet[0] >> 3 < 16 && packet[0] & 3 == 0;
                    let may = may(&packets[n]) && may(&packets[n + 1]);
                    let real = replaced(&packets, n, &stream, true) != replaced(&packets, n, &stream, false);
                    assert!(
                        if may { told == real } else { !told || packets[n + 1][0] & 3 == 0 },
                        "{channels:?}, {frame}, {bits} bit/s: packet {n}, {:02x?}, told {told}, really {real}",
                        &packets[n + 1][..2]
                    );
                    found += usize::from(told);
                }
                println!("{channels:?}, {frame}, {bits} bit/s for {loss} %: {found} of {}", packets.len());
                assert!(loss > 0 || found == 0, "nobody asked for it");
                with += found;
                without += packets.len() - found;
            }
        }
    }
    assert!(with > 1_000 && without > 1_000, "{with} with, {without} without");
}

/// Where core asks for redundancy in-band, libopus writes it, at every level, and without giving up any of the band;
/// with a little less it would not.
#[test]
fn where_redundancy_is_asked_for_in_band_libopus_writes_it() {
    let sound = &spoken()[..3 * 48_000];
    for channels in [Channels::Mono, Channels::Stereo] {
        for (frame, rate) in [FrameLen::Ms10, FrameLen::Ms20].into_iter().flat_map(|f| Rate::ALL.map(|rate| (f, rate)))
        {
            let coded = |bits, loss| {
                let mut stream = stream(channels, frame, bits, loss);
                stream.tuning.rate = rate;
                let packets = packets(sound, &stream);
                let found = packets.iter().filter(|packet| opus_rebuilds(packet)).count();
                (stream, found * 10 > packets.len() * 7)
            };
            let asked = |bits: &u32| in_band(&coded(*bits, 0).0, 5) == 5;
            let least = (16_000..60_000).step_by(1_000).find(asked).expect("a bitrate at which it is asked for");
            for loss in [2, 5, 10, 25] {
                assert!(coded(least, loss).1, "{channels:?} {frame} {} Hz {least} bit/s for {loss} %", rate.hz());
            }
            assert!(!coded(least - 5_000, 5).1, "{channels:?} {frame} {} Hz: less than {least} is enough", rate.hz());
        }
    }
}

/// Why the engine asks for all of a lost packet even where it needs only the end.
#[test]
fn libopus_makes_up_what_is_less_than_a_packet() {
    let stream = stream(Channels::Mono, FrameLen::Ms20, 24_000, 20);
    let packets = packets(&spoken()[..48_000], &stream);
    let rebuilt = |input: Input<'_>, samples: usize| {
        let mut decoder = OpusDecoder::new(Channels::Mono).expect("libopus");
        let mut pcm = vec![0; samples];
        for packet in &packets[..20] {
            decoder.decode(Input::Packet(packet), &mut [0; 960]).expect("a packet");
        }
        decoder.decode(input, &mut pcm).expect("something");
        pcm
    };
    let behind = &packets[21];
    assert!(opus_rebuilds(behind));
    assert_eq!(rebuilt(Input::RecoverFrom(behind), 480), rebuilt(Input::Conceal, 480));
    assert_ne!(rebuilt(Input::RecoverFrom(behind), 960), rebuilt(Input::Conceal, 960));
}

/// A decoder that can be told to make up what it could rebuild.
struct Choosing {
    decoder: OpusDecoder,
    rebuilds: bool,
}

impl Decode for Choosing {
    fn decode(&mut self, input: Input<'_>, pcm: &mut [i16]) -> Result<usize, CodecError> {
        match input {
            Input::RecoverFrom(_) if !self.rebuilds => self.decoder.decode(Input::Conceal, pcm),
            input => self.decoder.decode(input, pcm),
        }
    }
}

/// What the device got, and where in it each lost packet should have been.
struct Played {
    sound: Vec<f32>,
    seams: Vec<usize>,
    report: PlaybackReport,
}

/// Three packets of 20 ms come at once, every 60 ms; some that are neither first nor last among these are lost.
fn play(packets: &[Vec<u8>], lost: impl Fn(usize) -> bool, rebuilds: bool) -> Played {
    const FRAME: u64 = 960;
    const PULL: u64 = 480;
    let decoder = Choosing { decoder: OpusDecoder::new(Channels::Mono).expect("libopus"), rebuilds };
    let mut engine: Playback<_, &[u8]> = Playback::new(decoder, Channels::Mono).with_profile(Playout::Smooth);
    let (mut sound, mut seams, mut out) = (Vec::new(), Vec::new(), [0; PULL as usize]);
    let mut watched = (0..packets.len() - 30).filter(|n| n % 21 == 10 && *n > 105).map(|n| n as u64 * FRAME).peekable();
    for pull in 0..packets.len() as u64 * FRAME / PULL {
        let now = Instant::from_micros(1_000_000 + pull * 10_000);
        if pull % 6 == 0 {
            for n in (pull as usize / 2..packets.len()).take(3).filter(|n| !lost(*n)) {
                let extent = Extent { media: MediaTime(n as u64 * FRAME), samples: FRAME as u32 };
                let payload = &packets[n][..];
                engine.accept(Arrival { extent, arrived: now, captured: None, payload }).expect("in time");
            }
        }
        // Within a pull of where it was, at the pace of the stream.
        if let Some(position) = engine.position()
            && let Some(start) = watched.next_if(|start| position.0 + PULL > *start)
        {
            seams.push(sound.len() + start.saturating_sub(position.0) as usize);
        }
        engine.render(now, 0, &mut out);
        sound.extend(to_f32(&out));
    }
    Played { sound, seams, report: *engine.report() }
}

fn at_seams(whole: &Played, lossy: &Played) -> Likeness {
    assert_eq!(whole.seams, lossy.seams, "a loss moves nothing");
    likeness(whole.seams.iter().map(|at| (&whole.sound[*at..at + SEGMENT], &lossy.sound[*at..at + SEGMENT])))
}

#[test]
fn a_lost_packet_is_nearer_to_what_was_said_if_it_is_rebuilt() {
    let stream = stream(Channels::Mono, FrameLen::Ms20, 24_000, 20);
    let packets = packets(&spoken(), &stream);
    // One in 21, the second of three: what is behind it is here. The first seconds find the delay.
    let lost = |n: usize| n % 21 == 10 && n > 105 && n + 30 < packets.len() && opus_rebuilds(&packets[n + 1]);
    let count = (0..packets.len()).filter(|n| lost(*n)).count() as u64;
    let [whole, rebuilt, made_up] = [(false, true), (true, true), (true, false)]
        .map(|(loses, rebuilds)| play(&packets, |n| loses && lost(n), rebuilds));
    println!("{count} of {} packets lost", packets.len());
    assert!(count > 10, "{count} lost");
    assert_eq!(whole.report.recovered_samples, 0);
    assert_eq!(rebuilt.report.recovered_samples, count * 960);
    let made = |report: &PlaybackReport| report.concealed_samples + report.held_samples;
    assert_eq!(made(&rebuilt.report), made(&whole.report), "nothing is made up for what is lost");
    let (near, far) = (at_seams(&whole, &rebuilt), at_seams(&whole, &made_up));
    println!("rebuilt {near:?}, made up {far:?}");
    assert!(near.snr > far.snr + 2.0, "rebuilt {near:?}, made up {far:?}");
    assert!(near.distance < far.distance, "rebuilt {near:?}, made up {far:?}");
}

/// A minute of speech through real Opus over a link that loses packets, with reports going back every second.
struct Minute {
    report: PlaybackReport,
    bytes: u64,
    /// Packets that held redundancy, in the last ten seconds.
    redundant_at_the_end: usize,
    needs: Vec<u8>,
}

/// Retunes go through the capture engine, so that a gap would show.
fn converse(sound: &[i16], adaptive: bool, lost: impl Fn(u64) -> bool) -> Minute {
    const FRAME: usize = 960;
    let mut stream = stream(Channels::Mono, FrameLen::Ms20, 28_000, 0);
    stream.tuning.rate = Rate::Hz16000;
    let mut capture = Capture::new(OpusEncoder::new(&stream).expect("libopus"), stream);
    let decoder = OpusDecoder::new(Channels::Mono).expect("libopus");
    let mut engine: Playback<_, &[u8]> = Playback::new(decoder, Channels::Mono);
    let (mut tally, mut policy) = (Tally::new(), Redundancy::new());
    let (mut frame, mut out) = (Box::new(Frame::EMPTY), [0; FRAME / 2]);
    let (mut needs, mut bytes, mut redundant) = (vec![0], 0, Vec::new());
    for (n, samples) in (0_u64..).zip(sound.chunks_exact(FRAME)) {
        let now = Instant::from_micros(1_000_000 + n * 20_000);
        assert_eq!(capture.feed(now, samples), FRAME);
        assert_eq!(capture.encode(&mut frame), Outcome::Coded);
        let Header { sequence, media, captured, .. } = frame.header;
        assert_eq!((u64::from(sequence), media), (n, MediaTime(n * FRAME as u64)), "no retune leaves a gap");
        bytes += frame.payload().len() as u64;
        redundant.push(opus_rebuilds(frame.payload()));
        if !lost(n) {
            let extent = Extent { media, samples: FRAME as u32 };
            // As long as the test: the engine holds borrowed bytes.
            let payload: &'static [u8] = frame.payload().to_vec().leak();
            let _ = engine.accept(Arrival { extent, arrived: now, captured: None, payload });
            if let Some(report) = tally.received(now, sequence, captured).filter(|_| adaptive) {
                policy.observe(now, report);
                let percent = in_band(&stream, policy.need());
                if needs.last() != Some(&percent) {
                    let tuning = Tuning { expected_loss_percent: percent, ..stream.tuning };
                    capture.apply(Command::Retune(tuning, stream.frame));
                    needs.push(percent);
                }
            }
        }
        for half in 0..2 {
            engine.render(now.plus(Span::from_millis(half * 10)), 0, &mut out);
        }
    }
    let redundant_at_the_end = redundant.iter().rev().take(500).filter(|held| **held).count();
    Minute { report: *engine.report(), bytes, redundant_at_the_end, needs }
}

#[test]
fn measured_loss_makes_libopus_write_redundancy_and_no_loss_makes_it_stop() {
    let sound: Vec<i16> = spoken().into_iter().cycle().take(60 * 48_000).collect();
    // The same packets each time, each by itself.
    let dice = |n: u64| (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5bd1_e995).wrapping_mul(0xff51_afd7_ed55_8ccd) >> 40;
    let made_up = |minute: &Minute| {
        let report = minute.report;
        (report.concealed_samples + report.held_samples) as f64 * 100.0 / sound.len() as f64
    };
    for percent in [0, 2, 5, 10] {
        let lost = |n: u64| n > 50 && dice(n) % 1_000 < percent * 10;
        let [none, adaptive] = [false, true].map(|adaptive| converse(&sound, adaptive, lost));
        println!(
            "{percent} %: made up {:.2} % without, {:.2} % with ({} ms rebuilt), {:+.1} % bytes, told {:?}, delay {} ms",
            made_up(&none),
            made_up(&adaptive),
            adaptive.report.recovered_samples / 48,
            adaptive.bytes as f64 * 100.0 / none.bytes as f64 - 100.0,
            adaptive.needs,
            adaptive.report.target.as_micros() / 1000,
        );
        assert_eq!(none.redundant_at_the_end, 0);
        if percent == 0 {
            assert_eq!((adaptive.bytes, adaptive.report), (none.bytes, none.report), "nothing is paid for nothing");
        } else {
            assert!(made_up(&adaptive) < made_up(&none) * 0.6, "{percent} %");
            assert!(adaptive.redundant_at_the_end > 200 && adaptive.needs.len() < 6, "{:?}", adaptive.needs);
        }
    }
    // Loss that is over after fifteen seconds.
    let over = converse(&sound, true, |n| (100..750).contains(&n) && dice(n) % 10 == 0);
    assert!(over.report.recovered_samples > 20 * 960, "{:?}", over.report);
    assert_eq!((over.needs.last(), over.redundant_at_the_end), (Some(&0), 0), "{:?}", over.needs);
}
