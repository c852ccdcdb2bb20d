//! Stream time is the captured sample count, whatever happens: in virtual time, with the marker codec, which
//! shows of every sample which one it was, and with libopus.

use heapless::spsc::Queue;
use soundpost_core::capacity::{COMMAND_RING_LEN, HANDOVER_RING_LEN};
use soundpost_core::codec::{Decode, Encode, Input};
use soundpost_core::config::{Content, Direction, FrameLen, Quality, Stream};
use soundpost_core::cycle::{CaptureLinks, CaptureRig};
use soundpost_core::engine::capture::{Capture, Command};
use soundpost_core::latest::Latest;
use soundpost_core::meter::CaptureReport;
use soundpost_core::pool::Pool;
use soundpost_core::time::{Instant, Span};
use soundpost_core::wire::{Flags, Frame};
use soundpost_linux::opus::OpusEncoder;
use soundpost_sim::{Fault, MarkerDecoder, MarkerEncoder, SimIn, VirtualClock, marker};

const SLOTS: usize = 4;
const PERIOD: u32 = 128;

/// What was handed over, and when the pool ran out on purpose.
struct Run {
    frames: Vec<Frame>,
    report: CaptureReport,
}

/// What to do before the turn with that number.
enum Event {
    Command(Command),
    /// Somebody holds all slots for so many turns.
    Starve(usize),
}

/// Captures `samples` samples and collects every packet.
fn capture<E: Encode>(encoder: E, stream: Stream, samples: u64, faults: &[Fault], events: Vec<(usize, Event)>) -> Run {
    let pool: Pool<Frame, SLOTS> = Pool::new(Frame::EMPTY);
    let mut commands = Queue::<Command, COMMAND_RING_LEN>::new();
    let mut packets = Queue::<_, HANDOVER_RING_LEN>::new();
    let mut reports = Latest::new(CaptureReport::default());
    let (mut command, commands) = commands.split();
    let (packet_in, mut packet_out) = packets.split();
    let (publisher, mut reader) = reports.split();
    let clock = VirtualClock::default();
    let device = SimIn::new(clock.clone(), PERIOD, samples, faults);
    let links = CaptureLinks { pool: &pool, commands, packets: packet_in, reports: publisher };
    let mut rig = CaptureRig::new(device, clock, Capture::new(encoder, stream), links);
    let mut events = events.into_iter().peekable();
    let (mut frames, mut hostages, mut until) = (Vec::new(), Vec::new(), 0);
    for turn in 0.. {
        while let Some((_, event)) = events.next_if(|(at, _)| *at <= turn) {
            match event {
                Event::Command(c) => command.enqueue(c).expect("room for a command"),
                Event::Starve(turns) => {
                    hostages = std::iter::from_fn(|| pool.claim().ok()).collect();
                    until = turn + turns;
                }
            }
        }
        if turn >= until {
            hostages.clear();
        }
        let result = rig.turn();
        while let Some(packet) = packet_out.dequeue() {
            frames.push(packet.with(|frame| *frame));
        }
        if result.is_err() {
            break;
        }
    }
    drop(hostages);
    assert_eq!(pool.stats().in_use, 0, "I4: every slot came back");
    Run { frames, report: reader.read() }
}

fn voice(quality: Quality, frame: FrameLen) -> Stream {
    quality.stream(Direction::Capture, Content::Voice).with_frame(frame)
}

fn decode(frame: &Frame) -> Vec<i16> {
    let mut pcm = vec![0; 2880];
    let samples = MarkerDecoder::default().decode(Input::Packet(frame.payload()), &mut pcm).expect("a marker packet");
    pcm.truncate(samples);
    pcm
}

/// Checks that the samples of every frame are where its stream time says.
fn samples_are_in_their_place(run: &Run) {
    for frame in &run.frames {
        let first = frame.header.media.0;
        // Faded or silent beside a gap; its own number everywhere else.
        let right = decode(frame).iter().zip(first..).filter(|(value, n)| **value == marker(*n)).count();
        let other = decode(frame).iter().filter(|value| **value != 0).count() - right;
        assert!(other <= 2 * 48, "{other} samples of the frame at {first} are not where they belong");
    }
}

#[test]
fn plus_960_per_20_ms_without_trouble() {
    let run = capture(MarkerEncoder::default(), voice(Quality::Medium, FrameLen::Ms20), 480_000, &[], Vec::new());
    assert_eq!(run.frames.len(), 500);
    for (n, frame) in run.frames.iter().enumerate() {
        assert_eq!(frame.header.media.0, n as u64 * 960);
        assert_eq!(frame.header.sequence, n as u32);
        assert_eq!(frame.header.captured, Instant::ZERO.plus(Span::from_samples(n as u64 * 960)));
    }
    assert!(run.frames[0].header.flags.has(Flags::START));
    samples_are_in_their_place(&run);
}

#[test]
fn an_xrun_moves_stream_time_by_what_was_lost_on_the_same_grid() {
    // Shorter than a frame, a whole number of frames, and much longer than either.
    let faults = [
        Fault { at: 10_000, lost: 100 },
        Fault { at: 50_000, lost: 960 },
        Fault { at: 90_000, lost: 48_123 },
        Fault { at: 200_000, lost: 1 },
    ];
    let run = capture(MarkerEncoder::default(), voice(Quality::Medium, FrameLen::Ms20), 480_000, &faults, Vec::new());
    assert_eq!(run.report.xruns, 4);
    assert_eq!(run.report.lost_samples, 100 + 960 + 48_123 + 1);
    assert!(run.frames.iter().all(|frame| frame.header.media.0 % 960 == 0));
    assert_eq!(run.frames.len() as u64 + run.report.gap_frames, 500, "every 20 ms is accounted for");
    let jumps = run.frames.windows(2).filter(|pair| pair[1].header.media.0 - pair[0].header.media.0 != 960).count();
    assert_eq!(jumps, 1, "only a gap of whole frames leaves frames out");
    assert!(run.frames.windows(2).all(|pair| pair[1].header.sequence == pair[0].header.sequence + 1), "none is a loss");
    samples_are_in_their_place(&run);
}

#[test]
fn a_dropped_frame_leaves_its_place_in_stream_time_and_in_the_sequence() {
    let events = vec![(100, Event::Starve(40)), (300, Event::Starve(1))];
    let run = capture(MarkerEncoder::default(), voice(Quality::Medium, FrameLen::Ms20), 96_000, &[], events);
    assert!((5..=7).contains(&run.report.no_slot), "{}", run.report.no_slot);
    for frame in &run.frames {
        assert_eq!(frame.header.media.0, u64::from(frame.header.sequence) * 960);
    }
    assert_eq!(run.frames.len() as u64 + run.report.no_slot, 100);
    samples_are_in_their_place(&run);
}

#[test]
fn mute_and_every_frame_length_in_turn_leave_no_seam() {
    let mut events = Vec::new();
    for (n, frame) in FrameLen::ALL.into_iter().cycle().take(60).enumerate() {
        let stream = voice(Quality::ALL[n % 4], frame);
        events.push((20 + n * 37, Event::Command(Command::Retune(stream.tuning, frame))));
    }
    events.push((2_400, Event::Command(Command::Mute(true))));
    events.push((2_500, Event::Command(Command::Mute(false))));
    let run = capture(MarkerEncoder::default(), voice(Quality::Medium, FrameLen::Ms20), 480_000, &[], events);
    let mut expected = 0;
    let mut lengths = std::collections::BTreeSet::new();
    for frame in &run.frames {
        if frame.header.flags.has(Flags::GAP) {
            assert!(run.report.muted > 0);
            expected = frame.header.media.0;
        }
        assert_eq!(frame.header.media.0, expected, "not one sample is skipped or repeated");
        let samples = decode(frame).len();
        expected += samples as u64;
        lengths.insert(samples);
    }
    assert_eq!(lengths.len(), 6, "all lengths were used: {lengths:?}");
    assert!((4..=20).contains(&run.report.muted), "{} frames muted", run.report.muted);
    samples_are_in_their_place(&run);
}

#[test]
fn libopus_keeps_stream_time_across_xruns_drops_and_preset_changes() {
    let start = voice(Quality::Medium, FrameLen::Ms20);
    let presets = [Quality::High, Quality::Ultra, Quality::Medium, Quality::High];
    let mut events: Vec<_> = presets
        .into_iter()
        .enumerate()
        // Ultra's own frames are shorter; here only the sound of a preset changes.
        .map(|(n, quality)| {
            (500 + n * 500, Event::Command(Command::Retune(voice(quality, FrameLen::Ms20).tuning, FrameLen::Ms20)))
        })
        .collect();
    events.push((2_700, Event::Starve(30)));
    let faults = [Fault { at: 30_000, lost: 777 }, Fault { at: 400_000, lost: 5_000 }];
    let run = capture(OpusEncoder::new(&start).expect("an encoder"), start, 480_000, &faults, events);
    let sizes: std::collections::BTreeSet<_> = run.frames.iter().map(|frame| frame.payload().len() / 50).collect();
    assert!(sizes.len() >= 3, "the presets reached the encoder: {sizes:?}");
    assert!(run.frames.iter().all(|frame| frame.header.media.0 % 960 == 0));
    let report = run.report;
    assert!(report.no_slot > 0 && report.xruns == 2);
    assert_eq!(run.frames.len() as u64 + report.no_slot + report.gap_frames, 500);
    assert_eq!(report.captured_samples + report.lost_samples, 480_000);
}
