//! The ends of a direction: a rig that captures, a rig that plays, each with its card, in a process that may die.

use crate::VirtualClock;
use crate::codec::{MarkerDecoder, MarkerEncoder, Number, SimDecoder, SimEncoder};
use crate::model::card::{Mic, MicPort, Speaker, SpeakerPort};
use crate::model::host::Host;
use heapless::spsc::{Consumer, Producer, Queue};
use soundpost_core::board::{Microphone, Muted, View};
use soundpost_core::capacity::{CAPTURE_SLOTS, COMMAND_RING_LEN, HANDOVER_RING_LEN, PLAYBACK_SLOTS};
use soundpost_core::config::{Change, Channels, Stream};
use soundpost_core::cycle::{CaptureLinks, CaptureRig, Inbound, PlaybackRig, ShapeLinks, Turn};
use soundpost_core::engine::capture::{Capture, Command, Shape};
use soundpost_core::engine::playback::Playback;
use soundpost_core::latest::{Latest, Reader};
use soundpost_core::meter::{CaptureReport, PlaybackReport};
use soundpost_core::pool::{Pool, PoolStats, Shared};
use soundpost_core::port::PcmError;
use soundpost_core::time::Instant;
use soundpost_core::wire::{Flags, Frame, Header};
use std::cell::RefCell;
use std::rc::Rc;
use typed_arena::Arena;

/// A captured packet.
pub(super) type Captured<'p> = Shared<'p, Frame, CAPTURE_SLOTS>;
type Incoming<'p> = Inbound<'p, PLAYBACK_SLOTS>;

/// Which codec a world uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Codec {
    /// Each sample says which one it is.
    #[default]
    Marker,
    /// libopus.
    #[cfg(feature = "opus")]
    Opus,
}

impl Codec {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Marker => "marker",
            #[cfg(feature = "opus")]
            Self::Opus => "opus",
        }
    }

    fn encoder(self, _stream: &Stream, newest: Number) -> SimEncoder {
        match self {
            Self::Marker => SimEncoder::Marker(MarkerEncoder { retunes: 0, newest }),
            #[cfg(feature = "opus")]
            Self::Opus => {
                SimEncoder::Opus(crate::codec::OpusEncoder::new(_stream).expect("a preset is a valid stream"))
            }
        }
    }

    fn decoder(self, latest: Number) -> SimDecoder {
        match self {
            Self::Marker => SimDecoder::Marker(MarkerDecoder { latest }),
            #[cfg(feature = "opus")]
            Self::Opus => SimDecoder::Opus(crate::codec::OpusDecoder::new().expect("48 kHz mono is valid")),
        }
    }
}

/// Where pools live: they outlive everything that holds a slot.
#[derive(Default)]
pub(super) struct Pools {
    capture: Arena<Pool<Frame, CAPTURE_SLOTS>>,
    playback: Arena<Pool<Frame, PLAYBACK_SLOTS>>,
}

/// Where rings and cells live: one set for each process that ever ran.
#[derive(Default)]
pub(super) struct Rings<'p> {
    packets: Arena<Queue<Captured<'p>, HANDOVER_RING_LEN>>,
    commands: Arena<Queue<Command, COMMAND_RING_LEN>>,
    fresh: Arena<Queue<Shape<SimEncoder>, COMMAND_RING_LEN>>,
    spent: Arena<Queue<SimEncoder, COMMAND_RING_LEN>>,
    arrivals: Arena<Queue<Incoming<'p>, HANDOVER_RING_LEN>>,
    captures: Arena<Latest<CaptureReport>>,
    playbacks: Arena<Latest<PlaybackReport>>,
}

/// What both ends need to begin.
#[derive(Clone, Copy)]
pub(super) struct Ground<'r, 'p> {
    pub(super) pools: &'p Pools,
    pub(super) rings: &'r Rings<'p>,
    pub(super) codec: Codec,
}

/// A process that captures.
pub(super) struct Capturing<'r, 'p> {
    rig: Box<CaptureRig<'r, 'p, MicPort, VirtualClock, SimEncoder, CAPTURE_SLOTS>>,
    pool: &'p Pool<Frame, CAPTURE_SLOTS>,
    packets: Consumer<'r, Captured<'p>>,
    commands: Producer<'r, Command>,
    commands_sent: u32,
    fresh: Producer<'r, Shape<SimEncoder>>,
    spent: Consumer<'r, SimEncoder>,
    reports: Reader<'r, CaptureReport>,
}

/// The end that captures.
pub(super) struct Sender<'r, 'p> {
    pub(super) who: &'static str,
    pub(super) card: Rc<RefCell<Mic>>,
    pub(super) host: Rc<RefCell<Host>>,
    clock: VirtualClock,
    pub(super) stream: Stream,
    pub(super) life: Option<Capturing<'r, 'p>>,
    /// The device was lost, and is tried again from time to time.
    pub(super) lost: bool,
    /// Ticks of an earlier epoch are void.
    pub(super) epoch: u32,
    pub(super) turns: u64,
}

impl<'r, 'p> Sender<'r, 'p> {
    pub(super) fn new(
        who: &'static str,
        card: Rc<RefCell<Mic>>,
        host: Rc<RefCell<Host>>,
        clock: VirtualClock,
        stream: Stream,
    ) -> Self {
        Self { who, card, host, clock, stream, life: None, lost: false, epoch: 0, turns: 0 }
    }

    /// A process begins. Nothing of an earlier one is left.
    pub(super) fn begin(&mut self, ground: Ground<'r, 'p>, muted: Muted) {
        let Ground { pools, rings, codec } = ground;
        let pool = pools.capture.alloc(Pool::new(Frame::EMPTY));
        let (packet_in, packets) = rings.packets.alloc(Queue::new()).split();
        let (commands, command_out) = rings.commands.alloc(Queue::new()).split();
        let engine = Capture::new(codec.encoder(&self.stream, self.card.borrow().newest()), self.stream);
        let engine = if muted.0 { engine.muted() } else { engine };
        let (publisher, reports) = rings.captures.alloc(Latest::new(*engine.report())).split();
        let links = CaptureLinks { pool, commands: command_out, packets: packet_in, reports: publisher };
        let (fresh, fresh_out) = rings.fresh.alloc(Queue::new()).split();
        let (spent_in, spent) = rings.spent.alloc(Queue::new()).split();
        let rig = CaptureRig::new(self.port(), self.clock.clone(), engine, links);
        let rig = Box::new(rig.with_shapes(ShapeLinks { fresh: fresh_out, spent: spent_in }));
        self.life = Some(Capturing { rig, pool, packets, commands, commands_sent: 0, fresh, spent, reports });
        self.lost = self.card.borrow_mut().open(self.clock.time()).is_err();
        self.epoch += 1;
    }

    /// The process is gone, and everything of it.
    pub(super) fn end(&mut self) {
        self.life = None;
        self.epoch += 1;
    }

    /// Opens the device again.
    pub(super) fn reopen(&mut self) -> bool {
        let opened = self.card.borrow_mut().open(self.clock.time()).is_ok();
        let port = self.port();
        let Some(life) = &mut self.life else { return false };
        match opened {
            true => life.rig.replace_device(port),
            false => life.rig.recovery().on_open_failed(self.clock.time()),
        }
        self.lost = !opened;
        opened
    }

    /// Codes another stream from the next frame on, or when a process begins again.
    pub(super) fn change(&mut self, codec: Codec, stream: Stream) {
        let change = self.stream.diff(stream);
        self.stream = stream;
        let newest = self.card.borrow().newest();
        let Some(life) = &mut self.life else { return };
        while life.spent.dequeue().is_some() {}
        let command = match change {
            Change::None => return,
            Change::Retune(tuning, frame) => Command::Retune(tuning, frame),
            Change::Reshape(stream) => {
                let shape = Shape { encoder: codec.encoder(&stream, newest), stream };
                assert!(life.fresh.enqueue(shape).is_ok(), "one at a time");
                Command::Reshape
            }
        };
        assert!(life.commands.enqueue(command).is_ok(), "nobody sends so many");
        life.commands_sent = life.commands_sent.wrapping_add(1);
    }

    /// When a device that was lost is tried again.
    pub(super) fn retry_at(&mut self) -> Instant {
        self.life.as_mut().map_or(Instant::ZERO, |life| life.rig.recovery().retry_at())
    }

    fn port(&self) -> MicPort {
        MicPort { card: Rc::clone(&self.card), clock: self.clock.clone() }
    }

    /// Turns the crank once.
    pub(super) fn turn(&mut self) -> Result<Turn, PcmError> {
        let Some(life) = &mut self.life else { return Ok(Turn::default()) };
        self.turns += 1;
        let turned = crate::audit::audio_path(|| life.rig.turn());
        self.lost = turned.is_err();
        turned
    }

    pub(super) fn next_packet(&mut self) -> Option<Captured<'p>> {
        self.life.as_mut()?.packets.dequeue()
    }

    /// Packets that were handed over and not taken yet.
    pub(super) fn waiting(&self) -> u64 {
        self.life.as_ref().map_or(0, |life| life.packets.len() as u64)
    }

    /// What the engine knows itself, not only what it published.
    pub(super) fn engine(&self) -> Option<&Capture<SimEncoder>> {
        self.life.as_ref().map(|life| life.rig.engine())
    }

    pub(super) fn pool(&self) -> Option<PoolStats> {
        self.life.as_ref().map(|life| life.pool.stats())
    }

    /// When it has to be turned next.
    pub(super) fn due(&self) -> Instant {
        self.card.borrow().due(self.clock.time())
    }
}

impl Microphone for Sender<'_, '_> {
    fn look(&mut self) -> View {
        let open = !self.lost;
        let Some(life) = &mut self.life else {
            return View { open: false, muted: Muted(true), waiting: 0 };
        };
        let report = life.reports.read();
        View { open, muted: Muted(report.is_muted), waiting: life.commands_sent.wrapping_sub(report.commands) }
    }

    fn send(&mut self, Muted(muted): Muted) -> bool {
        // Who is dead is mute.
        let Some(life) = &mut self.life else { return muted };
        let sent = life.commands.enqueue(Command::Mute(muted)).is_ok();
        life.commands_sent = life.commands_sent.wrapping_add(u32::from(sent));
        sent
    }
}

/// A process that plays.
pub(super) struct Playing<'r, 'p> {
    rig: Box<PlaybackRig<'r, 'p, SpeakerPort, VirtualClock, SimDecoder, PLAYBACK_SLOTS>>,
    pool: &'p Pool<Frame, PLAYBACK_SLOTS>,
    arrivals: Producer<'r, Incoming<'p>>,
    reports: Reader<'r, PlaybackReport>,
}

/// What became of packets at a receiver's door.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Door {
    /// Given to the rig.
    pub(super) passed: u64,
    /// Bytes of coded sound in those.
    pub(super) bytes: u64,
    /// Nobody was there.
    pub(super) absent: u64,
    /// No slot or no room in the ring.
    pub(super) scarce: u64,
    /// Not a packet.
    pub(super) refused: u64,
}

/// The end that plays.
pub(super) struct Receiver<'r, 'p> {
    pub(super) who: &'static str,
    pub(super) card: Rc<RefCell<Speaker>>,
    pub(super) host: Rc<RefCell<Host>>,
    clock: VirtualClock,
    pub(super) life: Option<Playing<'r, 'p>>,
    pub(super) lost: bool,
    pub(super) epoch: u32,
    pub(super) turns: u64,
    /// The next packet is the first of a stream.
    pub(super) first: bool,
    /// Since the process began.
    pub(super) door: Door,
    /// What the card had counted by then.
    pub(super) xruns_before: u64,
    /// Processes, and streams, that there were.
    pub(super) lives: u64,
}

impl<'r, 'p> Receiver<'r, 'p> {
    pub(super) fn new(
        who: &'static str,
        card: Rc<RefCell<Speaker>>,
        host: Rc<RefCell<Host>>,
        clock: VirtualClock,
    ) -> Self {
        Self {
            who,
            card,
            host,
            clock,
            life: None,
            lost: false,
            epoch: 0,
            turns: 0,
            first: true,
            door: Door::default(),
            xruns_before: 0,
            lives: 0,
        }
    }

    /// A process begins.
    pub(super) fn begin(&mut self, ground: Ground<'r, 'p>) {
        let Ground { pools, rings, codec } = ground;
        let pool = pools.playback.alloc(Pool::new(Frame::EMPTY));
        let (arrivals, arrival_out) = rings.arrivals.alloc(Queue::new()).split();
        let (publisher, reports) = rings.playbacks.alloc(Latest::new(PlaybackReport::default())).split();
        let engine = Playback::new(codec.decoder(self.card.borrow_mut().ear().decoded()), Channels::Mono);
        let rig = Box::new(PlaybackRig::new(self.port(), self.clock.clone(), engine, arrival_out, publisher));
        self.life = Some(Playing { rig, pool, arrivals, reports });
        self.door = Door::default();
        self.xruns_before = self.card.borrow().xruns();
        self.first = true;
        self.lost = self.card.borrow_mut().open(self.clock.time()).is_err();
        self.card.borrow_mut().ear().pardon();
        self.epoch += 1;
    }

    /// The process is gone, and everything of it.
    pub(super) fn end(&mut self) {
        self.life = None;
        self.epoch += 1;
    }

    /// Opens the device again.
    pub(super) fn reopen(&mut self) -> bool {
        let opened = self.card.borrow_mut().open(self.clock.time()).is_ok();
        let port = self.port();
        let Some(life) = &mut self.life else { return false };
        match opened {
            true => life.rig.replace_device(port),
            false => life.rig.recovery().on_open_failed(self.clock.time()),
        }
        self.lost = !opened;
        opened
    }

    /// When a device that was lost is tried again.
    pub(super) fn retry_at(&mut self) -> Instant {
        self.life.as_mut().map_or(Instant::ZERO, |life| life.rig.recovery().retry_at())
    }

    fn port(&self) -> SpeakerPort {
        SpeakerPort { card: Rc::clone(&self.card), clock: self.clock.clone() }
    }

    /// Turns the crank once.
    pub(super) fn turn(&mut self) -> Result<(), PcmError> {
        let Some(life) = &mut self.life else { return Ok(()) };
        self.turns += 1;
        let turned = crate::audit::audio_path(|| life.rig.turn());
        self.lost = turned.is_err();
        self.card.borrow_mut().ear().judge(life.reports.read().inserted_samples);
        turned
    }

    /// A packet arrived.
    pub(super) fn push(&mut self, header: Header, payload: &[u8]) {
        let Some(life) = &mut self.life else {
            self.door.absent += 1;
            return;
        };
        let first = std::mem::take(&mut self.first);
        if first || header.flags.has(Flags::START) {
            self.lives += 1;
            self.card.borrow_mut().ear().pardon();
        }
        let flags = if first { header.flags.with(Flags::START) } else { header.flags };
        let Ok(mut slot) = life.pool.claim() else {
            self.door.scarce += 1;
            return;
        };
        if slot.with_mut(|frame| frame.fill(Header { flags, ..header }, payload)).is_err() {
            self.door.refused += 1;
            return;
        }
        let inbound = Inbound { arrived: self.clock.time(), frame: slot.share() };
        if life.arrivals.enqueue(inbound).is_ok() {
            self.door.passed += 1;
            self.door.bytes += payload.len() as u64;
        } else {
            self.door.scarce += 1;
        }
    }

    pub(super) fn report(&mut self) -> Option<PlaybackReport> {
        self.life.as_mut().map(|life| life.reports.read())
    }

    pub(super) fn pool(&self) -> Option<PoolStats> {
        self.life.as_ref().map(|life| life.pool.stats())
    }

    pub(super) fn due(&self) -> Instant {
        self.card.borrow().due(self.clock.time())
    }
}
