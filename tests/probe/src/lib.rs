//! Every real-time entry of the core, around devices that the compiler cannot see into.
//!
//! `cargo xtask prove` builds this for the host and two microcontrollers, whole-program optimised, and reads the
//! object file: from an `entry_` no path may lead to a panic, nothing outside may be called but `world_` and what
//! every compiler's runtime has, and stack, code and memory are compared with a table. It is never run.
//!
//! A new real-time entry of the core gets a function here, named `entry_` and what it does.
#![no_std]

mod sizes;
mod world;

use core::panic::PanicInfo;
use soundpost_core::capacity::{CAPTURE_SLOTS, PLAYBACK_SLOTS};
use soundpost_core::codec::opus_samples;
use soundpost_core::config::Stream;
use soundpost_core::cycle::{CaptureRig, Held, PlaybackRig};
use soundpost_core::engine::capture::{Capture, Command, Shape};
use soundpost_core::engine::fader::Fader;
use soundpost_core::engine::playback::{self, Playback};
use soundpost_core::jitter::Arrival;
use soundpost_core::latest::{Publisher, Reader};
use soundpost_core::meter::{CaptureReport, PlaybackReport};
use soundpost_core::pool::{Pool, Shared};
use soundpost_core::resample::Resampler;
use soundpost_core::stretch::{Stretch, Urgency};
use soundpost_core::supervise::{Action, Event, Supervisor};
use soundpost_core::time::Instant;
use soundpost_core::watch::{Beat, Stuck, Watch};
use soundpost_core::wire::{self, Fault, Frame, Header, Hello, Kind, Welcome};
use world::{Card, Codec, Ticks};

type Microphone = CaptureRig<'static, 'static, Card, Ticks, Codec, CAPTURE_SLOTS>;
type Speaker = PlaybackRig<'static, 'static, Card, Ticks, Codec, PLAYBACK_SLOTS>;
type Packet = Shared<'static, Frame, PLAYBACK_SLOTS>;
type Waiting = Held<'static, PLAYBACK_SLOTS>;

unsafe extern "C" {
    /// Called by a panic and by nothing else.
    safe fn world_panicked() -> !;
}

#[panic_handler]
fn on_panic(_: &PanicInfo<'_>) -> ! {
    world_panicked()
}

#[unsafe(no_mangle)]
fn entry_capture_turn(rig: &mut Microphone) -> bool {
    rig.turn().is_ok()
}

#[unsafe(no_mangle)]
fn entry_capture_replace_device(rig: &mut Microphone) {
    rig.replace_device(Card);
}

#[unsafe(no_mangle)]
fn entry_playback_turn(rig: &mut Speaker) -> bool {
    rig.turn().is_ok()
}

#[unsafe(no_mangle)]
fn entry_playback_replace_device(rig: &mut Speaker) {
    rig.replace_device(Card);
}

#[unsafe(no_mangle)]
fn entry_capture_feed(engine: &mut Capture<Codec>, first: Instant, pcm: &[i16]) -> usize {
    engine.feed(first, pcm)
}

#[unsafe(no_mangle)]
fn entry_capture_encode(engine: &mut Capture<Codec>, out: &mut Frame) -> bool {
    engine.encode(out) == soundpost_core::engine::capture::Outcome::Coded
}

#[unsafe(no_mangle)]
fn entry_capture_on_gap(engine: &mut Capture<Codec>, since: Instant, lost: u64) -> u64 {
    engine.on_gap(since, lost)
}

#[unsafe(no_mangle)]
fn entry_capture_fill_up(engine: &mut Capture<Codec>, edge: Instant) {
    engine.fill_up(edge);
}

#[unsafe(no_mangle)]
fn entry_capture_apply(engine: &mut Capture<Codec>, command: &Command) {
    engine.apply(*command);
}

#[unsafe(no_mangle)]
fn entry_capture_reshape(engine: &mut Capture<Codec>, stream: &Stream) -> bool {
    engine.reshape(Shape { encoder: Codec, stream: *stream });
    engine.take_spent().is_some()
}

#[unsafe(no_mangle)]
fn entry_capture_pass_over(engine: &mut Capture<Codec>, header: &Header) {
    engine.skip();
    engine.mute();
    engine.on_xrun();
    engine.on_ring_full(header);
}

#[unsafe(no_mangle)]
fn entry_playback_accept(engine: &mut Playback<Codec, Waiting>, arrival: Arrival<Waiting>) -> bool {
    engine.accept(arrival).is_ok()
}

#[unsafe(no_mangle)]
fn entry_playback_render(engine: &mut Playback<Codec, Waiting>, now: Instant, queued: u32, out: &mut [i16]) {
    engine.render(now, queued, out);
}

#[unsafe(no_mangle)]
fn entry_playback_restart(engine: &mut Playback<Codec, Waiting>) {
    engine.begin(None);
    engine.on_xrun();
}

#[unsafe(no_mangle)]
fn entry_playback_apply(engine: &mut Playback<Codec, Waiting>, command: &playback::Command) {
    engine.apply(*command);
    engine.hush(engine.report().is_muted);
}

#[unsafe(no_mangle)]
fn entry_fade(fader: &mut Fader, pcm: &mut [i16], channels: usize) {
    fader.process(pcm, channels);
}

#[unsafe(no_mangle)]
fn entry_watch(watch: &mut Watch, now: Instant, beat: &Beat) -> Option<Instant> {
    watch.handle(now, *beat);
    watch.observe().map(Stuck::since).or(Some(watch.next_deadline()))
}

#[unsafe(no_mangle)]
fn entry_resample(resampler: &mut Resampler, ppb: i32, input: &[i16], out: &mut [i16]) -> usize {
    resampler.set_ratio_ppb(ppb);
    let missing = resampler.needed(out.len()).saturating_sub(input.len());
    resampler.process(input, out).wrapping_add(missing)
}

#[unsafe(no_mangle)]
fn entry_stretch_hear(stretch: &mut Stretch, pcm: &[i16]) -> bool {
    stretch.hear(pcm);
    stretch.is_quiet(pcm)
}

#[unsafe(no_mangle)]
fn entry_stretch_remove(stretch: &Stretch, sound: &mut [i16], at_most: usize, urgency: Urgency) -> usize {
    stretch.remove(sound, at_most, urgency).map_or(0, |done| done.samples)
}

#[unsafe(no_mangle)]
fn entry_stretch_insert(stretch: &Stretch, room: &mut [i16], filled: usize, most: usize, urgency: Urgency) -> usize {
    stretch.insert(room, filled, most, urgency).map_or(0, |done| done.samples)
}

#[unsafe(no_mangle)]
fn entry_opus_samples(packet: &[u8]) -> u32 {
    opus_samples(packet).unwrap_or(0)
}

/// The way in: bytes of a socket to a slot.
#[unsafe(no_mangle)]
fn entry_wire_parse(bytes: &[u8], frame: &mut Frame) -> usize {
    match wire::parse(bytes) {
        Ok((header, payload, rest)) => frame.fill(header, payload).map_or(0, |()| rest.len()),
        Err(_) => 0,
    }
}

#[unsafe(no_mangle)]
fn entry_wire_emit(kind: Kind, payload: &[u8], out: &mut [u8]) -> usize {
    wire::emit(kind, payload, out).unwrap_or(0)
}

#[unsafe(no_mangle)]
fn entry_wire_header(header: &Header, out: &mut [u8; wire::HEADER_LEN]) {
    *out = header.emit();
}

#[unsafe(no_mangle)]
fn entry_wire_hello(bytes: &[u8], out: &mut [u8]) -> usize {
    Hello::parse(bytes).and_then(|hello| hello.emit(out)).unwrap_or(0)
}

#[unsafe(no_mangle)]
fn entry_wire_welcome(bytes: &[u8], out: &mut [u8; 16]) -> bool {
    Welcome::parse(bytes).map(|welcome| *out = welcome.emit()).is_ok()
}

#[unsafe(no_mangle)]
fn entry_wire_fault(bytes: &[u8], out: &mut [u8]) -> usize {
    Fault::parse(bytes).map_or(0, |fault| fault.emit(out))
}

/// A slot's whole life: lent, written, shared, read, and back.
#[unsafe(no_mangle)]
fn entry_pool(pool: &Pool<Frame, CAPTURE_SLOTS>, header: &Header) -> usize {
    let Ok(mut slot) = pool.claim() else {
        return pool.stats().misses as usize;
    };
    slot.with_mut(|frame| frame.header = *header);
    let one = slot.share();
    let other = one.clone();
    drop(one);
    other.with(|frame| frame.payload().len())
}

#[unsafe(no_mangle)]
fn entry_latest_publish(cell: &mut Publisher<'_, PlaybackReport>, report: &PlaybackReport) {
    cell.publish(*report);
}

#[unsafe(no_mangle)]
fn entry_latest_read(cell: &mut Reader<'_, CaptureReport>, into: &mut CaptureReport) {
    *into = cell.read();
}

#[unsafe(no_mangle)]
fn entry_supervise_handle(supervisor: &mut Supervisor, now: Instant, event: &Event) {
    supervisor.handle(now, *event);
}

#[unsafe(no_mangle)]
fn entry_supervise_deadline(supervisor: &mut Supervisor, now: Instant) -> bool {
    supervisor.handle_deadline(now);
    supervisor.next_deadline().is_some()
}

#[unsafe(no_mangle)]
fn entry_supervise_poll(supervisor: &mut Supervisor, into: &mut Option<Action>) {
    *into = supervisor.poll_action();
}
