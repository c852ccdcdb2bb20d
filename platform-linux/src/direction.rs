//! One direction of sound, from its device to the ring of packets: a thread and the ends of its links.
//!
//! The daemon captures and plays; `soundpost talk` captures, `soundpost listen` plays: the same two parts.
//! A device that is lost is opened again from time to time; packets and stream time go on where they were.

use crate::opus::{OpusDecoder, OpusEncoder};
use crate::pcm::{self, OpenError, Opened, Options, Uri};
use crate::rt::{AudioThread, Bell, Monotonic, now};
use heapless::spsc::{Consumer, Producer, Queue};
use soundpost_core::board::Muted;
use soundpost_core::capacity::{CAPTURE_SLOTS, COMMAND_RING_LEN, HANDOVER_RING_LEN, PLAYBACK_SLOTS};
use soundpost_core::config::{Channels, Playout, Stream, TIMING};
use soundpost_core::cycle::{CaptureLinks, CaptureRig, Inbound, PlaybackRig};
use soundpost_core::engine::capture::{Capture, Command};
use soundpost_core::engine::playback::Playback;
use soundpost_core::latest::{Latest, Reader};
use soundpost_core::meter::{CaptureReport, PlaybackReport};
use soundpost_core::notice::Notice;
use soundpost_core::pool::{Exhausted, Pool, PoolStats, Shared};
use soundpost_core::port::PcmError;
use soundpost_core::wire::{Flags, Frame, Header};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

static CAPTURE_POOL: Pool<Frame, CAPTURE_SLOTS> = Pool::new(Frame::EMPTY);
static PLAYBACK_POOL: Pool<Frame, PLAYBACK_SLOTS> = Pool::new(Frame::EMPTY);

/// A captured packet.
pub type Captured = Shared<'static, Frame, CAPTURE_SLOTS>;
type Incoming = Inbound<'static, PLAYBACK_SLOTS>;

/// Why a direction could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The device.
    #[error(transparent)]
    Device(#[from] OpenError),
    /// The codec.
    #[error("libopus: {0}")]
    Codec(#[from] opus::Error),
    /// Threads or descriptors.
    #[error("cannot start the audio thread: {0}")]
    System(#[from] io::Error),
}

/// How a device is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "it is copied in a critical section, where nothing may be allocated")]
pub enum State {
    /// It runs.
    Running,
    /// It was lost, for this reason; it is tried again from time to time.
    Lost(Reason),
    /// It was a recording and it is over.
    Ended,
}

/// A state that the audio thread sets, rarely, and the I/O side reads: neither waits longer than a copy takes, for
/// who is in a critical section has the priority of who waits for it ([`crate::cs`]).
#[derive(Clone, Debug)]
struct SharedState(Arc<Notice<State>>, Bell);

impl SharedState {
    fn new(bell: &Bell) -> Self {
        Self(Arc::new(Notice::new(State::Running)), bell.clone())
    }

    fn get(&self) -> State {
        self.0.read()
    }

    fn set(&self, state: State) {
        self.0.post(state);
        self.1.ring();
    }
}

/// The most bytes of a [`Reason`].
const REASON_BYTES: usize = 240;

/// Why a device was lost, in words; what is too long for it is cut.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Reason {
    bytes: [u8; REASON_BYTES],
    length: usize,
}

impl Reason {
    fn new(words: &str) -> Self {
        let mut length = words.len().min(REASON_BYTES);
        while !words.is_char_boundary(length) {
            length -= 1;
        }
        let mut bytes = [0; REASON_BYTES];
        bytes[..length].copy_from_slice(&words.as_bytes()[..length]);
        Self { bytes, length }
    }

    /// The words.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.bytes.get(..self.length).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default()
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::fmt::Debug for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Debug::fmt(self.as_str(), f)
    }
}

/// Capture: a device, an encoder, and the packets that come out.
#[derive(Debug)]
pub struct CaptureSide {
    /// What was opened.
    pub opened: Opened,
    /// What is coded.
    pub stream: Stream,
    /// Rings when packets are there, commands were taken or the state changed.
    pub bell: Bell,
    packets: PacketEnd,
    commands_sent: u32,
    state: SharedState,
    _thread: AudioThread,
}

struct PacketEnd {
    packets: Consumer<'static, Captured>,
    commands: Producer<'static, Command>,
    reports: Reader<'static, CaptureReport>,
}

impl std::fmt::Debug for PacketEnd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PacketEnd").field("waiting", &self.packets.len()).finish_non_exhaustive()
    }
}

impl CaptureSide {
    /// Opens the device and starts capturing, muted if that is asked for: then nothing is sent before it is
    /// unmuted. Once a process and direction: its links live for ever.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn start(uri: &Uri, stream: Stream, muted: Muted) -> Result<Self, StartError> {
        let options = options(stream.channels, TIMING.capture_periods);
        let (device, opened) = pcm::open_capture(uri, options)?;
        let engine = Capture::new(OpusEncoder::new(&stream)?, stream);
        let engine = if muted.0 { engine.muted() } else { engine };
        let first_report = *engine.report();
        let (command_in, commands) = leak(Queue::<Command, COMMAND_RING_LEN>::new()).split();
        let (packets, packet_out) = leak(Queue::<Captured, HANDOVER_RING_LEN>::new()).split();
        let (reports, report_out) = leak(Latest::new(first_report)).split();
        let links = CaptureLinks { pool: &CAPTURE_POOL, commands, packets, reports };
        let mut rig = Box::new(CaptureRig::new(device, Monotonic, engine, links));
        let bell = Bell::new()?;
        let state = SharedState::new(&bell);
        let (uri, ring, shown) = (uri.clone(), bell.clone(), state.clone());
        let thread = AudioThread::spawn("capture", move |stop| {
            while !stop.load(Ordering::Acquire) {
                let why = match rig.turn() {
                    Ok(turn) => {
                        if turn.packets > 0 || turn.commands > 0 {
                            ring.ring();
                        }
                        continue;
                    }
                    Err(PcmError::Ended) => return shown.set(State::Ended),
                    Err(why) => why,
                };
                shown.set(State::Lost(Reason::new(&why_lost(why))));
                // Most cards can be opened once: the lost one has to be let go of first.
                rig.replace_device(pcm::no_source(options));
                let Some((device, _)) = reopen(stop, &shown, || pcm::open_capture(&uri, options)) else { return };
                rig.replace_device(device);
            }
        })?;
        let packets = PacketEnd { packets: packet_out, commands: command_in, reports: report_out };
        Ok(Self { opened, stream, bell, packets, commands_sent: 0, state, _thread: thread })
    }

    /// The next packet, if one is there.
    pub fn next_packet(&mut self) -> Option<Captured> {
        self.packets.packets.dequeue()
    }

    /// What the thread has done so far.
    pub fn report(&mut self) -> CaptureReport {
        self.packets.reports.read()
    }

    /// Hands a command to the thread.
    ///
    /// # Errors
    /// The command, if too many wait already.
    pub fn command(&mut self, command: Command) -> Result<(), Command> {
        self.packets.commands.enqueue(command)?;
        self.commands_sent = self.commands_sent.wrapping_add(1);
        Ok(())
    }

    /// Commands sent so far; wraps. The report says how many the thread took.
    #[must_use]
    pub const fn commands_sent(&self) -> u32 {
        self.commands_sent
    }

    /// How the device is doing.
    #[must_use]
    pub fn state(&self) -> State {
        self.state.get()
    }

    /// How the pool has been used.
    #[must_use]
    pub fn pool(&self) -> PoolStats {
        CAPTURE_POOL.stats()
    }
}

/// Why a packet did not reach the playback thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejected {
    /// No slot, or no room in the ring: more came than is played.
    Scarce,
    /// It does not fit a slot.
    Length,
}

/// Silences a playback from another thread: what is played does not reach the device until it is set back.
#[derive(Clone, Debug, Default)]
pub struct Hush(Arc<AtomicBool>);

impl Hush {
    /// Sets it; the thread follows with its next period.
    pub fn set(&self, silent: bool) {
        self.0.store(silent, Ordering::Relaxed);
    }

    fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Playback: packets that go in, a decoder and a device.
#[derive(Debug)]
pub struct PlaybackSide {
    /// What was opened.
    pub opened: Opened,
    /// Rings when the state changed.
    pub bell: Bell,
    /// Silences it; not set at first.
    pub hush: Hush,
    packets: ArrivalEnd,
    state: SharedState,
    _thread: AudioThread,
}

struct ArrivalEnd {
    arrivals: Producer<'static, Incoming>,
    reports: Reader<'static, PlaybackReport>,
}

impl std::fmt::Debug for ArrivalEnd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ArrivalEnd").field("waiting", &self.arrivals.len()).finish_non_exhaustive()
    }
}

impl PlaybackSide {
    /// Opens the device, with `channels` if it can, and starts playing. Once a process: its links live for
    /// ever.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn start(uri: &Uri, channels: Channels, playout: Playout) -> Result<Self, StartError> {
        let options = options(channels, TIMING.playback_periods);
        let (device, opened) = pcm::open_playback(uri, options)?;
        let fixed = Options { channels: opened.channels, ..options };
        let engine = Playback::new(OpusDecoder::new(opened.channels)?, opened.channels).with_profile(playout);
        let (arrivals, arrival_out) = leak(Queue::<Incoming, HANDOVER_RING_LEN>::new()).split();
        let (reports, report_out) = leak(Latest::new(PlaybackReport::default())).split();
        let mut rig = Box::new(PlaybackRig::new(device, Monotonic, engine, arrival_out, reports));
        let bell = Bell::new()?;
        let state = SharedState::new(&bell);
        let hush = Hush::default();
        let (uri, shown, hushed) = (uri.clone(), state.clone(), hush.clone());
        let thread = AudioThread::spawn("playback", move |stop| {
            while !stop.load(Ordering::Acquire) {
                rig.hush(hushed.is_set());
                let Err(why) = rig.turn() else { continue };
                shown.set(State::Lost(Reason::new(&why_lost(why))));
                if !uri.comes_back() {
                    return;
                }
                // Most cards can be opened once: the lost one has to be let go of first.
                rig.replace_device(pcm::no_sink(fixed));
                let open = || match pcm::open_playback(&uri, fixed) {
                    Ok((_, opened)) if opened.channels != fixed.channels => Err("it has other channels now".to_owned()),
                    other => other.map_err(|error| error.to_string()),
                };
                let Some((device, _)) = reopen(stop, &shown, open) else { return };
                rig.replace_device(device);
            }
        })?;
        Ok(Self { opened, bell, hush, packets: ArrivalEnd { arrivals, reports: report_out }, state, _thread: thread })
    }

    /// Hands a packet that arrived just now to the thread; `first` marks the first one of a stream.
    ///
    /// # Errors
    /// [`Rejected`]; the packet is lost then.
    pub fn push(&mut self, header: Header, payload: &[u8], first: bool) -> Result<(), Rejected> {
        let flags = if first { header.flags.with(Flags::START) } else { header.flags };
        let mut slot = PLAYBACK_POOL.claim().map_err(|Exhausted| Rejected::Scarce)?;
        let filled = slot.with_mut(|frame| frame.fill(Header { flags, ..header }, payload));
        filled.map_err(|_| Rejected::Length)?;
        let inbound = Inbound { arrived: now(), frame: slot.share() };
        self.packets.arrivals.enqueue(inbound).map_err(|_| Rejected::Scarce)
    }

    /// What the thread has done so far, and how it stands.
    pub fn report(&mut self) -> PlaybackReport {
        self.packets.reports.read()
    }

    /// How the device is doing.
    #[must_use]
    pub fn state(&self) -> State {
        self.state.get()
    }

    /// How the pool has been used.
    #[must_use]
    pub fn pool(&self) -> PoolStats {
        PLAYBACK_POOL.stats()
    }
}

fn options(channels: Channels, buffer_periods: u32) -> Options {
    Options {
        channels,
        period_samples: TIMING.period_samples,
        buffer_periods,
        deadline: Duration::from_micros(TIMING.device_deadline.as_micros()),
    }
}

fn leak<T>(value: T) -> &'static mut T {
    Box::leak(Box::new(value))
}

fn why_lost(why: PcmError) -> String {
    match why {
        PcmError::Xrun => "it ran over and did not come back".to_owned(),
        PcmError::Suspended => "it is suspended".to_owned(),
        PcmError::Stopped => {
            format!("its clock stands still: nothing for {} ms", TIMING.device_deadline.as_micros() / 1000)
        }
        PcmError::Gone(errno) => io::Error::from_raw_os_error(errno).to_string(),
        PcmError::Ended => "it is over".to_owned(),
    }
}

/// Opens a device again and again until that works; `None` when the thread is to stop.
fn reopen<T, E: ToString>(stop: &AtomicBool, state: &SharedState, mut open: impl FnMut() -> Result<T, E>) -> Option<T> {
    let pause = Duration::from_micros(TIMING.reopen_pause.as_micros());
    while !stop.load(Ordering::Acquire) {
        match open() {
            Ok(device) => {
                state.set(State::Running);
                return Some(device);
            }
            Err(error) => state.set(State::Lost(Reason::new(&error.to_string()))),
        }
        // Ends at once when the thread is told to stop.
        std::thread::park_timeout(pause);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_keeps_its_words_and_is_cut_between_characters() {
        assert_eq!(Reason::new("kein Gerät").to_string(), "kein Gerät");
        let long = Reason::new(&format!("x{}", "ä".repeat(REASON_BYTES)));
        assert_eq!(long.as_str().len(), REASON_BYTES - 1);
        assert!(long.as_str().ends_with('ä'));
    }

    #[test]
    fn what_the_audio_thread_says_is_read_and_the_bell_rings() {
        let bell = Bell::new().unwrap();
        let state = SharedState::new(&bell);
        let shown = state.clone();
        assert_eq!(state.get(), State::Running);
        std::thread::spawn(move || shown.set(State::Lost(Reason::new("unplugged")))).join().unwrap();
        assert_eq!(state.get(), State::Lost(Reason::new("unplugged")));
        assert!(bell.silence());
    }
}
