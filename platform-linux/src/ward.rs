//! A ward: one child and the [`Supervisor`] that looks after it, joined to real processes and real time.
//!
//! What is to happen is core's decision; here it is carried out: children are started, asked to leave, killed and waited
//! for, and what they say is passed on to whoever owns the ward. The owner says what counts as being ready and as
//! progress. A child's last words are passed on before its end is.

use crate::rt::now;
use crate::worker::Link;
use crate::worker::process::{Child, End};
use soundpost_core::capacity::OVERHEARD_MAX;
use soundpost_core::supervise::{Action, Counts, Event, Generation, Policy, State, Supervisor};
use soundpost_core::time::{Instant, Span};
use std::cell::RefCell;
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::Notify;

/// What happened.
#[derive(Debug)]
pub enum News {
    /// A child was started; this is the link to it.
    Began(Rc<Link>),
    /// It said something: so many bytes of the room, for [`crate::worker::link::read`].
    Message(usize),
    /// It is gone, or could not be started; why, in words.
    Ended(String),
    /// None is left, and none is wanted.
    Over,
}

/// What is known of a ward, and how it is told to start and to stop, from elsewhere on its thread.
#[derive(Debug)]
pub struct Books {
    supervisor: RefCell<Supervisor>,
    policy: Policy,
    notes: RefCell<Notes>,
    changed: Notify,
}

/// What the supervisor need not know.
#[derive(Clone, Debug, Default)]
struct Notes {
    pid: Option<u32>,
    last_end: Option<String>,
}

/// A ward as it is shown.
#[derive(Clone, Debug)]
pub struct Shown {
    /// How things stand.
    pub state: State,
    /// What was counted.
    pub counts: Counts,
    /// The process, if there is one.
    pub pid: Option<u32>,
    /// How the last one that ended did, in words.
    pub last_end: Option<String>,
    /// Restarts that count against the budget now.
    pub restarts: usize,
    /// Restarts that are allowed within the window.
    pub budget: u8,
}

impl Books {
    fn tell(&self, event: Event) {
        self.supervisor.borrow_mut().handle(now(), event);
        self.changed.notify_one();
    }

    /// It is to run. If it was given up, it is tried again.
    pub fn start(&self) {
        self.tell(Event::Start);
    }

    /// It is not to run: the child is asked to leave, and killed if it does not.
    pub fn stop(&self) {
        self.tell(Event::Stop);
    }

    /// A fresh child is to take the place of the running one.
    pub fn replace(&self) {
        self.tell(Event::Replace);
    }

    /// In which state it is.
    #[must_use]
    pub fn state(&self) -> State {
        self.supervisor.borrow().state()
    }

    /// Whether it was given up.
    #[must_use]
    pub fn gave_up(&self) -> bool {
        matches!(self.state(), State::GaveUp { .. })
    }

    /// How it stands.
    #[must_use]
    pub fn shown(&self) -> Shown {
        let supervisor = self.supervisor.borrow();
        let Notes { pid, last_end } = self.notes.borrow().clone();
        Shown {
            state: supervisor.state(),
            counts: supervisor.counts(),
            pid,
            last_end,
            restarts: supervisor.restarts_within_window(now()),
            budget: self.policy.restarts,
        }
    }
}

/// How a child is started: the child, and this end of its link.
pub type Start = Box<dyn FnMut(Generation) -> io::Result<(Child, OwnedFd)>>;

/// See the module.
pub struct Ward {
    /// For the log.
    name: &'static str,
    books: Rc<Books>,
    start: Start,
    child: Option<Child>,
    link: Option<Rc<Link>>,
    ready: bool,
    /// It said why it cannot begin.
    failed: Option<String>,
    /// Why it was told to leave, if not because somebody wanted it.
    dismissed: Option<String>,
    /// Messages in a row that were read after a deadline.
    overheard: usize,
}

impl std::fmt::Debug for Ward {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ward").field("name", &self.name).field("books", &self.books).finish_non_exhaustive()
    }
}

/// What a ward waits for.
enum Step {
    Deadline,
    Changed,
    Received(io::Result<usize>),
    Ended(End),
}

impl Ward {
    /// Nothing runs yet. `seed` decides about waits: each ward is to have another one.
    #[must_use]
    pub fn new(name: &'static str, policy: Policy, seed: u32, start: Start) -> Self {
        let books = Books {
            supervisor: RefCell::new(Supervisor::new(policy, seed)),
            policy,
            notes: RefCell::default(),
            changed: Notify::new(),
        };
        let books = Rc::new(books);
        Self { name, books, start, child: None, link: None, ready: false, failed: None, dismissed: None, overheard: 0 }
    }

    /// What is known of it, and how to start it.
    #[must_use]
    pub fn books(&self) -> Rc<Books> {
        Rc::clone(&self.books)
    }

    /// The child is set up.
    pub fn ready(&mut self) {
        self.ready = true;
        self.about_child(Event::Ready);
    }

    /// The child made progress.
    pub fn beat(&self) {
        self.about_child(Event::Beat);
    }

    /// The child said why it cannot begin; it is about to end.
    pub fn failed(&mut self, why: String) {
        self.failed = Some(why);
    }

    fn about_child(&self, event: fn(Generation) -> Event) {
        let mut supervisor = self.books.supervisor.borrow_mut();
        let child = supervisor.child();
        supervisor.handle(now(), event(child));
    }

    /// Does what is due, and waits for news. A wait that is given up loses nothing.
    pub async fn next(&mut self, room: &mut [u8]) -> News {
        loop {
            while let Some(action) = self.action() {
                if let Some(news) = self.act(action) {
                    return news;
                }
            }
            if self.state() == State::Stopped && self.child.is_none() {
                return News::Over;
            }
            match self.wait(room).await {
                Step::Deadline => match self.overheard(room).await {
                    Some(length) => return News::Message(length),
                    None => self.on_deadline(),
                },
                Step::Changed => {}
                // What was said before is not lost: words come before the end.
                Step::Received(Ok(0) | Err(_)) => self.link = None,
                Step::Received(Ok(length)) => return News::Message(length),
                Step::Ended(end) => return self.on_end(end),
            }
        }
    }

    fn action(&self) -> Option<Action> {
        self.books.supervisor.borrow_mut().poll_action()
    }

    fn state(&self) -> State {
        self.books.state()
    }

    /// Waits until somebody tells it something.
    pub async fn changed(&self) {
        self.books.changed.notified().await;
    }

    async fn wait(&mut self, room: &mut [u8]) -> Step {
        let deadline = self.books.supervisor.borrow().next_deadline();
        let (link, child) = (self.link.as_deref(), self.child.as_mut());
        tokio::select! {
            // In this order: a child that talks without end does not keep a deadline waiting.
            biased;
            () = reached(deadline) => Step::Deadline,
            () = self.books.changed.notified() => Step::Changed,
            received = receive(link, room) => Step::Received(received),
            end = ended(child) => Step::Ended(end),
        }
    }

    /// What a child has said already counts before a deadline does: it may be we who were late. A child that only talks
    /// does not put its deadline off for ever.
    async fn overheard(&mut self, room: &mut [u8]) -> Option<usize> {
        // What has arrived is noticed by then.
        tokio::task::yield_now().await;
        let link = self.link.as_deref().filter(|_| self.overheard < OVERHEARD_MAX);
        let length = tokio::select! {
            biased;
            received = receive(link, room) => received.ok().filter(|length| *length > 0),
            () = std::future::ready(()) => None,
        };
        self.overheard = if length.is_some() { self.overheard + 1 } else { 0 };
        length
    }

    fn act(&mut self, action: Action) -> Option<News> {
        match action {
            Action::Spawn { child, attempt } => return Some(self.spawn(child, attempt)),
            Action::Terminate(_) => {
                if let Some(link) = &self.link {
                    let _ = link.say(&crate::worker::Order::Leave);
                }
                self.child.as_ref().inspect(|child| child.terminate());
            }
            Action::Kill(_) => {
                tracing::warn!("{} worker: it does not leave; it is killed", self.name);
                self.child.as_mut().map(Child::kill);
            }
        }
        None
    }

    fn spawn(&mut self, generation: Generation, attempt: u8) -> News {
        (self.ready, self.failed, self.dismissed) = (false, None, None);
        let started = (self.start)(generation).and_then(|(child, end)| Ok((child, Rc::new(Link::new(end)?))));
        match started {
            Ok((child, link)) => {
                tracing::debug!("{} worker {}: started, attempt {attempt}", self.name, generation.0);
                self.books.notes.borrow_mut().pid = child.id();
                self.child = Some(child);
                self.link = Some(Rc::clone(&link));
                News::Began(link)
            }
            Err(error) => self.note_end(format!("it cannot be started: {error}"), Event::StartFailed(generation)),
        }
    }

    fn on_deadline(&mut self) {
        let before = self.state();
        self.books.supervisor.borrow_mut().handle_deadline(now());
        let ms = |span: Span| span.as_micros() / 1000;
        let policy = &self.books.policy;
        if matches!(self.state(), State::Stopping { .. }) {
            self.dismissed = match before {
                State::Starting { .. } => Some(format!("it was not ready within {} ms", ms(policy.ready_within))),
                State::Running { .. } => Some(format!("it made no progress for {} ms", ms(policy.beat_within))),
                _ => self.dismissed.take(),
            };
        }
    }

    fn on_end(&mut self, end: End) -> News {
        (self.child, self.link) = (None, None);
        let child = self.books.supervisor.borrow().child();
        let event = match &self.failed {
            Some(_) if !self.ready => Event::StartFailed(child),
            _ => Event::Exited { child, clean: end.clean },
        };
        let how = match (self.failed.take(), self.dismissed.take()) {
            (Some(why), _) => why,
            (None, Some(why)) => format!("{why}; {}", end.how),
            (None, None) => end.how,
        };
        self.note_end(how, event)
    }

    fn note_end(&self, how: String, event: Event) -> News {
        {
            let mut notes = self.books.notes.borrow_mut();
            (notes.pid, notes.last_end) = (None, Some(how.clone()));
        }
        self.books.supervisor.borrow_mut().handle(now(), event);
        match self.state() {
            State::Backoff { until, attempt } => tracing::warn!(
                "{} worker: {how}; restart {attempt} in a row in {} ms",
                self.name,
                until.since(now()).as_micros() / 1000
            ),
            State::GaveUp { .. } => tracing::error!(
                "{} worker: {how}; given up after {} restarts within {} s; SIGHUP tries again",
                self.name,
                self.books.policy.restarts,
                self.books.policy.window.as_micros() / 1_000_000
            ),
            _ => tracing::debug!("{} worker: {how}", self.name),
        }
        News::Ended(how)
    }
}

/// Waits until then; without a time for ever.
async fn reached(deadline: Option<Instant>) {
    match deadline {
        // The least that can be waited for is a millisecond, and too early is no use.
        Some(at) => tokio::time::sleep(Duration::from_micros(at.since(now()).as_micros())).await,
        None => std::future::pending().await,
    }
}

async fn receive(link: Option<&Link>, room: &mut [u8]) -> io::Result<usize> {
    match link {
        Some(link) => link.receive_into(room).await,
        None => std::future::pending().await,
    }
}

async fn ended(child: Option<&mut Child>) -> End {
    match child {
        Some(child) => child.ended().await,
        None => std::future::pending().await,
    }
}
