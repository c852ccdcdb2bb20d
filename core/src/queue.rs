//! How much is kept in a playback device's queue: what is in it is delay on every path, so as little as the device and
//! the machine let us, and a way back when it had to be more.
//!
//! What decides is what was left in the queue each time that the device asked for more. Next to nothing left: it takes
//! more at once than was reckoned with (`snd-aloop` moves by two ticks of the kernel), or other work holds its thread up;
//! one period more is kept from then on, if possible before it runs dry. The same when making the sound took about as long
//! as what was left lasts: a small processor that catches up. More than a period to spare at every look for a
//! while: one period less. A queue that turns out too short after it gave one back waits twice as long the next time,
//! so a device which needs it now and then keeps it.
//!
//! A machine that stood still for longer than the longest queue is no reason: no queue would have helped.

use crate::config::TIMING;
use crate::time::{Instant, Span};

/// Looks after one device's queue. Samples are those of 48 kHz.
#[derive(Clone, Debug)]
pub struct Queue {
    /// Samples in a period.
    period: u32,
    /// Periods at first, and never fewer.
    shortest: u32,
    /// Periods at most.
    longest: u32,
    periods: u32,
    /// When the device was last looked at, or began.
    looked: Instant,
    /// What was left then.
    left: u32,
    /// Since when it has been as long as now.
    since: Instant,
    /// The least that was left at a look since then.
    least: u32,
    /// It is shorter than it once was.
    gave_back: bool,
    /// Times that giving back was wrong, so many as count.
    mistakes: u8,
}

impl Queue {
    /// So many periods at first; the device has room for `room` of them.
    #[must_use]
    pub fn new(period: u32, shortest: u32, room: u32) -> Self {
        Self {
            period,
            shortest,
            longest: TIMING.playback_periods_max.min(room).max(shortest),
            periods: shortest,
            looked: Instant::ZERO,
            left: u32::MAX,
            since: Instant::ZERO,
            least: u32::MAX,
            gave_back: false,
            mistakes: 0,
        }
    }

    /// Periods that are to be kept in the queue.
    #[must_use]
    pub const fn periods(&self) -> u32 {
        self.periods
    }

    /// Periods that it begins with again after it ran dry: the fewest, for all but one of them are silence that is heard.
    /// The others are sound that has come meanwhile.
    #[must_use]
    pub const fn periods_when_dry(&self) -> u32 {
        self.shortest
    }

    /// The device wants sound, and has so much left; whether the queue has another length from now on.
    pub fn on_look(&mut self, now: Instant, left: u32) -> bool {
        (self.looked, self.left) = (now, left);
        self.least = self.least.min(left);
        if left < self.period / TIMING.queue_scarce {
            return self.lengthen(now);
        }
        if now.since(self.since) < self.patience() {
            return false;
        }
        let spare = self.least >= self.period.saturating_add(self.period / 2);
        self.begin_anew(now);
        let shortens = spare && self.periods > self.shortest;
        if shortens {
            self.periods = self.periods.saturating_sub(1);
            self.gave_back = true;
        }
        shortens
    }

    /// The sound that it wanted has been made, and while that took so long it played on; whether its queue is longer from
    /// now on. A device that moves in lumps does not show this until it is dry.
    pub fn on_sound(&mut self, now: Instant) -> bool {
        let took = now.since(self.looked);
        let left = u64::from(self.left).saturating_sub(took.as_samples());
        let scarce = left < u64::from(self.period / TIMING.queue_scarce);
        scarce && took <= self.longest() && self.lengthen(now)
    }

    /// It ran dry; whether the queue is longer from now on.
    pub fn on_dry(&mut self, now: Instant) -> bool {
        if now.since(self.looked) > self.longest() {
            // What was seen before is still true.
            return false;
        }
        self.lengthen(now)
    }

    /// How long the longest queue lasts.
    fn longest(&self) -> Span {
        Span::from_samples(u64::from(self.period).saturating_mul(u64::from(self.longest)))
    }

    /// For how long it must have had to spare before it gives a period back.
    fn patience(&self) -> Span {
        let doubled = 1_u64.checked_shl(u32::from(self.mistakes)).unwrap_or(u64::MAX);
        Span::from_micros(TIMING.queue_patience.as_micros().saturating_mul(doubled)).min(TIMING.queue_patience_max)
    }

    fn lengthen(&mut self, now: Instant) -> bool {
        self.begin_anew(now);
        if self.periods >= self.longest {
            return false;
        }
        if core::mem::take(&mut self.gave_back) {
            self.mistakes = self.mistakes.saturating_add(1);
        }
        self.periods = self.periods.saturating_add(1);
        true
    }

    fn begin_anew(&mut self, now: Instant) {
        (self.since, self.least) = (now, u32::MAX);
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
