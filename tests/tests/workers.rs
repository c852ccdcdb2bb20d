//! Workers die in every way there is, in the middle of sound, and nobody has to reconnect. Each test prints what
//! docs/processes.md says.

use serde_json::Value;
use soundpost_core::codec::opus_samples;
use soundpost_core::wire::{self, Additions, Flags, HEADER_LEN, Header, Hello, Kind, Role};
use soundpost_tests::proc::{Program, soundpost};
use soundpost_tests::{clocks, until};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio_seqpacket::UnixSeqpacket;

const SOON: Duration = Duration::from_secs(30);
/// Sound is back within this after a death, but for the time that those who bring it back wait for a processor: that is
/// the machine's.
const PROMISE: Duration = Duration::from_millis(500);
/// A daemon that is asked to stop is gone within this.
const STOP: Duration = Duration::from_millis(300);
/// What ends in some other way is back soon, too, but a machine with much else to do adds seconds.
const AGAIN: Duration = Duration::from_secs(8);
/// A worker that hangs is ended after two and a half seconds.
const HANG: Duration = Duration::from_secs(12);

struct House {
    dir: tempfile::TempDir,
    daemon: Program,
}

impl House {
    fn open(args: &[&str]) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let socket = dir.path().join("s.sock").display().to_string();
        let daemon = Program::spawn(&[&["run", "--socket", &socket], args].concat(), &[]);
        daemon.wait_for_line(|line| line.contains("is ready"), SOON);
        Self { dir, daemon }
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("s.sock")
    }

    /// How long those who bring sound back have waited for a processor: the daemon, this thread, and `worker`.
    fn waited(&self, worker: Option<i32>) -> Duration {
        let worker = worker.map_or(Duration::ZERO, |pid| clocks::waited(pid.cast_unsigned()));
        worker + clocks::waited(self.daemon.id()) + clocks::waited_here()
    }

    fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.daemon.id())).expect("a process").count()
    }

    fn children(&self) -> usize {
        let of = format!("/proc/{0}/task/{0}/children", self.daemon.id());
        std::fs::read_to_string(of).expect("a process").split_whitespace().count()
    }
}

/// The daemon answers fifty requests of a client a second, and sends away who asks more.
const PACE: Duration = Duration::from_millis(25);

/// A connection that is never renewed.
struct Client {
    socket: UnixSeqpacket,
    room: Vec<u8>,
}

impl Client {
    async fn join(path: &Path, role: Role) -> Self {
        let socket = UnixSeqpacket::connect(path).await.expect("a connection");
        let mut this = Self { socket, room: vec![0; 70_000] };
        let mut payload = [0; 64];
        let hello = Hello { role, takeover: false, additions: Additions::NONE, name: "test" };
        let length = hello.emit(&mut payload).expect("room");
        this.send(Kind::Hello, &payload[..length]).await;
        assert_eq!(this.next().await.0.kind, Kind::Welcome);
        this
    }

    async fn send(&self, kind: Kind, payload: &[u8]) {
        let mut out = vec![0; HEADER_LEN + payload.len()];
        wire::emit(kind, payload, &mut out).expect("room");
        self.socket.send(&out).await.expect("it is taken");
    }

    async fn next(&mut self) -> (Header, &[u8]) {
        let got = tokio::time::timeout(SOON, self.socket.recv(&mut self.room)).await.expect("a message in time");
        let got = got.expect("a connection").bytes_read();
        let (header, payload, _) = wire::parse(&self.room[..got]).expect("the daemon speaks the protocol");
        (header, payload)
    }

    async fn status(&mut self) -> Value {
        self.send(Kind::StatusRequest, &[]).await;
        loop {
            let (header, payload) = self.next().await;
            if header.kind == Kind::Status {
                return serde_json::from_slice(payload).expect("JSON");
            }
        }
    }

    /// Asks until the status is as wanted.
    async fn status_when(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        let end = Instant::now() + SOON;
        loop {
            let status = self.status().await;
            if wanted(&status) {
                return status;
            }
            assert!(Instant::now() < end, "{status}");
            tokio::time::sleep(PACE).await;
        }
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

fn pid(status: &Value, direction: &str) -> Option<i32> {
    status[direction]["worker"]["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok())
}

fn send(pid: i32, signal: i32) {
    // SAFETY: the call touches no memory of this process.
    assert_eq!(unsafe { libc::kill(pid, signal) }, 0, "process {pid} is there");
    // The Rust runtime takes the first SIGSEGV for an overflow of a stack and lets the faulting instruction try again: a
    // fault comes twice, a signal has to be sent again.
    // SAFETY: as above.
    let again = || unsafe { libc::kill(pid, signal) } != 0 || !lives(pid);
    assert!(signal != libc::SIGSEGV || until(SOON, again), "process {pid} does not die");
}

/// What ends a worker.
const ENDS: [(&str, i32, Duration); 4] = [
    ("SIGKILL", libc::SIGKILL, PROMISE),
    ("SIGSEGV", libc::SIGSEGV, PROMISE),
    ("SIGTERM", libc::SIGTERM, AGAIN),
    ("SIGSTOP", libc::SIGSTOP, HANG),
];

fn lives(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|after| !after.is_empty() && !after.trim_start().starts_with('Z'))
}

#[test]
fn a_listener_that_never_reconnects_hears_again_and_no_sample_is_unaccounted_for() {
    let house = House::open(&["--capture", "tone:", "--playback", "null"]);
    runtime().block_on(async {
        let mut listener = Client::join(&house.socket(), Role::Listener).await;
        let mut observer = Client::join(&house.socket(), Role::Observer).await;
        for (name, signal, limit) in ENDS {
            let status = observer.status_when(|status| status["capture"]["worker"]["state"] == "running").await;
            let lost = status["capture"]["lost_samples"].as_u64().expect("a number");
            let worker = pid(&status, "capture").expect("a process");
            let mut last = listener.next().await.0;
            let waited = house.waited(None);
            send(worker, signal);
            let (began, mut samples) = (Instant::now(), 960);
            let first = loop {
                let (header, payload) = listener.next().await;
                assert_eq!(header.sequence, last.sequence.wrapping_add(1), "{name}");
                if header.flags.has(Flags::GAP) {
                    break header;
                }
                (last, samples) = (header, opus_samples(payload).expect("a packet"));
            };
            let silent = began.elapsed();
            let gap = first.media.0 - last.media.0 - u64::from(samples);
            let clock = first.captured.since(last.captured).as_samples() - u64::from(samples);
            let status = observer.status_when(|status| status["capture"]["lost_samples"] != lost).await;
            let waited = house.waited(pid(&status, "capture")) - waited;
            println!(
                "capture worker, {name}: heard again after {} ms; {} ms of stream time lost, {} ms by the clock; {} ms of \
                 waiting for a processor",
                silent.as_millis(),
                gap / 48,
                clock / 48,
                waited.as_millis()
            );
            let silent = silent.max(Duration::from_millis(gap / 48));
            assert!(silent < limit + waited, "{name}: {silent:?}, {waited:?} of it waiting for a processor");
            assert_eq!(gap % 960, 0, "{name}: the grid is what it was");
            assert!(gap.abs_diff(clock) < 960 + 480, "{name}: {gap} samples are missing, by the clock {clock}");
            let counted = status["capture"]["lost_samples"].as_u64().expect("a number") - lost;
            assert!(counted.abs_diff(gap) < 960, "{name}: {counted} samples are counted, {gap} missing");
        }
        let status = observer.status().await;
        let worker = &status["capture"]["worker"];
        assert_eq!(
            (&worker["crashes"], &worker["clean_exits"], &worker["missed_beats"]),
            (&2.into(), &1.into(), &1.into())
        );
        let how = worker["last_end"].as_str().expect("words");
        assert!(how.contains("no progress for 2000 ms") && how.contains("SIGKILL"), "{how}");
    });
}

#[test]
fn a_talker_that_never_reconnects_is_heard_again() {
    let house = House::open(&["--capture", "null", "--playback", "null"]);
    let socket = house.socket().display().to_string();
    let mut talker = Program::spawn(&["talk", "-i", "tone:", "--socket", &socket], &[]);
    runtime().block_on(async {
        let mut observer = Client::join(&house.socket(), Role::Observer).await;
        for (name, signal, limit) in ENDS {
            let status = observer.status_when(|status| status["playback"]["playing"] == true).await;
            let worker = pid(&status, "playback").expect("a process");
            let waited = house.waited(None);
            send(worker, signal);
            let began = Instant::now();
            let status = observer
                .status_when(|status| {
                    status["playback"]["playing"] == true && pid(status, "playback").is_some_and(|pid| pid != worker)
                })
                .await;
            let silent = began.elapsed();
            let waited = house.waited(pid(&status, "playback")) - waited;
            let dropped = &status["playback"]["metrics"]["frames_dropped"];
            println!(
                "playback worker, {name}: plays again after {} ms; {dropped} packets dropped so far; {} ms of waiting for a \
                 processor",
                silent.as_millis(),
                waited.as_millis()
            );
            assert!(silent < limit + waited, "{name}: {silent:?}, {waited:?} of it waiting for a processor");
        }
    });
    assert!(talker.running(), "{}", talker.output());
}

#[test]
fn twenty_deaths_leave_neither_descriptors_nor_processes() {
    let house = House::open(&["--capture", "tone:", "--playback", "null"]);
    let directions = ["capture", "playback"];
    runtime().block_on(async {
        let mut observer = Client::join(&house.socket(), Role::Observer).await;
        let running = |status: &Value| directions.iter().all(|d| status[d]["worker"]["state"] == "running");
        let mut status = observer.status_when(running).await;
        let before = (house.descriptors(), house.children());
        for round in 1..=10 {
            directions.iter().filter_map(|direction| pid(&status, direction)).for_each(|pid| send(pid, libc::SIGKILL));
            status = observer
                .status_when(|status| {
                    let counted = |d: &&str| status[d]["worker"]["crashes"] == round;
                    running(status) && directions.iter().all(counted)
                })
                .await;
        }
        assert_eq!((house.descriptors(), house.children()), before);
        println!("after 20 deaths: {} descriptors and {} children, as before", before.0, before.1);
        for direction in directions {
            let worker = &status[direction]["worker"];
            assert_eq!(
                (&worker["starts"], &worker["restarts"], &worker["last_end"]),
                (&11.into(), &10.into(), &"killed by SIGKILL".into())
            );
        }
    });
}

#[test]
fn workers_end_with_their_daemon_however_it_ends() {
    for (signal, patience) in [(libc::SIGTERM, AGAIN), (libc::SIGKILL, AGAIN)] {
        let mut house = House::open(&["--capture", "tone:", "--playback", "null"]);
        let status = runtime().block_on(async { Client::join(&house.socket(), Role::Observer).await.status().await });
        let workers = ["capture", "playback"].map(|direction| pid(&status, direction).expect("a process"));
        let began = Instant::now();
        house.daemon.signal(signal);
        let status = house.daemon.wait_exit(SOON);
        let took = began.elapsed();
        assert!(until(patience, || workers.iter().all(|pid| !lives(*pid))), "a worker is left");
        println!("signal {signal} to the daemon: gone after {} ms, workers too", took.as_millis());
        assert!(took < patience);
        assert_eq!(status.success(), signal == libc::SIGTERM);
    }
}

/// As an init of a few kilobytes starts it: no environment, no terminal, nobody to tell. A machine that is busy may make a
/// stop long, but not every stop.
#[test]
fn without_a_service_manager_a_daemon_that_is_asked_to_stop_is_gone_at_once() {
    for signal in [libc::SIGTERM, libc::SIGINT] {
        let mut stops = Vec::new();
        while stops.iter().all(|took| *took > STOP) && stops.len() < 5 {
            let dir = tempfile::tempdir().expect("a directory");
            let mut command = std::process::Command::new(soundpost());
            command
                .args(["run", "--capture", "tone:", "--playback", "null", "--socket"])
                .arg(dir.path().join("s.sock"));
            command.env_clear().current_dir("/").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
            let mut daemon = Program::start(command);
            daemon.wait_for_line(|line| line.contains("is ready"), SOON);
            let began = Instant::now();
            daemon.signal(signal);
            assert!(daemon.wait_exit(SOON).success());
            stops.push(began.elapsed());
        }
        println!("signal {signal}: gone after {stops:.0?}");
        assert!(stops.iter().any(|took| *took <= STOP), "{stops:?}");
    }
}

/// Whether somebody listens at a path.
fn daemon_is_there(path: &Path) -> bool {
    soundpost_client::blocking::Controller::connect(path, "test", Some(SOON)).is_ok()
}

/// Everything that is said fails, from the first line on.
#[test]
fn a_full_disk_for_what_is_logged_and_printed_stops_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let socket = dir.path().join("s.sock");
    let full = || std::fs::File::create("/dev/full").expect("a device");
    let mut command = std::process::Command::new(soundpost());
    command.args(["--log-level", "debug", "run", "--capture", "tone:", "--playback", "null", "--socket"]).arg(&socket);
    command.stdin(Stdio::null()).stdout(full()).stderr(full());
    let mut daemon = Program::start(command);
    runtime().block_on(async {
        // It cannot say that it is ready.
        assert!(until(SOON, || daemon_is_there(&socket)));
        let mut listener = Client::join(&socket, Role::Listener).await;
        let mut observer = Client::join(&socket, Role::Observer).await;
        for direction in ["capture", "playback"] {
            let status = observer.status_when(|status| status[direction]["worker"]["state"] == "running").await;
            send(pid(&status, direction).expect("a process"), libc::SIGKILL);
            observer.status_when(|status| status[direction]["worker"]["restarts"] == 1).await;
        }
        daemon.signal(libc::SIGUSR1);
        // What waits in its queue is older.
        let revived = soundpost_linux::rt::now();
        while listener.next().await.0.captured < revived {}
        observer.status().await;
    });
    daemon.signal(libc::SIGTERM);
    assert!(daemon.wait_exit(SOON).success());
}

#[test]
fn the_service_manager_hears_of_the_start_the_watchdog_and_the_end() {
    let dir = tempfile::tempdir().expect("a directory");
    let (socket, notify) = (dir.path().join("s.sock"), dir.path().join("notify"));
    let manager = std::os::unix::net::UnixDatagram::bind(&notify).expect("a socket");
    manager.set_read_timeout(Some(SOON)).expect("a time");
    let args = ["run", "--capture", "tone:", "--playback", "null", "--socket", &socket.display().to_string()];
    let envs = [("NOTIFY_SOCKET", notify.display().to_string()), ("WATCHDOG_USEC", "200000".to_owned())];
    let mut daemon = Program::spawn(&args, &envs.map(|(name, value)| (name.to_owned(), value)));
    let hear = || {
        let mut room = [0; 512];
        let length = manager.recv(&mut room).expect("news in time");
        String::from_utf8_lossy(&room[..length]).into_owned()
    };
    assert!(hear().starts_with("READY=1\n"));
    for _ in 0..3 {
        assert!(hear().starts_with("WATCHDOG=1\n"));
    }
    daemon.signal(libc::SIGUSR1);
    daemon.wait_for_line(|line| line.contains("status {") && line.contains("\"worker\":{"), SOON);
    daemon.signal(libc::SIGHUP);
    daemon.wait_for_line(|line| line.contains("the configuration was read again"), SOON);
    daemon.signal(libc::SIGTERM);
    while hear() != "STOPPING=1" {}
    assert!(daemon.wait_exit(SOON).success());
}

#[test]
fn in_one_process_it_is_the_same() {
    let house = House::open(&["--in-process", "--capture", "tone:", "--playback", "null"]);
    assert_eq!(house.children(), 0);
    runtime().block_on(async {
        let mut listener = Client::join(&house.socket(), Role::Listener).await;
        let (first, second) = (listener.next().await.0, listener.next().await.0);
        assert_eq!(second.media.0 - first.media.0, 960);
        let status = Client::join(&house.socket(), Role::Observer).await.status().await;
        assert_eq!(status["capture"]["worker"]["sandbox"]["level"], "none");
        assert_eq!(status["capture"]["worker"]["state"], "running");
    });
}

#[test]
fn a_worker_is_of_no_use_by_hand() {
    let mut program = Program::spawn(&["worker", "capture"], &[]);
    assert_eq!(program.wait_exit(SOON).code(), Some(1));
    assert!(program.output().contains("started by `soundpost run`"), "{}", program.output());
}
