//! The volume that a card has itself: one control of its mixer, by name, set when the card is opened and only if that was
//! asked for.

use super::Opened;
use alsa::mixer::{MilliBel, Mixer, Selem, SelemChannelId};
use alsa::{Output, Round};
use serde::{Deserialize, Serialize};
use soundpost_core::config::Direction;
use std::fmt;
use std::str::FromStr;

/// A control and what it is to be set to: `Mic=40%`, `Master=-6dB`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    control: String,
    level: Level,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Level {
    /// Of the way from the control's least to its most.
    Percent(u8),
    /// Hundredths of a decibel, as the card counts them.
    Decibel(i64),
}

/// Why a volume is none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum VolumeError {
    /// It is not written as one.
    #[error(
        "{0:?} is not the volume of a control; allowed: NAME=PERCENT% or NAME=DECIBELdB, such as Mic=40% or Mic=-6dB"
    )]
    Text(String),
    /// The card has no such control.
    #[error("there is no volume control {control:?} for {direction}; {there}")]
    Missing {
        /// What was asked for.
        control: String,
        /// `capture` or `playback`.
        direction: String,
        /// What there is.
        there: String,
    },
    /// The control does not go that far.
    #[error("the control {control:?} cannot be set to {wanted}; allowed: {allowed}")]
    Range {
        /// Which.
        control: String,
        /// What was asked for.
        wanted: String,
        /// Its range.
        allowed: String,
    },
    /// ALSA said no.
    #[error("the control {control:?} cannot be set: {what}")]
    Alsa {
        /// Which.
        control: String,
        /// What it said.
        what: String,
    },
}

impl FromStr for Volume {
    type Err = VolumeError;

    fn from_str(text: &str) -> Result<Self, VolumeError> {
        let wrong = || VolumeError::Text(text.to_owned());
        let (control, level) = text.rsplit_once('=').filter(|(name, _)| !name.is_empty()).ok_or_else(wrong)?;
        let level = if let Some(decibel) = level.strip_suffix("dB") {
            let decibel: f64 = decibel.trim_end().parse().map_err(|_| wrong())?;
            let hundredths = (decibel * 100.0).round();
            // Far more than any card has.
            if !(-100_000.0..=100_000.0).contains(&hundredths) {
                return Err(wrong());
            }
            Level::Decibel(hundredths as i64)
        } else {
            let percent = level.strip_suffix('%').unwrap_or(level).trim_end().parse().map_err(|_| wrong())?;
            Level::Percent(percent)
        };
        if matches!(level, Level::Percent(101..)) {
            return Err(wrong());
        }
        Ok(Self { control: control.to_owned(), level })
    }
}

impl fmt::Display for Volume {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.control, self.level)
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Percent(percent) => write!(f, "{percent} %"),
            Self::Decibel(hundredths) => write!(f, "{} dB", *hundredths as f64 / 100.0),
        }
    }
}

impl Volume {
    /// Sets the control on the card of a device that was opened; what it is then, in words.
    ///
    /// # Errors
    /// [`VolumeError`].
    pub fn set(&self, direction: Direction, opened: &Opened) -> Result<String, VolumeError> {
        let missing = |there: String| VolumeError::Missing {
            control: self.control.clone(),
            direction: if direction == Direction::Capture { "capture" } else { "playback" }.to_owned(),
            there,
        };
        // What has no controls says so in more words than anybody wants.
        let _silenced = Output::local_error_handler();
        let card = opened.card.as_deref().ok_or_else(|| missing("the device is not a sound card".to_owned()))?;
        let mixer = Mixer::new(card, false)
            .map_err(|error| missing(format!("the card has no mixer ({})", super::alsa_open::words(error))))?;
        let mut names = Vec::new();
        for selem in mixer.iter().filter_map(Selem::new) {
            let side = Side { selem, direction };
            if !side.has_volume() {
                continue;
            }
            let id = side.selem.get_id();
            let name = match (id.get_name().unwrap_or_default(), id.get_index()) {
                (name, 0) => name.to_owned(),
                (name, index) => format!("{name},{index}"),
            };
            if name == self.control {
                return self.apply(&side);
            }
            names.push(format!("{name:?}"));
        }
        Err(missing(match names.as_slice() {
            [] => "the card has none".to_owned(),
            _ => format!("the card has: {}", names.join(", ")),
        }))
    }

    fn apply(&self, side: &Side<'_>) -> Result<String, VolumeError> {
        let refused = |error: alsa::Error| VolumeError::Alsa {
            control: self.control.clone(),
            what: super::alsa_open::words(error),
        };
        let beyond =
            |allowed| VolumeError::Range { control: self.control.clone(), wanted: self.level.to_string(), allowed };
        match self.level {
            Level::Percent(percent) => {
                let (least, most) = side.range();
                let value = least + ((most - least) * i64::from(percent) + 50) / 100;
                side.set(value).map_err(refused)?;
            }
            Level::Decibel(hundredths) => {
                let (MilliBel(least), MilliBel(most)) = side.range_db();
                if least >= most {
                    return Err(beyond("a percentage, for the card does not say what its values are in dB".to_owned()));
                }
                if !(least..=most).contains(&hundredths) {
                    return Err(beyond(format!("{} to {}", Level::Decibel(least), Level::Decibel(most))));
                }
                side.set_db(MilliBel(hundredths)).map_err(refused)?;
            }
        }
        side.shown().map(|shown| format!("{} {shown}", self.control)).map_err(refused)
    }
}

/// The half of a control that is about one direction.
struct Side<'a> {
    selem: Selem<'a>,
    direction: Direction,
}

impl Side<'_> {
    fn captures(&self) -> bool {
        self.direction == Direction::Capture
    }

    fn has_volume(&self) -> bool {
        if self.captures() { self.selem.has_capture_volume() } else { self.selem.has_playback_volume() }
    }

    fn range(&self) -> (i64, i64) {
        if self.captures() { self.selem.get_capture_volume_range() } else { self.selem.get_playback_volume_range() }
    }

    fn range_db(&self) -> (MilliBel, MilliBel) {
        if self.captures() { self.selem.get_capture_db_range() } else { self.selem.get_playback_db_range() }
    }

    fn set(&self, value: i64) -> alsa::Result<()> {
        if self.captures() {
            self.selem.set_capture_volume_all(value)
        } else {
            self.selem.set_playback_volume_all(value)
        }
    }

    fn set_db(&self, value: MilliBel) -> alsa::Result<()> {
        if self.captures() {
            self.selem.set_capture_db_all(value, Round::Floor)
        } else {
            self.selem.set_playback_db_all(value, Round::Floor)
        }
    }

    /// The value of its first channel, as the card has it now.
    fn shown(&self) -> alsa::Result<String> {
        let channel = SelemChannelId::mono();
        let (value, decibel, switched) = if self.captures() {
            let switched = self.selem.has_capture_switch().then(|| self.selem.get_capture_switch(channel));
            (self.selem.get_capture_volume(channel)?, self.selem.get_capture_vol_db(channel), switched)
        } else {
            let switched = self.selem.has_playback_switch().then(|| self.selem.get_playback_switch(channel));
            (self.selem.get_playback_volume(channel)?, self.selem.get_playback_vol_db(channel), switched)
        };
        let (least, most) = self.range();
        let percent = if most > least { (value - least) * 100 / (most - least) } else { 100 };
        let decibel = match (decibel, self.range_db()) {
            (Ok(MilliBel(hundredths)), (MilliBel(low), MilliBel(high))) if low < high => {
                format!(" ({})", Level::Decibel(hundredths))
            }
            _ => String::new(),
        };
        let off = if matches!(switched, Some(Ok(0))) { ", switched off" } else { "" };
        Ok(format!("{percent} %{decibel}{off}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_control_and_its_volume_are_read_or_the_error_says_what_is_allowed() {
        let volume = |control: &str, level| Ok(Volume { control: control.to_owned(), level });
        assert_eq!("Mic=40%".parse(), volume("Mic", Level::Percent(40)));
        assert_eq!("PCM,1=100".parse(), volume("PCM,1", Level::Percent(100)));
        assert_eq!("a=b=-6.25 dB".parse(), volume("a=b", Level::Decibel(-625)));
        for text in ["Mic", "=40%", "Mic=101%", "Mic=-1%", "Mic=loud", "Mic=dB", "Mic=NaNdB", "Mic=1e9dB", ""] {
            let error = text.parse::<Volume>().unwrap_err();
            assert_eq!(error, VolumeError::Text(text.to_owned()));
            assert!(error.to_string().contains("Mic=-6dB"));
        }
    }
}
