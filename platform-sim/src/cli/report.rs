//! `report`, and the files that `run` writes: the page, and what was heard.

use super::run::Done;
use crate::outcome::Outcome;
use crate::report::{self, Audio, page, sound};
use crate::scenario::Scenario;
use crate::world::Sounds;
use clap::Args;
use std::error::Error;
use std::path::{Path, PathBuf};

/// Sound is run so many seconds longer than what is taken of it: what is under way then is played.
#[cfg(feature = "opus")]
const TAIL: f64 = 0.2;

#[derive(Debug, Args)]
pub(super) struct Report {
    /// What an earlier `run --json` printed.
    result: PathBuf,
    /// The page to write.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
}

impl Report {
    pub(super) fn run(self) -> Done {
        let outcome = report::read(&self.result)?;
        let wanted = Wanted { report: Some(self.output), wav: None };
        wanted.prepare()?;
        // Without the scenario there is a page all the same, without sound.
        let scenario = Scenario::parse(&self.result.display().to_string(), &outcome.scenario, None);
        let scenario = scenario.map_err(|why| format!("the scenario in it cannot be run again: {why}"));
        wanted.write(&outcome, scenario.as_ref().map_err(String::as_str), Sounds::default())?;
        Ok(true)
    }
}

/// Files to write.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    pub(super) report: Option<PathBuf>,
    pub(super) wav: Option<PathBuf>,
}

impl Wanted {
    /// Sees to it before a long run that what comes of it can be written.
    pub(super) fn prepare(&self) -> Result<(), String> {
        if let Some(path) = &self.report {
            let opened = std::fs::OpenOptions::new().append(true).create(true).open(path);
            opened.map_err(|error| format!("the report cannot be written to {}: {error}", path.display()))?;
        }
        if let Some(folder) = &self.wav {
            let made = std::fs::create_dir_all(folder);
            made.map_err(|error| format!("--wav: {} cannot be made: {error}", folder.display()))?;
        }
        Ok(())
    }

    /// Writes them. `sounds` are what was heard if that was kept; else the world is run again for it.
    pub(super) fn write(
        &self,
        outcome: &Outcome,
        scenario: Result<&Scenario, &str>,
        mut sounds: Sounds,
    ) -> Result<(), Box<dyn Error>> {
        let mut note = "It is the sound of this very run.".to_owned();
        let nothing_kept = sounds.capture.is_empty() && sounds.playback.is_empty();
        if nothing_kept && (self.report.is_some() || self.wav.is_some()) {
            let ran = scenario.map_err(str::to_owned).and_then(|scenario| self.sound(outcome, scenario));
            match ran {
                Ok(heard) => (sounds, note) = heard,
                Err(why) if self.wav.is_some() => return Err(format!("--wav: {why}").into()),
                Err(why) => note = format!("There is no sound in this report: {why}."),
            }
        }
        if let Some(folder) = &self.wav {
            write_wavs(folder, outcome, &sounds)?;
        }
        if let Some(path) = &self.report {
            let text = page::page(outcome, &audio(outcome, &sounds, note)?);
            std::fs::write(path, &text)
                .map_err(|error| format!("the report cannot be written to {}: {error}", path.display()))?;
            eprintln!("wrote {} ({:.1} MB)", path.display(), text.len() as f64 / 1e6);
        }
        Ok(())
    }

    /// Runs the world again with real sound, as far as is needed.
    #[cfg(feature = "opus")]
    fn sound(&self, outcome: &Outcome, scenario: &Scenario) -> Result<(Sounds, String), String> {
        use crate::cli::show::Progress;
        use crate::units::Time;
        use crate::world::{self, Codec, Options};
        if outcome.codec != Codec::Marker.name() {
            return Err(format!("only that of a run of its own would fit the {} codec", outcome.codec));
        }
        let mut scenario = scenario.clone();
        if self.wav.is_none() {
            let ways = [&outcome.capture, &outcome.playback];
            let ends = ways.into_iter().flatten().map(|way| sound::choose(way, outcome.duration_s).until);
            let until = ((ends.fold(0.0, f64::max) + TAIL) * 1000.0) as u64;
            let until = Time::ms(until).min(scenario.duration);
            super::run::shorten(&mut scenario, until);
        }
        let mut progress = Progress::new();
        let mut tell = |share: f64| progress.show("running it again for the sound", share);
        let options = Options { codec: Codec::Opus, progress: Some(&mut tell), keep_sound: true, ..Options::default() };
        let ran = world::run(&scenario, outcome.seed, options);
        progress.done();
        let (second, sounds) = ran?;
        let mut note =
            "The sound is that of a second run with the same seed and the Opus codec; the figures are those of \
                        the run with the marker codec, which alone tells exactly what was heard."
                .to_owned();
        if let Some(verdict) = second.verdicts.first().filter(|_| outcome.verdicts.is_empty()) {
            note = format!("{note} That second run broke a promise: {}.", verdict.words);
        }
        Ok((sounds, note))
    }

    #[cfg(not(feature = "opus"))]
    #[expect(clippy::unused_self, reason = "the same as with libopus")]
    fn sound(&self, _: &Outcome, _: &Scenario) -> Result<(Sounds, String), String> {
        Err("this program was built without libopus (feature `opus`)".to_owned())
    }
}

/// The clips of a page.
fn audio(outcome: &Outcome, sounds: &Sounds, note: String) -> Result<Audio, String> {
    let clip = |way: &Option<crate::outcome::Direction>, kept: &[i16]| {
        let way = way.as_ref().filter(|_| !kept.is_empty());
        way.map(|way| sound::clip(kept, way, sound::choose(way, outcome.duration_s))).transpose()
    };
    Ok(Audio {
        capture: clip(&outcome.capture, &sounds.capture)?,
        playback: clip(&outcome.playback, &sounds.playback)?,
        note,
    })
}

fn write_wavs(folder: &Path, outcome: &Outcome, sounds: &Sounds) -> Result<(), String> {
    let ways =
        [("capture.wav", &outcome.capture, &sounds.capture), ("playback.wav", &outcome.playback, &sounds.playback)];
    for (name, way, kept) in ways {
        let Some(way) = way else { continue };
        let path = folder.join(name);
        let bytes = sound::file(&sound::in_time(kept, &way.series, outcome.duration_s), sound::RATE)?;
        std::fs::write(&path, bytes).map_err(|error| format!("--wav: {}: {error}", path.display()))?;
        eprintln!("wrote {}", path.display());
    }
    Ok(())
}
