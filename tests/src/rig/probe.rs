//! The other end of every cable: a JACK client in the test process that plays and records. Promises
//! that a signal's first sample leaves exactly at the frame [`Probe::play`] names and that a
//! recording's first sample arrived exactly at its [`Recording::start`], both on the server's frame
//! clock; so the place of a played signal in a recording is its delay, to the sample. Its audio
//! thread allocates nothing and waits for nothing.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};
use std::time::Duration;

use jack::{AsyncClient, AudioIn, AudioOut, Client, ClientOptions, Control, NotificationHandler, Port, ProcessScope};

use super::Jack;
use super::tape::{Score, Tape};
use crate::until;

const VOICES: usize = 16;
const PICK_UP: Duration = Duration::from_secs(5);

/// Output and input ports in the test's hands. Ports are called `out_1…` and `in_1…`.
pub struct Probe {
    client: Option<AsyncClient<Watch, Audio>>,
    name: String,
    outputs: usize,
    inputs: usize,
    desk: Arc<Desk>,
    scores: Mutex<Vec<Arc<Score>>>,
    tapes: Mutex<Vec<Arc<Tape>>>,
    // After the client, which needs the server to say goodbye.
    _jack: Jack,
}

/// A recording so far: one signal per input port.
#[derive(Clone, Debug)]
pub struct Recording {
    /// The frame of the first sample.
    pub start: u64,
    /// The signals, all of the same length.
    pub channels: Vec<Vec<f32>>,
    /// Frames the audio thread missed since the start; silent in the signals.
    pub skipped: u64,
}

/// Where test and audio thread meet; the audio thread only ever tries these locks.
#[derive(Default)]
struct Desk {
    score: Mutex<Option<Arc<Score>>>,
    tape: Mutex<Option<Arc<Tape>>>,
    now: AtomicU64,
    xruns: AtomicU64,
}

/// Hears from the server when it missed a deadline.
struct Watch(Arc<Desk>);

impl NotificationHandler for Watch {
    fn xrun(&mut self, _: &Client) -> Control {
        self.0.xruns.fetch_add(1, Ordering::AcqRel);
        Control::Continue
    }
}

struct Audio {
    outputs: Vec<Port<AudioOut>>,
    inputs: Vec<Port<AudioIn>>,
    desk: Arc<Desk>,
    voices: [Option<Arc<Score>>; VOICES],
    tape: Option<Arc<Tape>>,
    expected: Option<u64>,
}

impl Probe {
    /// Opens a client called `name` with so many ports and waits until its audio thread runs.
    ///
    /// # Panics
    ///
    /// When the server refuses, or does not call the audio thread.
    pub fn open(jack: &Jack, name: &str, outputs: usize, inputs: usize) -> Self {
        let (client, _) = Client::new(name, ClientOptions::NO_START_SERVER)
            .unwrap_or_else(|e| panic!("no JACK client: {e}; server says:\n{}", jack.output()));
        let name = client.name().to_owned();
        let desk = Arc::new(Desk::default());
        let audio = Audio {
            outputs: register(&client, "out", outputs, AudioOut::default),
            inputs: register(&client, "in", inputs, AudioIn::default),
            desk: Arc::clone(&desk),
            voices: [const { None }; VOICES],
            tape: None,
            expected: None,
        };
        let client = client.activate_async(Watch(Arc::clone(&desk)), audio).expect("a new client can be activated");
        assert!(until(PICK_UP, || desk.now.load(Ordering::Acquire) > 0), "the clock stands still");
        Self {
            client: Some(client),
            name,
            outputs,
            inputs,
            desk,
            scores: Mutex::default(),
            tapes: Mutex::default(),
            _jack: jack.clone(),
        }
    }

    /// The full name of an output port, counted from 0.
    pub fn output(&self, index: usize) -> String {
        assert!(index < self.outputs, "no output {index}");
        format!("{}:out_{}", self.name, index + 1)
    }

    /// The full name of an input port, counted from 0.
    pub fn input(&self, index: usize) -> String {
        assert!(index < self.inputs, "no input {index}");
        format!("{}:in_{}", self.name, index + 1)
    }

    /// The first frame of the cycle after the latest one.
    pub fn now(&self) -> u64 {
        self.desk.now.load(Ordering::Acquire)
    }

    /// Deadlines that the server has missed since the probe was opened: then its clock jumped, and what was measured
    /// meanwhile says nothing about a program under test.
    pub fn xruns(&self) -> u64 {
        self.desk.xruns.load(Ordering::Acquire)
    }

    /// Plays a signal on all outputs as soon as possible; returns the frame of its first sample.
    /// Signals that overlap in time are mixed.
    pub fn play(&self, signal: &[f32]) -> u64 {
        self.put_on(vec![signal.to_vec(); self.outputs], None)
    }

    /// Plays one signal per output, an empty one for silence, all from the frame returned on.
    pub fn play_each(&self, signals: &[&[f32]]) -> u64 {
        self.put_on(signals.iter().map(|signal| signal.to_vec()).collect(), None)
    }

    /// Plays a signal on all outputs from the frame given on. Panics when that has passed.
    pub fn play_at(&self, frame: u64, signal: &[f32]) {
        let start = self.put_on(vec![signal.to_vec(); self.outputs], Some(frame));
        assert_eq!(start, frame, "asked to play in the past");
    }

    fn put_on(&self, parts: Vec<Vec<f32>>, at: Option<u64>) -> u64 {
        assert!(parts.len() <= self.outputs, "more signals than outputs");
        let score = Arc::new(Score::new(parts, at));
        let mut scores = self.scores.lock().unwrap_or_else(PoisonError::into_inner);
        scores.retain(|score| Arc::strong_count(score) > 1);
        scores.push(Arc::clone(&score));
        *self.desk.score.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&score));
        assert!(until(PICK_UP, || score.start().is_some()), "no voice is free, or the clock stands");
        score.start().expect("just seen")
    }

    /// Waits until everything put on has been played to its end.
    #[must_use]
    pub fn wait_played(&self, deadline: Duration) -> bool {
        let scores = self.scores.lock().unwrap_or_else(PoisonError::into_inner);
        until(deadline, || scores.iter().all(|score| score.done()))
    }

    /// Begins a new recording of so many frames of all inputs; returns its first frame.
    pub fn record_into(&self, capacity: usize) -> u64 {
        let tape = Arc::new(Tape::new(self.inputs, capacity));
        let mut tapes = self.tapes.lock().unwrap_or_else(PoisonError::into_inner);
        tapes.retain(|tape| Arc::strong_count(tape) > 1);
        tapes.push(Arc::clone(&tape));
        *self.desk.tape.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&tape));
        assert!(until(PICK_UP, || tape.start().is_some()), "the clock stands still");
        tape.start().expect("just seen")
    }

    /// Waits until the recording holds so many frames.
    #[must_use]
    pub fn wait_recorded(&self, frames: usize, deadline: Duration) -> bool {
        let tape = self.tape();
        assert!(frames <= tape.capacity(), "the tape is shorter than {frames}");
        until(deadline, || tape.filled() >= frames)
    }

    /// The recording so far.
    pub fn recording(&self) -> Recording {
        let tape = self.tape();
        let start = tape.start().expect("record_into waited for it");
        Recording { start, skipped: tape.skipped(), channels: tape.snapshot() }
    }

    fn tape(&self) -> Arc<Tape> {
        let tapes = self.tapes.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(tapes.last().expect("record_into comes first"))
    }

    /// Waits until a port of that full name exists, whoever owns it.
    #[must_use]
    pub fn wait_port(&self, port: &str, deadline: Duration) -> bool {
        until(deadline, || self.client().port_by_name(port).is_some())
    }

    /// Waits until a port has at least one cable, such as one of the probe's.
    #[must_use]
    pub fn wait_connected(&self, port: &str, deadline: Duration) -> bool {
        until(deadline, || self.cables(port) > 0)
    }

    /// How many cables a port has; none when it does not exist.
    pub fn cables(&self, port: &str) -> usize {
        self.client().port_by_name(port).map_or(0, |p| p.connected_count().unwrap_or(0))
    }

    /// Lays a cable from an output port to an input port. Panics when that is refused.
    pub fn connect(&self, from: &str, to: &str) {
        match self.client().connect_ports_by_name(from, to) {
            Ok(()) | Err(jack::Error::PortAlreadyConnected(..)) => {}
            Err(e) => panic!("cannot connect {from} to {to}: {e}"),
        }
    }

    /// Takes a cable away. Panics when there is none.
    pub fn disconnect(&self, from: &str, to: &str) {
        self.client().disconnect_ports_by_name(from, to).expect("a cable to take away");
    }

    fn client(&self) -> &Client {
        self.client.as_ref().expect("present until dropped").as_client()
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        if let Some(client) = self.client.take() {
            // The server may have died; the test has other ways to notice.
            let _ = client.deactivate();
        }
    }
}

impl Audio {
    fn pick_up(&mut self, frame: u64) {
        if let Some(tape) = take(&self.desk.tape) {
            self.tape = Some(tape);
        }
        if let Some(voice) = self.voices.iter_mut().find(|voice| voice.is_none())
            && let Some(score) = take(&self.desk.score)
        {
            score.begin(frame);
            *voice = Some(score);
        }
    }

    fn record(&mut self, frame: u64, skipped: u64, scope: &ProcessScope) {
        let Some(tape) = &self.tape else { return };
        let place = tape.place(frame, skipped);
        for (channel, port) in self.inputs.iter().enumerate() {
            tape.write(channel, place, port.as_slice(scope));
        }
        tape.commit(place.saturating_add(scope.n_frames() as usize));
    }

    fn play(&mut self, frame: u64, scope: &ProcessScope) {
        for (index, port) in self.outputs.iter_mut().enumerate() {
            let output = port.as_mut_slice(scope);
            output.fill(0.0);
            for score in self.voices.iter().flatten() {
                score.mix(index, frame, output);
            }
        }
        let end = frame + u64::from(scope.n_frames());
        for voice in &mut self.voices {
            if voice.as_ref().is_some_and(|score| score.finish(end)) {
                *voice = None;
            }
        }
    }
}

impl jack::ProcessHandler for Audio {
    fn process(&mut self, _: &Client, scope: &ProcessScope) -> Control {
        let clock = scope.last_frame_time();
        // The server counts in 32 bits; the difference to what is expected unrolls it.
        let (frame, skipped) = match self.expected {
            None => (u64::from(clock), 0),
            Some(expected) => {
                let skipped = u64::from(clock.wrapping_sub(expected as u32));
                (expected + skipped, skipped)
            }
        };
        let end = frame + u64::from(scope.n_frames());
        self.expected = Some(end);
        self.pick_up(frame);
        self.record(frame, skipped, scope);
        self.play(frame, scope);
        self.desk.now.store(end, Ordering::Release);
        Control::Continue
    }
}

/// Takes what lies there, if the other side is not just putting it down.
fn take<T>(place: &Mutex<Option<T>>) -> Option<T> {
    match place.try_lock() {
        Ok(mut content) => content.take(),
        Err(TryLockError::Poisoned(content)) => content.into_inner().take(),
        Err(TryLockError::WouldBlock) => None,
    }
}

fn register<S: jack::PortSpec>(client: &Client, prefix: &str, count: usize, spec: impl Fn() -> S) -> Vec<Port<S>> {
    let port = |n| client.register_port(&format!("{prefix}_{n}"), spec()).expect("a new port");
    (1..=count).map(port).collect()
}
