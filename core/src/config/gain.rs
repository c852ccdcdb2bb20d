//! How much louder or softer, in hundredths of a decibel.

use super::ConfigError;
use core::fmt;
use core::str::FromStr;

/// A gain, from −60 to +20 dB in steps of a hundredth (a millibel). At 0 dB, the default, nothing is done at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Gain(i16);

/// Factors in Q20 of 0 to 20 dB.
const DECADE: [u32; 21] = [
    1_048_576, 1_176_522, 1_320_079, 1_481_153, 1_661_881, 1_864_661, 2_092_184, 2_347_469, 2_633_904, 2_955_289,
    3_315_888, 3_720_488, 4_174_456, 4_683_817, 5_255_329, 5_896_576, 6_616_067, 7_423_350, 8_329_135, 9_345_443,
    10_485_760,
];

const MILLIBELS: u32 = 100;
const DECADE_MILLIBELS: u32 = 2_000;

impl Gain {
    /// The least, in hundredths of a decibel.
    pub const MIN_MILLIBELS: i16 = -6_000;
    /// The most.
    pub const MAX_MILLIBELS: i16 = 2_000;
    /// Neither louder nor softer.
    pub const NONE: Self = Self(0);
    /// A factor of one, as [`factor`](Self::factor) has it.
    pub const UNITY: u32 = 1 << 20;
    /// A change of gain takes so many samples, 5 ms: short enough to be at once, long enough not to click.
    pub const RAMP_SAMPLES: u32 = 240;

    /// A gain of so many hundredths of a decibel.
    ///
    /// # Errors
    /// [`ConfigError::Gain`] unless it is from −6000 to 2000.
    pub const fn from_millibels(millibels: i16) -> Result<Self, ConfigError> {
        match millibels {
            Self::MIN_MILLIBELS..=Self::MAX_MILLIBELS => Ok(Self(millibels)),
            _ => Err(ConfigError::Gain),
        }
    }

    /// Hundredths of a decibel.
    #[must_use]
    pub const fn millibels(self) -> i16 {
        self.0
    }

    /// What samples are multiplied by, in Q20; right to 0.02 dB.
    #[must_use]
    pub fn factor(self) -> u32 {
        // Counted from −60 dB, so that nothing is negative.
        let up = u32::from(self.0.wrapping_sub(Self::MIN_MILLIBELS).unsigned_abs());
        let (decade, rest) = (up / DECADE_MILLIBELS, up % DECADE_MILLIBELS);
        let (step, part) = ((rest / MILLIBELS) as usize, rest % MILLIBELS);
        let low = DECADE.get(step).copied().unwrap_or(Self::UNITY);
        let high = DECADE.get(step.wrapping_add(1)).copied().unwrap_or(low);
        // Between whole decibels a straight line.
        let between = u64::from(high.wrapping_sub(low)).wrapping_mul(u64::from(part)) / u64::from(MILLIBELS);
        let factor = u64::from(low).wrapping_add(between).wrapping_mul(10_u64.wrapping_pow(decade));
        u32::try_from(factor.wrapping_add(500) / 1_000).unwrap_or(Self::UNITY)
    }
}

impl FromStr for Gain {
    type Err = ConfigError;
    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let number = text.strip_suffix("dB").unwrap_or(text).trim();
        let (negative, size) = match number.strip_prefix('-') {
            Some(size) => (true, size),
            None => (false, number.strip_prefix('+').unwrap_or(number)),
        };
        let (whole, part) = size.split_once('.').unwrap_or((size, "0"));
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(whole) || !digits(part) || part.len() > 2 {
            return Err(ConfigError::Gain);
        }
        let hundredths = |part: &str| part.parse::<i16>().ok()?.checked_mul(if part.len() == 1 { 10 } else { 1 });
        let millibels =
            whole.parse::<i16>().ok().and_then(|whole| whole.checked_mul(100)?.checked_add(hundredths(part)?));
        let millibels = millibels.ok_or(ConfigError::Gain)?;
        Self::from_millibels(if negative { millibels.saturating_neg() } else { millibels })
    }
}

impl fmt::Display for Gain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (size, sign) = (self.0.unsigned_abs(), ["", "+", "-"]);
        let sign = sign.get(usize::from(self.0 > 0).max(usize::from(self.0 < 0) * 2)).copied().unwrap_or("");
        let (whole, part) = (size / 100, size % 100);
        match (part, part % 10) {
            (0, _) => write!(f, "{sign}{whole} dB"),
            (_, 0) => write!(f, "{sign}{whole}.{} dB", part / 10),
            _ => write!(f, "{sign}{whole}.{part:02} dB"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    fn decibels(tenths: i16) -> Gain {
        Gain::from_millibels(tenths * 10).unwrap()
    }

    #[test]
    fn a_factor_is_right_to_a_fiftieth_of_a_decibel_over_the_whole_range() {
        let mut before = 0;
        for millibels in Gain::MIN_MILLIBELS..=Gain::MAX_MILLIBELS {
            let factor = Gain::from_millibels(millibels).unwrap().factor();
            let is = 20.0 * (f64::from(factor) / f64::from(Gain::UNITY)).log10();
            assert!((is - f64::from(millibels) / 100.0).abs() < 0.02, "{millibels}: {is}");
            assert!(factor >= before, "{millibels}");
            before = factor;
        }
        assert_eq!(Gain::NONE.factor(), Gain::UNITY);
        assert_eq!(decibels(200).factor(), 10 * Gain::UNITY);
    }

    #[test]
    fn text_becomes_a_gain_or_an_error_that_says_what_is_allowed() {
        for (text, millibels) in
            [("-6dB", -600), ("3dB", 300), ("+3 dB", 300), ("0", 0), ("-2.5", -250), ("19.99dB", 1999), ("-0.05dB", -5)]
        {
            assert_eq!(text.parse(), Gain::from_millibels(millibels), "{text}");
        }
        for text in
            ["", "-", "dB", "20.01dB", "-60.5", "1.234", "1e3", "--3", "loud", "99999", "3 %", "400000.1", "+-1"]
        {
            assert_eq!(text.parse::<Gain>(), Err(ConfigError::Gain), "{text}");
        }
        let message = ConfigError::Gain.to_string();
        assert!(message.contains("-60") && message.contains("20dB"), "{message}");
        for millibels in Gain::MIN_MILLIBELS..=Gain::MAX_MILLIBELS {
            let gain = Gain::from_millibels(millibels).unwrap();
            assert_eq!(gain.to_string().parse(), Ok(gain));
        }
        assert_eq!([decibels(-60), decibels(30), decibels(-25)].map(|g| g.to_string()), ["-6 dB", "+3 dB", "-2.5 dB"]);
    }
}
