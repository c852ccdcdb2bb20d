//! A capture worker: its audio thread sends packets as they are coded; the other one hands commands on and says how it
//! gets on.

use super::{CaptureWord, Order, Ready, Trade, Word, WorkerError, order, sandbox};
use crate::direction::{CaptureSide, Outlet, State};
use crate::pcm::{Choice, Opened};
use crate::rt;
use crate::socket::Sent;
use crate::worker::link::{self, Link, Received};
use soundpost_core::board::Muted;
use soundpost_core::config::{Direction, Stream, TIMING};
use soundpost_core::engine::capture::Resume;
use soundpost_core::meter::CaptureReport;
use soundpost_core::watch::PATIENCE;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

pub(super) async fn serve(
    trade: Trade<'_>,
    choice: &Choice,
    stream: Stream,
    muted: bool,
    resume: Option<&Resume>,
    leave: impl Future<Output = ()>,
) -> Result<(), WorkerError> {
    let fence = sandbox::Fence::of(choice, Direction::Capture, trade.confined);
    let mut sandbox = fence.put_up();
    let grants = rt::prepare();
    // From the audio thread straight into the link: nobody in between has to wake up.
    let (mouth, dropped) = (trade.link.mouthpiece()?, Arc::new(AtomicU64::new(0)));
    let counted = Arc::clone(&dropped);
    let outlet: Outlet = Box::new(move |frame| {
        if link::send_frame(mouth.as_fd(), frame) == Sent::Full {
            counted.fetch_add(1, Ordering::Relaxed);
        }
    });
    let side = CaptureSide::begin(choice, stream, Muted(muted), resume, Some(outlet));
    let mut side = side.map_err(|error| WorkerError::Failed(error.to_string()))?;
    let opened = side.opened().clone();
    fence.close(&mut sandbox);
    let ready = Ready { opened: opened.clone(), grants, sandbox };
    let _ = trade.link.say(&Word::Ready(Box::new(ready)));
    let mut speaker = Speaker { link: trade.link, opened, commands: 0, dropped, said: None };
    speaker.work(&mut side, trade.room, leave).await
}

/// What of a report is news: commands that came and that were taken, changes in effect, mute, the device.
type News = (u32, u32, u32, bool, State);

struct Speaker<'a> {
    link: &'a Link,
    opened: Opened,
    /// Commands that are in the audio thread's ring, or were.
    commands: u32,
    /// Packets that the link had no room for.
    dropped: Arc<AtomicU64>,
    said: Option<News>,
}

impl Speaker<'_> {
    async fn work(
        &mut self,
        side: &mut CaptureSide,
        room: &mut [u8],
        leave: impl Future<Output = ()>,
    ) -> Result<(), WorkerError> {
        let ear = side.bell.ear()?;
        let mut looks = tokio::time::interval(Duration::from_micros(PATIENCE.look.as_micros()));
        let mut ticks = tokio::time::interval(Duration::from_micros(TIMING.report_pause.as_micros()));
        tokio::pin!(leave);
        loop {
            tokio::select! {
                heard = ear.hear() => heard?,
                received = self.link.receive(room) => match received? {
                    Received::Said(bytes) => match order(bytes) {
                        Some(Order::Command(command)) => {
                            // No room only if as many wait as the daemon's own count allows: then it is told so.
                            if side.command(command).is_ok() {
                                self.commands = self.commands.wrapping_add(1);
                            }
                        }
                        Some(Order::Reshape(stream)) => match side.reshape(&stream) {
                            Ok(taken) => self.commands = self.commands.wrapping_add(u32::from(taken)),
                            Err(error) => return Err(WorkerError::Failed(format!("libopus: {error}"))),
                        },
                        Some(Order::Leave) => break,
                        Some(Order::Begin(_) | Order::Hush(_) | Order::Playback(_)) | None => {}
                    },
                    Received::Closed => return Ok(()),
                    Received::Packet(..) | Received::Nonsense(_) => {}
                },
                _ = looks.tick() => side.watch(),
                _ = ticks.tick() => self.said = None,
                () = &mut leave => break,
            }
            self.report(side);
        }
        self.said = None;
        self.report(side);
        Ok(())
    }

    /// Says how it gets on, if that is news or nothing was said for a while.
    fn report(&mut self, side: &mut CaptureSide) {
        // In this order: what the report says of a device that is then seen closed still holds.
        let commands = self.commands;
        let report = side.report();
        let state = side.state();
        let news = (commands, report.commands, report.changes, report.is_muted, state);
        let opened = (*side.opened() != self.opened).then(|| side.opened().clone());
        if self.said == Some(news) && opened.is_none() {
            return;
        }
        let (dropped, pool, turns) = (self.dropped.load(Ordering::Relaxed), side.pool(), side.turns());
        let report = CaptureReport { ring_full: report.ring_full.wrapping_add(dropped), ..report };
        let word = CaptureWord { commands, report, state, turns, pool, opened: opened.clone().map(Box::new) };
        if self.link.say(&Word::Capture(Box::new(word))) == Sent::Yes {
            self.said = Some(news);
            self.opened = opened.unwrap_or_else(|| self.opened.clone());
        }
    }
}
