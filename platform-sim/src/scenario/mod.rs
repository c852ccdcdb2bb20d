//! Scenarios: a device, its network and its day, as a file.

mod fault;

pub use fault::{Fault, Kind, Part};

use crate::model::source::Sound;
use crate::units::{Kbps, Percent, Ppm, Time};
use serde::{Deserialize, Serialize};
use soundpost_core::config::{FrameLen, Quality};
use std::path::{Path, PathBuf};

/// The scenarios that come with the program: name and text.
pub const SHIPPED: &[(&str, &str)] = &[
    ("clean-lan", include_str!("../../scenarios/clean-lan.toml")),
    ("wifi-busy", include_str!("../../scenarios/wifi-busy.toml")),
    ("lte", include_str!("../../scenarios/lte.toml")),
    ("handover", include_str!("../../scenarios/handover.toml")),
    ("satellite", include_str!("../../scenarios/satellite.toml")),
    ("drifting-clocks", include_str!("../../scenarios/drifting-clocks.toml")),
    ("hdmi-mode-change", include_str!("../../scenarios/hdmi-mode-change.toml")),
    ("usb-replug", include_str!("../../scenarios/usb-replug.toml")),
    ("worker-crash-loop", include_str!("../../scenarios/worker-crash-loop.toml")),
    ("cpu-starvation", include_str!("../../scenarios/cpu-starvation.toml")),
    ("memory-pressure", include_str!("../../scenarios/memory-pressure.toml")),
    ("fifty-listeners", include_str!("../../scenarios/fifty-listeners.toml")),
    ("mute-switch", include_str!("../../scenarios/mute-switch.toml")),
    ("bad-transport", include_str!("../../scenarios/bad-transport.toml")),
    ("bandwidth-drop", include_str!("../../scenarios/bandwidth-drop.toml")),
    ("loss-that-is-not-ours", include_str!("../../scenarios/loss-that-is-not-ours.toml")),
    ("recorded-link", include_str!("../../scenarios/recorded-link.toml")),
    ("day-in-the-life", include_str!("../../scenarios/day-in-the-life.toml")),
];

/// A world and what happens in it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Scenario {
    /// What it is called.
    pub title: String,
    /// What it is about, for people.
    #[serde(default)]
    pub about: String,
    /// How long it lasts.
    pub duration: Time,
    /// Which seed shows what it is about, if not every one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// From then on nothing is wrong any more, and everything must come back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heal: Option<Time>,
    /// The preset that both directions are coded with.
    #[serde(default, with = "quality")]
    pub preset: Quality,
    /// Sound in a packet, if it is not the preset's.
    #[serde(default, with = "frame", skip_serializing_if = "Option::is_none")]
    pub frame: Option<FrameLen>,
    /// Whether loss is answered by sending twice.
    #[serde(default, skip_serializing_if = "is_default")]
    pub redundancy: Redundancy,
    /// Whether the preset follows the network and the processor, and is the best that may be used.
    #[serde(default, skip_serializing_if = "is_default")]
    pub govern: bool,
    /// What is to be heard, where sound is real.
    #[serde(default, skip_serializing_if = "is_default")]
    pub sound: Sound,
    /// The device's sound card, capturing.
    #[serde(default, skip_serializing_if = "is_default")]
    pub microphone: Card,
    /// The device's sound card, playing.
    #[serde(default, skip_serializing_if = "is_default")]
    pub speaker: Card,
    /// How late things wake up on the device.
    #[serde(default, skip_serializing_if = "is_default")]
    pub host: Machine,
    /// Who listens. The first one's ears are the judges'.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub listener: Vec<Listener>,
    /// Who talks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub talker: Option<Talker>,
    /// What happens.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fault: Vec<Fault>,
    /// What must come of it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub expect: Expect,
}

/// What is done about loss.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Redundancy {
    /// It is reported, and then packets bring copies along, as long as that is worth it.
    #[default]
    Adaptive,
    /// Nothing.
    None,
}

/// A sound card.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Card {
    /// How fast its clock is, in parts per million.
    #[serde(skip_serializing_if = "is_default")]
    pub drift: Ppm,
    /// How much that wanders in a second, in parts per million.
    #[serde(skip_serializing_if = "is_default")]
    pub wander: Ppm,
    /// It says how far it is in steps of so long.
    #[serde(skip_serializing_if = "is_default")]
    pub grain: Time,
}

/// Lateness.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Machine {
    /// Mean lateness of audio threads.
    pub audio: Time,
    /// Mean lateness of everything else.
    pub io: Time,
}

impl Default for Machine {
    /// What a small board without other work does.
    fn default() -> Self {
        Self { audio: "60us".parse().unwrap_or_default(), io: "150us".parse().unwrap_or_default() }
    }
}

/// Somebody who listens, or several like that.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Listener {
    /// How many of the kind.
    pub count: u32,
    /// Their sound card.
    #[serde(skip_serializing_if = "is_default")]
    pub card: Card,
    /// What lies between.
    #[serde(skip_serializing_if = "is_default")]
    pub link: Link,
}

impl Default for Listener {
    fn default() -> Self {
        Self { count: 1, card: Card::default(), link: Link::default() }
    }
}

/// Somebody who talks.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Talker {
    /// Their sound card.
    #[serde(skip_serializing_if = "is_default")]
    pub card: Card,
    /// What lies between.
    #[serde(skip_serializing_if = "is_default")]
    pub link: Link,
}

/// A network in one direction.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Link {
    /// The least time from end to end.
    #[serde(skip_serializing_if = "is_default")]
    pub delay: Time,
    /// Mean of what comes on top.
    #[serde(skip_serializing_if = "is_default")]
    pub jitter: Time,
    /// Percent of packets that are lost, each by itself.
    #[serde(skip_serializing_if = "is_default")]
    pub loss: Percent,
    /// Times in which nearly everything is lost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bursts: Option<Spell>,
    /// Times in which nothing moves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stalls: Option<Spell>,
    /// Percent of packets that are overtaken.
    #[serde(skip_serializing_if = "is_default")]
    pub reorder: Percent,
    /// Percent of packets that come twice.
    #[serde(skip_serializing_if = "is_default")]
    pub duplicate: Percent,
    /// Percent of packets with a byte wrong.
    #[serde(skip_serializing_if = "is_default")]
    pub corrupt: Percent,
    /// Kilobits that go through in a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bandwidth: Option<Kbps>,
    /// How long a packet may wait for that.
    #[serde(skip_serializing_if = "is_default")]
    pub queue: Time,
    /// A recorded link: a file next to the scenario, or one of those that come with the sources, by its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace: Option<PathBuf>,
}

/// Something that comes and goes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Spell {
    /// Mean time from one to the next.
    pub every: Time,
    /// Mean length.
    pub lasts: Time,
}

/// What must come of it; what is not said is not asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Expect {
    /// The most that is not real sound, in percent of the time, in either direction.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_real: Option<Percent>,
    /// The most that sound is old when it is heard, on average.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean_delay: Option<Time>,
    /// The most that 95 % of it is old.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p95_delay: Option<Time>,
    /// The most restarts of workers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restarts: Option<u32>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

mod quality {
    use super::Quality;
    use serde::{Deserialize, Deserializer, Serializer, de};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
    pub(super) fn serialize<S: Serializer>(quality: &Quality, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(quality.name())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Quality, D::Error> {
        String::deserialize(from)?.parse().map_err(de::Error::custom)
    }
}

mod frame {
    use super::FrameLen;
    use serde::{Deserialize, Deserializer, Serializer, de};

    #[expect(clippy::ref_option, clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
    pub(super) fn serialize<S: Serializer>(frame: &Option<FrameLen>, to: S) -> Result<S::Ok, S::Error> {
        match frame {
            Some(frame) => to.collect_str(frame),
            None => to.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<FrameLen>, D::Error> {
        String::deserialize(from)?.parse().map(Some).map_err(de::Error::custom)
    }
}

/// Why a scenario cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// There is none of that name, and no file.
    #[error("{name:?} is neither a scenario that comes with the program ({known}) nor a file: {why}")]
    Unknown {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
        /// What the system says.
        why: std::io::Error,
    },
    /// What is in it; line, key and what is allowed are in the text.
    #[error("{name}: {why}")]
    Text {
        /// Which scenario.
        name: String,
        /// What is wrong.
        why: String,
    },
}

impl Scenario {
    /// The scenario of that name, or in that file.
    ///
    /// # Errors
    /// [`ScenarioError`].
    pub fn find(name: &str) -> Result<Self, ScenarioError> {
        if let Some((_, text)) = SHIPPED.iter().find(|(known, _)| *known == name) {
            return Self::parse(name, text, None);
        }
        let path = Path::new(name);
        let text = std::fs::read_to_string(path).map_err(|why| {
            let known: Vec<_> = SHIPPED.iter().map(|(name, _)| *name).collect();
            ScenarioError::Unknown { name: name.to_owned(), known: known.join(", "), why }
        })?;
        Self::parse(name, &text, path.parent())
    }

    /// Reads a text that came from `name`. Traces are looked for in `folder`.
    ///
    /// # Errors
    /// [`ScenarioError`].
    pub fn parse(name: &str, text: &str, folder: Option<&Path>) -> Result<Self, ScenarioError> {
        let wrong = |why: String| ScenarioError::Text { name: name.to_owned(), why };
        let mut this: Self = toml::from_str(text).map_err(|error| wrong(error.to_string()))?;
        let at = |key: &str| {
            let line = text.lines().position(|line| line.contains(key));
            line.map_or(String::new(), |line| format!("line {}: ", line + 1))
        };
        if this.duration.0.as_micros() < 1_000_000 {
            return Err(wrong(format!("{}duration is {}; at least 1s is needed", at("duration"), this.duration)));
        }
        if let Some(heal) = this.heal.filter(|heal| *heal >= this.duration) {
            let place = at("heal");
            return Err(wrong(format!("{place}heal is {heal}; it must be before the end at {}", this.duration)));
        }
        if let Some(late) = this.fault.iter().find(|fault| fault.at >= this.duration) {
            let place = at(&format!("at = \"{}\"", late.at));
            return Err(wrong(format!("{place}at is {}; the scenario is over after {}", late.at, this.duration)));
        }
        let crowd: u32 = this.listener.iter().map(|listener| listener.count).sum();
        if this.listener.iter().any(|listener| listener.count == 0) || crowd > 64 {
            return Err(wrong(format!(
                "{}listeners are {crowd}; each kind needs a count from 1, and 64 are the most together",
                at("count")
            )));
        }
        for link in this.listener.iter_mut().map(|l| &mut l.link).chain(this.talker.iter_mut().map(|t| &mut t.link)) {
            if let Some(trace) = &mut link.trace {
                let found = find_trace(trace, folder);
                let tried = || {
                    format!(
                        "{}trace is {:?}; there is no such file, and none of the sources' tests/traces",
                        at("trace"),
                        trace.display().to_string()
                    )
                };
                *trace = found.ok_or_else(|| wrong(tried()))?;
            }
        }
        Ok(this)
    }

    /// As a file has it.
    #[must_use]
    pub fn text(&self) -> String {
        toml::to_string(self).unwrap_or_default()
    }
}

/// A trace by path, beside the scenario, or by name among those of the sources.
fn find_trace(trace: &Path, folder: Option<&Path>) -> Option<PathBuf> {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/traces");
    let beside = folder.map(|folder| folder.join(trace));
    let named = trace.to_str().map(|name| shipped.join(format!("{name}.csv.gz")));
    [beside, Some(trace.to_owned()), named].into_iter().flatten().find(|path| path.is_file())
}
