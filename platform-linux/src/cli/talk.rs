//! `soundpost talk`: send sound from a file or a sound card to a daemon's speaker.

use super::{Outcome, SocketArg, StreamArgs, live, runtime};
use crate::direction::{CaptureSide, Captured, State};
use crate::pcm::Choice;
use crate::rt::{self, now};
use clap::Args;
use soundpost_client::{Additions, Error, Event, Hello, Kind, Report, Role, Sent, asynchronous::Connection};
use soundpost_core::board::Muted;
use soundpost_core::config::{Content, Direction, Tuning};
use soundpost_core::engine::capture::Command;
use soundpost_core::redundancy::{self, Redundancy};
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

/// Send sound to a daemon's speaker.
#[derive(Debug, Args)]
pub(super) struct Talk {
    /// Where the sound comes from: alsa:NAME, file:PATH.wav[?loop], tone: or auto.
    #[arg(short, long, value_name = "URI")]
    input: Choice,
    /// Take the floor from whoever is talking.
    #[arg(long)]
    takeover: bool,
    #[command(flatten)]
    stream: StreamArgs,
    /// Do not report loss, and neither get nor send packets twice because of it.
    #[arg(long)]
    no_redundancy: bool,
    #[command(flatten)]
    socket: SocketArg,
}

impl Talk {
    pub(super) fn run(self) -> Outcome {
        runtime()?.block_on(async {
            let hello = Hello {
                role: Role::Talker,
                takeover: self.takeover,
                additions: Additions { redundancy: !self.no_redundancy, notices: true },
                name: "soundpost talk",
            };
            let mut connection = Connection::open(&self.socket.path(), &hello).await?;
            let _ = rt::prepare();
            let stream = self.stream.stream(Direction::Playback, Content::Program);
            let mut side = CaptureSide::start(&self.input, stream, Muted(false))?;
            eprintln!("talking: {}", side.opened);
            let mut line = Line::default();
            line.send(&mut connection, &mut side).await?;
            live::end();
            let Line { sent, dropped, copies, .. } = line;
            Ok(super::print(&format!("{sent} packets sent, {copies} of them with a copy, {dropped} dropped\n"))?)
        })
    }
}

/// What goes out, and what the other end says about it.
#[derive(Debug, Default)]
struct Line {
    sent: u64,
    dropped: u64,
    copies: u64,
    redundancy: Redundancy,
    /// What the encoder was told to expect.
    expected_loss: u8,
    /// The packet before, while copies are sent.
    before: Option<Captured>,
}

impl Line {
    /// Sends what is captured until it ends or somebody interrupts.
    async fn send(&mut self, connection: &mut Connection, side: &mut CaptureSide) -> Result<(), Error> {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let ear = side.bell.ear()?;
        let mut ticks = tokio::time::interval(Duration::from_millis(200));
        let shown = live::wanted();
        loop {
            tokio::select! {
                heard = ear.hear() => {
                    heard?;
                    // The state first: what was captured before the end is in the ring by then.
                    let ended = side.state() == State::Ended;
                    while let Some(packet) = side.next_packet() {
                        if self.hand_on(connection, side, packet) == Sent::Gone {
                            // Why it is gone is in what it last said.
                            return connection.event().await.and(Err(Error::Closed));
                        }
                    }
                    if ended {
                        break;
                    }
                }
                event = connection.event() => match event? {
                    Event::Bye => {
                        eprintln!("the daemon stops");
                        return Ok(());
                    }
                    Event::Report(report) => self.heed(report, side),
                    Event::Dropped { fresh, .. } => tracing::warn!("the daemon had no room for {fresh} packets"),
                    Event::Packet(..) | Event::Status(_) | Event::Answer(_) => {}
                },
                _ = interrupt.recv() => break,
                _ = terminate.recv() => break,
                _ = ticks.tick(), if shown => {
                    let level = crate::daemon::status::dbfs(side.report().level);
                    live::show(&format!("{} {} packets sent, {} dropped", live::meter(level), self.sent, self.dropped));
                }
            }
        }
        connection.send(Kind::Bye, &[])
    }

    fn hand_on(&mut self, connection: &Connection, side: &CaptureSide, packet: Captured) -> Sent {
        let (sent, copied) = packet.with(|frame| match &self.before {
            Some(before) => before.with(|before| connection.send_frame(frame, Some(before))),
            None => connection.send_frame(frame, None),
        });
        match sent {
            Sent::Yes => {
                self.sent += 1;
                self.copies += u64::from(copied);
            }
            Sent::Full => self.dropped += 1,
            Sent::Gone => {}
        }
        self.before = redundancy::copies(&side.stream, self.redundancy.need()).then_some(packet);
        sent
    }

    /// The daemon says what arrived.
    fn heed(&mut self, report: Report, side: &mut CaptureSide) {
        self.redundancy.observe(now(), report);
        let percent = redundancy::in_band(&side.stream, self.redundancy.need());
        let tuning = Tuning { expected_loss_percent: percent, ..side.stream.tuning };
        // With no room for a command, the next report brings the next attempt.
        if percent != self.expected_loss && side.command(Command::Retune(tuning, side.stream.frame)).is_ok() {
            self.expected_loss = percent;
        }
    }
}
