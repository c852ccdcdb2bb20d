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
use soundpost_core::config::{Direction, Gain, Stream, Tuning};
use soundpost_core::engine::capture::{Command, Last, Resume};
use soundpost_core::meter::{CaptureReport, Recoveries};
use soundpost_core::pool::PoolStats;
use soundpost_core::wire::Frame;
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
            successor: false,
        }
    }

    /// A worker was started: tells it what to begin with. It begins muted if somebody guards the microphone, who
    /// unmutes it in good order.
    pub(super) fn on_began(&mut self, link: Rc<Link>, settings: &Settings, expected_loss: u8, wish: Muted) {
        let muted = settings.wiring.begins_muted().0 || wish.0;
        let tuning = Tuning { expected_loss_percent: expected_loss, ..settings.stream.tuning };
        let resume = Resume { report: self.report, last: self.last };
        let task = Task::Capture {
            stream: Stream { tuning, ..settings.stream },
            muted,
            resume: self.successor.then(|| Box::new(resume)),
        };
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
        if settings.capture_gain != Gain::NONE {
            self.command(Command::Gain(settings.capture_gain));
        }
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
        let waiting = self.sent.wrapping_sub(self.report.commands) as usize;
        let Some(link) = self.link.as_ref().filter(|_| waiting < COMMAND_RING) else { return false };
        let sent = link.say(&Order::Command(command)) == Sent::Yes;
        self.sent = self.sent.wrapping_add(u32::from(sent));
        sent
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
