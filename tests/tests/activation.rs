//! A socket that a service manager opened: clients that come before the daemon are served by it, those that come between
//! two daemons by the next, and nobody but the daemon has it.

use soundpost_client::asynchronous::Controller;
use soundpost_tests::proc::{Program, soundpost};
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;
use tokio_seqpacket::UnixSeqpacketListener;

const SOON: Duration = Duration::from_secs(30);

/// Starts the daemon with a descriptor as its third, and says that it is for it.
fn activate(socket: &impl AsFd, more: &[&str]) -> Program {
    let mut command = Command::new("sh");
    // The shell becomes the daemon, and so its number does.
    let script = "LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=soundpost exec \"$0\" \"$@\" 3<&0 </dev/null";
    command.args(["-c", script]).arg(soundpost()).args(["run", "--capture", "tone:", "--playback", "null"]).args(more);
    let stdin: OwnedFd = socket.as_fd().try_clone_to_owned().expect("a descriptor");
    command.stdin(Stdio::from(stdin)).stdout(Stdio::piped()).stderr(Stdio::piped());
    Program::start(command)
}

/// A controller that connects now and is answered whenever there is somebody to do so.
fn early(path: &Path) -> impl Future<Output = String> + use<> {
    let path = path.to_owned();
    let asked = tokio::task::spawn_local(async move {
        let mut controller = Controller::connect(&path, "early").await.expect("a connection");
        controller.status().await.expect("an answer")
    });
    async { tokio::time::timeout(SOON, asked).await.expect("an answer in time").expect("no panic") }
}

#[test]
fn clients_that_come_before_the_daemon_wait_for_it_and_the_socket_outlives_it() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    tokio::task::LocalSet::new().block_on(&runtime, two_daemons());
}

async fn two_daemons() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("handed.sock");
    // Service managers hand over what blocks. (The type of the socket is none of that type's business.)
    let socket = UnixListener::from(OwnedFd::from(UnixSeqpacketListener::bind(&path).expect("a socket")));
    socket.set_nonblocking(false).expect("a socket");
    for round in 0..2 {
        let answer = early(&path);
        tokio::task::yield_now().await;
        // What the command line says of the socket does not matter then.
        let other = dir.path().join("other.sock");
        let mut daemon = activate(&socket, &["--socket", &other.display().to_string()]);
        let status: serde_json::Value = serde_json::from_str(&answer.await).expect("JSON");
        assert_eq!(status["socket"], path.display().to_string(), "round {round}");
        assert!(!other.exists());
        for direction in ["capture", "playback"] {
            let worker = status[direction]["worker"]["pid"].as_i64().expect("a process");
            let environment = std::fs::read(format!("/proc/{worker}/environ")).expect("a process");
            assert!(!environment.windows(7).any(|name| name == b"LISTEN_"), "{direction} is told of the socket");
        }
        daemon.signal(libc::SIGTERM);
        assert!(daemon.wait_exit(SOON).success());
        assert!(path.exists(), "who made it removes it");
    }
}

#[test]
fn a_descriptor_that_will_not_do_is_named() {
    let mut daemon = activate(&File::open("/dev/null").expect("a file"), &[]);
    assert_eq!(daemon.wait_exit(SOON).code(), Some(1));
    let said = daemon.output();
    assert!(said.contains("LISTEN_FDS: descriptor 3 is no socket") && said.contains("SOCK_SEQPACKET"), "{said}");
}

#[test]
fn variables_of_another_process_mean_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("own.sock").display().to_string();
    let envs = [("LISTEN_PID", "1"), ("LISTEN_FDS", "1")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    let daemon = Program::spawn(&["run", "--capture", "null", "--playback", "null", "--socket", &path], &envs);
    daemon.wait_for_line(|line| line.contains("is ready") && line.contains("own.sock"), SOON);
}
