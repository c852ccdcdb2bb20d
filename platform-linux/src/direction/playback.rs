//! Playback: packets that go in, a decoder, a device, and the thread that turns the crank.

use super::paced::{Paced, Shown as PaceShown};
use super::pulse::{Marked, Pulse, Watched};
use super::scout::Open;
use super::state::{SharedState, State};
use super::tender::{Outlook, Tender};
use super::{StartError, Turns, first, leak};
use crate::opus::OpusDecoder;
use crate::pcm::{self, Choice, Opened, Options, Sink};
use crate::rt::{AudioThread, Bell, Monotonic, now};
use heapless::spsc::{Producer, Queue};
use soundpost_core::capacity::{COMMAND_RING_LEN, HANDOVER_RING_LEN, PLAYBACK_SLOTS};
use soundpost_core::config::{Channels, Direction, Gain, Playout};
use soundpost_core::cycle::{Inbound, PlaybackRig};
use soundpost_core::engine::playback::{self, Playback};
use soundpost_core::latest::{Latest, Reader};
use soundpost_core::meter::PlaybackReport;
use soundpost_core::pool::{Exhausted, Pool, PoolStats};
use soundpost_core::wire::{Flags, Frame, Header};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};

static PLAYBACK_POOL: Pool<Frame, PLAYBACK_SLOTS> = Pool::new(Frame::EMPTY);

type Incoming = Inbound<'static, PLAYBACK_SLOTS>;

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
    /// What was opened at first.
    pub opened: Opened,
    /// Rings when the state changed.
    pub bell: Bell,
    /// Silences it; not set at first.
    pub hush: Hush,
    packets: ArrivalEnd,
    state: SharedState,
    watched: Watched,
    openings: Receiver<Opened>,
    paced: Paced,
    turns: Turns,
    _thread: AudioThread,
}

struct ArrivalEnd {
    arrivals: Producer<'static, Incoming>,
    commands: Producer<'static, playback::Command>,
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
    pub fn start(choice: &Choice, channels: Channels, playout: Playout) -> Result<Self, StartError> {
        Self::begin(choice, channels, playout, None)
    }

    /// The same for a successor, which goes on counting: a device that cannot be opened is one that was lost, and a
    /// recording is gone on with.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn resume(
        choice: &Choice,
        channels: Channels,
        playout: Playout,
        counts: &PlaybackReport,
    ) -> Result<Self, StartError> {
        Self::begin(choice, channels, playout, Some(*counts))
    }

    fn begin(
        choice: &Choice,
        channels: Channels,
        playout: Playout,
        counts: Option<PlaybackReport>,
    ) -> Result<Self, StartError> {
        let options = Options { append: counts.is_some(), ..Options::of(Direction::Playback, channels) };
        let volume = choice.volume().cloned();
        let open = |volume: Option<pcm::Volume>, options| -> Open<Sink> {
            Arc::new(move |uri| {
                let (device, opened) = pcm::open_playback(uri, options)?;
                Ok((device, opened.with_volume(volume.as_ref(), Direction::Playback)))
            })
        };
        let lost = counts.map(|_| (Sink::Closed, Opened::nothing(options))).filter(|_| choice.comes_back());
        let (device, opened, preference) = first(choice, &open(volume.clone(), options), lost)?;
        let fixed = Options { channels: opened.channels, exact: true, ..options };
        let open = open(volume, fixed);
        let engine = Playback::new(OpusDecoder::new(opened.channels)?, opened.channels).with_profile(playout);
        let counts = counts.unwrap_or_default();
        let engine = engine.with_counts(counts);
        let (arrivals, arrival_out) = leak(Queue::<Incoming, HANDOVER_RING_LEN>::new()).split();
        let (reports, report_out) = leak(Latest::new(counts)).split();
        let (command_in, commands) = leak(Queue::<playback::Command, COMMAND_RING_LEN>::new()).split();
        let pulse = Pulse::default();
        let device = Marked::new(device, &pulse);
        let rig = PlaybackRig::new(device, Monotonic, engine, arrival_out, reports).with_commands(commands);
        let mut rig = Box::new(rig);
        let turns = Turns::default();
        let turning = turns.clone();
        let bell = Bell::new()?;
        let state = SharedState::new(&bell);
        let hush = Hush::default();
        let (comes_back, hushed) = (choice.comes_back(), hush.clone());
        let (opening, openings) = channel();
        let (choice, shown) = (choice.clone(), state.clone());
        let outlook = Outlook { choice, preference, open, shown, openings: opening, pulse: pulse.clone() };
        let watched = Watched::new(&pulse);
        let thread = AudioThread::spawn(Direction::Playback, move |stop| {
            let mut tender = Tender::new(stop, outlook);
            while !stop.is_set() {
                if let Some(device) = tender.better() {
                    rig.replace_device(Marked::new(device, &pulse));
                }
                turning.count();
                rig.hush(hushed.is_set());
                let turned = rig.turn();
                tender.look(rig.recovery());
                let Err(why) = turned else { continue };
                if !comes_back {
                    return tender.lost(why);
                }
                rig.device().close();
                let Some(device) = tender.reopen(why, rig.recovery()) else { return };
                rig.replace_device(Marked::new(device, &pulse));
            }
        })?;
        let packets = ArrivalEnd { arrivals, commands: command_in, reports: report_out };
        let paced = Paced::new(&opened);
        Ok(Self { opened, bell, hush, packets, state, watched, openings, paced, turns, _thread: thread })
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

    /// Hands a command to the thread.
    ///
    /// # Errors
    /// The command, if too many wait already.
    pub fn command(&mut self, command: playback::Command) -> Result<(), playback::Command> {
        self.packets.commands.enqueue(command)
    }

    /// Plays sound louder or softer than it was sent.
    ///
    /// # Errors
    /// The command, if too many wait already.
    pub fn set_gain(&mut self, gain: Gain) -> Result<(), playback::Command> {
        self.command(playback::Command::Gain(gain))
    }

    /// Plays silence, whatever comes, or no more.
    ///
    /// # Errors
    /// The command, if too many wait already.
    pub fn set_muted(&mut self, muted: bool) -> Result<(), playback::Command> {
        self.command(playback::Command::Mute(muted))
    }

    /// What the thread has done so far, and how it stands.
    pub fn report(&mut self) -> PlaybackReport {
        self.packets.reports.read()
    }

    /// How the device is doing.
    #[must_use]
    pub fn state(&self) -> State {
        self.watched.state(&self.state)
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
            // The one before gives its pace back first, for it may be the same card.
            self.paced = Paced::default();
            self.paced = Paced::new(&self.opened);
        }
        &self.opened
    }

    /// Keeps the device's clock in step, if it can be told; to be called each [`soundpost_core::pitch::STEP`].
    pub fn tend_pace(&mut self) -> PaceShown {
        self.opened();
        let report = self.report();
        self.paced.tend(&report);
        self.paced.shown()
    }

    /// How the device's clock is kept in step.
    #[must_use]
    pub const fn pace(&self) -> PaceShown {
        self.paced.shown()
    }

    /// How the pool has been used.
    #[must_use]
    pub fn pool(&self) -> PoolStats {
        PLAYBACK_POOL.stats()
    }
}
