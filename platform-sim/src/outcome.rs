//! What came of a run: figures for machines, and for the report.

use crate::judge::Verdict;
use crate::judge::ear::{Ages, Heard};
use serde::{Deserialize, Serialize};

/// What came of a run.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Outcome {
    /// The scenario's title.
    pub title: String,
    /// What it is about.
    pub about: String,
    /// The words that give this run again, as a person types them. Filled in by who was given them.
    #[serde(default)]
    pub command: String,
    /// The scenario that was run, as a file has it: also what was changed on the command line.
    #[serde(default)]
    pub scenario: String,
    /// The seed.
    pub seed: u64,
    /// `marker` or `opus`.
    pub codec: String,
    /// Simulated seconds.
    pub duration_s: f64,
    /// What it took to simulate them, in seconds. Not part of what repeats itself.
    pub wall_s: f64,
    /// Events.
    pub events: u64,
    /// Equal for equal runs, on every machine.
    pub trace_hash: String,
    /// Milliseconds of sound in a packet.
    pub frame_ms: f64,
    /// Promises that were broken.
    pub verdicts: Vec<Verdict>,
    /// What the scenario asks for, and what came of that.
    pub expectations: Vec<Expectation>,
    /// From the device to the first listener.
    pub capture: Option<Direction>,
    /// From the talker to the device.
    pub playback: Option<Direction>,
    /// What happened.
    pub faults: Vec<Mark>,
    /// All listeners together.
    pub crowd: Crowd,
}

impl Outcome {
    /// Whether all promises were kept and the scenario's wishes met.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.verdicts.is_empty() && self.expectations.iter().all(|expectation| expectation.met)
    }
}

/// What a scenario asks for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Expectation {
    /// Of which direction.
    pub direction: String,
    /// What.
    pub what: String,
    /// The most that is allowed.
    pub at_most: f64,
    /// What there was.
    pub got: f64,
    /// In what.
    pub unit: String,
    /// Whether that is met.
    pub met: bool,
}

/// Something that happened.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Mark {
    /// From.
    pub at_s: f64,
    /// To; the same for what takes no time.
    pub until_s: f64,
    /// What.
    pub words: String,
    /// In which direction it is felt: `capture`, `playback` or `both`.
    pub direction: String,
}

/// All listeners together, in packets.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Crowd {
    /// Listeners that there ever were.
    pub listeners: u64,
    /// Packets that there were for them.
    pub offered: u64,
    /// Dropped because one did not keep up.
    pub dropped: u64,
    /// Lost on the way.
    pub lost: u64,
    /// Delivered.
    pub got: u64,
}

/// How old sound was when it was heard, from the microphone to the ear, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Delay {
    /// On average.
    pub mean: f64,
    /// Half of it was no older.
    pub p50: f64,
    /// 95 % of it.
    pub p95: f64,
    /// 99 % of it.
    pub p99: f64,
}

impl Delay {
    /// Of these ages.
    #[must_use]
    pub fn of(ages: &Ages) -> Self {
        let at = |percent| ages.percentile_ms(percent).unwrap_or_default();
        Self { mean: ages.mean_ms().unwrap_or_default(), p50: at(50.0), p95: at(95.0), p99: at(99.0) }
    }
}

/// Where the delay comes from, on average, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Stages {
    /// Gathering the frame, with the device's period and its wake-up.
    pub gather: f64,
    /// The network.
    pub network: f64,
    /// Waiting to be played.
    pub wait: f64,
    /// The device's queue.
    pub device: f64,
}

/// One direction.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Direction {
    /// How old sound was.
    pub delay: Delay,
    /// Where that comes from.
    pub stages: Stages,
    /// What was heard, in samples.
    pub heard: Heard,
    /// What was not real sound, of all that was heard since the first of it, in percent.
    pub not_real_percent: f64,
    /// Restarts of the worker.
    pub restarts: u64,
    /// Times that the supervisor gave up.
    pub gave_up: u64,
    /// What the player counted, since its process began.
    pub counted: Counted,
    /// Over time.
    pub series: Vec<Point>,
    /// The network: packets sent, lost, doubled, garbled.
    pub link: [u64; 4],
    /// What was sent twice.
    pub repeats: Repeats,
    /// Presets that the governor changed to.
    #[serde(default)]
    pub turns: Vec<Turn>,
}

/// Another preset, by decision of the governor.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Turn {
    /// When, in seconds.
    pub at_s: f64,
    /// Which.
    pub quality: String,
    /// Why.
    pub reason: String,
}

/// What was sent twice, because of loss.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repeats {
    /// Bytes of packets, headers included, each once.
    pub bytes: u64,
    /// Packets that brought a copy of the one before along.
    pub copies: u64,
    /// Bytes in these copies.
    pub copied_bytes: u64,
    /// Times that another loss was prepared for than before.
    pub changes: u64,
}

/// What a player counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    /// Packets taken.
    pub packets: u64,
    /// Packets that came after their time.
    pub late: u64,
    /// Packets that came twice.
    pub duplicates: u64,
    /// Packets that did not make it, for whatever reason.
    pub dropped: u64,
    /// Packets that could not be decoded.
    pub decode_errors: u64,
    /// Times that the stream time jumped.
    pub resyncs: u64,
    /// Times that the device ran dry.
    pub xruns: u64,
    /// Samples of lost packets that were played from copies.
    pub copied: u64,
    /// Copies that nobody needed.
    pub spare_copies: u64,
}

/// A moment of a direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Its end, in seconds.
    pub t: f64,
    /// Age of what was heard: least, mean and most; nothing if nothing was.
    pub delay: Option<[f64; 3]>,
    /// What packets took: mean and most.
    pub network: Option<[f64; 2]>,
    /// Delay that the player aims at, beyond what the network takes.
    pub target: f64,
    /// Delay that it holds.
    pub depth: f64,
    /// Share of the time that was made up, in percent.
    pub concealed: f64,
    /// Share of the time that was silent although it should not be, in percent.
    pub silent: f64,
    /// Seconds of sound that came out of the speaker since the beginning, whatever it was: fewer than there were if it
    /// was away.
    #[serde(default)]
    pub sounded: f64,
    /// How fast the sender's clock is against the receiver's, in parts per million: as it is.
    pub drift: f64,
    /// Restarts so far.
    pub restarts: u64,
    /// Whether somebody plays.
    pub up: bool,
    /// The preset, from 0 (low) to 3 (ultra).
    #[serde(default)]
    pub quality: u8,
}
