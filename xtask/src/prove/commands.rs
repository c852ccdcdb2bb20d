//! The promises that are kept by tests: which command each is, and how many tests it must have run.
//!
//! A command that runs no test succeeds. So what was run is counted, and too little is a failure that says what is
//! missing.

use super::{Trouble, captured};
use crate::needs::runs;
use crate::sim;
use crate::steps::{cargo, in_workspace, root, target_dir};
use std::process::Command;

/// What ran: the names of the tests that passed.
fn passed(said: &str) -> Vec<&str> {
    let test = |line: &str| {
        let (name, result) = line.strip_prefix("test ")?.rsplit_once(" ... ")?;
        let name = name.strip_suffix(" - should panic").unwrap_or(name);
        // (That a test is expected to fail is said between its name and the dots.)
        (result == "ok").then_some(name.len())
    };
    said.lines().filter_map(|line| line.get(5..5 + test(line)?)).collect()
}

/// Unit tests and properties.
pub(super) fn unit() -> Result<String, Trouble> {
    let said = captured(cargo(["test", "-p", "soundpost-core"]))?;
    let count = passed(&said).len();
    if count == 0 {
        return Err(Trouble::Broken("no test of soundpost-core ran".into()));
    }
    Ok(format!("{count} tests"))
}

/// Every interleaving of the lock-free parts: with native words, and with those of a target without compare-and-swap.
pub(super) fn loom() -> Result<String, Trouble> {
    let (mut models, mut controls) = (0, 0);
    for (folder, flags) in [("loom", "--cfg loom"), ("loom-sectioned", "--cfg loom --cfg sectioned")] {
        let mut test = cargo(["test", "-p", "soundpost-core", "--release", "--test", "loom", "--target-dir"]);
        // Its own folder: other flags would rebuild everything at each change of hands.
        test.arg(target_dir()?.join(folder)).env("RUSTFLAGS", flags);
        let said = captured(test)?;
        let names = passed(&said);
        let (negative, positive): (Vec<&str>, Vec<&str>) = names.iter().partition(|name| name.contains("negative"));
        for part in ["pool", "latest", "notice", "ring"] {
            for (kind, names) in [("model", &positive), ("negative control", &negative)] {
                if !names.iter().any(|name| name.contains(part)) {
                    return Err(Trouble::Broken(format!("no {kind} of {part} ran with {flags}")));
                }
            }
        }
        models += positive.len();
        controls += negative.len();
    }
    Ok(format!("{models} models in every order of events, {controls} negative controls"))
}

/// The same worlds, twice here and once on ARM.
pub(super) fn replay() -> Result<String, Trouble> {
    match sim::replay()? {
        (said, true) => Ok(said),
        (said, false) => {
            Err(Trouble::Missing(format!("{said}; for ARM, gcc-arm-linux-gnueabihf and qemu-user-static are needed")))
        }
    }
}

/// Undefined behaviour in the unsafe parts.
pub(super) fn miri() -> Result<String, Trouble> {
    let installed = || runs(&["rustup", "run", "nightly", "cargo", "miri", "--version"]);
    if !installed() {
        let mut install = Command::new("rustup");
        install.args(["toolchain", "install", "nightly", "--profile", "minimal", "--component", "miri,rust-src"]);
        if captured(install).is_err() || !installed() {
            return Err(Trouble::Missing("nightly Rust with miri and rust-src cannot be installed".into()));
        }
    }
    let mut test = Command::new("rustup");
    test.args(["run", "nightly", "cargo", "miri", "test", "-p", "soundpost-core", "--lib", "--target-dir"]);
    test.arg(target_dir()?.join("miri-tests"))
        .args(["--", "sync::", "pool::", "latest::", "notice::", "wire::", "cycle::"]);
    in_workspace(&mut test);
    let said = captured(test)?;
    let names = passed(&said);
    let missing: Vec<&str> = ["pool::", "latest::", "notice::", "cycle::"]
        .into_iter()
        .filter(|part| !names.iter().any(|name| name.starts_with(part)))
        .collect();
    if !missing.is_empty() {
        return Err(Trouble::Broken(format!("miri ran no test of {}", missing.join(", "))));
    }
    Ok(format!("{} tests under miri", names.len()))
}

/// Inputs that once found something: every test program that is named after a corpus, a replay or fuzzing.
pub(super) fn corpus() -> Result<String, Trouble> {
    let folder = root().join("tests/tests");
    let entries = std::fs::read_dir(&folder).map_err(|error| format!("cannot read {}: {error}", folder.display()))?;
    let files = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let stems = files.map(|name| name.trim_end_matches(".rs").to_string());
    let programs: Vec<String> =
        stems.filter(|stem| ["corpus", "replay", "fuzz"].iter().any(|word| stem.contains(word))).collect();
    let mut test = cargo(["test", "-p", "soundpost-tests"]);
    test.args(programs.iter().flat_map(|program| ["--test", program]));
    let said = if programs.is_empty() { String::new() } else { captured(test)? };
    match passed(&said).len() {
        0 => Err(Trouble::Broken("nothing in tests/tests replays the inputs that fuzzing has found".into())),
        count => Ok(format!("{count} tests")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_are_counted_when_they_passed() {
        let said = "running 3 tests\ntest pool::tests::a ... ok\ntest b - should panic ... ok\n\
                    test c ... FAILED\ntest d ... ignored\n\ntest result: ok. 2 passed; 0 failed\n";
        assert_eq!(passed(said), ["pool::tests::a", "b"]);
        assert!(passed("running 0 tests\n\ntest result: ok. 0 passed\n").is_empty());
    }
}
