//! The tests, and once more those few that failed for want of a quiet machine, perhaps.
//!
//! Tests of the package `soundpost-tests` run real programs in real time, several at once, on a machine that others may
//! use. When a few of them fail, each runs again, alone; the summary names those that passed only then, because one that
//! does so often is a fault. Whatever else fails has failed.

use crate::steps::{State, cargo, told};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};
use std::thread;

/// The package whose tests depend on real time.
const PACKAGE: &str = "soundpost-tests";

/// More than these are no accident.
const MOST: usize = 3;

/// Runs every test with such a name.
pub(crate) fn tests(rest: &[std::ffi::OsString]) -> Result<State, String> {
    let mut tests = cargo(["test", "--workspace", "--no-fail-fast"]);
    if !rest.is_empty() {
        tests.arg("--").args(rest);
    }
    let Err((why, printed)) = overheard(tests) else { return Ok(State::Passed) };
    let Some(suspects) = suspects(&printed) else { return Err(why) };
    println!(
        "\n{why}. These may have failed because the machine was busy: {}; each runs again, alone.",
        list(&suspects)
    );
    let mut again = cargo(["test", "-p", PACKAGE, "--no-fail-fast", "--tests", "--", "--exact", "--test-threads", "1"]);
    again.args(&suspects);
    overheard(again).map_err(|_| format!("{why}, and alone {} failed again", list(&suspects)))?;
    Ok(State::Noted(format!("only alone, at the second attempt: {}", list(&suspects))))
}

fn list(names: &[String]) -> String {
    names.join(", ")
}

/// The tests that failed, if they are few and all of that package.
fn suspects(printed: &str) -> Option<Vec<String>> {
    let of_package = |line: &&str| line.starts_with(&format!("`-p {PACKAGE} "));
    let targets: Vec<_> = printed.lines().map(str::trim).filter(|line| line.starts_with("`-p ")).collect();
    let failed = printed.lines().filter_map(|line| line.strip_prefix("test ")?.strip_suffix(" ... FAILED"));
    let mut failed: Vec<_> = failed.map(str::to_owned).collect();
    failed.sort_unstable();
    failed.dedup();
    let few = (1..=MOST).contains(&failed.len()) && (1..=failed.len()).contains(&targets.len());
    (few && targets.iter().all(of_package)).then_some(failed)
}

/// Runs a command to its end and lets what it prints be seen; what that was, if the command fails.
fn overheard(mut command: Command) -> Result<(), (String, String)> {
    let line = told(&command);
    println!("+ {line}");
    let lost = |error: io::Error| (format!("cannot run `{line}`: {error}"), String::new());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(lost)?;
    let (Some(out), Some(err)) = (child.stdout.take(), child.stderr.take()) else { unreachable!("both are piped") };
    let said = thread::spawn(|| passed_on(out, io::stdout()));
    let complained = passed_on(err, io::stderr());
    let said = said.join().unwrap_or_default();
    let status = child.wait().map_err(lost)?;
    if status.success() { Ok(()) } else { Err((format!("`{line}` failed ({status})"), said + &complained)) }
}

/// Copies all that comes; what it was.
fn passed_on(from: impl Read, mut to: impl Write) -> String {
    let (mut from, mut all, mut line) = (BufReader::new(from), String::new(), Vec::new());
    while from.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
        // Whoever reads our output may be gone; the tests go on.
        let _ = to.write_all(&line).and_then(|()| to.flush());
        all += &String::from_utf8_lossy(&line);
        line.clear();
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    const END: &str =
        "error: 2 targets failed:\n    `-p soundpost-tests --test ipc`\n    `-p soundpost-tests --test board`\n";

    #[test]
    fn a_few_of_the_tests_in_real_time_are_suspects() {
        let printed = format!("test b ... FAILED\ntest c ... ok\ntest a::x ... FAILED\ntest a::x ... FAILED\n{END}");
        assert_eq!(suspects(&printed), Some(vec!["a::x".to_owned(), "b".to_owned()]));
    }

    #[test]
    fn many_failures_those_of_other_packages_and_those_without_a_name_are_final() {
        let many = "test a ... FAILED\ntest b ... FAILED\ntest c ... FAILED\ntest d ... FAILED\n";
        assert_eq!(suspects(&format!("{many}{END}")), None);
        assert_eq!(
            suspects(&format!("test a ... FAILED\ntest b ... FAILED\n{END}    `-p soundpost-core --lib`\n")),
            None
        );
        assert_eq!(suspects("test a ... FAILED\ntest b ... FAILED\n    `-p soundpost-core --lib`\n"), None);
        assert_eq!(suspects(END), None, "it ended without a verdict");
        assert_eq!(suspects(&format!("test a ... FAILED\n{END}")), None, "a program died without a verdict");
        assert_eq!(suspects("error: could not compile"), None);
    }

    #[test]
    fn what_a_failed_command_printed_is_known() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo out; echo err >&2; exit 3"]);
        let (why, printed) = overheard(command).unwrap_err();
        assert!(why.contains("failed"), "{why}");
        assert_eq!(printed, "out\nerr\n");
        assert_eq!(overheard(Command::new("true")), Ok(()));
    }
}
