//! Whether an audio thread still gets anywhere.
//!
//! A driver may keep a call for ever, and a device that wakes its thread on time may yet move no sound. A [`Watch`] is shown
//! from time to time how far the thread has come ([`Beat`]) and says, by the time alone, whether it is stuck: in one call
//! for longer than that call may take, or without sound although it runs. What is done about it is somebody else's
//! business.

use crate::config::TIMING;
use crate::time::{Instant, Span};

/// What a thread may be in the middle of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Call {
    /// None: it works, or has not begun.
    #[default]
    None,
    /// It waits for the next attempt at a device that is lost, or it is over: it may take its time.
    Rest,
    /// It waits for the device to want sound, or to have some, and reads it.
    Read,
    /// The same for playback.
    Wait,
    /// It asks how much the device holds.
    Queued,
    /// It hands sound over.
    Write,
    /// It gets the device going again.
    Recover,
    /// It lets go of the device.
    Close,
    /// It opens a device.
    Open,
}

impl Call {
    /// All there are.
    pub const ALL: [Self; 9] = [
        Self::None,
        Self::Rest,
        Self::Read,
        Self::Wait,
        Self::Queued,
        Self::Write,
        Self::Recover,
        Self::Close,
        Self::Open,
    ];

    /// In a word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "no call of the device",
            Self::Rest => "rest",
            Self::Read => "read",
            Self::Wait => "wait",
            Self::Queued => "the question how much is queued",
            Self::Write => "write",
            Self::Recover => "recovery",
            Self::Close => "close",
            Self::Open => "open",
        }
    }

    /// How long it may take; `None` for as long as it likes.
    #[must_use]
    pub const fn patience(self) -> Option<Span> {
        match self {
            Self::Rest => None,
            Self::Close | Self::Open => Some(PATIENCE.open),
            _ => Some(PATIENCE.call),
        }
    }
}

/// How patient a watch is, and how often it wants to be shown something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Patience {
    /// Every call of a device that is open. Waiting has a deadline of its own, and this is three of them.
    pub call: Span,
    /// Opening and closing: a USB card that comes up may need seconds.
    pub open: Span,
    /// A device that is said to run may move nothing for so long.
    pub sound: Span,
    /// From one look to the next.
    pub look: Span,
}

/// The patience of every watch.
pub const PATIENCE: Patience = Patience {
    call: Span::from_millis(1_500),
    open: Span::from_millis(10_000),
    sound: Span::from_millis(3_000),
    look: Span::from_millis(500),
};

const _: () = assert!(PATIENCE.call.as_micros() >= 2 * TIMING.device_deadline.as_micros(), "waiting is no hanging");
const _: () = assert!(PATIENCE.sound.as_micros() > PATIENCE.call.as_micros());

/// How far a thread has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Beat {
    /// Calls that it began or ended; wraps. Whatever it does counts.
    pub steps: u32,
    /// Periods that were read or written; wraps.
    pub moved: u32,
    /// What it is in the middle of.
    pub call: Call,
    /// Whether its device is said to run.
    pub runs: bool,
}

/// What a thread does instead of getting on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Stuck {
    /// It is in one call since then.
    In(Call, Instant),
    /// It is busy, its device is said to run, and no sound has moved since then.
    Idle(Instant),
}

impl Stuck {
    /// Since when.
    #[must_use]
    pub const fn since(self) -> Instant {
        match self {
            Self::In(_, since) | Self::Idle(since) => since,
        }
    }
}

/// See the module.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Watch {
    beat: Beat,
    /// When a step was first seen missing, and sound.
    stepped: Instant,
    moved: Instant,
    seen: Instant,
}

impl Watch {
    /// A watch over a thread that begins at `now`.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self { beat: Beat::default(), stepped: now, moved: now, seen: now }
    }

    /// The thread has come so far by `now`. A clock that runs backwards stands still.
    pub fn handle(&mut self, now: Instant, beat: Beat) {
        let now = now.max(self.seen);
        let before = core::mem::replace(&mut self.beat, beat);
        // While nobody looked (the whole machine slept, say) the thread may have had no turn either.
        let unwatched = Span::from_micros(now.since(self.next_deadline()).as_micros());
        self.stepped = self.stepped.plus(unwatched);
        self.moved = self.moved.plus(unwatched);
        self.seen = now;
        if (before.steps, before.call) != (beat.steps, beat.call) {
            self.stepped = now;
        }
        if before.moved != beat.moved || before.runs != beat.runs {
            self.moved = now;
        }
    }

    /// Whether it is stuck, as of the latest [`handle`](Self::handle).
    #[must_use]
    pub fn observe(&self) -> Option<Stuck> {
        let over = |since: Instant, patience| self.seen.since(since) >= patience;
        match self.beat.call.patience() {
            Some(patience) if over(self.stepped, patience) => Some(Stuck::In(self.beat.call, self.stepped)),
            _ if self.beat.runs && over(self.moved, PATIENCE.sound) => Some(Stuck::Idle(self.moved)),
            _ => None,
        }
    }

    /// When it wants to be shown the thread again.
    #[must_use]
    pub fn next_deadline(&self) -> Instant {
        self.seen.plus(PATIENCE.look)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const START: Instant = Instant::from_micros(5_000_000);

    fn at(ms: u64) -> Instant {
        START.plus(Span::from_millis(ms))
    }

    fn beat(steps: u32, moved: u32, call: Call) -> Beat {
        Beat { steps, moved, call, runs: true }
    }

    #[test]
    fn one_call_for_too_long_is_told_with_its_name_and_its_begin_and_is_over_when_it_returns() {
        let mut watch = Watch::new(START);
        watch.handle(at(100), beat(7, 3, Call::Write));
        for ms in (200..1_600).step_by(100) {
            watch.handle(at(ms), beat(7, 3, Call::Write));
            assert_eq!(watch.observe(), None, "{ms}");
        }
        watch.handle(at(1_600), beat(7, 3, Call::Write));
        assert_eq!(watch.observe(), Some(Stuck::In(Call::Write, at(100))));
        watch.handle(at(2_100), beat(7, 3, Call::Write));
        assert_eq!(watch.observe().map(Stuck::since), Some(at(100)), "it stays that one");
        watch.handle(at(9_500), beat(8, 4, Call::None));
        assert_eq!(watch.observe(), None);
    }

    #[test]
    fn a_thread_that_turns_and_moves_nothing_is_told_only_while_its_device_is_said_to_run() {
        let mut watch = Watch::new(START);
        for n in 0..40 {
            watch.handle(at(u64::from(n) * 100), Beat { runs: false, ..beat(n, 9, Call::Read) });
            assert_eq!(watch.observe(), None, "a clock that stands still is no hanging thread");
        }
        for n in 40..70 {
            watch.handle(at(u64::from(n) * 100), beat(n, 9, Call::Read));
            assert_eq!(watch.observe(), None, "{n}");
        }
        watch.handle(at(7_000), beat(70, 9, Call::Read));
        assert_eq!(watch.observe(), Some(Stuck::Idle(at(4_000))));
        watch.handle(at(7_100), beat(71, 10, Call::Read));
        assert_eq!(watch.observe(), None);
    }

    #[test]
    fn rest_is_no_hanging_and_opening_may_take_longer() {
        let mut watch = Watch::new(START);
        watch.handle(at(0), Beat { runs: false, ..beat(1, 1, Call::Rest) });
        watch.handle(at(3_600_000), Beat { runs: false, ..beat(1, 1, Call::Rest) });
        assert_eq!(watch.observe(), None);
        for ms in (3_600_000..3_610_000).step_by(500) {
            watch.handle(at(ms), Beat { runs: false, ..beat(2, 1, Call::Open) });
            assert_eq!(watch.observe(), None);
        }
        watch.handle(at(3_610_000), Beat { runs: false, ..beat(2, 1, Call::Open) });
        assert_eq!(watch.observe(), Some(Stuck::In(Call::Open, at(3_600_000))));
    }

    #[test]
    fn time_in_which_nobody_looked_is_nobodys_fault() {
        let mut watch = Watch::new(START);
        watch.handle(at(100), beat(7, 3, Call::Wait));
        watch.handle(at(60_000), beat(7, 3, Call::Wait));
        assert_eq!(watch.observe(), None, "the machine was asleep");
        watch.handle(at(60_500), beat(7, 3, Call::Wait));
        watch.handle(at(61_000), beat(7, 3, Call::Wait));
        assert!(matches!(watch.observe(), Some(Stuck::In(Call::Wait, _))));
    }

    proptest! {
        /// Looked at as often as it asks for, a thread that gets on is never accused, and one that does not is, in time.
        #[test]
        fn who_gets_on_is_left_alone_and_who_does_not_is_found_in_time(
            pauses in prop::collection::vec((1_u64..600, 0_usize..9), 1..60), hangs in 2_usize..9,
        ) {
            let (mut watch, mut now, mut n) = (Watch::new(START), START, 0);
            for (pause, call) in pauses {
                now = now.plus(Span::from_millis(pause));
                n += 1;
                watch.handle(now, beat(n, n, Call::ALL[call]));
                prop_assert_eq!(watch.observe(), None);
            }
            let (call, began) = (Call::ALL[hangs], now);
            let patience = call.patience().unwrap();
            let mut stuck = Beat { runs: false, ..beat(n + 1, n, call) };
            watch.handle(now, stuck);
            stuck.runs = false;
            while watch.observe().is_none() {
                now = watch.next_deadline();
                watch.handle(now, stuck);
                prop_assert!(now.since(began) <= Span::from_micros(patience.as_micros() + PATIENCE.look.as_micros()));
            }
            prop_assert_eq!(watch.observe(), Some(Stuck::In(call, began)));
        }
    }
}
