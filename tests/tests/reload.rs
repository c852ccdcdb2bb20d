//! A daemon's configuration is read again while clients are connected: all of it or nothing, and what was done is said.

use soundpost_client::Heard;
use soundpost_client::blocking::{Controller, Listener};
use soundpost_linux::daemon::control::{Applied, How};
use soundpost_tests::proc::Program;
use soundpost_tests::until_some_every;
use std::path::PathBuf;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(30);
/// A controller may ask fifty times a second.
const PACE: Duration = Duration::from_millis(50);

struct House {
    dir: tempfile::TempDir,
    daemon: Program,
}

const BASE: &str = "[playback]\ndevice = \"null\"\n[capture]\ndevice = \"tone:\"\n";

impl House {
    fn open() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let path = |name: &str| dir.path().join(name).display().to_string();
        std::fs::write(path("mine.toml"), BASE).expect("it can be written");
        let daemon = Program::spawn(&["run", "--config", &path("mine.toml"), "--socket", &path("s.sock")], &[]);
        daemon.wait_for_line(|line| line.contains("is ready"), SOON);
        Self { dir, daemon }
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("s.sock")
    }

    /// Replaces the file at once, as editors do.
    fn write(&self, more: &str) {
        let [file, fresh] = ["mine.toml", "fresh"].map(|name| self.dir.path().join(name));
        std::fs::write(&fresh, format!("{BASE}{more}")).expect("it can be written");
        std::fs::rename(fresh, file).expect("it can be replaced");
    }

    fn controller(&self) -> Controller {
        Controller::connect(&self.socket(), "hand", Some(SOON)).expect("a welcome")
    }
}

fn status(controller: &mut Controller) -> serde_json::Value {
    serde_json::from_str(&controller.status().expect("a status")).expect("JSON")
}

fn status_when(controller: &mut Controller, wanted: impl Fn(&serde_json::Value) -> bool) -> serde_json::Value {
    let mut last = serde_json::Value::Null;
    let found = until_some_every(PACE, SOON, || {
        last = status(controller);
        wanted(&last).then_some(())
    });
    assert!(found.is_some(), "{last}");
    last
}

fn hears(listener: &mut Listener) {
    assert!(matches!(listener.hear(), Ok(Heard::Packet(..) | Heard::Dropped { .. })), "it is still connected");
}

#[test]
fn a_file_is_read_when_it_changes_and_on_a_signal_and_a_bad_one_changes_nothing() {
    let mut house = House::open();
    let mut listener = Listener::connect(&house.socket(), "ear").expect("a welcome");
    hears(&mut listener);
    let mut controller = house.controller();

    house.write("quality = \"high\"\ngain = \"-6dB\"\n");
    house.daemon.wait_for_line(|line| line.contains("capture.quality: medium → high: retuned"), SOON);
    house.daemon.wait_for_line(|line| line.contains("capture.gain: 0 dB → -6 dB: retuned"), SOON);
    status_when(&mut controller, |status| {
        let capture = &status["capture"];
        capture["quality"] == "high" && capture["gain_db"] == -6.0 && capture["changes"]["applied"] == 1
    });
    hears(&mut listener);

    house.write("quality = \"low\"\nframe = \"7ms\"\n");
    let said = house.daemon.wait_for_line(|line| line.contains("stays as it was"), SOON);
    let named = ["mine.toml, line 6: capture.frame: ", "\"7ms\"", "allowed: 2.5ms, 5ms"];
    assert!(named.iter().all(|part| said.contains(part)), "{said}");
    let said = controller.reload().expect_err("it is wrong").to_string();
    assert!(named.iter().all(|part| said.contains(part)), "{said}");
    assert_eq!(status(&mut controller)["capture"]["quality"], "high", "the good half is not applied either");
    hears(&mut listener);

    let (at, _) = house.daemon.wait_for_line_after(0, |line| line.contains("stays as it was"), SOON);
    house.daemon.signal(libc::SIGHUP);
    house.daemon.wait_for_line_after(at, |line| line.contains("stays as it was"), SOON);

    house.write("quality = \"low\"\nframe = \"20ms\"\n[board]\nlamp = \"gpiochip0/1\"\n");
    house.daemon.wait_for_line(|line| line.contains("board.lamp: not set → gpiochip0/1: needs a restart"), SOON);
    let now = status_when(&mut controller, |status| status["capture"]["changes"]["applied"] == 2);
    assert_eq!(now["capture"]["quality"], "low");
    assert_eq!(now["board"]["lamp"], serde_json::Value::Null);
    let workers = ["capture", "playback"].map(|way| now[way]["worker"]["starts"].clone());
    assert_eq!(workers, [1, 1].map(serde_json::Value::from), "nobody had to be started again");
    hears(&mut listener);
    let clients: Vec<_> =
        now["clients"].as_array().expect("clients").iter().map(|client| client["id"].clone()).collect();
    assert_eq!(clients, [1, 2].map(serde_json::Value::from), "nor to connect again");
}

#[test]
fn a_direction_is_stopped_and_started_and_what_is_so_already_is_an_answer() {
    let house = House::open();
    let mut controller = house.controller();
    let mut run = |direction, runs| -> Applied {
        let answer = controller.run(direction, runs).expect("it may be asked for");
        serde_json::from_str(&answer).expect("JSON")
    };
    let direction = soundpost_client::Direction::Playback;
    let already = run(direction, true);
    assert!(already.changes[0].how == How::Nothing && already.notes[0].contains("running already"), "{already:?}");
    assert_eq!(run(direction, false).changes[0].how, How::Told);
    let mut other = house.controller();
    status_when(&mut other, |status| status["playback"]["worker"]["state"] == "stopped");
    let already = run(direction, false);
    assert!(already.changes[0].how == How::Nothing && already.notes[0].contains("stopped already"), "{already:?}");
    assert_eq!(run(direction, true).changes[0].how, How::Told);
    let now = status_when(&mut other, |status| status["playback"]["worker"]["state"] == "running");
    assert_eq!(now["playback"]["worker"]["restarts"], 0, "it was asked for");
    assert_eq!(now["capture"]["worker"]["starts"], 1, "the other direction has nothing to do with it");
    let none: Applied = serde_json::from_str(&other.reset().expect("it may be asked for")).expect("JSON");
    assert!(none.changes.is_empty() && none.notes[0].contains("no worker was given up"), "{none:?}");
}
