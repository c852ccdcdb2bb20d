//! What is wrong is named, with what is allowed, and the daemon never dies of a client.

use soundpost_core::wire::{self, Additions, ErrorCode, Fault, HEADER_LEN, Header, Hello, Kind, Role, WireError};
use soundpost_tests::proc::Program;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio_seqpacket::UnixSeqpacket;

const SOON: Duration = Duration::from_secs(20);

/// A daemon on the synthetic source, with a socket of its own.
struct House {
    dir: tempfile::TempDir,
    daemon: Program,
}

impl House {
    fn open() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let daemon = start(&dir.path().join("s.sock"), &["--capture", "tone:", "--playback", "null"]);
        daemon.wait_for_line(|line| line.contains("is ready"), SOON);
        Self { dir, daemon }
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("s.sock")
    }

    /// The status, which also shows that the daemon lives.
    fn status(&self) -> serde_json::Value {
        let (output, success) = soundpost(&["status", "--json", "--socket", &self.socket().display().to_string()]);
        assert!(success, "the daemon does not answer: {output}");
        serde_json::from_str(output.lines().next().expect("a line")).expect("JSON")
    }
}

fn start(socket: &Path, args: &[&str]) -> Program {
    let socket = socket.display().to_string();
    Program::spawn(&[&["run", "--socket", &socket], args].concat(), &[])
}

/// Runs to the end; returns everything it said, and whether it succeeded.
fn soundpost(args: &[&str]) -> (String, bool) {
    let mut program = Program::spawn(args, &[]);
    let status = program.wait_exit(SOON);
    (program.output(), status.success())
}

fn refused(args: &[&str], code: i32, named: &[&str]) {
    let mut program = Program::spawn(args, &[]);
    let status = program.wait_exit(SOON);
    let output = program.output();
    assert_eq!(status.code(), Some(code), "{args:?}: {output}");
    assert!(!output.contains("panicked"), "{output}");
    for name in named {
        assert!(output.contains(name), "{args:?} does not name {name:?}: {output}");
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// Receives until an Error message comes, or the connection ends.
async fn fault(socket: &UnixSeqpacket) -> Option<(ErrorCode, String)> {
    let mut room = [0; 8192];
    loop {
        let got =
            tokio::time::timeout(SOON, socket.recv(&mut room)).await.expect("an answer in time").ok()?.bytes_read();
        if got == 0 {
            return None;
        }
        let (header, payload, _) = wire::parse(&room[..got]).expect("the daemon speaks the protocol");
        if header.kind == Kind::Error {
            let fault = Fault::parse(payload).expect("a fault");
            return Some((fault.code, fault.text.to_owned()));
        }
    }
}

fn message(kind: Kind, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![0; HEADER_LEN + payload.len()];
    wire::emit(kind, payload, &mut out).expect("room");
    out
}

fn hello(role: Role, takeover: bool) -> Vec<u8> {
    let mut payload = [0; 64];
    let length = Hello { role, takeover, additions: Additions::NONE, name: "test" }.emit(&mut payload).expect("room");
    message(Kind::Hello, &payload[..length])
}

async fn join(path: &Path, role: Role, takeover: bool) -> io::Result<UnixSeqpacket> {
    let socket = UnixSeqpacket::connect(path).await?;
    socket.send(&hello(role, takeover)).await?;
    let mut room = [0; 8192];
    let got = socket.recv(&mut room).await?.bytes_read();
    let (header, payload, _) = wire::parse(&room[..got]).expect("a message");
    match header.kind {
        Kind::Welcome => Ok(socket),
        _ => Err(io::Error::other(Fault::parse(payload).expect("a fault").text.to_owned())),
    }
}

#[test]
fn wrong_devices_and_streams_are_refused_by_name() {
    let dir = tempfile::tempdir().expect("a directory");
    let socket = dir.path().join("s.sock").display().to_string();
    let run = |more: &[&str], code, named: &[&str]| {
        refused(&[&["run", "--socket", &socket], more].concat(), code, named);
    };
    run(&["--capture", "pulse:x"], 2, &["--capture", "\"pulse\"", "alsa:NAME, usb:PORT, file:PATH.wav, tone:"]);
    run(
        &["--capture", "alsa:nosuch", "--playback", "null"],
        1,
        &["capture alsa:nosuch", "no such device", "soundpost devices"],
    );
    run(&["--capture", "null", "--playback", "alsa:hw:99"], 1, &["playback alsa:hw:99", "no such device"]);
    run(
        &["--capture", "null", "--playback", "tone:"],
        1,
        &["tone:", "allowed: alsa:NAME, usb:PORT, file:PATH.wav, null or auto"],
    );
    run(&["--rate", "22050"], 2, &["--rate", "22050", "8000, 12000, 16000, 24000 or 48000 Hz"]);
    run(&["--channels", "6"], 2, &["--channels", "6", "1 (mono) or 2 (stereo)"]);
    run(&["--frame", "30ms"], 2, &["--frame", "30ms", "2.5ms, 5ms, 10ms, 20ms, 40ms or 60ms"]);
    run(&["--bitrate", "1M"], 2, &["--bitrate", "1M", "6k to 510k"]);
    refused(&["status", "--socket", "/nonexistent/s.sock"], 1, &["/nonexistent/s.sock", "soundpost run"]);
    refused(&["sing"], 2, &["sing"]);
}

#[test]
fn wrong_recordings_are_refused_by_name() {
    let dir = tempfile::tempdir().expect("a directory");
    let (socket, wav) = (dir.path().join("s.sock").display().to_string(), dir.path().join("x.wav"));
    let spec = |channels, sample_rate| hound::WavSpec {
        channels,
        sample_rate,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let write = |spec: hound::WavSpec| {
        let mut writer = hound::WavWriter::create(&wav, spec).expect("a file");
        (0..4_800_i16).for_each(|n| writer.write_sample(n).expect("a sample"));
        writer.finalize().expect("a header");
    };
    let uri = format!("file:{}", wav.display());
    let refuse =
        |named: &[&str]| refused(&["run", "--socket", &socket, "--capture", &uri, "--playback", "null"], 1, named);
    refuse(&["x.wav", "No such file"]);
    write(spec(1, 22_050));
    refuse(&["x.wav", "22050 Hz", "48000 Hz", "sox"]);
    write(spec(4, 48_000));
    refuse(&["x.wav", "4 channels", "1 (mono) or 2 (stereo)"]);
    write(spec(1, 48_000));
    let whole = std::fs::read(&wav).expect("the file");
    std::fs::write(&wav, &whole[..whole.len() / 2]).expect("a file");
    refuse(&["x.wav", "cut short", "4800 values"]);
    std::fs::write(&wav, &whole[..30]).expect("a file");
    refuse(&["x.wav", "cut short", "header"]);
    let mut none = whole;
    none[22] = 0;
    std::fs::write(&wav, none).expect("a file");
    refuse(&["x.wav"]);
}

#[test]
fn a_second_daemon_on_the_same_socket_is_refused_and_the_first_goes_on() {
    let house = House::open();
    let socket = house.socket().display().to_string();
    let pid = format!("process {}", house.daemon.id());
    refused(&["run", "--capture", "tone:", "--playback", "null", "--socket", &socket], 1, &[&socket, &pid, "--socket"]);
    assert_eq!(house.status()["pid"], house.daemon.id());
}

#[test]
fn a_daemon_that_was_killed_leaves_nothing_that_stops_the_next_one() {
    let mut house = House::open();
    house.daemon.signal(libc::SIGKILL);
    house.daemon.wait_exit(SOON);
    assert!(house.socket().exists(), "as a killed process leaves it");
    house.daemon = start(&house.socket(), &["--capture", "tone:", "--playback", "null"]);
    house.daemon.wait_for_line(|line| line.contains("is ready"), SOON);
    house.status();
    house.daemon.signal(libc::SIGTERM);
    assert!(house.daemon.wait_exit(SOON).success());
    assert!(!house.socket().exists(), "removed in good order");
}

#[test]
fn garbage_is_answered_with_what_is_wrong_with_it_and_everybody_else_goes_on() {
    let house = House::open();
    let path = house.socket();
    runtime().block_on(async {
        let listener = join(&path, Role::Listener, false).await.expect("a listener");
        let short = message(Kind::Hello, &[1, 0, 0, 0])[..20].to_vec();
        let oversized = vec![0x53; 100_000];
        let mut version = hello(Role::Listener, false);
        version[2] = 7;
        let mut kind = hello(Role::Listener, false);
        kind[3] = 99;
        let mut role = hello(Role::Listener, false);
        role[HEADER_LEN] = 9;
        let trailing = [hello(Role::Listener, false), vec![0; 5]].concat();
        for (bytes, code, named) in [
            (b"GET / HTTP/1.1\r\n\r\n".to_vec(), ErrorCode::Malformed, "starts with 47 45"),
            (short, ErrorCode::Malformed, "32 bytes are needed"),
            (oversized, ErrorCode::Malformed, "allowed for this kind of message"),
            (version, ErrorCode::Version, "version 7"),
            (kind, ErrorCode::Malformed, "kind 99"),
            (role, ErrorCode::Malformed, "role cannot be 9"),
            (trailing, ErrorCode::Malformed, "payload of"),
            (message(Kind::StatusRequest, &[]), ErrorCode::Unexpected, "before Hello"),
        ] {
            let socket = UnixSeqpacket::connect(&path).await.expect("a connection");
            socket.send(&bytes).await.expect("it takes anything");
            let (got, text) = fault(&socket).await.unwrap_or_else(|| panic!("no answer to {named}"));
            assert_eq!(got, code, "{text}");
            assert!(text.contains(named), "{named}: {text}");
            assert_eq!(fault(&socket).await, None, "and it is closed");
        }
        let mut room = [0; 8192];
        assert!(listener.recv(&mut room).await.expect("a packet").bytes_read() > HEADER_LEN);
        assert_eq!(house.status()["clients"].as_array().map(Vec::len), Some(2), "the listener and the one who asks");
    });
}

#[test]
fn members_who_break_the_rules_are_sent_away() {
    let house = House::open();
    let path = house.socket();
    let packet = |payload: &[u8]| {
        let header = Header::new(Kind::Packet, payload.len()).expect("a length").emit();
        [&header[..], payload].concat()
    };
    runtime().block_on(async {
        for (role, bytes, code, named) in [
            (Role::Listener, packet(&[31 << 3]), ErrorCode::Unexpected, "a listener may not send Packet"),
            (Role::Talker, packet(&[(31 << 3) | 3, 6]), ErrorCode::Malformed, "120 ms of sound; allowed: 2.5 to 60 ms"),
            (Role::Talker, packet(&[0xff, 0]), ErrorCode::Malformed, "not an Opus packet"),
            (Role::Talker, hello(Role::Talker, false), ErrorCode::Unexpected, "may not send Hello"),
        ] {
            let socket = join(&path, role, false).await.expect("a member");
            socket.send(&bytes).await.expect("it takes anything");
            let (got, text) = fault(&socket).await.expect("an answer");
            assert_eq!(got, code, "{text}");
            assert!(text.contains(named), "{named}: {text}");
        }
        // A packet whose length is right and whose content is noise only reaches the decoder.
        let talker = join(&path, Role::Talker, false).await.expect("the floor is free");
        for n in 0..50_u8 {
            talker.send(&packet(&[31 << 3, n, 0xa5, n ^ 0x5a])).await.expect("taken");
        }
        talker.send(&message(Kind::Bye, &[])).await.expect("taken");
    });
    house.status();
}

#[test]
fn one_talker_at_a_time_unless_the_next_one_takes_over() {
    let house = House::open();
    let path = house.socket();
    runtime().block_on(async {
        let first = join(&path, Role::Talker, false).await.expect("the floor is free");
        let busy = join(&path, Role::Talker, false).await.expect_err("it is taken now").to_string();
        assert!(busy.contains("\"test\"") && busy.contains(&format!("process {}", std::process::id())), "{busy}");
        let _second = join(&path, Role::Talker, true).await.expect("taken over");
        assert_eq!(fault(&first).await.map(|(code, _)| code), Some(ErrorCode::Replaced));
        assert_eq!(fault(&first).await, None);
    });
}

#[test]
fn more_clients_than_allowed_are_refused_and_places_become_free_again() {
    let house = House::open();
    let path = house.socket();
    runtime().block_on(async {
        let mut members = Vec::new();
        for _ in 0..soundpost_core::capacity::CLIENTS_MAX {
            members.push(join(&path, Role::Observer, false).await.expect("a place"));
        }
        let full = join(&path, Role::Observer, false).await.expect_err("no place").to_string();
        assert!(full.contains("64 clients"), "{full}");
        members.pop().expect("a member").send(&message(Kind::Bye, &[])).await.expect("taken");
        let again = async {
            while join(&path, Role::Observer, false).await.is_err() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(SOON, again).await.expect("a place in time");
    });
}

#[test]
fn a_listener_that_stalls_loses_its_own_frames_and_nobody_elses() {
    let house = House::open();
    let path = house.socket();
    runtime().block_on(async {
        let stalled = join(&path, Role::Listener, false).await.expect("a listener");
        let busy = join(&path, Role::Listener, false).await.expect("a listener");
        let mut room = [0; 8192];
        let mut last: Option<u32> = None;
        // Until the stalled one has lost something, the busy one gets every packet.
        let dropped = |status: &serde_json::Value| status["clients"][0]["dropped"].as_u64().expect("a count");
        let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
        loop {
            for _ in 0..50 {
                let got = busy.recv(&mut room).await.expect("a packet").bytes_read();
                let (header, _, _) = wire::parse(&room[..got]).expect("a message");
                assert!(last.is_none_or(|last| header.sequence == last.wrapping_add(1)), "a gap after {last:?}");
                last = Some(header.sequence);
            }
            let status = house.status();
            if dropped(&status) > 0 {
                assert_eq!(status["clients"][1]["dropped"], 0);
                break;
            }
            assert!(tokio::time::Instant::now() < deadline, "the stalled listener never lost anything");
        }
        // What it finds when it comes back is old, bounded, and then the stream goes on.
        let mut held = 0_u32;
        let mut before: Option<u32> = None;
        loop {
            let got = stalled.recv(&mut room).await.expect("a packet").bytes_read();
            let (header, _, _) = wire::parse(&room[..got]).expect("a message");
            if before.is_some_and(|before| header.sequence > before + 1) {
                break;
            }
            before = Some(header.sequence);
            held += 1;
        }
        assert!(held <= 100, "{held} stale packets were kept for it");
    });
}

#[test]
fn a_client_that_never_greets_does_not_keep_a_place() {
    let house = House::open();
    runtime().block_on(async {
        let silent = UnixSeqpacket::connect(house.socket()).await.expect("a connection");
        let (code, text) = fault(&silent).await.expect("it is told");
        assert_eq!(code, ErrorCode::Unexpected);
        assert!(text.contains("no Hello within 5 s"), "{text}");
    });
}

#[test]
fn an_error_of_the_wire_says_which_bytes() {
    assert_eq!(WireError::Magic(*b"GE").to_string(), "not a soundpost message: starts with 47 45, not 53 50");
}
