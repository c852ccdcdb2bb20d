//! The daemon's end of playback: what its worker said last, and how packets and silence reach it.

use super::Settings;
use super::status::PaceStatus;
use crate::direction::{Reason, Rejected, State};
use crate::pcm::{Choice, Opened, Options};
use crate::rt::Grants;
use crate::socket::Sent;
use crate::worker::sandbox::Sandbox;
use crate::worker::{Begin, Link, Order, PlaybackWord, Ready, Task, link};
use soundpost_core::board::Muted;
use soundpost_core::config::{Channels, Direction, Gain, Playout};
use soundpost_core::engine::playback::Command;
use soundpost_core::meter::{PlaybackReport, Recoveries};
use soundpost_core::pool::PoolStats;
use soundpost_core::wire::{Flags, Header};
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};

/// See the module.
#[derive(Debug)]
pub(super) struct PlaybackEnd {
    link: Option<Rc<Link>>,
    pub(super) opened: Opened,
    pub(super) state: State,
    pub(super) pool: PoolStats,
    pub(super) grants: Grants,
    pub(super) sandbox: Sandbox,
    pub(super) pace: PaceStatus,
    /// Packets that its workers had no room for.
    pub(super) rejected: u64,
    pub(super) hush: Hush,
    report: PlaybackReport,
    past: Recoveries,
    past_rejected: u64,
    turns: u64,
    /// The next packet is the first that this worker gets.
    fresh: bool,
    successor: bool,
    /// What is wished: how loud, delay or gaps, and the wish's number.
    wish: (Gain, Playout, u32),
    /// The number of the latest wish that is carried out.
    applied: u32,
    /// The devices that the worker before was told.
    devices: Option<Choice>,
}

impl PlaybackEnd {
    pub(super) fn new() -> Self {
        Self {
            link: None,
            opened: Opened::nothing(Options::of(Direction::Playback, Channels::Stereo)),
            state: State::Lost(Reason::new("its worker is being started")),
            pool: PoolStats::default(),
            grants: Grants::default(),
            sandbox: Sandbox::default(),
            pace: PaceStatus::default(),
            rejected: 0,
            hush: Hush::default(),
            report: PlaybackReport::default(),
            past: Recoveries::NONE,
            past_rejected: 0,
            turns: 0,
            fresh: true,
            successor: false,
            wish: (Gain::NONE, Playout::default(), 0),
            applied: 0,
            devices: None,
        }
    }

    /// A worker was started: tells it what to begin with.
    pub(super) fn on_began(&mut self, link: Rc<Link>, settings: &Settings, muted: Muted) {
        let hush = self.hush.attach(link.mouthpiece().ok());
        let counts = self.successor.then(|| Box::new(self.report));
        let is_same = self.devices.as_ref() == Some(&settings.playback);
        let channels = if self.successor && is_same { self.opened.channels } else { Channels::Stereo };
        self.devices = Some(settings.playback.clone());
        (self.wish.0, self.wish.1) = (settings.playback_gain, settings.playout);
        let task = Task::Playback { channels, playout: settings.playout, hush, muted: muted.0, counts };
        let begin = Begin {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            devices: settings.playback.to_string(),
            volume: settings.playback.volume().cloned(),
            task,
        };
        if link.say(&Order::Begin(Box::new(begin))) != Sent::Yes {
            tracing::error!("playback worker: it cannot be told what to do");
        }
        self.past = self.past.plus(std::mem::take(&mut self.report.recoveries));
        self.past_rejected = self.rejected;
        (self.turns, self.fresh) = (0, true);
        if settings.playback_gain != Gain::NONE {
            let _ = link.say(&Order::Playback(Command::Gain(settings.playback_gain)));
        }
        self.link = Some(link);
    }

    /// It plays.
    pub(super) fn on_ready(&mut self, ready: Ready) {
        let Ready { opened, grants, sandbox } = ready;
        (self.opened, self.grants, self.sandbox) = (opened, grants, sandbox);
        self.state = State::Running;
        self.successor = true;
    }

    /// It says how it gets on; whether it does.
    pub(super) fn on_word(&mut self, word: PlaybackWord) -> bool {
        let PlaybackWord { report, state, turns, pool, rejected, pace, opened } = word;
        let progress = turns != self.turns || matches!(state, State::Lost(_) | State::Ended);
        (self.report, self.state, self.turns, self.pool, self.pace) = (report, state, turns, pool, pace);
        self.rejected = self.past_rejected + rejected;
        if let Some(opened) = opened {
            self.opened = *opened;
        }
        let (gain, profile, generation) = self.wish;
        let (gain, profile) = (self.report.gain != gain, self.report.profile != profile);
        if gain || profile {
            self.settle(gain, profile);
        } else {
            self.applied = generation;
        }
        progress
    }

    /// How loud it is from now on, with what it is played, and the number of that wish.
    pub(super) fn wish(&mut self, gain: Gain, profile: Playout, generation: u32) {
        self.wish = (gain, profile, generation);
        self.settle(self.report.gain != gain, self.report.profile != profile);
    }

    /// Says what is not done yet. With no room for it, the next report brings the next attempt.
    fn settle(&self, gain: bool, profile: bool) {
        let Some(link) = &self.link else { return };
        let gain = gain.then_some(Command::Gain(self.wish.0));
        let profile = profile.then_some(Command::Profile(self.wish.1));
        for command in [gain, profile].into_iter().flatten() {
            let _ = link.say(&Order::Playback(command));
        }
    }

    /// The numbers of the latest wish, and of the one that is carried out.
    pub(super) const fn generations(&self) -> (u32, u32) {
        (self.wish.2, self.applied)
    }

    /// Mutes it or not, unless it is so already.
    pub(super) fn mute(&self, muted: Muted) {
        if let Some(link) = self.link.as_ref().filter(|_| self.report.is_muted != muted.0) {
            // With no room for it, the next report brings the next attempt.
            let _ = link.say(&Order::Playback(Command::Mute(muted.0)));
        }
    }

    /// It is gone.
    pub(super) fn on_ended(&mut self, how: &str) {
        self.link = None;
        self.hush.attach(None);
        self.report.playing = false;
        self.state = State::Lost(Reason::new(&format!("its worker is gone: {how}")));
    }

    /// What playback has done so far, all workers taken together.
    pub(super) fn report(&self) -> PlaybackReport {
        PlaybackReport { recoveries: self.past.plus(self.report.recoveries), ..self.report }
    }

    /// Hands a packet to the worker; `first` marks the first one of a stream.
    ///
    /// # Errors
    /// [`Rejected`]; the packet is lost then.
    pub(super) fn push(&mut self, header: Header, payload: &[u8], first: bool) -> Result<(), Rejected> {
        let link = self.link.as_ref().ok_or(Rejected::Scarce)?;
        // A successor knows nothing of what came before: for it, the stream begins.
        let flags = if first || self.fresh { header.flags.with(Flags::START) } else { header.flags };
        match link.send_packet(&Header { flags, ..header }, payload) {
            Sent::Yes => {
                self.fresh = false;
                Ok(())
            }
            Sent::Full | Sent::Gone => Err(Rejected::Scarce),
        }
    }
}

/// Silences playback, from the amplifier's thread: the worker follows within a period.
#[derive(Clone, Debug, Default)]
pub(super) struct Hush(Arc<Mutex<Line>>);

#[derive(Debug, Default)]
struct Line {
    silent: bool,
    /// The worker could not be told yet.
    owed: bool,
    mouth: Option<OwnedFd>,
}

impl Line {
    fn tell(&mut self) {
        let told = self.mouth.as_ref().map(|mouth| link::say(mouth.as_fd(), &Order::Hush(self.silent)));
        self.owed = told == Some(Sent::Full);
    }
}

impl Hush {
    /// Sets it.
    pub(super) fn set(&self, silent: bool) {
        let mut line = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        line.silent = silent;
        line.tell();
    }

    /// Says again what there was no room for.
    pub(super) fn settle(&self) {
        let mut line = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if line.owed {
            line.tell();
        }
    }

    /// Another worker listens, or none; whether it is to be silent.
    fn attach(&self, mouth: Option<OwnedFd>) -> bool {
        let mut line = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (line.mouth, line.owed) = (mouth, false);
        line.silent
    }
}
