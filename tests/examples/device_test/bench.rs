//! A board with the daemon's log and a few habits: sounds go there as WAV files, figures come back as JSON.

use std::error::Error;
use std::fs;
use std::io::{self, Cursor};
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use soundpost_tests::guest::Guest;
use soundpost_tests::{speech, wav};

const PRELUDE: &str = include_str!("bench.sh");

const SENTENCES: &str = "The birch canoe slid on the smooth planks. Glue the sheet to the dark blue background. \
    It's easy to tell the depth of a well. These days a chicken leg is a rare dish. Rice is often served in round \
    bowls. The juice of lemons makes fine punch.";

/// See the module.
pub(crate) struct Bench {
    pub(crate) guest: Guest,
    /// How long the soak is to be.
    pub(crate) soak: Duration,
    name: &'static str,
    folder: PathBuf,
}

impl Bench {
    pub(crate) fn new(
        name: &'static str,
        mut guest: Guest,
        folder: PathBuf,
        soak: Duration,
    ) -> Result<Self, Box<dyn Error>> {
        guest.put("/tmp/bench.sh", PRELUDE.as_bytes())?;
        guest.run("mkdir -p /run/soundpost")?;
        Ok(Self { guest, soak, name, folder })
    }

    /// Tells how it goes.
    pub(crate) fn say(&self, words: &str) {
        println!("{:<8} {}", self.name, words.trim_end().replace('\n', "\n           "));
    }

    /// Runs a script with the prelude's functions.
    pub(crate) fn run(&mut self, script: &str) -> io::Result<String> {
        self.guest.run(&format!(". /tmp/bench.sh\n{script}"))
    }

    /// Puts a recording there.
    pub(crate) fn put_wav(&mut self, path: &str, signal: &[f32]) -> Result<(), Box<dyn Error>> {
        let mut bytes = Cursor::new(Vec::new());
        let mut writer = hound::WavWriter::new(&mut bytes, wav::MONO)?;
        for sample in speech::to_i16(signal) {
            writer.write_sample(sample)?;
        }
        writer.finalize()?;
        Ok(self.guest.put(path, &bytes.into_inner())?)
    }

    /// The first channel of a recording that was made there; a copy stays in the folder.
    pub(crate) fn get_wav(&mut self, path: &str) -> Result<Vec<f32>, Box<dyn Error>> {
        let bytes = self.guest.get(path)?;
        fs::write(self.folder.join(path.rsplit('/').next().unwrap_or(path)), &bytes)?;
        first_channel(&bytes)
    }

    /// A recording that QEMU made here.
    pub(crate) fn wav_here(&self, name: &str) -> Result<Vec<f32>, Box<dyn Error>> {
        first_channel(&fs::read(self.folder.join(name))?)
    }

    /// Keeps a recording that QEMU made here under another name.
    pub(crate) fn keep(&self, name: &str, as_name: &str) -> io::Result<()> {
        fs::copy(self.folder.join(name), self.folder.join(as_name)).map(|_| ())
    }

    /// The JSON in a file that was written there; a copy stays in the folder.
    pub(crate) fn json(&mut self, path: &str) -> Result<Value, Box<dyn Error>> {
        let text = self.guest.get(path)?;
        fs::write(self.folder.join(path.rsplit('/').next().unwrap_or(path)), &text)?;
        serde_json::from_slice(&text)
            .map_err(|error| format!("{path}: {error}: {}", String::from_utf8_lossy(&text)).into())
    }

    /// Leaves the logs in the folder.
    pub(crate) fn keep_logs(&mut self) {
        let kernel = ("kernel.log", "dmesg".to_owned());
        let ours = ["daemon.log", "listen.log", "talk.log", "aplay.log"].map(|name| (name, format!("cat /tmp/{name}")));
        for (name, script) in ours.into_iter().chain([kernel]) {
            // Not every test has every log.
            if let Ok(text) = self.guest.run(&script) {
                // If that cannot be written, the table still tells.
                let _ = fs::write(self.folder.join(name), text);
            }
        }
    }
}

/// Speech for so many seconds.
pub(crate) fn sentences(seconds: f64) -> Vec<f32> {
    speech::speech(SENTENCES, seconds)
}

fn first_channel(wav: &[u8]) -> Result<Vec<f32>, Box<dyn Error>> {
    let mut reader = hound::WavReader::new(wav)?;
    let channels = usize::from(reader.spec().channels);
    // A program that was ended has not counted what it wrote: what is there counts.
    let samples: Vec<i16> = reader.samples::<i16>().map_while(Result::ok).collect();
    Ok(samples.chunks_exact(channels).map(|frame| f32::from(frame[0]) / 32_768.0).collect())
}

/// A whole number in a report.
pub(crate) fn count(report: &Value, path: &str) -> u64 {
    report.pointer(path).and_then(Value::as_u64).unwrap_or(u64::MAX)
}

/// A number in a report; not a number if it is not there.
pub(crate) fn figure(report: &Value, path: &str) -> f64 {
    report.pointer(path).and_then(Value::as_f64).unwrap_or(f64::NAN)
}
