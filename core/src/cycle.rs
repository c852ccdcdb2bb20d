//! One turn of the crank, for capture and for playback: the loop body that threads and simulator share.
//!
//! A rig owns everything that one direction's real-time thread touches. A turn waits for the device, does a
//! bounded amount of work and returns; it never allocates, locks or formats. Nothing leaves the thread but
//! handles, through single-producer rings, and reports, through latest-value cells.

mod playback;
mod shapes;

pub use playback::{Held, Inbound, PlaybackRig};
pub use shapes::ShapeLinks;

use crate::capacity::{COMMANDS_PER_TURN, PERIOD_VALUES_MAX, STEPS_PER_TURN};
use crate::codec::Encode;
use crate::engine::capture::{Capture, Command, Outcome};
use crate::latest::Publisher;
use crate::meter::{CaptureReport, Stopwatch};
use crate::pool::{Pool, Shared};
use crate::port::{Clock, PcmError, PcmIn};
use crate::recovery::{Action, Recovery, Step};
use crate::signal;
use crate::time::{Instant, Span};
use crate::wire::Frame;
use heapless::spsc::{Consumer, Producer};
use shapes::{Shapes, enqueue};

/// What one turn of capture did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Turn {
    /// Packets handed over.
    pub packets: u32,
    /// The device ran over and was brought back.
    pub recovered: bool,
    /// Commands taken.
    pub commands: u32,
}

/// Everything that the capture thread owns.
pub struct CaptureRig<'a, 'p, I, C, E, const N: usize> {
    device: I,
    clock: C,
    engine: Capture<E>,
    pool: &'p Pool<Frame, N>,
    commands: Consumer<'a, Command>,
    packets: Producer<'a, Shared<'p, Frame, N>>,
    reports: Publisher<'a, CaptureReport>,
    period: [i16; PERIOD_VALUES_MAX],
    converted: [i16; PERIOD_VALUES_MAX],
    /// When the latest sample was captured.
    edge: Option<Instant>,
    /// The device lost sound since then.
    gap: bool,
    /// A frame was full since the last report.
    frame_done: bool,
    recovery: Recovery,
    watch: Stopwatch,
    shapes: Shapes<'a, E>,
}

/// The rings and the pool of a capture rig.
pub struct CaptureLinks<'a, 'p, const N: usize> {
    /// Where packets are coded into.
    pub pool: &'p Pool<Frame, N>,
    /// Changes come in here.
    pub commands: Consumer<'a, Command>,
    /// Packets leave here.
    pub packets: Producer<'a, Shared<'p, Frame, N>>,
    /// Reports are published here.
    pub reports: Publisher<'a, CaptureReport>,
}

impl<'a, 'p, I: PcmIn, C: Clock, E: Encode, const N: usize> CaptureRig<'a, 'p, I, C, E, N> {
    /// Puts the parts together.
    pub fn new(device: I, clock: C, engine: Capture<E>, links: CaptureLinks<'a, 'p, N>) -> Self {
        let CaptureLinks { pool, commands, packets, reports } = links;
        Self {
            device,
            clock,
            engine,
            pool,
            commands,
            packets,
            reports,
            period: [0; PERIOD_VALUES_MAX],
            converted: [0; PERIOD_VALUES_MAX],
            edge: None,
            gap: false,
            frame_done: false,
            recovery: Recovery::default(),
            watch: Stopwatch::new(),
            shapes: Shapes::NONE,
        }
    }

    /// The same rig, which can be given other encoders.
    #[must_use]
    pub fn with_shapes(self, shapes: ShapeLinks<'a, E>) -> Self {
        Self { shapes: Shapes::through(shapes), ..self }
    }

    /// The engine, to look at.
    pub const fn engine(&self) -> &Capture<E> {
        &self.engine
    }

    /// Waits for a period, codes what is full, hands it over.
    ///
    /// # Errors
    /// [`PcmError`] if the device is beyond recovery, or over.
    pub fn turn(&mut self) -> Result<Turn, PcmError> {
        let mut turn = Turn { commands: self.obey(), ..Turn::default() };
        let channels = self.device.channels();
        let values = self.device.period().saturating_mul(channels).min(PERIOD_VALUES_MAX);
        let room = self.period.get_mut(..values).unwrap_or(&mut []);
        let read = match self.device.read(room) {
            Ok(read) if read.samples == 0 && self.recovery.on_idle(self.clock.now()) => Err(PcmError::Stopped),
            read => read,
        };
        match read {
            Ok(read) => {
                let age = Span::from_samples(u64::from(read.samples).saturating_add(u64::from(read.pending)));
                let woken = self.clock.now();
                let first = woken.minus(age);
                if core::mem::take(&mut self.gap) {
                    self.bridge_gap(first, &mut turn);
                }
                let got = (read.samples as usize).saturating_mul(channels).min(values);
                self.take_in(first, got, channels, &mut turn);
                self.edge = Some(first.plus(Span::from_samples(u64::from(read.samples))));
                if read.samples > 0 {
                    self.recovery.on_moved(first);
                }
                let deadline = Span::from_samples(self.device.period() as u64);
                self.watch.turned(self.clock.now().since(woken), deadline);
            }
            Err(why) => {
                let mended = self.mend(why, &mut turn);
                self.report();
                mended?;
            }
        }
        // A muted frame is news, too: who takes over from here has to know how far the stream got.
        if core::mem::take(&mut self.frame_done) {
            self.report();
        }
        Ok(turn)
    }

    /// Does about trouble with the device what can be done without opening it again.
    fn mend(&mut self, why: PcmError, turn: &mut Turn) -> Result<(), PcmError> {
        match why {
            PcmError::Xrun | PcmError::Suspended => self.engine.on_xrun(),
            _ => self.finish(turn),
        }
        self.gap = true;
        let now = self.clock.now();
        turn.recovered = mend(&mut self.recovery, now, why, |step| self.device.recover(step))?;
        Ok(())
    }

    fn report(&mut self) {
        let (work, recoveries, edge) = (self.watch.work(), self.recovery.counts(), self.edge);
        self.reports.publish(CaptureReport { work, recoveries, edge, ..*self.engine.report() });
    }

    /// How the device does.
    pub const fn recovery(&mut self) -> &mut Recovery {
        &mut self.recovery
    }

    /// The stream was begun by a predecessor, whose next sample was to be captured then: the time since is a gap.
    pub const fn resume(&mut self, edge: Instant) {
        self.edge = Some(edge);
        self.gap = true;
    }

    /// The device, to close it, say: no turn may follow before it is replaced.
    pub const fn device(&mut self) -> &mut I {
        &mut self.device
    }

    /// Goes on with another device, or the same one opened again; the time between is a gap.
    pub fn replace_device(&mut self, device: I) {
        self.device = device;
        self.recovery.on_opened();
        self.gap = true;
    }

    /// Takes the commands that wait, so many in one turn; returns how many.
    fn obey(&mut self) -> u32 {
        let mut taken = 0_u32;
        self.shapes.let_go(&mut self.engine);
        for _ in 0..COMMANDS_PER_TURN {
            if self.commands.peek() == Some(&Command::Reshape) && !self.shapes.take_over(&mut self.engine) {
                break;
            }
            let Some(command) = self.commands.dequeue() else {
                break;
            };
            let was_muted = self.engine.report().is_muted;
            self.engine.apply(command);
            if was_muted && !self.engine.report().is_muted {
                // What the device holds by now was captured while muted.
                self.engine.hear_from(self.clock.now());
            }
            taken = taken.saturating_add(1);
        }
        if taken > 0 {
            // Before the device is waited for: who muted is waiting for the answer.
            self.report();
        }
        taken
    }

    /// The device is over: the frame under way goes out, filled up with silence.
    fn finish(&mut self, turn: &mut Turn) {
        if let Some(edge) = self.edge {
            let before = self.engine.media_time();
            self.engine.fill_up(edge);
            let filled = self.engine.media_time().since(before);
            self.edge = Some(edge.plus(Span::from_samples(filled)));
            if self.engine.is_full() {
                self.hand_over(turn);
            }
        }
    }

    /// Accounts for the sound that the device lost before `first`.
    fn bridge_gap(&mut self, first: Instant, turn: &mut Turn) {
        let Some(edge) = self.edge else { return };
        let mut lost = first.since(edge).as_samples();
        // Twice at most: fill up the frame under way, then place the rest.
        while lost > 0 {
            lost = self.engine.on_gap(edge, lost);
            if self.engine.is_full() {
                self.hand_over(turn);
            }
        }
    }

    /// Feeds `got` values of the period to the engine, in the engine's layout of channels.
    fn take_in(&mut self, first: Instant, got: usize, channels: usize, turn: &mut Turn) {
        let (mut begin, mut at) = (0_usize, first);
        // Each round takes at least one sample, so it ends.
        while begin < got {
            // Between two frames another encoder may take over, with another number of channels.
            let coded = self.engine.stream().channels.count();
            let source = self.period.get(begin..got).unwrap_or(&[]);
            let end = signal::convert_channels(source, channels, &mut self.converted, coded);
            let taken = self.engine.feed(at, self.converted.get(..end).unwrap_or(&[]));
            let samples = taken.checked_div(coded).unwrap_or(0);
            if self.engine.is_full() {
                self.hand_over(turn);
            } else if samples == 0 {
                break;
            }
            begin = begin.saturating_add(samples.saturating_mul(channels));
            at = first.plus(Span::from_samples(begin.checked_div(channels).unwrap_or(0) as u64));
        }
    }

    fn hand_over(&mut self, turn: &mut Turn) {
        self.frame_done = true;
        if self.engine.is_muted() {
            self.engine.mute();
            return;
        }
        let Ok(mut slot) = self.pool.claim() else {
            self.engine.skip();
            return;
        };
        let (engine, began) = (&mut self.engine, self.clock.now());
        let outcome = slot.with_mut(|frame| engine.encode(frame));
        self.watch.took(self.clock.now().since(began));
        if outcome == Outcome::Refused {
            return;
        }
        match enqueue(&mut self.packets, slot.share()) {
            Ok(()) => turn.packets = turn.packets.saturating_add(1),
            Err(packet) => packet.with(|frame| self.engine.on_ring_full(&frame.header)),
        }
    }
}

/// Asks a device for one step after the other, each once at most; whether one of them helped.
fn mend(
    recovery: &mut Recovery,
    now: Instant,
    mut why: PcmError,
    mut recover: impl FnMut(Step) -> Result<(), PcmError>,
) -> Result<bool, PcmError> {
    for _ in 0..STEPS_PER_TURN {
        match recovery.on_fault(now, why.fault().ok_or(why)?) {
            Action::Listen => return Ok(false),
            Action::Reopen => return Err(why),
            Action::Try(step) => match recover(step) {
                Ok(()) => return Ok(true),
                Err(next) => why = next,
            },
        }
    }
    // It has a new complaint each time: next turn goes on from here.
    Ok(false)
}

#[cfg(all(test, not(loom)))]
mod tests;
