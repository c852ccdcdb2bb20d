//! The daemon's end of capture: what its worker said last, and how it is told something.

use super::Settings;
use crate::direction::{Reason, State};
use crate::pcm::{Opened, Options};
use crate::rt::Grants;
use crate::socket::Sent;
use crate::worker::sandbox::Sandbox;
use crate::worker::{Begin, CaptureWord, Link, Order, Ready, Task};
use soundpost_core::board::{Microphone, Muted, View};
use soundpost_core::capacity::COMMAND_RING;
use soundpost_core::codec::opus_samples;
use soundpost_core::config::{Change, Direction, Gain, Stream};
use soundpost_core::engine::capture::{Command, Last, Resume};
use soundpost_core::meter::{CaptureReport, Recoveries};
use soundpost_core::pool::PoolStats;
use soundpost_core::wire::Frame;
use std::collections::VecDeque;
use std::rc::Rc;

/// See the module.
#[derive(Debug)]
pub(super) struct CaptureEnd {
    link: Option<Rc<Link>>,
    pub(super) opened: Opened,
    pub(super) state: State,
    pub(super) pool: PoolStats,
    pub(super) grants: Grants,
    pub(super) sandbox: Sandbox,
    report: CaptureReport,
    /// What the devices of workers that are gone went through.
    past: Recoveries,
    turns: u64,
    /// Commands sent to this worker, and those that have reached its ring.
    sent: u32,
    arrived: u32,
    last: Option<Last>,
    orders: Orders,
    /// There was a worker before that was ready.
    successor: bool,
}

impl CaptureEnd {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            link: None,
            opened: Opened::nothing(Options::of(Direction::Capture, settings.stream.channels)),
            state: State::Lost(Reason::new("its worker is being started")),
            pool: PoolStats::default(),
            grants: Grants::default(),
            sandbox: Sandbox::default(),
            report: CaptureReport::default(),
            past: Recoveries::NONE,
            turns: 0,
            sent: 0,
            arrived: 0,
            last: None,
            orders: Orders::new(settings.stream),
            successor: false,
        }
    }

    /// A worker was started: tells it what to begin with. It begins muted if somebody guards the microphone, who
    /// unmutes it in good order.
    pub(super) fn on_began(&mut self, link: Rc<Link>, settings: &Settings, wish: Muted) {
        let muted = settings.wiring.begins_muted().0 || wish.0;
        let resume = Resume { report: self.report, last: self.last };
        let task = Task::Capture { stream: settings.stream, muted, resume: self.successor.then(|| Box::new(resume)) };
        let begin = Begin {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            devices: settings.capture.to_string(),
            volume: settings.capture.volume().cloned(),
            task,
        };
        if link.say(&Order::Begin(Box::new(begin))) != Sent::Yes {
            tracing::error!("capture worker: it cannot be told what to do");
        }
        self.past = self.past.plus(std::mem::take(&mut self.report.recoveries));
        self.report.commands = 0;
        self.report.is_muted = muted;
        (self.sent, self.arrived, self.turns) = (0, 0, 0);
        self.link = Some(link);
        self.orders.began(settings.stream, self.report.changes);
        self.wish(settings.stream, settings.capture_gain, self.orders.asked);
    }

    /// What is to be coded from now on, and how loud. Whoever wishes so numbers it.
    pub(super) fn wish(&mut self, stream: Stream, gain: Gain, generation: u32) {
        self.orders.wish = (stream, gain);
        self.orders.asked = generation;
        self.settle();
    }

    /// Tells the worker what it was not told yet. With no room for a command, the next report brings the next attempt.
    fn settle(&mut self) {
        let (stream, gain) = self.orders.wish;
        let change = self.orders.told.0.diff(stream);
        let sent = match change {
            Change::None => true,
            Change::Retune(tuning, frame) => self.command(Command::Retune(tuning, frame)),
            Change::Reshape(stream) => self.order(&Order::Reshape(stream)),
        };
        if sent {
            self.orders.told.0 = stream;
            self.orders.changes = self.orders.changes.wrapping_add(u32::from(change != Change::None));
        }
        if self.orders.told.1 != gain && self.command(Command::Gain(gain)) {
            self.orders.told.1 = gain;
        }
        self.orders.mark(self.sent);
    }

    /// Turns of the worker's crank.
    pub(super) const fn turns(&self) -> u64 {
        self.turns
    }

    /// The numbers of the latest wish, and of the one that is carried out.
    pub(super) const fn generations(&self) -> (u32, u32) {
        (self.orders.asked, self.orders.applied)
    }

    /// It captures.
    pub(super) fn on_ready(&mut self, ready: Ready) {
        let Ready { opened, grants, sandbox } = ready;
        (self.opened, self.grants, self.sandbox) = (opened, grants, sandbox);
        self.state = State::Running;
        self.successor = true;
    }

    /// It says how it gets on; whether it does.
    pub(super) fn on_word(&mut self, word: CaptureWord) -> bool {
        let CaptureWord { commands, report, state, turns, pool, opened } = word;
        // A device that is lost is waited for, and a recording that is over is over.
        let progress = turns != self.turns || matches!(state, State::Lost(_) | State::Ended);
        (self.arrived, self.report, self.state, self.turns, self.pool) = (commands, report, state, turns, pool);
        if let Some(opened) = opened {
            self.opened = *opened;
        }
        self.orders.heard(&self.report);
        self.settle();
        progress
    }

    /// A packet came of it.
    pub(super) fn on_packet(&mut self, frame: &Frame) {
        let samples = opus_samples(frame.parts().packet).unwrap_or(0);
        self.last = Some(Last::of(&frame.header, samples));
    }

    /// It is gone.
    pub(super) fn on_ended(&mut self, how: &str) {
        self.link = None;
        self.state = State::Lost(Reason::new(&format!("its worker is gone: {how}")));
    }

    /// What capture has done so far, all workers taken together.
    pub(super) fn report(&self) -> CaptureReport {
        CaptureReport { recoveries: self.past.plus(self.report.recoveries), ..self.report }
    }

    /// Hands a command to the worker; false if there is none, or too many commands wait.
    pub(super) fn command(&mut self, command: Command) -> bool {
        self.order(&Order::Command(command))
    }

    fn order(&mut self, order: &Order) -> bool {
        let waiting = self.sent.wrapping_sub(self.report.commands) as usize;
        let Some(link) = self.link.as_ref().filter(|_| waiting < COMMAND_RING) else { return false };
        let sent = link.say(order) == Sent::Yes;
        self.sent = self.sent.wrapping_add(u32::from(sent));
        sent
    }
}

/// What the worker is to do, what it was told, and how far it got.
#[derive(Debug)]
struct Orders {
    wish: (Stream, Gain),
    told: (Stream, Gain),
    /// The number of the wish, of the latest that all was told of, and of the latest that is carried out.
    asked: u32,
    marked: u32,
    applied: u32,
    /// What the worker's count of changes is going to be.
    changes: u32,
    /// For wishes that were told: the commands and the changes that it takes.
    marks: VecDeque<(u32, u32, u32)>,
}

impl Orders {
    const fn new(stream: Stream) -> Self {
        let told = (stream, Gain::NONE);
        Self { wish: told, told, asked: 0, marked: 0, applied: 0, changes: 0, marks: VecDeque::new() }
    }

    /// Another worker begins with this stream, when its predecessor had counted so many changes.
    fn began(&mut self, stream: Stream, changes: u32) {
        self.told = (stream, Gain::NONE);
        (self.changes, self.marked) = (changes, self.applied);
        self.marks.clear();
    }

    /// So many commands were sent.
    fn mark(&mut self, sent: u32) {
        if self.told == self.wish && self.marked != self.asked {
            self.marked = self.asked;
            // Only as many wait as there is room for commands: those before the oldest are done when it is.
            self.marks.truncate(COMMAND_RING);
            self.marks.push_back((sent, self.changes, self.asked));
        }
    }

    fn heard(&mut self, report: &CaptureReport) {
        let reached = |count: u32, mark: u32| count.wrapping_sub(mark) < u32::MAX / 2;
        while let Some((commands, changes, generation)) = self.marks.front().copied()
            && reached(report.commands, commands)
            && reached(report.changes, changes)
        {
            self.applied = generation;
            self.marks.pop_front();
        }
    }
}

impl Microphone for CaptureEnd {
    fn look(&mut self) -> View {
        if self.link.is_none() {
            // Nobody captures, and whoever will begins muted.
            return View { open: false, muted: Muted(true), waiting: 0 };
        }
        // What the worker said of its device holds only if it had all commands by then.
        let on_the_way = self.sent != self.arrived;
        let waiting = self.sent.wrapping_sub(self.report.commands);
        View { open: on_the_way || self.state.is_open(), muted: Muted(self.report.is_muted), waiting }
    }

    fn send(&mut self, Muted(muted): Muted) -> bool {
        match (&self.link, muted) {
            (None, muted) => muted,
            (Some(_), muted) => self.command(Command::Mute(muted)),
        }
    }
}
