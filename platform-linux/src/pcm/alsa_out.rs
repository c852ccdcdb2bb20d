//! An ALSA device that sound goes to.
//!
//! A few small periods of the buffer are kept full, and no more, however large it is: what is in it is delay
//! on every path. It begins, and after it ran dry it begins again, with silence in all of them but one, so
//! that the delay is at once what it will be. A device that soon runs dry again takes more at once than is kept
//! there (`snd-aloop` moves by two ticks of the kernel): a period more is kept then.

use super::alsa_open::{self, Agreed, Layout};
use super::{OpenError, Opened, Options};
use alsa::pcm::{Frames, PCM, State};
use soundpost_core::capacity::PERIOD_VALUES_MAX;
use soundpost_core::config::TIMING;
use soundpost_core::port::{PcmError, PcmOut};

/// See the module.
#[derive(Debug)]
pub struct AlsaOut {
    pcm: PCM,
    layout: Layout,
    channels: usize,
    period: usize,
    /// Samples of the buffer that are kept full: whole periods.
    used: usize,
    buffer: usize,
    /// Samples written since it last began.
    written: usize,
    deadline_ms: u32,
    raw: Vec<u8>,
}

impl AlsaOut {
    pub(super) fn open(name: &str, options: Options) -> Result<(Self, Opened), OpenError> {
        let Agreed { pcm, layout, device_buffer, opened } = alsa_open::open(name, alsa::Direction::Playback, options)?;
        let period = opened.period_samples as usize;
        let mut this = Self {
            layout,
            channels: opened.channels.count(),
            period,
            used: opened.buffer_samples as usize / period * period,
            buffer: device_buffer as usize,
            written: 0,
            deadline_ms: u32::try_from(options.deadline.as_millis()).unwrap_or(u32::MAX),
            raw: vec![0; PERIOD_VALUES_MAX * layout.bytes()],
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
        Ok((this, opened))
    }

    /// Starts when the used part is full, counted in whole periods, or it would never start; wakes when a
    /// period of that part is free.
    fn configure(&self) -> alsa::Result<()> {
        let params = self.pcm.sw_params_current()?;
        params.set_avail_min(self.room() as Frames)?;
        params.set_start_threshold(self.used as Frames)?;
        self.pcm.sw_params(&params)
    }

    /// What must be free in the buffer before a period is written.
    const fn room(&self) -> usize {
        self.buffer - self.used + self.period
    }

    /// Fills the used part but for one period, so that it starts with the next one and the queue is at once as
    /// long as it will be.
    fn fill_with_silence(&mut self) -> Result<(), PcmError> {
        self.raw.fill(0);
        self.written = 0;
        for _ in 1..self.used / self.period {
            self.write_raw(self.period)?;
        }
        Ok(())
    }

    /// Keeps a period more, if there may be more.
    fn lengthen(&mut self) -> Result<(), PcmError> {
        let longer = self.used + self.period;
        if longer <= self.buffer.min(self.period * TIMING.playback_periods_max as usize) {
            self.used = longer;
            self.configure().map_err(alsa_open::running)?;
        }
        Ok(())
    }

    /// Hands over what is encoded in the front of `raw`.
    fn write_raw(&self, samples: usize) -> Result<(), PcmError> {
        let mut rest = &self.raw[..samples * self.channels * self.layout.bytes()];
        for _ in 0..4 {
            match self.pcm.io_bytes().writei(rest) {
                Ok(done) => rest = &rest[done * self.channels * self.layout.bytes()..],
                Err(error) if error.errno() == libc::EAGAIN => {
                    if !self.pcm.wait(Some(self.deadline_ms)).map_err(alsa_open::running)? {
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
        self.channels
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
                alsa_open::nap(self.period);
            }
            if self.pcm.state_raw() == State::Prepared as libc::c_int {
                // Full, but not started: its start threshold is above what it holds.
                self.pcm.start().map_err(alsa_open::running)?;
            }
            if !self.pcm.wait(Some(self.deadline_ms)).map_err(alsa_open::running)? {
                return Err(PcmError::Stopped);
            }
        }
        Ok(())
    }

    fn queued(&mut self) -> u32 {
        u32::try_from(self.pcm.delay().unwrap_or(0)).unwrap_or(0)
    }

    fn write(&mut self, from: &[i16]) -> Result<(), PcmError> {
        self.layout.encode(from, &mut self.raw);
        let samples = from.len() / self.channels;
        self.written = self.written.saturating_add(samples);
        self.write_raw(samples)
    }

    fn recover(&mut self, why: PcmError) -> Result<(), PcmError> {
        if why == PcmError::Suspended && self.pcm.resume().is_ok() {
            return Ok(());
        }
        let settled = self.written as u64 >= TIMING.settled.as_samples();
        self.pcm.prepare().map_err(alsa_open::running)?;
        if why == PcmError::Xrun && !settled {
            self.lengthen()?;
        }
        self.fill_with_silence()
    }
}
