//! `soundpost listen`: hear what a daemon captures, on a sound card or in a file.

use super::{Outcome, SocketArg, live, runtime};
use crate::daemon::status::PlaybackStatus;
use crate::direction::PlaybackSide;
use crate::pcm::Choice;
use crate::rt::{self, now};
use clap::Args;
use soundpost_client::{Additions, Error, Heard, Hello, Role, asynchronous::Listener};
use soundpost_core::config::Playout;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

/// Hear what a daemon captures.
#[derive(Debug, Args)]
pub(super) struct Listen {
    /// Where the sound goes: alsa:NAME, file:PATH.wav, null or auto.
    #[arg(short, long, default_value = "auto", value_name = "URI")]
    output: Choice,
    /// Stop after this long, such as 10s [default: listen until interrupted].
    #[arg(long = "for", value_name = "TIME", value_parser = super::duration)]
    limit: Option<Duration>,
    /// Print the final figures as JSON.
    #[arg(long)]
    json: bool,
    /// Delay or gaps: low, balanced, smooth or frozen.
    #[arg(long, default_value = "balanced", value_name = "PROFILE")]
    playout: Playout,
    /// Do not report loss, and neither get nor send packets twice because of it.
    #[arg(long)]
    no_redundancy: bool,
    #[command(flatten)]
    socket: SocketArg,
}

impl Listen {
    pub(super) fn run(self) -> Outcome {
        runtime()?.block_on(async {
            let hello = Hello {
                role: Role::Listener,
                takeover: false,
                additions: Additions { redundancy: !self.no_redundancy, notices: true },
                name: "soundpost listen",
            };
            let listener = Listener::open(&self.socket.path(), &hello).await?;
            let _ = rt::prepare();
            let mut side = PlaybackSide::start(&self.output, listener.welcome().channels, self.playout)?;
            eprintln!("listening: {}", side.opened);
            let ended = receive(listener, &mut side, self.limit).await;
            let status = figures(&mut side, &self.output);
            live::end();
            let json = || serde_json::to_string(&status).map(|json| json + "\n");
            super::print(&if self.json { json()? } else { status.to_string() })?;
            ended.map_err(Into::into)
        })
    }
}

/// Plays what comes until the time is up, somebody interrupts, or the daemon goes.
async fn receive(mut listener: Listener, side: &mut PlaybackSide, limit: Option<Duration>) -> Result<(), Error> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let deadline = tokio::time::sleep(limit.unwrap_or(Duration::MAX));
    tokio::pin!(deadline);
    let mut ticks = tokio::time::interval(Duration::from_millis(200));
    let (mut first, mut too_many, shown) = (true, 0_u64, live::wanted());
    loop {
        tokio::select! {
            biased;
            heard = listener.hear() => match heard? {
                Heard::Packet(header, payload) => match side.push(header, payload, first) {
                    Ok(()) => first = false,
                    Err(why) => {
                        too_many += 1;
                        tracing::debug!("a packet was not played: {why:?} ({too_many} so far)");
                    }
                },
                Heard::Dropped { fresh, total } => {
                    tracing::warn!("too slow: the daemon dropped {fresh} packets for this listener, {total} in all");
                }
                Heard::Bye => {
                    eprintln!("the daemon stops");
                    return Ok(());
                }
            },
            () = &mut deadline => break,
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
            _ = ticks.tick(), if shown => show(side),
        }
    }
    listener.leave();
    Ok(())
}

fn figures(side: &mut PlaybackSide, uri: &Choice) -> PlaybackStatus {
    let (report, pool) = (side.report(), side.pool());
    let opened = side.opened().clone();
    PlaybackStatus::of(&uri.to_string(), &opened, &side.state(), &report, report.metrics, pool, now())
}

/// The live line.
fn show(side: &mut PlaybackSide) {
    let report = side.report();
    let ms = |span: soundpost_core::time::Span| span.as_micros() as f64 / 1000.0;
    live::show(&format!(
        "{} {} packets, {} dropped │ latency {} │ held {:.1} of {:.1} ms, {:.0} ms made up, stretched {}×",
        live::meter(crate::daemon::status::dbfs(report.level)),
        report.metrics.frames_received,
        report.metrics.frames_dropped,
        live::latency(report.metrics.average_latency.map(ms)),
        ms(report.depth),
        ms(report.target),
        (report.concealed_samples + report.held_samples) as f64 / 48.0,
        report.removals + report.insertions,
    ));
}
