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
    let cards = devices::cards(direction);
    if cards.is_empty() {
        return Err(format!("there is no sound card that can {}", devices::verb(direction)));
    }
    let mut reasons = Vec::new();
    let names = cards.iter().map(|card| (card.name.as_str(), "it is the first sound card that opens"));
    for (name, why) in names.chain([("default", "all sound cards are taken")]) {
        match open(name) {
            Ok((pcm, opened)) => return Ok((pcm, because(opened, why))),
            Err(error) => reasons.push(error.to_string()),
        }
    }
    Err(format!("no sound card can be opened ({})", reasons.join("; ")))
}
