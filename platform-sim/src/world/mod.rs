//! The world: a device, its network, its people and its day, in virtual time.
//!
//! Everything that happens is an event in one queue, ordered by time and announcement. Cards announce when they are
//! due, links when packets arrive, processes when they are ready or gone, the scenario when a fault begins or ends.
//! After every event the judges look. One seed decides about all chance, so a run can be repeated to the last sample.

mod build;
mod care;
mod clients;
mod ends;
mod faults;
mod finish;
mod flow;
mod repeats;
mod worker;

pub use ends::Codec;

use crate::VirtualClock;
use crate::judge::Court;
use crate::judge::ledger::Ledger;
use crate::model::host::Host;
use crate::model::link::Link;
use crate::outcome::Outcome;
use crate::pins::{RecorderPin, ScriptedPin};
use crate::queue::Queue;
use crate::record::{Glance, Record};
use crate::scenario::{Part, Scenario};
use care::Care;
use clients::{Bytes, Client};
use ends::{Ground, Pools, Receiver, Rings, Sender};
use repeats::Talk;
use soundpost_core::board::{MicrophoneGuard, MuteSwitch};
use soundpost_core::time::{Instant, Span};
use soundpost_core::wire::Report;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use worker::{Step, Worker};

/// How a world is run.
#[derive(Default)]
pub struct Options<'a> {
    /// Which codec.
    pub codec: Codec,
    /// Gets a line for everything of note.
    pub log: Option<&'a mut dyn FnMut(&str)>,
    /// Is told how far it is, from 0 to 1.
    pub progress: Option<&'a mut dyn FnMut(f64)>,
    /// Keep what the first listener and the device's speaker play.
    pub keep_sound: bool,
}

impl std::fmt::Debug for Options<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options").field("codec", &self.codec).finish_non_exhaustive()
    }
}

/// What was played, if it was kept.
#[derive(Clone, Debug, Default)]
pub struct Sounds {
    /// To the first listener.
    pub capture: Vec<i16>,
    /// On the device.
    pub playback: Vec<i16>,
}

/// Runs a scenario with a seed.
///
/// # Errors
/// In words, if a file that it needs cannot be used.
pub fn run<'a>(scenario: &'a Scenario, seed: u64, options: Options<'a>) -> Result<(Outcome, Sounds), String> {
    let begun = std::time::Instant::now();
    // In this order: what holds a slot goes before the pools.
    let pools = Pools::default();
    let rings = Rings::default();
    let ground = Ground { pools: &pools, rings: &rings, codec: options.codec };
    let mut world = World::new(scenario, seed, ground, options)?;
    world.run();
    let (mut outcome, sounds) = world.finish();
    outcome.wall_s = begun.elapsed().as_secs_f64();
    Ok((outcome, sounds))
}

/// Which way the sound goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// From the device to those who listen.
    Capture,
    /// From the one who talks to the device.
    Playback,
}

/// Something that happens.
#[derive(Clone, Debug)]
enum Event {
    /// The sender's card is due.
    Capture(Way, u32),
    /// The receiver's card is due.
    Play(Way, u32),
    /// Packets left the sender's audio thread.
    HandOn(Way),
    /// A packet reaches a listener.
    ToClient(usize, Bytes),
    /// A packet reaches the device's socket.
    ToDevice(Bytes),
    /// The daemon reads its socket.
    ReadSocket,
    /// A lost device is tried again.
    ReopenSender(Way, u32),
    ReopenReceiver(Way, u32),
    /// Somebody looks at the pins.
    Look,
    Worker(Way, Step),
    Begin(usize),
    End(usize),
    /// From now on nothing is wrong any more.
    Heal,
    /// A sender is told what arrived.
    Report(Way, Report),
    /// A sender's governor looks at what was measured.
    Care(Way),
    /// A point of the record.
    Point,
}

/// One direction: who captures, who plays, and the books about it.
struct Line<'r, 'p> {
    sender: Sender<'r, 'p>,
    receiver: Receiver<'r, 'p>,
    ledger: Ledger,
    record: Record,
    talk: Talk,
    care: Care,
    /// The process at the device's end.
    worker: Worker,
    /// Packets wait to be handed on.
    called: bool,
}

/// The device's pins.
struct Panel {
    switch: MuteSwitch<ScriptedPin>,
    switch_pin: ScriptedPin,
    guard: MicrophoneGuard<RecorderPin>,
    lamp: RecorderPin,
}

struct World<'a, 'r, 'p> {
    scenario: &'a Scenario,
    seed: u64,
    options: Options<'a>,
    ground: Ground<'r, 'p>,
    clock: VirtualClock,
    queue: Queue<Event>,
    court: Court,
    device_host: Rc<RefCell<Host>>,
    capture: Line<'r, 'p>,
    playback: Line<'r, 'p>,
    clients: Vec<Client>,
    talker_link: Link,
    /// What came from the talker and was not read yet.
    socket: VecDeque<Bytes>,
    /// Somebody talks.
    talks: bool,
    /// How often the talker sends each packet.
    copies: u32,
    panel: Panel,
    healed: Option<Instant>,
    point: Span,
    events: u64,
    hash: u64,
}

/// More events at one moment are no world but a wheel that spins.
const AT_ONCE_MAX: u32 = 100_000;

/// The world begins a second after the clock does: earlier moments must be sayable.
pub(crate) const DAWN: Instant = Instant::from_micros(1_000_000);

impl<'r, 'p> World<'_, 'r, 'p> {
    fn run(&mut self) {
        let end = DAWN.plus(self.scenario.duration.0);
        self.dawn();
        let mut at_once = 0_u32;
        while let Some((at, event)) = self.queue.pop() {
            if at >= end || !self.court.is_content() {
                break;
            }
            at_once = if at > self.now() { 0 } else { at_once + 1 };
            if at_once > AT_ONCE_MAX {
                let words = format!("{at_once} events without time going on; this one is {event:?}");
                self.court.accuse("progress", at, words);
                break;
            }
            self.clock.advance_to(at);
            self.events += 1;
            self.note(event_number(&event), at.as_micros());
            self.happen(event);
        }
        if self.court.is_content() {
            self.clock.advance_to(end);
        }
    }

    fn now(&self) -> Instant {
        self.clock.time()
    }

    fn since_dawn(&self) -> f64 {
        self.now().since(DAWN).as_micros() as f64 / 1e6
    }

    /// Adds to the trace that equal runs share.
    fn note(&mut self, what: u64, detail: u64) {
        for word in [what, detail] {
            self.hash = (self.hash.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95);
        }
    }

    fn log(&mut self, words: impl FnOnce() -> String) {
        let t = self.since_dawn();
        if let Some(log) = &mut self.options.log {
            log(&format!("{t:>12.6} s  {}", words()));
        }
    }

    fn announce(&mut self, at: Instant, event: Event) {
        self.queue.push(at.max(self.clock.time()), event);
    }

    fn line(&mut self, way: Way) -> &mut Line<'r, 'p> {
        match way {
            Way::Capture => &mut self.capture,
            Way::Playback => &mut self.playback,
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Capture(way, epoch) if epoch == self.line(way).sender.epoch => self.turn_sender(way),
            Event::Play(way, epoch) if epoch == self.line(way).receiver.epoch => self.turn_receiver(way),
            Event::ReopenSender(way, epoch) if epoch == self.line(way).sender.epoch => self.reopen_sender(way),
            Event::ReopenReceiver(way, epoch) if epoch == self.line(way).receiver.epoch => self.reopen_receiver(way),
            // Of a process, or a device, that is gone.
            Event::Capture(..) | Event::Play(..) | Event::ReopenSender(..) | Event::ReopenReceiver(..) => {}
            Event::HandOn(way) => self.hand_on(way),
            Event::ToClient(index, bytes) => self.reach_client(index, &bytes),
            Event::ToDevice(bytes) => self.reach_device(bytes),
            Event::ReadSocket => self.read_socket(),
            Event::Look => self.look(),
            Event::Worker(way, step) => self.step_worker(way, step),
            Event::Begin(index) => self.begin_fault(index),
            Event::End(index) => self.end_fault(index),
            Event::Heal => self.heal(),
            Event::Report(way, report) => self.heed(way, report),
            Event::Care(way) => self.govern(way),
            Event::Point => self.make_point(),
        }
    }

    fn make_point(&mut self) {
        let t = self.since_dawn();
        for way in [Way::Capture, Way::Playback] {
            let line = self.line(way);
            let report = line.receiver.report().unwrap_or_default();
            let mut card = line.receiver.card.borrow_mut();
            let (heard, position) = (card.ear().heard(), card.ear().position());
            let glance = Glance {
                target: report.target,
                depth: report.depth,
                queued: report.queued,
                drift: line.sender.card.borrow().ppm() - card.ppm(),
                restarts: line.worker.counts().restarts,
                up: report.playing,
                quality: line.care.governor.quality(),
            };
            drop(card);
            line.record.point(t, heard, glance);
            self.note(heard.real ^ heard.concealed.rotate_left(20), position.unwrap_or(0));
        }
        let whole = self.scenario.duration.seconds();
        if let Some(progress) = &mut self.options.progress {
            progress(t / whole);
        }
        self.announce(self.now().plus(self.point), Event::Point);
    }
}

impl Line<'_, '_> {
    /// Whether the process that holds the end in question does anything. Those that are not on the device always do.
    const fn works(&self, is_worker: bool) -> bool {
        !is_worker || self.worker.works()
    }
}

/// What kind of event it is, for the trace.
fn event_number(event: &Event) -> u64 {
    match event {
        Event::Capture(way, _) => 1 + *way as u64,
        Event::Play(way, _) => 3 + *way as u64,
        Event::HandOn(way) => 5 + *way as u64,
        Event::ToClient(index, bytes) => 1000 + *index as u64 + ((bytes.len() as u64) << 16),
        Event::ToDevice(bytes) => 7 + ((bytes.len() as u64) << 16),
        Event::ReopenSender(way, _) => 8 + *way as u64,
        Event::ReopenReceiver(way, _) => 10 + *way as u64,
        Event::Look => 12,
        Event::Worker(way, _) => 13 + *way as u64,
        Event::Begin(index) => 2000 + *index as u64,
        Event::End(index) => 3000 + *index as u64,
        Event::Heal => 15,
        Event::Point => 16,
        Event::ReadSocket => 17,
        Event::Report(way, _) => 18 + *way as u64,
        Event::Care(way) => 20 + *way as u64,
    }
}

/// Whether a part belongs to the direction of capture.
const fn is_capture(part: Part) -> bool {
    matches!(
        part,
        Part::Microphone
            | Part::ListenerCard
            | Part::ListenerLink
            | Part::CaptureWorker
            | Part::Crowd
            | Part::Switch
            | Part::Lamp
    )
}
