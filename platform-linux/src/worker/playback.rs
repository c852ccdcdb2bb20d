//! A playback worker: what comes over the link goes to the audio thread; how it gets on goes back.

use super::{Order, PlaybackWord, Ready, Task, Trade, Word, WorkerError, order, sandbox};
use crate::direction::{PlaybackSide, State};
use crate::pcm::{Choice, Opened};
use crate::rt;
use crate::socket::Sent;
use crate::worker::link::{Link, Received};
use soundpost_core::config::{BOARD, Direction, TIMING};
use soundpost_core::pitch::STEP;
use soundpost_core::time::Span;
use soundpost_core::watch::PATIENCE;
use std::time::Duration;

pub(super) async fn serve(
    trade: Trade<'_>,
    choice: &Choice,
    task: &Task,
    leave: impl Future<Output = ()>,
) -> Result<(), WorkerError> {
    let Task::Playback { channels, playout, hush, muted, counts } = task else { return Ok(()) };
    let fence = sandbox::Fence::of(choice, Direction::Playback, trade.confined);
    let mut sandbox = fence.put_up();
    let grants = rt::prepare();
    let side = match counts {
        Some(counts) => PlaybackSide::resume(choice, *channels, *playout, counts),
        None => PlaybackSide::start(choice, *channels, *playout),
    };
    let mut side = side.map_err(|error| WorkerError::Failed(error.to_string()))?;
    side.hush.set(*hush);
    // A ring that nobody has used yet has room for it.
    let _ = side.set_muted(*muted);
    let opened = side.opened().clone();
    fence.close(&mut sandbox);
    let ready = Ready { opened: opened.clone(), grants, sandbox };
    let _ = trade.link.say(&Word::Ready(Box::new(ready)));
    let mut speaker = Speaker { link: trade.link, opened, rejected: 0, said: None };
    speaker.work(&mut side, trade.room, leave).await
}

struct Speaker<'a> {
    link: &'a Link,
    opened: Opened,
    /// Packets that found no slot or no room.
    rejected: u64,
    /// What was last said of the device, and whether somebody was played.
    said: Option<(State, bool)>,
}

impl Speaker<'_> {
    async fn work(
        &mut self,
        side: &mut PlaybackSide,
        room: &mut [u8],
        leave: impl Future<Output = ()>,
    ) -> Result<(), WorkerError> {
        let ear = side.bell.ear()?;
        let mut looks = tokio::time::interval(span(PATIENCE.look));
        let mut ticks = tokio::time::interval(span(TIMING.report_pause));
        let mut paces = tokio::time::interval(span(STEP));
        tokio::pin!(leave);
        loop {
            tokio::select! {
                received = self.link.receive(room) => match received? {
                    Received::Packet(header, payload) => {
                        self.rejected += u64::from(side.push(header, payload, false).is_err());
                        continue;
                    }
                    Received::Said(bytes) => match order(bytes) {
                        Some(Order::Hush(silent)) => side.hush.set(silent),
                        // No room only while the audio thread stands still; the daemon says again what is not done.
                        Some(Order::Playback(command)) => drop(side.command(command)),
                        Some(Order::Leave) => break,
                        Some(Order::Begin(_) | Order::Command(_) | Order::Reshape(_)) | None => {}
                    },
                    Received::Closed => break,
                    Received::Nonsense(_) => {}
                },
                heard = ear.hear() => heard?,
                _ = looks.tick() => side.watch(),
                _ = ticks.tick() => self.said = None,
                _ = paces.tick() => { side.tend_pace(); }
                () = &mut leave => break,
            }
            self.report(side);
        }
        // The sound fades over a period, and what the device holds is played.
        side.hush.set(true);
        tokio::time::sleep(span(BOARD.amp_drain)).await;
        self.said = None;
        self.report(side);
        Ok(())
    }

    /// Says how it gets on, if that is news or nothing was said for a while.
    fn report(&mut self, side: &mut PlaybackSide) {
        let (report, state) = (side.report(), side.state());
        let opened = (*side.opened() != self.opened).then(|| side.opened().clone());
        if self.said == Some((state, report.playing)) && opened.is_none() {
            return;
        }
        let word = PlaybackWord {
            report,
            state,
            turns: side.turns(),
            pool: side.pool(),
            rejected: self.rejected,
            pace: side.pace().into(),
            opened: opened.clone().map(Box::new),
        };
        if self.link.say(&Word::Playback(Box::new(word))) == Sent::Yes {
            self.said = Some((state, report.playing));
            self.opened = opened.unwrap_or_else(|| self.opened.clone());
        }
    }
}

fn span(span: Span) -> Duration {
    Duration::from_micros(span.as_micros())
}
