//! Figures that are measured by one command and judged: `cargo xtask bench`.

mod arm;
mod ipc;
mod peers;
mod playout;
mod trace;

use crate::cli::Options;
use std::path::PathBuf;

/// Measures, on the traces that were named if there are any; prints, and says what is wrong. What is missing on the
/// machine is installed without asking if the flag is set.
type Measure = fn(&[PathBuf], bool) -> Result<(), String>;

/// What can be measured.
const SUBJECTS: [(&str, Measure); 4] =
    [("playout", playout::run), ("peers", peers::run), ("arm", arm::run), ("ipc", ipc::run)];

/// Measures what was named.
pub(crate) fn run(options: &Options) -> Result<(), String> {
    let known = SUBJECTS.map(|(name, _)| name).join(", ");
    let Some((name, traces)) = options.rest.split_first() else {
        return Err(format!("what is to be measured is missing; it is one of {known}"));
    };
    let subject = SUBJECTS.iter().find(|(subject, _)| *subject == name.to_string_lossy());
    let (_, measure) =
        subject.ok_or_else(|| format!("there is no benchmark `{}`; allowed: {known}", name.to_string_lossy()))?;
    let absolute =
        |trace: &PathBuf| std::path::absolute(trace).map_err(|error| format!("{}: {error}", trace.display()));
    let traces: Vec<PathBuf> = traces.iter().map(PathBuf::from).collect();
    measure(&traces.iter().map(absolute).collect::<Result<Vec<_>, _>>()?, options.yes)
}

/// Tells of each goal whether it holds; an error unless all do.
fn verdict(goals: &[Goal]) -> Result<(), String> {
    for goal in goals {
        println!("{}  {}: {}", if goal.holds { "PASS" } else { "FAIL" }, goal.says, goal.found);
    }
    let broken = goals.iter().filter(|goal| !goal.holds).count();
    if broken == 0 { Ok(()) } else { Err(format!("{broken} of {} goals are not reached", goals.len())) }
}

/// What shall hold, and what was found.
#[derive(Debug)]
struct Goal {
    says: &'static str,
    found: String,
    holds: bool,
}
