//! The governor of each sender, and what it is told: what receivers report, and how late the audio thread wakes up.

use super::build::stream;
use super::{DAWN, Event, Way, World};
use crate::outcome::Turn;
use crate::scenario::Scenario;
use soundpost_core::config::{Direction, TIMING};
use soundpost_core::quality::{Floor, Governor, Measurement, OBSERVE_EVERY};
use soundpost_core::time::{Instant, Span};
use soundpost_core::wire::Report;

/// A turn that begins when the next two are due is late.
const LATE: Span = Span::from_samples(2 * TIMING.period_samples as u64);

/// A governor, and what was measured since it looked.
#[derive(Debug)]
pub(super) struct Care {
    pub(super) governor: Governor,
    direction: Direction,
    latest: Option<Report>,
    before: Option<Report>,
    floor: Floor,
    wakes: u64,
    late: u64,
    pub(super) turns: Vec<Turn>,
}

impl Care {
    pub(super) fn new(scenario: &Scenario, direction: Direction) -> Self {
        let governor = Governor::new(scenario.preset, |quality| stream(scenario, quality, direction));
        let (latest, before) = (None, None);
        Self { governor, direction, latest, before, floor: Floor::new(), wakes: 0, late: 0, turns: Vec::new() }
    }

    /// The sender's audio thread woke up so late.
    pub(super) fn woke(&mut self, late: Span) {
        self.wakes += 1;
        self.late += u64::from(late >= LATE);
    }

    /// The receiver says what came, and how long that took.
    pub(super) fn told(&mut self, now: Instant, report: Report) {
        self.latest = Some(report);
        if let Some(delay_us) = report.delay_us {
            self.floor.observe(now, delay_us);
        }
    }

    fn measured(&mut self) -> Measurement {
        let latest = self.latest.take();
        let loss = latest.zip(self.before).and_then(|(now, before)| now.loss_since(before));
        self.before = latest.or(self.before);
        let late = (self.late * 1_000_000).checked_div(self.wakes).unwrap_or(0);
        (self.late, self.wakes) = (0, 0);
        Measurement { loss, growth: self.floor.take(), late: u32::try_from(late).unwrap_or(u32::MAX) }
    }
}

impl World<'_, '_, '_> {
    pub(super) fn govern(&mut self, way: Way) {
        let (now, scenario, codec) = (self.now(), self.scenario, self.ground.codec);
        let line = self.line(way);
        let measured = line.care.measured();
        if let Some(decision) = line.care.governor.observe(now, measured) {
            line.sender.change(codec, stream(scenario, decision.quality, line.care.direction));
            let reason = format!("{:?}", decision.reason).to_lowercase();
            let at_s = now.since(DAWN).as_micros() as f64 / 1e6;
            line.care.turns.push(Turn { at_s, quality: decision.quality.name().to_owned(), reason });
            self.log(|| format!("{way:?}: {} from now on, because of {:?}", decision.quality, decision.reason));
        }
        self.announce(now.plus(OBSERVE_EVERY), Event::Care(way));
    }
}
