//! What becomes of a packet that arrived.

use super::{Playback, REWIND_PACKETS, REWIND_SAMPLES, Refused, State};
use crate::capacity::FRAME_SAMPLES_MAX;
use crate::codec::{Decode, Payload};
use crate::fmt::warn_line;
use crate::jitter::{Arrival, Stored};
use crate::time::{Instant, Span};

/// No network holds a packet back for longer.
const OVERTAKEN_MAX: Span = Span::from_millis(10_000);

impl<D: Decode, P: Payload> Playback<D, P> {
    /// Whether what was captured then is older than what arrived before: it comes twice, or it was overtaken. What begins
    /// anew is captured later, and what comes from elsewhere has another clock.
    fn is_past(&self, captured: Option<Instant>) -> bool {
        let age = self.newest.zip(captured).map(|(newest, captured)| (captured <= newest, newest.since(captured)));
        age.is_some_and(|(is_past, age)| is_past && age < OVERTAKEN_MAX)
    }

    /// Whether what was captured then belongs to the stream before this one: its last packets took longer than the first
    /// ones of this. Stream time has begun anew in between, so they would be played at any place.
    fn is_of_another(&self, captured: Option<Instant>) -> bool {
        let before = self.began.zip(captured).map(|(began, captured)| began.since(captured));
        before.is_some_and(|before| before > Span::ZERO && before < OVERTAKEN_MAX)
    }

    /// A stream begins with what was captured then, its sender says. Nothing happens if that comes twice, or was
    /// overtaken.
    pub fn begin(&mut self, captured: Option<Instant>) {
        if !self.is_past(captured) {
            self.restart();
            self.began = captured;
        }
    }

    /// Takes a packet that arrived.
    ///
    /// # Errors
    /// [`Refused`] if it is of no use; it is counted and dropped.
    pub fn accept(&mut self, arrival: Arrival<P>) -> Result<(), Refused> {
        let extent = arrival.extent;
        let bytes = arrival.payload.with_bytes(<[u8]>::len);
        let arrived = arrival.arrived;
        if extent.samples == 0 || extent.samples as usize > FRAME_SAMPLES_MAX {
            self.report.decode_errors = self.report.decode_errors.wrapping_add(1);
            self.report.metrics.record_dropped(1);
            return Err(Refused::Length);
        }
        if self.is_of_another(arrival.captured) {
            return Err(self.too_late());
        }
        let is_over = self.state == State::Playing && extent.end() <= self.next;
        let is_past = self.is_past(arrival.captured);
        self.newest = self.newest.max(arrival.captured);
        let is_far = is_over && !is_past && self.next.since(extent.end()) >= REWIND_SAMPLES;
        self.behind = if is_far { self.behind.saturating_add(1) } else { 0 };
        if self.behind >= REWIND_PACKETS {
            self.report.resyncs = self.report.resyncs.wrapping_add(1);
            warn_line!("playback: stream time went back from {} to {}", self.next.0, extent.media.0);
            self.restart();
        }
        self.depth.arrived(arrived, extent.media, extent.samples);
        if self.state == State::Playing && is_over {
            return Err(self.too_late());
        }
        match self.store.insert(arrival) {
            Stored::Duplicate => {
                self.report.duplicates = self.report.duplicates.wrapping_add(1);
                return Err(Refused::Duplicate);
            }
            Stored::Displaced => {
                self.report.overflow = self.report.overflow.wrapping_add(1);
                self.report.metrics.record_dropped(1);
            }
            Stored::Kept => {}
        }
        // No more delay than three quarters of the store can hold.
        let room = (self.store.room() as u64).saturating_mul(u64::from(extent.samples)) / 4;
        self.depth.limit(Span::from_samples(room.saturating_mul(3)));
        self.report.metrics.record_frame(arrived, bytes);
        Ok(())
    }
    fn too_late(&mut self) -> Refused {
        self.report.late = self.report.late.wrapping_add(1);
        self.report.metrics.record_dropped(1);
        Refused::Late
    }
}
