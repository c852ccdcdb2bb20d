//! An ALSA device that sound goes to.
//!
//! A few small periods of the buffer are kept full, and no more, however large it is: what is in it is delay
//! on every path. It begins, and after it ran dry it begins again, with silence in all of them but one, so
//! that the delay is at once what it will be. A device that soon runs dry again takes more at once than is kept
//! there (`snd-aloop` moves by two ticks of the kernel): a period more is kept then.

use super::alsa_open::{self, Agreed};
use super::alsa_wait::Waiter;
use super::convert::Converter;
use super::layout::Layout;
use super::{OpenError, Opened, Options, Pace};
use alsa::pcm::{Frames, PCM, State};
use soundpost_core::capacity::PERIOD_SAMPLES_MAX;
use soundpost_core::config::TIMING;
use soundpost_core::port::{PcmError, PcmOut};
use soundpost_core::recovery::Step;
use soundpost_core::time::Span;

/// See the module.
#[derive(Debug)]
pub struct AlsaOut {
    pcm: PCM,
    layout: Layout,
    rate_hz: u32,
    /// Samples that core gives at once, at 48 kHz.
    period: usize,
    /// What becomes of them at most, in the device's samples.
    block: usize,
    /// Samples of the buffer that are kept full: whole periods.
    used: usize,
    buffer: usize,
    waiter: Waiter,
    /// The device's samples that were written since it last began.
    written: usize,
    /// It has played for long enough without running dry.
    settled: bool,
    raw: Vec<u8>,
    /// Where the device has another rate than core, with room for what it gives.
    converter: Option<Box<(Converter, Vec<i16>)>>,
}

impl AlsaOut {
    pub(super) fn open(name: &str, options: Options) -> Result<(Self, Opened), OpenError> {
        let Agreed { pcm, layout, rate_hz, period: block, buffer, used, converter, mut opened } =
            alsa_open::open(name, alsa::Direction::Playback, options)?;
        let most = converter.as_ref().map_or(PERIOD_SAMPLES_MAX, Converter::gives_at_most).max(block);
        let mut this = Self {
            layout,
            rate_hz,
            period: opened.period_samples as usize,
            block,
            used,
            buffer,
            written: 0,
            settled: false,
            waiter: Waiter::new(&pcm, options.deadline),
            raw: vec![0; most * layout.bytes()],
            converter: converter.map(|converter| Box::new((converter, vec![0; most * layout.channels()]))),
            pcm,
        };
        let bad =
            |error| alsa_open::refusal(name, format!("it does not take its parameters: {}", alsa_open::words(error)));
        this.configure().map_err(bad)?;
        this.fill_with_silence().map_err(|error| alsa_open::refusal(name, format!("it takes no sound: {error:?}")))?;
        // It was not started, so what it was given must still be there.
        if this.pcm.avail_update().map_err(bad)? >= this.buffer as Frames {
            return Err(alsa_open::no_clock(name));
        }
        opened.pace = Pace::probe(&this.pcm, name);
        Ok((this, opened))
    }

    /// Starts with the first sound behind the silence; wakes when a period of the used part is free.
    fn configure(&self) -> alsa::Result<()> {
        let params = self.pcm.sw_params_current()?;
        params.set_avail_min(self.room() as Frames)?;
        params.set_start_threshold((self.used - self.block + 1) as Frames)?;
        self.pcm.sw_params(&params)
    }

    /// What must be free in the buffer before a period is written.
    const fn room(&self) -> usize {
        self.buffer - self.used + self.block
    }

    /// Fills the used part but for one period, so that it starts with the next one and the queue is at once as
    /// long as it will be.
    fn fill_with_silence(&mut self) -> Result<(), PcmError> {
        self.raw.fill(0);
        self.written = 0;
        for _ in 1..self.used / self.block {
            self.write_raw(self.block)?;
        }
        Ok(())
    }

    fn write_sound(&mut self, samples: usize) -> Result<(), PcmError> {
        self.written = self.written.saturating_add(samples);
        self.write_raw(samples)
    }

    /// Keeps a period more, if there may be more.
    fn lengthen(&mut self) -> Result<(), PcmError> {
        let longer = self.used + self.block;
        if longer <= self.buffer.min(self.block * TIMING.playback_periods_max as usize) {
            self.used = longer;
            self.configure().map_err(alsa_open::running)?;
        }
        Ok(())
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
        // A device may wake us early; a bounded number of times that is waited through.
        for early in 0..8 {
            let free = self.pcm.avail_update().map_err(alsa_open::running)?;
            if free >= self.room() as Frames {
                return Ok(());
            }
            if early > 0 {
                alsa_open::nap(self.block, self.rate_hz);
            }
            if self.pcm.state_raw() == State::Prepared as libc::c_int {
                // Full, but not started: its start threshold is above what it holds.
                self.pcm.start().map_err(alsa_open::running)?;
            }
            if !self.waiter.wait(&self.pcm).map_err(alsa_open::running)? {
                return Err(PcmError::Stopped);
            }
        }
        Ok(())
    }

    fn queued(&mut self) -> u32 {
        let queued = u32::try_from(self.pcm.delay().unwrap_or(0)).unwrap_or(0);
        let delay = self.converter.as_ref().map_or(0, |parts| parts.0.delay());
        alsa_open::core_samples(queued, self.rate_hz) + delay
    }

    fn write(&mut self, from: &[i16]) -> Result<(), PcmError> {
        let Some((converter, room)) = self.converter.as_deref_mut() else {
            self.layout.encode(from, &mut self.raw);
            return self.write_sound(from.len() / self.layout.channels());
        };
        let samples = converter.run(from, room);
        self.layout.encode(&room[..samples * self.layout.channels()], &mut self.raw);
        self.write_sound(samples)
    }

    fn recover(&mut self, step: Step) -> Result<(), PcmError> {
        alsa_open::recover(&self.pcm, step).map_err(alsa_open::running)?;
        if step == Step::Resume {
            return Ok(());
        }
        self.settled |= Span::from_samples(self.written as u64) >= TIMING.settled;
        if !self.settled {
            self.lengthen()?;
        }
        self.fill_with_silence()
    }
}
