//! The other rules: what may stand where.
//!
//! Each is a function of texts and answers with what is wrong, so each has a test with a text that must be caught.

use super::text::{Source, words};

/// Lines that a person reads in one sitting. Tests do not count.
const LINES_MAX: usize = 500;

/// Where core may be unsafe.
const UNSAFE: [&str; 4] = ["core/src/sync.rs", "core/src/pool.rs", "core/src/latest.rs", "core/src/notice.rs"];

/// Types whose constants are decisions about time or sound.
const POLICY_TYPES: [&str; 8] =
    ["Span", "Duration", "Instant", "Bitrate", "Complexity", "FrameLen", "Tuning", "Timing"];

/// Endings of names whose constants are such decisions, whatever their type.
const POLICY_ENDINGS: [&str; 9] =
    ["_MS", "_US", "_SECS", "_SECONDS", "_BPS", "_PERIODS", "_PERCENT", "_PPM", "_TIMEOUT"];

/// Makers of times. One with a number right behind it is a decision.
const POLICY_CALLS: [&str; 7] =
    ["from_millis(", "from_secs(", "from_micros(", "from_nanos(", "from_samples(", "from_secs_f64(", "from_bps("];

/// Numbers that platforms may have after all: file, text of the line, and why. One that is not found any more is
/// itself an error.
const ALLOWED: [(&str, &str, &str); 6] = [
    ("platform-linux/src/daemon/mod.rs", "interval(std::time::Duration::from_millis(200))", "how often a person sees"),
    (
        "platform-linux/src/daemon/mod.rs",
        "sleep(std::time::Duration::from_millis(100))",
        "no descriptors left: breathe",
    ),
    ("platform-linux/src/cli/talk.rs", "interval(Duration::from_millis(200))", "how often a person sees a figure move"),
    (
        "platform-linux/src/cli/listen.rs",
        "interval(Duration::from_millis(200))",
        "how often a person sees a figure move",
    ),
    ("platform-linux/src/board.rs", "max(Span::from_micros(1))", "the least there is: zero would switch a timer off"),
    ("platform-linux/src/pcm/tone.rs", "const MELODY_SECONDS", "the length of a tune"),
];

fn at(source: &Source, line: usize, what: &str) -> String {
    format!("{}:{line}: {what}", source.path)
}

/// Every module says first what it is.
pub(super) fn opens_with_a_paragraph(source: &Source) -> Vec<String> {
    let first = source.text.lines().find(|line| !line.trim().is_empty());
    let fine = first.is_some_and(|line| line.starts_with("//!") && line.len() > 4);
    if fine || source.path.ends_with("tests.rs") { Vec::new() } else { vec![at(source, 1, "opens without `//!`")] }
}

/// No file is too long for a sitting.
pub(super) fn is_short(source: &Source) -> Vec<String> {
    let length = source.length();
    if length <= LINES_MAX {
        return Vec::new();
    }
    vec![at(source, length, &format!("{length} lines without tests; at most {LINES_MAX}"))]
}

/// The macros that leave something for later.
const UNFINISHED: [&str; 3] = ["todo", "unimplemented", "dbg"];

/// Nothing is left for later.
pub(super) fn is_finished(source: &Source) -> Vec<String> {
    let left = |line: &str| UNFINISHED.into_iter().find(|name| line.contains(&format!("{name}!")));
    let lines = source.code.lines().zip(1..);
    lines.filter_map(|(line, number)| Some(at(source, number, &format!("`{}!`", left(line)?)))).collect()
}

/// Atomics are named in `sync` alone.
pub(super) fn atomics_are_in_sync(source: &Source) -> Vec<String> {
    if !source.path.starts_with("core/src/") || source.path == "core/src/sync.rs" {
        return Vec::new();
    }
    let atomic = |word: &str| word == "atomic" || word == "portable_atomic" || word.starts_with("Atomic");
    let found = words(&source.plain).filter(|(_, word)| atomic(word));
    found.map(|(line, word)| at(source, line, &format!("`{word}`: atomics belong in core/src/sync.rs"))).collect()
}

/// Core is unsafe only where it may be, and says why each time.
pub(super) fn unsafe_is_explained(source: &Source) -> Vec<String> {
    if !source.path.starts_with("core/src/") {
        return Vec::new();
    }
    let mut wrong = Vec::new();
    let unsafe_in = |code| words(code).filter(|(_, word)| *word == "unsafe").map(|(line, _)| line);
    if !UNSAFE.contains(&source.path.as_str()) {
        wrong.extend(
            unsafe_in(&source.code).map(|line| at(source, line, "`unsafe` outside sync, pool, latest and notice")),
        );
    }
    let bare = unsafe_in(&source.plain).filter(|line| !has_reason(&source.text, *line));
    wrong.extend(bare.map(|line| at(source, line, "`unsafe` without a `SAFETY:` line right above")));
    wrong
}

/// Whether the comment that ends right above `line` (attributes aside) holds a reason.
fn has_reason(text: &str, line: usize) -> bool {
    let above: Vec<&str> = text.lines().take(line - 1).map(str::trim).collect();
    let mut above = above.into_iter().rev().skip_while(|line| line.starts_with("#[")).peekable();
    let comment = std::iter::from_fn(|| above.next_if(|line| line.starts_with("//")));
    comment.into_iter().any(|line| line.contains("SAFETY:") || line.contains("# Safety"))
}

/// Where numbers say what a simulated world is like, and what its judges tolerate or compare with. That is no policy of soundpost: nothing
/// in there reaches a device.
const WORLDS: [&str; 4] =
    ["platform-sim/src/model/", "platform-sim/src/world/", "platform-sim/src/swarm", "platform-sim/src/playout/oracle"];

/// Platforms decide nothing: no constant of a type or name that stands for time or sound, and no time made from a
/// number, unless it is listed with a reason.
pub(super) fn platforms_have_no_policy(source: &Source) -> Vec<String> {
    if !source.path.starts_with("platform-") || WORLDS.iter().any(|world| source.path.starts_with(world)) {
        return Vec::new();
    }
    let mut wrong = Vec::new();
    for (line, number) in source.plain.lines().zip(1..) {
        let allowed = ALLOWED.iter().any(|(path, text, _)| *path == source.path && line.contains(text));
        if let Some(what) = policy(line).filter(|_| !allowed) {
            wrong.push(at(source, number, &format!("{what}: numbers come from core's config and capacity")));
        }
    }
    wrong
}

/// The decision that a line of code makes, if it makes one.
fn policy(line: &str) -> Option<String> {
    let item = line.trim_start().trim_start_matches("pub").trim_start_matches("(crate)").trim_start_matches("(super)");
    let item = item.trim_start();
    if let Some(constant) = item.strip_prefix("const ").or_else(|| item.strip_prefix("static "))
        && let Some((name, rest)) = constant.split_once(':')
    {
        let of_type = words(rest.split('=').next().unwrap_or("")).any(|(_, word)| POLICY_TYPES.contains(&word));
        if of_type || POLICY_ENDINGS.iter().any(|ending| name.ends_with(ending)) {
            return Some(format!("constant `{}`", name.trim()));
        }
    }
    let call = POLICY_CALLS.iter().find(|call| {
        let arguments = line.split(**call).skip(1);
        let mut firsts = arguments.filter_map(|argument| argument.trim_start().chars().next());
        firsts.any(|first| first.is_ascii_digit())
    })?;
    Some(format!("a number in `{call}…)`"))
}

/// What tells the time of day.
const WALL_CLOCKS: [&str; 8] = [
    "SystemTime",
    "UNIX_EPOCH",
    "Realtime",
    "RealtimeCoarse",
    "CLOCK_REALTIME",
    "CLOCK_REALTIME_COARSE",
    "gettimeofday",
    "chrono",
];

/// What runs on a device never asks what time of day it is, but for what is shown to people: somebody may set that clock
/// at any moment. That a sandbox lets it be asked is another thing.
pub(super) fn nobody_asks_the_time_of_day(source: &Source) -> Vec<String> {
    let on_device =
        ["core/src/", "client/src/", "platform-linux/src/"].iter().any(|place| source.path.starts_with(place));
    if !on_device || source.path == "platform-linux/src/daytime.rs" {
        return Vec::new();
    }
    let found = words(&source.plain).filter(|(_, word)| WALL_CLOCKS.contains(word));
    found.map(|(line, word)| at(source, line, &format!("`{word}`: that clock jumps; take the monotonic one"))).collect()
}

/// Entries of [`ALLOWED`] that allow nothing.
pub(super) fn allowances_are_used(sources: &[Source]) -> Vec<String> {
    let used = |path: &str, text: &str| sources.iter().any(|s| s.path == path && s.plain.contains(text));
    let stale = ALLOWED.iter().filter(|(path, text, _)| !used(path, text));
    stale
        .map(|(path, text, _)| format!("{path} no longer says `{text}`: take it off the list of what is allowed"))
        .collect()
}

/// Platforms depend on core and never on each other; core depends on nobody here.
pub(super) fn manifests_point_down(path: &str, text: &str) -> Vec<String> {
    let allowed: &[&str] = match path.split('/').next() {
        Some("platform-linux") => &["soundpost-core", "soundpost-client"],
        Some("platform-sim" | "client") => &["soundpost-core"],
        _ => &[],
    };
    let mut wrong = Vec::new();
    let (mut section, mut number) = ("", 0);
    for line in text.lines() {
        number += 1;
        let line = line.trim();
        if line.starts_with('[') {
            section = line;
        }
        let name = if section.contains("dependencies") { line.trim_start_matches('[') } else { "" };
        let name = name.rsplit("dependencies.").next().unwrap_or("");
        let name: String = name.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '-' || *c == '_').collect();
        let hidden = section.contains("dependencies") && line.contains("package = \"soundpost");
        if hidden || name.starts_with("soundpost") && !allowed.contains(&name.as_str()) {
            wrong.push(format!("{path}:{number}: `{name}` is no dependency of this package"));
        }
    }
    wrong
}

/// What `lock` pins otherwise than `root` does: the probe is to be what the workspace is.
pub(super) fn locks_agree(root: &str, lock: &str) -> Vec<String> {
    let packages = |text: &str| -> Vec<String> {
        let entries = text.split("[[package]]").skip(1);
        let field = |entry: &str, key: &str| {
            let value = entry.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = "));
            value.unwrap_or("").trim_matches('"').to_string()
        };
        entries.map(|entry| format!("{} {}", field(entry, "name"), field(entry, "version"))).collect()
    };
    let known = packages(root);
    let strange = packages(lock).into_iter().filter(|p| !p.starts_with("soundpost-") && !known.contains(p));
    strange.map(|package| format!("tests/probe/Cargo.lock: {package} is not what Cargo.lock has")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn core(text: &str) -> Source {
        Source::new("core/src/engine/capture.rs", text)
    }

    fn linux(text: &str) -> Source {
        Source::new("platform-linux/src/rt.rs", text)
    }

    #[test]
    fn a_module_without_a_paragraph_is_caught() {
        assert!(opens_with_a_paragraph(&core("//! What it is.\n")).is_empty());
        for text in ["use x;\n//! Late.\n", "//!\n", "", "// What it is.\n"] {
            assert_eq!(opens_with_a_paragraph(&core(text)).len(), 1, "{text:?}");
        }
    }

    #[test]
    fn a_file_too_long_is_caught_and_tests_do_not_count() {
        let long = "fn a() {}\n".repeat(LINES_MAX);
        assert!(is_short(&core(&long)).is_empty());
        assert_eq!(is_short(&core(&(long.clone() + "fn b() {}\n"))).len(), 1);
        assert!(is_short(&core(&(long + "#[cfg(test)]\nmod tests {\nfn c() {}\n}\n"))).is_empty());
    }

    #[test]
    fn what_is_left_for_later_is_caught_and_talk_of_it_is_not() {
        for name in UNFINISHED {
            assert_eq!(is_finished(&core(&format!("{name}!(1)"))).len(), 1);
            assert!(is_finished(&core(&format!("// {name}!\nlet a = \"{name}!()\";"))).is_empty());
        }
    }

    #[test]
    fn an_atomic_outside_sync_is_caught() {
        for text in ["use core::sync::atomic::Ordering;", "static A: AtomicU32 = x;", "use portable_atomic::X;"] {
            assert!(!atomics_are_in_sync(&core(text)).is_empty(), "{text}");
            assert!(atomics_are_in_sync(&Source::new("core/src/sync.rs", text)).is_empty());
        }
        assert!(atomics_are_in_sync(&core("// AtomicU32\n#[cfg(test)]\nuse std::sync::atomic::AtomicU32;")).is_empty());
    }

    #[test]
    fn unsafe_elsewhere_or_without_a_reason_is_caught() {
        assert_eq!(unsafe_is_explained(&core("// SAFETY: yes\nunsafe { x() }")).len(), 1);
        let pool = |text| unsafe_is_explained(&Source::new("core/src/pool.rs", text)).len();
        assert_eq!(pool("// SAFETY: a slot is\n// lent once.\nunsafe impl Sync for A {}"), 0);
        assert_eq!(pool("// SAFETY: x\n#[inline]\nunsafe { x() }"), 0);
        assert_eq!(pool("unsafe { x() }"), 1);
        assert_eq!(pool("// SAFETY: x\nlet a = 1;\nunsafe { x() }"), 1, "not right above");
        assert_eq!(pool("// It is fine.\nunsafe { x() }"), 1);
        assert_eq!(pool("#![allow(unsafe_code)]\n//! unsafe\n"), 0);
    }

    #[test]
    fn a_decision_in_a_platform_is_caught() {
        for text in [
            "const PAUSE: Span = TIMING.x;",
            "pub(crate) const PAUSE: core::time::Duration = x();",
            "static RATE_BPS: u32 = 64_000;",
            "sleep(Duration::from_millis(20));",
            "let a = f(x, Span::from_samples( 960));",
        ] {
            assert_eq!(platforms_have_no_policy(&linux(text)).len(), 1, "{text}");
            assert!(platforms_have_no_policy(&core(text)).is_empty());
            let in_world = Source::new("platform-sim/src/model/card.rs", text);
            assert!(platforms_have_no_policy(&in_world).is_empty());
        }
        for text in [
            "Duration::from_micros(TIMING.device_deadline.as_micros())",
            "const CELLS: usize = 10;",
            "fn a(limit: Duration) {}",
            "// Duration::from_secs(1)",
        ] {
            assert!(platforms_have_no_policy(&linux(text)).is_empty(), "{text}");
        }
    }

    #[test]
    fn a_wall_clock_is_caught() {
        for text in ["let a = SystemTime::now();", "clock_gettime(ClockId::Realtime)", "libc::CLOCK_REALTIME"] {
            assert_eq!(nobody_asks_the_time_of_day(&linux(text)).len(), 1, "{text}");
            assert!(nobody_asks_the_time_of_day(&Source::new("platform-sim/src/cli/swarm.rs", text)).is_empty());
        }
        assert!(nobody_asks_the_time_of_day(&linux("clock_gettime(ClockId::Monotonic) // SystemTime")).is_empty());
        assert!(nobody_asks_the_time_of_day(&linux("libc::SYS_gettimeofday,")).is_empty());
    }

    #[test]
    fn an_allowance_that_allows_nothing_is_caught() {
        assert_eq!(allowances_are_used(&[]).len(), ALLOWED.len());
    }

    #[test]
    fn an_arrow_between_packages_is_caught() {
        let platform =
            |line: &str| manifests_point_down("platform-sim/Cargo.toml", &format!("[dependencies]\n{line}\n")).len();
        assert_eq!(platform("soundpost-core.workspace = true"), 0);
        assert_eq!(platform("soundpost-linux.workspace = true"), 1);
        assert_eq!(platform("other = { package = \"soundpost-linux\", path = \"x\" }"), 1);
        let dev = "[package]\nname = \"soundpost-core\"\n[dev-dependencies]\nsoundpost-sim = { path = \"../x\" }\n";
        assert_eq!(manifests_point_down("core/Cargo.toml", dev).len(), 1);
        assert_eq!(manifests_point_down("core/Cargo.toml", "[dependencies.soundpost-sim]\npath = \"x\"\n").len(), 1);
    }

    #[test]
    fn another_version_in_the_probe_is_caught() {
        let lock = |version| format!("[[package]]\nname = \"heapless\"\nversion = \"{version}\"\n");
        assert!(locks_agree(&lock("0.9.3"), &lock("0.9.3")).is_empty());
        assert_eq!(locks_agree(&lock("0.9.3"), &lock("0.9.2")).len(), 1);
    }
}
