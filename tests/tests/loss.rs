//! Packets that are lost between real processes: what the daemon, a listener and a talker do about it.

use serde_json::Value;
use soundpost_core::codec::opus_rebuilds;
use soundpost_core::wire::{self, Additions, Flags, HEADER_LEN, Header, Hello, Kind, Report, Role, Welcome, redundant};
use soundpost_tests::proc::Program;
use soundpost_tests::speech::{speech, to_i16};
use soundpost_tests::{until, wav};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio_seqpacket::{UnixSeqpacket, UnixSeqpacketListener};

const SOON: Duration = Duration::from_secs(20);
/// What has redundancy of its own.
const SPEECH: [&str; 8] = ["--quality", "low", "--frame", "20ms", "--bitrate", "28k", "--rate", "16k"];
const ROOM: usize = 1 << 17;

/// A daemon with a socket of its own.
struct House {
    dir: tempfile::TempDir,
    daemon: Program,
}

impl House {
    fn open(capture: &str, stream: &[&str]) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let socket = dir.path().join("s.sock").display().to_string();
        let always = ["run", "--socket", &socket, "--playback", "null", "--capture", capture];
        let daemon = Program::spawn(&[&always, stream].concat(), &[]);
        daemon.wait_for_line(|line| line.contains("is ready"), SOON);
        Self { dir, daemon }
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("s.sock")
    }

    fn status(&self) -> Value {
        let mut asked = Program::spawn(&["status", "--json", "--socket", &self.socket().display().to_string()], &[]);
        assert!(asked.wait_exit(SOON).success(), "{}", asked.output());
        serde_json::from_str(asked.output().lines().next().expect("a line")).expect("JSON")
    }
}

fn client<'a>(status: &'a Value, role: &str) -> Option<&'a Value> {
    status["clients"].as_array()?.iter().find(|client| client["role"] == role)
}

/// Spoken words as an endless recording.
fn voice(folder: &Path) -> String {
    let path = folder.join("voice.wav");
    let words = speech("The quick brown fox jumps over the lazy dog, again and again.", 8.0);
    wav::write(&path, to_i16(&words));
    format!("file:{}?loop", path.display())
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// A network between one client and the daemon: one in thirteen packets is lost, never two in a row.
#[derive(Default)]
struct Lossy {
    packets: AtomicU64,
    /// Of these, those with a copy.
    copies: AtomicU64,
    lost: AtomicU64,
    /// Those that were lost while the next one brought a copy.
    could_be_saved: AtomicU64,
}

impl Lossy {
    /// Serves one client on `path` until it or the daemon goes.
    fn between(path: &Path, daemon: PathBuf) -> Arc<Self> {
        let (this, path) = (Arc::new(Self::default()), path.to_owned());
        let (network, (ready, is_ready)) = (Arc::clone(&this), std::sync::mpsc::channel());
        std::thread::spawn(move || {
            runtime().block_on(async {
                let mut door = UnixSeqpacketListener::bind(&path).expect("a socket");
                ready.send(()).expect("somebody waits");
                let near = door.accept().await.expect("a client");
                let far = UnixSeqpacket::connect(&daemon).await.expect("the daemon");
                tokio::select! {
                    () = network.carry(&near, &far) => {}
                    () = network.carry(&far, &near) => {}
                }
            });
        });
        is_ready.recv_timeout(SOON).expect("it listens");
        this
    }

    async fn carry(&self, from: &UnixSeqpacket, to: &UnixSeqpacket) {
        let mut room = vec![0; ROOM];
        let mut lost = false;
        while let Ok(info) = from.recv(&mut room).await {
            let Ok((header, _, _)) = wire::parse(&room[..info.bytes_read()]) else { return };
            if header.kind == Kind::Packet {
                let has_copy = header.flags.has(Flags::COPY);
                self.could_be_saved.fetch_add(u64::from(lost && has_copy), Ordering::Relaxed);
                self.copies.fetch_add(u64::from(has_copy), Ordering::Relaxed);
                lost = self.packets.fetch_add(1, Ordering::Relaxed) % 13 == 6;
                self.lost.fetch_add(u64::from(lost), Ordering::Relaxed);
                if lost {
                    continue;
                }
            }
            if to.send(&room[..info.bytes_read()]).await.is_err() {
                return;
            }
        }
    }

    fn counts(&self) -> [u64; 4] {
        [&self.packets, &self.copies, &self.lost, &self.could_be_saved].map(|count| count.load(Ordering::Relaxed))
    }
}

#[test]
fn a_listener_behind_a_bad_network_gets_copies_and_hears_nearly_all() {
    let house = House::open("tone:", &[]);
    let relay = house.dir.path().join("bad.sock");
    let network = Lossy::between(&relay, house.socket());
    let mut listener = Program::spawn(
        &["listen", "-o", "null", "--for", "15s", "--json", "--socket", &relay.display().to_string()],
        &[],
    );
    assert!(until(SOON, || network.copies.load(Ordering::Relaxed) > 300), "{:?}", network.counts());
    let status = house.status();
    let client = client(&status, "listener").unwrap_or_else(|| panic!("{status}"));
    let loss = client["loss_percent"].as_f64().expect("it reports");
    assert!((3.0..12.0).contains(&loss) && client["copies"].as_u64() > Some(250), "{client}");
    assert!(listener.wait_exit(SOON).success(), "{}", listener.output());
    let output = listener.output();
    let heard: Value = serde_json::from_str(output.lines().last().expect("figures")).expect("JSON");
    let [packets, copies, lost, could_be_saved] = network.counts();
    let number = |name: &str| heard[name].as_f64().unwrap_or_else(|| panic!("{name}: {heard}"));
    let (copied, made_up) = (number("copied_ms"), number("concealed_ms") + number("held_ms"));
    println!(
        "{lost} of {packets} packets lost ({loss:.1} % reported), {copies} had a copy, {could_be_saved} could be saved: \
         {copied} ms played from copies, {made_up} ms made up, {} ms delay",
        number("target_ms")
    );
    assert!(lost > 40 && could_be_saved > lost * 3 / 4, "within three seconds");
    // The first few are not waited for: it takes some losses to learn that waiting pays.
    assert!(copied > 0.6 * 20.0 * could_be_saved as f64, "{heard}");
    assert!(number("lost") < 0.5 * lost as f64, "{heard}");
    assert!(made_up < 0.5 * 20.0 * lost as f64, "{heard}");
}

#[test]
fn a_talker_behind_a_bad_network_sends_copies_and_in_speech_modes_redundancy_in_band() {
    let house = House::open("tone:", &[]);
    let voice = voice(house.dir.path());
    for (stream, figure) in [(&[][..], "copied_ms"), (&SPEECH, "recovered_ms")] {
        let relay = house.dir.path().join(format!("{figure}.sock"));
        let network = Lossy::between(&relay, house.socket());
        let socket = relay.display().to_string();
        let args = [&["talk", "-i", &voice, "--takeover", "--socket", &socket], stream].concat();
        let mut talker = Program::spawn(&args, &[]);
        let figure_now = || house.status()["playback"][figure].as_f64().expect("a number");
        let before = figure_now();
        assert!(until(SOON, || network.packets.load(Ordering::Relaxed) > 350), "{:?}", network.counts());
        let saved = figure_now() - before;
        talker.signal(libc::SIGTERM);
        assert!(talker.wait_exit(SOON).success(), "{}", talker.output());
        let [packets, copies, lost, _] = network.counts();
        println!("{lost} of {packets} lost, {copies} had a copy; {figure} {saved}");
        assert!(saved > 200.0, "{figure} {saved}: {}", house.status());
        assert_eq!(copies > 0, stream.is_empty(), "speech modes need no copies");
    }
}

/// A listener that is a few lines long.
struct Ear {
    socket: UnixSeqpacket,
    welcome: Welcome,
    room: Vec<u8>,
}

impl Ear {
    async fn join(path: &Path, redundancy: bool) -> Self {
        let socket = UnixSeqpacket::connect(path).await.expect("the daemon");
        let (mut payload, mut message) = ([0; 8], [0; 64]);
        let additions = Additions { redundancy, notices: false };
        let hello = Hello { role: Role::Listener, takeover: false, additions, name: "" };
        let length = hello.emit(&mut payload).expect("room");
        let length = wire::emit(Kind::Hello, &payload[..length], &mut message).expect("room");
        socket.send(&message[..length]).await.expect("it is taken");
        let mut room = vec![0; ROOM];
        let got = socket.recv(&mut room).await.expect("an answer").bytes_read();
        let welcome = Welcome::parse(&room[HEADER_LEN..got]).expect("a welcome");
        Self { socket, welcome, room }
    }

    async fn next(&mut self) -> (Header, Vec<u8>) {
        let got = tokio::time::timeout(SOON, self.socket.recv(&mut self.room)).await.expect("in time");
        let got = got.expect("a message").bytes_read();
        let (header, payload, _) = wire::parse(&self.room[..got]).expect("the daemon speaks the protocol");
        assert_eq!(header.kind, Kind::Packet, "{}", String::from_utf8_lossy(payload));
        (header, payload.to_vec())
    }

    async fn report(&self, report: Report) {
        let mut message = [0; 64];
        let length = wire::emit(Kind::Report, &report.emit(), &mut message).expect("room");
        self.socket.send(&message[..length]).await.expect("it is taken");
    }
}

#[test]
fn who_does_not_ask_gets_the_same_bytes_and_who_loses_nothing_gets_no_copies() {
    let house = House::open("tone:", &[]);
    runtime().block_on(async {
        let mut plain = Ear::join(&house.socket(), false).await;
        let mut good = Ear::join(&house.socket(), true).await;
        let mut bad = Ear::join(&house.socket(), true).await;
        assert_eq!([&plain, &good, &bad].map(|ear| ear.welcome.additions.redundancy), [false, true, true]);
        let mut originals = BTreeMap::new();
        let (mut reports, mut copies, mut compared) = (Report::default(), 0, 0);
        for n in 0..300 {
            let (header, payload) = plain.next().await;
            assert!(!header.flags.has(Flags::COPY));
            originals.insert(header.sequence, (header, payload));
            let (header, payload) = good.next().await;
            assert!(!header.flags.has(Flags::COPY), "it lost nothing");
            // What the daemon had no time to capture is not held against it here.
            good.report(Report { expected: n, received: n, delay_us: None }).await;
            assert_eq!(originals.get(&header.sequence).map(|(_, bytes)| bytes), Some(&payload));
            // It says that it lost a tenth.
            let (header, payload) = bad.next().await;
            reports.expected += 10;
            reports.received += 9;
            bad.report(reports).await;
            let parts = redundant::split(header.flags, &payload).expect("a packet");
            if let Some((original, bytes)) = originals.get(&header.sequence) {
                assert_eq!((original.media, original.captured), (header.media, header.captured));
                assert_eq!(parts.packet, bytes);
                compared += 1;
            }
            let Some(copy) = parts.copy else { continue };
            copies += 1;
            if let Some((before, bytes)) = originals.get(&header.sequence.wrapping_sub(1)) {
                assert_eq!(header.media.since(before.media), u64::from(copy.before));
                assert_eq!(copy.bytes, bytes);
            }
        }
        assert!(compared > 250 && copies > 200, "{compared} compared, {copies} copies");
        let status = house.status();
        let losses: Vec<_> =
            status["clients"].as_array().expect("clients").iter().map(|c| &c["loss_percent"]).collect();
        assert!(losses[0].is_null() && losses[1] == 0.0 && losses[2].as_f64() > Some(5.0), "{losses:?}");
        assert_eq!(status["capture"]["expected_loss_percent"], 0, "CELT has no redundancy of its own");
    });
}

#[test]
fn listeners_that_lose_packets_move_the_encoder_without_a_gap_and_one_among_three_does_not() {
    let folder = tempfile::tempdir().expect("a directory");
    let house = House::open(&voice(folder.path()), &SPEECH);
    runtime().block_on(async {
        let mut ear = Ear::join(&house.socket(), true).await;
        let expected = || house.status()["capture"]["expected_loss_percent"].as_u64().expect("a number");
        let mut report = Report::default();
        let (mut last, mut seams, mut rebuild, mut before) = (None::<Header>, 0, 0, 0);
        for n in 0..300 {
            let (header, payload) = ear.next().await;
            assert!(!header.flags.has(Flags::COPY), "speech modes need no copies");
            if let Some(last) = last.replace(header) {
                let steps = header.sequence.wrapping_sub(last.sequence);
                assert!(steps > 0 && header.media.since(last.media) >= u64::from(steps) * 960, "out of order");
                seams += u32::from(steps == 1 && header.media.since(last.media) == 960);
            }
            let rebuilds = u32::from(opus_rebuilds(&payload));
            if n < 100 {
                before += rebuilds;
            } else {
                rebuild += rebuilds;
            }
            report.expected += 10;
            report.received += if n < 100 { 10 } else { 9 };
            ear.report(report).await;
        }
        println!("{before} of 100 packets held redundancy before, {rebuild} of 200 afterwards");
        // On a machine that is too busy whole frames may fall out; otherwise no retune leaves a gap.
        assert!(seams > 280, "{seams} of 299 packets follow the one before");
        assert!(before == 0 && rebuild > 30, "{before}, {rebuild}");
        assert!(expected() >= 5, "{}", expected());
        // Two more, who lose nothing: now it is one of three.
        let said = |skip, percent| {
            let line = format!("prepared for {percent} % of loss");
            house.daemon.wait_for_line_after(skip, |said| said.contains(&line), SOON).0
        };
        let lines = said(0, expected());
        let others = (Ear::join(&house.socket(), false).await, Ear::join(&house.socket(), true).await);
        report.expected += 1;
        ear.report(report).await;
        let lines = said(lines, 0);
        drop(others);
        let lines = house.daemon.wait_for_line_after(lines, |said| said.contains("prepared for"), SOON).0;
        assert!(expected() >= 5, "it is alone again");
        drop(ear);
        said(lines, 0);
    });
}
