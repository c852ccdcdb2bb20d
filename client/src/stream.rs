//! What listeners and talkers count, however they wait.

use soundpost_core::codec::opus_samples;
use soundpost_core::redundancy::Tally;
use soundpost_core::time::{Instant, MediaTime};
use soundpost_core::wire::{Header, Kind, Report, WireError};

/// Monotonic time, as headers have it.
pub(crate) fn now() -> Instant {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    // Neither is negative on this clock.
    let (seconds, nanos) = (time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs());
    Instant::from_micros(seconds.saturating_mul(1_000_000).saturating_add(nanos / 1_000))
}

/// What a listener has got.
#[derive(Debug)]
pub(crate) struct Ear(Tally);

impl Ear {
    pub(crate) const fn new() -> Self {
        Self(Tally::new())
    }

    /// Counts a packet; what is to be reported, now and then.
    pub(crate) fn count(&mut self, header: &Header) -> Option<Report> {
        self.0.received(now(), header.sequence, header.captured)
    }
}

/// Where in its stream a talker is.
#[derive(Debug, Default)]
pub(crate) struct Voice {
    sequence: u32,
    media: MediaTime,
}

impl Voice {
    /// The header of the next packet.
    ///
    /// # Errors
    /// [`WireError`] if that is no Opus packet, or too long.
    pub(crate) fn next(&mut self, opus: &[u8]) -> Result<Header, WireError> {
        let samples = opus_samples(opus).ok_or(WireError::Field("opus packet of bytes", opus.len() as u32))?;
        let new = Header::new(Kind::Packet, opus.len())?;
        let header = Header { sequence: self.sequence, media: self.media, ..new };
        self.sequence = self.sequence.wrapping_add(1);
        self.pause(samples.into());
        Ok(header)
    }

    /// Lets stream time pass.
    pub(crate) fn pause(&mut self, samples: u64) {
        self.media = MediaTime(self.media.0.saturating_add(samples));
    }
}
