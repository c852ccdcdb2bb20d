//! Traces, and what players did on them: figures that are read from what programs print, and those that were written
//! down once.

use crate::steps::{self, root};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::thread;

/// What one player did on one trace.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Figures {
    pub(super) mean_ms: f64,
    pub(super) p95_ms: f64,
    pub(super) concealed_pct: f64,
    pub(super) operations: f64,
    pub(super) j5_ms: f64,
}

/// A trace, and what others did on it.
#[derive(Debug, Default)]
pub(super) struct Trace {
    pub(super) name: String,
    pub(super) file: PathBuf,
    /// By their names; of a trace that is not of the repository there are none.
    pub(super) frozen: BTreeMap<String, Figures>,
}

/// Those that were named, or else those of the repository.
pub(super) fn traces(named: &[PathBuf]) -> Result<Vec<Trace>, String> {
    if !named.is_empty() {
        let own = |file: &PathBuf| Trace { name: stem(file), file: file.clone(), frozen: BTreeMap::new() };
        return Ok(named.iter().map(own).collect());
    }
    let folder = root().join("tests/traces");
    let text = std::fs::read_to_string(folder.join("frozen.tsv"))
        .map_err(|error| format!("cannot read tests/traces/frozen.tsv: {error}"))?;
    frozen(&text, &folder)
}

fn stem(file: &Path) -> String {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    name.trim_end_matches(".gz").trim_end_matches(".csv").to_owned()
}

/// The table of other players.
pub(super) fn frozen(text: &str, folder: &Path) -> Result<Vec<Trace>, String> {
    let mut traces: BTreeMap<&str, Trace> = BTreeMap::new();
    for line in text.lines().skip(1) {
        let cells: Vec<&str> = line.split('\t').collect();
        let [name, player, numbers @ ..] = &cells[..] else { return Err(format!("frozen.tsv: {line:?}")) };
        let of = |n: usize| numbers.get(n).and_then(|cell| cell.parse().ok()).unwrap_or(0.0);
        let figures = Figures { mean_ms: of(0), p95_ms: of(1), concealed_pct: of(2), operations: of(3), j5_ms: of(4) };
        let file = folder.join(format!("{name}.csv.gz"));
        let new = || Trace { name: (*name).to_owned(), file, ..Trace::default() };
        traces.entry(name).or_insert_with(new).frozen.insert((*player).to_owned(), figures);
    }
    if traces.is_empty() { Err("frozen.tsv is empty".to_owned()) } else { Ok(traces.into_values().collect()) }
}

impl Trace {
    /// What a player of that name did, if it is known.
    pub(super) fn of(&self, player: &str) -> Option<Figures> {
        self.frozen.get(player).copied()
    }
}

/// Lets a program play a trace, and reads the figures that it prints as JSON; those that it has none of are zero.
pub(super) fn play(program: &Path, arguments: &[&str], trace: &Path) -> Result<Figures, String> {
    let mut command = Command::new(program);
    command.args(arguments).arg(trace).stderr(Stdio::inherit());
    let output = command.output().map_err(|error| format!("cannot start {}: {error}", program.display()))?;
    if !output.status.success() {
        return Err(format!("`{}` failed ({})", steps::told(&command), output.status));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    if number(&text, "misplaced").is_ok_and(|misplaced| misplaced > 0.0) {
        return Err(format!("`{}`: sound is not where the engine says it is", steps::told(&command)));
    }
    Ok(Figures {
        mean_ms: number(&text, "mean_delay_ms")?,
        p95_ms: number(&text, "p95_delay_ms").unwrap_or(0.0),
        concealed_pct: number(&text, "concealed_pct")?,
        operations: number(&text, "stretch_ops_per_min").unwrap_or(0.0),
        j5_ms: number(&text, "j5_ms")?,
    })
}

/// The number of that name in a flat object of JSON.
fn number(json: &str, name: &str) -> Result<f64, String> {
    let value = json.split_once(&format!("\"{name}\":")).map(|(_, rest)| rest.split([',', '}']).next().unwrap_or(""));
    value.and_then(|value| value.trim().parse().ok()).ok_or_else(|| format!("no number `{name}` in {json}"))
}

/// Does every job, as many at once as there are processors; answers in the order of the jobs.
pub(super) fn in_parallel<J: Copy + Sync, R: Send>(jobs: &[J], work: impl Fn(J) -> R + Sync) -> Vec<R> {
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

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn traces_of_the_repository_come_with_what_others_did_and_own_ones_by_name() {
        let all = traces(&[]).unwrap();
        assert_eq!(all.len(), 24);
        assert!(all.iter().all(|trace| trace.file.exists() && trace.of("webrtc-neteq").is_some()));
        let own = traces(&["some/home-20.csv.gz".into()]).unwrap();
        assert_eq!((own[0].name.as_str(), own[0].of("webrtc-neteq")), ("home-20", None));
    }
}
