//! The daemon: one capture, one playback, and any number of clients on the public socket.
//!
//! Everything here runs on one thread (tokio, current-thread). Devices and codecs are in [`crate::worker`]s, which are
//! reached through links alone: a codec that crashes or a driver that hangs takes one direction for a moment and nothing
//! else. No client can hold up another, or the sound: what a client cannot take at once is dropped for that client and
//! counted.

pub mod access;
mod capture;
mod changes;
mod clients;
mod commands;
pub mod control;
mod govern;
pub(crate) mod hub;
mod keep;
mod lookout;
mod memory;
mod mutes;
pub(crate) mod news;
mod notify;
mod playback;
mod roster;
pub mod status;

use crate::board::{self, Amp, Parts, Wiring};
use crate::configuration::{Effective, Live};
use crate::gpio::{Edges, GpioError};
use crate::handed;
use crate::http::{self, Counter, HttpError, Listen};
use crate::pcm::Choice;
use crate::rt;
use crate::socket::{BindError, PublicSocket};
use crate::worker::process::{Launch, name};
use access::AllowList;
use control::Verb;
use hub::Hub;
use keep::Keeper;
use lookout::Lookout;
pub(crate) use memory::state_directory;
use notify::Manager;
use soundpost_core::config::{Direction, Gain, Playout, Quality, Stream};
use soundpost_core::quality::OBSERVE_EVERY;
use std::path::PathBuf;
use std::rc::Rc;
use tokio::signal::unix::{Signal, SignalKind, signal};
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
    /// Where HTTP is served; with nothing said, at the default address if that is free.
    pub listen: Option<Listen>,
    /// The file with what lets somebody in over HTTP.
    pub token_file: Option<PathBuf>,
    /// Where what outlasts the daemon is kept.
    pub state: Option<PathBuf>,
    /// What is on the board's pins.
    pub wiring: Wiring,
    /// How the workers are run.
    pub launch: Launch,
}

impl Settings {
    /// Goes over to what another configuration says, as far as that takes no restart, but with this preset.
    fn follow(&mut self, to: &Effective, quality: Quality) {
        let values = to.values().clone();
        self.quality = quality;
        self.talk = values.talk();
        self.capture = values.capture.with_volume(values.capture_volume);
        self.playback = values.playback.with_volume(values.playback_volume);
        self.playout = values.profile;
        (self.capture_gain, self.playback_gain) = (values.capture_gain, values.playback_gain);
    }
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
    /// HTTP.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// A pin.
    #[error(transparent)]
    Pin(#[from] GpioError),
    /// The runtime.
    #[error("cannot start the I/O side: {0}")]
    System(#[from] std::io::Error),
}

/// Runs as `live` says until a signal asks to stop; workers log at `log_level`.
///
/// `on_ready` is called once the socket is open; `on_tick` several times a second with a fresh status.
///
/// # Errors
/// [`RunError`] if it cannot start.
pub fn run(
    live: Live,
    log_level: tracing::Level,
    on_ready: impl FnOnce(&status::Status),
    on_tick: Option<fn(&status::Status)>,
) -> Result<(), RunError> {
    let mut settings = live.effective().settings(log_level);
    let handed = handed::socket()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let _inside = runtime.enter();
    // The socket first: a second daemon must not touch the devices of the one that runs.
    let socket = match handed {
        Some((socket, path)) => PublicSocket::take(socket, path)?,
        None => PublicSocket::bind(&settings.socket, !settings.allow.is_empty())?,
    };
    socket.path().clone_into(&mut settings.socket);
    let counter = Counter::open(settings.listen, settings.token_file.as_deref())?;
    access::make_room_for(settings.clients_max);
    // The pins before the microphone: one whose lamp or switch is missing is not opened at all.
    let (panel, gate) = Parts::open(&settings.wiring)?.split();
    rt::prepare_io();
    let directions = [Direction::Capture, Direction::Playback];
    let [capture, playback] = directions.map(|direction| keep::ward(direction, settings.launch.clone()));
    let uris = [&settings.capture, &settings.playback].map(|uri| Box::new(uri.clone()));
    let url = counter.as_ref().map(Counter::url);
    let hub = Rc::new(Hub::new(live, settings, [capture.books(), playback.books()], panel, url));
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
    // Before anybody is told that it is ready: who then ends it at once ends it in order.
    let signals = Signals::catch()?;
    on_ready(&hub.status());
    let manager = Manager::from_environment();
    manager.say("READY=1\nSTATUS=Capture and playback run");
    LocalSet::new().block_on(&runtime, serve(hub, keepers, Doors { socket, counter }, signals, on_tick, &manager))?;
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

/// Where people and programs come in.
struct Doors {
    socket: PublicSocket,
    counter: Option<Counter>,
}

/// What the system or a person says to the process.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
    dump: Signal,
}

impl Signals {
    fn catch() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
            dump: signal(SignalKind::user_defined1())?,
        })
    }
}

/// Serves clients and hands packets on until a signal comes.
async fn serve(
    hub: Rc<Hub>,
    keepers: [Keeper; 2],
    Doors { mut socket, counter }: Doors,
    Signals { mut interrupt, mut terminate, mut hangup, mut dump }: Signals,
    on_tick: Option<fn(&status::Status)>,
    manager: &Manager,
) -> std::io::Result<()> {
    let mut meals = manager.meals();
    let workers = keepers.map(|keeper| tokio::task::spawn_local(keeper.follow()));
    let pins = hub.has_pins().then(|| tokio::task::spawn_local(tend_pins(Rc::clone(&hub))));
    tokio::task::spawn_local(remember(Rc::clone(&hub)));
    if let Some(counter) = counter {
        tokio::task::spawn_local(http::serve(Rc::clone(&hub), counter));
    }
    let mut lookout = Lookout::on(hub.live.borrow().place().path());
    let mut looks = tokio::time::interval(std::time::Duration::from_micros(OBSERVE_EVERY.as_micros()));
    looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
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
                reload(&hub);
                let _ = control::obey(&hub, Verb::Reset);
            }
            () = lookout.changed() => reload(&hub),
            _ = looks.tick() => hub.govern(),
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
    // What the task has not come to yet.
    hub.mutes.settle();
    hub.roster.close_all();
    tracing::info!("stopped");
    Ok(())
}

/// Writes down what is to outlast the daemon, whenever that changes; never on the thread that hands packets on.
async fn remember(hub: Rc<Hub>) {
    loop {
        hub.mutes.settle_elsewhere().await;
    }
}

/// Reads the configuration again; says what came of it.
fn reload(hub: &Rc<Hub>) {
    match control::obey(hub, Verb::Reload) {
        Ok(done) if done.changes.is_empty() => tracing::info!("the configuration was read again; nothing differs"),
        Ok(done) => tracing::info!("the configuration was read again; change {}", done.generation),
        Err(refused) => {
            for fault in refused.faults {
                tracing::error!("the configuration stays as it was: {fault}");
            }
        }
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
