//! The program `soundpost-sim`: worlds in virtual time, from the command line.

use clap::{Parser, Subcommand};
use soundpost_sim::playout;
use std::process::ExitCode;

/// Worlds in virtual time.
#[derive(Debug, Parser)]
#[command(name = "soundpost-sim", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Play a recorded or modelled trace of packets, and say what was heard and how late.
    Playout(playout::Args),
}

fn main() -> ExitCode {
    let done = match Cli::parse().verb {
        Verb::Playout(args) => playout::main(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("soundpost-sim: {error}");
            ExitCode::FAILURE
        }
    }
}
