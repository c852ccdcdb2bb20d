//! Which preset is used: as good a one as the network and the processor carry, never above what the user asked for.
//!
//! The governor goes down within seconds and up one preset at a time, after a calm that is longer the more often going up
//! ended badly. Where packets are lost it goes at once to a preset that fits what still came through. If that does not
//! help, the loss is not of our making: then it is left to [redundancy](crate::redundancy), and the preset comes back.
//!
//! It knows no encoder and no receiver: whoever owns it feeds it what was measured, and does what it says.

mod floor;
#[cfg(test)]
mod tests;

pub use floor::Floor;

use crate::config::{Quality, Stream};
use crate::time::{Instant, SAMPLE_RATE_HZ, Span};

/// Measurements are to be made so often.
pub const OBSERVE_EVERY: Span = Span::from_millis(1_000);

/// Bytes that a packet costs on its way beyond what is in it: IP, UDP, RTP.
const PACKET_OVERHEAD: u32 = 40;
/// Smoothed loss from which on a preset is too much, and below which it is not, in millionths.
const LOSS_BAD: u32 = 100_000;
const LOSS_FINE: u32 = 30_000;
/// Of what came through, so much may be used: the rest is room for what others do. In percent.
const FILL_PERCENT: u64 = 90;
/// Loss that no preset helps against is not made by us, up to this much: more than that is nobody's use.
const FOREIGN_LOSS_MAX: u32 = 300_000;
/// Packets that take so much longer than the fastest of late wait in a queue, and so little is nothing.
const DELAY_BAD: Span = Span::from_millis(80);
const DELAY_FINE: Span = Span::from_millis(40);
/// A queue that gets shorter by less than this from one measurement to the next is not being emptied.
const DRAINS: Span = Span::from_millis(10);
/// Of what nobody said anything new, the last word holds so long.
const RECENT: Span = Span::from_millis(3_000);
/// Share of the audio thread's turns that took twice their time, from which on the processor has too much to do, and
/// below which it has not, in millionths.
const LATE_BAD: u32 = 20_000;
const LATE_FINE: u32 = 5_000;
/// The preset that is the least work: speech modes, which those below it use, are more.
const LIGHTEST: Quality = Quality::Medium;
/// What is still under way after a change was not made by it.
const SETTLE: Span = Span::from_millis(2_000);
/// After so long it is known whether a step down helped; there is no other before.
const VERDICT: Span = Span::from_millis(6_000);
/// So long must all be fine before a better preset is tried.
const CALM: Span = Span::from_millis(20_000);
/// A better preset that does not last so long was a mistake: the next try waits twice as long,
const PROBATION: Span = Span::from_millis(60_000);
/// up to this many times [`CALM`].
const PATIENCE_MAX: u32 = 32;

/// What was measured since the last time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Measurement {
    /// Packets that never came, in millionths, if anybody said so.
    pub loss: Option<u32>,
    /// By how much the fastest packets are slower than those of late ([`Floor`]), if anybody said so.
    pub growth: Option<Span>,
    /// The audio thread's turns that took twice their time, or more, in millionths of all.
    pub late: u32,
}

/// Why a preset was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Reason {
    /// Too much is lost.
    Loss,
    /// A queue grows.
    Delay,
    /// The processor has too much to do.
    Load,
    /// All was fine for long enough.
    Calm,
    /// The user said so.
    User,
}

/// What is to be used from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Decision {
    /// The preset.
    pub quality: Quality,
    /// Why not another one.
    pub reason: Reason,
}

/// A step down whose use is not known yet.
#[derive(Clone, Copy, Debug)]
struct Trial {
    at: Instant,
    /// What there was so much of.
    reason: Reason,
    loss: u32,
    growth: Span,
}

/// Decides.
#[derive(Clone, Copy, Debug)]
pub struct Governor {
    ceiling: Quality,
    current: Quality,
    /// Bits a second on the wire, for each preset.
    rates: [u32; 4],
    loss: u32,
    /// The smaller one of the two latest, as they were measured.
    loss_for_sure: u32,
    loss_latest: u32,
    late: u32,
    /// Loss that no preset helps against.
    foreign_loss: u32,
    /// Growth that no preset helps against: the way is longer. Gone as soon as less was measured.
    foreign_growth: Span,
    /// Growth beyond that, and when it was measured.
    growth_before: Option<(Instant, Span)>,
    changed: Option<Instant>,
    trial: Option<Trial>,
    /// All is fine since.
    fine_since: Option<Instant>,
    /// When it went up last.
    climbed: Option<Instant>,
    /// How many times [`CALM`] each preset is waited for.
    patience: [u32; 4],
}

/// Bits a second that `stream` costs on the wire.
#[must_use]
pub const fn wire_bps(stream: &Stream) -> u32 {
    let packets = SAMPLE_RATE_HZ / stream.frame.samples();
    stream.tuning.bitrate.bps().saturating_add(packets.saturating_mul(PACKET_OVERHEAD * 8))
}

/// What counts where many receivers share one encoder: as much loss, or growth, as at least half of those have who say so.
/// One on a bad line does not take the preset from everybody.
#[must_use]
pub fn shared<T: Copy + Ord>(said: impl Iterator<Item = T> + Clone) -> Option<T> {
    let quorum = said.clone().count().div_ceil(2);
    let agreed = |least: &T| said.clone().filter(|other| other >= least).count() >= quorum;
    said.clone().filter(agreed).max()
}

impl Governor {
    /// A governor that begins with the user's preset. `streams` says what each preset stands for.
    #[must_use]
    pub fn new(ceiling: Quality, streams: impl Fn(Quality) -> Stream) -> Self {
        Self {
            ceiling,
            current: ceiling,
            rates: Quality::ALL.map(|quality| wire_bps(&streams(quality))),
            loss: 0,
            loss_for_sure: 0,
            loss_latest: 0,
            late: 0,
            foreign_loss: 0,
            foreign_growth: Span::ZERO,
            growth_before: None,
            changed: None,
            trial: None,
            fine_since: None,
            climbed: None,
            patience: [1; 4],
        }
    }

    /// Presets stand for other streams from now on.
    pub fn set_streams(&mut self, streams: impl Fn(Quality) -> Stream) {
        self.rates = Quality::ALL.map(|quality| wire_bps(&streams(quality)));
    }

    /// The preset in use.
    #[must_use]
    pub const fn quality(&self) -> Quality {
        self.current
    }

    /// The best that the user wants.
    #[must_use]
    pub const fn ceiling(&self) -> Quality {
        self.ceiling
    }

    /// The user wants another preset. It is used at once, unless the network or the processor had a say before.
    pub fn set_ceiling(&mut self, now: Instant, ceiling: Quality) -> Option<Decision> {
        let is_free = self.current == self.ceiling;
        self.ceiling = ceiling;
        let wanted = if is_free { ceiling } else { self.current.min(ceiling) };
        (wanted != self.current).then(|| {
            (self.trial, self.climbed) = (None, None);
            self.go(now, wanted, Reason::User)
        })
    }

    /// When a better preset will be tried, if all goes on like this.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        let better = self.better()?;
        Some(self.fine_since?.plus(self.calm(better)))
    }

    /// Takes what was measured; says what to do, if that is something new.
    pub fn observe(&mut self, now: Instant, measured: Measurement) -> Option<Decision> {
        let fresh = measured.growth.map(|growth| self.own_growth(growth));
        if self.changed.is_some_and(|changed| now.since(changed) < SETTLE) {
            // Of the present preset nothing is known yet.
            (self.loss, self.loss_latest, self.late, self.growth_before) = (0, 0, 0, None);
            return None;
        }
        if let Some(loss) = measured.loss {
            self.loss = mean(self.loss, loss);
            self.loss_for_sure = core::mem::replace(&mut self.loss_latest, loss).min(loss);
        }
        self.late = mean(self.late, measured.late);
        let before = self.growth_before.filter(|(at, _)| now.since(*at) <= RECENT).map(|(_, growth)| growth);
        self.growth_before = fresh.map(|growth| (now, growth)).or(self.growth_before);
        let growth = fresh.or(before).unwrap_or(Span::ZERO);
        if self.judge_trial(now, growth) {
            return None;
        }
        let queues = fresh.zip(before).is_some_and(|(growth, before)| {
            before >= DELAY_BAD && growth >= DELAY_BAD && growth.plus(DRAINS) >= before
        });
        match self.trouble(queues) {
            Some((wanted, reason)) => self.go_down(now, wanted, reason, growth),
            None => self.calm_down(now, growth),
        }
    }

    fn go_down(&mut self, now: Instant, wanted: Quality, reason: Reason, growth: Span) -> Option<Decision> {
        self.fine_since = None;
        if self.climbed.take().is_some_and(|climbed| now.since(climbed) < PROBATION) {
            self.set_patience(|patience| patience.saturating_mul(2).min(PATIENCE_MAX));
        }
        if wanted >= self.current || self.trial.is_some() {
            return None;
        }
        self.trial = Some(Trial { at: now, reason, loss: self.loss, growth });
        Some(self.go(now, wanted, reason))
    }

    /// Goes up, if all was fine for long enough.
    fn calm_down(&mut self, now: Instant, growth: Span) -> Option<Decision> {
        let own_loss = self.loss > LOSS_FINE && self.loss > self.tolerated();
        let is_fine = !own_loss && growth < DELAY_FINE && self.late < LATE_FINE;
        if !is_fine {
            self.fine_since = None;
            return None;
        }
        let since = *self.fine_since.get_or_insert(now);
        if self.climbed.is_some_and(|climbed| now.since(climbed) >= PROBATION) {
            self.climbed = None;
            self.set_patience(|patience| (patience / 2).max(1));
        }
        if self.loss < LOSS_FINE && now.since(since) >= CALM {
            self.foreign_loss = 0;
        }
        let better = self.better().filter(|better| now.since(since) >= self.calm(*better))?;
        self.climbed = Some(now);
        self.trial = None;
        Some(self.go(now, better, Reason::Calm))
    }

    /// What is wrong, and the preset that is right then.
    fn trouble(&self, queues: bool) -> Option<(Quality, Reason)> {
        let worse = Quality::ALL.into_iter().rev().find(|quality| *quality < self.current).unwrap_or(self.current);
        if self.loss.min(self.loss_for_sure) >= LOSS_BAD && self.loss > self.tolerated() {
            return Some((self.fitting().min(worse), Reason::Loss));
        }
        if queues {
            return Some((worse, Reason::Delay));
        }
        (self.late >= LATE_BAD).then_some((worse.max(LIGHTEST), Reason::Load))
    }

    /// Loss that lowering the preset did not help against, and a quarter more.
    const fn tolerated(&self) -> u32 {
        self.foreign_loss.saturating_add(self.foreign_loss / 4)
    }

    /// The best preset that fits what came through.
    fn fitting(&self) -> Quality {
        let rate = |quality: Quality| u64::from(self.rates.get(quality as usize).copied().unwrap_or(0));
        let arrived = rate(self.current).saturating_mul(u64::from(1_000_000_u32.saturating_sub(self.loss_for_sure)));
        let room = arrived.saturating_mul(FILL_PERCENT) / 100_000_000;
        Quality::ALL.into_iter().rev().find(|quality| rate(*quality) <= room).unwrap_or(Quality::Low)
    }

    /// Whether it turned out that a step down did not help. Then that much is no reason for another.
    fn judge_trial(&mut self, now: Instant, growth: Span) -> bool {
        let Some(trial) = self.trial.filter(|trial| now.since(trial.at) >= VERDICT) else { return false };
        self.trial = None;
        let stays = |now: u64, before: u64| now >= before / 4 * 3;
        match trial.reason {
            Reason::Loss if stays(u64::from(self.loss), u64::from(trial.loss)) && trial.loss <= FOREIGN_LOSS_MAX => {
                self.foreign_loss = self.loss.max(trial.loss);
                true
            }
            // The way is longer now, and that is all: a queue would have become shorter, or longer.
            Reason::Delay
                if stays(growth.as_micros(), trial.growth.as_micros())
                    && stays(trial.growth.as_micros(), growth.as_micros()) =>
            {
                (self.foreign_growth, self.growth_before) = (self.foreign_growth.plus(growth), None);
                true
            }
            _ => false,
        }
    }

    /// Growth that a preset may help against. A way that was longer and is not any more is forgotten, also as the floors
    /// of those who measured it forget the short one.
    fn own_growth(&mut self, growth: Span) -> Span {
        self.foreign_growth = self.foreign_growth.min(growth);
        growth.minus(self.foreign_growth)
    }

    /// The next preset up, if the user wants it.
    fn better(&self) -> Option<Quality> {
        Quality::ALL.into_iter().find(|quality| *quality > self.current && *quality <= self.ceiling)
    }

    /// How long all must be fine before this preset is tried.
    fn calm(&self, quality: Quality) -> Span {
        let patience = self.patience.get(quality as usize).copied().unwrap_or(PATIENCE_MAX);
        Span::from_micros(CALM.as_micros().saturating_mul(u64::from(patience)))
    }

    /// Of the preset in use.
    fn set_patience(&mut self, change: impl Fn(u32) -> u32) {
        if let Some(patience) = self.patience.get_mut(self.current as usize) {
            *patience = change(*patience);
        }
    }

    fn go(&mut self, now: Instant, quality: Quality, reason: Reason) -> Decision {
        self.current = quality;
        self.changed = Some(now);
        self.fine_since = None;
        Decision { quality, reason }
    }
}

/// The mean of what was and what is.
const fn mean(before: u32, now: u32) -> u32 {
    before / 2 + now / 2 + (before & now & 1)
}
