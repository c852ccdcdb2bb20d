//! Running other programs, one step after the other, and telling how it went.
//!
//! A failure is a sentence that names the command. A [`Report`] runs all its steps even after one
//! failed, prints each with its time, and closes with a table; it fails as a whole if any step did.

use std::ffi::OsStr;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

/// How a step ended when it did not fail.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum State {
    Passed,
    /// It passed, but this should be known.
    Noted(String),
    /// It was not done, and this is why.
    Skipped(String),
}

#[derive(Debug)]
struct Row {
    name: String,
    result: Result<State, String>,
    time: Duration,
}

/// The steps so far.
#[derive(Debug, Default)]
pub(crate) struct Report {
    rows: Vec<Row>,
}

impl Report {
    /// Does one step and notes its result and time.
    pub(crate) fn step(&mut self, name: &str, act: impl FnOnce() -> Result<State, String>) {
        println!("==> {name}");
        let start = Instant::now();
        let result = act();
        self.note(name, result, start.elapsed());
    }

    /// Notes a step that is left out, and why.
    pub(crate) fn skip(&mut self, name: &str, why: &str) {
        self.note(name, Ok(State::Skipped(why.to_string())), Duration::ZERO);
    }

    fn note(&mut self, name: &str, result: Result<State, String>, time: Duration) {
        let row = Row { name: name.to_string(), result, time };
        println!("==> {name}: {}\n", row.told());
        self.rows.push(row);
    }

    /// Prints the table; an error if any step failed.
    pub(crate) fn finish(self) -> Result<(), String> {
        println!("{}", self.summary());
        let failed = self.rows.iter().filter(|row| row.result.is_err()).count();
        if failed == 0 {
            return Ok(());
        }
        Err(format!("{failed} of {} steps failed; what each said is above", self.rows.len()))
    }

    fn summary(&self) -> String {
        let width = self.rows.iter().map(|row| row.name.chars().count()).max();
        let width = width.unwrap_or(0);
        let mut text = String::from("Summary\n");
        for row in &self.rows {
            let _ = writeln!(text, "  {:<width$}  {}", row.name, row.told());
        }
        text
    }
}

impl Row {
    fn told(&self) -> String {
        let time = self.time.as_secs_f64();
        match &self.result {
            Ok(State::Passed) => format!("passed   {time:>7.1} s"),
            Ok(State::Noted(what)) => format!("passed   {time:>7.1} s  ({what})"),
            Ok(State::Skipped(why)) => format!("skipped  ({why})"),
            Err(why) => format!("FAILED   {time:>7.1} s  ({why})"),
        }
    }
}

/// The folder of the workspace.
pub(crate) fn root() -> PathBuf {
    let package =
        std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    package.parent().map_or(package.clone(), Path::to_path_buf)
}

/// Where cargo puts what it builds: this very program lies in there, two levels down.
pub(crate) fn target_dir() -> Result<PathBuf, String> {
    let program = std::env::current_exe().map_err(|error| format!("cannot tell where this program lies: {error}"))?;
    let folder = program.ancestors().nth(2);
    folder.map(Path::to_path_buf).ok_or_else(|| format!("{} lies in no target directory", program.display()))
}

/// A cargo command on this workspace, wherever in it the person stands.
pub(crate) fn cargo<const N: usize>(arguments: [&str; N]) -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.args(arguments);
    in_workspace(&mut command);
    command
}

/// Builds the core for a microcontroller.
pub(crate) fn embedded_build(target: &str, features: &[&str]) -> Command {
    let mut build = cargo(["build", "-p", "soundpost-core", "--target", target]);
    build.args(features);
    build
}

/// Lets a command run in the workspace's folder.
pub(crate) fn in_workspace(command: &mut Command) {
    command.current_dir(root());
    // A relative target directory was meant from where the person stands.
    if let Some(folder) = std::env::var_os("CARGO_TARGET_DIR").filter(|folder| !folder.is_empty())
        && let Ok(folder) = std::path::absolute(folder)
    {
        command.env("CARGO_TARGET_DIR", folder);
    }
}

/// Runs a command to its end, its output going where ours goes; an error unless it succeeds.
pub(crate) fn succeed(mut command: Command) -> Result<(), String> {
    let line = told(&command);
    println!("+ {line}");
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("`{line}` failed ({status})")),
        Err(error) => Err(format!("cannot start `{line}`: {error}")),
    }
}

/// What a command prints, if it can be started and succeeds.
pub(crate) fn output(words: &[&str]) -> Option<String> {
    let mut command = Command::new(words[0]);
    command.args(&words[1..]);
    output_of(command)
}

/// The same of a command that is more than words.
pub(crate) fn output_of(mut command: Command) -> Option<String> {
    let output = command.output().ok()?;
    let text = output.status.success().then_some(output.stdout)?;
    String::from_utf8(text).ok()
}

/// The command as a person would type it: the program without its folder.
pub(crate) fn told(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let program = program.file_name().unwrap_or(program.as_os_str());
    std::iter::once(program).chain(command.get_args()).map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}

/// Tries up to four times, with growing pauses: for what depends on a network.
pub(crate) fn retry(what: &str, attempt: impl FnMut() -> Result<(), String>) -> Result<(), String> {
    retry_after(&[3, 9, 27].map(Duration::from_secs), what, attempt)
}

fn retry_after(pauses: &[Duration], what: &str, mut attempt: impl FnMut() -> Result<(), String>) -> Result<(), String> {
    for pause in pauses {
        match attempt() {
            Ok(()) => return Ok(()),
            Err(error) => println!("{error}; {what} is tried again in {} s", pause.as_secs()),
        }
        thread::sleep(*pause);
    }
    attempt()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let mut report = Report::default();
        report.note("short", Ok(State::Passed), Duration::from_millis(1_250));
        report.note("a longer name", Ok(State::Skipped("not here".into())), Duration::ZERO);
        report
    }

    #[test]
    fn the_summary_lines_up_names_and_gives_times_and_reasons() {
        let mut report = report();
        report.note("shaky", Ok(State::Noted("just so".into())), Duration::from_secs(2));
        report.note("bad", Err("`x` failed".into()), Duration::from_secs(100));
        assert_eq!(
            report.summary(),
            "Summary\n\
             \x20 short          passed       1.2 s\n\
             \x20 a longer name  skipped  (not here)\n\
             \x20 shaky          passed       2.0 s  (just so)\n\
             \x20 bad            FAILED     100.0 s  (`x` failed)\n"
        );
    }

    #[test]
    fn one_failed_step_fails_the_whole_and_a_skipped_one_does_not() {
        assert_eq!(report().finish(), Ok(()));
        let mut bad = report();
        bad.step("bad", || Err("no".into()));
        let mut went_on = false;
        bad.step("next", || {
            went_on = true;
            Ok(State::Passed)
        });
        assert!(went_on);
        assert!(bad.finish().unwrap_err().starts_with("1 of 4 steps failed"));
    }

    #[test]
    fn a_failure_names_the_command_as_typed() {
        let mut command = Command::new("/usr/bin/env");
        command.arg("false");
        let error = succeed(command).unwrap_err();
        assert!(error.starts_with("`env false` failed"), "{error}");
        let error = succeed(Command::new("no-such-program-anywhere")).unwrap_err();
        assert!(error.starts_with("cannot start `no-such-program-anywhere`"), "{error}");
    }

    #[test]
    fn output_is_that_of_a_success() {
        assert_eq!(output(&["echo", "a"]).as_deref(), Some("a\n"));
        assert_eq!(output(&["false"]), None);
        assert_eq!(output(&["no-such-program-anywhere"]), None);
    }

    /// The result and the number of tries of something that first works at try `good`.
    fn tried(good: u32) -> (Result<(), String>, u32) {
        let mut tries = 0;
        let result = retry_after(&[Duration::ZERO; 3], "a try", || {
            tries += 1;
            if tries >= good { Ok(()) } else { Err(format!("no {tries}")) }
        });
        (result, tries)
    }

    #[test]
    fn what_fails_is_tried_four_times_and_what_succeeds_not_again() {
        assert_eq!(tried(1), (Ok(()), 1));
        assert_eq!(tried(3), (Ok(()), 3));
        assert_eq!(tried(4), (Ok(()), 4));
        assert_eq!(tried(5), (Err("no 4".into()), 4));
    }

    #[test]
    fn the_root_holds_the_workspace() {
        let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
        assert!(manifest.contains("[workspace]"));
    }
}
