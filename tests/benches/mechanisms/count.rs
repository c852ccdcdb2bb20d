//! Instructions and atomic instructions of a case, counted by valgrind: the same on a busy machine as on an idle one.
//!
//! The program runs itself under callgrind twice, with the case repeated more often the second time. The
//! difference is the case alone: what starting, setting up and checking costs is in both.

use crate::cases::groups;
use std::process::Command;

const FEW: u64 = 1_000;
const MANY: u64 = 3_000;

/// What one repetition takes.
pub(crate) struct Count {
    /// Instructions.
    pub(crate) instructions: f64,
    /// Those among them that lock the bus, as x86 calls it.
    pub(crate) atomic: f64,
}

impl Count {
    /// Counts a case; nothing where there is no valgrind.
    pub(crate) fn of(title: &str, place: usize) -> Option<Self> {
        let (few, many) = (collected(title, place, FEW)?, collected(title, place, MANY)?);
        let each = |few: u64, many: u64| many.saturating_sub(few) as f64 / (MANY - FEW) as f64;
        Some(Self { instructions: each(few.0, many.0), atomic: each(few.1, many.1) })
    }
}

fn collected(title: &str, place: usize, times: u64) -> Option<(u64, u64)> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--collect-bus=yes", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe().ok()?)
        .args(["--repeat", title, &place.to_string(), &times.to_string()])
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stderr);
    let mut sums = text.lines().find_map(|line| line.split_once("Collected :"))?.1.split_whitespace();
    Some((sums.next()?.parse().ok()?, sums.next()?.parse().ok()?))
}

/// What the program does when it runs itself: one case of a group, so many times.
pub(crate) fn repeat(told: &[String]) {
    let [title, place, times] = told else { panic!("--repeat TITLE PLACE TIMES") };
    let group = groups().into_iter().find(|group| group.title == title).expect("a group's title");
    let place: usize = place.parse().expect("a case's place");
    (group.cases[place].run)(times.parse().expect("a number of times"));
}
