//! The machine: how late things wake up on it.

use crate::dice::Dice;
use soundpost_core::time::Span;

/// How late things wake up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HostOptions {
    /// Mean lateness of the audio thread (exponential).
    pub audio: Span,
    /// Mean lateness of everything else.
    pub io: Span,
}

/// A machine with one processor.
#[derive(Clone, Debug)]
pub struct Host {
    options: HostOptions,
    /// By order of the scenario: something else has the processor for up to so long.
    pub starved: Option<HostOptions>,
    /// By order of the scenario: so many percent of what is not locked in memory waits up to so long for its pages.
    pub reclaimed: Option<(f64, Span)>,
    dice: Dice,
    /// The latest that the audio thread ever was.
    pub worst: Span,
}

impl Host {
    /// A machine.
    #[must_use]
    pub fn new(options: HostOptions, seed: u64, who: &str) -> Self {
        Self { options, starved: None, reclaimed: None, dice: Dice::new(seed, who), worst: Span::ZERO }
    }

    /// How late the audio thread wakes up this time.
    pub fn audio_late(&mut self) -> Span {
        let late = self.late(self.options.audio, self.starved.map(|starved| starved.audio));
        self.worst = self.worst.max(late);
        late
    }

    /// How late something else wakes up this time. (The audio threads' memory is locked: no page of theirs is taken.)
    pub fn io_late(&mut self) -> Span {
        let late = self.late(self.options.io, self.starved.map(|starved| starved.io));
        let waits = self.reclaimed.filter(|(percent, _)| self.dice.happens(*percent));
        late.plus(waits.map_or(Span::ZERO, |(_, most)| Span::from_micros(self.dice.between(0, most.as_micros()))))
    }

    /// Nothing disturbs it any more.
    pub fn heal(&mut self) {
        (self.starved, self.reclaimed) = (None, None);
    }

    fn late(&mut self, mean: Span, starved: Option<Span>) -> Span {
        if mean == Span::ZERO && starved.is_none() {
            return Span::ZERO;
        }
        let usual = self.dice.exponential(mean.as_micros() as f64) as u64;
        let usual = usual.min(mean.as_micros() * 20);
        let starved = starved.map_or(0, |most| self.dice.between(0, most.as_micros()));
        Span::from_micros(usual + starved)
    }
}
