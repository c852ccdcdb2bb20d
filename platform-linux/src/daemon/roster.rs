//! Everybody who is connected, and the book of those who were sent away.
//!
//! A client that does not read loses its newest packets, and what it lost is kept until it can be told. Nothing here
//! waits for a client.

use super::access::AllowList;
use super::status::RefusalsStatus;
use crate::rt::now;
use crate::socket::{self, Sent};
use soundpost_core::capacity::WATCHED_USERS;
use soundpost_core::config::{LIMITS, Stream};
use soundpost_core::flood::{Bucket, Doorkeeper};
use soundpost_core::quality::Floor;
use soundpost_core::redundancy::{self, Redundancy, Tally};
use soundpost_core::time::{Instant, Span};
use soundpost_core::wire::{Additions, ErrorCode, Frame, Header, Kind, Notice, Report, Role};
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
    /// Those of them that it has not been told of.
    untold: u32,
    /// Packets that were sent to this listener with a copy of the one before.
    pub(super) copies: u64,
    /// What was agreed on.
    pub(super) additions: Additions,
    /// What this listener's reports ask for.
    pub(super) redundancy: Redundancy,
    /// How long its reports say that packets take to this listener.
    floor: Floor,
    /// What came from this talker.
    pub(super) tally: Tally,
    /// Tells the client's task to end.
    pub(super) leave: Rc<Notify>,
    /// Another talker took over. Its own task says so: it can wait until there is room for that.
    replaced: bool,
}

impl Client {
    /// One that just came, whom the kernel says to be `pid` and `uid`.
    pub(super) fn new(
        socket: Rc<UnixSeqpacket>,
        role: Role,
        name: &str,
        additions: Additions,
        (pid, uid): (Option<i32>, u32),
    ) -> Self {
        Self {
            socket,
            role,
            name: name.to_owned(),
            pid,
            uid,
            since: now(),
            packets: 0,
            dropped: 0,
            untold: 0,
            copies: 0,
            additions,
            redundancy: Redundancy::new(),
            floor: Floor::new(),
            tally: Tally::new(),
            leave: Rc::new(Notify::new()),
            replaced: false,
        }
    }

    /// Takes what this listener says that arrived, and when.
    pub(super) fn heed(&mut self, report: Report) {
        let now = now();
        self.redundancy.observe(now, report);
        if let Some(delay_us) = report.delay_us {
            self.floor.observe(now, delay_us);
        }
    }

    /// Its name and process, in words.
    pub(super) fn who(&self) -> String {
        format!("{:?} (process {})", self.name, self.pid.unwrap_or(0))
    }

    /// How much redundancy its reports ask for.
    pub(super) fn need(&self) -> u8 {
        if self.additions.redundancy { self.redundancy.need() } else { 0 }
    }

    /// Gives a listener a packet, with a copy of the one before if it needs that; whether it got it.
    pub(super) fn hand(&mut self, stream: &Stream, frame: &Frame, before: Option<&Frame>) -> bool {
        let copies = self.wants_copies(stream);
        if !self.tell() {
            self.count_out(1);
            return false;
        }
        let (sent, copied) = socket::send_frame(&*self.socket, frame, before.filter(|_| copies));
        match sent {
            Sent::Yes => {
                self.packets += 1;
                self.copies += u64::from(copied);
            }
            Sent::Full => self.count_out(1),
            // The client's task finds that out, too, and clears up.
            Sent::Gone => {}
        }
        sent == Sent::Yes
    }

    pub(super) fn wants_copies(&self, stream: &Stream) -> bool {
        redundancy::copies(stream, self.need())
    }

    /// Counts packets that this client loses, to be told of when there is room.
    pub(super) fn count_out(&mut self, lost: u64) {
        self.dropped += lost;
        self.untold = self.untold.saturating_add(u32::try_from(lost).unwrap_or(u32::MAX));
    }

    /// Tells the client what was dropped since it was last told; false if there is no room for that.
    pub(super) fn tell(&mut self) -> bool {
        if self.untold == 0 || !self.additions.notices {
            return true;
        }
        let notice = Notice::Dropped { fresh: self.untold, total: self.dropped };
        let sent = socket::send_control(&*self.socket, Kind::Notice, &notice.emit());
        if sent == Sent::Yes {
            self.untold = 0;
        }
        sent != Sent::Full
    }

    /// Counts a talker's packet; now and then tells it what arrived. Whether it is its first.
    pub(super) fn count_in(&mut self, header: &Header) -> bool {
        let first = self.packets == 0;
        self.packets += 1;
        let report = self.tally.received(now(), header.sequence, header.captured);
        if let Some(report) = report.filter(|_| self.additions.redundancy) {
            // When there is no room the next one says the same.
            let _ = socket::send_control(&*self.socket, Kind::Report, &report.emit());
        }
        first
    }
}

/// Who is here.
#[derive(Debug)]
pub(super) struct Roster {
    pub(super) clients: RefCell<BTreeMap<u32, Client>>,
    pub(super) talker: Cell<Option<u32>>,
    /// The most clients at once.
    pub(super) most: usize,
    allowed: AllowList,
    door: RefCell<Doorkeeper<WATCHED_USERS>>,
    /// Its holders are the clients that have not introduced themselves yet, and this.
    antechamber: Rc<()>,
    next_id: Cell<u32>,
    refusals: [Cell<u64>; ErrorCode::ALL.len()],
    refusal_lines: RefCell<Bucket>,
    visitor_lines: RefCell<Bucket>,
}

impl Roster {
    /// Nobody yet.
    pub(super) fn new(most: usize, allowed: AllowList) -> Self {
        Self {
            clients: RefCell::default(),
            talker: Cell::new(None),
            most,
            allowed,
            door: RefCell::new(Doorkeeper::new(LIMITS.connections)),
            antechamber: Rc::default(),
            next_id: Cell::new(1),
            refusals: Default::default(),
            refusal_lines: RefCell::new(Bucket::new(LIMITS.refusal_lines, now())),
            visitor_lines: RefCell::new(Bucket::new(LIMITS.visitor_lines, now())),
        }
    }

    /// A place for a client that has not introduced itself yet, whom the kernel says to be of this user and group; free
    /// again when it is dropped.
    ///
    /// # Errors
    /// The code and the words to refuse it with.
    pub(super) fn enter(&self, user: u32, group: u32) -> Result<Rc<()>, (ErrorCode, String)> {
        if !self.door.borrow_mut().admits(user, now()) {
            let (burst, rate) = (LIMITS.connections.burst, LIMITS.connections.per_second);
            let text = format!("user {user} connects too often; allowed: {burst} at once, then {rate} a second");
            return Err((ErrorCode::TooFast, text));
        }
        self.allowed.check(user, group).map_err(|text| (ErrorCode::Forbidden, text))?;
        let place = (Rc::strong_count(&self.antechamber) <= self.most).then(|| Rc::clone(&self.antechamber));
        place.ok_or_else(|| {
            let text = format!("{} clients have not introduced themselves yet; try again later", self.most);
            (ErrorCode::TooManyClients, text)
        })
    }

    /// Sends a peer away: says why, counts it, and logs it unless there was too much of that of late.
    pub(super) fn refuse(&self, socket: &UnixSeqpacket, code: ErrorCode, text: &str) {
        if socket::send_fault(socket, code, text) == Sent::Full {
            tracing::debug!("a client that is sent away cannot be told why: the kernel grants too little room");
        }
        if let Some(count) = self.refusals.get(usize::from(code as u16).wrapping_sub(1)) {
            count.set(count.get() + 1);
        }
        if self.refusal_lines.borrow_mut().take(now()) {
            let (pid, uid) = socket.peer_cred().map_or((None, None), |peer| (peer.pid(), Some(peer.uid())));
            let told = |number: Option<String>| number.unwrap_or_else(|| "unknown".to_owned());
            let (pid, uid) = (told(pid.map(|pid| pid.to_string())), told(uid.map(|uid| uid.to_string())));
            tracing::warn!("client of process {pid}, user {uid}, sent away: {text}");
        }
    }

    /// How many were sent away, and why.
    pub(super) fn refusals(&self) -> RefusalsStatus {
        let [malformed, version, unexpected, busy, replaced, too_many, unavailable, forbidden, too_fast] =
            self.refusals.each_ref().map(Cell::get);
        RefusalsStatus {
            malformed,
            version,
            unexpected,
            busy,
            replaced,
            too_many_clients: too_many,
            unavailable,
            forbidden,
            too_fast,
        }
    }

    /// Whether there is a place.
    ///
    /// # Errors
    /// The code and the words to refuse the client with.
    pub(super) fn has_place(&self) -> Result<(), (ErrorCode, String)> {
        if self.clients.borrow().len() < self.most {
            return Ok(());
        }
        let text = format!("{} clients are connected, as many as allowed; try again later", self.most);
        Err((ErrorCode::TooManyClients, text))
    }

    /// One talker at a time: the first keeps the floor unless the newcomer asks to take over.
    ///
    /// # Errors
    /// The code and the words to refuse the newcomer with.
    pub(super) fn make_room_for_talker(&self, takeover: bool) -> Result<(), (ErrorCode, String)> {
        let mut clients = self.clients.borrow_mut();
        let Some(holder) = self.talker.get().and_then(|id| clients.get_mut(&id)) else { return Ok(()) };
        let who = holder.who();
        if !takeover {
            return Err((ErrorCode::Busy, format!("{who} is talking; ask to take over, or try again later")));
        }
        holder.replaced = true;
        holder.leave.notify_one();
        Ok(())
    }

    /// The worker had no room for so many packets of whoever talks. (Of whoever talked a report ago, to be exact.)
    pub(super) fn count_out_of_talker(&self, lost: u64) {
        let mut clients = self.clients.borrow_mut();
        if let Some(talker) = self.talker.get().and_then(|id| clients.get_mut(&id)).filter(|_| lost > 0) {
            talker.count_out(lost);
            // When there is no room the next packet says it.
            let _ = talker.tell();
        }
    }

    /// Whether the client was told to leave because another talker took over.
    pub(super) fn was_replaced(&self, id: u32) -> bool {
        self.clients.borrow().get(&id).is_some_and(|client| client.replaced)
    }

    /// Writes a client in; returns its number.
    pub(super) fn add(&self, client: Client) -> u32 {
        let id = self.next_id.get();
        self.next_id.set(id.wrapping_add(1).max(1));
        if self.visitor_lines.borrow_mut().take(now()) {
            tracing::info!(
                "{} {id} joined: {:?}, process {}, user {}",
                client.role.name(),
                client.name,
                client.pid.map_or_else(|| "unknown".to_owned(), |pid| pid.to_string()),
                client.uid
            );
        }
        if client.role == Role::Talker {
            self.talker.set(Some(id));
        }
        self.clients.borrow_mut().insert(id, client);
        id
    }

    /// Strikes a client out; whether it was there, and whether it was the one who talks.
    pub(super) fn remove(&self, id: u32, vanished: bool) -> (bool, bool) {
        let talked = self.talker.get() == Some(id);
        if talked {
            self.talker.set(None);
        }
        let Some(client) = self.clients.borrow_mut().remove(&id) else { return (false, talked) };
        if self.visitor_lines.borrow_mut().take(now()) {
            tracing::info!(
                "{} {id} {}: {} packets, {} dropped",
                client.role.name(),
                if vanished { "vanished" } else { "left" },
                client.packets,
                client.dropped
            );
        }
        (true, talked)
    }

    /// What the listeners who report said last.
    pub(super) fn reports(&self) -> BTreeMap<u32, Report> {
        let clients = self.clients.borrow();
        let listeners = clients.iter().filter(|(_, client)| client.role == Role::Listener);
        listeners.filter_map(|(id, client)| Some((*id, client.redundancy.latest()?))).collect()
    }

    /// By how much packets take longer than of late to those listeners who said so since this was last asked.
    pub(super) fn growths(&self) -> Vec<Span> {
        self.clients.borrow_mut().values_mut().filter_map(|client| client.floor.take()).collect()
    }

    /// Nothing more will be captured: says goodbye to all listeners.
    pub(super) fn dismiss_listeners(&self) {
        for client in self.clients.borrow().values().filter(|client| client.role == Role::Listener) {
            let _ = socket::send_last(&client.socket, Kind::Bye, &[]);
            client.leave.notify_one();
        }
    }

    /// Says goodbye to everybody.
    pub(super) fn close_all(&self) {
        for client in self.clients.borrow().values() {
            if socket::send_last(&client.socket, Kind::Bye, &[]) == Sent::Full {
                tracing::debug!("{:?} did not take the goodbye", client.name);
            }
        }
    }
}
