//! Every order of events: the lock-free parts on loom, and the proof that loom would notice.
//!
//! `RUSTFLAGS="--cfg loom" cargo test -p soundpost-core --release --test loom`; with `--cfg sectioned` as well, the
//! same models run on the words of a target without compare-and-swap. Each model is right in every order of events
//! and of memory that the language allows (up to the number of preemptions that it names), has more operations than
//! slots or copies, and has negative controls: the same model with something left out of every word has to fail.
#![cfg(loom)]

mod loom_latest;
mod loom_notice;
mod loom_pool;
mod loom_ring;

use soundpost_core::sync::model::{Weakness, weaken};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs `model` in every order of events with at most so many preemptions; any number of them if `None`.
fn holds(preemptions: Option<usize>, model: fn()) {
    weaken(Weakness::None);
    explore(preemptions, model);
}

/// Runs `model` with something left out; loom has to find an order of events that goes wrong, and say so in words that
/// hold `says`.
fn fails(weakness: Weakness, says: &str, model: fn()) {
    weaken(weakness);
    let found = catch_unwind(AssertUnwindSafe(|| explore(Some(3), model)));
    weaken(Weakness::None);
    let Err(panic) = found else { panic!("nothing was found with {weakness:?}") };
    let words = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
    let words = words.unwrap_or("(no words)");
    assert!(words.contains(says), "{weakness:?}: {words}");
}

fn explore(preemptions: Option<usize>, model: fn()) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = preemptions;
    builder.check(model);
}

/// What loom says when two threads reach a cell at once.
const RACE: &str = "Causality violation";
