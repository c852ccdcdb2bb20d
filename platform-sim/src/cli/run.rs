//! `run` and `list`.

use super::report::Wanted;
use super::show::{Progress, summary};
use crate::scenario::{SHIPPED, Scenario};
use crate::units::Time;
use crate::world::{self, Codec, Options};
use clap::Args;
use std::error::Error;
use std::path::PathBuf;

/// What came of it, or why it could not be done.
pub(super) type Done = Result<bool, Box<dyn Error>>;

#[derive(Debug, Args)]
pub(super) struct Run {
    /// A scenario's name (see `list`), or a file.
    scenario: String,
    /// Decides about all chance; the same seed gives the same run [default: the scenario's, else 1].
    #[arg(long)]
    seed: Option<u64>,
    /// How much time to simulate, instead of what the scenario says: 90s, 10m, 1h.
    #[arg(long, value_name = "TIME")]
    duration: Option<Time>,
    /// marker (each sample says which one it is; judges know everything) or opus (real sound).
    #[arg(long, value_name = "CODEC")]
    codec: Option<String>,
    /// Print the outcome as JSON instead of a summary.
    #[arg(long)]
    json: bool,
    /// Print a line for everything of note.
    #[arg(long)]
    log: bool,
    /// Write a report: one page with plots, tables and what was heard.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Write what was heard, capture.wav and playback.wav, into this folder.
    #[arg(long, value_name = "FOLDER")]
    wav: Option<PathBuf>,
}

impl Run {
    pub(super) fn run(self) -> Done {
        let mut scenario = Scenario::find(&self.scenario)?;
        if let Some(duration) = self.duration {
            shorten(&mut scenario, duration);
        }
        let seed = self.seed.or(scenario.seed).unwrap_or(1);
        let command = self.command(seed);
        let codec = codec(self.codec.as_deref())?;
        let wanted = Wanted { report: self.report, wav: self.wav };
        if wanted.wav.is_some() && codec == Codec::Marker && self.codec.is_some() {
            return Err("--wav needs real sound, which the marker codec has not; leave out --codec".into());
        }
        wanted.prepare()?;
        let mut progress = Progress::new();
        let mut tell = |share: f64| progress.show("simulating", share);
        let mut print = |line: &str| println!("{line}");
        let options = Options {
            codec,
            log: self.log.then_some(&mut print as &mut dyn FnMut(&str)),
            progress: Some(&mut tell),
            keep_sound: codec != Codec::Marker && (wanted.report.is_some() || wanted.wav.is_some()),
        };
        let ran = world::run(&scenario, seed, options);
        progress.done();
        let (mut outcome, sounds) = ran?;
        outcome.command = command;
        let again =
            if self.codec.is_some() { Err("the marker codec was asked for, which has none") } else { Ok(&scenario) };
        wanted.write(&outcome, again, sounds)?;
        if self.json {
            println!("{}", serde_json::to_string_pretty(&outcome)?);
        } else {
            println!("{}", summary(&outcome));
        }
        Ok(outcome.is_good())
    }

    /// The words that give this run again.
    fn command(&self, seed: u64) -> String {
        let mut words = format!("soundpost-sim run {} --seed {seed}", quoted(&self.scenario));
        if let Some(duration) = self.duration {
            words += &format!(" --duration {duration}");
        }
        if let Some(codec) = &self.codec {
            words += &format!(" --codec {codec}");
        }
        words
    }
}

/// A word as a shell takes it for one.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./+".contains(c);
    if word.chars().all(plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', "'\\''")) }
}

/// Gives a scenario another length. What would happen later does not.
pub(super) fn shorten(scenario: &mut Scenario, duration: Time) {
    scenario.duration = duration;
    scenario.fault.retain(|fault| fault.at < duration);
    scenario.heal = scenario.heal.filter(|heal| *heal < duration);
}

/// A codec by its name.
pub(super) fn codec(name: Option<&str>) -> Result<Codec, String> {
    match name {
        None | Some("marker") => Ok(Codec::Marker),
        #[cfg(feature = "opus")]
        Some("opus") => Ok(Codec::Opus),
        #[cfg(not(feature = "opus"))]
        Some("opus") => {
            Err("--codec opus: this program was built without libopus (feature `opus`); marker is what there is"
                .to_owned())
        }
        Some(other) => Err(format!("--codec is {other:?}; marker and opus are allowed")),
    }
}

#[derive(Debug, Args)]
pub(super) struct List {
    /// Print the text of one, to begin a scenario of your own with.
    scenario: Option<String>,
}

impl List {
    pub(super) fn run(self) -> Done {
        if let Some(name) = self.scenario {
            let text = SHIPPED.iter().find(|(known, _)| *known == name).map(|(_, text)| text);
            print!(
                "{}",
                text.ok_or_else(|| format!("{name:?} is not among them; `soundpost-sim list` shows what is"))?
            );
            return Ok(true);
        }
        for (name, text) in SHIPPED {
            let scenario = Scenario::parse(name, text, None)?;
            println!("{name:<22} {:>5}  {}", scenario.duration.to_string(), scenario.about);
        }
        Ok(true)
    }
}
