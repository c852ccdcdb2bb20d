//! An ALSA device that sound comes from.
//!
//! Small periods in a large buffer: a period is read as soon as it is there, and a late wake-up loses
//! nothing. Waiting has a deadline, so a clock that stands still is reported and not waited for.

use super::alsa_open::{self, Agreed, Layout};
use super::{OpenError, Opened, Options};
use alsa::pcm::{Frames, PCM};
use soundpost_core::capacity::PERIOD_VALUES_MAX;
use soundpost_core::port::{PcmError, PcmIn, Read};
use soundpost_core::time::SAMPLE_RATE_HZ;
use std::time::{Duration, Instant};

/// See the module.
#[derive(Debug)]
pub struct AlsaIn {
    pcm: PCM,
    layout: Layout,
    channels: usize,
    period: usize,
    deadline_ms: u32,
    raw: Vec<u8>,
}

impl AlsaIn {
    pub(super) fn open(name: &str, options: Options) -> Result<(Self, Opened), OpenError> {
        let Agreed { pcm, layout, device_buffer, opened } = alsa_open::open(name, alsa::Direction::Capture, options)?;
        let this = Self {
            layout,
            channels: opened.channels.count(),
            period: opened.period_samples as usize,
            deadline_ms: u32::try_from(options.deadline.as_millis()).unwrap_or(u32::MAX),
            raw: vec![0; PERIOD_VALUES_MAX * layout.bytes()],
            pcm,
        };
        let began = Instant::now();
        let started = this.configure().and_then(|()| this.pcm.start()).and_then(|()| this.pcm.avail());
        let ready = started
            .map_err(|error| alsa_open::refusal(name, format!("cannot start it: {}", alsa_open::words(error))))?;
        // Full sooner than time can have filled it.
        let filled = Duration::from_secs(u64::from(device_buffer)) / SAMPLE_RATE_HZ;
        if ready >= Frames::from(device_buffer as i32) && began.elapsed() < filled / 2 {
            return Err(alsa_open::no_clock(name));
        }
        Ok((this, opened))
    }

    /// Wakes for each period; starts only when told to.
    fn configure(&self) -> alsa::Result<()> {
        let params = self.pcm.sw_params_current()?;
        params.set_avail_min(self.period as Frames)?;
        self.pcm.sw_params(&params)
    }
}

impl PcmIn for AlsaIn {
    fn channels(&self) -> usize {
        self.channels
    }

    fn period(&self) -> usize {
        self.period
    }

    fn read(&mut self, into: &mut [i16]) -> Result<Read, PcmError> {
        // Whoever has no sound at the deadline stands still. A wake-up without sound is waited through.
        for _ in 0..2 {
            let ready = self.pcm.avail_update().map_err(alsa_open::running)? >= self.period as Frames;
            if !ready && !self.pcm.wait(Some(self.deadline_ms)).map_err(alsa_open::running)? {
                return Err(PcmError::Stopped);
            }
            let bytes = self.raw.len().min(into.len() * self.layout.bytes());
            let raw = &mut self.raw[..bytes];
            match self.pcm.io_bytes().readi(raw) {
                Ok(samples) => {
                    let values = samples * self.channels;
                    self.layout.decode(&raw[..values * self.layout.bytes()], &mut into[..values]);
                    // Asks the device itself: what came since the wake-up counts, too.
                    let pending = self.pcm.avail().unwrap_or(0).max(0);
                    return Ok(Read { samples: samples as u32, pending: u32::try_from(pending).unwrap_or(0) });
                }
                Err(error) if error.errno() == libc::EAGAIN => alsa_open::nap(self.period),
                Err(error) => return Err(alsa_open::running(error)),
            }
        }
        Ok(Read { samples: 0, pending: 0 })
    }

    fn recover(&mut self, why: PcmError) -> Result<(), PcmError> {
        // A device that cannot resume is prepared like one that ran over.
        if why == PcmError::Suspended && self.pcm.resume().is_ok() {
            return Ok(());
        }
        self.pcm.prepare().and_then(|()| self.pcm.start()).map_err(alsa_open::running)
    }
}
