//! An ALSA device that sound goes to.
//!
//! The buffer is a few small periods and is kept full: what is in it is delay on every path. It begins, and
//! after it ran dry it begins again, with silence in all periods but one, so that the delay is at once what
//! it will be.

use super::alsa_open::{self, Agreed, Layout};
use super::{OpenError, Opened, Options};
use alsa::pcm::{Frames, PCM, State};
use soundpost_core::capacity::PERIOD_VALUES_MAX;
use soundpost_core::port::{PcmError, PcmOut};

/// See the module.
#[derive(Debug)]
pub struct AlsaOut {
    pcm: PCM,
    layout: Layout,
    channels: usize,
    period: usize,
    buffer: usize,
    deadline_ms: u32,
    raw: Vec<u8>,
}

impl AlsaOut {
    pub(super) fn open(name: &str, options: Options) -> Result<(Self, Opened), OpenError> {
        let Agreed { pcm, layout, opened } = alsa_open::open(name, alsa::Direction::Playback, options)?;
        let mut this = Self {
            layout,
            channels: opened.channels.count(),
            period: opened.period_samples as usize,
            buffer: opened.buffer_samples as usize,
            deadline_ms: u32::try_from(options.deadline.as_millis()).unwrap_or(u32::MAX),
            raw: vec![0; PERIOD_VALUES_MAX * layout.bytes()],
            pcm,
        };
        this.configure().map_err(|error| OpenError::Alsa {
            name: name.to_owned(),
            what: format!("it does not take its parameters: {}", alsa_open::words(error)),
            hint: String::new(),
        })?;
        this.fill_with_silence().map_err(|error| OpenError::Alsa {
            name: name.to_owned(),
            what: format!("it takes no sound: {error:?}"),
            hint: String::new(),
        })?;
        Ok((this, opened))
    }

    fn configure(&self) -> alsa::Result<()> {
        let params = self.pcm.sw_params_current()?;
        params.set_avail_min(self.period as Frames)?;
        params.set_start_threshold((self.buffer / self.period * self.period) as Frames)?;
        self.pcm.sw_params(&params)
    }

    fn room(&self) -> Result<bool, PcmError> {
        Ok(self.pcm.avail_update().map_err(alsa_open::running)? >= self.period as Frames)
    }

    /// Fills the buffer but for one period, so that it starts with the next one and the queue is at once as
    /// long as it will be.
    fn fill_with_silence(&mut self) -> Result<(), PcmError> {
        self.raw.fill(0);
        for _ in 1..self.buffer / self.period {
            self.write_raw(self.period)?;
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
        for _ in 0..8 {
            if self.room()? {
                return Ok(());
            }
            if self.pcm.state() == State::Prepared {
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
        self.write_raw(from.len() / self.channels)
    }

    fn recover(&mut self, why: PcmError) -> Result<(), PcmError> {
        if why == PcmError::Suspended && self.pcm.resume().is_ok() {
            return Ok(());
        }
        self.pcm.prepare().map_err(alsa_open::running)?;
        self.fill_with_silence()
    }
}
