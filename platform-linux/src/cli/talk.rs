//! `soundpost talk`: send sound from a file or a sound card to a daemon's speaker.

use super::{Outcome, SocketArg, StreamArgs, live, runtime};
use crate::client::{ClientError, Connection, Incoming};
use crate::direction::{CaptureSide, State};
use crate::pcm::Choice;
use crate::rt;
use crate::socket::Sent;
use clap::Args;
use soundpost_core::board::Muted;
use soundpost_core::config::{Content, Direction};
use soundpost_core::wire::{Hello, Kind, Role};
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
    #[command(flatten)]
    socket: SocketArg,
}

impl Talk {
    pub(super) fn run(self) -> Outcome {
        runtime()?.block_on(async {
            let hello = Hello { role: Role::Talker, takeover: self.takeover, name: "soundpost talk" };
            let mut connection = Connection::open(&self.socket.path(), &hello).await?;
            let _ = rt::prepare();
            let stream = self.stream.stream(Direction::Playback, Content::Program);
            let mut side = CaptureSide::start(&self.input, stream, Muted(false))?;
            eprintln!("talking: {}", side.opened);
            let (sent, dropped) = send(&mut connection, &mut side).await?;
            live::end();
            Ok(super::print(&format!("{sent} packets sent, {dropped} dropped\n"))?)
        })
    }
}

/// Sends what is captured until it ends or somebody interrupts. Returns packets sent and dropped.
async fn send(connection: &mut Connection, side: &mut CaptureSide) -> Result<(u64, u64), ClientError> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let ear = side.bell.ear()?;
    let mut ticks = tokio::time::interval(Duration::from_millis(200));
    let (mut sent, mut dropped, shown) = (0, 0, live::wanted());
    loop {
        tokio::select! {
            heard = ear.hear() => {
                heard?;
                // The state first: what was captured before the end is in the ring by then.
                let ended = side.state() == State::Ended;
                while let Some(packet) = side.next_packet() {
                    match packet.with(|frame| connection.send_packet(&frame.header, frame.payload())) {
                        Sent::Yes => sent += 1,
                        Sent::Full => dropped += 1,
                        // Why it is gone is in what it last said.
                        Sent::Gone => return connection.next().await.and(Err(ClientError::Closed)),
                    }
                }
                if ended {
                    break;
                }
            }
            incoming = connection.next() => if let Incoming::Bye = incoming? {
                eprintln!("the daemon stops");
                return Ok((sent, dropped));
            },
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
            _ = ticks.tick(), if shown => {
                let level = crate::daemon::status::dbfs(side.report().level);
                live::show(&format!("{} {sent} packets sent, {dropped} dropped", live::meter(level)));
            }
        }
    }
    connection.send(Kind::Bye, &[])?;
    Ok((sent, dropped))
}
