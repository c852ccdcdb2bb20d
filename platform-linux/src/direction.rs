//! One direction of sound, from its device to the ring of packets: a thread and the ends of its links.
//!
//! The daemon captures and plays; `soundpost talk` captures, `soundpost listen` plays: the same two parts.
//! A device that is lost is opened again from time to time; packets and stream time go on where they were.

mod paced;
mod playback;
mod pulse;
mod scout;
mod state;
mod tender;

pub use paced::Shown as PaceShown;
pub use playback::{Hush, PlaybackSide, Rejected};
pub use state::{Reason, State};

use crate::opus::OpusEncoder;
use crate::pcm::{self, Choice, OpenError, Opened, Options, Source, VolumeError};
use crate::rt::{AudioThread, Bell, Monotonic, now};
use heapless::spsc::{Consumer, Producer, Queue};
use pulse::{Marked, Pulse, Watched};
use scout::Open;
use soundpost_core::board::Muted;
use soundpost_core::capacity::{CAPTURE_SLOTS, COMMAND_RING_LEN, HANDOVER_RING_LEN};
use soundpost_core::config::{Direction, Gain, Stream};
use soundpost_core::cycle::{CaptureLinks, CaptureRig, ShapeLinks};
use soundpost_core::engine::capture::{Capture, Command, Resume, Shape};
use soundpost_core::latest::{Latest, Reader};
use soundpost_core::meter::CaptureReport;
use soundpost_core::pool::{Pool, PoolStats, Shared};
use soundpost_core::port::PcmError;
use soundpost_core::preference::Preference;
use soundpost_core::wire::Frame;
use state::SharedState;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, channel};
use tender::{Outlook, Tender};

static CAPTURE_POOL: Pool<Frame, CAPTURE_SLOTS> = Pool::new(Frame::EMPTY);

/// A captured packet.
pub type Captured = Shared<'static, Frame, CAPTURE_SLOTS>;

/// Why a direction could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The device.
    #[error(transparent)]
    Device(#[from] OpenError),
    /// The card's volume.
    #[error(transparent)]
    Volume(#[from] VolumeError),
    /// The codec.
    #[error("libopus: {0}")]
    Codec(#[from] opus::Error),
    /// Threads or descriptors.
    #[error("cannot start the audio thread: {0}")]
    System(#[from] io::Error),
}

/// Capture: a device, an encoder, and the packets that come out.
#[derive(Debug)]
pub struct CaptureSide {
    /// What was opened at first.
    pub opened: Opened,
    /// What is coded.
    pub stream: Stream,
    /// Rings when packets are there, commands were taken or the state changed.
    pub bell: Bell,
    packets: PacketEnd,
    commands_sent: u32,
    state: SharedState,
    watched: Watched,
    openings: Receiver<Opened>,
    turns: Turns,
    _thread: AudioThread,
}

/// Takes packets from the audio thread: it must neither wait nor allocate.
pub type Outlet = Box<dyn FnMut(&Frame) + Send>;

struct PacketEnd {
    /// `None` if the packets leave by an [`Outlet`].
    packets: Option<Consumer<'static, Captured>>,
    commands: Producer<'static, Command>,
    reports: Reader<'static, CaptureReport>,
    /// Encoders on their way to the thread, and back from it.
    fresh: Producer<'static, Shape<OpusEncoder>>,
    spent: Consumer<'static, OpusEncoder>,
}

impl std::fmt::Debug for PacketEnd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let waiting = self.packets.as_ref().map_or(0, Consumer::len);
        f.debug_struct("PacketEnd").field("waiting", &waiting).finish_non_exhaustive()
    }
}

impl CaptureSide {
    /// Opens the device and starts capturing, muted if that is asked for: then nothing is sent before it is
    /// unmuted. Once a process and direction: its links live for ever.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn start(choice: &Choice, stream: Stream, muted: Muted) -> Result<Self, StartError> {
        Self::begin(choice, stream, muted, None, None)
    }

    /// The same, with packets that leave by an outlet if there is one, as soon as they are coded. For a successor the
    /// stream goes on where `resume` says that it was, and a device that cannot be opened is one that was lost.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn begin(
        choice: &Choice,
        stream: Stream,
        muted: Muted,
        resume: Option<&Resume>,
        mut outlet: Option<Outlet>,
    ) -> Result<Self, StartError> {
        let options = Options::of(Direction::Capture, stream.channels);
        let volume = choice.volume().cloned();
        let open: Open<Source> = Arc::new(move |uri| {
            let (device, opened) = pcm::open_capture(uri, options)?;
            Ok((device, opened.with_volume(volume.as_ref(), Direction::Capture)))
        });
        let lost = resume.map(|_| (Source::Closed, Opened::nothing(options)));
        let (device, opened, preference) = first(choice, &open, lost)?;
        let engine = Capture::new(OpusEncoder::new(&stream)?, stream);
        let mut engine = if muted.0 { engine.muted() } else { engine };
        let edge = resume.and_then(|resume| engine.resume(resume));
        let first_report = *engine.report();
        let (command_in, commands) = leak(Queue::<Command, COMMAND_RING_LEN>::new()).split();
        let (packets, packet_out) = leak(Queue::<Captured, HANDOVER_RING_LEN>::new()).split();
        let (reports, report_out) = leak(Latest::new(first_report)).split();
        let (fresh_in, fresh) = leak(Queue::<Shape<OpusEncoder>, COMMAND_RING_LEN>::new()).split();
        let (spent, spent_out) = leak(Queue::<OpusEncoder, COMMAND_RING_LEN>::new()).split();
        let links = CaptureLinks { pool: &CAPTURE_POOL, commands, packets, reports };
        let pulse = Pulse::default();
        let rig = CaptureRig::new(Marked::new(device, &pulse), Monotonic, engine, links);
        let mut rig = Box::new(rig.with_shapes(ShapeLinks { fresh, spent }));
        edge.inspect(|edge| rig.resume(*edge));
        let turns = Turns::default();
        let turning = turns.clone();
        let bell = Bell::new()?;
        let state = SharedState::new(&bell);
        let ring = bell.clone();
        let (opening, openings) = channel();
        let (choice, shown) = (choice.clone(), state.clone());
        let outlook = Outlook { choice, preference, open, shown, openings: opening, pulse: pulse.clone() };
        let watched = Watched::new(&pulse);
        let (mut coded, packet_out) = match outlet {
            Some(_) => (Some(packet_out), None),
            None => (None, Some(packet_out)),
        };
        let thread = AudioThread::spawn(Direction::Capture, move |stop| {
            let mut tender = Tender::new(stop, outlook);
            let mut changes = rig.engine().report().changes;
            while !stop.is_set() {
                if let Some(device) = tender.better() {
                    rig.replace_device(Marked::new(device, &pulse));
                }
                turning.count();
                let turned = rig.turn();
                tender.look(rig.recovery());
                let before = std::mem::replace(&mut changes, rig.engine().report().changes);
                if let (Some(outlet), Some(coded)) = (&mut outlet, &mut coded) {
                    while let Some(packet) = coded.dequeue() {
                        packet.with(&mut *outlet);
                    }
                }
                let why = match turned {
                    Ok(turn) => {
                        if coded.is_none() && turn.packets > 0 || turn.commands > 0 || changes != before {
                            ring.ring();
                        }
                        continue;
                    }
                    Err(PcmError::Ended) => return tender.ended(),
                    Err(why) => why,
                };
                rig.device().close();
                let Some(device) = tender.reopen(why, rig.recovery()) else { return };
                rig.replace_device(Marked::new(device, &pulse));
            }
        })?;
        let (commands, reports) = (command_in, report_out);
        let packets = PacketEnd { packets: packet_out, commands, reports, fresh: fresh_in, spent: spent_out };
        Ok(Self { opened, stream, bell, packets, commands_sent: 0, state, watched, openings, turns, _thread: thread })
    }

    /// The next packet, if one is there. With an outlet there never is.
    pub fn next_packet(&mut self) -> Option<Captured> {
        self.packets.packets.as_mut()?.dequeue()
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

    /// Makes another encoder, here where there is time, and has it take over between two frames. Whether there was room
    /// for that: not if too many changes wait already.
    ///
    /// # Errors
    /// What libopus says.
    pub fn reshape(&mut self, stream: &Stream) -> Result<bool, opus::Error> {
        // Those that were relieved before are dropped here, too.
        while self.packets.spent.dequeue().is_some() {}
        if !(self.packets.fresh.ready() && self.packets.commands.ready()) {
            return Ok(false);
        }
        let shape = Shape { encoder: OpusEncoder::new(stream)?, stream: *stream };
        // In this order: the command says that an encoder is there.
        Ok(self.packets.fresh.enqueue(shape).is_ok() && self.command(Command::Reshape).is_ok())
    }

    /// Sends sound louder or softer than it is captured.
    ///
    /// # Errors
    /// The command, if too many wait already.
    pub fn set_gain(&mut self, gain: Gain) -> Result<(), Command> {
        self.command(Command::Gain(gain))
    }

    /// Commands sent so far; wraps. The report says how many the thread took.
    #[must_use]
    pub const fn commands_sent(&self) -> u32 {
        self.commands_sent
    }

    /// How the device is doing.
    #[must_use]
    pub fn state(&self) -> State {
        self.watched.state(&self.state)
    }

    /// Whether there is a device from which sound may come at any moment, stuck or not.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.state.get().is_open()
    }

    /// Looks whether the thread gets on; to be called each [`soundpost_core::watch::PATIENCE`]`.look`.
    pub fn watch(&mut self) {
        self.watched.look(&self.state, &self.bell);
    }

    /// How often the crank was turned. While a device is open it never stands still for long.
    #[must_use]
    pub fn turns(&self) -> u64 {
        self.turns.get()
    }

    /// What is open, or was last.
    pub fn opened(&mut self) -> &Opened {
        if let Some(newer) = self.openings.try_iter().last() {
            self.opened = newer;
        }
        &self.opened
    }

    /// How the pool has been used.
    #[must_use]
    pub fn pool(&self) -> PoolStats {
        CAPTURE_POOL.stats()
    }
}

/// The best device that opens; if none does, what stands for one that was lost, if that is allowed.
fn first<T>(choice: &Choice, open: &Open<T>, lost: Option<(T, Opened)>) -> Result<(T, Opened, Preference), StartError> {
    let mut preference = Preference::new(choice.uris().len());
    let is_successor = lost.is_some();
    match choice.open(preference.order(now()), |uri| open(uri)) {
        Ok((device, opened)) => {
            preference.on_opened(opened.rank);
            // Later on a card without that control is better than none; at the start it is a mistake.
            match &opened.volume {
                Some(Err(error)) if !is_successor => Err(error.clone().into()),
                _ => Ok((device, opened, preference)),
            }
        }
        Err(error) => Ok(lost.map(|(device, opened)| (device, opened, preference)).ok_or(error)?),
    }
}

/// Counts the turns of a crank.
#[derive(Clone, Debug, Default)]
struct Turns(Arc<AtomicU64>);

impl Turns {
    fn count(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

fn leak<T>(value: T) -> &'static mut T {
    Box::leak(Box::new(value))
}
