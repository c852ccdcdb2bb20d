//! Who is connected, who talks, and who gets which packet.

mod change;
mod look;

use super::Settings;
use super::capture::CaptureEnd;
use super::changes::Changes;
use super::govern::Care;
use super::mutes::Mutes;
use super::news::{News, What};
use super::playback::{Hush, PlaybackEnd};
use super::roster::{Client, Roster};
use super::status::{BoardStatus, ClientStatus, MuteStatus, Status, WorkerStatus};
use crate::board::{Amp, Panel};
use crate::configuration::{Live, Values};
use crate::direction::{Rejected, State};
use crate::gpio::Edges;
use crate::rt::now;
use crate::ward::Books;
use crate::worker::{Link, Ready, Word};
use soundpost_core::capacity::STATUS_CLIENTS_MAX;
use soundpost_core::config::{BOARD, Direction, Stream};
use soundpost_core::meter::AudioMetrics;
use soundpost_core::time::Instant;
use soundpost_core::wire::{Additions, ErrorCode, Frame, Header, Report, Role, Welcome};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use tokio::sync::Notify;

/// Everything that the daemon's one thread shares between its tasks.
#[derive(Debug)]
pub(crate) struct Hub {
    /// Where it is found over HTTP.
    url: Option<String>,
    /// What is carried out.
    settings: RefCell<Settings>,
    /// What is wished.
    pub(crate) live: RefCell<Live>,
    /// What was wished at first.
    pub(super) began: Values,
    /// How often that changed.
    generation: Cell<u32>,
    governor: RefCell<Care>,
    stopping: Cell<bool>,
    started: Instant,
    /// Goes off before the workers stop: playback makes silence for it.
    amp: RefCell<Option<Amp>>,
    capture: RefCell<CaptureEnd>,
    playback: RefCell<PlaybackEnd>,
    /// Of the workers: of capture, of playback.
    pub(crate) books: [Rc<Books>; 2],
    /// The packet that was captured last.
    latest: RefCell<Latest>,
    panel: RefCell<Option<Panel>>,
    /// Somebody began or ceased to talk: the amplifier wants to know.
    pin_news: Notify,
    /// What listeners got.
    sent: RefCell<AudioMetrics>,
    /// Who is connected.
    pub(super) roster: Roster,
    /// What controllers asked to be muted.
    pub(super) mutes: Mutes,
    talker_drops: Cell<u64>,
    /// Packets that listeners were too slow for, of all together.
    listener_drops: Cell<u64>,
    /// What changed, for those who follow.
    pub(crate) news: News,
    changes: Changes,
    /// When sound last moved, in each direction.
    moved: Cell<[Option<Instant>; 2]>,
}

/// The latest packet, and the one before if anybody may want a copy of it.
#[derive(Debug)]
struct Latest {
    packet: Box<Frame>,
    before: Box<Frame>,
    wanted: bool,
}

impl Hub {
    pub(super) fn new(
        live: Live,
        settings: Settings,
        books: [Rc<Books>; 2],
        panel: Option<Panel>,
        url: Option<String>,
    ) -> Self {
        let empty = || Box::new(Frame::EMPTY);
        Self {
            started: now(),
            amp: RefCell::default(),
            capture: RefCell::new(CaptureEnd::new(&settings)),
            playback: RefCell::new(PlaybackEnd::new()),
            books,
            latest: RefCell::new(Latest { packet: empty(), before: empty(), wanted: false }),
            roster: Roster::new(settings.clients_max, settings.allow.clone()),
            mutes: Mutes::new(settings.state.clone()),
            url,
            governor: RefCell::new(Care::new(live.effective().values())),
            settings: RefCell::new(settings),
            began: live.effective().values().clone(),
            live: RefCell::new(live),
            generation: Cell::new(0),
            stopping: Cell::new(false),
            panel: RefCell::new(panel),
            pin_news: Notify::new(),
            sent: RefCell::default(),
            talker_drops: Cell::new(0),
            listener_drops: Cell::new(0),
            news: News::new(),
            changes: Changes::default(),
            moved: Cell::default(),
        }
    }

    /// A worker was started.
    pub(super) fn on_worker_began(&self, direction: Direction, link: Rc<Link>) {
        match direction {
            Direction::Capture => {
                let wish = self.mutes.capture.get();
                self.capture.borrow_mut().on_began(link, &self.settings.borrow(), wish);
            }
            Direction::Playback => {
                self.playback.borrow_mut().on_began(link, &self.settings.borrow(), self.mutes.playback.get());
            }
        }
        self.look();
    }

    /// A worker is set up.
    pub(super) fn on_worker_ready(&self, direction: Direction, ready: Ready) {
        match direction {
            Direction::Capture => self.capture.borrow_mut().on_ready(ready),
            Direction::Playback => self.playback.borrow_mut().on_ready(ready),
        }
        self.guard_microphone();
        self.look();
    }

    /// A worker says how it gets on; whether it does.
    pub(super) fn on_worker_word(&self, word: Word) -> bool {
        let direction = if matches!(word, Word::Playback(_)) { Direction::Playback } else { Direction::Capture };
        let progress = self.take_word(word);
        self.note_progress(direction, progress);
        self.look();
        progress
    }

    fn take_word(&self, word: Word) -> bool {
        match word {
            Word::Capture(word) => {
                let before = self.state(Direction::Capture);
                let progress = self.capture.borrow_mut().on_word(*word);
                self.guard_microphone();
                if self.state(Direction::Capture) == State::Ended && before != State::Ended {
                    self.roster.dismiss_listeners();
                }
                progress
            }
            Word::Playback(word) => {
                let mut playback = self.playback.borrow_mut();
                let before = playback.rejected;
                let progress = playback.on_word(*word);
                playback.mute(self.mutes.playback.get());
                self.roster.count_out_of_talker(playback.rejected - before);
                progress
            }
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
        self.look();
    }

    /// What silences playback.
    pub(super) fn hush(&self) -> Hush {
        self.playback.borrow().hush.clone()
    }

    /// Gives the amplifier, which is off, into the hub's hands.
    pub(super) fn set_amp(&self, amp: Option<Amp>) {
        *self.amp.borrow_mut() = amp;
    }

    /// Whether a worker was given up. One that is not makes progress, or is being seen to.
    pub(super) fn gave_up(&self) -> bool {
        self.books.iter().any(|books| books.gave_up())
    }

    /// The amplifier goes off, and the workers are asked to leave.
    pub(super) fn stop_workers(&self) {
        self.stopping.set(true);
        self.amp.borrow_mut().take();
        self.books.iter().for_each(|books| books.stop());
    }

    /// Whether the daemon is about to end.
    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.get()
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
            let busy = self.roster.talker.get().is_some() || playback.report().playing;
            amp.tend(time, busy && playback.state == State::Running);
            playback.hush.settle();
        }
        self.look();
        again.unwrap_or_else(|| time.plus(BOARD.look_pause))
    }

    /// Mutes, unmutes and lights, as far as that can be done now.
    pub(super) fn guard_microphone(&self) {
        let mut capture = self.capture.borrow_mut();
        match self.panel.borrow_mut().as_mut() {
            // What a controller asks for, the switch may overrule.
            Some(panel) => panel.guard(self.mutes.capture.get(), &mut *capture),
            None => self.mutes.see_to(&mut *capture),
        }
    }

    /// Mutes or unmutes a direction, as a controller asks; how things stand then.
    pub(crate) fn mute(&self, direction: Direction, muted: bool) -> MuteStatus {
        self.mutes.ask(direction, muted);
        self.guard_microphone();
        self.playback.borrow().mute(self.mutes.playback.get());
        self.look();
        self.mute_status()
    }

    /// Who mutes what.
    pub(crate) fn mute_status(&self) -> MuteStatus {
        self.mutes.status(self.panel.borrow().as_ref().and_then(Panel::switch))
    }

    /// Lets a client in.
    ///
    /// # Errors
    /// The code and the words to refuse it with.
    pub(super) fn join(&self, client: Client, takeover: bool) -> Result<u32, (ErrorCode, String)> {
        self.roster.has_place()?;
        match client.role {
            Role::Talker => {
                self.roster.make_room_for_talker(takeover)?;
                self.pin_news.notify_one();
            }
            Role::Listener if self.state(Direction::Capture) == State::Ended => {
                return Err((ErrorCode::Unavailable, "the recording that was captured here is over".to_owned()));
            }
            Role::Listener | Role::Observer | Role::Controller => {}
        }
        let (role, who) = (client.role, client.who());
        let id = self.roster.add(client);
        self.news.tell(What::Client(id), None, Some(role.name()), Some(&who));
        Ok(id)
    }

    /// Forgets a client. `vanished` says that it left without a goodbye.
    pub(super) fn part(&self, id: u32, vanished: bool) {
        let role = self.roster.clients.borrow().get(&id).map(|client| client.role.name());
        let (was_here, talked) = self.roster.remove(id, vanished);
        if role.is_some() {
            self.news.tell(What::Client(id), role, None, Some(if vanished { "vanished" } else { "left" }));
        }
        if talked {
            self.pin_news.notify_one();
        }
        if was_here {
            self.prepare_encoder();
            if vanished {
                self.sent.borrow_mut().record_connection_drop();
            }
        }
    }

    /// What the stream in the client's direction is like, without additions.
    pub(super) fn describe(&self, id: u32, role: Role) -> Welcome {
        let Stream { channels, frame, tuning, .. } = match role {
            Role::Talker => self.settings.borrow().talk,
            Role::Listener | Role::Observer | Role::Controller => self.settings.borrow().stream,
        };
        Welcome { client: id, channels, frame, bitrate_bps: tuning.bitrate.bps(), additions: Additions::NONE }
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
        let stream = &self.settings.borrow().stream;
        let mut clients = self.roster.clients.borrow_mut();
        let (mut reached, mut wanted) = (false, false);
        for client in clients.values_mut().filter(|client| client.role == Role::Listener) {
            wanted |= client.wants_copies(stream);
            let had = client.dropped;
            reached |= client.hand(stream, frame, before);
            self.listener_drops.set(self.listener_drops.get() + client.dropped - had);
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
        if let Some(client) = self.roster.clients.borrow_mut().get_mut(&id) {
            client.heed(report);
        }
        self.prepare_encoder();
    }

    /// Takes a packet from a talker and hands it to the playback worker.
    pub(super) fn take_packet(&self, id: u32, header: Header, payload: &[u8]) {
        let mut clients = self.roster.clients.borrow_mut();
        let Some(client) = clients.get_mut(&id).filter(|_| self.roster.talker.get() == Some(id)) else { return };
        let first = client.count_in(&header);
        match self.playback.borrow_mut().push(header, payload, first) {
            Ok(()) => {
                // When there is no room the next one says it.
                let _ = client.tell();
            }
            Err(Rejected::Scarce | Rejected::Length) => {
                client.count_out(1);
                self.talker_drops.set(self.talker_drops.get() + 1);
            }
        }
    }

    /// Everything worth knowing, as of now.
    pub(crate) fn status(&self) -> Status {
        let clients = self.roster.clients.borrow();
        let time = now();
        let clients_connected = clients.len();
        let listed = clients.iter().take(STATUS_CLIENTS_MAX);
        let clients = listed.map(|(id, client)| ClientStatus::of(*id, client, time)).collect();
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
            settings: &self.settings.borrow(),
            url: self.url.as_deref(),
            grants: capture.grants.and(playback.grants),
            uptime: time.since(self.started),
            time,
            capture: (&capture.opened, capture.state, capture.report(), capture.pool),
            capture_worker: WorkerStatus::of(&capture_books.shown(), &capture.sandbox, time),
            sent: *self.sent.borrow(),
            generations: [capture.generations(), playback.generations()],
            governor: self.governor.borrow().shown(),
            playback: (&playback.opened, playback.state, playback.report(), playback.pool),
            playback_worker: WorkerStatus::of(&playback_books.shown(), &playback.sandbox, time),
            pace: playback.pace.clone(),
            talker_drops: self.talker_drops.get() + playback.rejected,
            told_to_mute: panel.as_ref().map_or_else(|| self.mutes.told(), Panel::told).0,
            mutes: self.mute_status(),
            board,
            clients_connected,
            clients,
            refusals: self.roster.refusals(),
        })
    }
}
