//! Follows both workers: what they say goes to the hub, and the hub hears when one begins or ends.

use super::hub::Hub;
use super::status;
use crate::direction::State;
use crate::ward::{News, Start, Ward};
use crate::worker::Word;
use crate::worker::link::{Received, read};
use crate::worker::process::{Launch, name};
use soundpost_core::capacity::LINK_MESSAGE_MAX;
use soundpost_core::config::Direction;
use soundpost_core::supervise::Policy;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::rc::Rc;

/// A ward and where its news goes.
pub(super) struct Keeper {
    hub: Rc<Hub>,
    direction: Direction,
    ward: Ward,
    room: Box<[u8]>,
    shown: State,
}

/// What happened to a worker.
enum Life {
    /// Nothing that matters here.
    On,
    /// It is set up.
    Ready,
    /// It ended.
    Ended(String),
    /// No more of it.
    Over,
}

/// A ward for a direction's worker.
pub(super) fn ward(direction: Direction, launch: Launch) -> Ward {
    // Any number will do, if only two daemons and two wards do not have the same.
    let seed = RandomState::new().build_hasher().finish() as u32;
    let start: Start = Box::new(move |_| launch.start(direction));
    Ward::new(name(direction), Policy::DEFAULT, seed, start)
}

impl Keeper {
    pub(super) fn new(hub: &Rc<Hub>, direction: Direction, ward: Ward) -> Self {
        let room = vec![0; LINK_MESSAGE_MAX].into_boxed_slice();
        Self { hub: Rc::clone(hub), direction, ward, room, shown: State::Running }
    }

    pub(super) fn direction(&self) -> Direction {
        self.direction
    }

    /// Starts the worker for the first time.
    ///
    /// # Errors
    /// Why it cannot begin: then nobody tries again.
    pub(super) async fn begin(&mut self) -> Result<(), String> {
        self.ward.books().start();
        loop {
            match self.step().await {
                Life::On => {}
                Life::Ready => return Ok(()),
                Life::Ended(why) => return Err(why),
                Life::Over => return Err("it was stopped".to_owned()),
            }
        }
    }

    /// Follows the worker and its successors until the daemon ends.
    pub(super) async fn follow(mut self) {
        loop {
            match self.step().await {
                Life::On | Life::Ready => self.tell_change(),
                // The ward has said so.
                Life::Ended(_) => self.shown = self.hub.state(self.direction),
                Life::Over if self.hub.is_stopping() => return,
                Life::Over => self.ward.changed().await,
            }
        }
    }

    async fn step(&mut self) -> Life {
        match self.ward.next(&mut self.room).await {
            News::Began(link) => {
                self.hub.on_worker_began(self.direction, link);
                Life::On
            }
            News::Message(length) => self.on_message(length),
            News::Ended(how) => {
                self.hub.on_worker_ended(self.direction, &how);
                Life::Ended(how)
            }
            News::Over => Life::Over,
        }
    }

    fn on_message(&mut self, length: usize) -> Life {
        let json = match read(self.room.get(..length).unwrap_or_default()) {
            Received::Packet(header, payload) if self.direction == Direction::Capture => {
                self.hub.hand_on(header, payload);
                return Life::On;
            }
            Received::Said(json) => json,
            Received::Packet(..) | Received::Nonsense(_) | Received::Closed => {
                tracing::warn!("{} worker: it says what makes no sense", name(self.direction));
                return Life::On;
            }
        };
        match serde_json::from_slice(json) {
            Ok(word) => self.on_word(word),
            Err(error) => {
                tracing::warn!("{} worker: it says what makes no sense: {error}", name(self.direction));
                Life::On
            }
        }
    }

    fn on_word(&mut self, word: Word) -> Life {
        match word {
            Word::Ready(ready) => {
                self.ward.ready();
                self.hub.on_worker_ready(self.direction, *ready);
                return Life::Ready;
            }
            Word::Failed(why) => self.ward.failed(why),
            word => {
                if self.hub.on_worker_word(word) {
                    self.ward.beat();
                }
            }
        }
        Life::On
    }

    /// Logs what the device does, if that is news.
    fn tell_change(&mut self) {
        let state = self.hub.state(self.direction);
        if state == self.shown {
            return;
        }
        let direction = name(self.direction);
        match &state {
            State::Running => tracing::info!("{direction}: sound moves again"),
            State::Stopped => tracing::warn!("{direction}: the device's clock stands still; listening"),
            State::Opened(why) => tracing::debug!("{direction}: the device is open again after: {why}"),
            State::Lost(why) => tracing::warn!("{direction}: the device is lost: {why}; trying to get it back"),
            State::Stuck(stuck) => tracing::error!("{direction}: the audio thread is stuck {}", status::stuck(*stuck)),
            State::Ended => tracing::info!("{direction}: the recording is over"),
        }
        self.shown = state;
    }
}
