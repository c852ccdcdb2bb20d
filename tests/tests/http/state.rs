//! What outlasts the daemon: whoever was muted is muted after it was started again.

use crate::house::{House, SOON};
use serde_json::Value;
use soundpost_tests::until;
use std::path::Path;

fn open(state: &Path) -> House {
    House::open(&["--state-directory", state.to_str().expect("text")])
}

fn muted(house: &House, direction: &str) -> bool {
    house.get("/api/v1/mute").json()[direction]["by_command"] == Value::Bool(true)
}

/// Ends it in this way and waits until it is gone.
fn end(mut house: House, signal: libc::c_int) {
    house.daemon.signal(signal);
    house.daemon.wait_exit(SOON);
}

#[test]
fn what_was_muted_is_muted_after_a_restart_from_the_first_sample_on() {
    let dir = tempfile::tempdir().expect("a directory");
    let state = dir.path().join("state");
    let house = open(&state);
    assert!(!muted(&house, "capture"));
    house.mute(true);
    end(house, libc::SIGTERM);
    let house = open(&state);
    assert!(muted(&house, "capture") && !muted(&house, "playback"));
    let status = house.get("/api/v1/status").json();
    assert_eq!(
        (&status["capture"]["muted"], &status["capture"]["metrics"]["frames_received"]),
        (&true.into(), &0.into())
    );
    house.mute(false);
    house.put("/api/v1/mute", &serde_json::json!({"playback": true}));
    // It is written soon after, so that it need not end in good order.
    let file = state.join("mutes.json");
    let written = || std::fs::read_to_string(&file).is_ok_and(|text| text.contains("\"playback_muted\":true"));
    assert!(until(SOON, written));
    end(house, libc::SIGKILL);
    let house = open(&state);
    assert!(!muted(&house, "capture") && muted(&house, "playback"));
    assert!(until(SOON, || house.get("/api/v1/status").json()["playback"]["muted"] == true));
}

#[test]
fn a_file_that_cannot_be_read_is_no_reason_to_listen() {
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(dir.path().join("mutes.json"), "{\"capture_muted\":fal").expect("written");
    let house = open(dir.path());
    house.daemon.wait_for_line(|line| line.contains("mutes.json") && line.contains("the microphone is muted"), SOON);
    assert!(muted(&house, "capture") && !muted(&house, "playback"));
    house.mute(false);
    end(house, libc::SIGTERM);
    assert!(!muted(&open(dir.path()), "capture"), "it is written anew");
}
