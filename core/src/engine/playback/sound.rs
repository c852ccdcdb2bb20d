//! Where the samples of a period come from.

use super::{FADE_AFTER_SAMPLES, FADE_SAMPLES, PAUSE_SAMPLES, PIECE_SAMPLES, Playback, STEPS_MAX, State};
use crate::adapt::{Correction, STRETCH_US_MAX};
use crate::codec::{Decode, Input, Payload, SILENT_BYTES_MAX, opus_rebuilds};
use crate::jitter::Arrival;
use crate::signal;
use crate::stretch::{LOOK_AHEAD_SAMPLES, Urgency};
use crate::time::{Instant, MediaTime, Span};

/// A cut in quiet is cross-faded over this.
const CUT_FADE_SAMPLES: usize = 240;
/// With this much too much delay a period is taken out even where the sound is not quite periodic.
const PRESSING_US: i64 = 80_000;

impl<D: Decode, P: Payload> Playback<D, P> {
    /// Sets how fast to play, and takes a period out or puts one in if that is due.
    pub(super) fn steer(&mut self, samples: usize) {
        let delay = self.delay_us();
        let rate = self.depth.rate_ppm(delay);
        self.resampler.set_ratio_ppb(rate.saturating_mul(1_000));
        if self.pausing || self.made_up > 0 {
            return;
        }
        let ahead = self.fifo.samples().saturating_add(self.ready());
        let missing = self.store.end().is_none_or(|end| end <= self.next.plus(self.ready() as u64));
        let ahead_us = Span::from_samples(ahead as u64).as_micros() as i64;
        match self.depth.correction(delay, ahead_us, missing) {
            Correction::None => {}
            Correction::Remove(most) => self.remove(delay, most, samples),
            Correction::Insert(most) => self.insert(most),
        }
    }

    /// Samples of packets that follow what is decoded without a gap.
    fn ready(&self) -> usize {
        let mut end = self.next;
        for packet in self.store.iter() {
            if packet.extent.media > end {
                break;
            }
            end = end.max(packet.extent.end());
        }
        usize::try_from(end.since(self.next)).unwrap_or(usize::MAX)
    }

    /// Decodes what is here until `samples` samples wait, or there is no more.
    fn look_ahead(&mut self, samples: usize) {
        for _ in 0..STEPS_MAX {
            let next_is_here = self.store.front().is_some_and(|front| front.extent.media <= self.next);
            let room = self.store.front().is_some_and(|front| self.fifo.has_room_for(front.extent.samples as usize));
            if self.fifo.samples() >= samples || !next_is_here || !room {
                return;
            }
            self.decode_front();
        }
    }

    fn remove(&mut self, delay: i64, most: Span, samples: usize) {
        let at_most = usize::try_from(most.as_samples()).unwrap_or(0);
        self.look_ahead(samples.saturating_add(at_most).saturating_add(CUT_FADE_SAMPLES).max(LOOK_AHEAD_SAMPLES));
        let quiet = self.fifo.head(at_most.saturating_add(CUT_FADE_SAMPLES));
        let removed = if self.stretch.is_quiet(quiet) && self.fifo.cut(at_most, CUT_FADE_SAMPLES) {
            Some(at_most)
        } else {
            let far = delay.saturating_sub(self.depth.goal_us()) > PRESSING_US;
            let urgency = if far { Urgency::Pressed } else { Urgency::Calm };
            let longest = Span::from_micros(STRETCH_US_MAX.unsigned_abs()).as_samples() as usize;
            self.fifo.remove(&self.stretch, at_most.min(longest), urgency).map(|found| found.samples)
        };
        if let Some(samples) = removed {
            self.depth.stretched();
            self.report.removals = self.report.removals.wrapping_add(1);
            self.report.cut_samples = self.report.cut_samples.wrapping_add(samples as u64);
        }
    }

    fn insert(&mut self, most: Span) {
        let at_most = usize::try_from(most.as_samples()).unwrap_or(0);
        if let Some(found) = self.fifo.insert(&self.stretch, at_most, Urgency::Pressed) {
            self.depth.stretched();
            self.report.insertions = self.report.insertions.wrapping_add(1);
            self.report.inserted_samples = self.report.inserted_samples.wrapping_add(found.samples as u64);
        }
    }

    /// Makes sound until `needed` samples wait.
    pub(super) fn supply(&mut self, now: Instant, queued: u32, needed: usize) {
        for _ in 0..STEPS_MAX {
            let missing = needed.saturating_sub(self.fifo.samples());
            if missing == 0 || self.state != State::Playing {
                return;
            }
            let Some(front) = self.store.front() else {
                self.starve(missing);
                continue;
            };
            let (extent, is_copy) = (front.extent, front.payload.is_copy());
            let rebuilds = front.payload.with_bytes(opus_rebuilds);
            let gap = extent.media.since(self.next);
            if extent.end() <= self.next {
                self.pass_over();
            } else if gap > PAUSE_SAMPLES {
                self.jump(extent.media);
            } else if gap > 0 && self.held > 0 {
                self.credit(gap);
            } else if is_copy && self.held > 0 {
                self.credit(extent.end().since(self.next));
            } else if gap > 0 && !self.pausing && self.splice(gap) {
                // The rest of the gap, if any, is next.
            } else if gap > 0 {
                let gap = usize::try_from(gap).unwrap_or(usize::MAX);
                if self.pausing {
                    self.pass_silence(gap.min(missing));
                } else if rebuilds && gap <= extent.samples as usize {
                    self.rebuild(gap, extent.samples as usize);
                } else {
                    // Up to where what can be rebuilt begins.
                    let before = if rebuilds { gap.saturating_sub(extent.samples as usize) } else { gap };
                    self.bridge(before.min(missing));
                }
            } else {
                self.sample_latency(now, queued);
                self.decode_front();
            }
        }
    }

    /// The next packet is not here, nor is a later one.
    fn starve(&mut self, missing: usize) {
        if self.pausing {
            self.pass_silence(missing);
            return;
        }
        let delay = self.delay_us();
        let gap_us = Span::from_samples(missing as u64).as_micros() as i64;
        let held = Span::from_micros(self.depth.hold_us(delay, gap_us).unsigned_abs()).as_samples();
        let held = usize::try_from(held).unwrap_or(0).min(missing);
        if self.made_up == 0 {
            self.report.holds = self.report.holds.wrapping_add(u64::from(held > 0));
        }
        let made = self.conceal(missing);
        let passed = made.saturating_sub(held.min(made));
        self.held = self.held.saturating_add(made.saturating_sub(passed));
        self.next = self.next.plus(passed as u64);
        self.report.held_samples = self.report.held_samples.wrapping_add(made.saturating_sub(passed) as u64);
        self.report.concealed_samples = self.report.concealed_samples.wrapping_add(passed as u64);
        self.depth.starved(self.depth.delay_us(self.next));
        if self.made_up as u64 >= PAUSE_SAMPLES {
            self.stop();
        }
    }

    /// The time of the front packet is over.
    fn pass_over(&mut self) {
        if self.store.take_front().is_some_and(|front| front.payload.is_copy()) {
            self.report.spare_copies = self.report.spare_copies.wrapping_add(1);
        } else {
            self.report.late = self.report.late.wrapping_add(1);
            self.report.metrics.record_dropped(1);
        }
    }

    /// What was waited for is lost, for a later packet is here: the sound that was made up meanwhile stood in for it.
    fn credit(&mut self, gap: u64) {
        let credit = gap.min(self.held as u64);
        self.held = 0;
        self.next = self.next.plus(credit);
        self.report.held_samples = self.report.held_samples.wrapping_sub(credit);
        self.report.concealed_samples = self.report.concealed_samples.wrapping_add(credit);
    }

    /// Jumps over as much of a gap as there is too much delay; returns whether that was anything.
    fn splice(&mut self, gap: u64) -> bool {
        let gap_us = Span::from_samples(gap).as_micros() as i64;
        let skipped = Span::from_micros(self.depth.splice_us(self.delay_us(), gap_us).unsigned_abs()).as_samples();
        let skipped = skipped.min(gap);
        if skipped > 0 {
            self.next = self.next.plus(skipped);
            self.report.spliced_samples = self.report.spliced_samples.wrapping_add(skipped);
            self.report.removals = self.report.removals.wrapping_add(1);
        }
        skipped > 0
    }

    /// So many samples are lost: a packet after them is here.
    fn bridge(&mut self, gap: usize) {
        let made = self.conceal(gap);
        self.next = self.next.plus(made as u64);
        self.report.concealed_samples = self.report.concealed_samples.wrapping_add(made as u64);
    }

    /// The sender is silent on purpose: so are we, and stream time goes on.
    fn pass_silence(&mut self, samples: usize) {
        let made = self.fifo.push_silence(samples);
        self.next = self.next.plus(made as u64);
        self.made_up = self.made_up.saturating_add(made);
        self.report.silent_samples = self.report.silent_samples.wrapping_add(made as u64);
        self.fade_in = true;
        if self.made_up as u64 >= PAUSE_SAMPLES {
            self.stop();
        }
    }

    /// The packet before the front one is lost, and the front one holds enough to rebuild it. All its `samples` are
    /// made even if only the last ones, `gap`, are needed: asked for less than a packet, a codec makes it up.
    fn rebuild(&mut self, gap: usize, samples: usize) {
        let (decoder, store) = (&mut self.decoder, &self.store);
        let made = self.fifo.push(samples, samples.saturating_sub(gap), |room| {
            let rebuilt = store
                .front()
                .map(|front| front.payload.with_bytes(|bytes| decoder.decode(Input::RecoverFrom(bytes), room)));
            if !matches!(rebuilt, Some(Ok(_))) {
                room.fill(0);
            }
        });
        self.next = self.next.plus(made as u64);
        (self.made_up, self.held) = (0, 0);
        self.report.metrics.record_dropped(1);
        self.report.recovered_samples = self.report.recovered_samples.wrapping_add(made as u64);
    }

    /// Makes `samples` up. After a while it fades out.
    fn conceal(&mut self, samples: usize) -> usize {
        let decoder = &mut self.decoder;
        let pieces = samples.saturating_sub(self.fifo.spare()).div_ceil(PIECE_SAMPLES);
        for _ in 0..pieces {
            self.fifo.push_spare(PIECE_SAMPLES, |room| {
                if decoder.decode(Input::Conceal, room).is_err() {
                    room.fill(0);
                }
            });
        }
        let made = self.fifo.use_spare(samples);
        let gain = |heard: usize| {
            let left = FADE_AFTER_SAMPLES.saturating_add(FADE_SAMPLES).saturating_sub(heard).min(FADE_SAMPLES);
            left.saturating_mul(1 << 15).checked_div(FADE_SAMPLES).unwrap_or(0) as i32
        };
        let (from, to) = (gain(self.made_up), gain(self.made_up.saturating_add(made)));
        if to < 1 << 15 {
            signal::fade(self.fifo.tail_mut(made), self.channels.count(), from, to);
        }
        self.made_up = self.made_up.saturating_add(made);
        self.fade_in |= to == 0;
        made
    }

    /// Decodes the first packet, from where it is needed.
    fn decode_front(&mut self) {
        let Some(packet) = self.store.take_front() else { return };
        let samples = packet.extent.samples as usize;
        let skip = usize::try_from(self.next.since(packet.extent.media)).unwrap_or(usize::MAX).min(samples);
        self.count_lost(&packet, skip);
        let decoder = &mut self.decoder;
        let mut failed = false;
        let made = self.fifo.push(samples, skip, |room| {
            let decoded = packet.payload.with_bytes(|bytes| decoder.decode(Input::Packet(bytes), room));
            failed = decoded.is_err();
            if failed && decoder.decode(Input::Conceal, room).is_err() {
                room.fill(0);
            }
        });
        if core::mem::take(&mut self.fade_in) {
            let edge = self.fifo.tail_mut(made);
            let values = edge.len().min(PIECE_SAMPLES.saturating_mul(self.channels.count()));
            signal::fade_in(edge.get_mut(..values).unwrap_or(&mut []), self.channels.count());
        }
        self.next = packet.extent.end();
        (self.made_up, self.held) = (0, 0);
        self.pausing = packet.payload.with_bytes(|bytes| bytes.len() <= SILENT_BYTES_MAX);
        if failed {
            self.report.decode_errors = self.report.decode_errors.wrapping_add(1);
            self.report.concealed_samples = self.report.concealed_samples.wrapping_add(made as u64);
        } else if packet.payload.is_copy() {
            self.copied.rotate_right(1);
            let [latest, ..] = &mut self.copied;
            *latest = packet.extent.media;
            self.report.copied_samples = self.report.copied_samples.wrapping_add(made as u64);
        } else {
            self.report.played_samples = self.report.played_samples.wrapping_add(made as u64);
        }
    }

    /// Packets between the latest one and this that never came, if there was a gap.
    fn count_lost(&mut self, packet: &Arrival<P>, skip: usize) {
        let heard = core::mem::replace(&mut self.latest_end, packet.extent.end());
        let lost = packet.extent.media.since(heard).checked_div(u64::from(packet.extent.samples)).unwrap_or(0);
        if heard != MediaTime::ZERO && self.made_up > 0 && skip == 0 && !self.pausing {
            self.report.lost = self.report.lost.wrapping_add(lost);
            self.report.metrics.record_dropped(lost);
        }
    }

    /// From capture until the front packet's first sample leaves the device.
    fn sample_latency(&mut self, now: Instant, queued: u32) {
        let Some(front) = self.store.front() else { return };
        let Some(captured) = front.captured.filter(|captured| *captured <= now) else { return };
        let skip = self.next.since(front.extent.media);
        let delay = crate::resample::DELAY_SAMPLES as u64;
        let ahead = (self.fifo.samples() as u64).saturating_add(delay).saturating_add(u64::from(queued));
        let latency = now.since(captured).plus(Span::from_samples(ahead)).minus(Span::from_samples(skip));
        self.report.metrics.record_latency(latency);
    }
}
