//! Real sound through real programs: ALSA → Opus → socket → Opus → ALSA, judged by correlation.
//!
//! A JACK server with a dummy driver gives ALSA devices on one sample-accurate clock. `soundpost run`,
//! `listen` and `talk` are processes, and they meet on the real socket.

use soundpost_tests::measure::Train;
use soundpost_tests::proc::Program;
use soundpost_tests::rig::{AlsaConf, Jack, Probe, mouth_to_ear, passage};
use soundpost_tests::speech::speech;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(20);
/// Two cores and one clock: one studio at a time.
static FLOOR: Mutex<()> = Mutex::new(());

/// A daemon between four devices: it captures `mic` and plays on `spk`; a listener plays on `ear`, and a talker
/// captures `mouth`, which hears what `ear` plays.
struct Studio {
    probe: Probe,
    conf: AlsaConf,
    socket: tempfile::TempDir,
    daemon: Option<Program>,
    _jack: Jack,
    _alone: MutexGuard<'static, ()>,
}

impl Studio {
    fn open() -> Self {
        let alone = FLOOR.lock().unwrap_or_else(PoisonError::into_inner);
        let jack = Jack::start();
        let probe = Probe::open(&jack, "probe", 1, 2);
        let (mic, ear, spk) = (probe.output(0), probe.input(0), probe.input(1));
        let conf = AlsaConf::builder(&jack)
            .capture("mic", &[&mic])
            .playback("ear", &[&ear])
            .capture("mouth", &["ear:out_000"])
            .playback("spk", &[&spk])
            .write();
        let socket = tempfile::tempdir().expect("a directory");
        Self { probe, conf, socket, daemon: None, _jack: jack, _alone: alone }
    }

    fn soundpost(&self, args: &[&str]) -> Program {
        let socket = self.socket.path().join("soundpost.sock").display().to_string();
        Program::spawn(&[args, &["--socket", &socket]].concat(), &self.conf.envs())
    }

    /// Starts the daemon and waits until it serves.
    fn run(&mut self, args: &[&str]) {
        let devices = ["run", "--capture", "alsa:mic", "--playback", "alsa:spk"];
        let daemon = self.soundpost(&[&devices, args].concat());
        daemon.wait_for_line(|line| line.contains("is ready"), SOON);
        assert!(self.probe.wait_connected(&self.probe.output(0), SOON), "the microphone is not connected");
        self.daemon = Some(daemon);
    }

    /// Starts a listener on `ear` and waits until it plays.
    fn listen(&self) -> Program {
        let listener = self.soundpost(&["listen", "-o", "alsa:ear", "--json"]);
        listener.wait_for_line(|line| line.contains("listening"), SOON);
        assert!(self.probe.wait_connected(&self.probe.input(0), SOON), "the ear is not connected");
        listener
    }
}

/// Asks a program to stop and returns the figures that it prints.
fn figures(mut program: Program) -> serde_json::Value {
    program.signal(libc::SIGTERM);
    assert!(program.wait_exit(SOON).success(), "{}", program.output());
    let output = program.output();
    let json = output.lines().find_map(|line| line.find('{').map(|at| &line[at..])).expect("figures");
    serde_json::from_str(json).expect("JSON")
}

/// A measurement during which the rig's own server missed a deadline says nothing against the program. So many are made
/// until one is good, or so many valid ones were bad.
const TRIES: usize = 6;
/// A shared machine that leaves a process without its processor for some milliseconds makes the delay move, as it must. A
/// fault of the program is there every time.
const ATTEMPTS: usize = 3;

/// What tries at something came to.
#[derive(Debug, PartialEq)]
enum Judgement {
    /// One was good.
    Good,
    /// The rig kept time, and it was bad each time.
    Bad,
    /// The rig never kept time for long enough to tell.
    None,
}

/// Tries until a result is good, valid or not, or enough valid ones are bad.
fn judge(mut attempt: impl FnMut() -> (bool, bool)) -> Judgement {
    let mut bad = 0;
    for _ in 0..TRIES {
        match attempt() {
            (true, _) => return Judgement::Good,
            (false, valid) => bad += usize::from(valid),
        }
        if bad == ATTEMPTS {
            return Judgement::Bad;
        }
    }
    // With some valid and bad ones among them it cannot be told what the others would have been.
    Judgement::None
}

/// What no noise of the machine takes away: packets came, and were played.
fn assert_alive(figures: &serde_json::Value) {
    let frames = figures["metrics"]["frames_received"].as_u64().expect("a count");
    assert!(frames > 20 && figures["playing"] == true, "{figures}");
    assert_eq!(figures["device"]["state"], "running", "{figures}");
}

#[test]
fn mouth_to_ear_at_medium_and_20_ms_is_at_most_45_ms() {
    let mut studio = Studio::open();
    studio.run(&["--quality", "medium", "--frame", "20ms"]);
    let judgement = judge(|| {
        let listener = studio.listen();
        let take = mouth_to_ear(&studio.probe, &Train::new(60, 0.12, 11), 0);
        println!("soundpost, medium, 20 ms frames, two processes: {take}");
        let figures = figures(listener);
        println!("the listener's own figures: {figures}");
        assert_alive(&figures);
        let (delays, own) = (&take.found, figures["metrics"]["average_latency_ms"].as_f64().expect("a latency"));
        let is_good = delays.missing == 0 && delays.median() <= 45.0 && (own - delays.median()).abs() < 10.0;
        (is_good, take.is_valid())
    });
    assert_ne!(judgement, Judgement::Bad, "what was found is above");
    println!("{judgement:?}");
}

/// Sends speech from the microphone to a listener, from there to a talker, and so to the speaker, in frames of
/// every length, and follows it all the way.
fn all_the_way_round(quality: &str) {
    let mut studio = Studio::open();
    let words = speech("Glue the sheet to the dark blue background.", 2.0);
    for frame in ["2.5ms", "5ms", "10ms", "20ms", "40ms", "60ms"] {
        studio.run(&["--quality", quality, "--frame", frame]);
        let listener = studio.listen();
        let talker = studio.soundpost(&["talk", "-i", "alsa:mouth", "--quality", quality, "--frame", frame]);
        assert!(studio.probe.wait_connected("mouth:in_000", SOON), "the mouth is not connected");
        let around = mouth_to_ear(&studio.probe, &Train::new(3, 0.2, 5), 1);
        println!("{quality}, {frame}: all the way round in {around}");
        let judgement = judge(|| {
            let take = passage(&studio.probe, &words, Duration::from_millis(300), 1);
            println!("{quality}, {frame}: {take}");
            (take.found.is_complete(), take.is_valid())
        });
        println!("{quality}, {frame}: {judgement:?}");
        assert_ne!(judgement, Judgement::Bad, "{quality}, {frame}");
        assert_alive(&figures(listener));
        for mut program in std::iter::once(talker).chain(studio.daemon.take()) {
            program.signal(libc::SIGTERM);
            assert!(program.wait_exit(SOON).success(), "{}", program.output());
        }
    }
}

#[test]
fn speech_goes_all_the_way_round_complete_at_low() {
    all_the_way_round("low");
}

#[test]
fn speech_goes_all_the_way_round_complete_at_medium() {
    all_the_way_round("medium");
}

#[test]
fn speech_goes_all_the_way_round_complete_at_high() {
    all_the_way_round("high");
}

#[test]
fn speech_goes_all_the_way_round_complete_at_ultra() {
    all_the_way_round("ultra");
}
