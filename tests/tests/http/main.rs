//! Control over HTTP, between programs: what is served, who is refused, and who holds up nobody.

mod described;
mod events;
mod figures;
mod house;
mod refused;
mod state;
mod told;

use house::{House, SOON};
use serde_json::json;
use soundpost_tests::until;

#[test]
fn a_direction_stops_and_starts_and_already_is_an_answer() {
    let house = House::open(&[]);
    let post = |path: &str| house.post(path).json();
    let state = |direction: &str| house.get("/api/v1/status").json()[direction]["worker"]["state"].clone();
    for direction in ["capture", "playback"] {
        let again = post(&format!("/api/v1/{direction}/start"));
        assert_eq!(again["changes"][0]["how"], "nothing to do", "{again}");
        assert!(again["notes"][0].as_str().is_some_and(|note| note.contains("already")), "{again}");
        let stopped = post(&format!("/api/v1/{direction}/stop"));
        assert_eq!(stopped["changes"][0]["to"], "stopped", "{stopped}");
        assert!(until(SOON, || state(direction) == "stopped"), "{direction} stops");
        assert!(post(&format!("/api/v1/{direction}/stop"))["notes"][0].is_string());
        let started = post(&format!("/api/v1/{direction}/start"));
        assert_eq!(started["changes"][0]["to"], "running", "{started}");
        assert!(until(SOON, || state(direction) == "running"), "{direction} starts");
    }
}

#[test]
fn a_reset_is_a_fresh_worker() {
    let house = House::open(&[]);
    let pid = || house.get("/api/v1/status").json()["capture"]["worker"]["pid"].clone();
    let before = pid();
    let reset = house.post("/api/v1/capture/reset").json();
    assert_eq!(reset["changes"][0]["how"], "worker replaced", "{reset}");
    assert!(until(SOON, || pid().is_u64() && pid() != before), "another process captures");
    // One that was stopped begins, too.
    house.post("/api/v1/playback/stop");
    let state = || house.get("/api/v1/status").json()["playback"]["worker"]["state"].clone();
    assert!(until(SOON, || state() == "stopped"), "it stops");
    house.post("/api/v1/playback/reset");
    assert!(until(SOON, || state() == "running"), "it runs");
}

#[test]
fn keys_are_set_all_or_none_and_shown_with_where_they_come_from() {
    let house = House::open(&["--capture-gain", "-1dB"]);
    let key = |name: &str| {
        let config = house.get("/api/v1/config").json();
        let keys = config["keys"].as_array().expect("keys").clone();
        keys.into_iter().find(|key| key["key"] == name).unwrap_or_else(|| panic!("{name}: {config}"))
    };
    assert_eq!(
        (&key("capture.gain")["value"], &key("capture.gain")["origin"]),
        (&json!("-1 dB"), &json!("command line"))
    );
    let applied = house.patch("/api/v1/config", &json!({"capture.quality": "high", "capture.gain": "-6dB"})).json();
    assert_eq!(applied["changes"].as_array().map(Vec::len), Some(2), "{applied}");
    assert_eq!(
        (&key("capture.quality")["value"], &key("capture.quality")["origin"]),
        (&json!("high"), &json!("set while running"))
    );
    // With one fault in it nothing is changed, and the fault is named.
    let wrong = house.patch("/api/v1/config", &json!({"capture.gain": "3dB", "capture.bitrate": 5}));
    assert_eq!(wrong.status, 400);
    let problem = wrong.json();
    assert_eq!((&problem["field"], &problem["value"]), (&json!("capture.bitrate"), &json!("5")), "{problem}");
    assert!(problem["allowed"].as_str().is_some_and(|allowed| allowed.contains("6000")), "{problem}");
    assert_eq!(key("capture.gain")["value"], "-6 dB");
    let restart = house.patch("/api/v1/config", &json!({"http.listen": "off"}));
    assert!(restart.status == 400 && restart.text().contains("restart"), "{}", restart.text());
    // Taken back, it is again as the command line says.
    house.patch("/api/v1/config", &json!({"capture.gain": null}));
    assert_eq!(
        (&key("capture.gain")["value"], &key("capture.gain")["origin"]),
        (&json!("-1 dB"), &json!("command line"))
    );
}

#[test]
fn a_file_is_read_again_and_one_with_a_fault_changes_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("soundpost.toml");
    std::fs::write(&file, "[capture]\nquality = \"low\"\n").expect("written");
    let house = House::open(&["--config", file.to_str().expect("text")]);
    std::fs::write(&file, "[capture]\nquality = \"best\"\n").expect("written");
    let wrong = house.post("/api/v1/reload");
    assert_eq!(wrong.status, 409, "{}", wrong.text());
    assert!(wrong.json()["error"].as_str().is_some_and(|error| error.contains("line 2")), "{}", wrong.text());
    assert_eq!(house.get("/api/v1/status").json()["capture"]["quality"], "low");
    std::fs::write(&file, "[capture]\nquality = \"ultra\"\n").expect("written");
    assert_eq!(house.post("/api/v1/reload").status, 200);
    assert_eq!(house.get("/api/v1/status").json()["capture"]["quality"], "ultra");
}

#[test]
fn health_is_progress_and_nothing_else() {
    let house = House::open(&[]);
    let healthy = || house.get("/healthz").status == 200;
    assert!(until(SOON, healthy), "sound moves");
    // Its process is there, and does nothing.
    let status = house.get("/api/v1/status").json();
    let worker = status["capture"]["worker"]["pid"].as_i64().expect("a process") as libc::pid_t;
    // SAFETY: a signal to a process of our own daemon.
    assert_eq!(unsafe { libc::kill(worker, libc::SIGSTOP) }, 0);
    assert!(until(SOON, || house.get("/healthz").status == 503), "no sound moves");
    assert!(until(SOON, healthy), "another worker takes over");
    // What nobody wants to move need not, but something has to.
    house.post("/api/v1/playback/stop");
    let playback = || house.get("/healthz").json()["playback"]["state"].clone();
    assert!(until(SOON, || playback() == "stopped by command"), "it stops");
    assert!(until(SOON, healthy), "capture is enough");
    house.post("/api/v1/capture/stop");
    assert!(until(SOON, || house.get("/healthz").status == 503), "nothing moves");
}
