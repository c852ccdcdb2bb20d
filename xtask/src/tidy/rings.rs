//! Arrows between the rings of core point down.
//!
//! The one table below says which ring a module is in; a module that is in no ring fails the check. What is used is
//! read from `crate::…` paths, the only way to name another module: `super` may not leave the module it stands in.

use super::text::Source;
use std::collections::BTreeSet;

/// The modules of core by ring, from the lowest. `core/src/lib.rs` and `ARCHITECTURE.md` say what the rings are.
const RINGS: [&[&str]; 5] = [
    &["time", "config", "capacity", "meter", "signal", "fmt"],
    &["sync", "pool", "latest", "notice", "wire"],
    &[
        "adapt",
        "drift",
        "flood",
        "pitch",
        "preference",
        "queue",
        "recovery",
        "redundancy",
        "quality",
        "latency",
        "supervise",
        "session",
        "watch",
    ],
    &["codec", "jitter", "engine", "stretch", "resample"],
    &["port", "cycle", "board"],
];

/// Which module may use which other one of its own ring.
const SIBLINGS: [(&str, &str); 16] = [
    ("config", "time"),
    ("capacity", "config"),
    ("meter", "time"),
    ("meter", "config"),
    ("meter", "signal"),
    ("pool", "sync"),
    ("latest", "sync"),
    ("notice", "sync"),
    ("jitter", "codec"),
    ("adapt", "drift"),
    ("pitch", "drift"),
    ("engine", "codec"),
    ("engine", "resample"),
    ("engine", "stretch"),
    ("engine", "jitter"),
    ("cycle", "port"),
];

fn ring(module: &str) -> Option<usize> {
    RINGS.iter().position(|modules| modules.contains(&module))
}

/// The module of core that a file belongs to; nothing for `lib.rs` and for files elsewhere.
fn module(path: &str) -> Option<&str> {
    let inside = path.strip_prefix("core/src/")?;
    let name = inside.split('/').next()?.trim_end_matches(".rs");
    (name != "lib").then_some(name)
}

/// Everything wrong with the arrows of these files.
pub(super) fn check(sources: &[Source]) -> Vec<String> {
    let mut wrong = Vec::new();
    for source in sources {
        let Some(user) = module(&source.path) else { continue };
        let Some(own) = ring(user) else {
            wrong
                .push(format!("{}: module {user} is in no ring; the table is in xtask/src/tidy/rings.rs", source.path));
            continue;
        };
        let nested = source.path.matches('/').count() > 2;
        let up = if nested { "super::super::" } else { "super::" };
        if source.plain.contains(up) && !allowed_super(&source.plain, nested) {
            wrong.push(format!("{}: `{up}` leaves the module; write crate::", source.path));
        }
        for used in used(&source.plain) {
            let sibling = SIBLINGS.contains(&(user, used));
            match ring(used) {
                None => wrong.push(format!("{}: uses {used}, which is in no ring", source.path)),
                Some(_) if used == user => {}
                Some(other) if other > own => wrong.push(format!("{}: {user} looks up to {used}", source.path)),
                Some(other) if other == own && !sibling => {
                    wrong.push(format!("{}: {user} uses {used} of its own ring, which is not listed", source.path));
                }
                Some(_) => {}
            }
        }
    }
    wrong
}

/// In a file of its own, `super` inside an inline module means that very file.
fn allowed_super(plain: &str, nested: bool) -> bool {
    !nested && plain.contains("\nmod ") && !plain.contains("\nuse super::")
}

/// The modules that code names after `crate::`, also in braces.
fn used(code: &str) -> BTreeSet<&str> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut used = BTreeSet::new();
    for after in code.split("crate::").skip(1) {
        let Some(group) = after.strip_prefix('{') else {
            used.insert(after.split(|c| !is_word(c)).next().unwrap_or(""));
            continue;
        };
        let (mut depth, mut begins) = (0, true);
        for (at, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => begins = true,
                c if begins && is_word(c) => {
                    used.insert(group[at..].split(|c| !is_word(c)).next().unwrap_or(""));
                    begins = false;
                }
                _ => {}
            }
        }
    }
    // A macro's `$crate::` and a name of the crate root itself, such as a macro, begin with no module.
    used.retain(|name| name.starts_with(|c: char| c.is_ascii_lowercase()));
    used
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(path: &str, text: &str) -> Vec<String> {
        check(&[Source::new(path, text)])
    }

    #[test]
    fn down_is_fine_and_so_is_what_tests_use() {
        assert!(
            wrong("core/src/cycle.rs", "use crate::engine::capture::Capture;\nuse crate::{time, pool::{Pool}};")
                .is_empty()
        );
        assert!(wrong("core/src/time.rs", "fn a() {}\n#[cfg(test)]\nmod tests { use crate::cycle::Turn; }").is_empty());
        assert!(wrong("core/src/lib.rs", "pub use crate::cycle::Turn;").is_empty());
        assert!(wrong("core/src/time.rs", "// crate::cycle is above\n").is_empty());
    }

    #[test]
    fn up_is_caught_in_every_way_of_writing_it() {
        for text in [
            "use crate::cycle::Turn;",
            "fn a() -> crate::cycle::Turn {}",
            "use crate::{time::{Span, Instant}, cycle::Turn};",
            "use crate::{\n    time::Span,\n    cycle,\n};",
        ] {
            assert_eq!(wrong("core/src/pool.rs", text), ["core/src/pool.rs: pool looks up to cycle"], "{text}");
        }
        assert_eq!(wrong("core/src/engine/playback/fifo.rs", "use crate::cycle;").len(), 1);
    }

    #[test]
    fn super_may_not_leave_the_module() {
        assert_eq!(wrong("core/src/pool.rs", "use super::cycle::Turn;").len(), 1);
        assert_eq!(wrong("core/src/engine/capture.rs", "use super::super::cycle::Turn;").len(), 1);
        assert!(wrong("core/src/wire/frame.rs", "use super::Header;").is_empty());
    }

    #[test]
    fn siblings_have_to_be_listed_and_modules_to_have_a_ring() {
        assert!(wrong("core/src/pool.rs", "use crate::sync::Word;").is_empty());
        assert_eq!(wrong("core/src/sync.rs", "use crate::pool::Pool;").len(), 1);
        assert_eq!(wrong("core/src/attic.rs", "").len(), 1);
        assert_eq!(wrong("core/src/cycle.rs", "use crate::attic::Box;").len(), 1);
    }

    #[test]
    fn no_module_is_in_two_rings() {
        let all: Vec<&str> = RINGS.concat();
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
        assert!(SIBLINGS.iter().all(|(a, b)| ring(a) == ring(b)));
    }
}
