//! How long packets wait before they are played: grow at once when one came too late, always come back.
//!
//! The first storey of the playout policy. *Slack* is how long a packet had been waiting when its first
//! sample was needed. The least slack of the last second is delay that nobody needed; what exceeds the
//! target is cut out, a few milliseconds at a time. A packet that came late raises the target by what was
//! missing, and every quiet ten seconds lower it by one step, down to the floor.

use crate::time::{Instant, Span};

/// The delay that is kept when nothing disturbs: it covers the raggedness of two device periods and of the
/// scheduler.
pub const FLOOR: Span = Span::from_millis(4);
/// The most delay that is ever held on purpose.
pub const CEILING: Span = Span::from_millis(200);
/// One cut: the shortest Opus frame, cross-faded.
pub const CUT_SAMPLES: u64 = 120;

const STEP: Span = Span::from_micros(2_500);
const TOLERANCE: Span = Span::from_micros(3_000);
/// The first window is short, so that a bad start is mended at once; each next one is twice as long.
const FIRST_WINDOW: Span = Span::from_millis(125);
const WINDOW: Span = Span::from_millis(500);
const QUIET: Span = Span::from_millis(10_000);
const FAR_OFF: Span = Span::from_millis(60);

/// What to do about the delay, asked once a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Decision {
    /// Nothing.
    Keep,
    /// Cut [`CUT_SAMPLES`] out.
    Cut,
    /// So much too much that cutting would take long: leave this packet out.
    Skip,
}

/// Watches slack, decides about delay.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Depth {
    target: Span,
    least: Span,
    least_before: Option<Span>,
    window: Span,
    window_ends: Option<Instant>,
    quiet_until: Instant,
}

impl Default for Depth {
    fn default() -> Self {
        Self::new()
    }
}

impl Depth {
    /// At the floor, with nothing observed.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            target: FLOOR,
            least: CEILING,
            least_before: None,
            window: FIRST_WINDOW,
            window_ends: None,
            quiet_until: Instant::ZERO,
        }
    }

    /// The delay aimed at.
    #[must_use]
    pub const fn target(&self) -> Span {
        self.target
    }

    /// The least slack of late, observed for half a second to a second (less at the start). `None` before.
    #[must_use]
    pub fn depth(&self) -> Option<Span> {
        self.least_before.map(|before| before.min(self.least))
    }

    /// A new stream begins: what was observed says nothing about it. The target stays, for the network is
    /// the same.
    pub fn restart(&mut self) {
        self.window = FIRST_WINDOW;
        self.window_ends = None;
        self.least_before = None;
        self.least = CEILING;
    }

    /// A packet came `missing` too late; that much delay was added.
    pub fn late(&mut self, now: Instant, missing: Span) {
        self.target = self.target.plus(missing).min(CEILING);
        self.quiet_until = now.plus(QUIET);
        self.restart();
    }

    /// A packet is about to be played after it waited for `slack`.
    pub fn observe(&mut self, now: Instant, slack: Span) -> Decision {
        if now >= self.quiet_until {
            self.target = self.target.minus(STEP).max(FLOOR);
            self.quiet_until = now.plus(QUIET);
        }
        self.least = self.least.min(slack);
        match self.window_ends {
            None => self.window_ends = Some(now.plus(self.window)),
            Some(end) if now >= end => {
                self.least_before = Some(self.least);
                self.least = slack;
                self.window = self.window.plus(self.window).min(WINDOW);
                self.window_ends = Some(now.plus(self.window));
            }
            Some(_) => {}
        }
        let excess = self.depth().unwrap_or(Span::ZERO).minus(self.target);
        if excess > FAR_OFF {
            Decision::Skip
        } else if excess > TOLERANCE {
            Decision::Cut
        } else {
            Decision::Keep
        }
    }

    /// `removed` was taken out of the delay.
    pub fn shortened(&mut self, removed: Span) {
        self.least = self.least.minus(removed);
        self.least_before = self.least_before.map(|before| before.minus(removed));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plays 20 ms packets whose slack is `slack` for `seconds`, obeying; returns the slack at the end.
    fn play(depth: &mut Depth, now: &mut Instant, mut slack: Span, seconds: u64) -> Span {
        for _ in 0..seconds * 50 {
            let cut = match depth.observe(*now, slack) {
                Decision::Keep => Span::ZERO,
                Decision::Cut => Span::from_samples(CUT_SAMPLES),
                Decision::Skip => Span::from_millis(20),
            };
            depth.shortened(cut);
            slack = slack.minus(cut);
            *now = now.plus(Span::from_millis(20));
        }
        slack
    }

    #[test]
    fn delay_that_nobody_needs_is_gone_in_three_seconds() {
        for excess in [5, 50, 150, 1500] {
            let (mut depth, mut now) = (Depth::new(), Instant::ZERO);
            let slack = play(&mut depth, &mut now, FLOOR.plus(Span::from_millis(excess)), 3);
            assert!(slack <= FLOOR.plus(TOLERANCE), "{excess} ms too much became {slack:?}");
            assert!(slack >= FLOOR.minus(STEP), "{excess} ms too much was cut to {slack:?}");
        }
    }

    #[test]
    fn a_late_packet_raises_the_target_and_quiet_brings_it_back() {
        let (mut depth, mut now) = (Depth::new(), Instant::ZERO);
        depth.late(now, Span::from_millis(10));
        assert_eq!(depth.target(), FLOOR.plus(Span::from_millis(10)));
        depth.late(now, Span::from_millis(5_000));
        assert_eq!(depth.target(), CEILING);
        let mut slack = CEILING;
        for _ in 0..80 {
            slack = play(&mut depth, &mut now, slack, 10);
        }
        assert_eq!(depth.target(), FLOOR);
        assert!(slack <= FLOOR.plus(TOLERANCE));
    }

    #[test]
    fn one_early_packet_among_punctual_ones_changes_nothing() {
        let (mut depth, mut now) = (Depth::new(), Instant::ZERO);
        for n in 0..500 {
            let slack = if n % 20 == 0 { FLOOR } else { FLOOR.plus(Span::from_millis(40)) };
            assert_eq!(depth.observe(now, slack), Decision::Keep);
            now = now.plus(Span::from_millis(20));
        }
    }
}
