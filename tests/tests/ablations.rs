//! What each mechanism of the playout is good for: without it, the real engine's J5 is worse on the traces named here.
//! `docs/playout.md` has the figures of all traces.

use soundpost_core::config::{Playout, Terms};
use soundpost_core::time::Span;
use soundpost_sim::playout::{Options, Outcome, run};
use soundpost_sim::trace::Trace;
use std::path::Path;

/// More than any delay.
const NEVER: Span = Span::from_millis(60_000);

fn play(name: &str, options: Options) -> Outcome {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("traces/{name}.csv.gz"));
    let outcome = run(&Trace::read(&file).expect("a trace of the repository"), &options);
    assert_eq!(outcome.misplaced, 0, "{outcome}");
    outcome
}

/// By how much J5 is worse without something: 1.1 is a tenth.
fn worse(name: &str, without: Options) -> f64 {
    let [with, without] = [Options::default(), without].map(|options| play(name, options));
    let ratio = without.j5_ms / with.j5_ms;
    println!("{name}: {:.1} ms, without it {:.1} ms, {ratio:.2} times as much", with.j5_ms, without.j5_ms);
    ratio
}

fn by(terms: Terms) -> Options {
    Options { terms: Some(terms), ..Options::default() }
}

fn all_worse(names: &[&str], without: Options, least: f64) {
    for name in names {
        let ratio = worse(name, without);
        assert!(ratio > least, "{name}: {ratio} times as much without it, expected above {least}");
    }
}

#[test]
fn without_waiting_for_late_packets_a_full_queue_costs_twice_as_much() {
    all_worse(&["bufferbloat-10", "bufferbloat-20"], by(Terms { slack: Span::ZERO, ..Playout::Balanced.terms() }), 2.0);
}

#[test]
fn without_the_grid_of_pulls_a_calm_network_costs_a_quarter_more() {
    let blind = Options { overlap_samples: 1, ..Options::default() };
    all_worse(&["drift+200-20", "drift-300-20", "lan-clean-20"], blind, 1.25);
}

#[test]
fn without_stretches_what_comes_in_heaps_costs_more() {
    let names = ["bufferbloat-10", "drift+300-jit-20", "wifi-contended-20"];
    all_worse(&names, by(Terms { stretches_per_minute: 0, ..Playout::Balanced.terms() }), 1.05);
}

#[test]
fn without_insertion_ahead_of_gaps_a_contended_network_costs_more() {
    all_worse(&["wifi-contended-20"], by(Terms { hazard: 1 << 16, ..Playout::Balanced.terms() }), 1.03);
}

#[test]
fn without_giving_delay_back_a_network_that_changes_costs_more() {
    all_worse(&["handover-20"], by(Terms { shrinks: false, ..Playout::Balanced.terms() }), 1.1);
}

/// Passing over what is lost makes no difference to J5 on any trace: it is there for what no trace has, loss while there
/// is far too much delay. If this fails, it has become better or worse than that.
#[test]
fn without_splices_no_trace_costs_noticeably_more_or_less() {
    for name in ["bufferbloat-10", "handover-20"] {
        let ratio = worse(name, by(Terms { splice: NEVER, ..Playout::Balanced.terms() }));
        assert!((0.99..1.01).contains(&ratio), "{name}: {ratio}");
    }
}

/// The zone in which delay is next to nothing buys fewer gaps, not a lower J5: that is what *smooth* has it for.
#[test]
fn without_the_free_zone_a_calm_network_has_gaps() {
    let terms = Playout::Smooth.terms();
    for name in ["lan-clean-10", "lan-clean-20"] {
        let with = play(name, by(terms));
        let without = play(name, by(Terms { calm_price: terms.price, ..terms }));
        println!("{with}{without}");
        assert!(with.events * 4 <= without.events, "{name}: {} gaps, without it {}", with.events, without.events);
        assert!(with.concealed_pct < 0.01, "{with}");
    }
}
