//! Who is refused, how, and that nobody who misbehaves is noticed by the others.

use crate::house::{House, Reply, SOON};
use serde_json::json;
use soundpost_core::capacity::{HTTP_BODY_MAX, HTTP_CONNECTIONS_MAX, HTTP_HEAD_MAX};
use soundpost_core::config::{LIMITS, WEB};
use soundpost_tests::proc::Program;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

/// The status of the answer; method, path, header lines and body of the request; what the answer names.
type Case<'a> = (u16, &'a str, &'a str, &'a [(&'a str, &'a str)], &'a str, &'a str);

#[test]
fn what_is_wrong_is_named_with_its_value_and_what_is_allowed() {
    let house = House::open(&[]);
    let json = ("Content-Type", "application/json");
    let long = "x".repeat(HTTP_BODY_MAX + 1);
    let origin = ("Origin", "http://evil.example");
    let cases: &[Case<'_>] = &[
        (404, "GET", "/nothing", &[], "", "/api/v1/status"),
        (404, "GET", "/api/v1/status/", &[], "", "/api/v1/status"),
        (405, "DELETE", "/api/v1/status", &[], "", "GET, HEAD"),
        (405, "OPTIONS", "/api/v1/config", &[], "", "GET, PATCH, HEAD"),
        (405, "GET", "/api/v1/reload", &[], "", "POST"),
        (403, "GET", "/", &[("Host", "evil.example")], "", "localhost"),
        (403, "POST", "/api/v1/capture/stop", &[origin], "", "Origin"),
        (403, "POST", "/api/v1/capture/stop", &[("Sec-Fetch-Site", "cross-site")], "", "same-origin"),
        (415, "PUT", "/api/v1/mute", &[], "capture=true", "application/json"),
        (400, "PUT", "/api/v1/mute", &[json], "{\"capture\": 1}", "true or false"),
        (400, "PUT", "/api/v1/mute", &[json], "{\"speaker\": true}", "playback"),
        (400, "PUT", "/api/v1/mute", &[json], "[]", "object"),
        (400, "PUT", "/api/v1/mute", &[json], "\u{0}", "no JSON"),
        (400, "PATCH", "/api/v1/config", &[json], "{\"capture.qualify\": \"low\"}", "quality"),
        (400, "PATCH", "/api/v1/config", &[json], "{\"capture.quality\": [1]}", "low, medium"),
        (413, "PATCH", "/api/v1/config", &[json], &long, "16384 bytes"),
    ];
    for (status, method, path, lines, body, named) in cases {
        let reply = house.ask(method, path, lines, body);
        assert_eq!(reply.status, *status, "{method} {path}: {reply:?}");
        let problem = reply.json();
        assert!(problem["error"].is_string() && problem["field"].is_string(), "{problem}");
        assert!(problem.to_string().contains(named), "{named}: {problem}");
        assert_eq!(reply.header("access-control-allow-origin"), None, "no other site may read anything");
    }
    assert_eq!(house.get("/api/v1/mute").json()["capture"]["muted"], false);
    // What is no request at all is refused before anybody can say why in JSON.
    let many = "x: y\r\n".repeat(100);
    let head = format!("x: {}\r\n", "y".repeat(HTTP_HEAD_MAX));
    for (lines, status) in [(&*many, 431), (&head, 431), ("Host: a\r\nContent-Length: x\r\n", 400)] {
        let reply = house.raw(format!("GET / HTTP/1.1\r\n{lines}\r\n").as_bytes());
        assert_eq!(reply.status, status, "{reply:?}");
    }
    let chunks = format!("4000\r\n{}\r\n", "x".repeat(0x4000)).repeat(2);
    let head = format!("PATCH /api/v1/config HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n", house.host);
    let reply = house.raw(format!("{head}Transfer-Encoding: chunked\r\n\r\n{chunks}0\r\n\r\n").as_bytes());
    assert_eq!(reply.status, 413, "a length that nobody said is bounded, too: {reply:?}");
}

#[test]
fn nobody_is_let_in_from_elsewhere_without_the_token() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut open = House::start(&dir, &["--http", "0.0.0.0:0"]);
    assert!(!open.wait_exit(SOON).success());
    assert!(open.output().contains("--http-token-file"), "{}", open.output());
    let token = dir.path().join("token");
    std::fs::write(&token, "correct-horse-battery\n").expect("written");
    std::fs::set_permissions(&token, std::fs::Permissions::from_mode(0o600)).expect("a mode");
    let token = token.display().to_string();
    let mut house = House::open_in(dir, &["--http", "0.0.0.0:0", "--http-token-file", &token]);
    house.host = house.host.replace("0.0.0.0", "127.0.0.1");
    for (_, path) in soundpost_linux::http::paths().filter(|(method, path)| *method == "GET" && *path != "/healthz") {
        let reply = house.get(path);
        assert_eq!((reply.status, reply.header("www-authenticate")), (401, Some("bearer")), "{path}: {reply:?}");
    }
    assert_ne!(house.get("/healthz").status, 401, "a watchdog may ask");
    let with = |token: &str| house.ask("GET", "/api/v1/status", &[("Authorization", token)], "").status;
    for wrong in ["Bearer", "Bearer ", "Bearer correct-horse-batterY", "Basic correct-horse-battery", "Bearer x"] {
        assert_eq!(with(wrong), 401, "{wrong}");
    }
    assert_eq!(with("Bearer correct-horse-battery"), 200);
    assert_eq!(house.post("/api/v1/capture/stop").status, 401);
}

#[test]
fn a_taken_port_ends_who_asked_for_it_and_warns_who_did_not() {
    let dir = tempfile::tempdir().expect("a directory");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let mut refused = House::start(&dir, &["--http", &address]);
    assert!(!refused.wait_exit(SOON).success());
    let said = refused.output();
    assert!(said.contains(&address) && said.contains("another program") && said.contains("--http"), "{said}");
    // If another test has it at the moment, it is as much taken.
    let default = TcpListener::bind(soundpost_linux::http::DEFAULT);
    let daemon = House::start(&dir, &[]);
    if default.is_ok() {
        daemon.wait_for_line(|line| line.contains("no control over HTTP") && line.contains("another program"), SOON);
    }
    daemon.wait_for_line(|line| line.contains("is ready"), SOON);
}

#[test]
fn it_can_be_switched_off() {
    let dir = tempfile::tempdir().expect("a directory");
    let daemon = House::start(&dir, &["--http", "off"]);
    daemon.wait_for_line(|line| line.contains("playback "), SOON);
    let socket = dir.path().join("s.sock").display().to_string();
    let mut status = Program::spawn(&["status", "--json", "--socket", &socket], &[]);
    assert!(status.wait_exit(SOON).success());
    assert!(status.output().contains("\"http\":null"), "{}", status.output());
}

#[test]
fn who_is_slow_to_ask_is_sent_away_and_nobody_waits_for_it() {
    let house = House::open(&[]);
    let began = Instant::now();
    // Heads that never end, one drop at a time; bodies that never come; nothing at all.
    let post = format!(
        "PUT /api/v1/mute HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n",
        house.host
    );
    let mut slow: Vec<_> = (0..30).map(|_| house.connect()).collect();
    for (number, stream) in slow.iter_mut().enumerate() {
        let begin = ["", "GET / HT", &post][number % 3];
        stream.write_all(begin.as_bytes()).expect("sent");
    }
    for _ in 0..20 {
        assert_eq!(house.get("/api/v1/status").status, 200);
    }
    for (number, mut stream) in slow.into_iter().enumerate() {
        let mut said = Vec::new();
        let _ = stream.read_to_end(&mut said);
        let reply = Reply::of(&said);
        if number % 3 == 2 {
            assert_eq!(reply.status, 408, "{reply:?}");
        } else {
            assert!(matches!(reply.status, 0 | 408), "{reply:?}");
        }
    }
    // Not before its time: a busy machine makes it later, never earlier.
    assert!(began.elapsed() >= Duration::from_micros(WEB.head.as_micros()), "{:?}", began.elapsed());
}

#[test]
fn connections_are_bounded_and_one_too_many_is_told_so() {
    let house = House::open(&[]);
    let mut held: Vec<_> = (0..HTTP_CONNECTIONS_MAX).map(|_| house.connect()).collect();
    let mut reply = Reply::default();
    let full = soundpost_tests::until(SOON, || {
        reply = house.get("/api/v1/mute");
        // Some may have been sent away already, on a slow machine.
        held.push(house.connect());
        reply.status == 503
    });
    assert!(full, "{reply:?}");
    assert!(reply.json()["error"].as_str().is_some_and(|error| error.contains("256")), "{reply:?}");
    drop(held);
    assert!(soundpost_tests::until(SOON, || house.get("/healthz").status == 200), "there is room again");
}

#[test]
fn all_together_ask_only_so_often() {
    let house = House::open(&[]);
    let mut stream = house.connect();
    // Many at a time, so that they come quickly on a slow machine, too.
    let many = format!("HEAD /healthz HTTP/1.1\r\nHost: {}\r\n\r\n", house.host).repeat(100);
    let (mut answered, mut room) = (0, [0; 64 * 1024]);
    let refused = (0..1_000).any(|_| {
        stream.write_all(many.as_bytes()).expect("sent");
        let mut got = Vec::new();
        let heads = |got: &[u8]| got.windows(4).filter(|four| four == b"\r\n\r\n").count();
        while heads(&got) < 100 {
            let length = stream.read(&mut room).expect("answers");
            assert!(length > 0, "the connection stays");
            got.extend_from_slice(&room[..length]);
        }
        let refusals = String::from_utf8_lossy(&got).matches("HTTP/1.1 429").count();
        answered += 100 - refusals;
        refusals > 0
    });
    assert!(refused && answered >= LIMITS.http.burst as usize, "{answered}");
}

#[test]
fn who_takes_nothing_is_cut_off() {
    let house = House::open(&[]);
    let mut stream = house.connect();
    stream.set_nonblocking(true).expect("it does not wait");
    // Questions without end, whose answers nobody reads.
    let head = format!("GET /api/v1/openapi.json HTTP/1.1\r\nHost: {}\r\n\r\n", house.host).repeat(20);
    let connections = || {
        let page = house.get("/metrics").text();
        let line = page.lines().find(|line| line.starts_with("soundpost_http_connections ")).expect("it is counted");
        line.rsplit(' ').next().and_then(|count| count.parse::<u32>().ok()).expect("a number")
    };
    assert!(soundpost_tests::until(SOON, || connections() == 2), "that one, and the one that asks");
    assert!(
        soundpost_tests::until(2 * SOON, || {
            let _ = stream.write(head.as_bytes());
            std::thread::park_timeout(Duration::from_millis(50));
            connections() == 1
        }),
        "the kernel gives it up"
    );
}

/// The next number of a sequence that looks like chance and is the same each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }
}

#[test]
fn whatever_is_sent_the_daemon_is_there_afterwards() {
    let house = House::open(&[]);
    let body = json!({"capture": true, "playback": false}).to_string();
    let seeds = [
        format!("GET /api/v1/status HTTP/1.1\r\nHost: {}\r\nAccept: */*\r\n\r\n", house.host),
        format!(
            "PUT /api/v1/mute HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            house.host,
            body.len()
        ),
        format!(
            "PATCH /api/v1/config HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n19\r\n{{\"capture.gain\": \"-1dB\" }}\r\n0\r\n\r\n",
            house.host
        ),
        "POST http://localhost/api/v1/capture/start HTTP/1.0\r\nHost: localhost\r\nUpgrade: h2c\r\n\r\n".to_owned(),
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(),
    ];
    let mut dice = Dice(8);
    for round in 0..400 {
        let mut bytes = seeds[round % seeds.len()].clone().into_bytes();
        for _ in 0..=dice.roll(6) {
            let (at, other) = (dice.roll(bytes.len().max(1)), dice.roll(256) as u8);
            match dice.roll(5) {
                0 if !bytes.is_empty() => bytes[at] = other,
                1 => bytes.truncate(at),
                2 => bytes.insert(at.min(bytes.len()), other),
                3 => bytes.splice(at.min(bytes.len()).., b"\r\n\r\n".repeat(1 + dice.roll(3))).for_each(drop),
                _ => bytes = [&bytes[..], &bytes[at.min(bytes.len())..]].concat(),
            }
        }
        let mut stream = house.connect();
        let _ = stream.write_all(&bytes);
        // Nothing more comes: it need not wait for the rest.
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let _ = stream.read_to_end(&mut Vec::new());
    }
    let status = house.get("/api/v1/status").json();
    assert_eq!(status["pid"], house.daemon.id(), "it is the same daemon");
    assert_eq!(house.get("/api/v1/presets").status, 200);
}
