//! Rules about the sources that no compiler knows: `cargo xtask prove tidy`.
//!
//! Sources are read as text, without comments, strings and tests; that is enough for every rule here, and keeps
//! this program free of dependencies. Each rule answers with sentences that begin with a file and a line.

mod rings;
mod rules;
mod text;

use crate::steps::root;
use std::fs;
use std::path::Path;
use text::Source;

/// The packages whose sources are looked at. Tests are free to look how they like.
const PACKAGES: [&str; 5] = ["core", "client", "platform-linux", "platform-sim", "xtask"];

/// How many files and lines were looked at, or what is wrong in them.
pub(crate) fn check() -> Result<String, String> {
    let root = root();
    let mut sources = Vec::new();
    let mut wrong = Vec::new();
    for package in PACKAGES {
        read_folder(&root, &format!("{package}/src"), &mut sources)?;
        if package != "xtask" {
            let path = format!("{package}/Cargo.toml");
            wrong.extend(rules::manifests_point_down(&path, &read(&root, &path)?));
        }
    }
    wrong.extend(rules::locks_agree(&read(&root, "Cargo.lock")?, &read(&root, "tests/probe/Cargo.lock")?));
    wrong.extend(rings::check(&sources));
    wrong.extend(rules::allowances_are_used(&sources));
    for source in &sources {
        for rule in [
            rules::opens_with_a_paragraph,
            rules::is_short,
            rules::is_finished,
            rules::atomics_are_in_sync,
            rules::unsafe_is_explained,
            rules::platforms_have_no_policy,
            rules::nobody_asks_the_time_of_day,
        ] {
            wrong.extend(rule(source));
        }
    }
    if wrong.is_empty() {
        let lines: usize = sources.iter().map(|source| source.text.lines().count()).sum();
        return Ok(format!("{} files, {lines} lines, 11 rules", sources.len()));
    }
    Err(wrong.join("\n"))
}

fn read(root: &Path, path: &str) -> Result<String, String> {
    fs::read_to_string(root.join(path)).map_err(|error| format!("cannot read {path}: {error}"))
}

/// Reads every Rust file below `folder`.
fn read_folder(root: &Path, folder: &str, sources: &mut Vec<Source>) -> Result<(), String> {
    let wrong = |error: std::io::Error| format!("cannot read {folder}: {error}");
    for entry in fs::read_dir(root.join(folder)).map_err(wrong)? {
        let entry = entry.map_err(wrong)?;
        let path = format!("{folder}/{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            read_folder(root, &path, sources)?;
        } else if path.ends_with(".rs") {
            sources.push(Source::new(&path, &read(root, &path)?));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    /// `cargo test` is enough to be told.
    #[test]
    fn this_workspace_is_tidy() {
        if let Err(wrong) = super::check() {
            panic!("{wrong}");
        }
    }
}
