//! `soundpost config`: what would be used, and where each value comes from.

use super::told::Told;
use super::{Outcome, print};
use crate::configuration::page;
use clap::Args;

/// Print the configuration that `soundpost run` would use with the same options, and where each value comes from.
#[derive(Debug, Args)]
pub(super) struct Config {
    /// Print a file with every key, its default and what it does instead.
    #[arg(long)]
    example: bool,
    #[command(flatten)]
    told: Told,
}

impl Config {
    pub(super) fn run(&self) -> Outcome {
        let text = if self.example { page::example() } else { self.told.live()?.effective().text() };
        print(&text)?;
        Ok(())
    }
}
