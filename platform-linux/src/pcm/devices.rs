//! Which devices there are, and what each can do.

use super::alsa_open::{RATES_HZ, words};
use super::layout::STORES;
use super::{Opened, Options};
use alsa::card;
use alsa::ctl::{Ctl, DeviceIter};
use alsa::device_name::HintIter;
use alsa::pcm::{HwParams, PCM};
use alsa::{Direction, Output};
use serde::Serialize;
use soundpost_core::config::{self, Channels};

/// Opening one of these may start a server: they are listed and left alone.
const SERVERS: [&str; 3] = ["jack", "pulse", "oss"];

/// The devices that need no sound card.
pub const BUILT_IN: [(&str, &str); 4] = [
    ("auto", "a real sound card where there is one, else tone: (capture) or null (playback)"),
    ("tone:", "capture: a melody that tells left from right; tone:440 is a sine of 440 Hz"),
    ("file:PATH.wav", "capture from a recording (?loop to repeat), or play to one"),
    ("null", "capture silence, or play to nowhere, in real time"),
];

/// Cards that are programs: for `auto` they are no sound cards.
const VIRTUAL: [&str; 2] = ["Loopback", "Dummy"];

/// A PCM device of one direction.
#[derive(Clone, Debug, Serialize)]
pub struct Device {
    /// Its URI for `--capture` or `--playback`.
    pub uri: String,
    /// `capture` or `playback`.
    pub direction: &'static str,
    /// What ALSA says about it.
    pub description: String,
    /// What it can do, if it could be opened.
    pub abilities: Option<Abilities>,
    /// What soundpost would ask of it.
    pub chosen: Option<Chosen>,
    /// Why it could not.
    pub error: Option<String>,
}

/// What a device can do.
#[derive(Clone, Debug, Serialize)]
pub struct Abilities {
    /// Least and most channels.
    pub channels: (u32, u32),
    /// Of the usual rates, the ones that it takes.
    pub rates_hz: Vec<u32>,
    /// Of the formats that soundpost takes, the ones that it has.
    pub formats: Vec<&'static str>,
    /// Shortest and longest period at its highest rate, rounded to a hundredth.
    pub period_ms: (f64, f64),
}

/// A device of a real card.
pub(super) struct CardDevice {
    /// An ALSA name that converts what the card cannot do itself.
    pub(super) name: String,
    /// There is hardware behind it.
    pub(super) real: bool,
    description: String,
}

/// What soundpost would ask of a device.
#[derive(Clone, Debug, Serialize)]
pub struct Chosen {
    /// How a value is stored.
    pub format: std::borrow::Cow<'static, str>,
    /// The device's rate; where that is not 48 kHz, it is converted.
    pub rate_hz: u32,
    /// The device's channels.
    pub channels: u32,
    /// Which of them are used, if not simply the first ones.
    pub channels_used: Option<String>,
    /// A period of the device.
    pub period_ms: f64,
    /// What of its buffer is used: for playback, what is kept full.
    pub buffer_ms: f64,
    /// The most that a sample waits in device and conversion.
    pub latency_ms: f64,
}

impl Chosen {
    fn of(opened: &Opened, direction: config::Direction) -> Self {
        let ms = |samples: u32| (f64::from(samples) / 0.48).round() / 100.0;
        Self {
            format: opened.format.clone(),
            rate_hz: opened.rate_hz,
            channels: opened.device_channels,
            channels_used: opened.picked.clone(),
            period_ms: ms(opened.device_period),
            buffer_ms: ms(opened.buffer_samples),
            latency_ms: ms(opened.latency_samples(direction)),
        }
    }
}

impl CardDevice {
    /// The ALSA name of the hardware itself.
    pub(super) fn hardware(&self) -> String {
        self.name.replacen("plughw", "hw", 1)
    }
}

/// The devices of real cards, in the order of the cards. By the card's id, which survives a reboot.
pub(super) fn cards(direction: Direction) -> Vec<CardDevice> {
    let mut found = Vec::new();
    for card in card::Iter::new().flatten() {
        let Ok(ctl) = Ctl::from_card(&card, false) else { continue };
        let Ok(info) = ctl.card_info() else { continue };
        let Ok(id) = info.get_id() else { continue };
        let port = u32::try_from(card.get_index()).ok().and_then(super::usb::port);
        for device in DeviceIter::new(&ctl) {
            let Ok(number) = u32::try_from(device) else { continue };
            let Ok(pcm) = ctl.pcm_info(number, 0, direction) else { continue };
            found.push(CardDevice {
                name: format!("plughw:CARD={id},DEV={number}"),
                real: info.get_driver().is_ok_and(|driver| !VIRTUAL.contains(&driver)),
                description: format!(
                    "{}, {}{}",
                    info.get_name().unwrap_or(id),
                    pcm.get_name().unwrap_or("PCM"),
                    port.as_ref().map_or_else(String::new, |port| format!(" (usb:{port})"))
                ),
            });
        }
    }
    found
}

/// `capture` or `play`, for sentences.
pub(super) fn verb(direction: Direction) -> &'static str {
    match direction {
        Direction::Capture => "capture",
        Direction::Playback => "play",
    }
}

/// The ALSA names for a direction, real cards first.
pub(super) fn names(direction: Direction) -> Vec<String> {
    let hints = hints().into_iter().filter(|(_, _, hinted)| hinted.is_none_or(|hinted| hinted == direction));
    let cards = cards(direction).into_iter().map(|card| card.name);
    cards.chain(hints.map(|(name, _, _)| name)).collect()
}

/// Names, descriptions and, where ALSA says so, the only direction.
fn hints() -> Vec<(String, String, Option<Direction>)> {
    let Ok(hints) = HintIter::new_str(None, "pcm") else { return Vec::new() };
    let text = |hint: alsa::device_name::Hint| {
        let words = hint.desc.unwrap_or_default().replace('\n', ", ");
        hint.name.filter(|name| name != "null").map(|name| (name, words, hint.direction))
    };
    hints.filter_map(text).collect()
}

/// Every device of both directions, and what it can do.
#[must_use]
pub fn list() -> Vec<Device> {
    let mut devices = Vec::new();
    for direction in [Direction::Capture, Direction::Playback] {
        for card in cards(direction) {
            let hardware = card.hardware();
            devices.push(describe(&hardware, card.description, direction));
            devices.push(describe(&card.name, "the same, converted by ALSA".to_owned(), direction));
        }
        for (name, description, only) in hints() {
            let of_card = name.contains("CARD=");
            if !of_card && only.is_none_or(|only| only == direction) {
                devices.push(describe(&name, description, direction));
            }
        }
    }
    devices
}

fn describe(name: &str, description: String, direction: Direction) -> Device {
    let (wanted, word) = match direction {
        // As for a microphone, and for a talker.
        Direction::Capture => ((config::Direction::Capture, Channels::Mono), "capture"),
        Direction::Playback => ((config::Direction::Playback, Channels::Stereo), "playback"),
    };
    let told = match SERVERS.contains(&name) {
        true => Err("not opened: that might start a sound server".to_owned()),
        false => probe(name, direction).map_err(words),
    };
    let (abilities, mut error) = match told {
        Ok(abilities) => (Some(abilities), None),
        Err(error) => (None, Some(error)),
    };
    let chosen = abilities.as_ref().and_then(|_| {
        let agreed = super::alsa_open::open(name, direction, Options::of(wanted.0, wanted.1));
        agreed.map(|agreed| Chosen::of(&agreed.opened, wanted.0)).map_err(|why| error = Some(why.to_string())).ok()
    });
    Device { uri: format!("alsa:{name}"), direction: word, description, abilities, chosen, error }
}

fn probe(name: &str, direction: Direction) -> alsa::Result<Abilities> {
    // What libasound would print is of no use here; the error says enough.
    let _silenced = Output::local_error_handler()?;
    let pcm = PCM::new(name, direction, true)?;
    let params = HwParams::any(&pcm)?;
    let period_ms = |us: u32| f64::from(us / 10) / 100.0;
    let mut rates_hz: Vec<_> = RATES_HZ.into_iter().filter(|rate| params.test_rate(*rate).is_ok()).collect();
    rates_hz.sort_unstable();
    Ok(Abilities {
        channels: (params.get_channels_min()?, params.get_channels_max()?),
        rates_hz,
        formats: STORES.iter().filter(|(_, format, _)| params.test_format(*format).is_ok()).map(|(.., n)| *n).collect(),
        period_ms: (period_ms(params.get_period_time_min()?), period_ms(params.get_period_time_max()?)),
    })
}
