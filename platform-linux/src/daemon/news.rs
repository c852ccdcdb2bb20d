//! What changes, told to whoever follows: over HTTP, or on the socket.
//!
//! A fixed number of the latest changes is kept, each written once, whoever reads it. Nobody is waited for: who follows
//! has a [`Follower`], a place in the row, and reads when it can. One that falls behind further than what is kept is told
//! how many it missed.

use crate::daytime::since_1970;
use serde::Serialize;
use soundpost_core::capacity::NEWS_KEPT;
use soundpost_core::config::Direction;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use tokio::sync::Notify;

/// What a change is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// A device: `running`, `stopped`, `opened`, `lost`, `stuck`, `ended`.
    Device(Direction),
    /// A worker: `starting`, `running`, `stopping`, `waiting`, `gave up`, `stopped`.
    Worker(Direction),
    /// Who mutes a direction: `live`, `muted by command`, `muted by switch`, `muted by command and switch`.
    Mute(Direction),
    /// A preset, or bits a second.
    Quality(Direction),
    /// A client, by its number: its role when it joins, nothing when it is gone.
    Client(u32),
    /// A key of the configuration.
    Config(&'static str),
}

impl What {
    /// Its name.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Device(_) => "device",
            Self::Worker(_) => "worker",
            Self::Mute(_) => "mute",
            Self::Quality(_) => "quality",
            Self::Client(_) => "client",
            Self::Config(_) => "config",
        }
    }

    /// Which of these.
    fn which(self) -> String {
        match self {
            Self::Device(direction) | Self::Worker(direction) | Self::Mute(direction) | Self::Quality(direction) => {
                crate::worker::process::name(direction).to_owned()
            }
            Self::Client(number) => number.to_string(),
            Self::Config(key) => key.to_owned(),
        }
    }
}

/// A change as it is written.
#[derive(Serialize)]
struct Change<'a> {
    /// Counts changes since the daemon started.
    number: u64,
    /// Seconds since 1970, by the clock on the wall.
    time_s: f64,
    what: &'static str,
    which: &'a str,
    from: Option<&'a str>,
    to: Option<&'a str>,
    reason: Option<&'a str>,
}

/// The row of changes.
#[derive(Debug)]
pub(crate) struct News {
    /// Tells this daemon's changes from those of one before.
    epoch: u64,
    kept: RefCell<VecDeque<Rc<str>>>,
    /// The number of the next change.
    next: Cell<u64>,
    fresh: Notify,
}

impl News {
    pub(crate) fn new() -> Self {
        Self {
            epoch: since_1970().as_secs(),
            kept: RefCell::new(VecDeque::with_capacity(NEWS_KEPT)),
            next: Cell::new(1),
            fresh: Notify::new(),
        }
    }

    /// Something changed.
    pub(crate) fn tell(&self, what: What, from: Option<&str>, to: Option<&str>, reason: Option<&str>) {
        let number = self.next.get();
        let which = what.which();
        let time_s = since_1970().as_millis() as f64 / 1000.0;
        let change = Change { number, time_s, what: what.name(), which: &which, from, to, reason };
        // Texts and numbers: nothing in it can fail to be JSON.
        let text = serde_json::to_string(&change).unwrap_or_default();
        let mut kept = self.kept.borrow_mut();
        if kept.len() == NEWS_KEPT {
            kept.pop_front();
        }
        kept.push_back(text.into());
        self.next.set(number + 1);
        self.fresh.notify_waiters();
    }

    /// Tells this daemon's changes from those of one before.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// How many changes there were.
    pub(crate) fn told(&self) -> u64 {
        self.next.get() - 1
    }

    /// The number of the oldest change that is kept.
    fn oldest(&self) -> u64 {
        self.next.get() - self.kept.borrow().len() as u64
    }

    /// Follows from the next change on.
    pub(crate) fn follow(&self) -> Follower {
        Follower { next: self.next.get() }
    }

    /// Follows from behind the change with this number, if what came since is still there.
    pub(crate) fn follow_after(&self, number: u64) -> Option<Follower> {
        let next = number.checked_add(1)?;
        (self.oldest()..=self.next.get()).contains(&next).then_some(Follower { next })
    }
}

/// What a follower finds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// A change: its number and its JSON.
    Change(u64, Rc<str>),
    /// So many changes are gone: it was too slow.
    Missed(u64),
}

/// Somebody's place in the row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Follower {
    next: u64,
}

impl Follower {
    /// The number of the change that it saw last.
    pub(crate) fn seen(self) -> u64 {
        self.next - 1
    }

    /// What is there already.
    pub(crate) fn read(&mut self, news: &News) -> Option<Told> {
        let oldest = news.oldest();
        if self.next < oldest {
            let missed = oldest - self.next;
            self.next = oldest;
            return Some(Told::Missed(missed));
        }
        let text = Rc::clone(news.kept.borrow().get((self.next - oldest) as usize)?);
        self.next += 1;
        Some(Told::Change(self.next - 1, text))
    }

    /// Waits for what comes next. A wait that is given up loses nothing.
    pub(crate) async fn next(&mut self, news: &News) -> Told {
        loop {
            // Before the look, so that nothing comes between.
            let fresh = news.fresh.notified();
            if let Some(told) = self.read(news) {
                return told;
            }
            fresh.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tell(news: &News, count: usize) {
        (0..count).for_each(|_| news.tell(What::Client(7), None, Some("listener"), Some("\"x\"\n")));
    }

    #[test]
    fn who_keeps_up_sees_every_change_and_who_does_not_is_told_how_many_it_missed() {
        let news = News::new();
        let (mut quick, mut slow) = (news.follow(), news.follow());
        for number in 1..=NEWS_KEPT as u64 + 10 {
            tell(&news, 1);
            assert!(matches!(quick.read(&news), Some(Told::Change(n, _)) if n == number));
            assert_eq!(quick.read(&news), None);
        }
        assert_eq!(slow.read(&news), Some(Told::Missed(10)));
        assert!(matches!(slow.read(&news), Some(Told::Change(11, _))));
        assert_eq!(news.kept.borrow().len(), NEWS_KEPT);
    }

    #[test]
    fn who_comes_back_goes_on_where_it_was_if_that_is_still_there() {
        let news = News::new();
        tell(&news, NEWS_KEPT + 10);
        let last = news.told();
        assert_eq!(news.follow_after(last).unwrap().read(&news), None);
        assert!(matches!(news.follow_after(10).unwrap().read(&news), Some(Told::Change(11, _))));
        for gone_or_to_come in [0, 9, last + 1, u64::MAX] {
            assert!(news.follow_after(gone_or_to_come).is_none(), "{gone_or_to_come}");
        }
    }

    #[test]
    fn a_change_is_one_line_of_json() {
        let news = News::new();
        let mut follower = news.follow();
        news.tell(What::Device(Direction::Capture), Some("running"), Some("lost"), Some("pulled\nout"));
        let Some(Told::Change(1, text)) = follower.read(&news) else { panic!("nothing") };
        assert!(!text.contains('\n'), "{text}");
        let change: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&change["what"], &change["which"]), (&"device".into(), &"capture".into()));
        assert_eq!((&change["from"], &change["to"]), (&"running".into(), &"lost".into()));
        assert_eq!(change["reason"], "pulled\nout");
    }

    #[test]
    fn a_wait_ends_with_the_next_change() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let news = News::new();
        let mut follower = news.follow();
        let told = runtime.block_on(async {
            let (told, ()) = tokio::join!(follower.next(&news), async { tell(&news, 1) });
            told
        });
        assert!(matches!(told, Told::Change(1, _)));
    }
}
