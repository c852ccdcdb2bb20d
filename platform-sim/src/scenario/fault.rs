//! What can happen in a scenario, to what, for how long.

use super::is_default;
use crate::units::{Kbps, Percent, Ppm, Time};
use serde::{Deserialize, Serialize};

/// What something happens to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// The device's card, capturing.
    Microphone,
    /// The device's card, playing.
    Speaker,
    /// The talker's card.
    TalkerCard,
    /// The first listener's card.
    ListenerCard,
    /// From the talker to the device.
    TalkerLink,
    /// From the device to the first listener.
    ListenerLink,
    /// The device's processor.
    Host,
    /// The process that captures.
    CaptureWorker,
    /// The process that plays.
    PlaybackWorker,
    /// The listeners that are not the first.
    Crowd,
    /// The one who talks.
    Talker,
    /// The switch that mutes, on the device.
    Switch,
    /// The lamp that says that the microphone is live.
    Lamp,
}

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A card runs over, or dry.
    Xrun,
    /// A card is put to sleep for the time.
    Suspend,
    /// A card is pulled out for the time.
    Unplug,
    /// A card's clock stands still for the time.
    ClockStop,
    /// A card's clock jumps by `samples`.
    ClockStep,
    /// A card's clock is `ppm` fast from now on.
    Drift,
    /// Reads bring less than a period for the time.
    ShortReads,
    /// Nothing arrives for the time, then all of it at once.
    Stall,
    /// `percent` more are lost for the time.
    Loss,
    /// Everything takes `extra` longer for the time.
    Delay,
    /// Only `bandwidth` kbit/s go through for the time.
    Squeeze,
    /// Nothing goes through for the time.
    Cut,
    /// Something else has the processor: audio threads wake up to `audio` late for the time, the rest up to `io`.
    Starve,
    /// Memory is short: of the turns of what is not locked in memory `percent` wait up to `io` for their pages.
    Reclaim,
    /// A process dies.
    Crash,
    /// A process does nothing any more.
    Hang,
    /// A process dies soon after each start, for the time.
    CrashLoop,
    /// A process does not die when it is told to, for the time.
    SlowDeath,
    /// `count` more listeners come, and leave when the time is over.
    Join,
    /// They stop reading for the time.
    StopReading,
    /// Each packet is sent `count` times for the time.
    Flood,
    /// The talker leaves, and comes back when the time is over.
    Leave,
    /// The switch mutes for the time.
    Mute,
    /// The lamp's pin fails for the time.
    Break,
}

/// Something that happens.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "RawFault", rename_all = "kebab-case")]
pub struct Fault {
    /// When.
    pub at: Time,
    /// For how long.
    #[serde(rename = "for", skip_serializing_if = "is_default")]
    pub lasts: Time,
    /// To what.
    pub on: Part,
    /// What.
    pub kind: Kind,
    /// Of [`Kind::ClockStep`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub samples: Option<u32>,
    /// Of [`Kind::Drift`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ppm: Option<Ppm>,
    /// Of [`Kind::Loss`] and [`Kind::Reclaim`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub percent: Option<Percent>,
    /// Of [`Kind::Delay`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extra: Option<Time>,
    /// Of [`Kind::Squeeze`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bandwidth: Option<Kbps>,
    /// Of [`Kind::Starve`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audio: Option<Time>,
    /// Of [`Kind::Starve`] and [`Kind::Reclaim`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub io: Option<Time>,
    /// Of [`Kind::Join`] and [`Kind::Flood`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RawFault {
    at: Time,
    #[serde(default, rename = "for")]
    lasts: Time,
    on: Part,
    kind: Kind,
    samples: Option<u32>,
    ppm: Option<Ppm>,
    percent: Option<Percent>,
    extra: Option<Time>,
    bandwidth: Option<Kbps>,
    audio: Option<Time>,
    io: Option<Time>,
    count: Option<u32>,
}

impl Kind {
    /// What it can happen to, whether it takes time, and which figures it needs.
    const fn rules(self) -> (&'static [Part], bool, &'static [&'static str]) {
        const CARDS: &[Part] = &[Part::Microphone, Part::Speaker, Part::TalkerCard, Part::ListenerCard];
        const CAPTURING: &[Part] = &[Part::Microphone, Part::TalkerCard];
        const LINKS: &[Part] = &[Part::TalkerLink, Part::ListenerLink];
        const WORKERS: &[Part] = &[Part::CaptureWorker, Part::PlaybackWorker];
        match self {
            Self::Xrun => (CARDS, false, &[]),
            Self::Suspend | Self::Unplug | Self::ClockStop => (CARDS, true, &[]),
            Self::ClockStep => (CARDS, false, &["samples"]),
            Self::Drift => (CARDS, false, &["ppm"]),
            Self::ShortReads => (CAPTURING, true, &[]),
            Self::Stall | Self::Cut => (LINKS, true, &[]),
            Self::Loss => (LINKS, true, &["percent"]),
            Self::Delay => (LINKS, true, &["extra"]),
            Self::Squeeze => (LINKS, true, &["bandwidth"]),
            Self::Starve => (&[Part::Host], true, &["audio", "io"]),
            Self::Reclaim => (&[Part::Host], true, &["percent", "io"]),
            Self::Crash | Self::Hang => (WORKERS, false, &[]),
            Self::CrashLoop | Self::SlowDeath => (WORKERS, true, &[]),
            Self::Join => (&[Part::Crowd], true, &["count"]),
            Self::StopReading => (&[Part::Crowd], true, &[]),
            Self::Flood => (&[Part::Talker], true, &["count"]),
            Self::Leave => (&[Part::Talker], true, &[]),
            Self::Mute => (&[Part::Switch], true, &[]),
            Self::Break => (&[Part::Lamp], true, &[]),
        }
    }

    /// Everything that can happen.
    pub const ALL: [Self; 24] = [
        Self::Xrun,
        Self::Suspend,
        Self::Unplug,
        Self::ClockStop,
        Self::ClockStep,
        Self::Drift,
        Self::ShortReads,
        Self::Stall,
        Self::Loss,
        Self::Delay,
        Self::Squeeze,
        Self::Cut,
        Self::Starve,
        Self::Reclaim,
        Self::Crash,
        Self::Hang,
        Self::CrashLoop,
        Self::SlowDeath,
        Self::Join,
        Self::StopReading,
        Self::Flood,
        Self::Leave,
        Self::Mute,
        Self::Break,
    ];

    /// What it can happen to.
    #[must_use]
    pub const fn parts(self) -> &'static [Part] {
        self.rules().0
    }

    /// Whether it takes time.
    #[must_use]
    pub const fn takes_time(self) -> bool {
        self.rules().1
    }
}

impl Fault {
    /// A fault without figures.
    #[must_use]
    pub const fn new(at: Time, lasts: Time, on: Part, kind: Kind) -> Self {
        Self {
            at,
            lasts,
            on,
            kind,
            samples: None,
            ppm: None,
            percent: None,
            extra: None,
            bandwidth: None,
            audio: None,
            io: None,
            count: None,
        }
    }
}

/// Its name, as files write it.
fn name(value: &impl Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} on {}", name(&self.kind), name(&self.on))?;
        if self.lasts.0.as_micros() > 0 { write!(f, " for {}", self.lasts) } else { Ok(()) }
    }
}

impl TryFrom<RawFault> for Fault {
    type Error = String;

    fn try_from(raw: RawFault) -> Result<Self, String> {
        let (parts, takes_time, needed) = raw.kind.rules();
        let kind = name(&raw.kind);
        if !parts.contains(&raw.on) {
            let allowed: Vec<_> = parts.iter().map(name).collect();
            return Err(format!("`on` is {:?}; {kind} can happen on {}", name(&raw.on), allowed.join(", ")));
        }
        if takes_time != (raw.lasts.0.as_micros() > 0) {
            let rule =
                if takes_time { "needs `for`, how long it lasts" } else { "happens at once, and takes no `for`" };
            return Err(format!("{kind} {rule}"));
        }
        let given = [
            ("samples", raw.samples.is_some()),
            ("ppm", raw.ppm.is_some()),
            ("percent", raw.percent.is_some()),
            ("extra", raw.extra.is_some()),
            ("bandwidth", raw.bandwidth.is_some()),
            ("audio", raw.audio.is_some()),
            ("io", raw.io.is_some()),
            ("count", raw.count.is_some()),
        ];
        for (figure, is_given) in given {
            match (needed.contains(&figure), is_given) {
                (true, false) => return Err(format!("{kind} needs `{figure}`")),
                (false, true) => return Err(format!("{kind} takes no `{figure}`")),
                _ => {}
            }
        }
        if let Some(count) = raw.count.filter(|count| !(1..=64).contains(count)) {
            return Err(format!("`count` is {count}; from 1 to 64 are allowed"));
        }
        let RawFault { at, lasts, on, kind, samples, ppm, percent, extra, bandwidth, audio, io, count } = raw;
        Ok(Self { at, lasts, on, kind, samples, ppm, percent, extra, bandwidth, audio, io, count })
    }
}
