//! The probe: every real-time entry of the core as one optimised object file, and what can be read off it.
//!
//! `tests/probe` is built with the release profile as a whole program. From each entry every path is followed:
//! to what is called outside, and over frames on the stack, whose sizes the compiler reports as a remark of its
//! last pass. Nothing is run, so nothing depends on which inputs a test thought of.

use super::elf::{Node, Object, plain};
use super::{Trouble, captured};
use crate::steps::{self, cargo, output, root, target_dir};
use crate::toolchain::{self, EMBEDDED};
use std::collections::{BTreeMap, BTreeSet};

/// What every compiler's runtime has, and the critical section that core asks of a target without
/// compare-and-swap.
const RUNTIME: [&str; 7] = ["memcpy", "memmove", "memset", "memcmp", "__aeabi_", "__clzsi2", "_critical_section_1_0_"];

/// The devices and the codec. If none of these is reached, the probe shows nothing.
const WORLD: [&str; 4] = ["world_read", "world_write", "world_encode", "world_decode"];

/// What a panic ends in.
const PANICKED: &str = "world_panicked";

/// The probe, built for one target.
#[derive(Debug)]
pub(crate) struct Probe {
    pub(crate) target: String,
    pub(crate) object: Object,
    /// Bytes of stack that each function takes for itself.
    frames: BTreeMap<String, u64>,
}

/// The targets that are looked at: this machine's and the two microcontrollers.
pub(crate) fn targets() -> Result<Vec<String>, String> {
    toolchain::ensure_targets()?;
    let version = output(&["rustc", "-vV"]).ok_or("rustc does not run")?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).ok_or("rustc names no host")?;
    Ok(EMBEDDED.into_iter().chain([host]).map(str::to_string).collect())
}

/// Builds the probe for `target` and reads it.
pub(crate) fn build(target: &str) -> Result<Probe, String> {
    let folder = target_dir()?.join("probe");
    let file = folder.join(format!("{target}.o"));
    std::fs::create_dir_all(&folder).map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
    let mut command = cargo(["rustc", "--release", "--target", target, "--target-dir"]);
    command.arg(&folder).current_dir(root().join("tests/probe"));
    command.args(["--", "-C", "remark=prologepilog"]).arg(format!("--emit=obj={}", file.display()));
    let said = captured(command)?;
    let bytes = std::fs::read(&file).map_err(|error| format!("cannot read {}: {error}", file.display()))?;
    let object = Object::parse(&bytes).map_err(|why| format!("{}: {why}", file.display()))?;
    Ok(Probe { target: target.to_string(), object, frames: frames(&said) })
}

/// The frame sizes in what the compiler said.
fn frames(said: &str) -> BTreeMap<String, u64> {
    let remark = |line: &str| {
        let (before, after) = line.split_once(" stack bytes in function '")?;
        let bytes = before.rsplit(' ').next()?.parse().ok()?;
        Some((after.strip_suffix('\'')?.to_string(), bytes))
    };
    said.lines().filter_map(remark).collect()
}

impl Probe {
    /// The entries by name.
    pub(crate) fn entries(&self) -> BTreeMap<&str, Node> {
        self.object.named("entry_").collect()
    }

    /// Everything that `entry` can reach, each with what it is reached from.
    fn reached(&self, entry: &Node) -> BTreeMap<Node, Option<Node>> {
        let mut from = BTreeMap::from([(entry.clone(), None)]);
        let mut waiting = vec![entry.clone()];
        while let Some(node) = waiting.pop() {
            for next in self.object.next(&node) {
                if !from.contains_key(next) {
                    from.insert(next.clone(), Some(node.clone()));
                    waiting.push(next.clone());
                }
            }
        }
        from
    }

    /// The way from an entry to `node`, in words.
    fn way(&self, from: &BTreeMap<Node, Option<Node>>, node: &Node) -> String {
        let mut names = Vec::new();
        let mut at = Some(node);
        while let Some(node) = at {
            names.push(plain(self.object.name(node)));
            at = from.get(node).and_then(Option::as_ref);
        }
        names.reverse();
        names.join(" → ")
    }

    /// The most stack that `node` and whatever it calls can take, the devices and the codec not counted.
    pub(crate) fn stack(&self, node: &Node) -> Result<u64, String> {
        self.stack_below(node, &mut Vec::new())
    }

    fn stack_below(&self, node: &Node, above: &mut Vec<Node>) -> Result<u64, String> {
        if above.contains(node) {
            return Err(format!("{}: {} calls itself", self.target, plain(self.object.name(node))));
        }
        let own = if self.object.is_code(node) {
            let name = self.object.name(node);
            *self.frames.get(name).ok_or_else(|| format!("{}: the compiler tells no frame of {name}", self.target))?
        } else {
            0
        };
        // A jump table leads back to the function that it belongs to, and only jumps there.
        let caller = above.last().filter(|_| !self.object.is_code(node)).cloned();
        above.push(node.clone());
        let mut most = 0;
        for next in self.object.next(node).filter(|next| *next != node && Some(*next) != caller.as_ref()) {
            most = most.max(self.stack_below(next, above)?);
        }
        above.pop();
        Ok(own + most)
    }
}

/// No entry can panic or allocate, on any target.
pub(crate) fn no_panic() -> Result<String, Trouble> {
    let (mut entries, mut outside, mut wrong) = (0, BTreeSet::new(), Vec::new());
    let targets = targets()?;
    for target in &targets {
        let probe = build(target)?;
        let reached: Vec<_> = probe.entries().values().map(|entry| probe.reached(entry)).collect();
        entries = reached.len();
        for from in &reached {
            for node in from.keys() {
                let Node::Outside(name) = node else { continue };
                outside.insert(name.clone());
                if let Some(why) = forbidden(name) {
                    wrong.push(format!("{target}: {why}: {}", probe.way(from, node)));
                }
            }
        }
    }
    if let Some(missing) = WORLD.iter().find(|name| !outside.contains(**name)) {
        wrong.push(format!("no entry reaches `{missing}`: the probe does not look at what it should"));
    }
    if wrong.is_empty() {
        return Ok(format!("{entries} entries on {} targets: 0 panics, 0 allocations", targets.len()));
    }
    Err(Trouble::Broken(wrong.join("\n")))
}

/// Why a real-time entry may not call `name`, if it may not.
fn forbidden(name: &str) -> Option<&'static str> {
    match name {
        PANICKED => Some("it can panic"),
        name if name.starts_with("world_") => None,
        name if RUNTIME.iter().any(|allowed| name.starts_with(allowed)) => None,
        _ => Some("it calls something outside"),
    }
}

/// The core builds for microcontrollers, and nothing in it allocates.
pub(crate) fn no_std() -> Result<String, Trouble> {
    toolchain::ensure_targets()?;
    let mut builds = 0;
    for target in EMBEDDED {
        for features in [&[][..], &["--features", "defmt"]] {
            captured(steps::embedded_build(target, features))?;
            builds += 1;
        }
    }
    let text = std::fs::read_to_string(root().join("core/src/lib.rs")).map_err(|error| error.to_string())?;
    std_free(&text)?;
    let mut packages = BTreeSet::new();
    for target in EMBEDDED {
        let mut tree = cargo([
            "tree",
            "-e",
            "normal,no-proc-macro",
            "-p",
            "soundpost-core",
            "--prefix",
            "none",
            "--target",
            target,
        ]);
        tree.args(["--features", "defmt", "--format", "{p} [{f}]"]);
        // (The tree's own messages go to the same text, and begin with a capital or a blank.)
        packages.extend(captured(tree)?.lines().filter(|line| line.contains(" v")).map(str::to_string));
    }
    let wrong: Vec<&str> = packages.iter().map(String::as_str).filter(|package| allocates(package)).collect();
    if !wrong.is_empty() {
        return Err(Trouble::Broken(format!("these want std or an allocator: {}", wrong.join(", "))));
    }
    let packages: BTreeSet<&str> = packages.iter().filter_map(|line| line.split(' ').next()).collect();
    Ok(format!("{builds} builds for {} targets, {} packages, none with alloc or std", EMBEDDED.len(), packages.len()))
}

/// Whether a line of the tree, `name version [features]`, names an allocator or a feature that wants one.
fn allocates(package: &str) -> bool {
    let features = package.split_once('[').map_or("", |(_, features)| features.trim_end_matches(']'));
    package.starts_with("alloc") || features.split(',').any(|feature| feature == "alloc" || feature == "std")
}

/// The crate says `no_std` without conditions, and names no `alloc`.
fn std_free(text: &str) -> Result<(), String> {
    if !text.lines().any(|line| line == "#![no_std]") {
        return Err("core/src/lib.rs does not say #![no_std] in a line of its own".into());
    }
    if text.contains("extern crate alloc") {
        return Err("core/src/lib.rs asks for alloc".into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frame_sizes_are_read_from_the_compilers_remarks() {
        let said =
            "warning: x\n\nnote: <unknown file>:0:0 prologepilog (analysis): 40 stack bytes in function 'entry_a'\n\n";
        assert_eq!(frames(said), BTreeMap::from([("entry_a".to_string(), 40)]));
        assert!(frames("nothing").is_empty());
    }

    #[test]
    fn an_entry_may_call_devices_and_the_runtime_and_nothing_else() {
        for name in ["world_read", "memcpy", "__aeabi_uldivmod", "__clzsi2", "_critical_section_1_0_acquire"] {
            assert_eq!(forbidden(name), None, "{name}");
        }
        for name in ["world_panicked", "malloc", "__rust_alloc", "pthread_mutex_lock", "write"] {
            assert!(forbidden(name).is_some(), "{name}");
        }
    }

    #[test]
    fn alloc_and_std_are_seen_in_sources_and_in_features() {
        assert_eq!(std_free("//! Doc\n#![no_std]\n"), Ok(()));
        assert!(std_free("#![cfg_attr(not(test), no_std)]\n").is_err());
        assert!(std_free("#![no_std]\nextern crate alloc;\n").is_err());
        assert!(allocates("alloc v1.0 []") && allocates("x v1.0 [default,alloc]") && allocates("x v1.0 [std]"));
        assert!(!allocates("heapless v0.9.3 [defmt]"));
    }
}
