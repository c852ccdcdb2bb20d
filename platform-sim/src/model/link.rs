//! What lies between a sender and a receiver: delay, jitter, loss and everything else that networks do.

use crate::dice::Dice;
use crate::trace::Trace;
use soundpost_core::time::{Instant, Span};
use std::rc::Rc;

/// What a link is like.
#[derive(Clone, Debug, Default)]
pub struct LinkOptions {
    /// The least time from end to end.
    pub delay: Span,
    /// Mean of what comes on top (exponential).
    pub jitter: Span,
    /// Share of packets that are lost, each by itself, in percent.
    pub loss_percent: f64,
    /// Times in which nearly everything is lost (Gilbert and Elliott's model): mean time from one to the next and
    /// mean length.
    pub bursts: Option<Spells>,
    /// Times in which nothing moves, and after which all that waited comes at once.
    pub stalls: Option<Spells>,
    /// Share of packets that are overtaken by those after them, in percent.
    pub reorder_percent: f64,
    /// Share of packets that come twice, in percent.
    pub duplicate_percent: f64,
    /// Share of packets in which a byte is wrong, in percent.
    pub corrupt_percent: f64,
    /// Bits that go through in a second, and how long a packet may have to wait for that before it is thrown away.
    pub bottleneck: Option<(u64, Span)>,
    /// Delays and losses as they were recorded, again and again; delay and jitter come on top.
    pub trace: Option<Rc<Trace>>,
}

/// Something that comes and goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spells {
    /// Mean time from one to the next.
    pub every: Span,
    /// Mean length.
    pub lasts: Span,
}

/// Whether a spell is on.
#[derive(Clone, Debug)]
struct Spell {
    spells: Spells,
    begins: Instant,
    ends: Instant,
    dice: Dice,
}

impl Spell {
    fn new(now: Instant, spells: Spells, dice: Dice) -> Self {
        let mut this = Self { spells, begins: now, ends: now, dice };
        this.next(now);
        this
    }

    fn next(&mut self, now: Instant) {
        let mut draw = |mean: Span| Span::from_micros(self.dice.exponential(mean.as_micros() as f64) as u64);
        self.begins = now.plus(draw(self.spells.every));
        self.ends = self.begins.plus(draw(self.spells.lasts));
    }

    /// Until when it lasts, if it is on.
    fn until(&mut self, now: Instant) -> Option<Instant> {
        while now >= self.ends {
            self.next(self.ends);
        }
        (now >= self.begins).then_some(self.ends)
    }
}

/// When copies of a packet arrive, and how the second half of its bytes is changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fate {
    /// When it arrives, and when once more.
    pub arrivals: [Option<Instant>; 2],
    /// Which byte (as a share of all, in 1/65536) is changed by what.
    pub garbled: Option<(u16, u8)>,
}

/// What was done to packets, to hold against what receivers count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkTruth {
    /// Packets that came in.
    pub sent: u64,
    /// Packets that never arrive.
    pub lost: u64,
    /// Packets that arrive twice.
    pub doubled: u64,
    /// Packets that arrive with a byte wrong.
    pub garbled: u64,
}

/// A link in one direction.
#[derive(Debug)]
pub struct Link {
    options: LinkOptions,
    bursts: Option<Spell>,
    stalls: Option<Spell>,
    /// Nothing arrives before, by order of the scenario.
    held_until: Instant,
    /// Extra, by order of the scenario.
    pub extra_delay: Span,
    /// Loss on top, in percent, by order of the scenario.
    pub extra_loss: f64,
    /// Bottleneck, by order of the scenario.
    pub squeezed: Option<(u64, Span)>,
    /// It is cut.
    pub cut: bool,
    /// The last bit of what was sent so far leaves the bottleneck.
    free_at: Instant,
    /// The latest arrival: packets keep their order, most of the time.
    latest: Instant,
    began: Instant,
    truth: LinkTruth,
    dice: Dice,
    /// How long the latest packet took.
    took: Option<Span>,
}

impl Link {
    /// A link that begins at `now`. `who` names its dice.
    #[must_use]
    pub fn new(now: Instant, options: LinkOptions, seed: u64, who: &str) -> Self {
        let dice = |what: &str| Dice::new(seed, &format!("{who}: {what}"));
        let bursts = options.bursts.map(|spells| Spell::new(now, spells, dice("bursts")));
        let stalls = options.stalls.map(|spells| Spell::new(now, spells, dice("stalls")));
        Self {
            options,
            bursts,
            stalls,
            held_until: now,
            extra_delay: Span::ZERO,
            extra_loss: 0.0,
            squeezed: None,
            cut: false,
            free_at: now,
            latest: now,
            began: now,
            truth: LinkTruth::default(),
            dice: dice("packets"),
            took: None,
        }
    }

    /// What was done to packets.
    #[must_use]
    pub const fn truth(&self) -> LinkTruth {
        self.truth
    }

    /// How long the latest packet that arrives takes.
    #[must_use]
    pub const fn took(&self) -> Option<Span> {
        self.took
    }

    /// The least that a packet takes.
    #[must_use]
    pub fn least(&self) -> Span {
        self.options.delay.plus(
            self.options
                .trace
                .as_ref()
                .map_or(Span::ZERO, |trace| Span::from_micros(u64::try_from(trace.base_us()).unwrap_or(0))),
        )
    }

    /// Nothing arrives before `until`.
    pub fn hold(&mut self, until: Instant) {
        self.held_until = self.held_until.max(until);
    }

    /// From now on it does nothing worse than to delay, evenly.
    pub fn heal(&mut self, now: Instant) {
        (self.held_until, self.latest, self.free_at) = (now, now, now);
        self.options = LinkOptions { delay: self.options.delay, ..LinkOptions::default() };
        (self.bursts, self.stalls, self.squeezed) = (None, None, None);
        (self.extra_delay, self.extra_loss, self.cut) = (Span::ZERO, 0.0, false);
    }

    /// What becomes of a packet of `bytes` that is sent now.
    pub fn send(&mut self, now: Instant, bytes: usize) -> Fate {
        self.truth.sent += 1;
        let Some(arrives) = self.arrival(now, bytes) else {
            self.truth.lost += 1;
            return Fate::default();
        };
        self.took = Some(arrives.since(now));
        let options = &self.options;
        let mut fate = Fate { arrivals: [Some(arrives), None], garbled: None };
        if self.dice.happens(options.duplicate_percent) {
            self.truth.doubled += 1;
            let later = Span::from_micros(self.dice.exponential(5_000.0) as u64);
            fate.arrivals[1] = Some(arrives.plus(later));
        }
        if self.dice.happens(options.corrupt_percent) {
            self.truth.garbled += 1;
            fate.garbled = Some((self.dice.any() as u16, 1 << self.dice.between(0, 7)));
        }
        fate
    }

    fn arrival(&mut self, now: Instant, bytes: usize) -> Option<Instant> {
        let options = &self.options;
        let bad = self.bursts.as_mut().is_some_and(|spell| spell.until(now).is_some());
        let lost = self.dice.happens(options.loss_percent + self.extra_loss);
        if self.cut || lost || (bad && self.dice.happens(95.0)) {
            return None;
        }
        let mut at = now;
        if let Some((bits, patience)) = self.squeezed.or(options.bottleneck) {
            // 28 bytes of UDP and IP.
            let takes = Span::from_micros((bytes as u64 + 28) * 8_000_000 / bits.max(1));
            let free = self.free_at.max(now);
            if free.since(now) > patience {
                return None;
            }
            self.free_at = free.plus(takes);
            at = self.free_at;
        }
        if let Some(trace) = &options.trace {
            at = at.plus(trace.delay(now.since(self.began))?);
        }
        let jitter = self.dice.exponential(options.jitter.as_micros() as f64);
        at = at.plus(options.delay).plus(self.extra_delay).plus(Span::from_micros(jitter as u64));
        if let Some(until) = self.stalls.as_mut().and_then(|spell| spell.until(now)) {
            at = at.max(until);
        }
        at = at.max(self.held_until);
        if self.dice.happens(options.reorder_percent) {
            // It takes another way: those after it do not wait for it.
            return Some(at.plus(Span::from_micros(10_000 + self.dice.exponential(20_000.0) as u64)));
        }
        // A trace has its own order.
        if options.trace.is_none() {
            self.latest = self.latest.max(at);
            at = self.latest;
        }
        Some(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Span = Span::from_millis;

    /// Sends a packet of 160 bytes every 20 ms, 10 000 times; returns delays in ms, `None` for lost.
    fn delays(options: LinkOptions) -> (Vec<Option<f64>>, LinkTruth) {
        let mut link = Link::new(Instant::ZERO, options, 5, "l");
        let sent = (0..10_000).map(|n| Instant::from_micros(n * 20_000));
        let delays = sent.map(|at| link.send(at, 160).arrivals[0].map(|got| got.since(at).as_micros() as f64 / 1e3));
        (delays.collect(), link.truth())
    }

    #[test]
    fn a_clean_link_delays_and_nothing_else() {
        let (delays, truth) = delays(LinkOptions { delay: MS(12), ..LinkOptions::default() });
        assert!(delays.iter().all(|delay| *delay == Some(12.0)));
        assert_eq!(truth, LinkTruth { sent: 10_000, ..LinkTruth::default() });
    }

    #[test]
    fn loss_comes_alone_or_in_bursts() {
        let longest = |delays: &[Option<f64>]| delays.split(Option::is_some).map(<[_]>::len).max().unwrap();
        let (alone, truth) = delays(LinkOptions { loss_percent: 3.0, ..LinkOptions::default() });
        assert!((250..350).contains(&truth.lost) && longest(&alone) <= 4, "{truth:?}");
        let spells = Spells { every: MS(4_000), lasts: MS(120) };
        let (burst, truth) = delays(LinkOptions { bursts: Some(spells), ..LinkOptions::default() });
        assert!((150..450).contains(&truth.lost) && longest(&burst) >= 8, "{truth:?}");
    }

    #[test]
    fn a_stall_holds_everything_and_lets_it_go_at_once() {
        let spells = Spells { every: MS(5_000), lasts: MS(300) };
        let (delays, truth) = delays(LinkOptions { stalls: Some(spells), ..LinkOptions::default() });
        assert_eq!(truth.lost, 0);
        let worst = delays.iter().flatten().fold(0.0_f64, |a, b| a.max(*b));
        assert!(worst > 200.0, "{worst}");
        for pair in delays.windows(2).filter(|pair| pair[0] > Some(20.0)) {
            assert!(pair[1].unwrap() >= pair[0].unwrap() - 20.001, "order is kept");
        }
    }

    #[test]
    fn a_bottleneck_queues_and_then_drops() {
        // 188 bytes each 20 ms are 75.2 kbit/s.
        let (delays, truth) = delays(LinkOptions { bottleneck: Some((70_000, MS(200))), ..LinkOptions::default() });
        assert!(truth.lost > 400, "{truth:?}");
        assert!(delays.iter().flatten().all(|delay| *delay < 200.0 + 22.0));
        let roomy = LinkOptions { bottleneck: Some((1_000_000, MS(200))), ..LinkOptions::default() };
        assert_eq!(self::delays(roomy).1.lost, 0);
    }

    #[test]
    fn packets_are_doubled_overtaken_and_garbled_as_often_as_asked() {
        let options = LinkOptions {
            duplicate_percent: 2.0,
            reorder_percent: 5.0,
            corrupt_percent: 1.0,
            ..LinkOptions::default()
        };
        let (delays, truth) = delays(options);
        assert!((150..250).contains(&truth.doubled) && (60..140).contains(&truth.garbled), "{truth:?}");
        let overtaken = delays.windows(2).filter(|pair| pair[0] > pair[1].map(|later| later + 20.0)).count();
        assert!((200..600).contains(&overtaken), "{overtaken}");
    }
}
