//! What of the hub changes while it runs: what is coded, and with what workers, by wish or by need.

use super::{Client, Hub};
use crate::configuration::{Change, Live};
use soundpost_core::config::{Change as StreamChange, Direction, Stream, Tuning};
use soundpost_core::redundancy;
use soundpost_core::wire::Role;

impl Hub {
    /// Tells the encoder what loss to expect, if that is another than before.
    pub(super) fn prepare_encoder(&self) {
        let stream = self.settings.borrow().stream;
        let percent = self.needed(&stream);
        if percent != stream.tuning.expected_loss_percent {
            tracing::info!("capture: the encoder is prepared for {percent} % of loss");
            let (asked, _) = self.capture.borrow().generations();
            self.code(stream, asked);
        }
    }

    /// The loss that the encoder of this stream is to expect.
    fn needed(&self, stream: &Stream) -> u8 {
        let clients = self.roster.clients.borrow();
        let needs = clients.values().filter(|client| client.role == Role::Listener).map(Client::need);
        redundancy::in_band(stream, redundancy::shared(needs))
    }

    /// Codes this from now on.
    fn code(&self, stream: Stream, generation: u32) {
        let tuning = Tuning { expected_loss_percent: self.needed(&stream), ..stream.tuning };
        let mut settings = self.settings.borrow_mut();
        settings.stream = Stream { tuning, ..stream };
        self.capture.borrow_mut().wish(settings.stream, settings.capture_gain, generation);
    }

    /// How often what is wished changed.
    pub(crate) fn generation(&self) -> u32 {
        self.generation.get()
    }

    /// Does what is wished from now on, as far as it can be done without a restart of the daemon. Returns the number of
    /// this change, and what of the captured stream changes.
    pub(in super::super) fn adopt(&self, live: Live) -> (u32, StreamChange) {
        let generation = self.generation.get().wrapping_add(1);
        self.generation.set(generation);
        let effective = live.effective();
        let changes = self.live.borrow().effective().diff(effective);
        let quality = self.governor.borrow_mut().wish(effective.values());
        let stream = effective.values().stream_at(quality);
        let before = {
            let mut settings = self.settings.borrow_mut();
            let before = settings.stream;
            settings.follow(effective, quality);
            before
        };
        self.code(stream, generation);
        let settings = self.settings.borrow();
        self.playback.borrow_mut().wish(settings.playback_gain, settings.playout, generation);
        let change = before.diff(settings.stream);
        drop(settings);
        *self.live.borrow_mut() = live;
        for change in changes {
            if let Change::Device(direction) = change {
                self.replace_worker(direction);
            }
        }
        (generation, change)
    }

    /// A fresh worker goes on with the settings as they are now. One that was given up is tried again.
    fn replace_worker(&self, direction: Direction) {
        let books = &self.books[direction as usize];
        if books.gave_up() { books.start() } else { books.replace() }
    }

    /// Looks at what was measured, and uses another preset if that asks for it.
    pub(in super::super) fn govern(&self) {
        let late = self.capture.borrow().report().work.late;
        let turns = self.capture.borrow().turns();
        let decision = self.governor.borrow_mut().look(&self.roster, turns, late);
        let Some(decision) = decision else { return };
        let stream = self.live.borrow().effective().values().stream_at(decision.quality);
        self.settings.borrow_mut().quality = decision.quality;
        let (asked, _) = self.capture.borrow().generations();
        self.code(stream, asked);
    }
}
