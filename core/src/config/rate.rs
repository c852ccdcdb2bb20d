//! The rates that Opus knows.

use super::ConfigError;

/// The sampling rates that Opus has. The PCM side always runs at 48 kHz; this bounds the audio bandwidth
/// that is coded (RFC 6716 table 1: 4, 6, 8, 12 and 20 kHz).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Rate {
    /// Narrowband, 4 kHz.
    Hz8000,
    /// Medium band, 6 kHz.
    Hz12000,
    /// Wideband, 8 kHz.
    Hz16000,
    /// Super-wideband, 12 kHz.
    Hz24000,
    /// Fullband, 20 kHz.
    Hz48000,
}

impl Rate {
    /// All rates, the lowest first.
    pub const ALL: [Self; 5] = [Self::Hz8000, Self::Hz12000, Self::Hz16000, Self::Hz24000, Self::Hz48000];

    /// In hertz.
    #[must_use]
    pub const fn hz(self) -> u32 {
        match self {
            Self::Hz8000 => 8_000,
            Self::Hz12000 => 12_000,
            Self::Hz16000 => 16_000,
            Self::Hz24000 => 24_000,
            Self::Hz48000 => 48_000,
        }
    }

    /// The rate of `hz` hertz.
    ///
    /// # Errors
    /// [`ConfigError::Rate`] for a rate that Opus does not have, 22 050 and 44 100 among them.
    pub fn from_hz(hz: u32) -> Result<Self, ConfigError> {
        Self::ALL.into_iter().find(|rate| rate.hz() == hz).ok_or(ConfigError::Rate(hz))
    }
}
