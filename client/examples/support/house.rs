//! A daemon to measure or to torment, on a socket of its own; ended when it is dropped.

use soundpost_client::blocking::Controller;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(30);

/// The daemon.
pub(crate) struct House {
    dir: PathBuf,
    socket: PathBuf,
    child: Child,
}

impl House {
    /// Starts the program that `--daemon` names, on the synthetic source.
    pub(crate) fn open(args: &[&str]) -> Result<Self, Box<dyn std::error::Error>> {
        let program: PathBuf = argument("--daemon")?.ok_or("--daemon PATH is missing")?;
        let stamp = now_us();
        let dir = std::env::temp_dir().join(format!("soundpost-{}-{stamp}", std::process::id()));
        std::fs::create_dir(&dir)?;
        let socket = dir.join("s.sock");
        let mut command = Command::new(program);
        command.args(["--log-level", "error", "run", "--capture", "tone:", "--playback", "null", "--socket"]);
        command.arg(&socket).args(args).stdin(Stdio::null()).stdout(Stdio::null());
        let house = Self { child: command.spawn()?, dir, socket };
        let end = Instant::now() + PATIENCE;
        while house.controller().is_err() {
            if Instant::now() > end {
                return Err("the daemon does not serve its socket".into());
            }
            std::thread::park_timeout(Duration::from_millis(10));
        }
        Ok(house)
    }

    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    #[allow(dead_code, reason = "one of the programs that share this needs it")]
    pub(crate) fn lives(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    pub(crate) fn controller(&self) -> Result<Controller, soundpost_client::Error> {
        Controller::connect(&self.socket, "house", Some(PATIENCE))
    }
}

impl Drop for House {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// The value behind `name` on the command line.
pub(crate) fn argument<T: std::str::FromStr>(name: &str) -> Result<Option<T>, String> {
    let mut words = std::env::args().skip_while(|word| word != name).skip(1);
    let parse = |word: String| word.parse().map_err(|_| format!("{name} cannot be {word:?}"));
    words.next().map(parse).transpose()
}

/// Monotonic time in µs, as headers have it.
pub(crate) fn now_us() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    time.tv_sec.unsigned_abs() * 1_000_000 + time.tv_nsec.unsigned_abs() / 1000
}

/// Time that the first thread of a process, the daemon's I/O thread, has run, in ns.
#[allow(dead_code, reason = "one of the programs that share this needs it")]
pub(crate) fn cpu_ns(process: u32) -> Result<u64, Box<dyn std::error::Error>> {
    let text = std::fs::read_to_string(format!("/proc/{process}/task/{process}/schedstat"))?;
    Ok(text.split_whitespace().next().ok_or("an empty schedstat")?.parse()?)
}
