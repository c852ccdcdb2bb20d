//! Configuration as text: names become types, and what cannot become one is named with what is allowed.

use super::{Bitrate, Channels, Complexity, Content, FrameLen, Playout, Quality, Rate, SignalKind};
use core::fmt;
use core::str::FromStr;

/// A value that no stream can have. The message names the value and what is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ConfigError {
    /// Not an Opus rate, in hertz.
    Rate(u32),
    /// Not a rate at all.
    RateText,
    /// Not a bitrate that Opus accepts, in bits a second.
    Bitrate(u32),
    /// Not a bitrate at all.
    BitrateText,
    /// Not one or two channels.
    Channels(u32),
    /// Not a frame length.
    Frame,
    /// Not an encoder effort.
    Complexity(u8),
    /// No number for it.
    ComplexityText,
    /// No number of channels.
    ChannelsText,
    /// Not a kind of sound.
    Signal,
    /// Neither yes nor no.
    Switch,
    /// Not a preset.
    Quality,
    /// Not a kind of content.
    Content,
    /// Not a playout profile.
    Playout,
    /// Not a gain.
    Gain,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rate(hz) => {
                write!(f, "{hz} Hz is not an Opus rate; allowed: 8000, 12000, 16000, 24000 or 48000 Hz")
            }
            Self::RateText => f.write_str("not a rate; allowed: 8000, 12000, 16000, 24000 or 48000 Hz (8k … 48k)"),
            Self::Bitrate(bps) => write!(f, "{bps} bit/s is out of range; allowed: 6000 to 510000 bit/s (6k … 510k)"),
            Self::BitrateText => f.write_str("not a bitrate; allowed: 6k to 510k (bits a second)"),
            Self::Channels(count) => write!(f, "{count} channels are not supported; allowed: 1 (mono) or 2 (stereo)"),
            Self::Frame => f.write_str("not a frame length; allowed: 2.5ms, 5ms, 10ms, 20ms, 40ms or 60ms"),
            Self::Complexity(value) => {
                write!(f, "complexity {value} is out of range; allowed: 0 to 10")
            }
            Self::ComplexityText => f.write_str("not a complexity; allowed: 0 to 10"),
            Self::ChannelsText => f.write_str("not a number of channels; allowed: 1 (mono) or 2 (stereo)"),
            Self::Signal => f.write_str("not a kind of sound; allowed: voice or music"),
            Self::Switch => f.write_str("neither on nor off; allowed: true or false"),
            Self::Quality => f.write_str("not a quality preset; allowed: low, medium, high or ultra"),
            Self::Content => f.write_str("not a kind of content; allowed: voice or program"),
            Self::Gain => f.write_str("not a gain; allowed: -60dB to 20dB, in steps of 0.01"),
            Self::Playout => f.write_str("not a playout profile; allowed: low, balanced, smooth or frozen"),
        }
    }
}

impl core::error::Error for ConfigError {}

impl Content {
    /// As it is written in configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Voice => "voice",
            Self::Program => "program",
        }
    }
}

impl SignalKind {
    /// Both kinds.
    pub const ALL: [Self; 2] = [Self::Voice, Self::Music];

    /// As it is written in configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Voice => "voice",
            Self::Music => "music",
        }
    }
}

impl FromStr for Quality {
    type Err = ConfigError;
    fn from_str(text: &str) -> Result<Self, ConfigError> {
        Self::ALL.into_iter().find(|quality| quality.name() == text).ok_or(ConfigError::Quality)
    }
}

impl FromStr for Playout {
    type Err = ConfigError;
    fn from_str(text: &str) -> Result<Self, ConfigError> {
        Self::ALL.into_iter().find(|profile| profile.name() == text).ok_or(ConfigError::Playout)
    }
}

impl FromStr for Content {
    type Err = ConfigError;
    fn from_str(text: &str) -> Result<Self, ConfigError> {
        match text {
            "voice" => Ok(Self::Voice),
            "program" => Ok(Self::Program),
            _ => Err(ConfigError::Content),
        }
    }
}

impl FromStr for Complexity {
    type Err = ConfigError;
    fn from_str(text: &str) -> Result<Self, ConfigError> {
        text.parse().map_or(Err(ConfigError::ComplexityText), Self::new)
    }
}

impl FromStr for Channels {
    type Err = ConfigError;
    fn from_str(text: &str) -> Result<Self, ConfigError> {
        text.parse().map_or(Err(ConfigError::ChannelsText), Self::from_count)
    }
}

impl FromStr for SignalKind {
    type Err = ConfigError;
    fn from_str(text: &str) -> Result<Self, ConfigError> {
        Self::ALL.into_iter().find(|kind| kind.name() == text).ok_or(ConfigError::Signal)
    }
}

/// A word that switches something on or off.
///
/// # Errors
/// [`ConfigError::Switch`].
pub const fn switch(text: &str) -> Result<bool, ConfigError> {
    match text.as_bytes() {
        b"true" => Ok(true),
        b"false" => Ok(false),
        _ => Err(ConfigError::Switch),
    }
}

impl FromStr for FrameLen {
    type Err = ConfigError;
    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let number = text.strip_suffix("ms").unwrap_or(text).trim_end();
        let is = |frame: &Self| frame.name().strip_suffix("ms") == Some(number);
        Self::ALL.into_iter().find(is).ok_or(ConfigError::Frame)
    }
}

impl FromStr for Rate {
    type Err = ConfigError;
    fn from_str(text: &str) -> Result<Self, ConfigError> {
        scaled(text.strip_suffix("Hz").unwrap_or(text).trim_end()).map_or(Err(ConfigError::RateText), Self::from_hz)
    }
}

impl FromStr for Bitrate {
    type Err = ConfigError;
    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let number = text.strip_suffix("bit/s").unwrap_or(text).trim_end();
        scaled(number).map_or(Err(ConfigError::BitrateText), Self::from_bps)
    }
}

/// A whole number, times a thousand if it ends in `k`.
fn scaled(text: &str) -> Option<u32> {
    match text.strip_suffix('k') {
        Some(thousands) => thousands.trim_end().parse::<u32>().ok()?.checked_mul(1000),
        None => text.parse().ok(),
    }
}

impl fmt::Display for Quality {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Playout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for FrameLen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn rates_that_opus_lacks_are_refused_by_name() {
        for hz in [0, 22_050, 44_100, 96_000] {
            assert_eq!(Rate::from_hz(hz), Err(ConfigError::Rate(hz)));
        }
        let message = "22050".parse::<Rate>().unwrap_err().to_string();
        assert!(message.contains("22050") && message.contains("24000"), "{message}");
        assert_eq!("48k".parse(), Ok(Rate::Hz48000));
        assert_eq!("16000 Hz".parse(), Ok(Rate::Hz16000));
    }

    #[test]
    fn text_becomes_a_type_or_an_error_that_says_what_is_allowed() {
        assert_eq!("2.5ms".parse(), Ok(FrameLen::Ms2_5));
        assert_eq!("20".parse(), Ok(FrameLen::Ms20));
        assert_eq!("30ms".parse::<FrameLen>(), Err(ConfigError::Frame));
        assert_eq!("96k".parse(), Bitrate::from_bps(96_000));
        assert_eq!("5999".parse::<Bitrate>(), Err(ConfigError::Bitrate(5_999)));
        assert_eq!("99999999999".parse::<Bitrate>(), Err(ConfigError::BitrateText));
        assert_eq!("4294968k".parse::<Bitrate>(), Err(ConfigError::BitrateText));
        assert_eq!("best".parse::<Quality>(), Err(ConfigError::Quality));
        for quality in Quality::ALL {
            assert_eq!(quality.name().parse(), Ok(quality));
        }
        for profile in Playout::ALL {
            assert_eq!(profile.name().parse(), Ok(profile));
        }
        assert_eq!("fast".parse::<Playout>(), Err(ConfigError::Playout));
        for frame in FrameLen::ALL {
            assert_eq!(frame.name().parse(), Ok(frame));
            assert_eq!(FrameLen::from_samples(frame.samples()), Some(frame));
        }
    }
}
