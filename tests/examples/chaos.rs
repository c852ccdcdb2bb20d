//! Everything at once, for minutes: workers that are killed, faulted and stopped, packets full of noise, clients that come
//! by the hundred to vanish, flood or stall, no descriptors left, no room on the disk for any line of the log, a wall clock
//! that jumps by years every second, and no socket file. One listener and one talker stay connected and never reconnect.
//! `cargo xtask chaos` runs it; its last lines say what was heard and what is left, and it fails if that is not what was
//! promised.

use serde_json::Value;
use soundpost_core::capacity::PAYLOAD_MAX;
use soundpost_core::time::MediaTime;
use soundpost_core::wire::{self, Additions, HEADER_LEN, Header, Hello, Kind, Role};
use soundpost_tests::clocks;
use soundpost_tests::proc::{Program, soundpost};
use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::task::LocalSet;
use tokio_seqpacket::UnixSeqpacket;

/// Longer than it takes a worker to prove itself, so that the budget of restarts lasts as long as we do.
const PACE: Duration = Duration::from_millis(10_500);
const SOON: Duration = Duration::from_secs(20);
/// Silence that a death may cost, but for the time that those who bring sound back wait for a processor.
const SILENCE: Duration = Duration::from_millis(500);
/// The same for a worker that hangs, or whose successor finds no descriptors: one is noticed after two seconds.
const HANG: Duration = Duration::from_secs(8);
/// Memory that a process may hold more than it did: what a heap keeps in pieces.
const GROWTH_KIB: u64 = 2_048;
const CROWD: usize = 100;

/// Numbers that look like chance and are the same for the same seed (Knuth's MMIX generator).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// What the listener hears.
#[derive(Default)]
struct Heard {
    packets: Cell<u64>,
    /// Packets that are missing between those that were heard.
    missing: Cell<u64>,
    sequence: Cell<Option<u32>>,
    latest: Cell<Option<Instant>>,
    /// The longest silence since it was last looked at.
    longest: Cell<Duration>,
}

fn message(kind: Kind, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![0; HEADER_LEN + payload.len()];
    wire::emit(kind, payload, &mut out).expect("room");
    out
}

fn hello(role: Role) -> Vec<u8> {
    let mut payload = [0; 64];
    let hello = Hello { role, takeover: false, additions: Additions::NONE, name: "chaos" };
    let length = hello.emit(&mut payload).expect("room");
    message(Kind::Hello, &payload[..length])
}

async fn join(path: &Path, role: Role) -> UnixSeqpacket {
    let socket = UnixSeqpacket::connect(path).await.expect("a connection");
    socket.send(&hello(role)).await.expect("it is taken");
    let mut room = [0; 512];
    let got = socket.recv(&mut room).await.expect("an answer").bytes_read();
    assert_eq!(wire::parse(&room[..got]).expect("a message").0.kind, Kind::Welcome);
    socket
}

async fn listen(socket: UnixSeqpacket, heard: Rc<Heard>) {
    let mut room = vec![0; HEADER_LEN + PAYLOAD_MAX];
    while let Some(got) = socket.recv(&mut room).await.ok().map(|info| info.bytes_read()).filter(|got| *got > 0) {
        let (header, ..) = wire::parse(&room[..got]).expect("the daemon speaks the protocol");
        if let Some(before) = heard.sequence.replace(Some(header.sequence)) {
            let missing = header.sequence.wrapping_sub(before).wrapping_sub(1);
            heard.missing.set(heard.missing.get() + u64::from(missing));
        }
        let time = Instant::now();
        let silence = heard.latest.replace(Some(time)).map_or(Duration::ZERO, |latest| time - latest);
        heard.longest.set(heard.longest.get().max(silence));
        heard.packets.set(heard.packets.get() + 1);
    }
}

/// Sends frames of 20 ms that are noise behind their first byte: the decoder makes of them what it can.
async fn poison(socket: UnixSeqpacket, mut dice: Dice) {
    let mut ticks = tokio::time::interval(Duration::from_millis(20));
    for number in 0_u32.. {
        ticks.tick().await;
        let mut payload: Vec<u8> = (0..dice.roll(400) + 1).map(|_| dice.roll(256) as u8).collect();
        // One frame of 20 ms, in each of the codec's modes.
        payload[0] = [0x08, 0x48, 0x68, 0x78, 0x98, 0xf8][dice.roll(6) as usize] | (dice.roll(2) as u8) << 2;
        let media = MediaTime(u64::from(number) * 960);
        let header = Header { sequence: number, media, ..Header::new(Kind::Packet, payload.len()).expect("a length") };
        if socket.send(&[&header.emit()[..], &payload].concat()).await.is_err() {
            return;
        }
    }
}

/// A hundred clients come, each does something rude, and all are gone.
async fn crowd(path: &Path, dice: &mut Dice) {
    let mut stay = Vec::new();
    for _ in 0..CROWD {
        let Ok(socket) = UnixSeqpacket::connect(path).await else { continue };
        let noise: Vec<u8> = (0..dice.roll(200)).map(|_| dice.roll(256) as u8).collect();
        match dice.roll(5) {
            0 => {}
            1 => _ = socket.send(&noise).await,
            2 => _ = socket.send(&hello(Role::Listener)).await,
            3 => {
                // As much as it takes at once.
                let flood = [hello(Role::Observer), message(Kind::StatusRequest, &[])];
                for bytes in flood.iter().chain(std::iter::repeat_n(&flood[1], 200)) {
                    if tokio::time::timeout(Duration::from_millis(1), socket.send(bytes)).await.is_err() {
                        break;
                    }
                }
            }
            _ => _ = socket.send(&hello(Role::Talker)).await,
        }
        // Some stay for the rest of the crowd, and read nothing.
        if dice.roll(2) == 0 {
            stay.push(socket);
        }
    }
}

fn lives(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|after| !after.is_empty() && !after.trim_start().starts_with('Z'))
}

fn rss_kib(process: u64) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("the process lives");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// What a death of capture cost, hangs and hunger aside.
#[derive(Clone, Copy)]
struct Silence {
    heard: Duration,
    /// Of it, waiting for a processor (or more, where several waited at once).
    waited: Duration,
}

struct House {
    daemon: Program,
    path: PathBuf,
    observer: UnixSeqpacket,
}

impl House {
    async fn status(&self) -> Value {
        let observer = &self.observer;
        observer.send(&message(Kind::StatusRequest, &[])).await.expect("the daemon lives");
        let mut room = vec![0; 70_000];
        let answer = tokio::time::timeout(SOON, observer.recv(&mut room)).await.expect("an answer in time");
        let got = answer.expect("the daemon lives").bytes_read();
        let (_, payload, _) = wire::parse(&room[..got]).expect("a message");
        serde_json::from_slice(payload).expect("JSON")
    }

    async fn status_when(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let end = Instant::now() + Duration::from_secs(40);
        loop {
            let status = self.status().await;
            if wanted(&status) {
                return status;
            }
            assert!(Instant::now() < end, "{what}: {status}\n{}", self.daemon.output());
            // The daemon sends away who asks more than fifty times a second.
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    }

    fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.daemon.id())).expect("the daemon lives").count()
    }

    /// Resident memory of the daemon, of capture and of playback.
    async fn memory_kib(&self) -> [u64; 3] {
        let status = self.status().await;
        let worker = |direction: &str| status[direction]["worker"]["pid"].as_u64().expect("a process");
        [u64::from(self.daemon.id()), worker("capture"), worker("playback")].map(rss_kib)
    }

    /// How long those who bring sound back have waited for a processor: the daemon, this thread, and `worker`.
    fn waited(&self, worker: Option<u32>) -> Duration {
        worker.map_or(Duration::ZERO, clocks::waited) + clocks::waited(self.daemon.id()) + clocks::waited_here()
    }

    /// Lets the daemon have no more descriptors than it has, or as many as it may.
    fn starve(&self, hungry: bool) {
        let pid = i32::try_from(self.daemon.id()).expect("a pid fits");
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: the calls read and write the structure, which outlives them.
        let set = unsafe {
            libc::prlimit(pid, libc::RLIMIT_NOFILE, std::ptr::null(), &raw mut limit);
            limit.rlim_cur = if hungry { self.descriptors() as libc::rlim_t } else { limit.rlim_max };
            libc::prlimit(pid, libc::RLIMIT_NOFILE, &raw const limit, std::ptr::null_mut())
        };
        assert_eq!(set, 0, "the limit can be set");
    }

    /// Kills a worker in some way, waits for its successor and for sound.
    async fn kill(&self, dice: &mut Dice, heard: &Heard) -> Option<Silence> {
        let direction = ["capture", "playback"][dice.roll(2) as usize];
        let ways = [
            ("SIGKILL", libc::SIGKILL, SILENCE),
            ("SIGSEGV", libc::SIGSEGV, SILENCE),
            ("SIGABRT", libc::SIGABRT, SILENCE),
            ("SIGSTOP", libc::SIGSTOP, HANG),
        ];
        let (name, signal, limit) = ways[dice.roll(4) as usize];
        let starved = dice.roll(4) == 0;
        let pid = self.status().await[direction]["worker"]["pid"].as_i64().expect("a process");
        heard.longest.set(Duration::ZERO);
        let (began, waited) = (Instant::now(), self.waited(None));
        if starved {
            self.starve(true);
        }
        let worker = i32::try_from(pid).expect("a pid fits");
        // SAFETY: the call touches no memory of this process.
        let send = || unsafe { libc::kill(worker, signal) } != 0;
        send();
        // The runtime takes the first SIGSEGV for an overflow of a stack, and looks again.
        assert!(
            signal != libc::SIGSEGV || soundpost_tests::until(SOON, || send() || !lives(worker)),
            "it does not die"
        );
        if starved {
            tokio::time::sleep(Duration::from_millis(200)).await;
            self.starve(false);
        }
        let running = |status: &Value| {
            let worker = &status[direction]["worker"];
            worker["state"] == "running" && worker["pid"].as_i64().is_some_and(|new| new != pid)
        };
        let status = self.status_when("a successor", running).await;
        let (back, packets) = (began.elapsed(), heard.packets.get());
        while heard.packets.get() < packets + 2 {
            assert!(began.elapsed() < SOON, "nothing is heard");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let worker = status[direction]["worker"]["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok());
        let silence = Silence { heard: heard.longest.get(), waited: self.waited(worker).saturating_sub(waited) };
        let Silence { heard: silent, waited } = silence;
        let hunger = if starved { ", without descriptors" } else { "" };
        println!(
            "{direction} {name}{hunger}: back after {back:.0?}; longest silence {silent:.0?}, {waited:.0?} of waiting for a \
             processor"
        );
        let limit = limit + waited + if starved { HANG } else { Duration::ZERO };
        let judged = if direction == "capture" { back.max(silent) } else { back };
        assert!(judged < limit, "{judged:?}; allowed: {limit:?}");
        (direction == "capture" && !starved && signal != libc::SIGSTOP).then_some(silence)
    }
}

async fn run(length: Duration, seed: u64) {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("s.sock");
    let socket = path.display().to_string();
    let mut command = Command::new(soundpost());
    command.args(["--log-level", "debug", "run", "--capture", "tone:", "--playback", "null", "--socket", &socket]);
    // No line of the log finds room, and nobody who asks knows what year it is.
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(std::fs::File::create("/dev/full").expect("a device"));
    command.env("LD_PRELOAD", clocks::jumping_wall_clock(dir.path()));
    let daemon = Program::start(command);
    daemon.wait_for_line(|line| line.contains("is ready"), SOON);
    let mut dice = Dice(seed);
    let heard = Rc::new(Heard::default());
    tokio::task::spawn_local(listen(join(&path, Role::Listener).await, Rc::clone(&heard)));
    let talker = tokio::task::spawn_local(poison(join(&path, Role::Talker).await, Dice(seed ^ 1)));
    let observer = join(&path, Role::Observer).await;
    let house = House { daemon, path, observer };
    let before = house.descriptors();
    // What a first crowd makes it allocate, it keeps.
    crowd(&house.path, &mut dice).await;
    let alone = |status: &Value| status["clients"].as_array().is_some_and(|clients| clients.len() == 3);
    house.status_when("everybody gone", alone).await;
    let (end, mut deaths, mut crowds) = (Instant::now() + length, 0_u64, 1);
    let (mut silences, mut memory) = (Vec::new(), Vec::new());
    loop {
        memory.push(house.memory_kib().await);
        silences.extend(house.kill(&mut dice, &heard).await);
        deaths += 1;
        let next = (Instant::now() + PACE).min(end);
        while Instant::now() < next {
            crowd(&house.path, &mut dice).await;
            crowds += 1;
            tokio::time::sleep(Duration::from_millis(dice.roll(300))).await;
        }
        if Instant::now() >= end {
            break;
        }
    }
    std::fs::remove_file(&house.path).expect("the socket file");
    let status = house.status_when("everybody gone", alone).await;
    memory.push(house.memory_kib().await);
    // Some of the last crowd may not have introduced themselves, and be waited for.
    let (mut after, patience) = (house.descriptors(), Instant::now() + SOON);
    while after > before && Instant::now() < patience {
        tokio::time::sleep(Duration::from_millis(25)).await;
        after = house.descriptors();
    }
    let sum = |what: &[&str]| -> u64 {
        let count = |worker: &Value| what.iter().map(|name| worker[name].as_u64().unwrap_or(0)).sum::<u64>();
        count(&status["capture"]["worker"]) + count(&status["playback"]["worker"])
    };
    let packets = heard.packets.get();
    println!(
        "{deaths} deaths, {crowds} crowds of {CROWD}; {packets} packets heard, {} poisoned ones decoded with errors",
        status["playback"]["decode_errors"]
    );
    println!("descriptors {before} before, {after} after");
    judge_silences(silences);
    judge_memory(&memory);
    assert_eq!(sum(&["crashes", "missed_beats"]), deaths, "every death is counted once: {status}");
    assert_eq!((sum(&["restarts"]), sum(&["starts"])), (deaths, deaths + 2), "and every successor: {status}");
    assert_eq!(sum(&["gave_up"]), 0);
    judge_losses(&status, &heard);
    assert!(after <= before, "no descriptor is lost");
    assert!(!talker.is_finished(), "the talker is still connected");
    talker.abort();
    let free = |status: &Value| ["capture", "playback"].iter().all(|way| status[way]["pool"]["in_use"] == 0);
    house.status_when("every slot free", free).await;
}

/// Half of the deaths are heard for no longer than was promised. (Each was judged by itself, too.)
fn judge_silences(mut silences: Vec<Silence>) {
    silences.sort_by_key(|silence| silence.heard);
    let (Some(worst), Some(median)) = (silences.last(), silences.get(silences.len() / 2)) else { return };
    println!(
        "silence of capture after a death, hangs and hunger aside: median {:.0?}, worst {:.0?} ({:.0?} of waiting for a \
         processor)",
        median.heard, worst.heard, worst.waited
    );
    assert!(median.heard < SILENCE + median.waited, "{:?}", median.heard);
}

/// What each process held at most in the second half is not more than in the first.
fn judge_memory(memory: &[[u64; 3]]) {
    let (first, second) = memory.split_at(memory.len() / 2);
    for (place, name) in ["daemon", "capture", "playback"].into_iter().enumerate() {
        let most = |half: &[[u64; 3]]| half.iter().map(|seen| seen[place]).max().unwrap_or(0);
        let (before, after) = (most(first), most(second));
        println!("memory of {name}: {before} KiB at most in the first half, {after} in the second");
        assert!(after < before + GROWTH_KIB, "memory of {name} grows: {memory:?}");
    }
}

/// What the listener misses, the daemon counts; whoever was rude is counted.
fn judge_losses(status: &Value, heard: &Heard) {
    let count = |value: &Value| value.as_u64().expect("a number");
    let clients = status["clients"].as_array().expect("a list");
    let listener = clients.iter().find(|client| client["role"] == "listener").expect("it is still connected");
    let capture = &status["capture"];
    let told = [&listener["dropped"], &capture["dropped_ring_full"], &capture["dropped_no_slot"]].map(count);
    let (missing, told) = (heard.missing.get(), told.iter().sum::<u64>());
    println!("{missing} packets missing at the listener, {told} counted as dropped; refusals {}", status["refusals"]);
    assert!(missing <= told, "{missing} packets are missing, {told} are counted");
    assert!(count(&status["refusals"]["malformed"]) > 0 && count(&status["refusals"]["too_fast"]) > 0, "{status}");
}

fn main() {
    let mut words = std::env::args().skip(1);
    let (mut minutes, mut seed) = (2.0, u64::from(std::process::id()));
    while let Some(word) = words.next() {
        let value = words.next();
        let number = value.as_deref().and_then(|text| text.parse::<f64>().ok()).filter(|number| *number > 0.0);
        match (word.as_str(), number) {
            ("--minutes", Some(number)) => minutes = number,
            ("--seed", Some(number)) => seed = number as u64,
            _ => {
                eprintln!("error: {word} {}; allowed: --minutes NUMBER, --seed NUMBER", value.unwrap_or_default());
                std::process::exit(2);
            }
        }
    }
    println!("seed {seed}: {minutes} minutes; again with --seed {seed}");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    LocalSet::new().block_on(&runtime, run(Duration::from_secs_f64(minutes * 60.0), seed));
}
