//! How much is sent twice: as much as the loss that was measured is worth.
//!
//! Who receives counts what never came ([`Tally`]) and says so from time to time. Who sends smooths that and picks a
//! level ([`Redundancy`]): up at once, down only after a while. Where many share one encoder, a third of them decides
//! ([`shared`]). What a level means depends on the codec: speech modes write redundancy themselves and are told how
//! much loss to expect ([`in_band`]); for all else a packet brings a copy of the one before along ([`copies`]).
//!
//! Loss is what did not come over the network, by sequence numbers as in RFC 3550 appendix A.3. What came too late to
//! be played is none: against that delay helps, which [`adapt`](crate::adapt) decides about.

use crate::config::{Application, FrameLen, Rate, Stream};
use crate::time::{Instant, Span};
use crate::wire::Report;

/// Who receives packets reports so often, while any come.
pub const REPORT_EVERY: Span = Span::from_millis(1_000);

/// A sequence number so far ahead is another stream's (RFC 3550: `MAX_DROPOUT`).
const AHEAD_MAX: u32 = 3_000;
/// So many of the latest sequence numbers are remembered; what is further behind is another stream's, too.
const REMEMBERED: u32 = 64;
const STRANGE_MAX: u32 = 100;

/// Counts what came, and what should have, and keeps what the fastest took.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Tally {
    /// The highest sequence number, and for it and those before whether they came, from the lowest bit.
    highest: Option<(u32, u64)>,
    /// Its delay is that of the fastest packet since it was last sent.
    report: Report,
    reported: Option<Instant>,
}

impl Tally {
    /// Nothing came yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { highest: None, report: Report { expected: 0, received: 0, delay_us: None }, reported: None }
    }

    /// A packet came that its sender says to have captured then, by its own clock. Returns what to tell the sender, when
    /// that is due.
    pub fn received(&mut self, now: Instant, sequence: u32, captured: Instant) -> Option<Report> {
        self.count(sequence);
        // Zero says nothing.
        if captured != Instant::ZERO {
            // By clocks that may be far apart: only differences mean anything, and they wrap.
            let took = now.as_micros().wrapping_sub(captured.as_micros()) as u32;
            self.report.delay_us = Some(self.report.delay_us.map_or(took, |delay| Report::faster(delay, took)));
        }
        let reported = *self.reported.get_or_insert(now);
        if now.since(reported) < REPORT_EVERY {
            return None;
        }
        self.reported = Some(now);
        let report = self.report;
        self.report.delay_us = None;
        Some(report)
    }

    /// What is known so far.
    #[must_use]
    pub const fn report(&self) -> Report {
        self.report
    }

    fn count(&mut self, sequence: u32) {
        let (highest, came) = self.highest.unwrap_or((sequence.wrapping_sub(1), u64::MAX));
        let (ahead, behind) = (sequence.wrapping_sub(highest), highest.wrapping_sub(sequence));
        let (expected, is_new) = if (1..=AHEAD_MAX).contains(&ahead) {
            let came = came.checked_shl(ahead).unwrap_or(0) | 1;
            self.highest = Some((sequence, came));
            (ahead, true)
        } else if behind < REMEMBERED {
            let bit = 1_u64.wrapping_shl(behind);
            self.highest = Some((highest, came | bit));
            (0, came & bit == 0)
        } else if behind <= STRANGE_MAX {
            // Older than what is remembered: it was counted as lost, and stays that.
            (0, false)
        } else {
            self.highest = Some((sequence, u64::MAX));
            (1, true)
        };
        self.report.expected = self.report.expected.wrapping_add(expected);
        self.report.received = self.report.received.wrapping_add(u32::from(is_new));
    }
}

/// A step of what is done about loss.
struct Level {
    /// Loss for which the encoder is to be prepared.
    percent: u8,
    /// From this much loss on, in millionths,
    enter: u32,
    /// until there was less than this for [`CALM`].
    leave: u32,
}

/// One packet of redundancy is worth its price from about half a percent on: at a price of 3.5 s, half a percent of
/// made-up sound is worth the 20 ms of delay for which a copy is waited for (`docs/playout.md`). More than 25 % makes
/// no difference to libopus.
const LEVELS: [Level; 4] = [
    Level { percent: 2, enter: 5_000, leave: 2_000 },
    Level { percent: 5, enter: 20_000, leave: 10_000 },
    Level { percent: 10, enter: 50_000, leave: 25_000 },
    Level { percent: 25, enter: 100_000, leave: 50_000 },
];

/// Loss is averaged over about so many packets: one that is lost is a quarter of a percent, which is no reason yet.
const WINDOW: u32 = 400;
/// So long must it be better before a level is left.
const CALM: Span = Span::from_millis(20_000);

/// What the reports of one receiver ask for.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Redundancy {
    latest: Option<Report>,
    /// Smoothed, in millionths.
    loss: u32,
    /// How many of [`LEVELS`] are entered.
    level: usize,
    /// When the level was justified last.
    justified: Instant,
}

impl Redundancy {
    /// Nothing is known, so nothing is sent twice.
    #[must_use]
    pub const fn new() -> Self {
        Self { latest: None, loss: 0, level: 0, justified: Instant::ZERO }
    }

    /// A report came.
    pub fn observe(&mut self, now: Instant, report: Report) {
        let Some(latest) = self.latest.replace(report) else {
            // What was lost before anybody looked is over.
            self.justified = now;
            return;
        };
        let Some(ratio) = report.loss_since(latest) else { return };
        let (new, old) = (u64::from(report.expected.wrapping_sub(latest.expected)), u64::from(WINDOW));
        let sum = u64::from(ratio).saturating_mul(new).saturating_add(u64::from(self.loss).saturating_mul(old));
        // No more than a million.
        self.loss = sum.checked_div(new.saturating_add(old)).unwrap_or(0) as u32;
        self.decide(now);
    }

    fn decide(&mut self, now: Instant) {
        let entered = LEVELS.iter().take_while(|level| self.loss >= level.enter).count();
        let below = self.level.checked_sub(1).and_then(|current| LEVELS.get(current));
        let is_justified = below.is_none_or(|level| self.loss >= level.leave);
        if entered > self.level || is_justified {
            self.level = entered.max(self.level);
            self.justified = now;
        } else if now.since(self.justified) >= CALM {
            self.level = entered;
            self.justified = now;
        }
    }

    /// What the receiver said last.
    #[must_use]
    pub const fn latest(&self) -> Option<Report> {
        self.latest
    }

    /// Loss to be prepared for, in percent; 0 if nothing is worth sending twice.
    #[must_use]
    pub fn need(&self) -> u8 {
        self.level.checked_sub(1).and_then(|current| LEVELS.get(current)).map_or(0, |level| level.percent)
    }

    /// The loss that was measured, smoothed, in millionths.
    #[must_use]
    pub const fn loss_ppm(&self) -> u32 {
        self.loss
    }
}

/// What the one encoder of many receivers is prepared for: what at least a third of them need, and two if there are
/// more than two. So one that has a bad line, or lies, moves nothing where three or more receive; and what those who
/// receive well can lose is bounded by the highest level.
#[must_use]
pub fn shared(needs: impl Iterator<Item = u8> + Clone) -> u8 {
    let all = needs.clone().count();
    let quorum = all.div_ceil(3).max(if all > 2 { 2 } else { 1 });
    let agreed = |level: &&Level| needs.clone().filter(|need| *need >= level.percent).count() >= quorum;
    LEVELS.iter().rev().find(agreed).map_or(0, |level| level.percent)
}

/// Whether the codec's own redundancy is worth anything for this stream. libopus writes it in speech modes alone, which
/// have no frames under 10 ms; longer packets than 20 ms hold several frames as soon as there is a band above SILK's,
/// and of several only the last could be rebuilt. With less bitrate than this it is written only for much loss and at
/// the price of the band, or not at all (`decide_fec` in libopus 1.6.1; `tests/tests/redundancy.rs` tries it).
const fn is_in_band(stream: &Stream) -> bool {
    let least_bps = match stream.tuning.rate {
        Rate::Hz8000 => 20_000,
        Rate::Hz12000 => 23_000,
        Rate::Hz16000 => 26_000,
        Rate::Hz24000 => 32_000,
        Rate::Hz48000 => 35_000,
    };
    let more_bps = match stream.frame {
        FrameLen::Ms10 => 5_000,
        FrameLen::Ms20 => 0,
        FrameLen::Ms2_5 | FrameLen::Ms5 | FrameLen::Ms40 | FrameLen::Ms60 => return false,
    };
    matches!(stream.application, Application::Voip) && stream.tuning.bitrate.bps() >= least_bps + more_bps
}

/// The loss that the encoder of `stream` is told to expect when `need` percent are.
#[must_use]
pub const fn in_band(stream: &Stream, need: u8) -> u8 {
    if is_in_band(stream) { need } else { 0 }
}

/// Whether the packets of `stream` bring copies along when a loss of `need` percent is expected.
#[must_use]
pub const fn copies(stream: &Stream, need: u8) -> bool {
    need > 0 && !is_in_band(stream)
}

#[cfg(test)]
mod tests;
