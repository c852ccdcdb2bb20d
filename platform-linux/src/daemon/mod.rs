//! The daemon: one capture, one playback, and any number of clients on the public socket.
//!
//! Everything here runs on one thread (tokio, current-thread). Devices and codecs are in [`crate::worker`]s, which are
//! reached through links alone: a codec that crashes or a driver that hangs takes one direction for a moment and nothing
//! else. No client can hold up another, or the sound: what a client cannot take at once is dropped for that client and
//! counted.

pub mod access;
mod capture;
mod clients;
mod commands;
mod hub;
mod keep;
mod mutes;
mod notify;
mod playback;
mod roster;
pub mod status;

use crate::board::{self, Amp, Parts, Wiring};
use crate::gpio::{Edges, GpioError};
use crate::handed;
use crate::pcm::Choice;
use crate::rt;
use crate::socket::{BindError, PublicSocket};
use crate::worker::process::{Launch, name};
use access::AllowList;
use hub::Hub;
use keep::Keeper;
use notify::Manager;
use soundpost_core::config::{Direction, Gain, Playout, Quality, Stream};
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
    /// Who may connect to it.
    pub allow: AllowList,
    /// How many may at once.
    pub clients_max: usize,
    /// What is on the board's pins.
    pub wiring: Wiring,
    /// How the workers are run.
    pub launch: Launch,
}

/// Why the daemon did not start.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The socket.
    #[error(transparent)]
    Socket(#[from] BindError),
    /// A direction.
    #[error("{direction} {uri}: {why}")]
    Start {
        /// Which.
        direction: &'static str,
        /// The device that was asked for.
        uri: Box<Choice>,
        /// What is wrong.
        why: String,
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
    mut settings: Settings,
    on_ready: impl FnOnce(&status::Status),
    on_tick: Option<fn(&status::Status)>,
) -> Result<(), RunError> {
    let handed = handed::socket()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let _inside = runtime.enter();
    // The socket first: a second daemon must not touch the devices of the one that runs.
    let socket = match handed {
        Some((socket, path)) => PublicSocket::take(socket, path)?,
        None => PublicSocket::bind(&settings.socket, !settings.allow.is_empty())?,
    };
    socket.path().clone_into(&mut settings.socket);
    access::make_room_for(settings.clients_max);
    // The pins before the microphone: one whose lamp or switch is missing is not opened at all.
    let (panel, gate) = Parts::open(&settings.wiring)?.split();
    rt::prepare_io();
    let directions = [Direction::Capture, Direction::Playback];
    let [capture, playback] = directions.map(|direction| keep::ward(direction, settings.launch.clone()));
    let uris = [&settings.capture, &settings.playback].map(|uri| Box::new(uri.clone()));
    let hub = Rc::new(Hub::new(settings, [capture.books(), playback.books()], panel));
    let mut keepers =
        [Keeper::new(&hub, Direction::Capture, capture), Keeper::new(&hub, Direction::Playback, playback)];
    let hush = hub.hush();
    let started = runtime.block_on(begin(&mut keepers, uris)).and_then(|()| {
        hub.set_amp(gate.map(|gate| Amp::start(gate, move |silent| hush.set(silent))).transpose()?);
        Ok(())
    });
    if let Err(error) = started {
        // Who is told that we failed finds the devices free.
        hub.stop_workers();
        for keeper in keepers {
            runtime.block_on(keeper.follow());
        }
        return Err(error);
    }
    on_ready(&hub.status());
    let manager = Manager::from_environment();
    manager.say("READY=1\nSTATUS=Capture and playback run");
    LocalSet::new().block_on(&runtime, serve(hub, keepers, socket, on_tick, &manager))?;
    Ok(())
}

/// Starts one worker after the other: if one cannot begin, the next touches nothing.
async fn begin(keepers: &mut [Keeper; 2], uris: [Box<Choice>; 2]) -> Result<(), RunError> {
    for (keeper, uri) in keepers.iter_mut().zip(uris) {
        let direction = name(keeper.direction());
        keeper.begin().await.map_err(|why| RunError::Start { direction, uri, why })?;
    }
    Ok(())
}

/// Serves clients and hands packets on until a signal comes.
async fn serve(
    hub: Rc<Hub>,
    keepers: [Keeper; 2],
    mut socket: PublicSocket,
    on_tick: Option<fn(&status::Status)>,
    manager: &Manager,
) -> std::io::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let mut dump = signal(SignalKind::user_defined1())?;
    let mut meals = manager.meals();
    let workers = keepers.map(|keeper| tokio::task::spawn_local(keeper.follow()));
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
            () = meals.next() => if hub.gave_up() {
                manager.say("STATUS=A worker was given up; SIGHUP tries again");
            } else {
                manager.say("WATCHDOG=1\nSTATUS=Capture and playback run");
            },
            _ = hangup.recv() => {
                tracing::info!("there is nothing to load again yet; workers that were given up are tried again");
                hub.start_workers();
            }
            _ = dump.recv() => tracing::info!("status {}", hub.status().to_json()),
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
        }
    }
    manager.say("STOPPING=1");
    hub.stop_workers();
    for worker in workers {
        let _ = worker.await;
    }
    pins.inspect(tokio::task::JoinHandle::abort);
    hub.roster.close_all();
    tracing::info!("stopped");
    Ok(())
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
