//! The public socket between programs: who may come, who is told what, and who holds up nobody.

use soundpost_client::asynchronous::{Connection, Controller, Listener, Talker};
use soundpost_client::{Additions, Direction, Error, ErrorCode, Event, Heard, Hello, Kind, Role, Sent, blocking};
use soundpost_core::config::LIMITS;
use soundpost_core::wire::{self, HEADER_LEN, Outcome};
use soundpost_tests::proc::Program;
use soundpost_tests::{until, until_some_every};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::timeout;

const SOON: Duration = Duration::from_secs(60);
const NOTICES: Additions = Additions { redundancy: false, notices: true };
const SILENCE: [u8; 3] = [0xf8, 0xff, 0xfe];

/// A daemon on the synthetic source, with a socket of its own.
struct House {
    dir: tempfile::TempDir,
    daemon: Program,
}

impl House {
    fn open(args: &[&str]) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let socket = dir.path().join("s.sock").display().to_string();
        let always = ["run", "--capture", "tone:", "--playback", "null", "--socket", &socket];
        let daemon = Program::spawn(&[&always, args].concat(), &[]);
        daemon.wait_for_line(|line| line.contains("is ready"), SOON);
        Self { dir, daemon }
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("s.sock")
    }

    fn soundpost(&self, args: &[&str]) -> (String, bool) {
        let mut program = Program::spawn(&[args, &["--socket", &self.socket().display().to_string()]].concat(), &[]);
        let success = program.wait_exit(SOON).success();
        (program.output(), success)
    }

    /// Whether the status comes to be so. Not asked more often than a client may.
    fn comes_to(&self, mut holds: impl FnMut(&serde_json::Value) -> bool) -> bool {
        let mut controller = blocking::Controller::connect(&self.socket(), "watch", Some(SOON)).expect("a controller");
        let pace = Duration::from_millis(20);
        let found = until_some_every(pace, SOON, || {
            let json = controller.status().expect("a status");
            holds(&serde_json::from_str(&json).expect("JSON")).then_some(())
        });
        found.is_some()
    }

    fn status(&self) -> serde_json::Value {
        let controller = blocking::Controller::connect(&self.socket(), "test", Some(SOON));
        let json = controller.expect("a controller").status().expect("a status");
        serde_json::from_str(&json).expect("JSON")
    }
}

fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async { timeout(2 * SOON, test).await.expect("done in time") })
}

async fn join(path: &Path, role: Role, additions: Additions) -> Result<Connection, Error> {
    Connection::open(path, &Hello { role, takeover: false, additions, name: "test" }).await
}

/// Waits for the refusal that ends the conversation.
async fn refusal(connection: &mut Connection) -> Error {
    loop {
        match connection.event().await {
            Ok(_) => {}
            Err(error) => return error,
        }
    }
}

#[test]
fn a_controller_mutes_and_unmutes_and_no_packets_come_while_it_is_muted() {
    let house = House::open(&[]);
    run(async {
        let mut listener = Listener::connect(&house.socket(), "ear").await.expect("a listener");
        let mut controller = Controller::connect(&house.socket(), "hand").await.expect("a controller");
        let Heard::Packet(first, _) = listener.hear().await.expect("it is live") else { panic!("not a packet") };
        let json = controller.mute(Direction::Capture, true).await.expect("muted");
        assert!(json.contains("\"capture_by_command\":true"), "{json}");
        // Frames go by that are not sent.
        assert!(house.comes_to(|status| status["capture"]["muted_frames"].as_u64() >= Some(5)));
        controller.mute(Direction::Capture, false).await.expect("unmuted");
        // What was sent before and after; in between stream time went on without a packet.
        let mut before = (first.sequence, first.media.0);
        let gap = loop {
            let Heard::Packet(header, _) = listener.hear().await.expect("a packet") else { continue };
            let this = (header.sequence, header.media.0);
            let (sequence, media) = std::mem::replace(&mut before, this);
            if this.1 - media > 960 * u64::from(this.0 - sequence) {
                break this.1 - media;
            }
        };
        assert!(gap >= 5 * 960, "{gap} samples");
        assert_eq!(house.status()["capture"]["muted"], false);
    });
}

#[test]
fn muting_is_a_verb_of_the_command_line_too() {
    let house = House::open(&[]);
    assert_eq!(house.soundpost(&["mute", "on"]), ("capture is muted\n".to_owned(), true));
    assert_eq!(house.status()["capture"]["muted"], true);
    assert_eq!(house.soundpost(&["mute", "off"]), ("capture is not muted\n".to_owned(), true));
    assert_eq!(house.soundpost(&["mute", "--playback", "on"]), ("playback is muted\n".to_owned(), true));
    run(async {
        let mut talker = Talker::connect(&house.socket(), "mouth", false).await.expect("the floor is free");
        for _ in 0..5 {
            assert_eq!(talker.say(&SILENCE).await.expect("taken"), Sent::Yes);
        }
        talker.leave();
    });
    assert!(house.comes_to(|status| status["playback"]["metrics"]["frames_received"] == 5));
    assert_eq!(house.status()["playback"]["muted"], true, "the engine keeps silent");
    assert_eq!(house.soundpost(&["mute", "--playback", "off"]), ("playback is not muted\n".to_owned(), true));
    assert!(house.comes_to(|status| status["playback"]["muted"] == false));
}

#[test]
fn what_a_daemon_does_not_know_is_answered_or_passed_over_as_the_rules_say() {
    let house = House::open(&[]);
    run(async {
        // A newer controller: the verb is refused, and the conversation goes on.
        let mut controller = Controller::connect(&house.socket(), "newer").await.expect("a controller");
        let unknown = controller.ask(999, &[1, 2, 3]).await.expect_err("no such verb");
        assert_eq!(unknown.outcome(), Some(Outcome::UnknownVerb));
        assert!(unknown.to_string().contains("verb 999") && unknown.to_string().contains("2 mute"), "{unknown}");
        for (verb, arguments, named) in [
            (1, &[1][..], "status takes no arguments"),
            (2, &[3, 0], "direction (1 capture, 2 playback) cannot be 3"),
            (2, &[1, 2], "mute (0 or 1) cannot be 2"),
            (2, &[1], "payload of 1 bytes"),
        ] {
            let error = controller.ask(verb, arguments).await.expect_err("a bad argument");
            assert_eq!(error.outcome(), Some(Outcome::BadArgument), "{error}");
            assert!(error.to_string().contains(named), "{named}: {error}");
        }
        assert!(controller.status().await.expect("still served").starts_with('{'));
        // A newer client that sets additions, and bytes that are zero now, is answered with what both know.
        let newer = tokio_seqpacket::UnixSeqpacket::connect(house.socket()).await.expect("a connection");
        let mut hello = vec![0; HEADER_LEN + 4];
        wire::emit(Kind::Hello, &[Role::Listener as u8, 0, 0xff, 0xff], &mut hello).expect("room");
        hello[6..8].fill(0xff);
        newer.send(&hello).await.expect("sent");
        let mut room = [0; 8192];
        let got = newer.recv(&mut room).await.expect("an answer").bytes_read();
        let (header, payload, _) = wire::parse(&room[..got]).expect("a message");
        assert_eq!((header.kind, payload[5]), (Kind::Welcome, 3), "both additions that there are, and no other");
        // A kind or role from the future is named as such, with what is known.
        for (at, byte, named) in
            [(3, 99, "kind 99 does not exist; allowed: 1 to 11"), (HEADER_LEN, 9, "role cannot be 9")]
        {
            let future = tokio_seqpacket::UnixSeqpacket::connect(house.socket()).await.expect("a connection");
            let mut hello = vec![0; HEADER_LEN + 4];
            wire::emit(Kind::Hello, &[Role::Listener as u8, 0, 0, 0], &mut hello).expect("room");
            hello[at] = byte;
            future.send(&hello).await.expect("sent");
            let got = future.recv(&mut room).await.expect("an answer").bytes_read();
            let text = String::from_utf8_lossy(&room[HEADER_LEN + 2..got]);
            assert!(text.contains(named), "{text}");
        }
        // Who is no controller may not command.
        let mut observer = join(&house.socket(), Role::Observer, Additions::NONE).await.expect("an observer");
        observer.send(Kind::Command, &[0; 8]).expect("sent");
        assert_eq!(refusal(&mut observer).await.code(), Some(ErrorCode::Unexpected));
    });
    let refusals = &house.status()["refusals"];
    assert_eq!((&refusals["malformed"], &refusals["unexpected"]), (&2.into(), &1.into()), "{refusals}");
}

#[test]
fn a_listener_that_was_too_slow_is_told_how_much_it_missed() {
    let house = House::open(&["--frame", "2.5ms"]);
    run(async {
        let mut told = join(&house.socket(), Role::Listener, NOTICES).await.expect("a listener");
        let mut old = join(&house.socket(), Role::Listener, Additions::NONE).await.expect("an older listener");
        assert!(told.welcome.additions.notices && !old.welcome.additions.notices);
        // Neither reads, until both have lost packets.
        assert!(house.comes_to(|status| status["clients"][0]["dropped"].as_u64() >= Some(20)));
        // Every hole in the sequence is announced right before it ends, and by its size.
        let (mut before, mut announced, mut holes) = (None, 0_u64, 0);
        let mut sum = 0;
        while holes == 0 || announced > 0 {
            match told.event().await.expect("an event") {
                Event::Dropped { fresh, total } => {
                    announced += u64::from(fresh);
                    sum += u64::from(fresh);
                    assert_eq!(sum, total);
                }
                Event::Packet(header, _) => {
                    if let Some(before) = before.replace(header.sequence) {
                        assert_eq!(u64::from(header.sequence - before - 1), announced, "after {before}");
                        holes += u32::from(announced > 0);
                        announced = 0;
                    }
                }
                other => panic!("{other:?}"),
            }
        }
        // One that did not ask for notices sees the same hole and no other message.
        let mut before = None;
        loop {
            let Event::Packet(header, _) = old.event().await.expect("an event") else { panic!("not a packet") };
            if before.replace(header.sequence).is_some_and(|before| header.sequence > before + 1) {
                break;
            }
        }
    });
}

#[test]
fn a_talker_whose_packets_find_no_room_is_told_how_many() {
    let house = House::open(&[]);
    run(async {
        let mut talker = Talker::connect(&house.socket(), "burst", false).await.expect("the floor is free");
        // Far more at once than is kept, then one at a time until there is room again.
        for _ in 0..400 {
            while talker.say(&SILENCE).await.expect("not refused") != Sent::Yes {
                tokio::task::yield_now().await;
            }
        }
        loop {
            talker.say(&SILENCE).await.expect("not refused");
            match timeout(Duration::from_millis(100), talker.news()).await {
                Ok(news) => {
                    let Event::Dropped { fresh, total } = news.expect("news") else { panic!("other news") };
                    assert!(fresh > 0 && u64::from(fresh) <= total);
                    break;
                }
                Err(_elapsed) => {}
            }
        }
        let status = house.status();
        assert!(status["clients"][0]["dropped"].as_u64() > Some(0), "{status}");
    });
}

#[test]
fn a_flood_of_requests_is_sent_away_with_its_reason_and_delays_no_packet() {
    let house = House::open(&[]);
    run(async {
        let path = house.socket();
        let mut listener = Listener::connect(&path, "ear").await.expect("a listener");
        // Everybody floods until sent away, comes back, and floods again, while the listener counts.
        let flood = |path: PathBuf| async move {
            for _ in 0..10 {
                let mut controller = join(&path, Role::Controller, Additions::NONE).await.expect("a controller");
                let mut sent = 0_u32;
                while controller.send(Kind::Command, &[0, 0, 0, 0, 1, 0, 0, 0]).is_ok() {
                    sent += 1;
                    tokio::task::yield_now().await;
                }
                let refused = refusal(&mut controller).await;
                assert_eq!(refused.code(), Some(ErrorCode::TooFast), "{refused}");
                assert!(sent >= LIMITS.control.burst, "{sent}");
            }
        };
        let floods: Vec<_> = (0..8).map(|_| tokio::spawn(flood(path.clone()))).collect();
        let (mut before, mut heard, mut lost, mut told) = (None, 0, 0, 0);
        while heard < 100 || !floods.iter().all(tokio::task::JoinHandle::is_finished) {
            match listener.hear().await.expect("it goes on") {
                Heard::Packet(header, _) => {
                    heard += 1;
                    lost += before.replace(header.sequence).map_or(0, |before| header.sequence - before - 1);
                }
                // Should this test itself be too slow, that is no fault of the flood.
                Heard::Dropped { fresh, .. } => told += fresh,
                Heard::Bye => panic!("no goodbye was due"),
            }
        }
        for flood in floods {
            flood.await.expect("as it should");
        }
        let status = house.status();
        let late = status["capture"]["dropped_ring_full"].as_u64();
        assert_eq!((lost, late), (told, Some(0)), "of {heard} packets, nothing is lost to the flood");
        assert_eq!(status["refusals"]["too_fast"], 80);
    });
}

#[test]
fn listeners_that_do_not_read_hold_up_no_controller() {
    let house = House::open(&["--frame", "2.5ms"]);
    run(async {
        let mut stalled = Vec::new();
        for _ in 0..40 {
            stalled.push(join(&house.socket(), Role::Listener, NOTICES).await.expect("a listener"));
        }
        let mut controller = Controller::connect(&house.socket(), "hand").await.expect("a controller");
        assert!(house.comes_to(|status| {
            let clients = status["clients"].as_array().expect("clients");
            clients.iter().filter(|client| client["dropped"].as_u64() > Some(0)).count() == stalled.len()
        }));
        for _ in 0..20 {
            controller.mute(Direction::Playback, true).await.expect("an answer to each");
        }
    });
}

#[test]
fn who_floods_and_does_not_read_is_told_when_it_does() {
    let house = House::open(&[]);
    run(async {
        let mut listener = join(&house.socket(), Role::Listener, Additions::NONE).await.expect("a listener");
        // Its queue is full of packets before it breaks a rule.
        assert!(house.comes_to(|status| status["clients"][0]["dropped"].as_u64() > Some(0)));
        listener.send(Kind::Hello, &[1, 0, 0, 0]).expect("sent");
        assert_eq!(refusal(&mut listener).await.code(), Some(ErrorCode::Unexpected));
    });
}

#[test]
fn who_connects_too_often_is_told_so() {
    let house = House::open(&[]);
    run(async {
        let mut refused = None;
        for _ in 0..2 * LIMITS.connections.burst {
            match join(&house.socket(), Role::Observer, Additions::NONE).await {
                Ok(_) => {}
                Err(error) if error.code() == Some(ErrorCode::TooManyClients) => {}
                Err(error) => {
                    refused = Some(error);
                    break;
                }
            }
        }
        let refused = refused.expect("there is a limit");
        assert_eq!(refused.code(), Some(ErrorCode::TooFast), "{refused}");
        assert!(refused.to_string().contains("1200 at once, then 200 a second"), "{refused}");
    });
    assert!(until(SOON, || {
        let answered = blocking::Controller::connect(&house.socket(), "later", Some(SOON));
        answered.is_ok_and(|mut controller| controller.status().is_ok())
    }));
}

#[test]
fn only_those_on_the_list_are_let_in_and_others_are_told_who_is() {
    let house = House::open(&["--allow", "user:12345,group:23456"]);
    // Only root can be somebody else for a moment.
    if !is_root() {
        assert!(house.status().is_object(), "the daemon's own user");
        return;
    }
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(house.dir.path(), open).expect("our own directory");
    let ask = |user: u32, group: u32| {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/examples/control.py");
        let code = std::fs::read_to_string(script).expect("the example");
        let mut command = std::process::Command::new("python3");
        command.args(["-c", &code, "--socket", &house.socket().display().to_string(), "verbs"]);
        command.stdin(std::process::Stdio::null());
        std::os::unix::process::CommandExt::gid(&mut command, group);
        std::os::unix::process::CommandExt::uid(&mut command, user);
        command.current_dir("/").stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
        let mut client = Program::start(command);
        let success = client.wait_exit(SOON).success();
        (client.output(), success)
    };
    for (user, group) in [(12_345, 1), (1, 23_456), (0, 0)] {
        let (output, success) = ask(user, group);
        assert!(success, "{user}:{group}: {output}");
    }
    let (output, success) = ask(54_321, 65_432);
    assert!(!success && output.contains(&format!("error {}: ", ErrorCode::Forbidden as u16)), "{output}");
    assert!(output.contains("user 54321") && output.contains("user:12345, group:23456"), "{output}");
    assert_eq!(house.status()["refusals"]["forbidden"], 1);
    assert!(house.daemon.output().contains("sent away: user 54321"), "{}", house.daemon.output());
}

#[test]
fn as_many_clients_are_served_as_the_option_says() {
    let house = House::open(&["--clients-max", "3"]);
    run(async {
        let mut here = Vec::new();
        for _ in 0..3 {
            here.push(join(&house.socket(), Role::Observer, Additions::NONE).await.expect("a place"));
        }
        let full = join(&house.socket(), Role::Observer, Additions::NONE).await.expect_err("no place");
        assert_eq!(full.code(), Some(ErrorCode::TooManyClients));
        assert!(full.to_string().contains("3 clients"), "{full}");
    });
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0)
}

#[test]
fn a_talker_who_is_replaced_while_it_breaks_a_rule_is_told_one_reason_only() {
    let house = House::open(&[]);
    run(async {
        for _ in 0..20 {
            let mut first = join(&house.socket(), Role::Talker, Additions::NONE).await.expect("the floor is free");
            // Both are there before the daemon looks.
            let hello = Hello { role: Role::Talker, takeover: true, additions: Additions::NONE, name: "second" };
            let path = house.socket();
            let takes_over = Connection::open(&path, &hello);
            let breaks_a_rule = async { first.send(Kind::Hello, &[2, 0, 0, 0]) };
            let (second, sent) = tokio::join!(takes_over, breaks_a_rule);
            assert!(sent.is_ok());
            let code = refusal(&mut first).await.code();
            assert!(matches!(code, Some(ErrorCode::Replaced | ErrorCode::Unexpected)), "{code:?}");
            assert!(matches!(refusal(&mut first).await, Error::Closed), "nothing after that");
            second.expect("it has the floor").send(Kind::Bye, &[]).expect("sent");
            assert!(house.comes_to(|status| status["clients_connected"] == 1));
        }
    });
}
