//! Other players that anybody can have, built here and played on the same traces by the same method: the jitter buffer of
//! libspeexdsp, and the crate `neteq`, which is named after WebRTC's and is another one. `tests/peers` lets them play.

use super::trace::{Figures, Trace, in_parallel, play, traces};
use super::{Goal, verdict};
use crate::needs;
use crate::steps::{self, cargo, root, succeed};
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// Each, and how far its J5 may be from what another program once found. (The crate looks for pauses in the sound, and
/// what was said to it then is not known here.)
const PEERS: [(&str, f64); 2] = [("speexdsp", 0.02), ("neteq-crate", 0.10)];

/// What all of them do on a trace.
#[derive(Debug)]
struct Row<'a> {
    trace: &'a Trace,
    ours: Figures,
    peers: [Figures; PEERS.len()],
}

pub(super) fn run(named: &[PathBuf], yes: bool) -> Result<(), String> {
    needs::ensure_packages(&["pkg-config", "libspeexdsp-dev"], yes)?;
    succeed(cargo(["build", "--release", "-p", "soundpost-sim"]))?;
    let ours = steps::target_dir()?.join("release/soundpost-sim");
    let peers = build()?;
    let traces = traces(named)?;
    let rows = in_parallel(&traces.iter().collect::<Vec<_>>(), |trace| row(trace, &ours, &peers));
    let rows = rows.into_iter().collect::<Result<Vec<_>, _>>()?;
    println!("\n{}", table(&rows));
    verdict(&goals(&rows))
}

fn build() -> Result<PathBuf, String> {
    let folder = steps::target_dir()?.join("peers");
    let mut build = cargo(["build", "--release", "--locked", "--target-dir"]);
    build.arg(&folder).current_dir(root().join("tests/peers"));
    succeed(build)?;
    Ok(folder.join("release/soundpost-peers"))
}

fn row<'a>(trace: &'a Trace, ours: &Path, others: &Path) -> Result<Row<'a>, String> {
    let ours = play(ours, &["playout", "--json", "--trace"], &trace.file)?;
    let mut peers = [Figures::default(); PEERS.len()];
    for (figures, (name, _)) in peers.iter_mut().zip(PEERS) {
        *figures = play(others, &[name], &trace.file)?;
    }
    Ok(Row { trace, ours, peers })
}

fn table(rows: &[Row<'_>]) -> String {
    let mut text = String::from(
        "Cells: mean delay in ms / concealed in % / J5 in ms; *once found* is J5 as another program found it.\n\n\
         | trace | **balanced** | speexdsp | once found | crate `neteq` | once found |\n|---|--:|--:|--:|--:|--:|\n",
    );
    let cell = |f: &Figures| format!("{:.1} / {:.2} / {:.1}", f.mean_ms, f.concealed_pct, f.j5_ms);
    for row in rows {
        let _ = write!(text, "| {} | {} |", row.trace.name, cell(&row.ours));
        for (figures, (name, _)) in row.peers.iter().zip(PEERS) {
            let once = row.trace.of(name).map_or_else(|| "–".to_owned(), |once| format!("{:.1}", once.j5_ms));
            let _ = write!(text, " {} | {once} |", cell(figures));
        }
        text.push('\n');
    }
    text
}

fn goals(rows: &[Row<'_>]) -> Vec<Goal> {
    let behind = |row: &Row<'_>| row.ours.j5_ms - row.peers.iter().fold(f64::INFINITY, |j5, peer| peer.j5_ms.min(j5));
    let most = rows.iter().map(|row| (row.trace.name.as_str(), behind(row))).max_by(|a, b| a.1.total_cmp(&b.1));
    let below = rows.iter().filter(|row| behind(row) < 0.0).count();
    let (where_, most) = most.unwrap_or(("", 0.0));
    let mut goals = vec![Goal {
        says: "J5 of the default is nowhere more than 1 ms above the better of both",
        found: format!("below both on {below} of {}, at worst {most:+.1} ms ({where_})", rows.len()),
        holds: most <= 1.0,
    }];
    for (n, (name, tolerance)) in PEERS.into_iter().enumerate() {
        let off = |row: &Row<'_>| Some((row.peers.get(n)?.j5_ms / row.trace.of(name)?.j5_ms - 1.0).abs());
        let offs = rows.iter().filter_map(|row| Some((row.trace.name.as_str(), off(row)?)));
        let Some((where_, most)) = offs.max_by(|a, b| a.1.total_cmp(&b.1)) else { continue };
        goals.push(Goal {
            says: if n == 0 { "speexdsp does what it once did" } else { "the crate does about what it once did" },
            found: format!("J5 within {:.1} % ({where_})", 100.0 * most),
            holds: most <= tolerance,
        });
    }
    goals
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::trace::frozen;

    #[test]
    fn each_goal_can_be_missed_and_own_traces_have_only_the_first() {
        let text = "trace\talgorithm\tmean\tp95\tconcealed\tstretch\tJ5\n\
                    a\tspeexdsp\t10\t\t0.1\t\t20\na\tneteq-crate\t20\t30\t0.2\t4\t30\n";
        let known = &frozen(text, Path::new("")).unwrap()[0];
        let own = &Trace::default();
        let j5 = |j5_ms| Figures { j5_ms, ..Figures::default() };
        let verdicts = |trace, ours, speex, neteq| {
            let row = Row { trace, ours: j5(ours), peers: [j5(speex), j5(neteq)] };
            goals(&[row]).iter().map(|goal| goal.holds).collect::<Vec<_>>()
        };
        assert_eq!(verdicts(known, 15.0, 20.2, 32.0), [true, true, true]);
        assert_eq!(verdicts(known, 22.5, 21.0, 35.0), [false, false, false]);
        assert_eq!(verdicts(own, 15.0, 20.0, 30.0), [true]);
    }
}
