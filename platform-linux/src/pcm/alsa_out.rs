//! An ALSA device that sound goes to.
//!
//! A few small periods of the buffer are kept full, and no more, however large it is: what is in it is delay
//! on every path. It begins, and after it ran dry it begins again, with silence in all of them but one, so
//! that the delay is at once what it will be. How many that are is core's business ([`Queue`]).

use super::alsa_open::{self, Agreed};
use super::alsa_soft::SoftPcm;
use super::alsa_wait::Waiter;
use super::convert::Converter;
use super::layout::Layout;
use super::{OpenError, Opened, Options, Pace};
use crate::rt::now;
use alsa::pcm::{Frames, State};
use soundpost_core::capacity::PERIOD_SAMPLES_MAX;
use soundpost_core::config::TIMING;
use soundpost_core::port::{PcmError, PcmOut};
use soundpost_core::queue::Queue;
use soundpost_core::recovery::Step;

/// See the module.
#[derive(Debug)]
pub struct AlsaOut {
    pcm: SoftPcm,
    layout: Layout,
    rate_hz: u32,
    /// Samples that core gives at once, at 48 kHz.
    period: usize,
    /// What becomes of them at most, in the device's samples.
    block: usize,
    buffer: usize,
    /// How much of the buffer is kept full.
    queue: Queue,
    waiter: Waiter,
    raw: Vec<u8>,
    /// Where the device has another rate than core, with room for what it gives.
    converter: Option<Box<(Converter, Vec<i16>)>>,
}

impl AlsaOut {
    pub(super) fn open(name: &str, options: Options) -> Result<(Self, Opened), OpenError> {
        let Agreed { pcm, layout, rate_hz, period: block, buffer, used, converter, mut opened } =
            alsa_open::open(name, alsa::Direction::Playback, options)?;
        let most = converter.as_ref().map_or(PERIOD_SAMPLES_MAX, Converter::gives_at_most).max(block);
        let bad =
            |error| alsa_open::refusal(name, format!("it does not take its parameters: {}", alsa_open::words(error)));
        let mut this = Self {
            layout,
            rate_hz,
            period: opened.period_samples as usize,
            block,
            buffer,
            queue: Queue::new(opened.period_samples, (used / block) as u32, (buffer / block) as u32),
            waiter: Waiter::new(&pcm, options.deadline),
            raw: vec![0; most * layout.bytes()],
            converter: converter.map(|converter| Box::new((converter, vec![0; most * layout.channels()]))),
            pcm: SoftPcm::new(pcm).map_err(bad)?,
        };
        this.configure().map_err(bad)?;
        this.fill_with_silence(this.queue.periods())
            .map_err(|error| alsa_open::refusal(name, format!("it takes no sound: {error:?}")))?;
        // It was not started, so what it was given must still be there.
        if this.pcm.avail_update().map_err(bad)? >= this.buffer as Frames {
            return Err(alsa_open::no_clock(name));
        }
        opened.pace = Pace::probe(&this.pcm, name);
        Ok((this, opened))
    }

    /// Starts with the first sound behind the silence; wakes when a period of the used part is free.
    fn configure(&self) -> alsa::Result<()> {
        let begins = (self.queue.periods_when_dry() as usize - 1) * self.block;
        self.pcm.tune(|params| {
            params.set_avail_min(self.room() as Frames)?;
            params.set_start_threshold((begins + 1) as Frames)
        })
    }

    /// Samples of the buffer that are kept full.
    const fn used(&self) -> usize {
        self.queue.periods() as usize * self.block
    }

    /// What must be free in the buffer before a period is written.
    const fn room(&self) -> usize {
        self.buffer - self.used() + self.block
    }

    /// Fills so many periods but for one with silence, so that it starts with the next one.
    fn fill_with_silence(&mut self, periods: u32) -> Result<(), PcmError> {
        self.raw.fill(0);
        for _ in 1..periods {
            self.write_raw(self.block)?;
        }
        Ok(())
    }

    /// It asks for sound while so much of the buffer is free: how long its queue has to be is seen by that.
    fn look(&mut self, free: usize) -> Result<(), PcmError> {
        let left = u32::try_from(self.buffer.saturating_sub(free)).unwrap_or(0);
        let changed = self.queue.on_look(now(), alsa_open::core_samples(left, self.rate_hz));
        if changed { self.configure().map_err(alsa_open::running) } else { Ok(()) }
    }

    /// Hands over what is encoded in the front of `raw`.
    fn write_raw(&mut self, samples: usize) -> Result<(), PcmError> {
        let mut rest = &self.raw[..samples * self.layout.bytes()];
        for _ in 0..4 {
            match self.pcm.io_bytes().writei(rest) {
                Ok(done) => rest = &rest[done * self.layout.bytes()..],
                Err(error) if error.errno() == libc::EAGAIN => {
                    if !self.waiter.wait(&self.pcm).map_err(alsa_open::running)? {
                        return Err(PcmError::Stopped);
                    }
                }
                Err(error) => return Err(alsa_open::running(error)),
            }
            if rest.is_empty() {
                return Ok(());
            }
        }
        Err(PcmError::Stopped)
    }
}

impl PcmOut for AlsaOut {
    fn channels(&self) -> usize {
        self.layout.channels()
    }

    fn period(&self) -> usize {
        self.period
    }

    fn wait(&mut self) -> Result<(), PcmError> {
        // A device may wake us early. That is waited through, but not beyond the deadline.
        let end = now().plus(TIMING.device_deadline);
        let mut early = false;
        loop {
            let free = self.pcm.avail_update().map_err(alsa_open::running)?;
            if free >= self.room() as Frames {
                return self.look(free as usize);
            }
            if early {
                if now() >= end {
                    return Err(PcmError::Stopped);
                }
                alsa_open::nap(self.block, self.rate_hz);
            }
            early = true;
            if self.pcm.state_raw() == State::Prepared as libc::c_int {
                // Full, but not started: its start threshold is above what it holds.
                self.pcm.start().map_err(alsa_open::running)?;
            }
            if !self.waiter.wait(&self.pcm).map_err(alsa_open::running)? {
                return Err(PcmError::Stopped);
            }
        }
    }

    fn queued(&mut self) -> u32 {
        let queued = u32::try_from(self.pcm.delay().unwrap_or(0)).unwrap_or(0);
        let delay = self.converter.as_ref().map_or(0, |parts| parts.0.delay());
        alsa_open::core_samples(queued, self.rate_hz) + delay
    }

    fn write(&mut self, from: &[i16]) -> Result<(), PcmError> {
        if self.queue.on_sound(now()) {
            self.configure().map_err(alsa_open::running)?;
        }
        let Some((converter, room)) = self.converter.as_deref_mut() else {
            self.layout.encode(from, &mut self.raw);
            return self.write_raw(from.len() / self.layout.channels());
        };
        let samples = converter.run(from, room);
        self.layout.encode(&room[..samples * self.layout.channels()], &mut self.raw);
        self.write_raw(samples)
    }

    fn recover(&mut self, step: Step) -> Result<(), PcmError> {
        let ran_dry = self.pcm.state_raw() == State::XRun as libc::c_int;
        alsa_open::recover(&self.pcm, step).map_err(alsa_open::running)?;
        if step == Step::Resume {
            return Ok(());
        }
        if ran_dry && self.queue.on_dry(now()) {
            self.configure().map_err(alsa_open::running)?;
        }
        // Whoever cannot tell whether it plays gets all of it: room would be taken for sound that has moved.
        let periods = if ran_dry { self.queue.periods_when_dry() } else { self.queue.periods() };
        self.fill_with_silence(periods)
    }
}
