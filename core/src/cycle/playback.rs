//! The turn of playback: takes what has arrived, makes a period when the device wants one, keeps the device going.

use super::mend;
use crate::capacity::{COMMANDS_PER_TURN, HANDOVER_RING_LEN, PERIOD_VALUES_MAX, PLAYBACK_SLOTS, POOLED_PACKETS};
use crate::codec::{Decode, Extent, Payload, opus_samples};
use crate::engine::playback::{self, Playback};
use crate::jitter::Arrival;
use crate::latest::Publisher;
use crate::meter::{PlaybackReport, Stopwatch};
use crate::pitch::CardClock;
use crate::pool::Shared;
use crate::port::{Clock, PcmError, PcmOut};
use crate::recovery::Recovery;
use crate::time::{Instant, MediaTime, SAMPLE_RATE_HZ, Span};
use crate::wire::redundant::Copied;
use crate::wire::{Flags, Frame};
use heapless::spsc::Consumer;

/// A frame and when it arrived, on its way to the playback thread.
#[derive(Clone, Debug)]
pub struct Inbound<'p, const N: usize> {
    /// When it arrived.
    pub arrived: Instant,
    /// The frame.
    pub frame: Shared<'p, Frame, N>,
}

/// What the jitter store holds: a packet, or the copy of an earlier one that it brought along, both in the same slot.
#[derive(Debug)]
pub struct Held<'p, const N: usize> {
    frame: Shared<'p, Frame, N>,
    is_copy: bool,
}

impl<const N: usize> Payload for Held<'_, N> {
    fn with_bytes<R>(&self, read: impl FnOnce(&[u8]) -> R) -> R {
        self.frame.with(|frame| {
            let parts = frame.parts();
            let copy = parts.copy.filter(|_| self.is_copy);
            read(copy.map_or(parts.packet, |copy| copy.bytes))
        })
    }

    fn is_copy(&self) -> bool {
        self.is_copy
    }
}

/// More than a device is ever started with, so that what it has played is no negative number.
const SILENCE: u64 = SAMPLE_RATE_HZ as u64;

/// Everything that the playback thread owns.
pub struct PlaybackRig<'a, 'p, O, C, D, const N: usize> {
    device: O,
    clock: C,
    engine: Playback<D, Held<'p, N>>,
    arrivals: Consumer<'a, Inbound<'p, N>>,
    commands: Option<Consumer<'a, playback::Command>>,
    reports: Publisher<'a, PlaybackReport>,
    period: [i16; PERIOD_VALUES_MAX],
    recovery: Recovery,
    watch: Stopwatch,
    /// It was started, and nothing has shown that it plays.
    fresh: bool,
    /// Its clock, and the samples that it was given since it was started.
    card: CardClock,
    given: u64,
}

impl<'a, 'p, O: PcmOut, C: Clock, D: Decode, const N: usize> PlaybackRig<'a, 'p, O, C, D, N> {
    /// Puts the parts together. The engine must make as many channels as the device has.
    pub fn new(
        device: O,
        clock: C,
        mut engine: Playback<D, Held<'p, N>>,
        arrivals: Consumer<'a, Inbound<'p, N>>,
        reports: Publisher<'a, PlaybackReport>,
    ) -> Self {
        // The rest of the pool is on its way: in the ring, being received, being decoded.
        engine.limit_packets(N.saturating_mul(POOLED_PACKETS) / PLAYBACK_SLOTS);
        Self {
            device,
            clock,
            engine,
            arrivals,
            commands: None,
            reports,
            period: [0; PERIOD_VALUES_MAX],
            recovery: Recovery::default(),
            watch: Stopwatch::new(),
            fresh: true,
            card: CardClock::new(),
            given: 0,
        }
    }

    /// The same rig, which takes commands from a ring.
    #[must_use]
    pub fn with_commands(mut self, commands: Consumer<'a, playback::Command>) -> Self {
        self.commands = Some(commands);
        self
    }

    /// The engine, to look at.
    pub const fn engine(&self) -> &Playback<D, Held<'p, N>> {
        &self.engine
    }

    /// The device, to close it, say: no turn may follow before it is replaced.
    pub const fn device(&mut self) -> &mut O {
        &mut self.device
    }

    /// Goes on with another device, or the same one opened again. It must have as many channels.
    pub fn replace_device(&mut self, device: O) {
        self.device = device;
        self.fresh = true;
        (self.card, self.given) = (CardClock::new(), 0);
        self.recovery.on_opened();
    }

    /// How the device does.
    pub const fn recovery(&mut self) -> &mut Recovery {
        &mut self.recovery
    }

    /// Whether the device gets silence from the next period on, whatever is played: for an amplifier that is
    /// being switched. The change fades.
    pub fn hush(&mut self, silent: bool) {
        self.engine.hush(silent);
    }

    /// Takes the commands that wait, so many in one turn.
    fn obey(&mut self) {
        for _ in 0..COMMANDS_PER_TURN {
            let Some(command) = self.commands.as_mut().and_then(Consumer::dequeue) else { return };
            self.engine.apply(command);
        }
    }

    /// Waits until the device wants a period, makes it and hands it over.
    ///
    /// # Errors
    /// [`PcmError`] if the device is beyond recovery, or over.
    pub fn turn(&mut self) -> Result<(), PcmError> {
        self.obey();
        if let Err(why) = self.device.wait() {
            return self.mend(why);
        }
        for _ in 0..HANDOVER_RING_LEN {
            let Some(inbound) = self.arrivals.dequeue() else {
                break;
            };
            self.accept(inbound);
        }
        // In this order: who is interrupted between the two sees the device late, never early.
        let queued = self.device.queued();
        let now = self.clock.now();
        if !self.fresh {
            // The silence that it began with is in its queue, too: a constant.
            self.card.played(now, self.given.saturating_add(SILENCE).saturating_sub(u64::from(queued)));
        }
        let values = self.device.period().saturating_mul(self.device.channels()).min(PERIOD_VALUES_MAX);
        let period = self.period.get_mut(..values).unwrap_or(&mut []);
        self.engine.render(now, queued, period);
        let took = self.clock.now().since(now);
        self.watch.took(took);
        self.watch.turned(took, Span::from_samples(self.device.period() as u64));
        let written = self.device.write(period);
        self.given = self.given.saturating_add(self.device.period() as u64);
        match written {
            // The first period after a start finds room in a device whose clock stands still, too.
            Ok(()) if core::mem::take(&mut self.fresh) => {}
            Ok(()) => self.recovery.on_moved(now),
            Err(why) => return self.mend(why),
        }
        self.report();
        Ok(())
    }

    fn report(&mut self) {
        self.reports.publish(PlaybackReport {
            work: self.watch.work(),
            recoveries: self.recovery.counts(),
            card_slow_ppm: self.card.slow_ppm(),
            card_seconds: self.card.seconds(),
            ..*self.engine.report()
        });
    }

    fn accept(&mut self, inbound: Inbound<'p, N>) {
        let Inbound { arrived, frame } = inbound;
        let (header, samples, copied) = frame.with(|frame| {
            let parts = frame.parts();
            let extent = |copy: Copied<'_>| {
                let media = MediaTime(frame.header.media.0.checked_sub(u64::from(copy.before))?);
                Some((Extent { media, samples: opus_samples(copy.bytes)? }, u64::from(copy.before)))
            };
            (frame.header, opus_samples(parts.packet), parts.copy.and_then(extent))
        });
        let captured = (header.captured != Instant::ZERO).then_some(header.captured);
        if header.flags.has(Flags::START) {
            self.engine.begin(captured);
        }
        // Refusals are counted by the engine.
        if let Some((extent, before)) = copied {
            let captured = captured.map(|captured| captured.minus(Span::from_samples(before)));
            let payload = Held { frame: frame.clone(), is_copy: true };
            let _ = self.engine.accept(Arrival { extent, arrived, captured, payload });
        }
        let extent = Extent { media: header.media, samples: samples.unwrap_or(0) };
        let payload = Held { frame, is_copy: false };
        let _ = self.engine.accept(Arrival { extent, arrived, captured, payload });
    }

    /// Does about trouble with the device what can be done without opening it again.
    fn mend(&mut self, why: PcmError) -> Result<(), PcmError> {
        if matches!(why, PcmError::Xrun | PcmError::Suspended) {
            self.engine.on_xrun();
        }
        let now = self.clock.now();
        let mended = mend(&mut self.recovery, now, why, |step| self.device.recover(step));
        self.report();
        if mended? {
            self.fresh = true;
            (self.card, self.given) = (CardClock::new(), 0);
        }
        Ok(())
    }
}
