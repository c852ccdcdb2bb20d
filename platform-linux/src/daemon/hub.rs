//! Who is connected, who talks, and who gets which packet.

use super::Settings;
use super::capture::CaptureEnd;
use super::playback::{Hush, PlaybackEnd};
use super::status::{BoardStatus, ClientStatus, Status, WorkerStatus};
use crate::board::{Amp, Panel};
use crate::direction::{Rejected, State};
use crate::gpio::Edges;
use crate::rt::now;
use crate::socket::{self, Sent};
use crate::ward::Books;
use crate::worker::{Link, Ready, Word};
use soundpost_core::board::Muted;
use soundpost_core::capacity::CLIENTS_MAX;
use soundpost_core::config::{BOARD, Direction, Stream, Tuning};
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
    started: Instant,
    /// Goes off before the workers stop: playback makes silence for it.
    amp: RefCell<Option<Amp>>,
    capture: RefCell<CaptureEnd>,
    playback: RefCell<PlaybackEnd>,
    /// Of the workers: of capture, of playback.
    books: [Rc<Books>; 2],
    /// The packet that was captured last.
    latest: RefCell<Latest>,
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

/// The latest packet, and the one before if anybody may want a copy of it.
#[derive(Debug)]
struct Latest {
    packet: Box<Frame>,
    before: Box<Frame>,
    wanted: bool,
}

impl Hub {
    pub(super) fn new(settings: Settings, books: [Rc<Books>; 2], panel: Option<Panel>) -> Self {
        let empty = || Box::new(Frame::EMPTY);
        Self {
            started: now(),
            amp: RefCell::default(),
            capture: RefCell::new(CaptureEnd::new(&settings)),
            playback: RefCell::new(PlaybackEnd::new()),
            books,
            latest: RefCell::new(Latest { packet: empty(), before: empty(), wanted: false }),
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

    /// A worker was started.
    pub(super) fn on_worker_began(&self, direction: Direction, link: Rc<Link>) {
        match direction {
            Direction::Capture => {
                self.capture.borrow_mut().on_began(link, &self.settings, self.expected_loss.get());
            }
            Direction::Playback => self.playback.borrow_mut().on_began(link, &self.settings),
        }
    }

    /// A worker is set up.
    pub(super) fn on_worker_ready(&self, direction: Direction, ready: Ready) {
        match direction {
            Direction::Capture => self.capture.borrow_mut().on_ready(ready),
            Direction::Playback => self.playback.borrow_mut().on_ready(ready),
        }
        self.guard_microphone();
    }

    /// A worker says how it gets on; whether it does.
    pub(super) fn on_worker_word(&self, word: Word) -> bool {
        match word {
            Word::Capture(word) => {
                let before = self.state(Direction::Capture);
                let progress = self.capture.borrow_mut().on_word(*word);
                self.guard_microphone();
                if self.state(Direction::Capture) == State::Ended && before != State::Ended {
                    self.dismiss_listeners();
                }
                progress
            }
            Word::Playback(word) => self.playback.borrow_mut().on_word(*word),
            Word::Ready(_) | Word::Failed(_) => false,
        }
    }

    /// A worker is gone. Its successor's microphone begins muted, and the lamp goes dark until it is lit for that one.
    pub(super) fn on_worker_ended(&self, direction: Direction, how: &str) {
        match direction {
            Direction::Capture => {
                self.latest.borrow_mut().wanted = false;
                self.capture.borrow_mut().on_ended(how);
                self.guard_microphone();
            }
            Direction::Playback => self.playback.borrow_mut().on_ended(how),
        }
    }

    /// How a device is doing.
    pub(super) fn state(&self, direction: Direction) -> State {
        match direction {
            Direction::Capture => self.capture.borrow().state,
            Direction::Playback => self.playback.borrow().state,
        }
    }

    /// What silences playback.
    pub(super) fn hush(&self) -> Hush {
        self.playback.borrow().hush.clone()
    }

    /// Gives the amplifier, which is off, into the hub's hands.
    pub(super) fn set_amp(&self, amp: Option<Amp>) {
        *self.amp.borrow_mut() = amp;
    }

    /// Workers that were given up are tried again.
    pub(super) fn start_workers(&self) {
        self.books.iter().for_each(|books| books.start());
    }

    /// Whether a worker was given up. One that is not makes progress, or is being seen to.
    pub(super) fn gave_up(&self) -> bool {
        self.books.iter().any(|books| books.gave_up())
    }

    /// The amplifier goes off, and the workers are asked to leave.
    pub(super) fn stop_workers(&self) {
        self.amp.borrow_mut().take();
        self.books.iter().for_each(|books| books.stop());
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
            let playback = self.playback.borrow();
            let busy = self.talker.get().is_some() || playback.report().playing;
            amp.tend(time, busy && playback.state == State::Running);
            playback.hush.settle();
        }
        again.unwrap_or_else(|| time.plus(BOARD.look_pause))
    }

    /// Mutes, unmutes and lights, as far as that can be done now.
    pub(super) fn guard_microphone(&self) {
        if let Some(panel) = self.panel.borrow_mut().as_mut() {
            // No message of the protocol mutes yet: only the switch does.
            panel.guard(Muted(false), &mut *self.capture.borrow_mut());
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
            Role::Listener if self.state(Direction::Capture) == State::Ended => {
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

    /// Gives every listener a packet that was captured. One that is full loses its newest.
    pub(super) fn hand_on(&self, header: Header, payload: &[u8]) {
        let mut latest = self.latest.borrow_mut();
        let Latest { packet, before, wanted } = &mut *latest;
        std::mem::swap(packet, before);
        if let Err(error) = packet.fill(header, payload) {
            *wanted = false;
            tracing::warn!("capture worker: a packet that is none: {error}");
            return;
        }
        self.capture.borrow_mut().on_packet(packet);
        *wanted = self.send_to_listeners(packet, Some(&**before).filter(|_| *wanted));
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
        if self.capture.borrow_mut().command(Command::Retune(tuning, stream.frame)) {
            self.expected_loss.set(percent);
            tracing::info!("capture: the encoder is prepared for {percent} % of loss");
        }
    }

    /// Takes a packet from a talker and hands it to the playback worker.
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
        let capture = self.capture.borrow();
        let playback = self.playback.borrow();
        let [capture_books, playback_books] = &self.books;
        let (panel, amp) = (self.panel.borrow(), self.amp.borrow());
        let board = BoardStatus {
            lamp: panel.as_ref().and_then(Panel::lamp).map(str::to_owned),
            mute_switch: panel.as_ref().and_then(Panel::switch).map(str::to_owned),
            amp: amp.as_ref().map(|amp| amp.shown().to_owned()),
        };
        Status::gather(&super::status::Sources {
            settings: &self.settings,
            grants: capture.grants.and(playback.grants),
            uptime: time.since(self.started),
            time,
            capture: (&capture.opened, capture.state, capture.report(), capture.pool),
            capture_worker: WorkerStatus::of(&capture_books.shown(), &capture.sandbox, time),
            sent: *self.sent.borrow(),
            expected_loss: self.expected_loss.get(),
            playback: (&playback.opened, playback.state, playback.report(), playback.pool),
            playback_worker: WorkerStatus::of(&playback_books.shown(), &playback.sandbox, time),
            pace: playback.pace.clone(),
            talker_drops: self.talker_drops.get() + playback.rejected,
            told_to_mute: panel.as_ref().is_some_and(|panel| panel.told().0),
            board,
            clients,
        })
    }
}
