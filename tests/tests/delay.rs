//! How long packets take to listeners, and what the daemon makes of it: the preset follows a queue that grows.

use serde_json::Value;
use soundpost_client::blocking::{Connection, Controller, Listener};
use soundpost_client::{Additions, Heard, Hello, Report, Role};
use soundpost_tests::proc::Program;
use soundpost_tests::until_some_every;
use std::path::{Path, PathBuf};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(30);
/// So often is reported, and asked.
const PACE: Duration = Duration::from_millis(100);
/// So much longer does a packet take with each report, where a queue grows.
const STEP_US: u32 = 40_000;

/// A daemon with a socket of its own.
struct House {
    _dir: tempfile::TempDir,
    socket: PathBuf,
    daemon: Program,
    hand: Controller,
}

impl House {
    fn open() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let socket = dir.path().join("s.sock");
        let path = socket.display().to_string();
        let args = ["--capture", "tone:", "--playback", "null", "--http", "off", "--quality", "high"];
        let daemon = Program::spawn(&[&["run", "--socket", &path], &args[..]].concat(), &[]);
        daemon.wait_for_line(|line| line.contains("is ready"), SOON);
        let hand = Controller::connect(&socket, "hand", None).expect("a welcome");
        Self { _dir: dir, socket, daemon, hand }
    }

    /// What the status says of time, of the preset and of the governor.
    fn look(&mut self) -> Look {
        let status: Value = serde_json::from_str(&self.hand.status().expect("a status")).expect("JSON");
        let capture = &status["capture"];
        Look {
            uptime_s: status["uptime_s"].as_f64().expect("a number"),
            quality: capture["quality"].as_str().expect("a word").to_owned(),
            reason: capture["governor"]["reason"].as_str().expect("a word").to_owned(),
            loss_percent: capture["governor"]["loss_percent"].as_f64(),
            growth_ms: capture["governor"]["delay_growth_ms"].as_f64(),
        }
    }

    /// Has all of these report, over and over, until the status says what is wanted.
    fn report_until(&mut self, ears: &mut [Ear], wanted: impl Fn(&Look) -> bool) -> Look {
        let mut last = None;
        let seen = until_some_every(PACE, SOON, || {
            ears.iter_mut().for_each(Ear::report);
            let look = self.look();
            let is_wanted = wanted(&look);
            last = Some(look);
            is_wanted.then_some(())
        });
        let last = last.expect("it was asked");
        assert!(seen.is_some(), "{last:?}\n{}", self.daemon.output());
        last
    }
}

#[derive(Debug)]
struct Look {
    uptime_s: f64,
    quality: String,
    reason: String,
    loss_percent: Option<f64>,
    growth_ms: Option<f64>,
}

impl Look {
    fn is_lowered_for_delay(&self) -> bool {
        self.reason == "delay" && self.quality != "high"
    }
}

/// A listener that hears nothing, and says that all came, and when.
struct Ear {
    connection: Connection,
    said: Report,
    step_us: u32,
}

impl Ear {
    fn join(socket: &Path, delay_us: Option<u32>) -> Self {
        let additions = Additions { redundancy: true, notices: false };
        let hello = Hello { role: Role::Listener, takeover: false, additions, name: "far" };
        let connection = Connection::open(socket, &hello, None).expect("a welcome");
        assert!(connection.welcome.additions.redundancy);
        Self { connection, said: Report { delay_us, ..Report::default() }, step_us: 0 }
    }

    fn report(&mut self) {
        self.said.expected += 5;
        self.said.received += 5;
        self.said.delay_us = self.said.delay_us.map(|delay| delay.wrapping_add(self.step_us));
        self.connection.report(self.said);
    }
}

#[test]
fn a_queue_that_a_listener_tells_of_takes_a_preset_and_the_status_says_why() {
    let mut house = House::open();
    // By a clock of its own, just before it wraps.
    let mut ears = [Ear::join(&house.socket, Some(u32::MAX - 30_000))];
    let calm = house.report_until(&mut ears, |look| look.growth_ms == Some(0.0));
    assert_ne!(calm.reason, "delay", "{calm:?}");
    ears[0].step_us = STEP_US;
    let low = house.report_until(&mut ears, Look::is_lowered_for_delay);
    assert_eq!(low.loss_percent, Some(0.0), "nothing was lost: {low:?}");
    assert!(low.growth_ms >= Some(80.0), "{low:?}");
    house.daemon.wait_for_line(|line| line.contains("from now on, because of delay"), SOON);
    let socket = house.socket.display().to_string();
    let mut asked = Program::spawn(&["status", "--socket", &socket], &[]);
    assert!(asked.wait_exit(SOON).success(), "{}", asked.output());
    let said = asked.output();
    assert!(said.contains("not possible because of delay"), "{said}");
}

#[test]
fn one_queue_among_three_takes_nothing_from_the_others_and_two_do() {
    let mut house = House::open();
    let join = |base| Ear::join(&house.socket, Some(base));
    let mut ears = [join(1), join(2_000_000_000), join(4_000_000_000)];
    house.report_until(&mut ears, |look| look.growth_ms == Some(0.0));
    ears[0].step_us = STEP_US;
    let begun = house.look().uptime_s;
    // Alone it would have been believed after two looks, one a second.
    let after = house.report_until(&mut ears, |look| look.uptime_s > begun + 8.0 || look.reason == "delay");
    assert!(after.reason != "delay" && after.growth_ms == Some(0.0), "{after:?}");
    ears[1].step_us = STEP_US;
    house.report_until(&mut ears, Look::is_lowered_for_delay);
}

#[test]
fn the_library_measures_for_its_users_and_who_says_nothing_is_not_asked() {
    let mut house = House::open();
    // As clients of old do.
    let mut old = [Ear::join(&house.socket, None)];
    let silent = house.report_until(&mut old, |look| look.loss_percent.is_some());
    assert_eq!(silent.growth_ms, None, "{silent:?}");
    let mut listener = Listener::connect(&house.socket, "near").expect("a welcome");
    let measured = until_some_every(Duration::ZERO, SOON, || {
        let heard = listener.hear().expect("it goes on");
        assert!(!matches!(heard, Heard::Bye), "{heard:?}");
        house.look().growth_ms
    });
    assert!(measured.is_some(), "{}", house.daemon.output());
}
