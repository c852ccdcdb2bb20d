//! Changes that must be noticed: one for each promise, made in a copy of the tree.
//!
//! A change is a text that stands in a file exactly once, and what is put in its place. The copy's own
//! `cargo xtask prove` is run as a person would run it; it has to fail, and to say why in the words that are
//! expected, so that a change that merely does not compile counts for nothing.

use super::complete;
use crate::steps::{cargo, root, target_dir};
use std::fs;
use std::path::Path;
use std::time::Instant;

struct Mutation {
    promise: &'static str,
    /// What is done to the sources.
    does: &'static str,
    file: &'static str,
    from: &'static str,
    to: &'static str,
    /// What the failure must say.
    says: &'static str,
}

/// What a hunt says when a judge found something.
const FOUND: &str = "The least of it: soundpost-sim shrink";

const MUTATIONS: [Mutation; 22] = [
    Mutation {
        promise: "no_std",
        does: "the core asks for an allocator",
        file: "core/src/lib.rs",
        from: "pub mod adapt;\n",
        to: "extern crate alloc;\npub mod adapt;\n",
        says: "asks for alloc",
    },
    Mutation {
        promise: "no_std",
        does: "a dependency wants std",
        file: "core/Cargo.toml",
        from: "critical-section.workspace = true",
        to: "critical-section = { workspace = true, features = [\"std\"] }",
        says: "could not compile `critical-section`",
    },
    Mutation {
        promise: "no-panic",
        does: "a place is not bounded where the compiler sees it",
        file: "core/src/jitter.rs",
        from: "place.min(self.packets.len())",
        to: "place",
        says: "it can panic: entry_playback_accept",
    },
    Mutation {
        promise: "no-panic",
        does: "an encoded length is trusted",
        file: "core/src/engine/capture.rs",
        from: "let pcm = self.gathered.get_mut(..self.filled).unwrap_or(&mut []);\n        self.past.pass(pcm, self.stream.channels);\n        let late",
        to: "let pcm = &mut self.gathered[..self.filled];\n        self.past.pass(pcm, self.stream.channels);\n        let late",
        says: "it can panic: entry_capture_encode",
    },
    Mutation {
        promise: "tidy",
        does: "the jitter store looks up to the crank",
        file: "core/src/jitter.rs",
        from: "use crate::codec::{Extent, Payload};\n",
        to: "use crate::codec::{Extent, Payload};\nuse crate::cycle::Turn as _;\n",
        says: "jitter looks up to cycle",
    },
    Mutation {
        promise: "sizes",
        does: "a period may be three times as long",
        file: "core/src/capacity.rs",
        from: "PERIOD_SAMPLES_MAX: usize = 960;",
        to: "PERIOD_SAMPLES_MAX: usize = 2880;",
        says: "memory capture_rig on thumbv6m-none-eabi",
    },
    Mutation {
        promise: "unit",
        does: "the goal of the delay never comes back down",
        file: "core/src/adapt/goal.rs",
        from: "lowest > level || !stays",
        to: "lowest > level",
        says: "two_seconds_of_storm_are_forgotten_in_thirty",
    },
    Mutation {
        promise: "corpus",
        does: "a length is believed that the kind of message cannot have",
        file: "core/src/wire/header.rs",
        from: "u16::try_from(length).ok().filter(|_| (min..=max).contains(&length))",
        to: "u16::try_from(length).ok()",
        says: "wire_parse",
    },
    Mutation {
        promise: "replay",
        does: "chance depends on the process",
        file: "platform-sim/src/dice.rs",
        from: "Pcg32::new(seed, stream.finish())",
        to: "Pcg32::new(seed ^ u64::from(std::process::id()), stream.finish())",
        says: "trace hash",
    },
    Mutation {
        promise: "swarm",
        does: "a slot is leaked",
        file: "core/src/pool.rs",
        from: "        if count == 1 {\n",
        to: "        if count == 1 && self.index != 1 {\n",
        says: FOUND,
    },
    Mutation {
        promise: "swarm",
        does: "half of each period is played twice",
        file: "core/src/engine/playback.rs",
        from: "self.fifo.played(used);",
        to: "self.fifo.played(used / 2);",
        says: FOUND,
    },
    Mutation {
        promise: "swarm",
        does: "a worker that hangs is let hang",
        file: "core/src/supervise.rs",
        from: "add(&mut self.counts.missed_beats);\n                self.dismiss(Then::Restart);",
        to: "add(&mut self.counts.missed_beats);",
        says: FOUND,
    },
    Mutation {
        promise: "swarm",
        does: "mute sticks",
        file: "core/src/engine/capture.rs",
        from: "Command::Mute(muted) => self.report.is_muted = muted,",
        to: "Command::Mute(muted) => self.report.is_muted |= muted,",
        says: FOUND,
    },
    Mutation {
        promise: "swarm",
        does: "the lamp is not lit for a live microphone",
        file: "core/src/board/guard.rs",
        from: "if let Err(fault) = self.show(true) {",
        to: "if let Err(fault) = self.show(false) {",
        says: FOUND,
    },
    Mutation {
        promise: "swarm",
        does: "packets wait in the wrong order",
        file: "core/src/jitter.rs",
        from: "take_while(|other| other.extent.media < media)",
        to: "take_while(|other| other.extent.media > media)",
        says: FOUND,
    },
    Mutation {
        promise: "swarm",
        does: "the delay aimed at never shrinks",
        file: "core/src/adapt/goal.rs",
        from: "self.us = if lowest > level || !stays { lowest } else { level };",
        to: "self.us = lowest.max(level);",
        says: FOUND,
    },
    Mutation {
        promise: "swarm",
        does: "workers are restarted without a budget",
        file: "core/src/supervise.rs",
        from: "if self.restarts.is_full() || self.restarts.len() >= usize::from(self.policy.restarts) {",
        to: "if self.policy.restarts == 0 {",
        says: FOUND,
    },
    Mutation {
        promise: "swarm",
        does: "packets are counted twice",
        file: "core/src/engine/playback/take.rs",
        from: "self.report.metrics.record_frame(arrived, bytes);",
        to: "self.report.metrics.record_frame(arrived, bytes);\n        self.report.metrics.record_frame(arrived, bytes);",
        says: FOUND,
    },
    Mutation {
        promise: "swarm",
        does: "half of a gap is forgotten",
        file: "core/src/cycle.rs",
        from: "let mut lost = first.since(edge).as_samples();",
        to: "let mut lost = first.since(edge).as_samples() / 2;",
        says: FOUND,
    },
    Mutation {
        promise: "swarm",
        does: "a frame that found no room is not counted",
        file: "core/src/cycle.rs",
        from: "Err(packet) => packet.with(|frame| self.engine.on_ring_full(&frame.header)),",
        to: "Err(_) => {}",
        says: FOUND,
    },
    Mutation {
        promise: "loom",
        does: "a swap no longer orders what is written before it",
        file: "core/src/sync.rs",
        from: "self.0.swap(value, order(Ordering::AcqRel))",
        to: "self.0.swap(value, Ordering::Relaxed)",
        says: "latest_reads_are_whole_and_never_go_back",
    },
    Mutation {
        promise: "miri",
        does: "both ends of a latest-value cell begin with the same copy",
        file: "core/src/latest.rs",
        from: "Reader { cell: self, mine: 2 }",
        to: "Reader { cell: self, mine: 0 }",
        says: "Undefined Behavior",
    },
];

/// Whether there is a change that breaks `promise`.
#[cfg(test)]
pub(super) fn breaks(promise: &str) -> bool {
    MUTATIONS.iter().any(|mutation| mutation.promise == promise)
}

/// Makes each change of `promises` and expects the promise to break, having held before.
pub(super) fn run(promises: &[&str]) -> Result<(), String> {
    let folder = target_dir()?.join("mutants");
    let tree = folder.join("tree");
    copy_tree(&root(), &tree)?;
    let prove = |promise: &str| {
        let mut prove = cargo(["run", "--quiet", "-p", "xtask", "--", "prove", promise]);
        prove.current_dir(&tree).env("CARGO_TARGET_DIR", folder.join("target"));
        complete(prove)
    };
    let (mut made, mut unnoticed) = (0, 0);
    for promise in promises {
        if let Err(said) = prove(promise)? {
            println!("{promise:<9} BROKEN BEFORE any change\n{said}");
            unnoticed += 1;
            continue;
        }
        for mutation in MUTATIONS.iter().filter(|mutation| mutation.promise == *promise) {
            let before = mutate(&tree, mutation)?;
            let start = Instant::now();
            let result = prove(promise);
            write(&tree.join(mutation.file), &before)?;
            let verdict = match result? {
                Err(said) if said.contains(mutation.says) => "noticed",
                Err(said) => {
                    println!("{said}");
                    "FAILED OTHERWISE"
                }
                Ok(_) => "NOT NOTICED",
            };
            made += 1;
            unnoticed += u32::from(verdict != "noticed");
            let time = start.elapsed().as_secs_f64();
            println!("{promise:<9} {verdict:<11} {time:>6.1} s  {} ({})", mutation.does, mutation.file);
        }
    }
    println!("\n{made} changes made, {unnoticed} things not as they should be");
    if unnoticed == 0 { Ok(()) } else { Err("a check that cannot fail proves nothing".into()) }
}

/// Makes the change; returns what was there before.
fn mutate(tree: &Path, mutation: &Mutation) -> Result<String, String> {
    let path = tree.join(mutation.file);
    let text = fs::read_to_string(&path).map_err(|error| format!("cannot read {}: {error}", mutation.file))?;
    write(&path, &changed(&text, mutation)?)?;
    Ok(text)
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    fs::write(path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))
}

fn changed(text: &str, mutation: &Mutation) -> Result<String, String> {
    match text.matches(mutation.from).count() {
        1 => Ok(text.replacen(mutation.from, mutation.to, 1)),
        count => {
            Err(format!("{}: the text to change is there {count} times, not once: {}", mutation.file, mutation.from))
        }
    }
}

/// Makes `to` the same as `from`, target directories and the history left out. What is the same already is not
/// touched, so that little is built again.
fn copy_tree(from: &Path, to: &Path) -> Result<(), String> {
    let wrong = |path: &Path, error: std::io::Error| format!("{}: {error}", path.display());
    fs::create_dir_all(to).map_err(|error| wrong(to, error))?;
    for entry in fs::read_dir(from).map_err(|error| wrong(from, error))? {
        let path = entry.map_err(|error| wrong(from, error))?.path();
        let Some(name) = path.file_name() else { continue };
        if path.is_dir() {
            if name != "target" && name != ".git" {
                copy_tree(&path, &to.join(name))?;
            }
            continue;
        }
        let bytes = fs::read(&path).map_err(|error| wrong(&path, error))?;
        let copy = to.join(name);
        if fs::read(&copy).ok().as_ref() != Some(&bytes) {
            fs::write(&copy, bytes).map_err(|error| wrong(&copy, error))?;
        }
    }
    remove_strangers(from, to).map_err(|error| wrong(to, error))
}

/// Removes what is in `to` and not in `from`.
fn remove_strangers(from: &Path, to: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(to)? {
        let path = entry?.path();
        let known = path.file_name().is_some_and(|name| from.join(name).exists());
        match (known, path.is_dir()) {
            (true, _) => {}
            (false, true) => fs::remove_dir_all(&path)?,
            (false, false) => fs::remove_file(&path)?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_change_still_fits_the_sources() {
        for mutation in &MUTATIONS {
            let text = fs::read_to_string(root().join(mutation.file)).unwrap_or_default();
            let after = changed(&text, mutation).unwrap_or_else(|why| panic!("{}: {why}", mutation.promise));
            assert_ne!(text, after);
        }
    }
}
