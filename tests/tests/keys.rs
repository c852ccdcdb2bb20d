//! Each key of the configuration, and what it does: a key that is added needs a row in [`EFFECTS`].

use soundpost_client::blocking::{Connection, Controller, Listener, Talker};
use soundpost_client::{Additions, Direction, Hello, Report, Role};
use soundpost_core::codec::Encode;
use soundpost_core::config::Stream;
use soundpost_linux::configuration::{Effective, KEYS, Key, Sources, Takes, load, page};
use soundpost_linux::opus::OpusEncoder;
use soundpost_tests::until_some_every;
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// Who asks more often is sent away.
const PACE: Duration = Duration::from_millis(50);
const SOON: Duration = Duration::from_secs(20);

/// How a key is seen to do something.
enum Seen {
    /// With this base, another value makes other packets.
    Packets(&'static str, &'static str),
    /// A running daemon says something else of itself.
    Status(&'static str, &'static str),
    /// A running daemon says something else than without the key.
    Shown(&'static str, &'static str),
    /// There is no room for another client.
    Full(&'static str),
    /// It says something else to a talker.
    Welcome(&'static str),
    /// It plays on other terms.
    Terms(&'static str),
    /// It looks for a part that is not there.
    Refused(&'static str),
    /// With this value the card has no such thing.
    NoCard(&'static str),
    /// Its socket is elsewhere.
    Socket,
    /// Its socket lets in others.
    Rights(&'static str),
    /// There is no such file.
    NoFile(&'static str),
    /// What is muted is written there.
    Kept(&'static str),
    /// It has so many children.
    Children(&'static str),
    /// It follows what a listener says, or does not.
    Adapts(&'static str),
}

const EFFECTS: &[(&str, Seen)] = &[
    ("capture.device", Seen::Status("tone:", "/capture/device/device")),
    ("capture.content", Seen::Packets("", "program")),
    ("capture.quality", Seen::Packets("", "high")),
    ("capture.adapt", Seen::Adapts("false")),
    ("capture.frame", Seen::Packets("", "10ms")),
    ("capture.bitrate", Seen::Packets("", "100k")),
    ("capture.rate", Seen::Packets("", "8k")),
    ("capture.channels", Seen::Packets("", "2")),
    ("capture.complexity", Seen::Packets("", "9")),
    ("capture.signal", Seen::Packets("quality = \"low\"\nbitrate = \"32k\"\n", "music")),
    ("capture.vbr", Seen::Packets("", "false")),
    ("capture.dtx", Seen::Packets("quality = \"low\"\n", "false")),
    ("capture.gain", Seen::Shown("-6dB", "/capture/gain_db")),
    ("capture.volume-control", Seen::NoCard("Mic=40%")),
    ("playback.device", Seen::Status("file:heard.wav", "/playback/device/device")),
    ("playback.quality", Seen::Welcome("low")),
    ("playback.profile", Seen::Terms("frozen")),
    ("playback.gain", Seen::Shown("3dB", "/playback/gain_db")),
    ("playback.volume-control", Seen::NoCard("Master=-6dB")),
    ("board.lamp", Seen::Refused("gpiochip9999/1")),
    ("board.mute-switch", Seen::Refused("gpiochip9999/2")),
    ("board.amp", Seen::Refused("gpiochip9999/3")),
    ("socket.path", Seen::Socket),
    ("socket.allow", Seen::Rights("user:1000")),
    ("socket.clients-max", Seen::Full("1")),
    // Whatever is at the default port.
    ("http.listen", Seen::Shown("127.0.0.1:0", "/http")),
    ("http.token-file", Seen::NoFile("no-such-token")),
    ("state.directory", Seen::Kept("kept")),
    ("workers.in-process", Seen::Children("true")),
];

fn good(text: &str) -> Effective {
    let sources = Sources { file: Some((PathBuf::from("mine.toml"), text.to_owned())), ..Sources::default() };
    load(&sources).unwrap_or_else(|faults| panic!("{text}: {faults:?}"))
}

/// Half a second of a buzz that goes over into noise, then silence.
fn packets(stream: &Stream) -> Vec<Vec<u8>> {
    let mut encoder = OpusEncoder::new(stream).expect("an encoder");
    let (mut noise, mut n) = (1_u32, 0_u32);
    let mut value = |channel: usize| {
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        n += u32::from(channel == 0);
        let buzz = if n % 320 < 40 { 9_000 } else { -1_000 };
        let hiss = ((noise >> 18) as i32 - 8_192) * (n / 24).min(1_000) as i32 / 1_000;
        if n > 24_000 { 0 } else { (buzz + hiss / (2 + channel as i32)) as i16 }
    };
    let channels = stream.channels.count();
    let frame = |_| {
        let pcm: Vec<i16> = (0..stream.frame_values()).map(|n| value(n % channels)).collect();
        let mut room = [0; 4_000];
        let length = encoder.encode(&pcm, &mut room).expect("a packet");
        room[..length].to_vec()
    };
    (0..48_000 / stream.frame.samples()).map(frame).collect()
}

/// A daemon that goes when this does.
struct Daemon {
    child: Child,
    socket: PathBuf,
    /// It goes on writing there.
    out: BufReader<ChildStdout>,
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn soundpost(args: &[&str]) -> Command {
    let mut command = Command::new(soundpost_tests::proc::soundpost());
    command.args(args).env_clear();
    command
}

impl Daemon {
    /// Starts one with this file, or says what it said.
    fn start(folder: &Path, text: &str) -> Result<Self, String> {
        std::fs::write(folder.join("soundpost.toml"), text).expect("a file");
        let mut command = soundpost(&["run", "--config", "soundpost.toml"]);
        command.current_dir(folder).stdout(Stdio::piped()).stderr(Stdio::piped());
        let socket = good(text).settings(tracing::Level::INFO).socket;
        let mut child = command.spawn().expect("the program");
        let out = BufReader::new(child.stdout.take().expect("piped"));
        let mut this = Self { child, socket, out };
        if this.out.by_ref().lines().map_while(Result::ok).any(|line| line.contains("is ready")) {
            return Ok(this);
        }
        let errors = BufReader::new(this.child.stderr.take().expect("piped"));
        Err(errors.lines().map_while(Result::ok).collect::<Vec<_>>().join("\n"))
    }

    fn status(&self, pointer: &str) -> String {
        let output = soundpost(&["status", "--json", "--socket", self.socket.to_str().expect("text")]).output();
        let said = output.expect("the program").stdout;
        let status: serde_json::Value = serde_json::from_slice(&said).expect("JSON");
        status.pointer(pointer).unwrap_or_else(|| panic!("{pointer}: {status}")).to_string()
    }

    /// Waits until the status says something.
    fn status_when(&self, pointer: &str, wanted: impl Fn(&str) -> bool) {
        let asked = until_some_every(PACE, SOON, || wanted(&self.status(pointer)).then_some(()));
        assert!(asked.is_some(), "{pointer}: {}", self.status(pointer));
    }

    /// The preset in use after a listener has said for ten seconds that it loses most of what it is sent; at once, if it is
    /// another one.
    fn quality_on_a_bad_line(&self) -> String {
        let additions = Additions { redundancy: true, notices: false };
        let hello = Hello { role: Role::Listener, takeover: false, additions, name: "far" };
        let ear = Connection::open(&self.socket, &hello, None).expect("a welcome");
        let mut control = Controller::connect(&self.socket, "hand", None).expect("a welcome");
        let mut status =
            || -> serde_json::Value { serde_json::from_str(&control.status().expect("a status")).expect("JSON") };
        let uptime = |status: &serde_json::Value| status["uptime_s"].as_f64().expect("a number");
        let (before, mut n) = (status(), 0);
        let other = until_some_every(PACE, SOON, || {
            n += 1;
            ear.report(Report { expected: n * 100, received: n * 40, delay_us: None });
            let now = status();
            let is_over = uptime(&now) > uptime(&before) + 10.0;
            let quality = &now["capture"]["quality"];
            (is_over || *quality != before["capture"]["quality"]).then(|| quality.to_string())
        });
        other.expect("the daemon's time goes on")
    }

    /// Sets a key while it runs; what the answer says, or what was wrong.
    fn set(&self, key: &str, value: &str) -> Result<serde_json::Value, String> {
        let mut control = Controller::connect(&self.socket, "hand", None).expect("a welcome");
        let answer = control.set(&[(key, value)]).map_err(|error| error.to_string())?;
        Ok(serde_json::from_str(&answer).expect("JSON"))
    }

    fn welcome(&self) -> String {
        let talker = Talker::connect(&self.socket, "mouth", false).expect("a welcome");
        format!("{:?}", talker.welcome())
    }

    /// Whether there is room for two.
    fn has_room(&self) -> bool {
        let _first = Talker::connect(&self.socket, "first", false).expect("there is room for one");
        Listener::connect(&self.socket, "second").is_ok()
    }

    /// How many processes it has started.
    fn children(&self) -> usize {
        let process = self.child.id();
        let path = format!("/proc/{process}/task/{process}/children");
        std::fs::read_to_string(path).expect("the kernel tells").split_whitespace().count()
    }
}

#[test]
fn every_key_has_a_row_that_shows_what_it_does() {
    let keys: BTreeSet<_> = KEYS.iter().map(|key| key.full).collect();
    assert_eq!(keys, EFFECTS.iter().map(|(key, _)| *key).collect::<BTreeSet<_>>());
}

#[test]
fn every_key_does_something() {
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("s.sock").display().to_string();
    for (key, seen) in EFFECTS {
        let start = |value: &str| {
            let mut said = vec![("capture.device", "null"), ("playback.device", "null"), ("socket.path", &*socket)];
            said.retain(|(other, _)| other != key);
            said.extend((!value.is_empty()).then_some((*key, value)));
            let text: String = said.iter().map(|(key, value)| format!("{key} = {}\n", page::quoted(value))).collect();
            Daemon::start(folder.path(), &text)
        };
        let started = |value: &str| start(value).unwrap_or_else(|said| panic!("{key} = {value}: {said}"));
        match seen {
            Seen::Packets(base, value) => {
                let base = format!("[capture]\n{base}");
                let changed = format!("{base}{} = {}\n", key.replace("capture.", ""), page::quoted(value));
                let [before, after] =
                    [&base, &changed].map(|text| packets(&good(text).settings(tracing::Level::INFO).stream));
                assert_ne!(before, after, "{key} = {value} changes no packet");
            }
            Seen::Status(value, pointer) => {
                let [before, after] = ["null", value].map(|value| started(value).status(pointer));
                assert_ne!(before, after, "{key}");
            }
            Seen::Shown(value, pointer) => {
                let before = started("").status(pointer);
                let daemon = started(value);
                // A worker's report is a tenth of a second old at most.
                let end = Instant::now() + Duration::from_secs(5);
                while daemon.status(pointer) == before {
                    assert!(Instant::now() < end, "{key}");
                }
            }
            Seen::NoCard(value) => {
                let said = start(value).err().unwrap_or_else(|| panic!("{key}: nothing has no volume"));
                assert!(said.contains("not a sound card"), "{key}: {said}");
            }
            Seen::Full(value) => {
                let [before, after] = ["", value].map(|value| started(value).has_room());
                assert_eq!((before, after), (true, false), "{key}");
            }
            Seen::Rights(value) => {
                let [before, after] = ["", value].map(|value| {
                    let daemon = started(value);
                    std::fs::metadata(&daemon.socket).expect("a socket").permissions().mode() & 0o777
                });
                assert_eq!((before, after), (0o660, 0o666), "{key}");
            }
            Seen::Adapts(value) => {
                let [before, after] = ["", value].map(|value| started(value).quality_on_a_bad_line());
                assert_eq!((&*before, &*after), ("\"low\"", "\"medium\""), "{key}");
            }
            Seen::Children(value) => {
                let [before, after] = ["", value].map(|value| started(value).children());
                assert_eq!((before, after), (2, 0), "{key}");
            }
            Seen::Welcome(value) => {
                let [before, after] = ["", value].map(|value| started(value).welcome());
                assert_ne!(before, after, "{key}");
            }
            Seen::Terms(value) => {
                let terms =
                    |value| good(&format!("{key} = {value:?}\n")).settings(tracing::Level::INFO).playout.terms();
                assert_ne!(terms("balanced"), terms(value), "{key}");
            }
            Seen::Refused(value) => {
                let said = start(value).err().unwrap_or_else(|| panic!("{key}: there is no such pin"));
                assert!(said.contains("gpiochip9999"), "{key}: {said}");
            }
            Seen::NoFile(value) => {
                let said = start(value).err().unwrap_or_else(|| panic!("{key}: there is no such file"));
                assert!(said.contains(key) && said.contains(value), "{key}: {said}");
            }
            Seen::Kept(value) => {
                let daemon = started(value);
                let patience = Duration::from_secs(5);
                let controller = Controller::connect(&daemon.socket, "hand", Some(patience));
                controller.expect("a controller").mute(Direction::Playback, true).expect("muted");
                let end = Instant::now() + patience;
                while !folder.path().join(value).join("mutes.json").exists() {
                    assert!(Instant::now() < end, "{key}");
                    std::thread::yield_now();
                }
            }
            Seen::Socket => {
                let other = folder.path().join("other.sock");
                let _daemon = started(other.to_str().expect("text"));
                assert!(other.exists(), "{key}");
            }
        }
    }
}

/// What the answer is to say when a key is set while the daemon runs, and where the status shows it.
fn set_while_it_runs(key: &Key) -> (&'static [&'static str], Option<&'static str>) {
    match (key.takes, key.full) {
        (Takes::Frame, "capture.adapt") => (&["told"], Some("/capture/governor/adapts")),
        (Takes::Frame, "capture.quality") => (&["retuned", "reshaped"], Some("/capture/quality")),
        (Takes::Frame, _) => (&["retuned", "reshaped"], None),
        (Takes::Talker, _) => (&["told"], None),
        (Takes::Period, "playback.profile") => (&["retuned"], Some("/playback/profile")),
        (Takes::Period, "playback.gain") => (&["retuned"], Some("/playback/gain_db")),
        (Takes::Period, _) => (&["retuned"], Some("/capture/gain_db")),
        (Takes::Device, "capture.device") => (&["worker replaced"], Some("/capture/device/device")),
        (Takes::Device, "playback.device") => (&["worker replaced"], Some("/playback/device/device")),
        (Takes::Device, "capture.volume-control") => (&["worker replaced"], Some("/capture/device/volume")),
        (Takes::Device, _) => (&["worker replaced"], Some("/playback/device/volume")),
        (Takes::Restart, _) => (&[], None),
    }
}

#[test]
fn every_key_can_be_set_while_the_daemon_runs_or_says_that_it_takes_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("s.sock").display().to_string();
    let text = format!("capture.device = \"null\"\nplayback.device = \"null\"\nsocket.path = {socket:?}\n");
    for (key, seen) in EFFECTS {
        let key = Key::find(key).expect("a key");
        let (base, value) = match seen {
            Seen::Packets(base, value) => (*base, *value),
            Seen::Status(value, _) | Seen::Shown(value, _) | Seen::Full(value) | Seen::Welcome(value) => ("", *value),
            Seen::Terms(value) | Seen::Refused(value) | Seen::NoCard(value) | Seen::Rights(value) => ("", *value),
            Seen::Children(value) | Seen::Adapts(value) | Seen::NoFile(value) | Seen::Kept(value) => ("", *value),
            Seen::Socket => ("", "/other.sock"),
        };
        let base: String = base.lines().map(|line| format!("capture.{line}\n")).collect();
        let daemon = Daemon::start(folder.path(), &format!("{text}{base}")).unwrap_or_else(|said| panic!("{said}"));
        let (hows, pointer) = set_while_it_runs(key);
        let before = pointer.map(|pointer| daemon.status(pointer));
        match daemon.set(key.full, value) {
            Ok(answer) => {
                let change = &answer["changes"][0];
                let how = change["how"].as_str().expect("a word");
                assert!(change["key"] == key.full && hows.contains(&how), "{answer}");
                let generation = answer["generation"].to_string();
                let section = key.section();
                daemon.status_when(&format!("/{section}/changes/applied"), |applied| applied == generation);
                for (pointer, before) in pointer.into_iter().zip(&before) {
                    daemon.status_when(pointer, |now| now != before);
                }
                // Nobody had to be started again for it, and it can be taken back.
                assert_eq!(daemon.status(&format!("/{section}/worker/restarts")), "0");
                let back = daemon.set(key.full, "default").expect("it can be taken back");
                assert_eq!(back["changes"][0]["to"], change["from"], "{back}");
            }
            Err(said) => assert!(hows.is_empty() && said.contains(key.full) && said.contains("restart"), "{said}"),
        }
    }
}
