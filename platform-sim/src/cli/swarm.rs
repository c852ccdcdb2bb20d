//! `swarm`, `replay` and `shrink`.

use super::run::Done;
use super::show::{Progress, length, summary};
use crate::scenario::Scenario;
use crate::swarm::{draw, hunt, shrink};
use crate::world::{self, Options};
use clap::Args;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

#[derive(Debug, Args)]
pub(super) struct Swarm {
    /// For how long, in real minutes.
    #[arg(long, default_value_t = 1.0)]
    minutes: f64,
    /// The first seed; those after it follow [default: from the clock, and printed].
    #[arg(long)]
    seed: Option<u64>,
}

impl Swarm {
    pub(super) fn run(self) -> Done {
        if !(self.minutes > 0.0 && self.minutes <= 10_000.0) {
            return Err(format!("--minutes is {}; more than 0 and up to 10000 are allowed", self.minutes).into());
        }
        let clock = || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(1, |t| t.as_secs());
        let first = self.seed.unwrap_or_else(|| clock() % 1_000_000 * 1_000_000);
        println!("swarm from seed {first}, {} min", self.minutes);
        let progress = Mutex::new(Progress::new());
        let tell = |worlds: u64, share: f64| {
            if let Ok(mut progress) = progress.lock() {
                progress.show(&format!("{worlds} worlds"), share.min(1.0));
            }
        };
        let hunt = hunt(first, Duration::from_secs_f64(self.minutes * 60.0), &tell);
        if let Ok(mut progress) = progress.lock() {
            progress.done();
        }
        println!("{} worlds, {} simulated", hunt.worlds, length(hunt.simulated_s));
        let Some(broken) = hunt.broken else {
            println!("every promise was kept");
            return Ok(true);
        };
        println!("\n{}", summary(&broken.outcome));
        println!("\nThe same again: soundpost-sim replay {0}\nThe least of it: soundpost-sim shrink {0}", broken.seed);
        Ok(false)
    }
}

/// A world: a swarm's seed, or a file.
fn world_of(name: &str) -> Result<(Scenario, u64), Box<dyn std::error::Error>> {
    if let Ok(seed) = name.parse() {
        return Ok((draw(seed), seed));
    }
    let scenario = Scenario::find(name)?;
    let seed = scenario.seed.unwrap_or(1);
    Ok((scenario, seed))
}

#[derive(Debug, Args)]
pub(super) struct Replay {
    /// A swarm's seed, or a scenario file.
    world: String,
}

impl Replay {
    pub(super) fn run(self) -> Done {
        let (scenario, seed) = world_of(&self.world)?;
        println!("{}", scenario.text());
        let mut print = |line: &str| println!("{line}");
        let options = Options { log: Some(&mut print), ..Options::default() };
        let (outcome, _) = world::run(&scenario, seed, options)?;
        println!("\n{}", summary(&outcome));
        Ok(outcome.is_good())
    }
}

#[derive(Debug, Args)]
pub(super) struct Shrink {
    /// A swarm's seed, or a scenario file.
    world: String,
    /// Where to write what is left [default: print it].
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Shrink {
    pub(super) fn run(self) -> Done {
        let (scenario, seed) = world_of(&self.world)?;
        let (outcome, _) = world::run(&scenario, seed, Options::default())?;
        let Some(verdict) = outcome.verdicts.first() else {
            println!("every promise was kept: there is nothing to shrink");
            return Ok(true);
        };
        eprintln!("{verdict}");
        let mut least = shrink(&scenario, seed, &verdict.judge, &mut |what| eprintln!("  {what}"));
        least.seed = Some(seed);
        let (outcome, _) = world::run(&least, seed, Options::default())?;
        let words = outcome.verdicts.first().map(ToString::to_string).unwrap_or_default();
        let text = format!("# {words}\n{}", least.text());
        match &self.output {
            Some(path) => std::fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))?,
            None => print!("{text}"),
        }
        Ok(false)
    }
}
