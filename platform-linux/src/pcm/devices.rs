//! Which devices there are, and what each can do.

use super::alsa_open::words;
use alsa::card;
use alsa::ctl::{Ctl, DeviceIter};
use alsa::device_name::HintIter;
use alsa::pcm::{Format, HwParams, PCM};
use alsa::{Direction, Output};
use serde::Serialize;

/// Rates that are worth asking for.
const RATES: [u32; 9] = [8_000, 12_000, 16_000, 24_000, 32_000, 44_100, 48_000, 96_000, 192_000];
const FORMATS: [(Format, &str); 5] = [
    (Format::s16(), "S16"),
    (Format::s24(), "S24"),
    (Format::s24_3(), "S24_3"),
    (Format::s32(), "S32"),
    (Format::float(), "FLOAT"),
];
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

/// The devices of real cards, in the order of the cards. By the card's id, which survives a reboot.
pub(super) fn cards(direction: Direction) -> Vec<CardDevice> {
    let mut found = Vec::new();
    for card in card::Iter::new().flatten() {
        let Ok(ctl) = Ctl::from_card(&card, false) else { continue };
        let Ok(info) = ctl.card_info() else { continue };
        let Ok(id) = info.get_id() else { continue };
        for device in DeviceIter::new(&ctl) {
            let Ok(number) = u32::try_from(device) else { continue };
            let Ok(pcm) = ctl.pcm_info(number, 0, direction) else { continue };
            found.push(CardDevice {
                name: format!("plughw:CARD={id},DEV={number}"),
                real: info.get_driver().is_ok_and(|driver| !VIRTUAL.contains(&driver)),
                description: format!("{}, {}", info.get_name().unwrap_or(id), pcm.get_name().unwrap_or("PCM")),
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
            devices.push(describe(&card.name, card.description, direction));
            // The bare hardware, too: without conversion, what it really can.
            devices.push(describe(
                &card.name.replacen("plughw", "hw", 1),
                "the same without conversion".to_owned(),
                direction,
            ));
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
    let (abilities, error) = if SERVERS.contains(&name) {
        (None, Some("not opened: that might start a sound server".to_owned()))
    } else {
        match probe(name, direction) {
            Ok(abilities) => (Some(abilities), None),
            Err(error) => (None, Some(words(error))),
        }
    };
    let direction = match direction {
        Direction::Capture => "capture",
        Direction::Playback => "playback",
    };
    Device { uri: format!("alsa:{name}"), direction, description, abilities, error }
}

fn probe(name: &str, direction: Direction) -> alsa::Result<Abilities> {
    // What libasound would print is of no use here; the error says enough.
    let _silenced = Output::local_error_handler()?;
    let pcm = PCM::new(name, direction, true)?;
    let params = HwParams::any(&pcm)?;
    let period_ms = |us: u32| f64::from(us / 10) / 100.0;
    Ok(Abilities {
        channels: (params.get_channels_min()?, params.get_channels_max()?),
        rates_hz: RATES.into_iter().filter(|rate| params.test_rate(*rate).is_ok()).collect(),
        formats: FORMATS.iter().filter(|(format, _)| params.test_format(*format).is_ok()).map(|(_, n)| *n).collect(),
        period_ms: (period_ms(params.get_period_time_min()?), period_ms(params.get_period_time_max()?)),
    })
}
