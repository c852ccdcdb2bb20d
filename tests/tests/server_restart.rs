//! The server behind ALSA devices is killed and started again under a daemon that streams both ways.
//!
//! Each direction is a process of its own, and it has to be: libjack does not outlive this with two clients in one, for
//! who opens a client anew while another one has not been closed takes that one's memory away.

use soundpost_tests::proc::Program;
use soundpost_tests::rig::{AlsaConf, Jack, Probe};
use soundpost_tests::{RATE, until, until_some};
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(20);
const WAYS: [&str; 2] = ["capture", "playback"];

struct Studio {
    sockets: tempfile::TempDir,
    conf: AlsaConf,
}

impl Studio {
    /// Talks to the daemon, or is it.
    fn soundpost(&self, args: &[&str]) -> Program {
        let socket = self.sockets.path().join("s.sock").display().to_string();
        Program::spawn(&[args, &["--socket", &socket]].concat(), &self.conf.envs())
    }

    fn status(&self) -> serde_json::Value {
        let mut asked = self.soundpost(&["status", "--json"]);
        assert!(asked.wait_exit(SOON).success(), "{}", asked.output());
        serde_json::from_str(asked.output().lines().next().expect("a line")).expect("JSON")
    }

    fn level(&self) -> f64 {
        self.status()["capture"]["device"]["level_dbfs"].as_f64().unwrap_or(-99.0)
    }
}

/// When sound came in, counted from the begin of the recording.
fn first_sound(probe: &Probe) -> Option<Duration> {
    let recording = probe.recording();
    let loud = recording.channels[0].iter().position(|value| value.abs() > 0.02)?;
    Some(Duration::from_secs_f64(loud as f64 / RATE as f64))
}

#[test]
fn a_server_that_is_killed_and_started_again_is_heard_both_ways_within_a_second() {
    let jack = Jack::start();
    let mut probe = Probe::open(&jack, "probe", 1, 1);
    let (mouth, ear) = (probe.output(0), probe.input(0));
    let conf = AlsaConf::builder(&jack).capture("mic", &[&mouth]).playback("spk", &[&ear]).write();
    let studio = Studio { sockets: tempfile::tempdir().expect("a directory"), conf };
    let daemon = studio.soundpost(&["run", "--capture", "alsa:mic", "--playback", "alsa:spk"]);
    daemon.wait_for_line(|line| line.contains("is ready"), SOON);
    let listener = studio.soundpost(&["listen", "-o", "null"]);
    let talker = studio.soundpost(&["talk", "-i", "tone:440"]);
    talker.wait_for_line(|line| line.contains("talking"), SOON);
    let tone: Vec<f32> = (0..RATE).map(|n| (n as f32 * 0.05).sin() * 0.5).collect();
    let mut times = Vec::new();
    for round in 0..4 {
        let began = Instant::now();
        probe.record_into(20 * RATE);
        // Sound enough for the time until somebody captures it.
        (0..10).fold(probe.now() + 4_800, |at, _| {
            probe.play_at(at, &tone);
            at + RATE as u64
        });
        let played = until_some(SOON, || first_sound(&probe)).unwrap_or_else(|| panic!("silence\n{}", daemon.output()));
        assert!(until(SOON, || studio.level() > -20.0), "nothing is captured\n{}", daemon.output());
        let captured = began.elapsed();
        if round > 0 {
            println!("server back: played after {played:?}, captured after {captured:?}");
            times.push(played.max(captured));
        }
        if round < 3 {
            // A meter that nobody feeds stands still: let it fall first.
            assert!(until(SOON, || studio.level() < -60.0));
            drop(probe);
            let lost = || {
                let status = studio.status();
                WAYS.iter().all(|way| status[way]["device"]["state"] == "lost")
            };
            jack.crash(|| assert!(until(SOON, lost), "{}", daemon.output()));
            probe = Probe::open(&jack, "probe", 1, 1);
        }
    }
    times.sort();
    println!("server killed and started again: sound both ways after {:?} (median of three)", times[1]);
    assert!(times[1] <= Duration::from_secs(1), "{times:?}");
    let status = studio.status();
    assert!(status["capture"]["lost_samples"].as_u64() > Some(0), "the gap is in the books");
    for way in WAYS {
        assert_eq!(status[way]["worker"]["starts"], 1, "no process died of it: {}", status[way]["worker"]);
        assert_eq!(status[way]["metrics"]["connection_drops"], 0, "nobody had to reconnect");
    }
    let clients = status["clients"].as_array().expect("a list");
    let stayed = |role: &str| clients.iter().any(|client| client["role"] == role);
    assert!(stayed("listener") && stayed("talker"), "{clients:?}; {} {}", listener.output(), talker.output());
}
