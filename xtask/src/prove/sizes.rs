//! Memory, stack and code against the table in `docs/sizes.md`.
//!
//! The figures come from the probe's object files: memory is the size of its `size_` symbols, stack the deepest
//! way below each entry, code all of it. A figure may move by a tenth; more is a decision, taken with `--bless`.

use super::{Trouble, probe};
use crate::steps::root;
use std::collections::BTreeMap;
use std::fmt::Write as _;

const FILE: &str = "docs/sizes.md";

/// Below this many bytes a tenth is less than what one register more on the stack makes.
const SLACK_BYTES: u64 = 32;

const HEAD: &str = "# Sizes

Bytes of static memory, stack and code of the core, by target. `cargo xtask prove sizes` compares them with what the
compiler makes now and fails if one moved by more than a tenth (and 32 bytes); `cargo xtask prove --bless sizes` writes
this page. The codec here is an empty one, and what devices, clock and codec take on the stack comes on top.

";

/// Figures by what they are of, then by target.
type Table = BTreeMap<String, BTreeMap<String, u64>>;

/// Compares, or with `bless` writes.
pub(crate) fn check(bless: bool) -> Result<String, Trouble> {
    let now = measured()?;
    let path = root().join(FILE);
    if bless {
        std::fs::write(&path, page(&now)).map_err(|error| format!("cannot write {FILE}: {error}"))?;
        return Ok(format!("{} figures written to {FILE}", count(&now)));
    }
    let text = std::fs::read_to_string(&path)
        .map_err(|error| format!("cannot read {FILE}: {error}; `cargo xtask prove --bless sizes` writes it"))?;
    let moved = compare(&parse(&text)?, &now);
    if !moved.is_empty() {
        return Err(Trouble::Broken(format!(
            "{}\nif that is meant: cargo xtask prove --bless sizes",
            moved.join("\n")
        )));
    }
    let of = |what: &str| now.get(what).and_then(|row| row.values().max()).copied().unwrap_or(0);
    Ok(format!(
        "{} figures within a tenth; stack of a turn at most {} (capture) and {} bytes (playback)",
        count(&now),
        of("stack capture_turn"),
        of("stack playback_turn")
    ))
}

fn count(table: &Table) -> usize {
    table.values().map(BTreeMap::len).sum()
}

fn measured() -> Result<Table, String> {
    let mut table = Table::new();
    for target in probe::targets()? {
        let probe = probe::build(&target)?;
        let mut note = |what: String, bytes: u64| {
            table.entry(what).or_default().insert(target.clone(), bytes);
        };
        note("code".into(), probe.object.code_bytes() as u64);
        for (name, bytes) in probe.object.sizes("size_") {
            note(format!("memory {name}"), bytes as u64);
        }
        for (name, entry) in probe.entries() {
            note(format!("stack {name}"), probe.stack(&entry)?);
        }
    }
    Ok(table)
}

/// What differs by more than it may, in words. A target that the table does not know is not compared: the table is
/// of one machine, and this may be another.
fn compare(table: &Table, now: &Table) -> Vec<String> {
    let mut wrong = Vec::new();
    let known = |target: &str| table.values().any(|row| row.contains_key(target));
    for (what, row) in now {
        for (target, &bytes) in row.iter().filter(|(target, _)| known(target)) {
            match table.get(what).and_then(|row| row.get(target)) {
                None => wrong.push(format!("{what} on {target}: {bytes} bytes, and no figure in {FILE}")),
                Some(&old) if bytes.abs_diff(old) > SLACK_BYTES.max(old / 10) => {
                    wrong.push(format!("{what} on {target}: {bytes} bytes, was {old}"));
                }
                Some(_) => {}
            }
        }
    }
    let gone = table.keys().filter(|what| !now.contains_key(*what));
    wrong.extend(gone.map(|what| format!("{what} is in {FILE} and no longer in the probe")));
    wrong
}

fn page(table: &Table) -> String {
    let targets: Vec<&String> = table.values().next().into_iter().flat_map(BTreeMap::keys).collect();
    let mut text = String::from(HEAD);
    let cells = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    text += &cells(["of".to_string()].into_iter().chain(targets.iter().map(|t| (*t).clone())).collect());
    let _ = writeln!(text, "|---|{}", "---:|".repeat(targets.len()));
    for (what, row) in table {
        let figures = targets.iter().map(|target| row.get(*target).map_or("–".into(), u64::to_string));
        text += &cells([what.clone()].into_iter().chain(figures).collect());
    }
    text
}

fn parse(text: &str) -> Result<Table, String> {
    let rows = text.lines().filter(|line| line.starts_with('|') && !line.starts_with("|---"));
    let mut rows = rows.map(|line| line.trim_matches('|').split('|').map(str::trim).collect::<Vec<_>>());
    let head = rows.next().ok_or_else(|| format!("{FILE} has no table"))?;
    let mut table = Table::new();
    for row in rows {
        let Some((what, figures)) = row.split_first() else { continue };
        let figures = head.iter().skip(1).zip(figures);
        let figures = figures.filter_map(|(target, figure)| Some((target.to_string(), figure.parse().ok()?)));
        table.insert(what.to_string(), figures.collect());
    }
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(of: &[(&str, &str, u64)]) -> Table {
        let mut table = Table::new();
        for (what, target, bytes) in of {
            table.entry(what.to_string()).or_default().insert(target.to_string(), *bytes);
        }
        table
    }

    #[test]
    fn a_page_can_be_read_again() {
        let figures = table(&[("code", "a", 9000), ("code", "b", 8000), ("stack x", "a", 40), ("stack x", "b", 48)]);
        assert_eq!(parse(&page(&figures)), Ok(figures));
        assert!(parse("no table").is_err());
    }

    #[test]
    fn a_tenth_is_let_be_and_more_is_told_both_ways() {
        let old = table(&[("code", "a", 1000)]);
        for bytes in [900, 1000, 1100] {
            assert!(compare(&old, &table(&[("code", "a", bytes)])).is_empty(), "{bytes}");
        }
        for bytes in [899, 1101] {
            assert_eq!(compare(&old, &table(&[("code", "a", bytes)])).len(), 1, "{bytes}");
        }
        assert!(compare(&table(&[("s", "a", 8)]), &table(&[("s", "a", 40)])).is_empty(), "small ones may double");
    }

    #[test]
    fn what_came_and_what_went_is_told_but_another_machine_is_not() {
        let old = table(&[("code", "a", 1000)]);
        let both = table(&[("code", "a", 1000), ("stack x", "a", 40)]);
        assert_eq!(compare(&old, &both).len(), 1);
        assert_eq!(compare(&both, &old).len(), 1);
        assert!(compare(&old, &table(&[("code", "a", 1000), ("code", "z", 5)])).is_empty());
    }
}
