//! The ledger: what a rig says it captured, against what its card knows (I3, I12).

use super::Court;
use crate::model::card::MicTruth;
use soundpost_core::codec::Encode;
use soundpost_core::engine::capture::Capture;
use soundpost_core::meter::CaptureReport;
use soundpost_core::time::{Instant, Span};

/// Every captured sample is accounted for, and the counts are the card's.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ledger {
    /// What the card had counted when the process began.
    before: MicTruth,
    /// Packets that left the process.
    pub packets: u64,
    /// Coded bytes in them.
    pub bytes: u64,
    /// Times that its device was opened again.
    pub reopened: u64,
    /// Samples in a frame, and the frames and samples before that was so.
    frame: u64,
    frames_before: u64,
    samples_before: u64,
}

/// A gap is measured by the clock, at both ends by somebody who may have been late: it may be off by so many samples
/// beyond that.
const GAP_ERROR: u64 = 240;

impl Ledger {
    /// A process begins.
    #[must_use]
    pub const fn new(before: MicTruth) -> Self {
        Self { before, packets: 0, bytes: 0, reopened: 0, frame: 0, frames_before: 0, samples_before: 0 }
    }

    /// Looks at the books after a turn. `waiting` packets were handed over and not taken yet.
    pub fn check<E: Encode>(
        &mut self,
        court: &Court,
        now: Instant,
        engine: &Capture<E>,
        truth: MicTruth,
        waiting: u64,
    ) {
        let report = engine.report();
        let frame = u64::from(engine.stream().frame.samples());
        let frames = report.sent + report.dropped() + report.muted;
        let stream_time = engine.media_time().0;
        let accuse = |words: String| court.accuse("ledger", now, words);
        if report.captured_samples + report.lost_samples != stream_time {
            let (captured, lost) = (report.captured_samples, report.lost_samples);
            accuse(format!("{captured} samples captured and {lost} lost are not {stream_time} of stream time"));
        }
        if self.frame == 0 {
            self.frame = frame;
        }
        if frame != self.frame {
            // Frames become another length in the middle of a turn: of those that it completed, the last ones are new. How
            // many is what stream time says, and more than those there cannot be.
            let all = frames - self.frames_before;
            let samples = |new: u64| self.samples_before + (all - new) * self.frame + new * frame;
            let new = (0..=all).find(|new| stream_time.wrapping_sub(samples(*new)) < frame).unwrap_or(0);
            (self.samples_before, self.frame, self.frames_before) = (samples(new), frame, frames);
        }
        let gathered = stream_time.wrapping_sub(self.samples_before + (frames - self.frames_before) * frame);
        if gathered > frame {
            accuse(format!("{frames} frames of {frame} samples leave {gathered} of {stream_time} unaccounted for"));
        }
        self.check_counts(&accuse, report, truth, waiting);
    }

    /// Looks at what was lost, when nothing is going on: by then every gap is in the books.
    pub fn check_lost(&self, court: &Court, now: Instant, report: &CaptureReport, truth: MicTruth, late: Span) {
        let gaps = report.xruns + self.reopened;
        let lost = truth.lost - self.before.lost;
        // And a card's idea of a second is its own.
        let error = (gaps + 1) * (GAP_ERROR + 2 * late.as_samples()) + lost / 1_000;
        if report.lost_samples + error < lost {
            court.accuse("ledger", now, format!("lost_samples is {}; the card lost {lost}", report.lost_samples));
        }
    }

    fn check_counts(&self, accuse: &dyn Fn(String), report: &CaptureReport, truth: MicTruth, waiting: u64) {
        let read = truth.read - self.before.read;
        if report.captured_samples != read {
            accuse(format!("captured_samples is {}; the card gave {read}", report.captured_samples));
        }
        let xruns = truth.xruns - self.before.xruns;
        if report.xruns != xruns {
            accuse(format!("xruns is {}; the card had {xruns}", report.xruns));
        }
        if report.sent != self.packets + waiting {
            accuse(format!("sent is {}; {} packets left and {waiting} wait", report.sent, self.packets));
        }
        if waiting == 0 && report.bytes != self.bytes {
            accuse(format!("bytes is {}; the packets held {}", report.bytes, self.bytes));
        }
    }
}
