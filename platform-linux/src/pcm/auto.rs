//! `auto`: a real sound card where there is one, else something that always works, and the reason.

use super::alsa_in::AlsaIn;
use super::alsa_out::AlsaOut;
use super::pace::NullOut;
use super::tone::Tone;
use super::{OpenError, Opened, Options, Sink, Source, devices};
use alsa::Direction;

pub(super) fn open_capture(options: Options) -> Result<(Source, Opened), OpenError> {
    let why = match first(Direction::Capture, |name| AlsaIn::open(name, options)) {
        Ok((pcm, opened)) => return Ok((Source::Alsa(pcm), opened)),
        Err(why) => why,
    };
    let (tone, opened) = Tone::open(None, options);
    Ok((Source::Tone(tone), because(opened, &why)))
}

pub(super) fn open_playback(options: Options) -> Result<(Sink, Opened), OpenError> {
    let why = match first(Direction::Playback, |name| AlsaOut::open(name, options)) {
        Ok((pcm, opened)) => return Ok((Sink::Alsa(pcm), opened)),
        Err(why) => why,
    };
    let (null, opened) = NullOut::open(options);
    Ok((Sink::Null(null), because(opened, &why)))
}

fn because(opened: Opened, why: &str) -> Opened {
    Opened { description: format!("{}, because {why}", opened.description), ..opened }
}

/// Opens the first device of a real card that can be opened. If all of them are taken, most likely by a
/// sound server, `default` is that server.
fn first<T>(
    direction: Direction,
    mut open: impl FnMut(&str) -> Result<(T, Opened), OpenError>,
) -> Result<(T, Opened), String> {
    let cards: Vec<_> = devices::cards(direction).into_iter().filter(|card| card.real).collect();
    if cards.is_empty() {
        return Err(no_card(direction, &std::fs::read_to_string("/proc/asound/cards").unwrap_or_default()));
    }
    let mut reasons = Vec::new();
    // The hardware itself, for we convert better than ALSA; what even so does not fit, ALSA converts.
    let first = "it is the first sound card that opens";
    let names = cards.iter().flat_map(|card| [(card.hardware(), first), (card.name.clone(), first)]);
    for (name, why) in names.chain([("default".to_owned(), "all sound cards are taken")]) {
        match open(&name) {
            Ok((pcm, opened)) => return Ok((pcm, because(opened, why))),
            Err(error) => reasons.push(error.to_string()),
        }
    }
    Err(format!("no sound card can be opened ({})", reasons.join("; ")))
}

/// Why there is no card, given what the kernel knows: cards that it lists but we cannot see are a matter of
/// permission, or are for the other direction.
fn no_card(direction: Direction, listed: &str) -> String {
    let verb = devices::verb(direction);
    let names: Vec<_> = listed.lines().filter_map(|line| line.split_once("]: ").map(|(_, name)| name.trim())).collect();
    if names.is_empty() {
        return format!("there is no sound card that can {verb} (/proc/asound/cards lists none)");
    }
    format!(
        "there is no sound card that can {verb} and may be opened; the kernel lists: {} (is this user in the group \
         `audio`?)",
        names.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_that_may_not_be_opened_is_not_said_to_be_missing() {
        let listed = " 0 [vc4hdmi        ]: vc4-hdmi - vc4-hdmi\n                      vc4-hdmi\n \
                       1 [Device         ]: USB-Audio - USB Audio\n                      at usb-1\n";
        let why = no_card(Direction::Capture, listed);
        assert!(why.contains("vc4-hdmi - vc4-hdmi, USB-Audio - USB Audio") && why.contains("`audio`"), "{why}");
        for none in ["", "--- no soundcards ---\n"] {
            assert!(no_card(Direction::Playback, none).contains("lists none"));
        }
    }
}
