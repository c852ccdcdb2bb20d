//! Playout on traces: the real engine, in virtual time, on packets that came when a trace says.
//!
//! The method is that of `tests/traces/README.md`, so that figures can be put beside those of other players there. Delay
//! is the true one: from when what is heard was captured, by the position of the sound, which is compared with the
//! samples themselves wherever those tell where they are from.

mod oracle;
mod run;
mod sound;

pub use oracle::{Optimum, optimum};
pub use run::{Options, Outcome, Point, run};
pub use sound::Sound;

use crate::trace::{Trace, TraceError};
use soundpost_core::config::Playout;
use std::fmt;
use std::io::{self, Write};
use std::path::PathBuf;

/// Play a trace of packets.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The trace: .csv or .csv.gz, lines of seq,send_us,arr_us,talk.
    #[arg(long, value_name = "FILE")]
    trace: PathBuf,
    /// Playout profile: low, balanced, smooth or frozen.
    #[arg(long, default_value = "balanced", value_name = "PROFILE")]
    profile: Playout,
    /// Do not play it: say what the best is that anybody could do who knows the whole trace beforehand.
    #[arg(long, conflicts_with_all = ["profile", "csv"])]
    oracle: bool,
    /// Price of made-up sound in the cost J, in ms of delay.
    #[arg(long, default_value_t = 5_000.0, value_name = "MS", value_parser = ms::<0, 1_000_000>)]
    lambda: f64,
    /// Period at which the device asks for sound, in ms.
    #[arg(long, default_value_t = 10.0, value_name = "MS", value_parser = ms::<1, 20>)]
    pull: f64,
    /// Time of the first pull, in ms.
    #[arg(long, default_value_t = 3.7, value_name = "MS", value_parser = ms::<0, 1_000>)]
    phase: f64,
    /// Play only so many seconds of it.
    #[arg(long, value_name = "S")]
    seconds: Option<u32>,
    /// Print the figures as JSON.
    #[arg(long)]
    json: bool,
    /// Write the delay over time to this file.
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
}

/// Why nothing was played.
#[derive(Debug, thiserror::Error)]
pub enum PlayoutError {
    /// The trace.
    #[error(transparent)]
    Trace(#[from] TraceError),
    /// What should be written cannot be.
    #[error("{what}: {source}")]
    Write {
        /// What.
        what: String,
        /// Why.
        source: io::Error,
    },
    /// Never, unless there is a number that is none.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

fn ms<const MIN: u32, const MAX: u32>(text: &str) -> Result<f64, String> {
    let value = text.parse::<f64>().ok().filter(|ms| (f64::from(MIN)..=f64::from(MAX)).contains(ms));
    value.ok_or_else(|| format!("not a time; allowed: {MIN} to {MAX} ms"))
}

/// Plays what the command line says, and prints what was heard.
///
/// # Errors
/// [`PlayoutError`].
pub fn main(args: &Args) -> Result<(), PlayoutError> {
    let mut trace = Trace::read(&args.trace)?;
    if let Some(seconds) = args.seconds {
        trace = trace.head(seconds);
    }
    let micros = |ms: f64| (ms * 1000.0).round() as u32;
    let options = Options {
        profile: args.profile,
        lambda_ms: args.lambda,
        pull_us: micros(args.pull),
        phase_us: micros(args.phase),
        keep_course: args.csv.is_some(),
        ..Options::default()
    };
    if args.oracle {
        return print(&optimum(&trace, &options), args.json);
    }
    let outcome = run(&trace, &options);
    if let Some(path) = &args.csv {
        let failed = |source| PlayoutError::Write { what: path.display().to_string(), source };
        std::fs::write(path, course(&outcome)).map_err(failed)?;
    }
    print(&outcome, args.json)
}

fn print(figures: &(impl fmt::Display + serde::Serialize), json: bool) -> Result<(), PlayoutError> {
    let text = if json { serde_json::to_string(figures)? + "\n" } else { figures.to_string() };
    match io::stdout().write_all(text.as_bytes()) {
        Err(source) if source.kind() != io::ErrorKind::BrokenPipe => {
            Err(PlayoutError::Write { what: "standard output".to_owned(), source })
        }
        _ => Ok(()),
    }
}

/// The delay over time, as a table.
fn course(outcome: &Outcome) -> String {
    let mut text = String::from("at_ms,delay_ms,goal_ms,made_up_ms\n");
    let ms = |us: i64| us as f64 / 1000.0;
    for point in &outcome.course {
        let delay = point.delay_us.map_or_else(String::new, |us| ms(us).to_string());
        text += &format!("{},{delay},{},{}\n", ms(point.at_us), ms(point.goal_us), ms(point.made_up_us));
    }
    text
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} · {} · {:.0} s judged", self.trace, self.profile, self.judged_s)?;
        writeln!(f, "  delay      {:.1} ms on average, {:.1} ms at 95 %", self.mean_delay_ms, self.p95_delay_ms)?;
        writeln!(
            f,
            "  concealed  {:.3} % in {} events: {:.3} % lost, {:.3} % late",
            self.concealed_pct, self.events, self.lost_pct, self.late_pct
        )?;
        writeln!(f, "  stretched  {:.1} times a minute; drift {} ppm", self.stretch_ops_per_min, self.drift_ppm)?;
        writeln!(f, "  cost J5    {:.1} ms ({:.1} ms at the price asked for)", self.j5_ms, self.j_ms)?;
        writeln!(f, "  position   {} pulls compared with their sound, {} from elsewhere", self.checked, self.misplaced)
    }
}
