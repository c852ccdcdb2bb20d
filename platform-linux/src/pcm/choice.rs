//! Several devices, the best first: `alsa:hw:CARD=tc358743,usb:1-1.2,auto`.

use super::{OpenError, Opened, Uri, UriError, Volume};
use soundpost_core::capacity::CANDIDATES_MAX;
use std::fmt;
use std::str::FromStr;

/// One device at least, and what its volume is to be set to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice(Vec<Uri>, Option<Volume>);

impl Choice {
    /// The devices, the best first.
    #[must_use]
    pub fn uris(&self) -> &[Uri] {
        &self.0
    }

    /// The same devices; the card of the one that is opened gets this volume.
    #[must_use]
    pub fn with_volume(self, volume: Option<Volume>) -> Self {
        Self(self.0, volume)
    }

    /// What the volume is to be set to, if to anything.
    #[must_use]
    pub const fn volume(&self) -> Option<&Volume> {
        self.1.as_ref()
    }

    /// Whether a device that was lost can be had again.
    #[must_use]
    pub fn comes_back(&self) -> bool {
        self.0.iter().all(Uri::comes_back)
    }

    /// Opens the first that opens, in the order of these ranks; says why if it is not the best one.
    ///
    /// # Errors
    /// Why the last one could not be opened, if it was the only one, else why none of them could.
    pub fn open<T>(
        &self,
        ranks: impl Iterator<Item = usize>,
        mut open: impl FnMut(&Uri) -> Result<(T, Opened), OpenError>,
    ) -> Result<(T, Opened), OpenError> {
        let mut failures = Vec::new();
        for (rank, uri) in ranks.filter_map(|rank| Some((rank, self.0.get(rank)?))) {
            match open(uri) {
                Ok((device, opened)) => return Ok((device, self.explain(opened, rank, &failures))),
                Err(error) => failures.push(error),
            }
        }
        match failures.pop() {
            Some(only) if failures.is_empty() => Err(only),
            last => Err(OpenError::None(failures.into_iter().chain(last).map(|error| error.to_string()).collect())),
        }
    }

    fn explain(&self, mut opened: Opened, rank: usize, failures: &[OpenError]) -> Opened {
        opened.rank = rank;
        if self.0.len() == 1 {
            return opened;
        }
        let why = match (rank, failures) {
            (0, _) => "it is the first choice".to_owned(),
            (_, []) => "better ones have failed of late".to_owned(),
            _ => failures.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "),
        };
        opened.description = format!("{}, because {why}", opened.description);
        opened
    }
}

impl From<Uri> for Choice {
    fn from(uri: Uri) -> Self {
        Self(vec![uri], None)
    }
}

impl FromStr for Choice {
    type Err = UriError;

    /// A comma separates two devices if what follows begins like one: names of ALSA have commas, too.
    fn from_str(text: &str) -> Result<Self, UriError> {
        let mut parts: Vec<String> = Vec::new();
        for part in text.split(',') {
            match parts.last_mut() {
                Some(last) if !Uri::begins(part) => *last = format!("{last},{part}"),
                _ => parts.push(part.to_owned()),
            }
        }
        if parts.len() > CANDIDATES_MAX {
            return Err(UriError::Many(parts.len()));
        }
        parts.iter().map(|part| part.parse()).collect::<Result<_, _>>().map(|uris| Self(uris, None))
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&names.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_of_names_are_told_from_commas_between_devices() {
        for (text, count) in [
            ("alsa:hw:0,0", 1),
            ("alsa:hw:CARD=PCH,DEV=0,usb:1-1.2,auto", 3),
            ("usb:1-1.2/1,null", 2),
            ("alsa:plug:'dmix:0,0',tone:", 2),
            ("file:a,b.wav", 1),
        ] {
            let choice: Choice = text.parse().unwrap();
            assert_eq!((choice.uris().len(), choice.to_string().as_str()), (count, text));
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, named) in [
            ("alsa:hw:0,0,pulse:x", "pulse"),
            ("", "allowed: alsa:NAME"),
            ("auto,auto,auto,auto,auto,auto,auto,auto,auto", "9 devices; allowed: up to 8"),
            ("usb:1", "\"1\" is not a USB port"),
            ("usb:1-1/x", "\"x\" is not the number of a device"),
        ] {
            let result = text.parse::<Choice>();
            // An unknown scheme is part of a name before it.
            let error = result.map(|choice| choice.to_string()).unwrap_or_else(|error| error.to_string());
            assert!(error.contains(named), "{text}: {error}");
        }
    }
}
