//! A configuration that can change while the daemon runs: where it came from, to be read again, and what was set since.
//!
//! Nothing here changes anything: each way of changing gives another [`Live`], or everything that is wrong with it. The
//! newest word wins: what was set while the daemon runs holds until the file says something else about that key than it
//! did before.

use super::{DEFAULT_FILE, Effective, Fault, Key, Origin, Sources, Takes, load};
use std::path::{Path, PathBuf};

/// What takes back what was set: then it is again as file, environment and command line say.
pub const TAKE_BACK: &str = "default";

/// Where the file is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Where it is if nobody says otherwise; perhaps there is none.
    Default,
    /// There, and it has to be there.
    Named(PathBuf),
}

impl Place {
    /// The file's name.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::Default => Path::new(DEFAULT_FILE),
            Self::Named(path) => path,
        }
    }

    fn read(&self) -> Result<Option<(PathBuf, String)>, Fault> {
        let path = self.path();
        match std::fs::read_to_string(path) {
            Ok(text) => Ok(Some((path.to_owned(), text))),
            Err(error) if *self == Self::Default && error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => {
                let (origin, why) =
                    (Origin::File(path.to_owned(), 0), format!("cannot read the configuration: {error}"));
                Err(Fault { origin, key: String::new(), value: String::new(), why })
            }
        }
    }
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Live {
    place: Place,
    sources: Sources,
    effective: Effective,
}

impl Live {
    /// All that holds together: the file, the environment and the command line.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub fn load(
        place: Place,
        environment: Vec<(String, String)>,
        command_line: Vec<(&'static str, String)>,
    ) -> Result<Self, Vec<Fault>> {
        let file = place.read().map_err(|fault| vec![fault])?;
        Self::of(place, Sources { file, environment, command_line, set: Vec::new() })
    }

    fn of(place: Place, sources: Sources) -> Result<Self, Vec<Fault>> {
        let effective = load(&sources)?;
        Ok(Self { place, sources, effective })
    }

    /// What holds.
    #[must_use]
    pub const fn effective(&self) -> &Effective {
        &self.effective
    }

    /// Where the file is, or would be.
    #[must_use]
    pub const fn place(&self) -> &Place {
        &self.place
    }

    /// The same with other values for these keys; [`TAKE_BACK`] takes back what was set before.
    ///
    /// # Errors
    /// Everything that is wrong, also what cannot be set while the daemon runs.
    pub fn with(&self, said: &[(String, String)]) -> Result<Self, Vec<Fault>> {
        let mut sources = self.sources.clone();
        let mut faults = Vec::new();
        for (name, value) in said {
            sources.set.retain(|(other, _)| other != name);
            match Key::find(name) {
                Some(key) if key.takes == Takes::Restart => {
                    let why = format!(
                        "{value:?} takes a restart of the daemon; allowed: in {}, followed by a restart",
                        self.place.path().display()
                    );
                    faults.push(Fault { origin: Origin::Set, key: name.clone(), value: value.clone(), why });
                }
                Some(_) if value == TAKE_BACK => {}
                Some(_) | None => sources.set.push((name.clone(), value.clone())),
            }
        }
        match Self::of(self.place.clone(), sources) {
            Ok(live) if faults.is_empty() => Ok(live),
            Ok(_) => Err(faults),
            Err(others) => Err(faults.into_iter().chain(others).collect()),
        }
    }

    /// The same with the file as it is now.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub fn anew(&self) -> Result<Self, Vec<Fault>> {
        let file = self.place.read().map_err(|fault| vec![fault])?;
        let mut sources = Sources { file, ..self.sources.clone() };
        let alone = |sources: &Sources| load(&Sources { file: sources.file.clone(), ..Sources::default() });
        let (before, after) = (alone(&self.sources)?, alone(&sources)?);
        sources.set.retain(|(name, _)| before.said(name) == after.said(name));
        Self::of(self.place.clone(), sources)
    }
}
