//! Every switch position in time, and every order of lamp and amplifier.

use super::*;
use crate::config::BOARD;
use crate::time::{Instant, Span};
use embedded_hal::delay::DelayNs;
use embedded_hal::digital::{ErrorKind, ErrorType, InputPin, OutputPin};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::string::String;
use std::vec::Vec;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Broken;

impl embedded_hal::digital::Error for Broken {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Other
    }
}

/// A pin and a delay that write down what is done with them.
#[derive(Clone, Debug, Default)]
struct Bench {
    log: Rc<RefCell<String>>,
    broken: Rc<Cell<bool>>,
    level: Rc<Cell<Option<bool>>>,
}

impl Bench {
    fn said(&self) -> String {
        self.log.take()
    }

    fn say(&self, word: &str) {
        self.log.borrow_mut().push_str(word);
    }
}

impl ErrorType for Bench {
    type Error = Broken;
}

impl OutputPin for Bench {
    fn set_low(&mut self) -> Result<(), Broken> {
        self.say(if self.broken.get() { "!" } else { "low " });
        if self.broken.get() { Err(Broken) } else { Ok(()) }
    }

    fn set_high(&mut self) -> Result<(), Broken> {
        self.say(if self.broken.get() { "!" } else { "high " });
        if self.broken.get() { Err(Broken) } else { Ok(()) }
    }
}

impl InputPin for Bench {
    fn is_high(&mut self) -> Result<bool, Broken> {
        self.level.get().ok_or(Broken)
    }

    fn is_low(&mut self) -> Result<bool, Broken> {
        self.is_high().map(|high| !high)
    }
}

impl DelayNs for Bench {
    fn delay_ns(&mut self, _ns: u32) {
        self.say("wait ");
    }

    fn delay_us(&mut self, us: u32) {
        self.say(if u64::from(us) == BOARD.amp_settle.as_micros() { "settle " } else { "drain " });
    }
}

#[test]
fn a_lamp_is_dark_written_on_change_and_dark_when_it_is_gone() {
    for (polarity, lit, dark) in [(Polarity::ActiveHigh, "high ", "low "), (Polarity::ActiveLow, "low ", "high ")] {
        let bench = Bench::default();
        let mut lamp = LiveLamp::new(bench.clone(), polarity).unwrap();
        assert_eq!((bench.said().as_str(), lamp.shown()), (dark, Some(false)));
        lamp.set(false).unwrap();
        lamp.set(true).unwrap();
        lamp.set(true).unwrap();
        assert_eq!((bench.said().as_str(), lamp.shown()), (lit, Some(true)));
        drop(lamp);
        assert_eq!(bench.said(), dark);
    }
}

#[test]
fn a_lamp_that_fails_says_which_way_and_is_tried_again() {
    let bench = Bench::default();
    let mut lamp = LiveLamp::new(bench.clone(), Polarity::ActiveHigh).unwrap();
    bench.broken.set(true);
    assert_eq!(lamp.set(true), Err(LampFault::NotLit(Broken)));
    assert_eq!(lamp.shown(), None);
    assert_eq!(lamp.set(false), Err(LampFault::NotDark(Broken)), "nobody knows what it shows");
    bench.broken.set(false);
    assert_eq!(lamp.set(true), Ok(()));
    assert_eq!(bench.said(), "low !!high ");
    bench.broken.set(true);
    assert!(LiveLamp::new(bench.clone(), Polarity::ActiveHigh).is_err());
}

/// What the switch must say after each sample, by looking at all of them.
fn expected(samples: &[(Instant, Option<bool>)]) -> Vec<bool> {
    let muted = |end: usize| {
        let live = samples[..=end].iter().rev().take_while(|(_, level)| *level == Some(false));
        let since = live.last().map(|(at, _)| *at);
        since.is_none_or(|since| samples[end].0.since(since) < BOARD.switch_stable)
    };
    // Once believed, it is believed until it says otherwise, which is the same: the run only gets longer.
    (0..samples.len()).map(muted).collect()
}

#[test]
fn a_switch_does_right_on_every_eight_samples_at_every_pace() {
    let (levels, paces) = ([Some(true), Some(false), None], [1_u64, 4_000, 7_000, 10_000, 19_999, 20_000, 50_000]);
    for code in 0..3_usize.pow(8) {
        for pace in paces {
            let level = |n: u32| levels[code / 3_usize.pow(n) % 3];
            let at = |n: u32| Instant::from_micros(1_000_000 + pace * u64::from(n));
            let samples: Vec<_> = (0..8).map(|n| (at(n), level(n))).collect();
            let bench = Bench::default();
            let mut switch = MuteSwitch::new(bench.clone(), Polarity::ActiveHigh);
            let mut before = switch.muted();
            assert_eq!(before, Muted(true), "in doubt, muted");
            for ((now, level), expected) in samples.iter().zip(expected(&samples)) {
                bench.level.set(*level);
                let said = switch.sample(*now);
                assert_eq!(switch.muted(), Muted(expected), "{samples:?} at {now:?}");
                let change = (switch.muted() != before).then(|| switch.muted());
                assert_eq!(said, level.map(|_| change).ok_or(Broken));
                assert_eq!(switch.settles_at().is_some(), expected && *level == Some(false));
                before = switch.muted();
            }
        }
    }
}

#[test]
fn a_switch_is_believed_at_the_moment_it_names() {
    let bench = Bench::default();
    let mut switch = MuteSwitch::new(bench.clone(), Polarity::ActiveLow);
    bench.level.set(Some(true));
    assert_eq!(switch.sample(Instant::from_micros(500)), Ok(None));
    let settled = switch.settles_at().unwrap();
    assert_eq!(switch.sample(settled.minus(Span::from_micros(1))), Ok(None));
    assert_eq!(switch.sample(settled), Ok(Some(Muted(false))));
    bench.level.set(Some(false));
    assert_eq!(switch.sample(settled), Ok(Some(Muted(true))), "at once");
}

#[test]
fn either_can_mute_and_neither_can_undo_the_other() {
    for remote in [false, true] {
        assert_eq!(effective_mute(Some(Muted(true)), Muted(remote)), Muted(true));
        assert_eq!(effective_mute(Some(Muted(false)), Muted(remote)), Muted(remote));
        assert_eq!(effective_mute(None, Muted(remote)), Muted(remote));
    }
}

#[test]
fn an_amplifier_is_switched_only_while_the_stream_is_silent() {
    let bench = Bench::default();
    let mut gate = AmpGate::new(bench.clone(), bench.clone(), Polarity::ActiveHigh).unwrap();
    gate.open(|| bench.say("unmute ")).unwrap();
    gate.open(|| bench.say("unmute ")).unwrap();
    gate.close(|| bench.say("mute ")).unwrap();
    gate.close(|| bench.say("mute ")).unwrap();
    assert_eq!(bench.said(), "low high settle unmute unmute mute drain low mute ");
    gate.open(|| ()).unwrap();
    assert!(gate.is_on());
    drop(gate);
    assert_eq!(bench.said(), "high settle low ");
}

#[test]
fn an_amplifier_that_cannot_be_powered_gets_no_sound() {
    let bench = Bench::default();
    let mut gate = AmpGate::new(bench.clone(), bench.clone(), Polarity::ActiveHigh).unwrap();
    bench.broken.set(true);
    assert_eq!(gate.open(|| bench.say("unmute ")), Err(Broken));
    assert_eq!((bench.said().as_str(), gate.is_on()), ("low !", false));
}

#[test]
fn a_pause_between_two_talkers_does_not_switch_the_amplifier() {
    let (mut hold, start) = (AmpHold::default(), Instant::from_micros(7));
    assert!(!hold.wanted(start, false));
    assert!(hold.wanted(start, true));
    let end = start.plus(BOARD.amp_hold);
    assert!(hold.wanted(end.minus(Span::from_micros(1)), false));
    assert!(!hold.wanted(end, false));
    assert!(!hold.wanted(start, false), "over is over");
}

/// A microphone that takes its commands when it is told to.
struct Toy {
    view: View,
    queue: Vec<bool>,
    room: bool,
}

impl Toy {
    fn take(&mut self) {
        for muted in self.queue.drain(..) {
            self.view.muted = Muted(muted);
        }
    }
}

impl Microphone for Toy {
    fn look(&mut self) -> View {
        View { waiting: self.queue.len() as u32, ..self.view }
    }

    fn send(&mut self, muted: Muted) -> bool {
        if self.room {
            self.queue.push(muted.0);
        }
        self.room
    }
}

fn toy() -> (Bench, MicrophoneGuard<Bench>, Toy) {
    let bench = Bench::default();
    let lamp = LiveLamp::new(bench.clone(), Polarity::ActiveHigh).unwrap();
    bench.said();
    let view = View { open: true, muted: Muted(true), waiting: 0 };
    (bench, MicrophoneGuard::new(Some(lamp)), Toy { view, queue: Vec::new(), room: true })
}

#[test]
fn the_lamp_leads_into_sound_and_follows_out_of_it() {
    let (bench, mut guard, mut toy) = toy();
    guard.step(Muted(false), &mut toy).unwrap();
    assert_eq!((bench.said().as_str(), &toy.queue[..]), ("high ", &[false][..]));
    guard.step(Muted(true), &mut toy).unwrap();
    assert_eq!((bench.said().as_str(), &toy.queue[..]), ("", &[false, true][..]), "not taken yet: still lit");
    toy.take();
    guard.step(Muted(true), &mut toy).unwrap();
    assert_eq!(bench.said(), "low ");
}

#[test]
fn a_ring_that_is_full_leaves_the_lamp_lit_until_the_mute_got_through() {
    let (bench, mut guard, mut toy) = toy();
    guard.step(Muted(false), &mut toy).unwrap();
    toy.take();
    (toy.room, toy.view.open) = (false, false);
    guard.step(Muted(true), &mut toy).unwrap();
    assert_eq!((bench.said().as_str(), guard.told()), ("high ", Muted(false)));
    toy.room = true;
    guard.step(Muted(true), &mut toy).unwrap();
    assert_eq!((bench.said().as_str(), guard.told()), ("low ", Muted(true)), "the device is closed: dark at once");
}

#[test]
fn a_microphone_whose_lamp_fails_stays_muted_until_it_works() {
    let (bench, mut guard, mut toy) = toy();
    bench.broken.set(true);
    for _ in 0..3 {
        assert_eq!(guard.step(Muted(false), &mut toy), Err(LampFault::NotLit(Broken)));
        assert!(toy.queue.is_empty());
    }
    assert_eq!(guard.lamp(), Some(None));
    bench.broken.set(false);
    guard.step(Muted(false), &mut toy).unwrap();
    assert_eq!(toy.queue, [false]);
}
