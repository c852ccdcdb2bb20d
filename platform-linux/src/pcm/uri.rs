//! The names of devices.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

const ALLOWED: &str = "alsa:NAME, usb:PORT, file:PATH.wav, tone:, tone:HZ, null or auto";

/// A device, as it is named on the command line and in configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Uri {
    /// `alsa:NAME`: any name that ALSA knows.
    Alsa(String),
    /// `usb:PORT` or `usb:PORT/DEVICE`: the sound card in a USB port.
    Usb {
        /// The port, such as `1-1.2`.
        port: String,
        /// The number of the card's device.
        device: u32,
    },
    /// `file:PATH.wav`, with `?loop` behind it to begin again at the end.
    File {
        /// The file.
        path: PathBuf,
        /// Begin again at the end.
        repeat: bool,
    },
    /// `tone:`, a melody that tells the channels apart, or `tone:HZ`, a steady sine.
    Tone(Option<u16>),
    /// `null`: silence, or a sink that keeps time.
    Null,
    /// `auto`: a real sound card where there is one.
    Auto,
}

/// Text that names no device.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UriError {
    /// A scheme that does not exist.
    #[error("{0:?} is not a kind of device; allowed: {ALLOWED}")]
    Scheme(String),
    /// No scheme at all.
    #[error("{0:?} names no kind of device (did you mean alsa:{0}?); allowed: {ALLOWED}")]
    Bare(String),
    /// A scheme without what belongs behind it.
    #[error("{0} needs {1} behind it")]
    Empty(&'static str, &'static str),
    /// Not a frequency.
    #[error("{0:?} is not a frequency; allowed: tone: or tone:20 to tone:20000 (hertz)")]
    Hertz(String),
    /// Not a USB port.
    #[error("{0:?} is not a USB port; allowed: usb:1-1.2 (bus-port.port), usb:1-1.2/0 (and a device of the card)")]
    Port(String),
    /// Not the number of a device.
    #[error("{0:?} is not the number of a device of a card; allowed: usb:1-1.2/0 to usb:1-1.2/31")]
    Device(String),
    /// More devices than can be chosen from.
    #[error("{0} devices; allowed: up to {max}", max = soundpost_core::capacity::CANDIDATES_MAX)]
    Many(usize),
    /// An option that a file does not have.
    #[error("{0:?} is not an option of a file; allowed: ?loop")]
    Option(String),
}

impl Uri {
    /// Whether text begins like a device: with a scheme, or one of the words that need none.
    pub(super) fn begins(text: &str) -> bool {
        let schemes = ["alsa:", "usb:", "file:", "tone:"];
        schemes.iter().any(|scheme| text.starts_with(scheme)) || ["null", "auto", "tone"].contains(&text)
    }

    /// Whether a device that was lost can be had again. A recording cannot: opening it again would overwrite
    /// what it holds.
    #[must_use]
    pub const fn comes_back(&self) -> bool {
        !matches!(self, Self::File { .. })
    }
}

impl FromStr for Uri {
    type Err = UriError;

    fn from_str(text: &str) -> Result<Self, UriError> {
        let Some((scheme, rest)) = text.split_once(':') else {
            return match text {
                "null" => Ok(Self::Null),
                "auto" => Ok(Self::Auto),
                "tone" => Ok(Self::Tone(None)),
                _ => Err(UriError::Bare(text.to_owned())),
            };
        };
        match scheme {
            "alsa" if rest.is_empty() => Err(UriError::Empty("alsa:", "a name, such as default or hw:0")),
            "alsa" => Ok(Self::Alsa(rest.to_owned())),
            "usb" => usb(rest),
            "file" => file(rest),
            "tone" if rest.is_empty() => Ok(Self::Tone(None)),
            "tone" => {
                let hertz = rest.trim_end_matches("Hz").parse().ok().filter(|hertz| (20..=20_000).contains(hertz));
                hertz.map_or_else(|| Err(UriError::Hertz(rest.to_owned())), |hertz| Ok(Self::Tone(Some(hertz))))
            }
            "null" if rest.is_empty() => Ok(Self::Null),
            "auto" if rest.is_empty() => Ok(Self::Auto),
            "hw" | "plughw" | "default" | "sysdefault" | "dsnoop" | "dmix" | "plug" => {
                Err(UriError::Bare(text.to_owned()))
            }
            _ => Err(UriError::Scheme(scheme.to_owned())),
        }
    }
}

fn usb(rest: &str) -> Result<Uri, UriError> {
    let (port, device) = rest.split_once('/').unwrap_or((rest, "0"));
    if !super::usb::is_port(port) {
        return Err(UriError::Port(port.to_owned()));
    }
    let number = device.parse().ok().filter(|number| *number < 32);
    let device = number.ok_or_else(|| UriError::Device(device.to_owned()))?;
    Ok(Uri::Usb { port: port.to_owned(), device })
}

fn file(rest: &str) -> Result<Uri, UriError> {
    let (path, option) = rest.split_once('?').unwrap_or((rest, ""));
    if path.is_empty() {
        return Err(UriError::Empty("file:", "a path, such as file:hello.wav"));
    }
    let repeat = match option {
        "" => false,
        "loop" => true,
        other => return Err(UriError::Option(other.to_owned())),
    };
    Ok(Uri::File { path: PathBuf::from(path), repeat })
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Alsa(name) => write!(f, "alsa:{name}"),
            Self::Usb { port, device: 0 } => write!(f, "usb:{port}"),
            Self::Usb { port, device } => write!(f, "usb:{port}/{device}"),
            Self::File { path, repeat } => write!(f, "file:{}{}", path.display(), if *repeat { "?loop" } else { "" }),
            Self::Tone(None) => f.write_str("tone:"),
            Self::Tone(Some(hertz)) => write!(f, "tone:{hertz}"),
            Self::Null => f.write_str("null"),
            Self::Auto => f.write_str("auto"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_survive_being_written_and_read() {
        let names = [
            "alsa:default",
            "alsa:hw:CARD=PCH,DEV=0",
            "alsa:plug:'x:y'",
            "usb:1-1.2",
            "usb:3-4/2",
            "file:a b.wav",
            "file:/x/y.wav?loop",
            "tone:",
            "tone:440",
            "null",
            "auto",
        ];
        for text in names {
            assert_eq!(text.parse::<Uri>().unwrap().to_string(), text);
        }
        assert_eq!("tone".parse(), Ok(Uri::Tone(None)));
        assert_eq!("null:".parse(), Ok(Uri::Null));
    }

    #[test]
    fn what_is_wrong_is_named_with_what_is_allowed() {
        for (text, named) in [
            ("pulse:x", "\"pulse\" is not a kind of device; allowed: alsa:NAME"),
            ("hw:0,0", "did you mean alsa:hw:0,0?"),
            ("default", "did you mean alsa:default?"),
            ("", "allowed: alsa:NAME"),
            ("alsa:", "needs a name"),
            ("file:", "needs a path"),
            ("file:x.wav?once", "\"once\" is not an option"),
            ("tone:19", "allowed: tone: or tone:20"),
            ("tone:99999", "allowed: tone: or tone:20"),
            ("null:x", "allowed: alsa:NAME"),
        ] {
            let error = text.parse::<Uri>().unwrap_err().to_string();
            assert!(error.contains(named), "{text}: {error}");
        }
    }
}
