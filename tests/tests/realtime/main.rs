//! I5: an audio thread takes nothing from the heap, gives nothing back, takes no lock and enters no critical section.
//!
//! Both cranks turn in virtual time for ten thousand frames with the real codec, through all that goes wrong: packets
//! that are lost, late, reordered and in bursts, devices that run over, new settings, mute. [`count`] says how it is
//! counted, and the last tests here that it does count.
#![cfg(all(target_os = "linux", target_env = "gnu", target_pointer_width = "64"))]

mod count;
mod devices;
mod ports;

use count::{Counts, counted, duplicate_as_c_does};
use devices::{Microphone, Speaker};
use heapless::spsc::{Producer, Queue};
use soundpost_core::capacity::{CAPTURE_SLOTS, COMMAND_RING_LEN, HANDOVER_RING_LEN, PLAYBACK_SLOTS};
use soundpost_core::config::{Channels, Content, Direction, FrameLen, Gain, Quality, Stream};
use soundpost_core::cycle::{CaptureLinks, CaptureRig, Inbound, PlaybackRig, ShapeLinks};
use soundpost_core::engine::capture::{Capture, Command, Shape};
use soundpost_core::engine::playback::Playback;
use soundpost_core::latest::Latest;
use soundpost_core::meter::{CaptureReport, PlaybackReport};
use soundpost_core::pool::Pool;
use soundpost_core::wire::Frame;
use soundpost_linux::opus::{OpusDecoder, OpusEncoder};
use soundpost_linux::rt::Bell;
use soundpost_sim::VirtualClock;
use soundpost_sim::audit::{Auditor, audio_path};
use std::collections::VecDeque;

critical_section::set_impl!(Auditor);

const FRAMES: u64 = 10_000;

/// The way between the two: loses, delays, reorders and stalls packets.
struct Network<'a, 'p> {
    pool: &'p Pool<Frame, PLAYBACK_SLOTS>,
    arrivals: Producer<'a, Inbound<'p, PLAYBACK_SLOTS>>,
    clock: VirtualClock,
    waiting: VecDeque<Frame>,
    stalled_until: u64,
}

impl Network<'_, '_> {
    fn carry(&mut self, frame: Frame) {
        let n = u64::from(frame.header.sequence);
        match n {
            // A single one is lost; several in a row are.
            _ if n % 53 == 0 || n % 701 < 6 => return,
            _ if n % 997 == 0 => self.stalled_until = n + 3,
            _ => {}
        }
        self.waiting.push_back(frame);
        if n % 97 == 1 || n < self.stalled_until {
            return;
        }
        if n % 97 == 2 {
            // The one that was held back comes after this one.
            self.waiting.make_contiguous().reverse();
        }
        while let Some(frame) = self.waiting.pop_front() {
            self.arrive(&frame);
        }
    }

    fn arrive(&mut self, frame: &Frame) {
        let Ok(mut slot) = self.pool.claim() else { return };
        slot.with_mut(|to| to.fill(frame.header, frame.payload())).expect("a frame fits a slot");
        drop(self.arrivals.enqueue(Inbound { arrived: self.clock.time(), frame: slot.share() }));
    }
}

/// Something new for the encoder now and then.
fn command(turn: u64, stream: &Stream) -> Option<Command> {
    let frames = [stream.frame, FrameLen::Ms10, stream.frame, FrameLen::Ms60];
    let qualities = [Quality::Medium, Quality::Low, Quality::Ultra, Quality::High];
    let turns = usize::try_from(turn / 2_000).unwrap_or(0) % 4;
    match turn % 2_000 {
        500 => Some(Command::Mute(true)),
        520 => Some(Command::Mute(false)),
        700 => Some(Command::Gain(Gain::from_millibels(600 - (turn % 9) as i16 * 150).expect("in range"))),
        900 => Some(Command::Gain(Gain::NONE)),
        1_000 => {
            Some(Command::Retune(qualities[turns].stream(Direction::Capture, Content::Program).tuning, frames[turns]))
        }
        1_200 => Some(Command::Retune(stream.tuning, stream.frame)),
        _ => None,
    }
}

/// Another encoder now and then, of another shape.
fn another(turn: u64, stream: &Stream) -> Option<Stream> {
    let qualities = [Quality::Low, Quality::Ultra, Quality::Medium];
    let contents = [Content::Program, Content::Voice];
    let n = usize::try_from(turn / 2_000).unwrap_or(0);
    match turn % 2_000 {
        1_500 => Some(qualities[n % 3].stream(Direction::Capture, contents[n % 2])),
        1_510 => Some(stream.with_frame(FrameLen::Ms2_5)),
        1_700 => Some(*stream),
        _ => None,
    }
}

/// Turns both cranks until so many frames were sent. What the audio threads did, and what they report.
fn talk(stream: Stream, heard: Channels) -> (Counts, CaptureReport, PlaybackReport) {
    let (pool, far) = (Pool::<Frame, CAPTURE_SLOTS>::new(Frame::EMPTY), Pool::new(Frame::EMPTY));
    let (mut commands, mut packets) = (Queue::<_, COMMAND_RING_LEN>::new(), Queue::<_, HANDOVER_RING_LEN>::new());
    let mut arrivals = Queue::<_, HANDOVER_RING_LEN>::new();
    let (mut fresh, mut spent) = (Queue::<_, 4>::new(), Queue::<OpusEncoder, 4>::new());
    let ((mut fresh_in, fresh), (spent, mut spent_out)) = (fresh.split(), spent.split());
    let (mut sent, mut played) = (Latest::new(CaptureReport::default()), Latest::new(PlaybackReport::default()));
    let (mut command_in, commands) = commands.split();
    let (packets, mut packet_out) = packets.split();
    let (arrivals, arrival_out) = arrivals.split();
    let ((sent_in, mut sent), (played_in, mut played)) = (sent.split(), played.split());
    let clock = VirtualClock::default();
    let bell = Bell::new().expect("a bell");

    let links = CaptureLinks { pool: &pool, commands, packets, reports: sent_in };
    let encoder = Capture::new(OpusEncoder::new(&stream).expect("an encoder"), stream);
    let mut near = CaptureRig::new(Microphone::new(clock.clone(), stream.channels), clock.clone(), encoder, links)
        .with_shapes(ShapeLinks { fresh, spent });
    let decoder = Playback::new(OpusDecoder::new(heard).expect("a decoder"), heard);
    let mut speaker = PlaybackRig::new(Speaker::new(heard), clock.clone(), decoder, arrival_out, played_in);
    let mut network = Network { pool: &far, arrivals, clock, waiting: VecDeque::new(), stalled_until: 0 };

    let (mut total, mut made, mut came_back) = (Counts::default(), 0, 0);
    for turn in 0.. {
        if let Some(command) = command(turn, &stream) {
            command_in.enqueue(command).expect("room for a command");
        }
        if let Some(stream) = another(turn, &stream) {
            let shape = Shape { encoder: OpusEncoder::new(&stream).expect("an encoder"), stream };
            assert!(fresh_in.enqueue(shape).is_ok() && command_in.enqueue(Command::Reshape).is_ok(), "room for both");
            made += 1;
        }
        let (result, counts) = counted(|| {
            audio_path(|| {
                let turn = near.turn()?;
                if turn.packets > 0 {
                    bell.ring();
                }
                speaker.turn()
            })
        });
        result.expect("the devices are never lost");
        came_back += std::iter::from_fn(|| spent_out.dequeue()).count();
        total = Counts { heap: total.heap + counts.heap, locks: total.locks + counts.locks };
        while let Some(packet) = packet_out.dequeue() {
            network.carry(packet.with(|frame| *frame));
        }
        if sent.read().sent >= FRAMES {
            break;
        }
    }
    assert!(made > 6 && came_back == made, "{came_back} encoders of {made} came back");
    (total, sent.read(), played.read())
}

/// Nothing was counted, and there was plenty to count it in.
fn check(quality: Quality, content: Content, channels: Channels, heard: Channels) {
    let stream = Stream { channels, ..quality.stream(Direction::Capture, content) };
    let (counts, sent, played) = talk(stream, heard);
    assert_eq!(counts, Counts::default(), "{quality}: {sent:?} {played:?}");
    assert_eq!((sent.encode_errors, played.decode_errors), (0, 0), "{quality}: {sent:?} {played:?}");
    let sends = [sent.xruns, sent.lost_samples, sent.gap_frames, sent.muted];
    let plays =
        [played.concealed_samples, played.held_samples, played.cut_samples, played.inserted_samples, played.lost];
    assert!(
        played.xruns > 0 && !sends.contains(&0) && !plays.contains(&0),
        "{quality}: not all of it happened: {sent:?} {played:?}"
    );
    println!("{quality}: {} frames sent, {} received; {counts:?}", sent.sent, played.metrics.frames_received);
}

#[test]
fn ports_of_alsa_devices_and_the_rate_converter_need_no_heap() {
    for (format, rate) in [("S16", 48_000), ("S16", 44_100), ("S32", 44_100), ("FLOAT", 96_000)] {
        for (way, counts) in [("captured", ports::captured(format, rate)), ("played", ports::played(format, rate))] {
            println!("{way}, {format}, {rate} Hz, 1000 periods: {counts:?}");
            assert_eq!(counts.heap, 0, "{way} {format} {rate}");
        }
    }
}

#[test]
fn ten_thousand_frames_of_speech_need_no_heap_and_no_lock() {
    check(Quality::Low, Content::Voice, Channels::Mono, Channels::Mono);
}

#[test]
fn ten_thousand_frames_in_mono_played_in_stereo_need_no_heap_and_no_lock() {
    check(Quality::Medium, Content::Voice, Channels::Mono, Channels::Stereo);
}

#[test]
fn ten_thousand_frames_of_stereo_need_no_heap_and_no_lock() {
    check(Quality::High, Content::Program, Channels::Stereo, Channels::Stereo);
}

#[test]
fn the_heap_is_counted_whoever_calls_it() {
    let (mut numbers, counts) = counted(|| vec![1_u64; 3]);
    assert_eq!(counts, Counts { heap: 1, locks: 0 });
    let ((), counts) = counted(|| numbers.extend([4; 100]));
    assert_eq!(counts.heap, 1, "growing");
    assert_eq!(counted(|| drop(numbers)).1.heap, 1, "giving back");
    assert_eq!(counted(|| duplicate_as_c_does(c"C")).1.heap, 2, "C, from within the C library");
    let stream = Quality::Medium.stream(Direction::Capture, Content::Voice);
    let (encoder, counts) = counted(|| OpusEncoder::new(&stream));
    assert!(encoder.is_ok() && counts.heap >= 1, "libopus allocates when an encoder is made: {counts:?}");
}

#[test]
fn locks_are_counted_and_critical_sections_refused() {
    let mut mutex = libc::PTHREAD_MUTEX_INITIALIZER;
    // SAFETY: a lock that nobody else knows and that does not move while it is held.
    let (_, counts) = counted(|| unsafe {
        libc::pthread_mutex_lock(&raw mut mutex);
        libc::pthread_mutex_unlock(&raw mut mutex)
    });
    assert_eq!(counts, Counts { heap: 0, locks: 1 });

    let entered = || std::panic::catch_unwind(|| audio_path(|| critical_section::with(|_| ())));
    assert!(entered().is_err(), "the auditor lets nobody pass");
}
