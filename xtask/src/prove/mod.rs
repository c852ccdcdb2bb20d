//! Promises, each with a command that fails when it is broken: `cargo xtask prove`.
//!
//! A promise is a name, a sentence and a check that answers with a figure or with what is wrong. What each one
//! means, and the change to the sources that breaks it, is in `docs/proofs.md`; `--mutate` makes those changes in a
//! copy of the tree and expects each check to fail, for a check that cannot fail proves nothing.

mod commands;
mod elf;
mod mutate;
mod probe;
mod sizes;

use crate::cli::Options;
use crate::{sim, tidy};
use std::process::Command;
use std::time::Instant;

/// Why a promise does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// It is broken, and this is how.
    Broken(String),
    /// It cannot be checked here, for want of this.
    Missing(String),
}

impl From<String> for Trouble {
    fn from(why: String) -> Self {
        Self::Broken(why)
    }
}

/// One promise.
struct Promise {
    name: &'static str,
    /// What is promised.
    says: &'static str,
    /// It takes minutes.
    slow: bool,
    check: fn(&Options) -> Result<String, Trouble>,
}

const PROMISES: [Promise; 10] = [
    Promise {
        name: "no_std",
        says: "the core needs no std and no allocator, on Cortex-M0 and M4, with and without defmt",
        slow: false,
        check: |_| probe::no_std(),
    },
    Promise {
        name: "no-panic",
        says: "no real-time entry can panic, allocate or call anything but its device, clock and codec",
        slow: false,
        check: |_| probe::no_panic(),
    },
    Promise {
        name: "tidy",
        says: "arrows between rings point down; atomics, unsafe and numbers are where they belong",
        slow: false,
        check: |_| tidy::check().map_err(Trouble::Broken),
    },
    Promise {
        name: "sizes",
        says: "memory, stack and code are what docs/sizes.md says, give or take a tenth",
        slow: false,
        check: |options| sizes::check(options.bless),
    },
    Promise {
        name: "unit",
        says: "every unit test and every property of the core holds",
        slow: false,
        check: |_| commands::unit(),
    },
    Promise {
        name: "corpus",
        says: "whatever input once found a fault is taken without one now",
        slow: false,
        check: |_| commands::corpus(),
    },
    Promise {
        name: "replay",
        says: "equal seeds give equal worlds, event by event, here and on 32-bit ARM",
        slow: true,
        check: |_| commands::replay(),
    },
    Promise {
        name: "swarm",
        says: "in whatever world is drawn for a minute, every judge is content",
        slow: true,
        check: |_| sim::swarm("1", None).map_err(Trouble::Broken),
    },
    Promise {
        name: "loom",
        says: "the lock-free parts are right in every order of events, and weakened ones are caught",
        slow: true,
        check: |_| commands::loom(),
    },
    Promise { name: "miri", says: "the unsafe parts do nothing undefined", slow: true, check: |_| commands::miri() },
];

/// Checks the promises that were named, or all of them.
pub(crate) fn run(options: &Options) -> Result<(), String> {
    if options.list {
        PROMISES.iter().for_each(|promise| println!("{}", told(promise)));
        return Ok(());
    }
    let chosen = chosen(options)?;
    if options.mutate {
        return mutate::run(&chosen.iter().map(|promise| promise.name).collect::<Vec<_>>());
    }
    let (mut broken, mut unchecked) = (0, 0);
    for promise in &chosen {
        let start = Instant::now();
        let result = (promise.check)(options);
        let time = start.elapsed().as_secs_f64();
        let (verdict, text) = match &result {
            Ok(figure) => ("holds", figure.as_str()),
            Err(Trouble::Broken(why)) => ("BROKEN", why.as_str()),
            Err(Trouble::Missing(what)) => ("NOT CHECKED", what.as_str()),
        };
        println!("{:<9} {verdict:<11} {time:>6.1} s  {}", promise.name, text.replace('\n', "\n    "));
        broken += u32::from(matches!(result, Err(Trouble::Broken(_))));
        unchecked += u32::from(matches!(result, Err(Trouble::Missing(_))));
    }
    let held = chosen.len() as u32 - broken - unchecked;
    println!("\n{held} of {} promises hold; {broken} broken, {unchecked} not checked", chosen.len());
    if broken == 0 && (unchecked == 0 || options.optional) {
        return Ok(());
    }
    Err("what is wrong with each is above; --optional lets what cannot be checked here be".into())
}

fn told(promise: &Promise) -> String {
    let slow = if promise.slow { " (minutes)" } else { "" };
    format!("{:<9} {}{slow}", promise.name, promise.says)
}

/// The promises that are meant, in the order of the list.
fn chosen(options: &Options) -> Result<Vec<&'static Promise>, String> {
    for name in &options.rest {
        if !PROMISES.iter().any(|promise| promise.name == name.as_os_str()) {
            let all = PROMISES.iter().map(told).collect::<Vec<_>>().join("\n  ");
            return Err(format!("there is no promise `{}`; there are\n  {all}", name.display()));
        }
    }
    let named = |promise: &&Promise| options.rest.iter().any(|name| promise.name == name.as_os_str());
    let meant = |promise: &&Promise| options.rest.is_empty() && !(options.skip_slow && promise.slow) || named(promise);
    Ok(PROMISES.iter().filter(meant).collect())
}

/// Runs a command; what it said, both streams, or if it failed the most telling part of that.
fn captured(command: Command) -> Result<String, String> {
    let line = crate::steps::told(&command);
    let said = complete(command)?;
    said.map_err(|said| {
        // The first errors say what is wrong, the end which test it was.
        let lines: Vec<&str> = said.lines().collect();
        let (before, end) = lines.split_at(lines.len().saturating_sub(25));
        let errors = before.iter().filter(|line| line.starts_with("error")).take(5);
        let shown: Vec<&str> = errors.chain(end).copied().collect();
        format!("`{line}` failed\n{}", shown.join("\n"))
    })
}

/// Runs a command; all that it said, as a success or as a failure, or why it could not be started.
fn complete(mut command: Command) -> Result<Result<String, String>, String> {
    let line = crate::steps::told(&command);
    let output = command.output().map_err(|error| format!("cannot start `{line}`: {error}"))?;
    // What tests say goes to the one, what compilers say to the other, and tests come last.
    let said = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    Ok(if output.status.success() { Ok(said) } else { Err(said) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(names: &[&str]) -> Options {
        Options { rest: names.iter().map(Into::into).collect(), ..Options::default() }
    }

    #[test]
    fn promises_are_chosen_by_name_and_slow_ones_can_be_left_out() {
        assert_eq!(chosen(&named(&[])).map(|all| all.len()), Ok(PROMISES.len()));
        let quick = Options { skip_slow: true, ..Options::default() };
        assert!(chosen(&quick).is_ok_and(|quick| quick.iter().all(|promise| !promise.slow)));
        let slow = Options { skip_slow: true, ..named(&["miri"]) };
        assert!(chosen(&slow).is_ok_and(|one| one.len() == 1 && one[0].slow), "what is named is meant");
    }

    #[test]
    fn an_unknown_promise_is_answered_with_all_there_are() {
        let Err(why) = chosen(&named(&["sizes", "speed"])) else { panic!("`speed` is no promise") };
        assert!(why.contains("`speed`"), "{why}");
        assert!(PROMISES.iter().all(|promise| why.contains(promise.name)));
    }

    #[test]
    fn each_promise_has_a_mutation_or_its_own_tests_and_a_paragraph() {
        let page = std::fs::read_to_string(crate::steps::root().join("docs/proofs.md")).unwrap();
        for promise in &PROMISES {
            assert!(mutate::breaks(promise.name), "no change breaks {}", promise.name);
            assert!(
                page.contains(&format!("## {}\n", promise.name)),
                "docs/proofs.md says nothing of {}",
                promise.name
            );
        }
    }

    #[test]
    fn what_a_command_said_last_is_in_the_failure() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo one; echo two >&2; exit 3"]);
        let why = captured(command).unwrap_err();
        assert_eq!(why, "`sh -c echo one; echo two >&2; exit 3` failed\ntwo\none");
    }
}
