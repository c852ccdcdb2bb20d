//! Rings 3 and 4: the whole way of the sound, from a card through packets to a card, in virtual time.

use crate::board::{Stopwatch, stack_used_by};
use crate::toy::{Heard, Lossless, Microphone, PERIOD, Speaker, Ticks, marker, samples};
use core::cell::Cell;
use heapless::spsc::Queue;
use soundpost_core::capacity::{CAPTURE_SLOTS, COMMAND_RING_LEN, HANDOVER_RING_LEN, PAYLOAD_MAX, PLAYBACK_SLOTS};
use soundpost_core::config::{Channels, Content, Direction, FrameLen, Quality, Stream};
use soundpost_core::cycle::{CaptureLinks, CaptureRig, Inbound, PlaybackRig};
use soundpost_core::engine::capture::{Capture, Command};
use soundpost_core::engine::playback::Playback;
use soundpost_core::latest::Latest;
use soundpost_core::meter::{CaptureReport, PlaybackReport};
use soundpost_core::pool::{Owned, Pool, Shared};
use soundpost_core::time::{Instant, Span};
use soundpost_core::wire::{self, Frame, HEADER_LEN};

const FRAME: u64 = 960;

static CAPTURE_POOL: Pool<Frame, CAPTURE_SLOTS> = Pool::new(Frame::EMPTY);
static PLAYBACK_POOL: Pool<Frame, PLAYBACK_SLOTS> = Pool::new(Frame::EMPTY);

type Packet = Shared<'static, Frame, CAPTURE_SLOTS>;
type Arrived = Inbound<'static, PLAYBACK_SLOTS>;
type Recorder<'a> = CaptureRig<'a, 'static, Microphone<'a>, Ticks<'a>, Lossless, CAPTURE_SLOTS>;
type Player<'a> = PlaybackRig<'a, 'static, Speaker<'a>, Ticks<'a>, Lossless, PLAYBACK_SLOTS>;

/// Says how much memory a device needs for both directions.
pub(crate) fn print_sizes() {
    let pools = size_of_val(&CAPTURE_POOL) + size_of_val(&PLAYBACK_POOL);
    let rings = size_of::<Queue<Packet, HANDOVER_RING_LEN>>() + size_of::<Queue<Arrived, HANDOVER_RING_LEN>>();
    let (capture, playback) = (size_of::<Recorder<'_>>(), size_of::<Player<'_>>());
    defmt::println!(
        "figure memory: pools {=usize}, capture {=usize}, playback {=usize}, rings {=usize} bytes",
        pools,
        capture,
        playback,
        rings
    );
}

fn stream() -> Stream {
    Quality::Medium.stream(Direction::Capture, Content::Voice).with_frame(FrameLen::Ms20)
}

fn now(clock: &Cell<Instant>) -> Instant {
    clock.get()
}

/// What happens on the way.
#[derive(Clone, Copy, Default)]
struct Plan<'a> {
    /// Periods to capture.
    turns: u32,
    /// At which sample the microphone loses how many.
    faults: &'a [(u64, u64)],
    /// The packet with this sequence number is lost.
    lost: Option<u32>,
    /// From which turn to which somebody holds all slots of the capture pool.
    starved: Option<(u32, u32)>,
    /// From which turn to which it is muted.
    muted: Option<(u32, u32)>,
}

/// What came of it.
struct Outcome {
    heard: Heard,
    capture: CaptureReport,
    playback: PlaybackReport,
    packets: u64,
    /// Turns of capture, of playback.
    watches: [Stopwatch; 2],
    /// How deep the stack got in such a turn.
    stacks: [u32; 2],
}

/// Captures, carries every packet over a wire of bytes, and plays.
fn run(plan: Plan<'_>) -> Outcome {
    let (clock, heard) = (Cell::new(Instant::ZERO), Cell::new(Heard::default()));
    let mut commands = Queue::<Command, COMMAND_RING_LEN>::new();
    let mut packets = Queue::<Packet, HANDOVER_RING_LEN>::new();
    let mut arrivals = Queue::<Arrived, HANDOVER_RING_LEN>::new();
    let (mut captured, mut played) = (Latest::new(CaptureReport::default()), Latest::new(PlaybackReport::default()));
    let (mut command, commands) = commands.split();
    let (packet_in, mut packet_out) = packets.split();
    let (mut arrival_in, arrival_out) = arrivals.split();
    let links = CaptureLinks { pool: &CAPTURE_POOL, commands, packets: packet_in, reports: captured.split().0 };
    let microphone = Microphone { clock: &clock, next: 0, faults: plan.faults };
    let mut recorder: Recorder<'_> =
        CaptureRig::new(microphone, Ticks(&clock), Capture::new(Lossless, stream()), links);
    let engine = Playback::new(Lossless, Channels::Mono);
    let mut player: Player<'_> =
        PlaybackRig::new(Speaker(&heard), Ticks(&clock), engine, arrival_out, played.split().0);

    let mut watches = [Stopwatch::default(), Stopwatch::default()];
    let mut stacks = [0; 2];
    let mut hostages: heapless::Vec<Owned<'_, Frame, CAPTURE_SLOTS>, CAPTURE_SLOTS> = heapless::Vec::new();
    let mut count = 0;
    for turn in 0..plan.turns {
        match plan.starved {
            Some((from, _)) if turn == from => hostages.extend(core::iter::from_fn(|| CAPTURE_POOL.claim().ok())),
            Some((_, to)) if turn == to => hostages.clear(),
            _ => {}
        }
        if let Some((from, to)) = plan.muted.filter(|(from, to)| turn == *from || turn == *to) {
            command.enqueue(Command::Mute(turn == from && turn < to)).expect("room for a command");
        }
        let (turned, stack) = watched(turn, &mut watches[0], || recorder.turn());
        turned.expect("a card that can be had back");
        stacks[0] = stacks[0].max(stack);
        while let Some(packet) = packet_out.dequeue() {
            count += 1;
            if packet.with(|frame| Some(frame.header.sequence) != plan.lost) {
                let arrived = Inbound { arrived: now(&clock), frame: carry(&packet) };
                arrival_in.enqueue(arrived).expect("room in the ring");
            }
        }
        let (turned, stack) = watched(turn, &mut watches[1], || player.turn());
        turned.expect("a card that never fails");
        stacks[1] = stacks[1].max(stack);
    }
    let outcome = (*recorder.engine().report(), *player.engine().report());
    // Whatever still waits goes back to its pool.
    drop((recorder, player, packet_out, arrival_in));
    while arrivals.dequeue().is_some() {}
    Outcome { heard: heard.take(), capture: outcome.0, playback: outcome.1, packets: count, watches, stacks }
}

/// Does a turn and either counts its instructions or, now and then, measures its stack; both at once would count the
/// painting.
fn watched<R>(turn: u32, watch: &mut Stopwatch, work: impl FnOnce() -> R) -> (R, u32) {
    if turn % 32 == 31 { stack_used_by(work) } else { (watch.time(work), 0) }
}

/// A packet becomes bytes, the bytes a packet in a slot of the other pool; its samples are checked on the way.
fn carry(packet: &Packet) -> Shared<'static, Frame, PLAYBACK_SLOTS> {
    let mut bytes = [0; HEADER_LEN + PAYLOAD_MAX];
    let length = packet.with(|frame| {
        let payload = frame.payload();
        bytes[..HEADER_LEN].copy_from_slice(&frame.header.emit());
        bytes[HEADER_LEN..HEADER_LEN + payload.len()].copy_from_slice(payload);
        HEADER_LEN + payload.len()
    });
    let (header, payload, rest) = wire::parse(&bytes[..length]).expect("a message");
    assert!(rest.is_empty());
    assert_eq!(header.media.0 % FRAME, 0, "stream time is on its grid");
    let first = header.media.0;
    let displaced = samples(payload).zip(first..).filter(|(value, n)| *value != 0 && *value != marker(*n)).count();
    assert!(displaced <= 2 * 48, "{displaced} samples of the frame at {first} are not where they belong");
    let mut slot = PLAYBACK_POOL.claim().expect("a slot for what arrives");
    slot.with_mut(|frame| frame.fill(header, payload)).expect("it fits");
    slot.share()
}

fn every_slot_is_back() {
    assert_eq!((CAPTURE_POOL.stats().in_use, PLAYBACK_POOL.stats().in_use), (0, 0));
}

/// Samples in `turns` periods.
const fn length(turns: u32) -> u64 {
    turns as u64 * PERIOD as u64
}

pub(crate) fn what_is_captured_is_heard_sample_for_sample() {
    let plan = Plan { turns: 3_750, ..Plan::default() };
    let Outcome { heard, capture, playback, packets, watches, stacks } = run(plan);
    assert_eq!(capture.captured_samples, length(plan.turns));
    assert_eq!((packets, capture.sent), (length(plan.turns) / FRAME, packets));
    assert_eq!((capture.dropped(), playback.held_samples, playback.concealed_samples), (0, 0, 0));
    // Each is the one after the one before, but for the beginning, where the delay finds its place at half a percent
    // of speed, and for what the interpolation makes of the numbers' end.
    let sound = heard.samples - heard.silent;
    assert!(heard.in_order >= sound / 100 * 95, "{} of {sound} in order", heard.in_order);
    assert!(heard.silent < 1_400, "sound begins after {} samples", heard.silent);
    let latency = playback.metrics.average_latency.expect("packets say when they were captured");
    assert!(latency < Span::from_millis(40), "{} us", latency.as_micros());
    every_slot_is_back();
    watches[0].print("capture, a period of 128 samples, toy codec");
    watches[1].print("playback, a period of 128 samples, toy codec");
    defmt::println!("figure stack of a turn: capture {=u32}, playback {=u32} bytes", stacks[0], stacks[1]);
    defmt::println!("figure capture pool: {}", CAPTURE_POOL.stats());
    defmt::println!("figure report of playback: {}", playback);
}

pub(crate) fn a_lost_packet_is_made_up_for_and_nothing_else_changes() {
    let plan = Plan { turns: 750, lost: Some(50), ..Plan::default() };
    let Outcome { heard, playback, .. } = run(plan);
    assert!((700..=1_100).contains(&heard.made_up), "{} samples made up", heard.made_up);
    assert_eq!((playback.metrics.frames_dropped, playback.late), (1, 0));
    let sound = heard.samples - heard.silent - heard.made_up;
    // The beginning and the seam behind what was made up.
    assert!(heard.in_order >= sound / 100 * 75, "{} of {sound} in order", heard.in_order);
    every_slot_is_back();
}

pub(crate) fn xruns_and_mute_leave_stream_time_on_its_grid() {
    let faults = [(10_000, 100), (50_000, 960), (90_000, 48_123)];
    let plan = Plan { turns: 1_500, faults: &faults, muted: Some((1_000, 1_100)), ..Plan::default() };
    let Outcome { capture, packets, .. } = run(plan);
    assert_eq!((capture.xruns, capture.lost_samples), (3, 100 + 960 + 48_123));
    assert!((13..=15).contains(&capture.muted), "{} frames muted", capture.muted);
    let total = capture.captured_samples + capture.lost_samples;
    assert_eq!(packets + capture.gap_frames + capture.muted, total / FRAME, "every 20 ms is accounted for");
    every_slot_is_back();
}

pub(crate) fn a_starved_pool_drops_frames_and_comes_back() {
    let plan = Plan { turns: 750, starved: Some((200, 300)), ..Plan::default() };
    let Outcome { capture, packets, .. } = run(plan);
    assert!((12..=15).contains(&capture.no_slot), "{} frames without a slot", capture.no_slot);
    assert_eq!(packets + capture.no_slot, length(plan.turns) / FRAME);
    every_slot_is_back();
}
