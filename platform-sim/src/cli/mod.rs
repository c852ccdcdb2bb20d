//! The command line: words in, words out, exit code 0 (good), 1 (a promise or a wish was broken) or 2 (wrong usage).

mod report;
mod run;
mod show;
mod swarm;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

const EXAMPLES: &str = "\
Examples:
  soundpost-sim list                                  what there is to run
  soundpost-sim run wifi-busy                         ten minutes of it, in a second
  soundpost-sim run wifi-busy --report wifi.html      and what it sounds and looks like
  soundpost-sim run my-office.toml --seed 7           a network of your own
  soundpost-sim swarm --minutes 2                     worlds drawn from seeds, until one breaks a promise
  soundpost-sim replay 81521                          that world again, line by line
  soundpost-sim shrink 81521                          the least of it that still breaks";

/// A virtual device, its network and its people: what will users hear?
#[derive(Debug, Parser)]
#[command(name = "soundpost-sim", version, after_help = EXAMPLES, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run a scenario.
    Run(run::Run),
    /// List the scenarios that come with the program.
    List(run::List),
    /// Run worlds drawn from seeds, until one breaks a promise or the time is over.
    Swarm(swarm::Swarm),
    /// Run the world of a seed again, line by line.
    Replay(swarm::Replay),
    /// Play a recorded or modelled trace of packets, and say what was heard and how late.
    Playout(crate::playout::Args),
    /// Find the least of a world that still breaks a promise.
    Shrink(swarm::Shrink),
    /// Make a page of what an earlier `run --json` printed.
    Report(report::Report),
}

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    let done = match Cli::parse().verb {
        Verb::Run(run) => run.run(),
        Verb::List(list) => list.run(),
        Verb::Swarm(swarm) => swarm.run(),
        Verb::Replay(replay) => replay.run(),
        Verb::Shrink(shrink) => shrink.run(),
        Verb::Playout(args) => crate::playout::main(&args).map(|()| true).map_err(Into::into),
        Verb::Report(report) => report.run(),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}
