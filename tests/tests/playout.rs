//! Playout on traces, short: what `cargo xtask bench playout` shows in full is guarded here.

use soundpost_core::config::Playout;
use soundpost_sim::playout::{Options, Outcome, optimum, run};
use soundpost_sim::trace::Trace;
use std::path::{Path, PathBuf};

/// Traces, and the most that J5 may be on their first two minutes, in ms.
const GUARD: [(&str, f64); 5] = [
    ("lan-clean-20", 9.6),
    ("drift-300-20", 12.2),
    ("wifi-bad-20", 328.0),
    ("reorder-10", 39.2),
    ("bufferbloat-10", 145.0),
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("traces")
}

fn whole(name: &str) -> Trace {
    Trace::read(&folder().join(format!("{name}.csv.gz"))).expect("a trace of the repository")
}

fn trace(name: &str) -> Trace {
    whole(name).head(120)
}

fn play(name: &str, profile: Playout) -> Outcome {
    let outcome = run(&trace(name), &Options { profile, ..Options::default() });
    assert!(outcome.checked > 20 && outcome.misplaced == 0, "{outcome}");
    println!("{outcome}");
    outcome
}

#[test]
fn the_default_profile_costs_no_more_than_it_did_on_the_first_two_minutes() {
    // A tenth more than what was measured when this was written, and well below NetEq on the whole trace each time.
    for (name, most_j5_ms) in GUARD {
        let outcome = play(name, Playout::Balanced);
        assert!(outcome.j5_ms <= most_j5_ms, "{name}: {:.1} ms, at most {most_j5_ms} ms", outcome.j5_ms);
    }
}

#[test]
fn a_profile_moves_along_between_delay_and_gaps() {
    let [low, balanced, smooth] = [Playout::Low, Playout::Balanced, Playout::Smooth].map(|p| play("lte-20", p));
    assert!(low.mean_delay_ms < balanced.mean_delay_ms && balanced.mean_delay_ms < smooth.mean_delay_ms);
    assert!(low.concealed_pct > smooth.concealed_pct);
    let frozen = play("lte-20", Playout::Frozen);
    assert!(frozen.stretch_ops_per_min == 0.0 && frozen.concealed_pct <= balanced.concealed_pct, "{frozen}");
}

#[test]
fn other_periods_and_phases_do_as_well() {
    for (pull_us, phase_us) in [(2_667, 0), (5_000, 1_300), (10_000, 8_900), (20_000, 3_700)] {
        let options = Options { pull_us, phase_us, ..Options::default() };
        let outcome = run(&trace("wifi-contended-20"), &options);
        // A longer period costs up to one of its own.
        let most = 58.0 + f64::from(pull_us) / 1000.0;
        assert!(outcome.j5_ms < most, "{pull_us} us from {phase_us} us: {outcome}");
        assert_eq!(outcome.misplaced, 0, "{outcome}");
    }
}

/// Another program made the figures in that file.
#[test]
fn the_optimum_is_the_one_that_others_found() {
    let text = std::fs::read_to_string(folder().join("frozen.tsv")).expect("the table of other players");
    let found = |line: &str| {
        let cells: Vec<&str> = line.split('\t').collect();
        let number = |n: usize| cells[n].parse::<f64>().expect("a number");
        let known = (cells[1] == "oracle-0.5pct").then(|| [number(2), number(4), number(6)])?;
        Some((whole(cells[0]), known))
    };
    let found: Vec<_> = text.lines().skip(1).filter_map(found).collect();
    assert_eq!(found.len(), 24);
    for (trace, known) in found {
        let ours = optimum(&trace, &Options::default());
        for (ours, known) in [ours.mean_delay_ms, ours.concealed_pct, ours.j5_ms].into_iter().zip(known) {
            assert!((ours - known).abs() < 0.002, "{}: {ours}, and they have {known}", trace.name);
        }
    }
}

#[test]
fn nobody_does_better_than_the_optimum() {
    for (name, _) in GUARD {
        for (pull_us, phase_us) in [(2_667, 0), (5_000, 1_300), (10_000, 3_700)] {
            let options = Options { pull_us, phase_us, ..Options::default() };
            let least = optimum(&trace(name), &options);
            for profile in Playout::ALL {
                let outcome = run(&trace(name), &Options { profile, ..options });
                assert!(outcome.j5_ms > least.j5_ms, "pulls of {pull_us} us: {outcome}{least}");
            }
        }
    }
}
