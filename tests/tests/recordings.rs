//! Recordings as devices: what goes in comes out, ends in order, and is not lost.

use soundpost_tests::measure::followed;
use soundpost_tests::proc::Program;
use soundpost_tests::speech::{speech, to_f32, to_i16};
use soundpost_tests::wav;
use std::path::Path;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(30);

/// The left, or only, channel.
fn read_wav(path: &Path) -> Vec<f32> {
    let mut reader = hound::WavReader::open(path).expect("a recording");
    let channels = usize::from(reader.spec().channels);
    let values: Vec<i16> = reader.samples().map(|value| value.expect("a sample")).collect();
    to_f32(&values.into_iter().step_by(channels).collect::<Vec<_>>())
}

/// While a delay finds its place, at half a percent of speed, speech is harder to tell from speech; on a busy machine it
/// has to find it more than once. A fault of the program is there every time.
const ATTEMPTS: usize = 3;

#[test]
fn what_a_talker_reads_from_a_file_is_recorded_whole_by_the_daemon() {
    assert!((1..=ATTEMPTS).any(|_| is_recorded_whole()));
}

fn is_recorded_whole() -> bool {
    let dir = tempfile::tempdir().expect("a directory");
    let at = |name: &str| dir.path().join(name);
    let (socket, said) = (at("s.sock").display().to_string(), at("said.wav"));
    let words = speech("The birch canoe slid on the smooth planks.", 2.5);
    wav::write(&said, to_i16(&words));
    let playback = format!("file:{}", at("heard.wav").display());
    let mut daemon = Program::spawn(&["run", "--capture", "null", "--playback", &playback, "--socket", &socket], &[]);
    daemon.wait_for_line(|line| line.contains("is ready"), SOON);
    let input = format!("file:{}", said.display());
    let mut talker = Program::spawn(&["talk", "-i", &input, "--socket", &socket], &[]);
    assert!(talker.wait_exit(SOON).success(), "{}", talker.output());
    // The talker is done when all is sent; the daemon, a moment after it has played the last of it.
    daemon.wait_for_line(|line| line.contains("left"), SOON);
    let played = || {
        let mut status = Program::spawn(&["status", "--json", "--socket", &socket], &[]);
        assert!(status.wait_exit(SOON).success());
        status.output().contains("\"playing\":false")
    };
    assert!(soundpost_tests::until(SOON, played), "playback goes on and on");
    daemon.signal(libc::SIGTERM);
    assert!(daemon.wait_exit(SOON).success());
    let found = followed(&words, &read_wav(&at("heard.wav")));
    println!("{found}");
    found.is_complete()
}

#[test]
fn listeners_are_told_when_the_recording_is_over() {
    let dir = tempfile::tempdir().expect("a directory");
    let at = |name: &str| dir.path().join(name);
    let (socket, source) = (at("s.sock").display().to_string(), at("source.wav"));
    wav::write(&source, to_i16(&speech("The birch canoe slid on the smooth planks.", 2.0)));
    let capture = format!("file:{}", source.display());
    let daemon = Program::spawn(&["run", "--capture", &capture, "--playback", "null", "--socket", &socket], &[]);
    daemon.wait_for_line(|line| line.contains("is ready"), SOON);
    let output = format!("file:{}", at("heard.wav").display());
    let listen = |output: &str| Program::spawn(&["listen", "-o", output, "--socket", &socket], &[]);
    let mut listener = listen(&output);
    assert!(listener.wait_exit(SOON).success(), "{}", listener.output());
    assert!(read_wav(&at("heard.wav")).iter().any(|value| value.abs() > 0.1), "it heard something");
    let mut late = listen("null");
    assert_eq!(late.wait_exit(SOON).code(), Some(1));
    assert!(late.output().contains("is over"), "{}", late.output());
}

#[test]
fn a_recording_that_cannot_go_on_is_kept_and_the_daemon_lives() {
    let dir = tempfile::tempdir().expect("a directory");
    let socket = dir.path().join("s.sock").display().to_string();
    // Every write to it fails as if the disk were full.
    let daemon =
        Program::spawn(&["run", "--capture", "null", "--playback", "file:/dev/full", "--socket", &socket], &[]);
    daemon.wait_for_line(|line| line.contains("No space left"), SOON);
    let mut status = Program::spawn(&["status", "--json", "--socket", &socket], &[]);
    assert!(status.wait_exit(SOON).success(), "{}", daemon.output());
    let status: serde_json::Value =
        serde_json::from_str(status.output().lines().next().expect("a line")).expect("JSON");
    assert_eq!(status["playback"]["device"]["state"], "lost");
}
