//! Louder, softer and silent: in the engines, and on the card if that is asked for.

use soundpost_tests::proc::Program;
use soundpost_tests::rig::{Trouble, Wishes};
use soundpost_tests::{until, wav};
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(20);

/// A daemon between two devices.
struct House {
    socket: tempfile::TempDir,
    microphone: Trouble,
    speaker: Trouble,
}

impl House {
    fn new() -> Self {
        let device = || Trouble::new(Wishes { mixer: 1, ..Wishes::default() });
        Self { socket: tempfile::tempdir().expect("a directory"), microphone: device(), speaker: device() }
    }

    fn soundpost(&self, args: &[&str]) -> Program {
        let socket = self.socket.path().join("s.sock").display().to_string();
        Program::spawn(&[args, &["--socket", &socket]].concat(), &self.microphone.envs())
    }

    fn run(&self, args: &[&str]) -> Program {
        let (capture, playback) = (self.microphone.uri(), self.speaker.uri());
        self.soundpost(&[&["run", "--capture", &capture, "--playback", &playback], args].concat())
    }

    fn status(&self) -> serde_json::Value {
        let mut asked = self.soundpost(&["status", "--json"]);
        assert!(asked.wait_exit(SOON).success(), "{}", asked.output());
        serde_json::from_str(asked.output().lines().next().expect("a line")).expect("JSON")
    }
}

#[test]
fn gains_move_both_levels_by_what_they_say_and_touch_no_control_of_the_card() {
    let house = House::new();
    let daemon = house.run(&["--capture-gain", "-6dB", "--playback-gain", "+3.5 dB"]);
    daemon.wait_for_line(|line| line.contains("is ready"), SOON);
    let talker = house.soundpost(&["talk", "-i", "tone:440"]);
    talker.wait_for_line(|line| line.contains("talking"), SOON);
    let mut status = serde_json::Value::Null;
    // The device's tone has its peaks at 8000, -12.2 dB; between two of them the meter falls a little.
    let settled = until(SOON, || {
        status = house.status();
        let level = |direction: &str| status[direction]["device"]["level_dbfs"].as_f64().unwrap_or(-99.0);
        (-20.0..=-18.1).contains(&level("capture")) && level("playback") > -40.0
    });
    assert!(settled, "{status}");
    assert_eq!(
        (status["capture"]["gain_db"].as_f64(), status["playback"]["gain_db"].as_f64()),
        (Some(-6.0), Some(3.5))
    );
    let table = house.soundpost(&["status"]);
    table.wait_for_line(|line| line.contains("gain       -6 dB"), SOON);
    table.wait_for_line(|line| line.contains("gain       +3.5 dB"), SOON);
    for device in [&house.microphone, &house.speaker] {
        assert_eq!(device.seen().volume_sets, 0, "nobody asked for that");
    }
}

#[test]
fn a_cards_volume_is_set_by_name_and_again_when_it_comes_back() {
    let house = House::new();
    let controls = ["--capture-volume-control", "Mic=40%", "--playback-volume-control", "Speaker=-6dB"];
    let daemon = house.run(&controls);
    daemon.wait_for_line(|line| line.contains("is ready"), SOON);
    // -30 dB and half a decibel a step.
    assert_eq!((house.microphone.seen().volume[0], house.speaker.seen().volume[1]), (40, 48));
    assert_eq!(
        (house.microphone.seen().volume[1], house.speaker.seen().volume[0]),
        (0, 0),
        "the others are left alone"
    );
    let status = house.status();
    assert_eq!(status["capture"]["device"]["volume"], "Mic 40 % (-10 dB)");
    assert_eq!(status["playback"]["device"]["volume"], "Speaker 48 % (-6 dB), switched off");
    house.soundpost(&["status"]).wait_for_line(|line| line.contains("volume     Mic 40 % (-10 dB)"), SOON);
    // Without power it forgets.
    house.microphone.change(|wishes| wishes.gone = 1);
    assert!(until(SOON, || house.microphone.seen().volume[0] == 0), "nobody looks after it");
    house.microphone.change(|wishes| wishes.gone = 0);
    assert!(until(SOON, || house.microphone.seen().volume[0] == 40), "it is not set again");
}

#[test]
fn a_control_that_is_not_there_or_cannot_do_that_is_named_with_what_there_is() {
    let house = House::new();
    for (option, value, named) in [
        (
            "--capture-volume-control",
            "Microphone=40%",
            "no volume control \"Microphone\" for capture; the card has: \"Mic\"",
        ),
        ("--playback-volume-control", "Mic=40%", "for playback; the card has: \"Speaker\""),
        ("--playback-volume-control", "Speaker=25dB", "\"Speaker\" cannot be set to 25 dB; allowed: -30 dB to 20 dB"),
        ("--capture-volume-control", "Mic", "allowed: NAME=PERCENT% or NAME=DECIBELdB"),
        ("--capture-gain", "21dB", "-60dB to 20dB"),
    ] {
        let mut daemon = house.run(&[option, value]);
        assert!(!daemon.wait_exit(SOON).success());
        assert!(daemon.output().contains(named), "{option} {value}: {}", daemon.output());
    }
    let socket = house.socket.path().join("t.sock").display().to_string();
    let args =
        ["run", "--socket", &socket, "--capture", "tone:", "--playback", "null", "--capture-volume-control", "Mic=1"];
    let mut daemon = Program::spawn(&args, &[]);
    assert!(!daemon.wait_exit(SOON).success());
    assert!(daemon.output().contains("the device is not a sound card"), "{}", daemon.output());
}

#[test]
fn a_short_beep_after_ten_seconds_of_silence_is_heard_whole_by_a_device_that_is_kept_warm() {
    const LOUD: f64 = 12_000.0;
    let house = House::new();
    let daemon = house.run(&[]);
    daemon.wait_for_line(|line| line.contains("is ready"), SOON);
    let path = house.socket.path().join("beep.wav");
    // 50 ms of 1 kHz between ten seconds and half a second of nothing.
    let beep = |n: u32| {
        let phase = f64::from(n) / 48.0 * std::f64::consts::TAU;
        if (480_000..482_400).contains(&n) { (LOUD * phase.sin()) as i16 } else { 0 }
    };
    wav::write(&path, (0..480_000 + 2_400 + 24_000).map(beep));
    let (began, idle) = (Instant::now(), house.speaker.seen());
    let mut talker = house.soundpost(&["talk", "-i", &format!("file:{}", path.display())]);
    assert!(talker.wait_exit(Duration::from_secs(60)).success(), "{}", talker.output());
    // Both channels of the device.
    let whole = 2_400.0 * LOUD * std::f64::consts::FRAC_2_PI * 2.0;
    let heard = || (house.speaker.seen().values - idle.values) as f64 / whole;
    assert!(until(SOON, || heard() > 0.95), "{:.0} % of the beep", heard() * 100.0);
    let moved = house.speaker.seen().moved - idle.moved;
    println!("a beep of 50 ms after 10 s of silence: {:.0} % of it heard", heard() * 100.0);
    assert_eq!(house.speaker.seen().opens, 1);
    // Counted generously: a busy machine leaves some out.
    assert!(moved as f64 > began.elapsed().as_secs_f64() * 40_000.0, "{moved} samples: the device was not kept warm");
}
