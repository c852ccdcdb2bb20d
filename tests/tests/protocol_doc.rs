//! What docs/protocol.md promises is what the code does: its tables, its bytes, its example client.

use serde_json::Value;
use soundpost_core::capacity::{CLIENT_NAME_MAX, CLIENTS_MAX, FRAME_SAMPLES_MAX, PAYLOAD_MAX};
use soundpost_core::config::{Channels, Direction, FrameLen, LIMITS, TIMING};
use soundpost_core::time::{Instant, MediaTime};
use soundpost_core::wire::{
    self, Additions, Answer, Assignments, Command, ErrorCode, Fault, Flags, Frame, HEADER_LEN, Header, Hello, Kind,
    Mute, Notice, Outcome, Report, Role, VERSION, Verb, Welcome, WireError, redundant,
};
use soundpost_tests::proc::Program;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

const PAGE: &str = include_str!("../../docs/protocol.md");
const SOON: Duration = Duration::from_secs(20);

/// The rows of the table under the heading `title`, cell by cell, without its head.
fn table(title: &str) -> Vec<Vec<&'static str>> {
    let under = PAGE.lines().skip_while(|line| line.trim_start_matches('#').trim() != title || !line.starts_with('#'));
    let rows = under.skip(1).take_while(|line| !line.starts_with('#')).filter(|line| line.starts_with('|'));
    let cells = |line: &'static str| line.trim_matches('|').split('|').map(str::trim).collect();
    let rows: Vec<Vec<_>> = rows.skip(2).map(cells).collect();
    assert!(!rows.is_empty(), "no table under {title:?}");
    rows
}

/// The golden vectors by name, as bytes.
fn vectors() -> BTreeMap<&'static str, Vec<u8>> {
    let blocks = PAGE.split("```hex ").skip(1);
    let vector = |block: &'static str| {
        let (name, rest) = block.split_once('\n').expect("a block has lines");
        let digits = rest.split_once("```").expect("a block ends").0.split_whitespace();
        (name, digits.map(|byte| u8::from_str_radix(byte, 16).expect("two hexadecimal digits")).collect())
    };
    blocks.map(vector).collect()
}

fn control(kind: Kind, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![0; HEADER_LEN + payload.len()];
    assert_eq!(wire::emit(kind, payload, &mut out), Ok(out.len()));
    out
}

/// The packet behind the one of the vector `packet`, with a copy of that.
fn packet_with_copy() -> Vec<u8> {
    let of = |bytes: &[u8]| Header::parse(bytes).expect("a header");
    let before = packet(56, Flags::NONE, 53_760, 4_443_091_190);
    let this = packet(57, Flags::NONE, 54_720, 4_443_111_190);
    let (header, lead) = redundant::join(&of(&this), &of(&before)).expect("one follows the other");
    [&header.emit()[..], &lead, &before[HEADER_LEN..], &this[HEADER_LEN..]].concat()
}

fn packet(sequence: u32, flags: Flags, media: u64, captured: u64) -> Vec<u8> {
    let payload = [0xf8, 0xff, 0xfe];
    let header = Header {
        sequence,
        flags,
        media: MediaTime(media),
        captured: Instant::from_micros(captured),
        ..Header::new(Kind::Packet, payload.len()).expect("a short payload")
    };
    [&header.emit()[..], &payload].concat()
}

const REDUNDANCY: Additions = Additions { redundancy: true, notices: false };
const NOTICES: Additions = Additions { redundancy: false, notices: true };
const MUTE: Mute = Mute { direction: Direction::Capture, muted: true };
const REPORT: Report = Report { expected: 100, received: 98, delay_us: Some(23_456) };
const DROPPED: Notice = Notice::Dropped { fresh: 3, total: 515 };

fn hello(role: Role, takeover: bool, additions: Additions, name: &str) -> Vec<u8> {
    let mut payload = [0; 68];
    let length = Hello { role, takeover, additions, name }.emit(&mut payload).expect("a short name");
    control(Kind::Hello, &payload[..length])
}

const SET: &str = "capture.gain=-6dB\ncapture.vbr=true";

fn command_set() -> Vec<u8> {
    let mut room = [0; 64];
    let command = Command { tag: 258, verb: Verb::Set as u16, arguments: SET.as_bytes() };
    let length = command.emit(&mut room).expect("room");
    room[..length].to_vec()
}

/// What the page says in words, as the code puts it into bytes.
fn emitted() -> BTreeMap<&'static str, Vec<u8>> {
    let (channels, frame) = (Channels::Mono, FrameLen::Ms20);
    let welcome = Welcome { client: 7, channels, frame, bitrate_bps: 64_000, additions: Additions::NONE };
    let mut fault = [0; 16];
    let length = Fault { code: ErrorCode::Busy, text: "nö" }.emit(&mut fault);
    let arguments = MUTE.emit();
    let (mut command, mut answer) = ([0; 10], [0; 10]);
    let written = Command { tag: 258, verb: Verb::Mute as u16, arguments: &arguments }.emit(&mut command);
    assert_eq!(written, Ok(10));
    assert_eq!(Answer { tag: 258, outcome: Outcome::Done as u16, text: "{}" }.emit(&mut answer), Ok(10));
    BTreeMap::from([
        ("hello-listener", hello(Role::Listener, false, Additions::NONE, "kitchen")),
        ("hello-takeover", hello(Role::Talker, true, Additions::NONE, "küche")),
        ("hello-redundancy", hello(Role::Listener, false, REDUNDANCY, "")),
        ("welcome", control(Kind::Welcome, &welcome.emit())),
        ("welcome-redundancy", control(Kind::Welcome, &Welcome { additions: REDUNDANCY, ..welcome }.emit())),
        ("error-busy", control(Kind::Error, &fault[..length])),
        ("packet", packet(56, Flags::GAP, 53_760, 4_443_091_190)),
        ("packet-copy", packet_with_copy()),
        ("packet-start", packet(0, Flags::START, 0, 0)),
        ("report", control(Kind::Report, &REPORT.emit())),
        ("hello-controller", hello(Role::Controller, false, NOTICES, "x")),
        ("command-mute", control(Kind::Command, &command)),
        ("command-set", control(Kind::Command, &command_set())),
        ("answer-done", control(Kind::Answer, &answer)),
        ("notice-dropped", control(Kind::Notice, &DROPPED.emit())),
        ("status-request", control(Kind::StatusRequest, &[])),
        ("status", control(Kind::Status, b"{}")),
        ("bye", control(Kind::Bye, &[])),
    ])
}

#[test]
fn the_golden_vectors_are_what_the_code_emits() {
    let hex = |bytes: &Vec<u8>| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ");
    let (written, emitted) = (vectors(), emitted());
    for (name, bytes) in &emitted {
        assert_eq!(written.get(name).map(hex).unwrap_or_default(), hex(bytes), "{name}");
    }
    assert_eq!(written.len(), emitted.len(), "a vector that nobody checks");
}

#[test]
fn the_golden_vectors_are_parsed_as_the_page_says() {
    let vectors = vectors();
    let mut kinds = BTreeSet::new();
    for (name, bytes) in &vectors {
        let (header, payload, rest) = wire::parse(bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(rest.is_empty(), "{name}");
        kinds.insert(header.kind as u8);
        match (*name, header.kind) {
            ("hello-listener", Kind::Hello) => {
                let hello =
                    Hello { role: Role::Listener, takeover: false, additions: Additions::NONE, name: "kitchen" };
                assert_eq!(Hello::parse(payload), Ok(hello));
            }
            ("hello-takeover", Kind::Hello) => {
                let hello = Hello { role: Role::Talker, takeover: true, additions: Additions::NONE, name: "küche" };
                assert_eq!(Hello::parse(payload), Ok(hello));
            }
            ("hello-redundancy", Kind::Hello) => {
                let hello = Hello { role: Role::Listener, takeover: false, additions: REDUNDANCY, name: "" };
                assert_eq!(Hello::parse(payload), Ok(hello));
            }
            ("hello-controller", Kind::Hello) => {
                let hello = Hello { role: Role::Controller, takeover: false, additions: NOTICES, name: "x" };
                assert_eq!(Hello::parse(payload), Ok(hello));
            }
            ("command-set", Kind::Command) => {
                let command = Command::parse(payload).expect("a command");
                assert_eq!((command.tag, Verb::from_number(command.verb)), (258, Some(Verb::Set)));
                let said: Vec<_> = Assignments::parse(command.arguments).expect("assignments").iter().collect();
                assert_eq!(said, [("capture.gain", "-6dB"), ("capture.vbr", "true")]);
            }
            (_, Kind::Command) => {
                let command = Command::parse(payload).expect("a command");
                assert_eq!((command.tag, Verb::from_number(command.verb)), (258, Some(Verb::Mute)));
                assert_eq!(Mute::parse(command.arguments), Ok(MUTE));
            }
            (_, Kind::Answer) => {
                let answer = Answer::parse(payload).expect("an answer");
                assert_eq!((answer.tag, answer.is_done(), answer.text), (258, true, "{}"));
            }
            (_, Kind::Notice) => assert_eq!(Notice::parse(payload), Ok(DROPPED)),
            (name, Kind::Welcome) => {
                let welcome = Welcome::parse(payload).expect("a welcome");
                assert_eq!((welcome.client, welcome.additions.redundancy), (7, name == "welcome-redundancy"));
            }
            (_, Kind::Error) => {
                assert_eq!(Fault::parse(payload), Ok(Fault { code: ErrorCode::Busy, text: "nö" }));
            }
            (_, Kind::Packet) => {
                let mut frame = Frame::EMPTY;
                assert_eq!(frame.fill(header, payload), Ok(()));
                let parts = frame.parts();
                assert_eq!(soundpost_core::codec::opus_samples(parts.packet), Some(960), "{name}");
                let copy = parts.copy.map(|copy| (copy.before, copy.bytes));
                assert_eq!(copy, (*name == "packet-copy").then_some((960, parts.packet)), "{name}");
                assert_eq!([&frame.header.emit()[..], frame.payload()].concat(), *bytes, "{name}");
            }
            (_, Kind::Report) => assert_eq!(Report::parse(payload), Ok(REPORT)),
            (_, Kind::Status) => assert_eq!(payload, b"{}"),
            (_, Kind::StatusRequest | Kind::Bye) => assert!(payload.is_empty()),
            (name, kind) => panic!("{name} is a {kind:?}"),
        }
    }
    assert_eq!(kinds.len(), Kind::ALL.len(), "a kind without a vector");
}

#[test]
fn every_kind_is_in_the_table_with_its_bounds() {
    let rows: Vec<String> = table("Kinds").iter().map(|row| [row[0], row[1], row[3], row[4]].join(" ")).collect();
    let known = Kind::ALL.map(|kind| {
        let (min, max) = kind.payload_bounds();
        format!("{} {kind:?} {min} {max}", kind as u8)
    });
    assert_eq!(rows, known);
}

#[test]
fn every_error_code_is_in_the_table() {
    let rows: Vec<String> = table("Error codes").iter().map(|row| [row[0], row[1]].join(" ")).collect();
    assert_eq!(rows, ErrorCode::ALL.map(|code| format!("{} {code:?}", code as u16)));
}

#[test]
fn flags_and_roles_are_in_the_tables() {
    let flags: Vec<String> = table("Flags").iter().map(|row| [row[1], row[2]].join(" ")).collect();
    let known = [(Flags::START, "START"), (Flags::GAP, "GAP"), (Flags::COPY, "COPY")];
    assert_eq!(flags, known.map(|(flag, name)| format!("{} {name}", flag.0)));
    let roles = Role::ALL.map(|role| format!("{} {}", role as u8, role.name()));
    assert_eq!(table("Hello")[0][4], roles.join(", "));
    let frames = FrameLen::ALL.map(|frame| frame.samples().to_string());
    let (last, others) = frames.split_last().expect("there are frames");
    assert!(table("Welcome")[3][4].ends_with(&format!("{} or {last}", others.join(", "))));
}

#[test]
fn verbs_outcomes_and_additions_are_in_the_tables() {
    let rows = |title| table(title).iter().map(|row| [row[0], row[1]].join(" ")).collect::<Vec<_>>();
    assert_eq!(rows("Verbs"), Verb::ALL.map(|verb| format!("{} {}", verb as u16, verb.name())));
    assert_eq!(rows("Outcomes"), Outcome::ALL.map(|outcome| format!("{} {outcome:?}", outcome as u16)));
    for (additions, row) in [REDUNDANCY, NOTICES].into_iter().zip(table("Additions")) {
        let bits = hello(Role::Listener, false, additions, "")[HEADER_LEN + 2];
        assert_eq!(row[1].parse(), Ok(bits), "{row:?}");
    }
}

/// The constants of the code on the page that begin so, such as `KindBye = 7`.
fn constants(prefix: &str) -> Vec<(String, u64)> {
    let code = PAGE.split("```go").nth(1).and_then(|code| code.split("```").next()).expect("code");
    let named = |line: &str| {
        let (name, value) = line.trim().strip_prefix(prefix)?.split_once(" = ")?;
        Some((name.to_owned(), value.parse().ok()?))
    };
    code.lines().filter_map(named).collect()
}

#[test]
fn the_code_on_the_page_has_the_numbers_of_the_code() {
    assert_eq!(constants("Kind"), Kind::ALL.map(|kind| (format!("{kind:?}"), kind as u64)));
    assert_eq!(constants("Role"), Role::ALL.map(|role| (format!("{role:?}"), role as u64)));
    assert_eq!(constants("Verb"), Verb::ALL.map(|verb| (format!("{verb:?}"), verb as u64)));
    let one = |name: &str| constants(name).first().map(|(_, value)| *value);
    assert_eq!(one("Version"), Some(VERSION.into()));
    assert_eq!(one("HeaderLen"), Some(HEADER_LEN as u64));
    assert_eq!(one("MessageMax"), Some(HEADER_LEN as u64 + u64::from(u16::MAX)));
    let flags = [("Start", Flags::START), ("Gap", Flags::GAP), ("Copy", Flags::COPY)];
    assert_eq!(constants("Flag"), flags.map(|(name, flag)| (name.to_owned(), flag.0.into())));
}

/// Offsets and sizes of a table follow each other without a hole and end at `total`.
fn covers(title: &str, total: usize) {
    let mut end = 0;
    for row in table(title) {
        assert_eq!(row[0].parse(), Ok(end), "{title}: {row:?}");
        end += row[1].rsplit(' ').next().and_then(|size| size.parse::<usize>().ok()).expect("a size");
    }
    assert_eq!(end, total, "{title}");
}

#[test]
fn the_byte_tables_cover_each_message() {
    covers("Header", HEADER_LEN);
    for kind in [Kind::Hello, Kind::Welcome, Kind::Error, Kind::Report, Kind::Command, Kind::Answer, Kind::Notice] {
        covers(&format!("{kind:?}"), kind.payload_bounds().1);
    }
}

#[test]
fn the_header_lies_where_the_table_says() {
    let header = Header {
        kind: Kind::Packet,
        length: 0x0201,
        sequence: 0x0605_0403,
        flags: Flags(0x0a09_0807),
        media: MediaTime(0x1211_100f_0e0d_0c0b),
        captured: Instant::from_micros(0x1a19_1817_1615_1413),
    };
    let bytes = header.emit();
    let mut next = 1;
    for row in table("Header") {
        let [at, size] = [row[0], row[1]].map(|cell| cell.parse::<usize>().expect("a number"));
        let field = &bytes[at..at + size];
        match row[3] {
            "magic" => assert_eq!(field, b"SP"),
            "version" => assert_eq!(field, [VERSION]),
            "kind" => assert_eq!(field, [Kind::Packet as u8]),
            "–" => assert!(field.iter().all(|byte| *byte == 0)),
            name => {
                let counted: Vec<u8> = (next..).take(size).collect();
                assert_eq!(field, counted, "{name}");
                next += size as u8;
            }
        }
    }
}

#[test]
fn the_limits_are_those_of_the_code() {
    let limits: BTreeMap<_, _> = table("Limits").into_iter().map(|row| (row[0], row[1])).collect();
    let number = |name: &str| {
        let digits: String = limits[name].chars().take_while(char::is_ascii_digit).collect();
        digits.parse::<usize>().unwrap_or_else(|_| panic!("{name}: {}", limits[name]))
    };
    assert_eq!(number("Message to the daemon"), HEADER_LEN + PAYLOAD_MAX);
    assert_eq!(number("Message to a client"), HEADER_LEN + usize::from(u16::MAX));
    assert_eq!(number("Name in Hello"), CLIENT_NAME_MAX);
    assert_eq!(number("Text of an Error"), Kind::Error.payload_bounds().1 - 2);
    assert_eq!(number("Clients that were welcomed"), CLIENTS_MAX);
    for (row, allowance) in [
        ("Connections of one user", LIMITS.connections),
        ("Packets and Reports of one client", LIMITS.audio),
        ("Other messages of one client", LIMITS.control),
    ] {
        let said = format!("{} at once, then {} a second;", allowance.burst, allowance.per_second);
        assert!(limits[row].starts_with(&said), "{row}: {said}");
    }
    assert_eq!(number("Time until Hello") as u64 * 1_000_000, TIMING.greeting_deadline.as_micros());
    assert!(limits["Sound in a packet"].contains(&format!("to {FRAME_SAMPLES_MAX} samples")));
}

#[test]
fn another_version_is_told_apart_by_its_third_byte() {
    let mut bytes = control(Kind::Bye, &[]);
    bytes[2] = VERSION + 1;
    bytes[3..].fill(0xff);
    assert_eq!(Header::parse(&bytes), Err(WireError::Version(VERSION + 1)));
}

/// A daemon on a socket of its own.
struct Daemon {
    program: Program,
    socket: PathBuf,
    _dir: tempfile::TempDir,
}

impl Daemon {
    fn run(args: &[&str]) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let socket = dir.path().join("soundpost.sock");
        let always = ["run", "--capture", "tone:", "--playback", "null", "--socket", &socket.display().to_string()];
        let program = Program::spawn(&[&always, args].concat(), &[]);
        program.wait_for_line(|line| line.contains("is ready"), SOON);
        Self { program, socket, _dir: dir }
    }

    /// Starts the example client.
    fn listen(&self, args: &[&str]) -> Program {
        self.example("listen.py", args)
    }

    /// Starts an example.
    fn example(&self, name: &str, args: &[&str]) -> Program {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/examples").join(name).display().to_string();
        let always = [&script, "--socket", &self.socket.display().to_string()];
        Program::run("python3", &[&always, args].concat(), &[])
    }

    fn status(&self) -> Value {
        let mut client = Program::spawn(&["status", "--json", "--socket", &self.socket.display().to_string()], &[]);
        assert!(client.wait_exit(SOON).success(), "{}", client.output());
        let output = client.output();
        let json = output.lines().find(|line| line.starts_with('{')).expect("a line of JSON");
        serde_json::from_str(json).expect("JSON")
    }
}

/// The `name=` number of a line that the example client prints.
fn number(line: &str, name: &str) -> u64 {
    let value = line.split_whitespace().find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
    value.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no {name} in {line:?}"))
}

#[test]
fn the_example_client_sees_stream_time_advance_by_a_frame_on_each_packet() {
    for (frame, samples) in [("20ms", 960), ("5ms", 240)] {
        let daemon = Daemon::run(&["--frame", frame]);
        let mut client = daemon.listen(&["--count", "25"]);
        assert!(client.wait_exit(SOON).success(), "{}", client.output());
        let output = client.output();
        let (welcome, packets): (Vec<&str>, Vec<&str>) = output.lines().partition(|line| line.starts_with("welcome"));
        assert_eq!((welcome.len(), packets.len()), (1, 25), "{output}");
        assert_eq!(number(welcome[0], "frame"), samples);
        let mut exact = 0;
        for pair in packets.windows(2) {
            let step = |name| number(pair[1], name) - number(pair[0], name);
            let (media, expected) = (step("media"), step("sequence") * samples);
            assert_eq!(step("sequence"), 1 + number(pair[1], "lost"), "{pair:?}");
            // On a machine that is too busy even for the synthetic source, whole frames may fall out.
            if Flags(number(pair[1], "flags") as u32).has(Flags::GAP) {
                assert!(media > expected && media.is_multiple_of(samples), "{pair:?}");
            } else {
                assert_eq!(media, expected, "{pair:?}");
                exact += 1;
            }
            assert!(number(pair[1], "bytes") > 0);
        }
        assert!(exact > 12, "{output}");
    }
}

#[test]
fn the_example_client_understands_goodbye() {
    let mut daemon = Daemon::run(&[]);
    let mut client = daemon.listen(&[]);
    client.wait_for_line(|line| line.starts_with("packet"), SOON);
    daemon.program.signal(libc::SIGTERM);
    assert!(client.wait_exit(SOON).success(), "{}", client.output());
    assert_eq!(client.output().lines().next_back(), Some("bye"));
}

#[test]
fn the_example_client_understands_a_refusal() {
    let daemon = Daemon::run(&[]);
    let mut client = daemon.listen(&["--name", &"x".repeat(CLIENT_NAME_MAX + 1)]);
    assert_eq!(client.wait_exit(SOON).code(), Some(1));
    let said = format!("error {}: payload of 69 bytes", ErrorCode::Malformed as u16);
    assert!(client.output().contains(&said), "{}", client.output());
}

#[test]
fn the_example_talker_is_heard_and_told_who_else_talks() {
    let daemon = Daemon::run(&[]);
    let mut first = daemon.example("talk.py", &["--count", "10000"]);
    first.wait_for_line(|line| line.starts_with("sent"), SOON);
    let mut second = daemon.example("talk.py", &["--count", "5"]);
    assert_eq!(second.wait_exit(SOON).code(), Some(1));
    assert!(second.output().contains(&format!("error {}: ", ErrorCode::Busy as u16)), "{}", second.output());
    let mut third = daemon.example("talk.py", &["--count", "25", "--takeover"]);
    assert!(third.wait_exit(SOON).success(), "{}", third.output());
    assert_eq!(first.wait_exit(SOON).code(), Some(1));
    assert!(first.output().contains(&format!("error {}: ", ErrorCode::Replaced as u16)), "{}", first.output());
    let taken = daemon.status()["playback"]["metrics"]["frames_received"].as_u64().expect("a count");
    assert!(taken > 0, "{taken}");
}

#[test]
fn the_example_controller_mutes_and_learns_of_verbs() {
    let daemon = Daemon::run(&[]);
    let ask = |args: &[&str]| {
        let mut client = daemon.example("control.py", args);
        let success = client.wait_exit(SOON).success();
        (success, client.output())
    };
    let (done, verbs) = ask(&["verbs"]);
    let verbs: Value = serde_json::from_str(verbs.trim()).expect("JSON");
    assert!(
        done && verbs
            == serde_json::json!(
                Verb::ALL.map(|verb| (verb.name(), verb as u16)).into_iter().collect::<BTreeMap<_, _>>()
            ),
        "{verbs}"
    );
    let (done, mutes) = ask(&["mute", "capture", "on"]);
    assert!(done && mutes.contains("\"capture_by_command\":true"), "{mutes}");
    assert_eq!(daemon.status()["capture"]["muted"], true);
    let (done, mutes) = ask(&["mute", "capture", "off"]);
    assert!(done && mutes.contains("\"capture_by_command\":false"), "{mutes}");
    let (done, said) = ask(&["verb", "999"]);
    let unknown = format!("outcome {}: verb 999", Outcome::UnknownVerb as u16);
    assert!(!done && said.contains(&unknown), "{said}");
}

#[test]
fn the_status_has_the_fields_of_the_tables_and_no_others() {
    let status = Daemon::run(&[]).status();
    for (title, object) in [
        ("status", &status),
        ("capture", &status["capture"]),
        ("playback", &status["playback"]),
        ("worker", &status["capture"]["worker"]),
        ("worker", &status["playback"]["worker"]),
        ("sandbox", &status["capture"]["worker"]["sandbox"]),
        ("board", &status["board"]),
        ("device", &status["capture"]["device"]),
        ("mutes", &status["mutes"]),
        ("refusals", &status["refusals"]),
        ("governor", &status["capture"]["governor"]),
        ("changes", &status["capture"]["changes"]),
        ("changes", &status["playback"]["changes"]),
        ("pace", &status["playback"]["pace"]),
        ("work", &status["capture"]["device"]["work"]),
        ("recoveries", &status["capture"]["device"]["recoveries"]),
        ("metrics", &status["playback"]["metrics"]),
        ("pool", &status["capture"]["pool"]),
        ("client", &status["clients"][0]),
    ] {
        let object = object.as_object().unwrap_or_else(|| panic!("no {title} in {status}"));
        let told: BTreeSet<&str> = object.keys().map(String::as_str).collect();
        let listed: BTreeSet<&str> = table(title).iter().map(|row| row[0].trim_matches('`')).collect();
        assert_eq!(told, listed, "{title}");
        for row in table(title) {
            let value = &object[row[0].trim_matches('`')];
            let fits = row[1].split(" or ").any(|name| match name {
                "string" => value.is_string(),
                "number" => value.is_number(),
                "bool" => value.is_boolean(),
                "object" => value.is_object(),
                "array" => value.is_array(),
                "null" => value.is_null(),
                other => panic!("{other} is no type of JSON"),
            });
            assert!(fits, "{title}: {row:?} is {value}");
        }
    }
}
