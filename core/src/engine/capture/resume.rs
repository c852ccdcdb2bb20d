//! A successor goes on where its predecessor ended, however that ended: the stream time, the sequence and the counters
//! that listeners and the status know of go on, and what nobody captured between is a gap like any other.

use super::{Capture, Encode};
use crate::meter::{CaptureReport, Recoveries, Work};
use crate::signal::Level;
use crate::time::{Instant, MediaTime, Span};
use crate::wire::{Flags, Header};

/// What is known of a predecessor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Resume {
    /// What it last said.
    pub report: CaptureReport,
    /// The last packet that came of it.
    pub last: Option<Last>,
}

/// A packet after which a stream goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Last {
    /// Its number.
    pub sequence: u32,
    /// Stream time of its first sample.
    pub media: u64,
    /// The samples in it.
    pub samples: u32,
    /// When it was captured, as its header says.
    pub captured: Instant,
}

impl Last {
    /// The packet with this header, which holds so many samples.
    #[must_use]
    pub const fn of(header: &Header, samples: u32) -> Self {
        Self { sequence: header.sequence, media: header.media.0, samples, captured: header.captured }
    }
}

impl<E: Encode> Capture<E> {
    /// Goes on where a predecessor ended. Returns when the next sample of the stream was to be captured; `None` if there
    /// was no predecessor that captured anything. To be called on a new engine.
    pub fn resume(&mut self, from: &Resume) -> Option<Instant> {
        let known = from.report.captured_samples.saturating_add(from.report.lost_samples);
        let (media, edge) = match from.last {
            Some(last) => {
                self.sequence = last.sequence.wrapping_add(1);
                self.flags = Flags::GAP;
                let end = last.media.saturating_add(u64::from(last.samples));
                let lookahead = u64::from(self.encoder.lookahead());
                let after = Span::from_samples(lookahead.saturating_add(u64::from(last.samples)));
                (end, Some(last.captured.plus(after)))
            }
            None => (0, None),
        };
        let (media, edge) = match known.checked_sub(media) {
            // What it captured after the packet was muted or dropped, but for a part of a frame, which is lost.
            Some(ahead) => {
                let rest = ahead.checked_rem(u64::from(self.stream.frame.samples())).unwrap_or(0);
                let edge = from.report.edge.map(|edge| edge.minus(Span::from_samples(rest)));
                (known.saturating_sub(rest), edge)
            }
            None => (media, edge),
        };
        self.media = MediaTime(media);
        self.fade_in = super::GAP_FADE_SAMPLES;
        self.report = CaptureReport {
            captured_samples: media.saturating_sub(from.report.lost_samples),
            level: Level::default(),
            commands: 0,
            is_muted: self.report.is_muted,
            gain: self.report.gain,
            work: Work::NONE,
            recoveries: Recoveries::NONE,
            edge: None,
            ..from.report
        };
        edge
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{CodecError, Encode};
    use crate::config::{Content, Direction, FrameLen, Quality, Tuning};

    struct Nothing;

    impl Encode for Nothing {
        fn encode(&mut self, _pcm: &[i16], _out: &mut [u8]) -> Result<usize, CodecError> {
            Ok(1)
        }

        fn lookahead(&self) -> u32 {
            120
        }

        fn retune(&mut self, _tuning: Tuning) -> Result<(), CodecError> {
            Ok(())
        }
    }

    fn engine() -> Capture<Nothing> {
        Capture::new(Nothing, Quality::Medium.stream(Direction::Capture, Content::Voice).with_frame(FrameLen::Ms20))
    }

    fn at(samples: u64) -> Instant {
        Instant::from_micros(7_000_000).plus(Span::from_samples(samples))
    }

    /// A packet of 20 ms that begins at sample 4 800.
    fn last() -> Last {
        Last { sequence: 9, media: 4_800, samples: 960, captured: at(4_800 - 120) }
    }

    fn report(captured: u64, lost: u64) -> CaptureReport {
        CaptureReport {
            captured_samples: captured,
            lost_samples: lost,
            edge: Some(at(captured + lost)),
            sent: 5,
            commands: 3,
            ..CaptureReport::default()
        }
    }

    #[test]
    fn it_goes_on_after_the_last_packet_that_came() {
        let mut engine = engine();
        let edge = engine.resume(&Resume { report: report(2_000, 1_000), last: Some(last()) });
        assert_eq!(edge, Some(at(5_760)));
        assert_eq!((engine.media_time().0, engine.sequence, engine.flags), (5_760, 10, Flags::GAP));
        let report = engine.report();
        assert_eq!((report.captured_samples, report.lost_samples, report.sent), (4_760, 1_000, 5));
        assert_eq!(report.commands, 0, "nobody commanded the successor yet");
    }

    #[test]
    fn what_was_muted_since_is_passed_over_in_whole_frames() {
        let mut engine = engine();
        // Three frames and 100 samples after the packet.
        let edge = engine.resume(&Resume { report: report(5_760 + 2_880 + 100, 0), last: Some(last()) });
        assert_eq!((edge, engine.media_time().0), (Some(at(5_760 + 2_880)), 5_760 + 2_880));
        assert_eq!(engine.report().captured_samples, 5_760 + 2_880, "the part of a frame is lost");
    }

    #[test]
    fn a_stream_of_which_nothing_came_goes_on_by_what_was_said_and_still_begins() {
        let mut engine = engine();
        let edge = engine.resume(&Resume { report: report(2_000, 0), last: None });
        assert_eq!((edge, engine.media_time().0, engine.flags), (Some(at(1_920)), 1_920, Flags::START));
        let mut engine = self::engine();
        assert_eq!(engine.resume(&Resume::default()), None);
        assert_eq!((engine.media_time().0, engine.sequence, engine.flags), (0, 0, Flags::START));
    }
}
