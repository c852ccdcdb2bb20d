//! Programs under test, and the tools they are compared with. Promises that a program is ended and
//! reaped when its handle is dropped, that every line it printed can be waited for and is shown
//! when the test fails, and that none is left over however the test process ends.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::spawn;

const PATIENCE: Duration = Duration::from_secs(3);

/// A running program.
pub struct Program {
    name: String,
    child: Child,
    output: Lines,
}

impl Program {
    /// Starts `soundpost` as built from this workspace.
    ///
    /// # Panics
    ///
    /// When it does not build or does not start.
    pub fn spawn<A: AsRef<OsStr>>(args: &[A], envs: &[(String, String)]) -> Self {
        Self::run(soundpost(), args, envs)
    }

    /// Starts any program, searched for in the usual places.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub fn run<A: AsRef<OsStr>>(program: impl AsRef<OsStr>, args: &[A], envs: &[(String, String)]) -> Self {
        let program = program.as_ref();
        let mut command = Command::new(program);
        command.args(args).envs(envs.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self::start(command)
    }

    /// Starts a command prepared by the caller. Its stdout and stderr are captured where the caller
    /// has made them pipes, and left alone otherwise.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub fn start(command: Command) -> Self {
        let path = Path::new(command.get_program()).to_owned();
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        let mut child = spawn::spawn_bound(command).unwrap_or_else(|e| panic!("cannot start {name}: {e}"));
        let output = Lines::read(&mut child);
        Self { name, child, output }
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The first line so far or to come that satisfies `wanted`, from stdout or stderr.
    ///
    /// # Panics
    ///
    /// When none comes before the deadline or the program's output ends; shows the output.
    pub fn wait_for_line(&self, wanted: impl Fn(&str) -> bool, deadline: Duration) -> String {
        self.wait_for_line_after(0, wanted, deadline).1
    }

    /// Like [`Program::wait_for_line`], but passes over the first `skip` lines; returns also the
    /// number of lines up to and including the one found, to go on from there.
    pub fn wait_for_line_after(
        &self,
        skip: usize,
        wanted: impl Fn(&str) -> bool,
        deadline: Duration,
    ) -> (usize, String) {
        self.output
            .wait(skip, wanted, deadline)
            .unwrap_or_else(|| panic!("{} did not say what was waited for; it said:\n{}", self.name, self.output()))
    }

    /// Everything printed so far, one stream after the other's line as they came.
    pub fn output(&self) -> String {
        self.output.all()
    }

    /// Sends a signal such as `libc::SIGTERM`.
    ///
    /// # Panics
    ///
    /// When the kernel refuses.
    pub fn signal(&mut self, signal: libc::c_int) {
        spawn::signal(&mut self.child, signal).expect("our own child can be signalled");
    }

    /// Whether the program is still running.
    pub fn running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits for the program to end by itself, and for the end of its output.
    ///
    /// # Panics
    ///
    /// When it does not; shows the output.
    pub fn wait_exit(&mut self, deadline: Duration) -> ExitStatus {
        match spawn::wait_exit(&mut self.child, deadline) {
            Some(status) => {
                self.output.wait_closed(PATIENCE);
                status
            }
            None => panic!("{} did not end; it said:\n{}", self.name, self.output()),
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let running = self.running();
        // Nothing more can be done; the kernel ends the child with this process.
        let _ = spawn::end(&mut self.child, PATIENCE);
        if thread::panicking() {
            let state = if running { "was running" } else { "had ended" };
            eprintln!("--- {} {state}; it said:\n{}---", self.name, self.output());
        }
    }
}

/// The lines a program has printed, in the order they were read, growing as it goes on.
#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<(Mutex<Heard>, Condvar)>);

#[derive(Default)]
struct Heard {
    lines: Vec<String>,
    open: usize,
}

impl Lines {
    /// Begins to read whichever outputs of the child are pipes.
    pub(crate) fn read(child: &mut Child) -> Self {
        let lines = Self::default();
        if let Some(out) = child.stdout.take() {
            lines.follow(out);
        }
        if let Some(err) = child.stderr.take() {
            lines.follow(err);
        }
        lines
    }

    fn follow(&self, stream: impl Read + Send + 'static) {
        self.heard().open += 1;
        let lines = self.clone();
        let reader = move || {
            let mut stream = BufReader::new(stream);
            let mut line = Vec::new();
            while stream.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
                lines.heard().lines.push(String::from_utf8_lossy(&line).trim_end().to_owned());
                lines.0.1.notify_all();
                line.clear();
            }
            lines.heard().open -= 1;
            lines.0.1.notify_all();
        };
        thread::Builder::new().name("reader".into()).spawn(reader).expect("a thread can be started");
    }

    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything so far as one text.
    pub(crate) fn all(&self) -> String {
        self.heard().lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect()
    }

    fn wait(&self, skip: usize, wanted: impl Fn(&str) -> bool, deadline: Duration) -> Option<(usize, String)> {
        let end = Instant::now() + deadline;
        let mut seen = skip;
        let mut heard = self.heard();
        loop {
            let fresh = heard.lines.iter().enumerate().skip(seen);
            if let Some((n, line)) = fresh.into_iter().find(|(_, line)| wanted(line)) {
                return Some((n + 1, line.clone()));
            }
            seen = seen.max(heard.lines.len());
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() || heard.open == 0 {
                return None;
            }
            heard = self.pause(heard, left);
        }
    }

    /// Waits for the end of all outputs.
    pub(crate) fn wait_closed(&self, deadline: Duration) {
        let end = Instant::now() + deadline;
        let mut heard = self.heard();
        while heard.open > 0 && Instant::now() < end {
            heard = self.pause(heard, end.saturating_duration_since(Instant::now()));
        }
    }

    fn pause<'a>(&self, heard: MutexGuard<'a, Heard>, left: Duration) -> MutexGuard<'a, Heard> {
        self.0.1.wait_timeout(heard, left).unwrap_or_else(PoisonError::into_inner).0
    }
}

/// The `soundpost` program of this workspace, built once per test process if need be.
///
/// # Panics
///
/// When it does not build.
pub fn soundpost() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(build)
}

fn build() -> PathBuf {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["build", "--package", "soundpost-linux", "--bin", "soundpost"])
        .arg("--message-format=json-render-diagnostics")
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|e| panic!("cannot run cargo: {e}"));
    let complaints = String::from_utf8_lossy(&built.stderr);
    assert!(built.status.success(), "soundpost does not build:\n{complaints}");
    String::from_utf8_lossy(&built.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|message| message["target"]["name"] == "soundpost")
        .filter_map(|message| message["executable"].as_str().map(PathBuf::from))
        .next_back()
        .unwrap_or_else(|| panic!("cargo names no executable:\n{complaints}"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    const SOON: Duration = Duration::from_secs(10);

    #[test]
    fn lines_of_both_streams_are_heard_and_the_exit_status_is_seen() {
        let mut sh = Program::run("sh", &["-c", "echo one; echo two >&2; exit 3"], &[]);
        sh.wait_for_line(|line| line == "two", SOON);
        sh.wait_for_line(|line| line == "one", SOON);
        assert_eq!(sh.wait_exit(SOON).code(), Some(3));
        assert_eq!(sh.output().lines().count(), 2);
    }

    #[test]
    fn environment_and_signals_arrive() {
        let envs = [("GREETING".to_owned(), "hello".to_owned())];
        let mut sh = Program::run("sh", &["-c", "echo $GREETING; exec sleep 60"], &envs);
        let (at, _) = sh.wait_for_line_after(0, |line| line == "hello", SOON);
        assert_eq!(at, 1);
        sh.signal(libc::SIGTERM);
        assert_eq!(sh.wait_exit(SOON).signal(), Some(libc::SIGTERM));
    }

    #[test]
    #[should_panic(expected = "did not say")]
    fn a_line_that_never_comes_is_a_failure_as_soon_as_the_output_ends() {
        Program::run("true", &[] as &[&str], &[]).wait_for_line(|_| true, Duration::from_secs(60));
    }

    #[test]
    fn the_program_under_test_is_found() {
        assert!(soundpost().is_file());
    }
}
