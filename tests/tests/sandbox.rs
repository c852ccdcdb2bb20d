//! A worker that was taken over reaches nothing. The same function as in a worker process runs here in one, with a hook
//! where the real one waits for SIGTERM: it does what an intruder would try, from inside, and says how that went.

use serde_json::Value;
use soundpost_core::config::{Channels, Playout};
use soundpost_linux::worker::link::{self, Received};
use soundpost_linux::worker::{Begin, Link, Order, Task, Word};
use std::fs::File;
use std::io::Write;
use std::net::{TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::process::{Command, Stdio};
use std::time::Duration;

critical_section::set_impl!(soundpost_linux::cs::PriorityInheriting);

const SOON: Duration = Duration::from_secs(30);
/// Set in the process that is the worker.
const CAPTIVE: &str = "SOUNDPOST_TEST_CAPTIVE";

/// What an intruder tries, and whether it works.
fn intrude(neighbour: i32) -> Vec<(&'static str, bool)> {
    let dir = std::env::temp_dir();
    let mut tried = vec![
        ("read a file", File::open("/etc/passwd").is_ok()),
        ("write a file", File::create(dir.join("soundpost-test-intruder")).is_ok()),
        ("list a folder", std::fs::read_dir("/").is_ok()),
        ("read the memory of a process", File::open(format!("/proc/{neighbour}/mem")).is_ok()),
        (
            "connect to a network",
            TcpStream::connect("127.0.0.1:1").err().is_none_or(|e| e.raw_os_error() != Some(libc::EPERM)),
        ),
        ("open a network socket", UdpSocket::bind("127.0.0.1:0").is_ok()),
        ("open a local socket", UnixDatagram::unbound().is_ok()),
        ("make a pair of sockets", UnixStream::pair().is_ok()),
        ("start a program", Command::new("/bin/true").status().is_ok()),
    ];
    tried.extend(intrude_by_calls(neighbour));
    tried
}

/// The same with what the standard library does not offer.
fn intrude_by_calls(neighbour: i32) -> [(&'static str, bool); 7] {
    let own = i32::try_from(std::process::id()).expect("a pid fits");
    let prot = libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: none of these touches memory that is in use; a child, if there is one, ends at once.
    unsafe {
        let child = libc::fork();
        if child == 0 {
            libc::_exit(0);
        }
        [
            ("make a process", child > 0),
            ("signal a process", libc::kill(neighbour, 0) == 0),
            ("signal a thread of a process", libc::syscall(libc::SYS_tgkill, neighbour, neighbour, 0) == 0),
            ("trace a process", libc::ptrace(libc::PTRACE_ATTACH, neighbour, 0, 0) == 0),
            ("make memory executable", libc::mmap(std::ptr::null_mut(), 4096, prot, flags, -1, 0) != libc::MAP_FAILED),
            ("get privileges", libc::setuid(0) == 0),
            // What it still can, so that a sandbox that forbids all would be noticed.
            ("signal itself", libc::syscall(libc::SYS_tgkill, own, libc::syscall(libc::SYS_gettid), 0) == 0),
        ]
    }
}

/// Not a test of its own: what runs in the process that the test starts.
#[test]
fn captive() {
    let Ok(neighbour) = std::env::var(CAPTIVE) else { return };
    let neighbour = neighbour.parse().expect("a pid");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let end = std::io::stdin().as_fd().try_clone_to_owned().expect("a descriptor");
        let report = end.try_clone().expect("a descriptor");
        let mut terminate =
            tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).expect("a signal");
        // Where the real worker is told to leave, this one is taken over.
        let hook = async move {
            terminate.recv().await;
            let _ = link::say(report.as_fd(), &intrude(neighbour));
        };
        soundpost_linux::worker::serve(Link::new(end).expect("a link"), true, hook).await.expect("it works");
    });
}

/// Lets a worker with these devices be taken over; returns its sandbox, and what worked.
fn take_over(devices: &str) -> (Value, Vec<(String, bool)>) {
    let mut neighbour = Command::new("sleep").arg("600").stdin(Stdio::null()).spawn().expect("a neighbour");
    let (ours, theirs) = link::pair().expect("a link");
    let mut captive = Command::new(std::env::current_exe().expect("this program"));
    captive.args(["--exact", "captive", "--nocapture", "--test-threads", "1"]);
    captive.env(CAPTIVE, neighbour.id().to_string()).stdin(Stdio::from(theirs)).stdout(Stdio::null());
    let mut captive = captive.spawn().expect("a captive");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let result = runtime.block_on(async {
        let link = Link::new(ours).expect("a link");
        let task = Task::Playback {
            channels: Channels::Stereo,
            playout: Playout::Balanced,
            hush: false,
            muted: false,
            counts: None,
        };
        // The tests have the version of the workspace.
        let (version, devices) = (env!("CARGO_PKG_VERSION").to_owned(), devices.to_owned());
        let begin = Begin { version, devices, volume: None, task };
        let _ = link.say(&Order::Begin(Box::new(begin)));
        let (mut room, mut sandbox) = (vec![0; 16_384], Value::Null);
        loop {
            let received = tokio::time::timeout(SOON, link.receive(&mut room)).await.expect("an answer in time");
            let Received::Said(json) = received.expect("a link") else { panic!("the captive is gone") };
            if let Ok(Word::Ready(ready)) = serde_json::from_slice(json) {
                sandbox = serde_json::to_value(ready.sandbox).expect("JSON");
                // SAFETY: the call touches no memory of this process.
                unsafe { libc::kill(i32::try_from(captive.id()).expect("a pid fits"), libc::SIGTERM) };
            } else if let Ok(result) = serde_json::from_slice::<Vec<(String, bool)>>(json) {
                return (sandbox, result);
            }
        }
    });
    let _ = (captive.wait(), neighbour.kill(), neighbour.wait());
    result
}

fn worked(result: &[(String, bool)]) -> Vec<&str> {
    result.iter().filter(|(_, worked)| *worked).map(|(what, _)| what.as_str()).collect()
}

#[test]
fn a_worker_that_was_taken_over_reaches_neither_files_nor_sockets_nor_processes() {
    let (sandbox, result) = take_over("null");
    println!("{sandbox}");
    result.iter().for_each(|(what, worked)| println!("{what}: {}", if *worked { "WORKED" } else { "refused" }));
    assert_eq!(sandbox["level"], "sealed");
    assert_eq!(sandbox["no_new_privileges"], true);
    assert_eq!(worked(&result), ["signal itself"]);
}

#[test]
fn one_that_may_open_sound_cards_again_reaches_those_and_no_other_files() {
    // There need not be such a card: what follows it in the list is taken then.
    let (sandbox, result) = take_over("alsa:hw:31,null");
    println!("{sandbox}");
    assert_eq!(sandbox["level"], "devices");
    let landlock = sandbox["files"].as_str().is_some_and(|files| files.contains("sound cards and their configuration"));
    let worked = worked(&result);
    // Landlock is what keeps files from it; on a kernel without it the status says so.
    let files = ["read a file", "write a file", "list a folder", "read the memory of a process"];
    assert!(!landlock || worked.iter().all(|what| !files.contains(what)), "{worked:?}");
    let others: Vec<_> = worked.iter().filter(|what| !files.contains(what)).collect();
    assert_eq!(others, [&"make memory executable", &"signal itself"], "{sandbox}");
    let _ = std::io::stdout().flush();
}
