//! Events: everybody hears every change, whoever else does not listen.

use crate::house::{House, SOON};
use serde_json::Value;
use soundpost_client::blocking::{Connection, Controller};
use soundpost_client::{Additions, Direction, Event as Said, Hello, Kind, Role, Verb, blocking};
use soundpost_core::config::LIMITS;
use soundpost_core::wire::{Command, Mute};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

/// Somebody who follows.
struct Follower(BufReader<TcpStream>);

/// Its name, its id, its data.
#[derive(Debug)]
struct Event {
    name: String,
    id: String,
    data: Value,
}

impl Follower {
    fn begin(house: &House, seen: Option<&str>) -> Self {
        let mut stream = house.connect();
        let seen = seen.map_or_else(String::new, |seen| format!("Last-Event-ID: {seen}\r\n"));
        let head = format!("GET /api/v1/events HTTP/1.1\r\nHost: {}\r\n{seen}\r\n", house.host);
        stream.write_all(head.as_bytes()).expect("sent");
        Self(BufReader::new(stream))
    }

    /// The next event; chunks and comments are passed over.
    fn next(&mut self) -> Event {
        let (mut name, mut id) = (String::new(), String::new());
        loop {
            let mut line = String::new();
            assert!(self.0.read_line(&mut line).expect("events") > 0, "it goes on");
            if let Some(text) = line.strip_prefix("event: ") {
                name = text.trim_end().to_owned();
            } else if let Some(text) = line.strip_prefix("id: ") {
                id = text.trim_end().to_owned();
            } else if let Some(text) = line.strip_prefix("data: ") {
                return Event { name, id, data: serde_json::from_str(text).expect("JSON") };
            }
        }
    }

    /// The next change of this.
    fn change(&mut self, what: &str) -> Event {
        loop {
            let event = self.next();
            if event.name == "change" && event.data["what"] == what {
                return event;
            }
        }
    }
}

#[test]
fn first_comes_how_everything_is_then_each_change_with_its_reason() {
    let house = House::open(&[]);
    let mut follower = Follower::begin(&house, None);
    let first = follower.next();
    assert_eq!((first.name.as_str(), &first.data["pid"]), ("snapshot", &house.daemon.id().into()));
    house.mute(true);
    let change = follower.change("mute").data;
    assert_eq!(
        (&change["which"], &change["from"], &change["to"]),
        (&"capture".into(), &"live".into(), &"muted by command".into())
    );
    assert!(change["time_s"].as_f64() > Some(1.7e9), "{change}");
    // Who joins and leaves, on the socket.
    let listener = blocking::Listener::connect(&house.socket(), "ear").expect("a listener");
    let joined = follower.change("client").data;
    assert_eq!((&joined["from"], &joined["to"]), (&Value::Null, &"listener".into()));
    assert!(joined["reason"].as_str().is_some_and(|who| who.contains("ear")), "{joined}");
    drop(listener);
    let left = follower.change("client").data;
    assert_eq!((&left["which"], &left["reason"]), (&joined["which"], &"vanished".into()));
    // What is set, and what came of it.
    house.patch("/api/v1/config", &serde_json::json!({"capture.quality": "high"}));
    let set = follower.change("config").data;
    assert_eq!(
        (&set["which"], &set["from"], &set["to"]),
        (&"capture.quality".into(), &"medium".into(), &"high".into())
    );
    let turned = follower.change("quality").data;
    assert_eq!((&turned["to"], &turned["reason"]), (&"high".into(), &"user".into()));
    // What nobody wished: a worker that dies, and its successor.
    let worker = house.get("/api/v1/status").json()["capture"]["worker"]["pid"].as_i64().expect("a process");
    // SAFETY: a signal to a process of our own daemon.
    assert_eq!(unsafe { libc::kill(worker as libc::pid_t, libc::SIGKILL) }, 0);
    let died = follower.change("worker").data;
    assert_eq!((&died["from"], &died["to"]), (&"running".into(), &"waiting".into()));
    assert!(died["reason"].as_str().is_some_and(|why| why.contains("9") || why.contains("kill")), "{died}");
    while follower.change("worker").data["to"] != "running" {}
}

#[test]
fn who_comes_back_gets_what_it_missed_or_how_everything_is() {
    let house = House::open(&[]);
    let mut follower = Follower::begin(&house, None);
    assert_eq!(follower.next().name, "snapshot");
    house.mute(true);
    let seen = follower.change("mute").id;
    drop(follower);
    house.mute(false);
    house.mute(true);
    let mut again = Follower::begin(&house, Some(&seen));
    for to in ["live", "muted by command"] {
        assert_eq!(again.change("mute").data["to"], to, "in order, and no snapshot before");
    }
    let ids = seen.rsplit_once('-').expect("two numbers");
    for unknown in [
        "",
        "x",
        "1-1",
        &format!("{}-999999", ids.0),
        &format!("{}-{}", ids.0, u64::MAX),
        &format!("{}9-{}", ids.0, ids.1),
    ] {
        assert_eq!(Follower::begin(&house, Some(unknown)).next().name, "snapshot", "{unknown:?}");
    }
}

#[test]
fn two_hundred_follow_and_one_that_does_not_read_holds_up_nobody() {
    let house = House::open(&[]);
    let stalled = Follower::begin(&house, None);
    let mut followers: Vec<_> = (0..199).map(|_| Follower::begin(&house, None)).collect();
    for follower in &mut followers {
        assert_eq!(follower.next().name, "snapshot");
    }
    let mut controller = Controller::connect(&house.socket(), "hand", Some(SOON)).expect("a controller");
    for turn in 0..40 {
        controller.mute(Direction::Capture, turn % 2 == 0).expect("muted");
    }
    controller.mute(Direction::Playback, true).expect("muted");
    for follower in &mut followers {
        let mut heard = 0;
        while follower.change("mute").data["which"] == "capture" {
            heard += 1;
        }
        assert_eq!(heard, 40, "every one of them");
    }
    assert_eq!(house.get("/api/v1/status").status, 200);
    // It finds everything in its place when it reads after all.
    let mut stalled = stalled;
    while stalled.change("mute").data["which"] == "capture" {}
}

/// Makes hundreds of changes quickly: a controller that mutes and unmutes, and reads the answers afterwards.
fn flutter(house: &House) {
    let hello = Hello { role: Role::Controller, takeover: false, additions: Additions::NONE, name: "flutter" };
    let mut hand = Connection::open(&house.socket(), &hello, Some(SOON)).expect("a controller");
    let many = LIMITS.control.burst - 1;
    for tag in 1..=many {
        let arguments = Mute { direction: Direction::Playback, muted: tag % 2 == 1 }.emit();
        let mut payload = [0; 32];
        let length = Command { tag, verb: Verb::Mute as u16, arguments: &arguments }.emit(&mut payload).expect("room");
        hand.send(Kind::Command, &payload[..length]).expect("sent");
    }
    loop {
        match hand.event().expect("an answer") {
            Said::Answer(answer) if answer.tag == many => return,
            _ => {}
        }
    }
}

#[test]
fn who_falls_behind_is_told_how_many_changes_it_missed_and_how_everything_is() {
    let house = House::open(&[]);
    let mut slow = Follower::begin(&house, None);
    assert_eq!(slow.next().name, "snapshot");
    // More than its connection holds, and than are kept.
    (0..40).for_each(|_| flutter(&house));
    let (mut last, mut seen) = (0, 0);
    let missed = loop {
        let event = slow.next();
        match event.name.as_str() {
            "change" => (last, seen) = (event.data["number"].as_u64().expect("a number"), seen + 1),
            "missed" => break event.data["missed"].as_u64().expect("a number"),
            name => panic!("{name} in between"),
        }
    };
    assert!(seen > 0 && missed > 0, "{seen} seen, {missed} missed");
    let snapshot = slow.next();
    assert_eq!(snapshot.name, "snapshot");
    let (_, number) = snapshot.id.split_once('-').expect("two numbers");
    assert!(number.parse::<u64>().expect("a number") >= last + missed, "{last} + {missed}: {number}");
    // From there on it is as before.
    house.mute(true);
    assert_eq!(slow.change("mute").data["which"], "capture");
}

#[test]
fn changes_are_told_on_the_socket_too() {
    let house = House::open(&[]);
    let program = house.soundpost(&["watch"]);
    program.wait_for_line(|line| line.contains("capture is ") && line.contains("playback is "), SOON);
    let lines = house.soundpost(&["watch", "--json"]);
    let status = || house.get("/api/v1/status").json()["clients_connected"] == 2;
    assert!(soundpost_tests::until(SOON, status), "both are there");
    // The second one may have greeted, and not yet asked: it hears of what comes after that.
    let toggled = |muted| house.mute(muted);
    let mut muted = false;
    assert!(soundpost_tests::until(SOON, || {
        muted = !muted;
        toggled(muted);
        lines.output().contains("\"what\":\"mute\"")
    }));
    program.wait_for_line(|line| line.ends_with("Z mute capture: live → muted by command"), SOON);
    let line = lines.wait_for_line(|line| line.contains("\"what\":\"mute\""), SOON);
    let change: Value = serde_json::from_str(&line).expect("a line of JSON");
    assert_eq!(change["which"], "capture");
    // A daemon that ends in good order ends those that watch.
    let House { daemon, .. } = house;
    drop(daemon);
    let mut program = program;
    assert!(program.wait_exit(SOON).success(), "{}", program.output());
}
