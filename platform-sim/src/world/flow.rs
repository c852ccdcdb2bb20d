//! What follows from what: a card is due, so a rig is turned; a rig made packets, so they are handed on; a process is
//! gone, so nothing of it is left.

use super::clients::{self, Bytes, Delivery};
use super::worker::{Demand, Step};
use super::{Codec, Event, Way, World};
use crate::judge::ledger::Ledger;
use crate::judge::privacy;
use soundpost_core::board::Muted;
use soundpost_core::config::BOARD;
use soundpost_core::port::PcmError;
use soundpost_core::time::{Instant, Span};
use soundpost_core::wire;

/// The least that time moves on.
const TICK: Span = Span::from_micros(1);

impl World<'_, '_, '_> {
    // Who captures.

    pub(super) fn turn_sender(&mut self, way: Way) {
        let now = self.now();
        let line = self.line(way);
        // Who hangs is not turned any more, until it is gone.
        if line.works(way == Way::Capture) {
            let turned = line.sender.turn();
            self.after_capture(way, turned.map(|turn| (turn.packets, turn.commands)));
            self.judge_sender(way, now);
            self.await_sender(way);
        }
    }

    fn after_capture(&mut self, way: Way, turned: Result<(u32, u32), PcmError>) {
        match turned {
            Ok((packets, commands)) => {
                let late = self.line(way).sender.host.borrow_mut().io_late();
                if packets > 0 && !std::mem::replace(&mut self.line(way).called, true) {
                    self.announce(self.now().plus(late), Event::HandOn(way));
                }
                if commands > 0 && way == Way::Capture {
                    self.guard();
                }
            }
            Err(why) => {
                let who = self.line(way).sender.who;
                self.log(|| format!("{who}: lost: {why:?}"));
                if way == Way::Capture {
                    self.guard();
                }
            }
        }
    }

    /// Announces the sender's next turn, or the next attempt to open its card.
    pub(super) fn await_sender(&mut self, way: Way) {
        let sender = &mut self.line(way).sender;
        let epoch = sender.epoch;
        if sender.life.is_none() {
            return;
        }
        if sender.lost {
            let at = sender.retry_at().max(self.now().plus(TICK));
            return self.announce(at, Event::ReopenSender(way, epoch));
        }
        let late = sender.host.borrow_mut().audio_late();
        let due = sender.due().plus(late);
        self.line(way).care.woke(late);
        self.announce(due.max(self.now().plus(TICK)), Event::Capture(way, epoch));
    }

    pub(super) fn reopen_sender(&mut self, way: Way) {
        let line = self.line(way);
        let who = line.sender.who;
        if line.sender.lost && line.works(way == Way::Capture) && line.sender.reopen() {
            line.ledger.reopened += 1;
            if line.sender.engine().is_some_and(|engine| engine.report().captured_samples == 0) {
                // Nothing is lost of what nobody had begun to capture.
                line.ledger = Ledger::new(line.sender.card.borrow().truth());
            }
            self.log(|| format!("{who}: open again"));
            if way == Way::Capture {
                self.guard();
            }
        }
        self.await_sender(way);
    }

    fn judge_sender(&mut self, way: Way, now: Instant) {
        let court = self.court.clone();
        let line = self.line(way);
        let waiting = line.sender.waiting();
        if let Some(engine) = line.sender.engine() {
            line.ledger.check(&court, now, engine, line.sender.card.borrow().truth(), waiting);
        }
        if way == Way::Capture {
            let live = line.sender.engine().is_some_and(|engine| !engine.report().is_muted) && !line.sender.lost;
            privacy::check_lamp(&court, now, live, &self.panel.lamp);
        }
    }

    // From the ring to the network.

    pub(super) fn hand_on(&mut self, way: Way) {
        let now = self.now();
        self.line(way).called = false;
        while let Some(packet) = self.line(way).sender.next_packet() {
            let (plain, rich) = packet.with(|frame| {
                let line = self.line(way);
                line.ledger.packets += 1;
                line.ledger.bytes += frame.payload().len() as u64;
                if way == Way::Capture {
                    let (court, mic) = (&self.court, self.capture.sender.card.borrow());
                    privacy::check(court, now, frame.payload(), &mic, &self.panel.lamp);
                }
                let line = self.line(way);
                line.talk.write(frame, &line.sender.stream)
            });
            drop(packet);
            match way {
                Way::Capture => self.serve(&plain, &rich),
                Way::Playback => self.talk(&rich),
            }
        }
    }

    /// The listener with ears is the one who reports, and so the one who gets copies.
    fn serve(&mut self, plain: &Bytes, rich: &Bytes) {
        let now = self.now();
        let modelled = self.modelled(Way::Capture);
        for index in 0..self.clients.len() {
            let deliveries = self.clients[index].offer(now, if index == 0 { rich } else { plain }, modelled);
            self.deliver(index, deliveries);
        }
    }

    pub(super) fn deliver(&mut self, index: usize, deliveries: Vec<Delivery>) {
        if let Some(took) = self.clients[index].link.took().filter(|_| index == 0 && !deliveries.is_empty()) {
            self.capture.record.network(took);
        }
        for (at, bytes) in deliveries {
            self.announce(at, Event::ToClient(index, bytes));
        }
    }

    /// Coded bytes in a frame, where packets do not have them.
    fn modelled(&mut self, way: Way) -> Option<u32> {
        (self.ground.codec == Codec::Marker).then(|| self.line(way).sender.stream.frame_bytes())
    }

    fn talk(&mut self, packet: &Bytes) {
        if !self.talks {
            return;
        }
        let now = self.now();
        let modelled = self.modelled(Way::Playback);
        for _ in 0..self.copies {
            let deliveries = clients::through(&mut self.talker_link, now, packet, modelled);
            if let Some(took) = self.talker_link.took().filter(|_| !deliveries.is_empty()) {
                self.playback.record.network(took);
            }
            for (at, bytes) in deliveries {
                self.announce(at, Event::ToDevice(bytes));
            }
        }
    }

    pub(super) fn reach_client(&mut self, index: usize, bytes: &Bytes) {
        let client = &mut self.clients[index];
        client.under_way -= 1;
        client.served.got += 1;
        if client.has_ears {
            self.receive(Way::Capture, bytes);
        }
    }

    pub(super) fn reach_device(&mut self, bytes: Bytes) {
        if self.socket.is_empty() {
            let late = self.device_host.borrow_mut().io_late();
            self.announce(self.now().plus(late), Event::ReadSocket);
        }
        self.socket.push_back(bytes);
    }

    pub(super) fn read_socket(&mut self) {
        while let Some(bytes) = self.socket.pop_front() {
            self.receive(Way::Playback, &bytes);
        }
    }

    /// A packet is read from a socket.
    pub(super) fn receive(&mut self, way: Way, bytes: &Bytes) {
        match wire::parse(bytes) {
            Ok((header, payload, [])) => {
                self.count(way, &header);
                self.line(way).receiver.push(header, payload);
            }
            Ok(_) | Err(_) => {
                let words = format!("a packet of {} bytes could not be read back", bytes.len());
                self.court.accuse("wire", self.now(), words);
            }
        }
    }

    // Who plays.

    pub(super) fn turn_receiver(&mut self, way: Way) {
        let line = self.line(way);
        if line.works(way == Way::Playback) {
            let turned = line.receiver.turn();
            let mut card = line.receiver.card.borrow_mut();
            if let Some(age) = card.ear().age() {
                line.record.hear(age);
            }
            drop(card);
            if let Err(why) = turned {
                let who = self.line(way).receiver.who;
                self.log(|| format!("{who}: lost: {why:?}"));
            }
            self.await_receiver(way);
        }
    }

    pub(super) fn await_receiver(&mut self, way: Way) {
        let receiver = &mut self.line(way).receiver;
        let epoch = receiver.epoch;
        if receiver.life.is_none() {
            return;
        }
        if receiver.lost {
            let at = receiver.retry_at().max(self.now().plus(TICK));
            return self.announce(at, Event::ReopenReceiver(way, epoch));
        }
        let due = receiver.due().plus(receiver.host.borrow_mut().audio_late());
        self.announce(due.max(self.now().plus(TICK)), Event::Play(way, epoch));
    }

    pub(super) fn reopen_receiver(&mut self, way: Way) {
        let line = self.line(way);
        let who = line.receiver.who;
        if line.receiver.lost && line.works(way == Way::Playback) && line.receiver.reopen() {
            self.log(|| format!("{who}: open again"));
        }
        self.await_receiver(way);
    }

    // Pins.

    pub(super) fn look(&mut self) {
        let now = self.now();
        // A pin that cannot be read mutes; there is nothing more to be done about it here.
        let _ = self.panel.switch.sample(now);
        self.guard();
        let again = now.plus(BOARD.look_pause);
        let next = self.panel.switch.settles_at().map_or(again, |at| at.min(again));
        self.announce(next.max(now.plus(TICK)), Event::Look);
    }

    pub(super) fn guard(&mut self) {
        let wanted = self.panel.switch.muted();
        // A lamp that fails mutes; the guard sees to that.
        let _ = self.panel.guard.step(wanted, &mut self.capture.sender);
    }

    // Processes.

    pub(super) fn step_worker(&mut self, way: Way, step: Step) {
        let now = self.now();
        let line = self.line(way);
        let turns = if way == Way::Capture { line.sender.turns } else { line.receiver.turns };
        // Who waits for a lost device gets on, too.
        let lost = if way == Way::Capture { line.sender.lost } else { line.receiver.lost };
        let turns = if lost { now.as_micros() } else { turns };
        let demands = line.worker.step(now, step, turns);
        self.meet(way, demands);
    }

    pub(super) fn meet(&mut self, way: Way, demands: Vec<Demand>) {
        for demand in demands {
            match demand {
                Demand::At(at, step) => self.announce(at, Event::Worker(way, step)),
                Demand::Begin => self.begin_process(way),
                Demand::End => self.end_process(way),
            }
        }
    }

    fn begin_process(&mut self, way: Way) {
        self.log(|| format!("{way:?} worker: ready"));
        match way {
            Way::Capture => {
                self.begin_sender(way);
                self.guard();
            }
            Way::Playback => self.begin_receiver(way),
        }
    }

    pub(super) fn begin_sender(&mut self, way: Way) {
        let ground = self.ground;
        let line = self.line(way);
        // Mute is not a state that a start could lose: everything begins muted, and is unmuted by who may.
        line.sender.begin(ground, Muted(way == Way::Capture));
        line.ledger = Ledger::new(line.sender.card.borrow().truth());
        line.receiver.card.borrow_mut().ear().pardon();
        self.await_sender(way);
    }

    pub(super) fn begin_receiver(&mut self, way: Way) {
        let ground = self.ground;
        self.line(way).receiver.begin(ground);
        self.await_receiver(way);
    }

    fn end_process(&mut self, way: Way) {
        self.log(|| format!("{way:?} worker: gone"));
        match way {
            Way::Capture => {
                self.capture.sender.end();
                self.guard();
            }
            Way::Playback => self.playback.receiver.end(),
        }
    }
}
