//! The daemon: one capture, one playback, and any number of clients on the public socket.
//!
//! Everything here runs on one thread (tokio, current-thread), so nothing is locked. The audio threads are
//! reached through rings alone. No client can hold up another, or the sound: what a client cannot take at
//! once is dropped for that client and counted.

mod clients;
mod hub;
pub mod status;

use crate::board::{self, Amp, Parts, Wiring};
use crate::direction::{CaptureSide, PlaybackSide, StartError, State};
use crate::gpio::{Edges, GpioError};
use crate::pcm::Choice;
use crate::rt::{self, Ear};
use crate::socket::{BindError, PublicSocket};
use hub::Hub;
use soundpost_core::config::{Channels, Gain, Playout, Quality, Stream};
use soundpost_core::pitch::STEP;
use soundpost_core::watch::PATIENCE;
use std::path::PathBuf;
use std::rc::Rc;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::LocalSet;

/// What the daemon is asked to do.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where sound comes from.
    pub capture: Choice,
    /// Where a talker's sound goes.
    pub playback: Choice,
    /// How it is played.
    pub playout: Playout,
    /// How much louder or softer sound is sent than it is captured.
    pub capture_gain: Gain,
    /// How much louder or softer sound is played than it was sent.
    pub playback_gain: Gain,
    /// The preset, for the record.
    pub quality: Quality,
    /// What is coded.
    pub stream: Stream,
    /// What talkers are asked to send.
    pub talk: Stream,
    /// The public socket.
    pub socket: PathBuf,
    /// What is on the board's pins.
    pub wiring: Wiring,
}

/// Why the daemon did not start.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The socket.
    #[error(transparent)]
    Socket(#[from] BindError),
    /// A direction.
    #[error("{direction} {uri}: {source}")]
    Start {
        /// Which.
        direction: &'static str,
        /// The device that was asked for.
        uri: Box<Choice>,
        /// What is wrong.
        source: StartError,
    },
    /// A pin.
    #[error(transparent)]
    Pin(#[from] GpioError),
    /// The runtime.
    #[error("cannot start the I/O side: {0}")]
    System(#[from] std::io::Error),
}

/// Runs until a signal asks to stop.
///
/// `on_ready` is called once the socket is open; `on_tick` several times a second with a fresh status.
///
/// # Errors
/// [`RunError`] if it cannot start.
pub fn run(
    settings: Settings,
    on_ready: impl FnOnce(&status::Status),
    on_tick: Option<fn(&status::Status)>,
) -> Result<(), RunError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let _inside = runtime.enter();
    // The socket first: a second daemon must not touch the devices of the one that runs.
    let socket = PublicSocket::bind(&settings.socket)?;
    // The pins before the microphone: one whose lamp or switch is missing is not opened at all.
    let (panel, gate) = Parts::open(&settings.wiring)?.split();
    let grants = rt::prepare();
    let failed = |direction, uri: &Choice| {
        let uri = Box::new(uri.clone());
        move |source| RunError::Start { direction, uri, source }
    };
    let mut capture = CaptureSide::start(&settings.capture, settings.stream, settings.wiring.begins_muted())
        .map_err(failed("capture", &settings.capture))?;
    let mut playback = PlaybackSide::start(&settings.playback, Channels::Stereo, settings.playout)
        .map_err(failed("playback", &settings.playback))?;
    // A ring that nobody has used yet has room for them.
    let _ = (capture.set_gain(settings.capture_gain), playback.set_gain(settings.playback_gain));
    tracing::debug!("capture: {}", capture.opened);
    tracing::debug!("playback: {}", playback.opened);
    let amp = gate.map(|gate| Amp::start(gate, playback.hush.clone())).transpose()?;
    let hub = Rc::new(Hub::new(settings, capture, playback, grants, (panel, amp)));
    on_ready(&hub.status());
    LocalSet::new().block_on(&runtime, serve(hub, socket, on_tick))?;
    Ok(())
}

/// Serves clients and hands packets on until a signal comes.
async fn serve(hub: Rc<Hub>, mut socket: PublicSocket, on_tick: Option<fn(&status::Status)>) -> std::io::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let packets = tokio::task::spawn_local(hand_on_packets(Rc::clone(&hub), hub.capture_bell().ear()?));
    let states = tokio::task::spawn_local(watch_playback(Rc::clone(&hub), hub.playback_bell().ear()?));
    let paces = tokio::task::spawn_local(tend_pace(Rc::clone(&hub)));
    let watch = tokio::task::spawn_local(watch_threads(Rc::clone(&hub)));
    let pins = hub.has_pins().then(|| tokio::task::spawn_local(tend_pins(Rc::clone(&hub))));
    let mut ticks = tokio::time::interval(std::time::Duration::from_millis(200));
    loop {
        tokio::select! {
            accepted = socket.accept() => match accepted {
                Ok(client) => clients::welcome(&hub, client),
                Err(error) => {
                    // Out of descriptors, most likely: the listener stays, and so must the processor's rest.
                    tracing::warn!("cannot accept a client: {error}");
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                }
            },
            _ = ticks.tick(), if on_tick.is_some() => {
                if let Some(tick) = &on_tick {
                    tick(&hub.status());
                }
            }
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
        }
    }
    packets.abort();
    states.abort();
    paces.abort();
    watch.abort();
    pins.inspect(tokio::task::JoinHandle::abort);
    hub.close_all();
    tracing::info!("stopped");
    Ok(())
}

/// Wakes with the capture thread's bell and gives every listener what is there.
async fn hand_on_packets(hub: Rc<Hub>, ear: Ear) {
    let mut shown = State::Running;
    while ear.hear().await.is_ok() {
        // The state first: what was captured before the end is in the ring by then.
        let state = hub.capture_state();
        hub.hand_on_packets();
        hub.guard_microphone();
        if state == State::Ended && shown != state {
            hub.dismiss_listeners();
        }
        report_change("capture", &mut shown, state);
    }
}

/// Tells the playback device how fast to run, where it can be told.
async fn tend_pace(hub: Rc<Hub>) {
    loop {
        tokio::time::sleep(std::time::Duration::from_micros(STEP.as_micros())).await;
        hub.tend_pace();
    }
}

/// Looks whether the audio threads get on; the bells tell the other tasks if not.
async fn watch_threads(hub: Rc<Hub>) {
    loop {
        tokio::time::sleep(std::time::Duration::from_micros(PATIENCE.look.as_micros())).await;
        hub.watch_threads();
    }
}

/// Looks at the pins when the switch has an edge, when the hub has news, and now and then.
async fn tend_pins(hub: Rc<Hub>) {
    let mut edges = hub.switch_edges();
    loop {
        let again = tokio::time::sleep(board::until(hub.tend_pins()));
        tokio::select! {
            edge = next_edge(edges.as_ref()) => if let Err(error) = edge {
                tracing::warn!("the mute switch tells no edges any more, so it is looked at now and then: {error}");
                edges = None;
            },
            () = hub.pins_wanted() => {}
            () = again => {}
        }
    }
}

/// The next edge of a switch that has edges; of another one there is none.
async fn next_edge(edges: Option<&Edges>) -> std::io::Result<()> {
    match edges {
        Some(edges) => edges.next().await,
        None => std::future::pending().await,
    }
}

async fn watch_playback(hub: Rc<Hub>, ear: Ear) {
    let mut shown = State::Running;
    while ear.hear().await.is_ok() {
        report_change("playback", &mut shown, hub.playback_state());
    }
}

fn report_change(direction: &str, shown: &mut State, state: State) {
    if *shown != state {
        match &state {
            State::Running => tracing::info!("{direction}: sound moves again"),
            State::Stopped => tracing::warn!("{direction}: the device's clock stands still; listening"),
            State::Opened(why) => tracing::debug!("{direction}: the device is open again after: {why}"),
            State::Lost(why) => tracing::warn!("{direction}: the device is lost: {why}; trying to get it back"),
            State::Stuck(stuck) => tracing::error!("{direction}: the audio thread is stuck {}", status::stuck(*stuck)),
            State::Ended => tracing::info!("{direction}: the recording is over"),
        }
        *shown = state;
    }
}
