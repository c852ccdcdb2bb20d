//! Server-sent events: first how everything is, then each change as it happens.
//!
//! A connection that takes nothing is not waited for. The next event is only made when there is room for it, from the row
//! of [`news`](crate::daemon::news), so a slow follower holds up nobody and costs nothing; when it has fallen behind too
//! far it is told how many changes it missed, and how everything is now. One that takes nothing at all is cut off by the
//! kernel ([`super::serve`]).

use super::Place;
use crate::daemon::hub::Hub;
use crate::daemon::news::{Follower, Told};
use hyper::body::Bytes;
use soundpost_core::capacity::NEWS_AT_ONCE;
use soundpost_core::config::WEB;
use std::fmt::Write as _;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

type Step = Pin<Box<dyn Future<Output = (Feed, Bytes)>>>;

/// Events without end.
pub(super) struct Stream(Step);

impl Stream {
    /// Begins behind the event that a follower saw last, if it says so and that is still known; else with a snapshot.
    pub(super) fn new(hub: Rc<Hub>, place: Place, seen: Option<&str>) -> Self {
        let resumed = seen.and_then(|seen| {
            let (epoch, number) = seen.split_once('-')?;
            let is_ours = epoch.parse() == Ok(hub.news.epoch());
            hub.news.follow_after(number.parse().ok().filter(|_| is_ours)?)
        });
        let snapshot = resumed.is_none();
        let follower = resumed.unwrap_or_else(|| hub.news.follow());
        Self(Box::pin(Feed { hub, follower, snapshot, _place: place }.step()))
    }

    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Bytes> {
        let (feed, bytes) = ready!(self.0.as_mut().poll(context));
        self.0 = Box::pin(feed.step());
        Poll::Ready(bytes)
    }
}

/// Somebody who follows.
struct Feed {
    hub: Rc<Hub>,
    follower: Follower,
    /// The next event is how everything is.
    snapshot: bool,
    _place: Place,
}

impl Feed {
    /// What there is to say next, when there is something.
    async fn step(mut self) -> (Self, Bytes) {
        let mut text = String::new();
        if std::mem::take(&mut self.snapshot) {
            // Everything up to here is in it.
            self.follower = self.hub.news.follow();
            let id = self.follower.seen();
            self.write(&mut text, "snapshot", Some(id), &self.hub.status().to_json());
            return (self, text.into());
        }
        let heartbeat = Duration::from_micros(WEB.heartbeat.as_micros());
        match tokio::time::timeout(heartbeat, self.follower.next(&self.hub.news)).await {
            Ok(told) => self.put(&mut text, &told),
            Err(_) => text.push_str(": still here\n\n"),
        }
        for _ in 1..NEWS_AT_ONCE {
            match (self.snapshot, self.follower.read(&self.hub.news)) {
                (false, Some(told)) => self.put(&mut text, &told),
                // A snapshot is due, which has it all; or there is no more.
                _ => break,
            }
        }
        (self, text.into())
    }

    fn put(&mut self, text: &mut String, told: &Told) {
        match told {
            Told::Change(number, json) => self.write(text, "change", Some(*number), json),
            Told::Missed(count) => {
                self.write(text, "missed", None, &format!("{{\"missed\":{count}}}"));
                self.snapshot = true;
            }
        }
    }

    fn write(&self, text: &mut String, name: &str, id: Option<u64>, json: &str) {
        let _ = writeln!(text, "event: {name}");
        if let Some(id) = id {
            let _ = writeln!(text, "id: {}-{id}", self.hub.news.epoch());
        }
        let _ = write!(text, "data: {json}\n\n");
    }
}
