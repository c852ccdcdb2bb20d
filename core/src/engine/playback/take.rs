//! What becomes of a packet that arrived.

use super::{Playback, REWIND_PACKETS, REWIND_SAMPLES, Refused, State};
use crate::capacity::FRAME_SAMPLES_MAX;
use crate::codec::{Decode, Extent, Payload, opus_rebuilds};
use crate::fmt::warn_line;
use crate::jitter::{Arrival, Stored};
use crate::time::{Instant, MediaTime, Span};

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
        if arrival.payload.is_copy() {
            return self.accept_copy(arrival);
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
        let is_known = is_over && self.copied.contains(&extent.media);
        let confirms = self.store.at(extent.media).is_some_and(|other| other.payload.is_copy());
        if !is_known && !confirms {
            self.learn_of_redundancy(&arrival);
            self.depth.arrived(arrived, extent.media, extent.samples);
        }
        if is_known {
            self.report.duplicates = self.report.duplicates.wrapping_add(1);
            return Err(Refused::Duplicate);
        }
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
            Stored::Confirmed => self.report.spare_copies = self.report.spare_copies.wrapping_add(1),
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

    /// Takes a copy that a later packet brought along, if what it is a copy of is missing.
    ///
    /// Then its arrival is that packet's, as far as delay is concerned: what waiting for copies costs and what it saves
    /// is weighed by the same price as all lateness. A copy that is not needed says nothing about the network.
    fn accept_copy(&mut self, arrival: Arrival<P>) -> Result<(), Refused> {
        let extent = arrival.extent;
        let is_missing = self.is_missing(extent) && !self.is_of_another(arrival.captured);
        if is_missing {
            self.depth.arrived(arrival.arrived, extent.media, extent.samples);
        }
        let is_over = self.state == State::Playing && extent.end() <= self.next;
        // A packet is not thrown out for a copy.
        if !is_missing || is_over || self.store.len() >= self.store.room() {
            self.report.spare_copies = self.report.spare_copies.wrapping_add(1);
            return Err(Refused::Spare);
        }
        self.store.insert(arrival);
        Ok(())
    }

    /// The same for what the codec put into a packet of the one before.
    fn learn_of_redundancy(&mut self, arrival: &Arrival<P>) {
        let samples = arrival.extent.samples;
        let Some(media) = arrival.extent.media.0.checked_sub(u64::from(samples)).map(MediaTime) else { return };
        // Behind a pause nothing is missing.
        if !self.pausing && self.is_missing(Extent { media, samples }) && arrival.payload.with_bytes(opus_rebuilds) {
            self.depth.arrived(arrival.arrived, media, samples);
        }
    }

    /// Whether nothing of it came, of a stream that has begun.
    fn is_missing(&self, extent: Extent) -> bool {
        let has_begun = self.state != State::Idle || !self.store.is_empty();
        has_begun && self.latest_end < extent.end() && self.store.at(extent.media).is_none()
    }
}
