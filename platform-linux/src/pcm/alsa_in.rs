//! An ALSA device that sound comes from.
//!
//! Small periods in a large buffer: a period is read as soon as it is there, and a late wake-up loses
//! nothing. Waiting has a deadline, so a clock that stands still is reported and not waited for.

use super::alsa_open::{self, Agreed};
use super::alsa_wait::Waiter;
use super::convert::Converter;
use super::layout::Layout;
use super::{OpenError, Opened, Options};
use alsa::pcm::{Frames, PCM};
use soundpost_core::capacity::PERIOD_SAMPLES_MAX;
use soundpost_core::port::{PcmError, PcmIn, Read};
use soundpost_core::recovery::Step;
use std::time::{Duration, Instant};

/// See the module.
#[derive(Debug)]
pub struct AlsaIn {
    pcm: PCM,
    layout: Layout,
    rate_hz: u32,
    /// Samples that core is given at once, at 48 kHz.
    period: usize,
    waiter: Waiter,
    /// Sound as the device has it, and how many samples of it wait to be converted.
    raw: Vec<u8>,
    gathered: usize,
    /// Where the device has another rate than core, with room for what it takes.
    converter: Option<Box<(Converter, Vec<i16>)>>,
}

impl AlsaIn {
    pub(super) fn open(name: &str, options: Options) -> Result<(Self, Opened), OpenError> {
        let Agreed { pcm, layout, rate_hz, buffer, converter, opened, .. } =
            alsa_open::open(name, alsa::Direction::Capture, options)?;
        let most = converter.as_ref().map_or(PERIOD_SAMPLES_MAX, Converter::takes_at_most);
        let this = Self {
            layout,
            rate_hz,
            period: opened.period_samples as usize,
            waiter: Waiter::new(&pcm, options.deadline),
            raw: vec![0; most * layout.bytes()],
            gathered: 0,
            converter: converter.map(|converter| Box::new((converter, vec![0; most * layout.channels()]))),
            pcm,
        };
        let began = Instant::now();
        let started = this.configure().and_then(|()| this.pcm.start()).and_then(|()| this.pcm.avail());
        let ready = started
            .map_err(|error| alsa_open::refusal(name, format!("cannot start it: {}", alsa_open::words(error))))?;
        // Full sooner than time can have filled it.
        let filled = Duration::from_secs(buffer as u64) / rate_hz;
        if ready >= buffer as Frames && began.elapsed() < filled / 2 {
            return Err(alsa_open::no_clock(name));
        }
        Ok((this, opened))
    }

    /// Wakes for each period; starts only when told to.
    fn configure(&self) -> alsa::Result<()> {
        let params = self.pcm.sw_params_current()?;
        params.set_avail_min(self.block(self.period) as Frames)?;
        self.pcm.sw_params(&params)
    }

    /// Samples of the device that make `period` samples for core.
    fn block(&self, period: usize) -> usize {
        self.converter.as_ref().map_or(period, |parts| parts.0.takes())
    }

    /// Waits until the device has `samples`, and reads at most so many behind those that were gathered; `None` if it
    /// was woken for nothing.
    fn gather(&mut self, samples: usize) -> Result<Option<usize>, PcmError> {
        let ready = self.pcm.avail_update().map_err(alsa_open::running)? >= samples as Frames;
        if !ready && !self.waiter.wait(&self.pcm).map_err(alsa_open::running)? {
            return Err(PcmError::Stopped);
        }
        let (from, to) = (self.gathered, (self.gathered + samples) * self.layout.bytes());
        match self.pcm.io_bytes().readi(&mut self.raw[from * self.layout.bytes()..to]) {
            Ok(read) => Ok(Some(read)),
            Err(error) if error.errno() == libc::EAGAIN => {
                alsa_open::nap(samples, self.rate_hz);
                Ok(None)
            }
            Err(error) => Err(alsa_open::running(error)),
        }
    }

    /// What was gathered, for core; how many samples that is at 48 kHz.
    fn deliver(&mut self, into: &mut [i16]) -> usize {
        let bytes = self.gathered * self.layout.bytes();
        let Some((converter, room)) = self.converter.as_deref_mut() else {
            self.layout.decode(&self.raw[..bytes], into);
            return std::mem::take(&mut self.gathered);
        };
        if self.gathered < converter.takes() {
            return 0;
        }
        self.layout.decode(&self.raw[..bytes], room);
        self.gathered = 0;
        converter.run(room, into)
    }

    /// Samples that were captured and not delivered: in the device, in here, and in the converter.
    fn pending(&self) -> u32 {
        // Asks the device itself: what came since the wake-up counts, too.
        let waiting = self.pcm.avail().unwrap_or(0).max(0) as usize + self.gathered;
        let delay = self.converter.as_ref().map_or(0, |parts| parts.0.delay());
        alsa_open::core_samples(u32::try_from(waiting).unwrap_or(0), self.rate_hz) + delay
    }
}

impl PcmIn for AlsaIn {
    fn channels(&self) -> usize {
        self.layout.channels()
    }

    fn period(&self) -> usize {
        self.period
    }

    fn read(&mut self, into: &mut [i16]) -> Result<Read, PcmError> {
        // Whoever has no sound at the deadline stands still. A wake-up without sound is waited through, and one with
        // less than a block gives what it has.
        for _ in 0..2 {
            let block = self.block(self.period.min(into.len() / self.layout.channels()));
            let Some(read) = self.gather(block.saturating_sub(self.gathered))? else { continue };
            self.gathered += read;
            let samples = self.deliver(into);
            if samples > 0 {
                return Ok(Read { samples: samples as u32, pending: self.pending() });
            }
        }
        Ok(Read { samples: 0, pending: self.pending() })
    }

    fn recover(&mut self, step: Step) -> Result<(), PcmError> {
        // What waits here was captured before the gap; half a block of it would shift the rest.
        self.gathered = 0;
        alsa_open::recover(&self.pcm, step).map_err(alsa_open::running)?;
        if step == Step::Resume { Ok(()) } else { self.pcm.start().map_err(alsa_open::running) }
    }
}
