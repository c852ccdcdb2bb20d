//! The governor of the captured stream, and what it is told: what listeners say they lost, by how much longer packets take
//! to them, and how late the audio thread is.
//!
//! What either means is core's business; here is where it comes from.

use super::roster::Roster;
use super::status::GovernorStatus;
use crate::configuration::Values;
use crate::rt::now;
use soundpost_core::config::Quality;
use soundpost_core::quality::{Decision, Governor, Measurement, Reason, shared};
use soundpost_core::wire::Report;
use std::collections::BTreeMap;

/// See the module.
#[derive(Debug)]
pub(super) struct Care {
    governor: Governor,
    adapts: bool,
    reason: Reason,
    turned: u64,
    measured: Measurement,
    /// Turns of the audio thread, and those that were late, when it was last looked.
    before: (u64, u64),
    /// What each listener had said by then.
    reports: BTreeMap<u32, Report>,
}

impl Care {
    pub(super) fn new(values: &Values) -> Self {
        Self {
            governor: governor(values),
            adapts: values.adapt,
            reason: Reason::User,
            turned: 0,
            measured: Measurement::default(),
            before: (0, 0),
            reports: BTreeMap::new(),
        }
    }

    /// Something else is wished; the preset that is used then.
    pub(super) fn wish(&mut self, values: &Values) -> Quality {
        let ceiling = values.quality;
        if values.adapt && self.adapts {
            if let Some(decision) = self.governor.set_ceiling(now(), ceiling) {
                self.reason = decision.reason;
            }
            self.governor.set_streams(|quality| values.stream_at(quality));
        } else {
            self.governor = governor(values);
            self.reason = Reason::User;
        }
        self.adapts = values.adapt;
        self.governor.quality()
    }

    /// Looks at what was measured since the last time: by the listeners, and by the audio thread, which turned so often
    /// and was late so often, by how much.
    pub(super) fn look(&mut self, roster: &Roster, turns: u64, late: [u32; 4]) -> Option<Decision> {
        let [_, late @ ..] = late.map(u64::from);
        let (turns, late) = (turns, late.into_iter().sum::<u64>());
        let (turns_before, late_before) = std::mem::replace(&mut self.before, (turns, late));
        // A worker that took over counts anew.
        let share = match (turns.checked_sub(turns_before), late.checked_sub(late_before)) {
            (Some(turns), Some(late)) => (late * 1_000_000).checked_div(turns).unwrap_or(0),
            _ => 0,
        };
        let late = u32::try_from(share).unwrap_or(u32::MAX);
        let growth = shared(roster.growths().into_iter());
        self.measured = Measurement { loss: self.loss(roster), growth, late };
        if !self.adapts {
            return None;
        }
        let decision = self.governor.observe(now(), self.measured)?;
        tracing::info!("capture: {} from now on, because of {}", decision.quality, name(decision.reason));
        self.reason = decision.reason;
        self.turned += 1;
        Some(decision)
    }

    /// What those listeners lost who said so since the last time.
    fn loss(&mut self, roster: &Roster) -> Option<u32> {
        let reports = roster.reports();
        let losses = reports.iter().filter_map(|(id, report)| report.loss_since(*self.reports.get(id)?));
        let loss = shared(losses);
        self.reports = reports;
        loss
    }

    pub(super) fn shown(&self) -> GovernorStatus {
        GovernorStatus {
            adapts: self.adapts,
            ceiling: self.governor.ceiling().to_string(),
            reason: name(self.reason).to_owned(),
            turns: self.turned,
            loss_percent: self.measured.loss.map(percent),
            delay_growth_ms: self.measured.growth.map(|growth| growth.as_micros() as f64 / 1_000.0),
            late_percent: percent(self.measured.late),
        }
    }
}

fn governor(values: &Values) -> Governor {
    Governor::new(values.quality, |quality| values.stream_at(quality))
}

fn percent(millionths: u32) -> f64 {
    f64::from(millionths) / 10_000.0
}

const fn name(reason: Reason) -> &'static str {
    match reason {
        Reason::Loss => "loss",
        Reason::Delay => "delay",
        Reason::Load => "load",
        Reason::Calm => "calm",
        Reason::User => "user",
    }
}
