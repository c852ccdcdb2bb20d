//! The promise of the lamp, in virtual time: whatever happens to switch, commands and device, nothing that was
//! captured while the lamp was dark ever leaves.

use heapless::spsc::{Consumer, Producer, Queue};
use soundpost_core::board::{
    AmpGate, LiveLamp, Microphone, MicrophoneGuard, MuteSwitch, Muted, Polarity, View, effective_mute,
};
use soundpost_core::capacity::{COMMAND_RING_LEN, HANDOVER_RING_LEN};
use soundpost_core::codec::{Decode, Input};
use soundpost_core::config::{BOARD, Content, Direction, FrameLen, Quality, Stream};
use soundpost_core::cycle::{CaptureLinks, CaptureRig};
use soundpost_core::engine::capture::{Capture, Command};
use soundpost_core::latest::{Latest, Reader};
use soundpost_core::meter::CaptureReport;
use soundpost_core::pool::{Pool, Shared};
use soundpost_core::port::{PcmError, PcmIn, Read};
use soundpost_core::recovery::Step;
use soundpost_core::time::{Instant, Span};
use soundpost_core::wire::Frame;
use soundpost_sim::{MarkerDecoder, MarkerEncoder, PinBroken, RecorderPin, ScriptedPin, VirtualClock, marker};
use soundpost_tests::proc::Program;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

const SLOTS: usize = 8;
const PERIOD: u32 = 128;
/// What the device holds at most before it says that it ran over.
const HELD_MAX: u64 = 32 * PERIOD as u64;
const SOON: Duration = Duration::from_secs(20);

/// The next number of a sequence that looks like chance and is the same each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        // Knuth's MMIX generator; the upper half is the better one.
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// The moment at which the sample with that number is captured, and its number at a moment.
fn moment(n: u64) -> Instant {
    Instant::ZERO.plus(Span::from_samples(n))
}

/// A microphone that can be unplugged. What was captured waits in it, as in a real one, until it is read.
struct Unpluggable {
    clock: VirtualClock,
    plugged: Rc<Cell<bool>>,
    next: u64,
}

impl Unpluggable {
    fn open(clock: &VirtualClock, plugged: &Rc<Cell<bool>>) -> Self {
        let next = clock.time().since(Instant::ZERO).as_samples();
        Self { clock: clock.clone(), plugged: Rc::clone(plugged), next }
    }
}

impl PcmIn for Unpluggable {
    fn channels(&self) -> usize {
        1
    }

    fn period(&self) -> usize {
        PERIOD as usize
    }

    fn read(&mut self, into: &mut [i16]) -> Result<Read, PcmError> {
        if !self.plugged.get() {
            return Err(PcmError::Gone(19));
        }
        let end = self.next + u64::from(PERIOD);
        self.clock.advance_to(moment(end));
        let now = self.clock.time().since(Instant::ZERO).as_samples();
        if now - self.next > HELD_MAX {
            self.next = now;
            return Err(PcmError::Xrun);
        }
        into.iter_mut().zip(self.next..end).for_each(|(value, n)| *value = marker(n));
        self.next = end;
        Ok(Read { samples: PERIOD, pending: (now - end) as u32 })
    }

    fn recover(&mut self, _step: Step) -> Result<(), PcmError> {
        Ok(())
    }
}

/// What the I/O side sees of capture: state, ring of commands, reports.
struct Mic<'a> {
    open: Rc<Cell<bool>>,
    commands: Producer<'a, Command>,
    sent: u32,
    reports: Reader<'a, CaptureReport>,
}

impl Microphone for Mic<'_> {
    fn look(&mut self) -> View {
        let report = self.reports.read();
        View { muted: Muted(report.is_muted), waiting: self.sent.wrapping_sub(report.commands), open: self.open.get() }
    }

    fn send(&mut self, Muted(muted): Muted) -> bool {
        let sent = self.commands.enqueue(Command::Mute(muted)).is_ok();
        self.sent += u32::from(sent);
        sent
    }
}

/// Who sees to lamp and mute: the real guard, or one of the wrong ones that the judge has to catch.
trait Keeper {
    fn step(&mut self, wanted: Muted, mic: &mut Mic<'_>);
}

impl Keeper for MicrophoneGuard<RecorderPin> {
    fn step(&mut self, wanted: Muted, mic: &mut Mic<'_>) {
        // A lamp that fails is part of the game.
        let _ = Self::step(self, wanted, mic);
    }
}

/// Does the obvious: sends the command and shows what it sent.
struct Obvious(LiveLamp<RecorderPin>, Muted);

impl Keeper for Obvious {
    fn step(&mut self, wanted: Muted, mic: &mut Mic<'_>) {
        if self.1 != wanted && mic.send(wanted) {
            self.1 = wanted;
        }
        let _ = self.0.set(!self.1.0 && mic.look().open);
    }
}

/// Shows what capture says: right about the past.
struct Follower(LiveLamp<RecorderPin>, Muted);

impl Keeper for Follower {
    fn step(&mut self, wanted: Muted, mic: &mut Mic<'_>) {
        if self.1 != wanted && mic.send(wanted) {
            self.1 = wanted;
        }
        let view = mic.look();
        let _ = self.0.set(view.open && !view.muted.0);
    }
}

/// What the judge has against a run.
#[derive(Debug, Default)]
struct Verdict {
    /// Live with a dark lamp, or handed over although muted.
    live_in_the_dark: u32,
    /// Samples in packets that were captured while the lamp was dark.
    leaked: u64,
    /// Lit although nothing was live and everything had settled, or dark although live.
    out_of_step: u32,
    /// Times the switch was overruled.
    overruled: u32,
    packets: u64,
    /// Times that it was settled and live, and settled and dark.
    settled: (u32, u32),
}

impl Verdict {
    fn is_clean(&self) -> bool {
        self.live_in_the_dark == 0 && self.leaked == 0 && self.out_of_step == 0 && self.overruled == 0
    }
}

struct World<'a, 'p, K> {
    clock: VirtualClock,
    rig: CaptureRig<'a, 'p, Unpluggable, VirtualClock, MarkerEncoder, SLOTS>,
    packets: Consumer<'a, Shared<'p, Frame, SLOTS>>,
    mic: Mic<'a>,
    keeper: K,
    lamp: RecorderPin,
    switch: MuteSwitch<ScriptedPin>,
    contact: ScriptedPin,
    remote: Muted,
    plugged: Rc<Cell<bool>>,
    verdict: Verdict,
}

impl<K: Keeper> World<'_, '_, K> {
    /// One turn of the audio thread, which opens a lost device again when it is plugged in.
    fn turn(&mut self) {
        if !self.mic.open.get() {
            if !self.plugged.get() {
                return;
            }
            self.rig.replace_device(Unpluggable::open(&self.clock, &self.plugged));
            self.mic.open.set(true);
        }
        if self.rig.turn().is_err() {
            self.mic.open.set(false);
        }
        while let Some(packet) = self.packets.dequeue() {
            self.verdict.packets += 1;
            self.verdict.leaked += packet.with(|frame| leaked(frame, &self.lamp));
        }
    }

    /// One look of the I/O thread at everything.
    fn tend(&mut self) {
        let _ = self.switch.sample(self.clock.time());
        self.keeper.step(self.wanted(), &mut self.mic);
    }

    fn wanted(&self) -> Muted {
        effective_mute(Some(self.switch.muted()), self.remote)
    }

    fn is_live(&self) -> bool {
        self.mic.open.get() && !self.rig.engine().report().is_muted
    }

    fn happen(&mut self, dice: &mut Dice) {
        match dice.roll(20) {
            0..8 => self.turn(),
            8..12 => self.tend(),
            12 => self.contact.set([Some(false), Some(false), Some(false), Some(true), None][dice.roll(5) as usize]),
            13 => self.remote = Muted(dice.roll(3) == 0),
            14 => self.plugged.set(dice.roll(3) > 0),
            15 => self.clock.advance(Span::from_millis(dice.roll(120))),
            16 => self.lamp.set_broken(dice.roll(3) == 0),
            17 => self.settle(),
            _ => self.clock.advance(Span::from_micros(dice.roll(3_000))),
        }
    }

    /// Lets both threads go on until nothing moves any more.
    fn settle(&mut self) {
        for _ in 0..60 {
            self.turn();
            self.tend();
            self.clock.advance(Span::from_millis(1));
        }
        let (live, lit) = (self.is_live(), self.lamp.is_high());
        let counted = if live { &mut self.verdict.settled.0 } else { &mut self.verdict.settled.1 };
        *counted += 1;
        // A lamp whose pin is broken keeps what it shows, and then nothing may be live.
        let broken = self.lamp_is_broken();
        let right =
            if broken { !live || lit } else { live == lit && live == (self.mic.open.get() && !self.wanted().0) };
        self.verdict.out_of_step += u32::from(!right);
        self.verdict.overruled += u32::from(live && self.switch.muted().0);
    }

    fn lamp_is_broken(&self) -> bool {
        use embedded_hal::digital::OutputPin;
        let mut pin = self.lamp.clone();
        let level = pin.is_high();
        pin.set_state(level.into()) == Err(PinBroken)
    }

    fn judge(&mut self) {
        self.verdict.live_in_the_dark += u32::from(self.is_live() && !self.lamp.is_high());
    }
}

/// Samples of a packet that were captured while the lamp was dark.
fn leaked(frame: &Frame, lamp: &RecorderPin) -> u64 {
    let mut pcm = vec![0; 2880];
    let samples = MarkerDecoder::default().decode(Input::Packet(frame.payload()), &mut pcm).expect("a marker packet");
    let first = frame.header.captured.since(Instant::ZERO).as_samples();
    let heard = pcm[..samples].iter().zip(first..).filter(|(value, _)| **value != 0);
    heard.filter(|(_, n)| !lamp.was_high(moment(*n))).count() as u64
}

/// Lives through `events` events with a keeper that `hire` makes of a lamp.
fn live_through<K: Keeper>(seed: u64, events: u32, hire: impl FnOnce(LiveLamp<RecorderPin>) -> K) -> Verdict {
    let mut dice = Dice(seed);
    let clock = VirtualClock::default();
    let frame = FrameLen::ALL[dice.roll(6) as usize];
    let stream: Stream = Quality::Medium.stream(Direction::Capture, Content::Voice).with_frame(frame);
    let pool: Pool<Frame, SLOTS> = Pool::new(Frame::EMPTY);
    let engine = Capture::new(MarkerEncoder::default(), stream).muted();
    let mut commands = Queue::<Command, COMMAND_RING_LEN>::new();
    let mut packets = Queue::<_, HANDOVER_RING_LEN>::new();
    let mut reports = Latest::new(*engine.report());
    let (command_in, commands) = commands.split();
    let (packet_in, packets) = packets.split();
    let (publisher, reader) = reports.split();
    let (plugged, open) = (Rc::new(Cell::new(true)), Rc::new(Cell::new(true)));
    let device = Unpluggable::open(&clock, &plugged);
    let links = CaptureLinks { pool: &pool, commands, packets: packet_in, reports: publisher };
    let (lamp, contact) = (RecorderPin::new(clock.clone()), ScriptedPin::default());
    let mut world = World {
        rig: CaptureRig::new(device, clock.clone(), engine, links),
        packets,
        mic: Mic { open, commands: command_in, sent: 0, reports: reader },
        keeper: hire(LiveLamp::new(lamp.clone(), Polarity::ActiveHigh).expect("a pin that works")),
        switch: MuteSwitch::new(contact.clone(), Polarity::ActiveHigh),
        remote: Muted(false),
        verdict: Verdict::default(),
        clock,
        lamp,
        contact,
        plugged,
    };
    for _ in 0..events {
        world.happen(&mut dice);
        world.judge();
    }
    world.verdict
}

#[test]
fn nothing_leaves_that_was_captured_while_the_lamp_was_dark() {
    let (mut packets, mut settled) = (0, (0, 0));
    for seed in 0..400 {
        let verdict = live_through(seed, 1_500, |lamp| MicrophoneGuard::new(Some(lamp)));
        assert!(verdict.is_clean(), "seed {seed}: {verdict:?}");
        packets += verdict.packets;
        settled = (settled.0 + verdict.settled.0, settled.1 + verdict.settled.1);
    }
    // It must have been live now and then, or the promise is cheap.
    assert!(packets > 10_000 && settled.0 > 1_000 && settled.1 > 1_000, "{packets} packets, settled {settled:?}");
}

#[test]
fn the_judge_catches_a_keeper_that_does_the_obvious() {
    let caught = |seed: &u64| !live_through(*seed, 1_500, |lamp| Obvious(lamp, Muted(true))).is_clean();
    assert!((0..20).filter(caught).count() > 10);
}

#[test]
fn the_judge_catches_a_lamp_that_only_follows() {
    let leaks = |seed: &u64| live_through(*seed, 1_500, |lamp| Follower(lamp, Muted(true))).leaked > 0;
    assert!((0..20).filter(leaks).count() > 10);
}

#[test]
fn the_amplifier_has_power_only_around_sound_and_never_while_it_changes() {
    let clock = VirtualClock::default();
    let pin = RecorderPin::new(clock.clone());
    let sound = RefCell::new(Vec::new());
    let mut gate = AmpGate::new(pin.clone(), clock.clone(), Polarity::ActiveHigh).expect("a pin that works");
    for _ in 0..3 {
        clock.advance(Span::from_millis(500));
        gate.open(|| sound.borrow_mut().push((clock.time(), true))).expect("a pin that works");
        clock.advance(Span::from_millis(500));
        gate.close(|| sound.borrow_mut().push((clock.time(), false))).expect("a pin that works");
    }
    let (edges, sound) = (pin.edges(), sound.into_inner());
    assert_eq!((edges.len(), sound.len()), (6, 6));
    for (edge, (at, on)) in edges.iter().zip(&sound) {
        assert_eq!(edge.high, *on);
        if *on {
            assert!(at.since(edge.at) >= BOARD.amp_settle && edge.at < *at);
        } else {
            assert!(edge.at.since(*at) >= BOARD.amp_drain && *at < edge.at);
        }
    }
}

/// Starts a daemon with `args` and says what it had against them.
fn refused(args: &[&str], code: i32) -> String {
    let dir = tempfile::tempdir().expect("a directory");
    let socket = dir.path().join("soundpost.sock").display().to_string();
    let always = ["run", "--capture", "tone:", "--playback", "null", "--socket", &socket];
    let mut program = Program::spawn(&[&always, args].concat(), &[]);
    assert_eq!(program.wait_exit(SOON).code(), Some(code), "{}", program.output());
    program.output()
}

#[test]
fn a_pin_that_is_none_is_refused_with_what_would_be_one() {
    for option in ["--lamp", "--mute-switch", "--amp"] {
        let said = refused(&[option, "17"], 2);
        assert!(said.contains("such as gpiochip0/17"), "{said}");
    }
}

#[test]
fn a_daemon_whose_lamp_is_missing_does_not_open_the_microphone() {
    let said = refused(&["--lamp", "gpiochip4000000/1"], 1);
    assert!(said.contains("there is no /dev/gpiochip4000000") && !said.contains("is ready"), "{said}");
    let said = refused(&["--lamp", "gpiochip4000000/1", "--amp", "gpiochip4000000/1"], 1);
    assert!(said.contains("is named twice"), "{said}");
}
