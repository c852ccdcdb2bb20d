//! Who is connected, who talks, and who gets which packet.

use super::Settings;
use super::status::{BoardStatus, ClientStatus, Status};
use crate::board::{Amp, Panel};
use crate::direction::{CaptureSide, Captured, PlaybackSide, Rejected, State};
use crate::gpio::Edges;
use crate::rt::{Bell, Grants, now};
use crate::socket::{self, Sent};
use soundpost_core::board::Muted;
use soundpost_core::capacity::CLIENTS_MAX;
use soundpost_core::config::{BOARD, Stream, Tuning};
use soundpost_core::engine::capture::Command;
use soundpost_core::meter::AudioMetrics;
use soundpost_core::redundancy::{self, Redundancy, Tally};
use soundpost_core::time::Instant;
use soundpost_core::wire::{ErrorCode, Frame, Header, Kind, Report, Role, Welcome};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use tokio::sync::Notify;
use tokio_seqpacket::UnixSeqpacket;

/// A client that introduced itself.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) socket: Rc<UnixSeqpacket>,
    pub(super) role: Role,
    pub(super) name: String,
    pub(super) pid: Option<i32>,
    pub(super) uid: u32,
    pub(super) since: Instant,
    /// Packets sent to a listener, or taken from a talker.
    pub(super) packets: u64,
    /// Packets that this listener was too slow for, or that came too fast from this talker.
    pub(super) dropped: u64,
    /// Packets that were sent to this listener with a copy of the one before.
    pub(super) copies: u64,
    /// What this listener's reports ask for; `None` if it did not ask to send any.
    pub(super) redundancy: Option<Redundancy>,
    /// What came from this talker.
    pub(super) tally: Tally,
    /// Tells the client's task to end.
    pub(super) leave: Rc<Notify>,
}

/// Everything that the daemon's one thread shares between its tasks.
#[derive(Debug)]
pub(super) struct Hub {
    settings: Settings,
    grants: Grants,
    started: Instant,
    // Dropped in this order: the amplifier goes off while playback still makes silence for it, and the lamp goes
    // dark when nothing captures any more.
    amp: RefCell<Option<Amp>>,
    capture: RefCell<CaptureSide>,
    playback: RefCell<PlaybackSide>,
    /// The packet that was captured last, while anybody gets copies.
    before: RefCell<Option<Captured>>,
    /// The loss that the encoder was told to expect, in percent.
    expected_loss: Cell<u8>,
    panel: RefCell<Option<Panel>>,
    /// Somebody began or ceased to talk: the amplifier wants to know.
    pin_news: Notify,
    /// What listeners got.
    sent: RefCell<AudioMetrics>,
    clients: RefCell<BTreeMap<u32, Client>>,
    /// Its holders are the clients that have not introduced themselves yet, and this.
    antechamber: Rc<()>,
    next_id: Cell<u32>,
    talker: Cell<Option<u32>>,
    talker_drops: Cell<u64>,
}

impl Hub {
    pub(super) fn new(
        settings: Settings,
        capture: CaptureSide,
        playback: PlaybackSide,
        grants: Grants,
        (panel, amp): (Option<Panel>, Option<Amp>),
    ) -> Self {
        Self {
            grants,
            started: now(),
            amp: RefCell::new(amp),
            capture: RefCell::new(capture),
            playback: RefCell::new(playback),
            before: RefCell::default(),
            expected_loss: Cell::new(settings.stream.tuning.expected_loss_percent),
            settings,
            panel: RefCell::new(panel),
            pin_news: Notify::new(),
            sent: RefCell::default(),
            clients: RefCell::default(),
            antechamber: Rc::default(),
            next_id: Cell::new(1),
            talker: Cell::new(None),
            talker_drops: Cell::new(0),
        }
    }

    pub(super) fn capture_bell(&self) -> Bell {
        self.capture.borrow().bell.clone()
    }

    pub(super) fn playback_bell(&self) -> Bell {
        self.playback.borrow().bell.clone()
    }

    pub(super) fn capture_state(&self) -> State {
        self.capture.borrow().state()
    }

    pub(super) fn playback_state(&self) -> State {
        self.playback.borrow().state()
    }

    /// Keeps the clock of the playback device in step.
    pub(super) fn tend_pace(&self) {
        self.playback.borrow_mut().tend_pace();
    }

    /// Looks whether the audio threads get on.
    pub(super) fn watch_threads(&self) {
        self.capture.borrow_mut().watch();
        self.playback.borrow_mut().watch();
    }

    /// Whether there is anything on pins.
    pub(super) fn has_pins(&self) -> bool {
        self.panel.borrow().is_some() || self.amp.borrow().is_some()
    }

    /// News of the switch's edges.
    pub(super) fn switch_edges(&self) -> Option<Edges> {
        self.panel.borrow().as_ref().and_then(Panel::edges)
    }

    /// Waits until the pins have to be looked at before their time.
    pub(super) async fn pins_wanted(&self) {
        self.pin_news.notified().await;
    }

    /// Reads the switch, and sees to microphone, lamp and amplifier; returns when to do so again at the latest.
    pub(super) fn tend_pins(&self) -> Instant {
        let again = self.panel.borrow_mut().as_mut().map(Panel::read_switch);
        self.guard_microphone();
        let time = now();
        if let Some(amp) = self.amp.borrow_mut().as_mut() {
            let mut playback = self.playback.borrow_mut();
            let busy = self.talker.get().is_some() || playback.report().playing;
            amp.tend(time, busy && playback.state() == State::Running);
        }
        again.unwrap_or_else(|| time.plus(BOARD.look_pause))
    }

    /// Mutes, unmutes and lights, as far as that can be done now.
    pub(super) fn guard_microphone(&self) {
        if let Some(panel) = self.panel.borrow_mut().as_mut() {
            // No message of the protocol mutes yet: only the switch does.
            panel.guard(Muted(false), &mut self.capture.borrow_mut());
        }
    }

    /// A place for a client that has not introduced itself yet; free again when it is dropped. `None` when
    /// all are taken.
    pub(super) fn antechamber(&self) -> Option<Rc<()>> {
        (Rc::strong_count(&self.antechamber) <= CLIENTS_MAX).then(|| Rc::clone(&self.antechamber))
    }

    /// Lets a client in.
    ///
    /// # Errors
    /// The code and the words to refuse it with.
    pub(super) fn join(&self, client: Client, takeover: bool) -> Result<u32, (ErrorCode, String)> {
        if self.clients.borrow().len() >= CLIENTS_MAX {
            let text = format!("{CLIENTS_MAX} clients are connected, as many as allowed; try again later");
            return Err((ErrorCode::TooManyClients, text));
        }
        match client.role {
            Role::Talker => self.make_room_for_talker(takeover)?,
            Role::Listener if self.capture_state() == State::Ended => {
                return Err((ErrorCode::Unavailable, "the recording that was captured here is over".to_owned()));
            }
            Role::Listener | Role::Observer => {}
        }
        let id = self.next_id.get();
        self.next_id.set(id.wrapping_add(1).max(1));
        if client.role == Role::Talker {
            self.talker.set(Some(id));
            self.pin_news.notify_one();
        }
        tracing::info!(
            "{} {id} joined: {:?}, process {}, user {}",
            client.role.name(),
            client.name,
            client.pid.map_or_else(|| "unknown".to_owned(), |pid| pid.to_string()),
            client.uid
        );
        self.clients.borrow_mut().insert(id, client);
        Ok(id)
    }

    /// One talker at a time: the first keeps the floor unless the newcomer asks to take over.
    fn make_room_for_talker(&self, takeover: bool) -> Result<(), (ErrorCode, String)> {
        let clients = self.clients.borrow();
        let Some(holder) = self.talker.get().and_then(|id| clients.get(&id)) else { return Ok(()) };
        let who = format!("{:?} (process {})", holder.name, holder.pid.unwrap_or(0));
        if !takeover {
            return Err((ErrorCode::Busy, format!("{who} is talking; ask to take over, or try again later")));
        }
        socket::send_fault(&holder.socket, ErrorCode::Replaced, "another talker took over");
        holder.leave.notify_one();
        Ok(())
    }

    /// Forgets a client. `dropped` says that it vanished without a goodbye.
    pub(super) fn part(&self, id: u32, dropped: bool) {
        if self.talker.get() == Some(id) {
            self.talker.set(None);
            self.pin_news.notify_one();
        }
        let Some(client) = self.clients.borrow_mut().remove(&id) else { return };
        self.prepare_encoder();
        if dropped {
            self.sent.borrow_mut().record_connection_drop();
        }
        tracing::info!(
            "{} {id} {}: {} packets, {} dropped",
            client.role.name(),
            if dropped { "vanished" } else { "left" },
            client.packets,
            client.dropped
        );
    }

    /// What the stream in the client's direction is like, without additions.
    pub(super) fn describe(&self, id: u32, role: Role) -> Welcome {
        let Stream { channels, frame, tuning, .. } = match role {
            Role::Talker => self.settings.talk,
            Role::Listener | Role::Observer => self.settings.stream,
        };
        Welcome { client: id, channels, frame, bitrate_bps: tuning.bitrate.bps(), redundancy: false }
    }

    /// Gives every listener every captured packet that is there. One that is full loses its newest.
    pub(super) fn hand_on_packets(&self) {
        let mut capture = self.capture.borrow_mut();
        let mut before = self.before.borrow_mut();
        while let Some(packet) = capture.next_packet() {
            let wanted = packet.with(|frame| match &*before {
                Some(before) => before.with(|before| self.send_to_listeners(frame, Some(before))),
                None => self.send_to_listeners(frame, None),
            });
            *before = wanted.then_some(packet);
        }
    }

    /// Gives every listener a packet, and a copy of the one before to those who need it; whether there are such.
    fn send_to_listeners(&self, frame: &Frame, before: Option<&Frame>) -> bool {
        let mut clients = self.clients.borrow_mut();
        let (mut reached, mut wanted) = (false, false);
        for client in clients.values_mut().filter(|client| client.role == Role::Listener) {
            let need = client.redundancy.map_or(0, |redundancy| redundancy.need());
            let copies = redundancy::copies(&self.settings.stream, need);
            wanted |= copies;
            let (sent, copied) = socket::send_frame(&client.socket, frame, before.filter(|_| copies));
            match sent {
                Sent::Yes => {
                    client.packets += 1;
                    client.copies += u64::from(copied);
                    reached = true;
                }
                Sent::Full => client.dropped += 1,
                // The client's task finds that out, too, and clears up.
                Sent::Gone => {}
            }
        }
        let mut sent = self.sent.borrow_mut();
        let time = now();
        sent.record_frame(time, frame.payload().len());
        if reached {
            sent.record_latency(time.since(frame.header.captured));
        }
        wanted
    }

    /// A listener says what arrived.
    pub(super) fn take_report(&self, id: u32, report: Report) {
        if let Some(redundancy) = self.clients.borrow_mut().get_mut(&id).and_then(|client| client.redundancy.as_mut()) {
            redundancy.observe(now(), report);
        }
        self.prepare_encoder();
    }

    /// Tells the encoder what loss to expect, if that is another than before.
    fn prepare_encoder(&self) {
        let clients = self.clients.borrow();
        let listeners = clients.values().filter(|client| client.role == Role::Listener);
        let needs = listeners.map(|client| client.redundancy.map_or(0, |redundancy| redundancy.need()));
        let stream = &self.settings.stream;
        let percent = redundancy::in_band(stream, redundancy::shared(needs));
        if percent == self.expected_loss.get() {
            return;
        }
        let tuning = Tuning { expected_loss_percent: percent, ..stream.tuning };
        // With no room for a command, the next report brings the next attempt.
        if self.capture.borrow_mut().command(Command::Retune(tuning, stream.frame)).is_ok() {
            self.expected_loss.set(percent);
            tracing::info!("capture: the encoder is prepared for {percent} % of loss");
        }
    }

    /// Takes a packet from a talker and hands it to the playback thread.
    pub(super) fn take_packet(&self, id: u32, header: Header, payload: &[u8]) {
        let mut clients = self.clients.borrow_mut();
        let Some(client) = clients.get_mut(&id).filter(|_| self.talker.get() == Some(id)) else { return };
        let first = client.packets == 0;
        client.packets += 1;
        let report = client.tally.received(now(), header.sequence);
        if let Some(report) = report.filter(|_| client.redundancy.is_some()) {
            // When there is no room the next one says the same.
            let _ = socket::send_control(&client.socket, Kind::Report, &report.emit());
        }
        match self.playback.borrow_mut().push(header, payload, first) {
            Ok(()) => {}
            Err(Rejected::Scarce | Rejected::Length) => {
                client.dropped += 1;
                self.talker_drops.set(self.talker_drops.get() + 1);
            }
        }
    }

    /// Nothing more will be captured: says goodbye to all listeners.
    pub(super) fn dismiss_listeners(&self) {
        for client in self.clients.borrow().values().filter(|client| client.role == Role::Listener) {
            let _ = socket::send_control(&client.socket, Kind::Bye, &[]);
            client.leave.notify_one();
        }
    }

    /// Says goodbye to everybody.
    pub(super) fn close_all(&self) {
        for client in self.clients.borrow().values() {
            if socket::send_control(&client.socket, Kind::Bye, &[]) == Sent::Full {
                tracing::debug!("{:?} did not take the goodbye", client.name);
            }
        }
    }

    /// Everything worth knowing, as of now.
    pub(super) fn status(&self) -> Status {
        let clients = self.clients.borrow();
        let time = now();
        let clients = clients.iter().map(|(id, client)| ClientStatus::of(*id, client, time)).collect();
        let mut capture = self.capture.borrow_mut();
        let mut playback = self.playback.borrow_mut();
        let (panel, amp) = (self.panel.borrow(), self.amp.borrow());
        let board = BoardStatus {
            lamp: panel.as_ref().and_then(Panel::lamp).map(str::to_owned),
            mute_switch: panel.as_ref().and_then(Panel::switch).map(str::to_owned),
            amp: amp.as_ref().map(|amp| amp.shown().to_owned()),
        };
        Status::gather(&super::status::Sources {
            settings: &self.settings,
            grants: self.grants,
            uptime: time.since(self.started),
            time,
            capture: (&capture.opened().clone(), capture.state(), capture.report(), capture.pool()),
            sent: *self.sent.borrow(),
            expected_loss: self.expected_loss.get(),
            playback: (&playback.opened().clone(), playback.state(), playback.report(), playback.pool()),
            pace: playback.pace(),
            talker_drops: self.talker_drops.get(),
            told_to_mute: panel.as_ref().is_some_and(|panel| panel.told().0),
            board,
            clients,
        })
    }
}
