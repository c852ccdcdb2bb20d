//! Numbers with their units, as scenario files write them.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use soundpost_core::time::Span;

/// A length of time: `"250us"`, `"20ms"`, `"1.5s"`, `"10m"`, `"1h"`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(pub Span);

const UNITS: [(&str, f64); 5] = [("us", 1.0), ("ms", 1e3), ("s", 1e6), ("m", 60e6), ("h", 3600e6)];
const MOST: f64 = 31.0 * 24.0 * 3600e6;

impl Time {
    /// So many milliseconds.
    #[must_use]
    pub const fn ms(ms: u64) -> Self {
        Self(Span::from_millis(ms))
    }

    /// As a number of seconds.
    #[must_use]
    pub fn seconds(self) -> f64 {
        self.0.as_micros() as f64 / 1e6
    }
}

impl std::str::FromStr for Time {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "{text:?} is no length of time; write one such as \"250us\", \"20ms\", \"1.5s\", \"10m\" or \"1h\", up to 31 days"
            )
        };
        let text = text.trim();
        let end = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
        let (number, unit) = (text.get(..end).unwrap_or(""), text.get(end..).unwrap_or(""));
        let scale = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?.1;
        let micros = number.trim().parse::<f64>().map_err(|_| wrong())? * scale;
        if micros.is_finite() && (0.0..=MOST).contains(&micros) {
            Ok(Self(Span::from_micros((micros + 0.5) as u64)))
        } else {
            Err(wrong())
        }
    }
}

impl std::fmt::Display for Time {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let us = self.0.as_micros();
        let unit =
            UNITS.iter().rev().find(|(_, scale)| us > 0 && us.is_multiple_of(*scale as u64)).unwrap_or(&UNITS[1]);
        write!(f, "{}{}", us / unit.1 as u64, unit.0)
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(de::Error::custom)
    }
}

/// A number between bounds that its name says.
macro_rules! bounded {
    ($(#[$doc:meta])* $name:ident, $low:expr, $high:expr, $what:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd, Serialize)]
        pub struct $name(pub f64);

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let value = f64::deserialize(from)?;
                if ($low..=$high).contains(&value) {
                    Ok(Self(value))
                } else {
                    Err(de::Error::custom(format!("{value} is out of range; {}: from {} to {}", $what, $low, $high)))
                }
            }
        }
    };
}

bounded!(
    /// A share.
    Percent, 0.0, 100.0, "percent"
);
bounded!(
    /// How fast a clock is: no sound card is off by more.
    Ppm, -5000.0, 5000.0, "parts per million"
);
bounded!(
    /// Bits a second that go through a link.
    Kbps, 1.0, 10_000_000.0, "kbit/s"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_and_written() {
        for (text, us) in
            [("250us", 250), ("20ms", 20_000), ("90s", 90_000_000), ("2m", 120_000_000), ("1h", 3_600_000_000)]
        {
            let time: Time = text.parse().unwrap();
            assert_eq!(time.0.as_micros(), us);
            assert_eq!(time.to_string().parse(), Ok(time), "{text}");
        }
        assert_eq!("1.5s".parse(), Ok(Time::ms(1_500)));
        assert_eq!(Time::default().to_string(), "0ms");
        for wrong in ["", "5", "5 parsecs", "-1s", "nans", "1e9h", "s"] {
            assert!(wrong.parse::<Time>().unwrap_err().contains("such as"), "{wrong}");
        }
    }
}
