//! The rig measured with itself: what goes out comes back where it should, directly and through
//! programs that use its ALSA devices.

use std::process::{Command, Stdio};
use std::time::Duration;

use super::*;
use crate::measure::Train;
use crate::proc::Program;
use crate::speech::speech;

const SOON: Duration = Duration::from_secs(20);

/// `arecord | aplay` between the devices `mic` and `spk`, with short periods.
fn pipeline(conf: &AlsaConf) -> [Program; 2] {
    let (read, write) = std::io::pipe().expect("a pipe");
    let start = |program: &str, device: &str, input: Stdio, output: Stdio| {
        let mut command = Command::new(program);
        command.args(["-D", device, "-t", "raw", "-f", "S16_LE", "-r", "48000", "-c", "1"]);
        command.args(["--period-size=64", "--buffer-size=1024", "-q"]);
        command.envs(conf.envs()).stdin(input).stdout(output).stderr(Stdio::piped());
        Program::start(command)
    };
    let record = start("arecord", "mic", Stdio::null(), write.into());
    [record, start("aplay", "spk", read.into(), Stdio::piped())]
}

fn devices(jack: &Jack, probe: &Probe) -> AlsaConf {
    let (mic, spk) = (probe.output(0), probe.input(0));
    AlsaConf::builder(jack).capture("mic", &[&mic]).playback("spk", &[&spk]).write()
}

fn wait_for_devices(probe: &Probe) {
    assert!(probe.wait_connected(&probe.output(0), SOON), "no recorder came");
    assert!(probe.wait_connected(&probe.input(0), SOON), "no player came");
}

#[test]
fn a_cable_delays_by_exactly_one_period() {
    let jack = Jack::start();
    let probe = Probe::open(&jack, "probe", 1, 1);
    probe.connect(&probe.output(0), &probe.input(0));
    let delays = mouth_to_ear(&probe, &Train::new(12, 0.02, 7), 0).found;
    println!("cable: {delays}");
    assert_eq!((delays.missing, probe.recording().skipped), (0, 0), "{delays}");
    let period = PERIOD as f64 / 48.0;
    assert!((delays.min() - period).abs() < 1e-6, "{delays}");
    assert!((delays.max() - period).abs() < 1e-6, "{delays}");
}

#[test]
fn sound_leaves_at_the_frame_asked_for_and_on_its_own_output() {
    let jack = Jack::start();
    let probe = Probe::open(&jack, "probe", 2, 2);
    for n in 0..2 {
        probe.connect(&probe.output(n), &probe.input(n));
    }
    let first = probe.record_into(24_000);
    let odd = first + 4_801;
    probe.play_at(odd, &[0.5]);
    let second = probe.play_each(&[&[], &[0.25; 3]]);
    assert!(probe.wait_played(SOON) && probe.wait_recorded(12_000, SOON));
    let channels = probe.recording().channels;
    let place = |frame: u64| usize::try_from(frame - first).expect("later") + PERIOD;
    let heard = |channel: &[f32]| -> Vec<usize> { (0..channel.len()).filter(|&n| channel[n] != 0.0).collect() };
    let (odd, second) = (place(odd), place(second));
    assert_eq!(heard(&channels[0]), [odd]);
    let mut expected = vec![second, second + 1, second + 2, odd];
    expected.sort_unstable();
    assert_eq!(heard(&channels[1]), expected);
}

#[test]
fn programs_pass_sound_on_through_the_devices() {
    let jack = Jack::start();
    let probe = Probe::open(&jack, "probe", 1, 1);
    let conf = devices(&jack, &probe);
    let _programs = pipeline(&conf);
    wait_for_devices(&probe);
    let delays = mouth_to_ear(&probe, &Train::new(10, 0.25, 3), 0).found;
    println!("arecord | aplay: {delays}");
    assert_eq!(delays.missing, 0, "{delays}");
    assert!(delays.max() < 250.0, "{delays}");
}

#[test]
fn speech_comes_through_the_devices_complete() {
    let jack = Jack::start();
    let probe = Probe::open(&jack, "probe", 1, 1);
    let conf = devices(&jack, &probe);
    let _programs = pipeline(&conf);
    wait_for_devices(&probe);
    let words = speech("Glue the sheet to the dark blue background.", 4.0);
    let found = passage(&probe, &words, Duration::from_millis(250), 0).found;
    print!("arecord | aplay: {found}");
    assert!(found.is_complete(), "{found}");
}

#[test]
fn an_open_channel_can_be_connected_later() {
    let jack = Jack::start();
    let probe = Probe::open(&jack, "probe", 1, 1);
    let spk = probe.input(0);
    let conf = AlsaConf::builder(&jack).capture("mic", &[""]).playback("spk", &[&spk]).write();
    let _programs = pipeline(&conf);
    assert!(probe.wait_port("mic:in_000", SOON), "no recorder came");
    assert_eq!(probe.cables("mic:in_000"), 0);
    probe.connect(&probe.output(0), "mic:in_000");
    assert!(probe.wait_connected("mic:in_000", SOON));
    probe.disconnect(&probe.output(0), "mic:in_000");
    assert_eq!(probe.cables("mic:in_000"), 0);
}
