//! The simulator, as the verbs use it: built, run over its scenarios, let loose on seeds, compared with itself on ARM.

use crate::needs::runs;
use crate::steps::{cargo, output, target_dir};
use crate::toolchain::{self, ARM};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// What both machines must agree on: a clean world, a bad network, and one with everything that can happen to a device.
const COMPARED: [(&str, &str); 3] = [("wifi-busy", "30s"), ("mute-switch", "3m"), ("worker-crash-loop", "90s")];

/// Builds the simulator with every assertion in it, without libopus; returns the program.
pub(crate) fn program() -> Result<PathBuf, String> {
    build(cargo(["build", "--quiet", "--profile", "swarm", "-p", "soundpost-sim", "--no-default-features"]))?;
    Ok(target_dir()?.join("swarm/soundpost-sim"))
}

/// Builds it for 32-bit ARM, with nothing left to load; `None` where there is no compiler or emulator for that.
fn arm_program() -> Result<Option<PathBuf>, String> {
    let tools = [["arm-linux-gnueabihf-gcc", "--version"], ["qemu-arm-static", "--version"]];
    if !tools.iter().all(|tool| runs(tool)) {
        return Ok(None);
    }
    toolchain::ensure_target(ARM)?;
    let mut command = cargo(["build", "--quiet", "--profile", "swarm", "-p", "soundpost-sim", "--no-default-features"]);
    toolchain::for_arm(&mut command);
    build(command)?;
    Ok(Some(target_dir()?.join(ARM).join("swarm/soundpost-sim")))
}

fn build(mut command: Command) -> Result<(), String> {
    let built = command.stdin(Stdio::null()).output().map_err(|error| format!("cannot start cargo: {error}"))?;
    if built.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&built.stderr).into_owned()) }
}

/// What a run prints, and whether it was good.
fn run(program: &[&str], arguments: &[&str]) -> Result<(bool, String), String> {
    let mut command = Command::new(program[0]);
    command.args(&program[1..]).args(arguments).stdin(Stdio::null());
    let done = command.output().map_err(|error| format!("cannot start {}: {error}", program[0]))?;
    let said = format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    Ok((done.status.success(), said))
}

/// The names of all scenarios.
fn names(program: &str) -> Result<Vec<String>, String> {
    let listed = output(&[program, "list"]).ok_or("the simulator cannot list its scenarios")?;
    Ok(listed.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect())
}

/// Runs every scenario, on all processors; prints a line for each.
pub(crate) fn scenarios() -> Result<(), String> {
    let program = program()?;
    let program = program.to_str().ok_or("the path of the simulator is no text")?;
    // The longest first: it takes as long as all others together.
    let mut names = names(program)?;
    names.reverse();
    let (next, bad) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = || {
        while let Some(name) = names.get(next.fetch_add(1, Ordering::Relaxed)) {
            let (good, said) = run(&[program], &["run", name]).unwrap_or_else(|error| (false, error));
            println!("  {:<18} {}", name, said.lines().last().unwrap_or_default().trim());
            if let Ok(mut bad) = bad.lock()
                && !good
            {
                bad.push(said);
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    let bad = bad.into_inner().map_err(|_| "a thread panicked")?;
    if bad.is_empty() { Ok(()) } else { Err(bad.join("\n")) }
}

/// Lets it loose for `minutes`, from `seed` or a fresh one; says what was run.
pub(crate) fn swarm(minutes: &str, seed: Option<&str>) -> Result<String, String> {
    let program = program()?;
    let mut arguments = vec!["swarm", "--minutes", minutes];
    arguments.extend(seed.iter().flat_map(|seed| ["--seed", seed]));
    let (good, said) = run(&[&program.display().to_string()], &arguments)?;
    if good { Ok(said.lines().take(2).collect::<Vec<_>>().join(": ")) } else { Err(said) }
}

/// Where the worlds of the tests begin: anew each time for a person; for continuous integration where the commit says, so
/// that the same commit gets the same answer twice, and each commit other worlds.
pub(crate) fn first_seed() -> Option<String> {
    std::env::var_os("CI")?;
    let commit = output(&["git", "rev-parse", "--short=10", "HEAD"])?;
    u64::from_str_radix(commit.trim(), 16).ok().map(|seed| seed.to_string())
}

/// Runs the same worlds twice here and once on ARM: they must come to the same end, event by event. Says how many and
/// where, and whether ARM was among that.
pub(crate) fn replay() -> Result<(String, bool), String> {
    let here = program()?.display().to_string();
    let arm = arm_program()?.map(|program| program.display().to_string());
    for (name, duration) in COMPARED {
        let hash = |program: &[&str]| -> Result<String, String> {
            let (_, said) = run(program, &["run", name, "--duration", duration])?;
            let hash = said.rsplit_once("trace hash ").map(|(_, hash)| hash.trim().to_owned());
            hash.ok_or_else(|| format!("{name} ended without a hash: {said}"))
        };
        let first = hash(&[&here])?;
        let mut others = vec![("again", hash(&[&here])?)];
        if let Some(arm) = &arm {
            others.push(("on ARM", hash(&["qemu-arm-static", arm])?));
        }
        for (where_, other) in others {
            if other != first {
                return Err(format!("{name}, {duration}: trace hash {first}, {where_} {other}"));
            }
        }
    }
    let where_ = if arm.is_some() { "twice here and on 32-bit ARM" } else { "twice here" };
    Ok((format!("{} worlds, {where_}", COMPARED.len()), arm.is_some()))
}
