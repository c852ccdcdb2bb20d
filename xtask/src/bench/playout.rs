//! Playout on every trace and profile, beside what other players did on the same packets.
//!
//! The simulator plays each of `tests/traces/`; `frozen.tsv` there is what WebRTC's NetEq did, and the optimum that knows
//! the whole trace. Each goal is judged; one that does not hold fails the command.

use crate::steps::{self, cargo, root, succeed};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::thread;

const PROFILES: [&str; 4] = ["low", "balanced", "smooth", "frozen"];
const DEFAULT: usize = 1;
const SMOOTH: usize = 2;

/// What one player did on one trace.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Figures {
    mean_ms: f64,
    p95_ms: f64,
    concealed_pct: f64,
    operations: f64,
    j5_ms: f64,
}

/// A trace, what others did, and what each profile does.
#[derive(Debug, Default)]
struct Row {
    name: String,
    neteq: Figures,
    oracle: Figures,
    ours: [Figures; PROFILES.len()],
}

pub(super) fn run() -> Result<(), String> {
    succeed(cargo(["build", "--release", "-p", "soundpost-sim"]))?;
    let program = steps::target_dir()?.join("release/soundpost-sim");
    let traces = root().join("tests/traces");
    let text = std::fs::read_to_string(traces.join("frozen.tsv"))
        .map_err(|error| format!("cannot read tests/traces/frozen.tsv: {error}"))?;
    let mut rows = frozen(&text)?;
    let jobs: Vec<(usize, usize)> =
        (0..rows.len()).flat_map(|row| (0..PROFILES.len()).map(move |p| (row, p))).collect();
    let done = in_parallel(&jobs, |(row, profile)| {
        let trace = traces.join(format!("{}.csv.gz", rows[row].name));
        play(&program, &trace, PROFILES[profile])
    });
    for ((row, profile), figures) in jobs.into_iter().zip(done) {
        rows[row].ours[profile] = figures?;
    }
    println!("\n{}", table(&rows));
    let goals = goals(&rows);
    goals.iter().for_each(|goal| println!("{}  {}: {}", goal.verdict(), goal.says, goal.found));
    let broken = goals.iter().filter(|goal| !goal.holds).count();
    if broken == 0 { Ok(()) } else { Err(format!("{broken} of {} goals are not reached", goals.len())) }
}

/// Does every job, as many at once as there are processors; answers in the order of the jobs.
fn in_parallel<J: Copy + Sync, R: Send>(jobs: &[J], work: impl Fn(J) -> R + Sync) -> Vec<R> {
    let next = Mutex::new(jobs.iter().copied().enumerate());
    let results = Mutex::new(Vec::with_capacity(jobs.len()));
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let Some((n, job)) = next.lock().ok().and_then(|mut jobs| jobs.next()) else { return };
                    let result = work(job);
                    if let Ok(mut results) = results.lock() {
                        results.push((n, result));
                    }
                }
            });
        }
    });
    let mut results = results.into_inner().unwrap_or_default();
    results.sort_by_key(|(n, _)| *n);
    results.into_iter().map(|(_, result)| result).collect()
}

fn play(program: &Path, trace: &PathBuf, profile: &str) -> Result<Figures, String> {
    let mut command = Command::new(program);
    command.args(["playout", "--json", "--profile", profile, "--trace"]).arg(trace).stderr(Stdio::inherit());
    let output = command.output().map_err(|error| format!("cannot start {}: {error}", program.display()))?;
    if !output.status.success() {
        return Err(format!("`{}` failed ({})", steps::told(&command), output.status));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    if number(&text, "misplaced")? > 0.0 {
        return Err(format!("{}, {profile}: sound is not where the engine says it is", trace.display()));
    }
    Ok(Figures {
        mean_ms: number(&text, "mean_delay_ms")?,
        p95_ms: number(&text, "p95_delay_ms")?,
        concealed_pct: number(&text, "concealed_pct")?,
        operations: number(&text, "stretch_ops_per_min")?,
        j5_ms: number(&text, "j5_ms")?,
    })
}

/// The number of that name in a flat object of JSON.
fn number(json: &str, name: &str) -> Result<f64, String> {
    let value = json.split_once(&format!("\"{name}\":")).map(|(_, rest)| rest.split([',', '}']).next().unwrap_or(""));
    value.and_then(|value| value.trim().parse().ok()).ok_or_else(|| format!("no number `{name}` in {json}"))
}

/// The rows of the table of other players.
fn frozen(text: &str) -> Result<Vec<Row>, String> {
    let mut rows: BTreeMap<&str, Row> = BTreeMap::new();
    for line in text.lines().skip(1) {
        let cells: Vec<&str> = line.split('\t').collect();
        let [trace, player, numbers @ ..] = &cells[..] else { return Err(format!("frozen.tsv: {line:?}")) };
        let of = |n: usize| numbers.get(n).and_then(|cell| cell.parse().ok()).unwrap_or(0.0);
        let figures = Figures { mean_ms: of(0), p95_ms: of(1), concealed_pct: of(2), operations: of(3), j5_ms: of(4) };
        let row = rows.entry(trace).or_insert_with(|| Row { name: (*trace).to_owned(), ..Row::default() });
        match *player {
            "webrtc-neteq" => row.neteq = figures,
            "oracle-0.5pct" => row.oracle = figures,
            _ => {}
        }
    }
    let rows: Vec<Row> = rows.into_values().collect();
    let whole = rows.iter().all(|row| row.neteq.j5_ms > 0.0 && row.oracle.j5_ms > 0.0);
    if whole && !rows.is_empty() { Ok(rows) } else { Err("frozen.tsv lacks a player".to_owned()) }
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0), |(sum, count), value| (sum + value, count + 1));
    sum / f64::from(count.max(1))
}

/// Geometric mean of J5 beside the oracle's.
fn ratio(rows: &[Row], of: impl Fn(&Row) -> Figures) -> f64 {
    mean(rows.iter().map(|row| (of(row).j5_ms / row.oracle.j5_ms).ln())).exp()
}

fn table(rows: &[Row]) -> String {
    let mut text = String::from(
        "Cells: mean delay in ms / concealed in % / J5 in ms; the default also with its 95 % delay and stretches a minute.\n\n\
         | trace | low | **balanced** | p95 | stretches | smooth | frozen | NetEq | stretches | oracle J5 | ours / oracle |\n\
         |---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    let cell = |f: &Figures| format!("{:.1} / {:.2} / {:.1}", f.mean_ms, f.concealed_pct, f.j5_ms);
    for row in rows {
        let [low, balanced, smooth, frozen] = &row.ours;
        let _ = writeln!(
            text,
            "| {} | {} | {} | {:.1} | {:.1} | {} | {} | {} | {:.1} | {:.1} | {:.2} |",
            row.name,
            cell(low),
            cell(balanced),
            balanced.p95_ms,
            balanced.operations,
            cell(smooth),
            cell(frozen),
            cell(&row.neteq),
            row.neteq.operations,
            row.oracle.j5_ms,
            balanced.j5_ms / row.oracle.j5_ms,
        );
    }
    let _ = writeln!(text, "\nGeometric mean of J5 / oracle: NetEq {:.3}", ratio(rows, |row| row.neteq));
    for (n, profile) in PROFILES.iter().enumerate() {
        let average = |value: fn(&Figures) -> f64| mean(rows.iter().map(|row| value(&row.ours[n])));
        let _ = writeln!(
            text,
            "  {profile:<9} {:.3} · on average {:.1} ms, {:.3} % concealed, {:.1} stretches a minute",
            ratio(rows, |row| row.ours[n]),
            average(|f| f.mean_ms),
            average(|f| f.concealed_pct),
            average(|f| f.operations)
        );
    }
    text
}

/// What shall hold, and what was found.
#[derive(Debug)]
struct Goal {
    says: &'static str,
    found: String,
    holds: bool,
}

impl Goal {
    fn verdict(&self) -> &'static str {
        if self.holds { "PASS" } else { "FAIL" }
    }
}

fn goals(rows: &[Row]) -> Vec<Goal> {
    let names = |those: &[&Row]| those.iter().map(|row| row.name.as_str()).collect::<Vec<_>>().join(", ");
    let all = |says, broken: Vec<&Row>| Goal {
        says,
        found: if broken.is_empty() {
            format!("{} of {}", rows.len(), rows.len())
        } else {
            format!("not on {}", names(&broken))
        },
        holds: broken.is_empty(),
    };
    let ours = |row: &Row| row.ours[DEFAULT];
    let behind = rows.iter().filter(|row| ours(row).j5_ms >= row.neteq.j5_ms).collect();
    let far = |row: &&Row| ours(row).j5_ms > (1.4 * row.oracle.j5_ms).max(row.oracle.j5_ms + 10.0);
    let geometric = ratio(rows, ours);
    let dominates = |row: &&Row| {
        let smooth = row.ours[SMOOTH];
        smooth.mean_ms <= row.neteq.mean_ms && smooth.concealed_pct <= row.neteq.concealed_pct + 0.1
    };
    let dominated = rows.iter().filter(dominates).count();
    let (mine, theirs) =
        (mean(rows.iter().map(|row| ours(row).operations)), mean(rows.iter().map(|row| row.neteq.operations)));
    vec![
        all("J5 of the default is below NetEq's on every trace", behind),
        Goal {
            says: "geometric mean of J5 is at most 1.25 times the oracle's",
            found: format!("{geometric:.3}"),
            holds: geometric <= 1.25,
        },
        all("J5 is nowhere above 1.4 times the oracle's, or 10 ms more", rows.iter().filter(far).collect()),
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
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    const FROZEN: &str = "trace\talgorithm\tmean\tp95\tconcealed\tstretch\tJ5\n\
                          a\toracle-0.5pct\t10\t\t0.1\t\t15\n\
                          a\twebrtc-neteq\t20\t30\t0.2\t4\t30\n";

    fn figures(mean_ms: f64, concealed_pct: f64, operations: f64) -> Figures {
        Figures { mean_ms, p95_ms: mean_ms, concealed_pct, operations, j5_ms: mean_ms + 50.0 * concealed_pct }
    }

    fn verdicts(of: Figures) -> Vec<bool> {
        let mut rows = frozen(FROZEN).unwrap();
        rows[0].ours = [of; PROFILES.len()];
        goals(&rows).iter().map(|goal| goal.holds).collect()
    }

    #[test]
    fn each_goal_can_be_missed() {
        assert_eq!(verdicts(figures(12.0, 0.1, 3.0)), [true; 5]);
        assert_eq!(verdicts(figures(21.0, 0.2, 3.0)), [false, false, false, false, true]);
        assert_eq!(verdicts(figures(15.0, 0.1, 3.0)), [true, false, true, true, true]);
        assert_eq!(verdicts(figures(5.0, 0.31, 5.0)), [true, false, true, false, false]);
    }

    #[test]
    fn numbers_are_found_by_their_names() {
        assert_eq!(number("{\"p95_delay_ms\":3.5,\"j5_ms\":-4e2}", "j5_ms"), Ok(-400.0));
        assert!(number("{\"j_ms\":1}", "j5_ms").is_err());
    }

    #[test]
    fn jobs_are_all_done_and_answered_in_order() {
        let jobs: Vec<u32> = (0..100).collect();
        assert_eq!(in_parallel(&jobs, |n| n * 2), jobs.iter().map(|n| n * 2).collect::<Vec<_>>());
    }
}
