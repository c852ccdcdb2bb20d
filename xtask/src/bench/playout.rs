//! Playout on every trace and profile, beside what other players did on the same packets.
//!
//! The simulator plays each of `tests/traces/`, and computes the optimum that knows the whole trace; `frozen.tsv` there is
//! what WebRTC's NetEq did, and what another program found the optimum to be. Each goal is judged; one that does not hold
//! fails the command. Traces of one's own are played in the same way, without goals: nobody else has played them.

use super::trace::{Figures, Trace, in_parallel, play, traces};
use super::{Goal, verdict};
use crate::steps::{self, cargo, succeed};
use std::fmt::Write;
use std::path::PathBuf;

const PROFILES: [&str; 4] = ["low", "balanced", "smooth", "frozen"];
const DEFAULT: usize = 1;
const SMOOTH: usize = 2;

/// A trace, and what everybody does on it.
#[derive(Debug)]
struct Row {
    name: String,
    oracle: Figures,
    ours: [Figures; PROFILES.len()],
    /// What was found at another time: by NetEq, and as the optimum.
    others: Option<Others>,
}

#[derive(Clone, Copy, Debug)]
struct Others {
    neteq: Figures,
    oracle: Figures,
}

impl Others {
    fn of(trace: &Trace) -> Option<Self> {
        Some(Self { neteq: trace.of("webrtc-neteq")?, oracle: trace.of("oracle-0.5pct")? })
    }
}

pub(super) fn run(named: &[PathBuf], _yes: bool) -> Result<(), String> {
    succeed(cargo(["build", "--release", "-p", "soundpost-sim"]))?;
    let program = steps::target_dir()?.join("release/soundpost-sim");
    let traces = traces(named)?;
    let players = PROFILES.map(Some).into_iter().chain([None]);
    let jobs: Vec<_> = traces.iter().flat_map(|trace| players.clone().map(move |player| (trace, player))).collect();
    let done = in_parallel(&jobs, |(trace, player)| match player {
        Some(profile) => play(&program, &["playout", "--json", "--profile", profile, "--trace"], &trace.file),
        None => play(&program, &["playout", "--json", "--oracle", "--trace"], &trace.file),
    });
    let mut done = done.into_iter();
    let mut rows = Vec::with_capacity(traces.len());
    for trace in &traces {
        let mut next = || done.next().unwrap_or_else(|| Err(format!("{} was not played", trace.name)));
        let mut ours = [Figures::default(); PROFILES.len()];
        for figures in &mut ours {
            *figures = next()?;
        }
        rows.push(Row { name: trace.name.clone(), oracle: next()?, ours, others: Others::of(trace) });
    }
    println!("\n{}", table(&rows));
    let Some(judged) = rows.iter().map(|row| Some((row, row.others?))).collect::<Option<Vec<_>>>() else {
        return Ok(());
    };
    verdict(&goals(&judged))
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0), |(sum, count), value| (sum + value, count + 1));
    sum / f64::from(count.max(1))
}

/// Geometric mean of J5 beside the optimum's.
fn ratio(pairs: impl Iterator<Item = (Figures, Figures)>) -> f64 {
    mean(pairs.map(|(figures, oracle)| (figures.j5_ms / oracle.j5_ms).ln())).exp()
}

fn table(rows: &[Row]) -> String {
    let mut text = String::from(
        "Cells: mean delay in ms / concealed in % / J5 in ms; the default also with its 95 % delay and stretches a minute.\n\n\
         | trace | low | **balanced** | p95 | stretches | smooth | frozen | NetEq | stretches | oracle | once found | ours / oracle |\n\
         |---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    let cell = |f: &Figures| format!("{:.1} / {:.2} / {:.1}", f.mean_ms, f.concealed_pct, f.j5_ms);
    let nobody = || "–".to_owned();
    for row in rows {
        let [low, balanced, smooth, frozen] = &row.ours;
        let _ = writeln!(
            text,
            "| {} | {} | {} | {:.1} | {:.1} | {} | {} | {} | {} | {} | {} | {:.2} |",
            row.name,
            cell(low),
            cell(balanced),
            balanced.p95_ms,
            balanced.operations,
            cell(smooth),
            cell(frozen),
            row.others.map_or_else(nobody, |others| cell(&others.neteq)),
            row.others.map_or_else(nobody, |others| format!("{:.1}", others.neteq.operations)),
            cell(&row.oracle),
            row.others.map_or_else(nobody, |others| format!("{:.1}", others.oracle.j5_ms)),
            balanced.j5_ms / row.oracle.j5_ms,
        );
    }
    let _ = writeln!(text, "\nGeometric mean of J5 / oracle");
    let neteq = rows.iter().filter_map(|row| Some((row.others?.neteq, row.oracle)));
    if neteq.clone().next().is_some() {
        let _ = writeln!(text, "  NetEq     {:.3}", ratio(neteq));
    }
    for (n, profile) in PROFILES.iter().enumerate() {
        let average = |value: fn(&Figures) -> f64| mean(rows.iter().map(|row| value(&row.ours[n])));
        let _ = writeln!(
            text,
            "  {profile:<9} {:.3} · on average {:.1} ms, {:.3} % concealed, {:.1} stretches a minute",
            ratio(rows.iter().map(|row| (row.ours[n], row.oracle))),
            average(|f| f.mean_ms),
            average(|f| f.concealed_pct),
            average(|f| f.operations)
        );
    }
    text
}

fn goals(rows: &[(&Row, Others)]) -> Vec<Goal> {
    let all = |says, holds: &dyn Fn(&Row, Others) -> bool| {
        let broken = rows.iter().filter(|(row, others)| !holds(row, *others));
        let names: Vec<&str> = broken.map(|(row, _)| row.name.as_str()).collect();
        let found = match names.len() {
            0 => format!("{} of {}", rows.len(), rows.len()),
            _ => format!("not on {}", names.join(", ")),
        };
        Goal { says, found, holds: names.is_empty() }
    };
    let ours = |row: &Row| row.ours[DEFAULT];
    let geometric = ratio(rows.iter().map(|(row, _)| (ours(row), row.oracle)));
    let dominates = |(row, others): &&(&Row, Others)| {
        let smooth = row.ours[SMOOTH];
        smooth.mean_ms <= others.neteq.mean_ms && smooth.concealed_pct <= others.neteq.concealed_pct + 0.1
    };
    let dominated = rows.iter().filter(dominates).count();
    let mine = mean(rows.iter().map(|(row, _)| ours(row).operations));
    let theirs = mean(rows.iter().map(|(_, others)| others.neteq.operations));
    vec![
        all("J5 of the default is below NetEq's on every trace", &|row, others| ours(row).j5_ms < others.neteq.j5_ms),
        Goal {
            says: "geometric mean of J5 is at most 1.25 times the oracle's",
            found: format!("{geometric:.3}"),
            holds: geometric <= 1.25,
        },
        all("J5 is nowhere above 1.4 times the oracle's, or 10 ms more", &|row, _| {
            ours(row).j5_ms <= (1.4 * row.oracle.j5_ms).max(row.oracle.j5_ms + 10.0)
        }),
        Goal {
            says: "smooth is at or below NetEq in delay and in concealment (+0.1 %) on five traces of six",
            found: format!("{dominated} of {}", rows.len()),
            holds: dominated * 6 >= rows.len() * 5,
        },
        Goal {
            says: "fewer stretches than NetEq on average",
            found: format!("{mine:.1} a minute, NetEq {theirs:.1}"),
            holds: mine < theirs,
        },
        all("the oracle is within 1 % of what another program once found", &|row, others| {
            (row.oracle.j5_ms / others.oracle.j5_ms - 1.0).abs() < 0.01
        }),
        all("no profile does better than the oracle", &|row, _| {
            row.ours.iter().all(|figures| figures.j5_ms >= row.oracle.j5_ms)
        }),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::trace::frozen;
    use std::path::Path;

    const FROZEN: &str = "trace\talgorithm\tmean\tp95\tconcealed\tstretch\tJ5\n\
                          a\toracle-0.5pct\t10\t\t0.1\t\t15\n\
                          a\twebrtc-neteq\t20\t30\t0.2\t4\t30\n";

    fn figures(mean_ms: f64, concealed_pct: f64, operations: f64) -> Figures {
        Figures { mean_ms, p95_ms: mean_ms, concealed_pct, operations, j5_ms: mean_ms + 50.0 * concealed_pct }
    }

    fn row(of: Figures, oracle: Figures) -> Row {
        let trace = &frozen(FROZEN, Path::new("")).unwrap()[0];
        Row { name: trace.name.clone(), oracle, ours: [of; PROFILES.len()], others: Others::of(trace) }
    }

    fn verdicts(of: Figures, oracle: Figures) -> Vec<bool> {
        let row = row(of, oracle);
        goals(&[(&row, row.others.unwrap())]).iter().map(|goal| goal.holds).collect()
    }

    #[test]
    fn each_goal_can_be_missed() {
        let oracle = figures(10.0, 0.1, 0.0);
        assert_eq!(verdicts(figures(12.0, 0.1, 3.0), oracle), [true; 7]);
        assert_eq!(verdicts(figures(21.0, 0.2, 3.0), oracle), [false, false, false, false, true, true, true]);
        assert_eq!(verdicts(figures(15.0, 0.1, 3.0), oracle), [true, false, true, true, true, true, true]);
        assert_eq!(verdicts(figures(5.0, 0.31, 5.0), oracle), [true, false, true, false, false, true, true]);
        assert_eq!(verdicts(figures(9.0, 0.1, 3.0), oracle), [true, true, true, true, true, true, false]);
        assert_eq!(verdicts(figures(13.0, 0.1, 3.0), figures(11.0, 0.1, 0.0))[5..], [false, true]);
    }

    #[test]
    fn a_trace_that_nobody_else_played_has_a_row_without_them() {
        let mut own = row(figures(12.0, 0.1, 3.0), figures(10.0, 0.1, 0.0));
        own.others = None;
        let text = table(&[own]);
        assert!(text.contains("| – | – | 10.0 / 0.10 / 15.0 | – | 1.13 |") && !text.contains("NetEq  "), "{text}");
    }
}
