//! Files and the environment as keys and values, and what is wrong with them.

use super::{KEYS, Key, Origin};
use std::fmt;
use std::path::Path;
use toml::de::{DeTable, DeValue};

/// What is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where.
    pub origin: Origin,
    /// Which key; empty if the file is none.
    pub key: String,
    /// Its value, as it was written; empty if the file is none.
    pub value: String,
    /// What is wrong with it, and what is allowed.
    pub why: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { origin, key, why, .. } = self;
        if key.is_empty() { write!(f, "{origin}: {why}") } else { write!(f, "{origin}: {key}: {why}") }
    }
}

impl std::error::Error for Fault {}

impl Fault {
    pub(super) fn value(origin: Origin, key: &Key, value: &str, why: &str) -> Self {
        let why = if why.contains(value) && !value.is_empty() { why.to_owned() } else { format!("{value:?} is {why}") };
        let why = if why.contains("allowed: ") { why } else { format!("{why}; allowed: {}", key.allowed()) };
        Self { origin, key: key.full.to_owned(), value: value.to_owned(), why }
    }

    pub(super) fn unknown(origin: Origin, key: &str, value: &str) -> Self {
        let section = key.split_once('.').map_or(key, |(section, _)| section);
        let names: Vec<_> = KEYS.iter().filter(|key| key.section() == section).map(Key::name).collect();
        let allowed = if names.is_empty() { sections() } else { format!("in [{section}]: {}", names.join(", ")) };
        Self {
            origin,
            key: key.to_owned(),
            value: value.to_owned(),
            why: format!("there is no such key (its value is {value}); allowed: {allowed}"),
        }
    }
}

fn sections() -> String {
    let mut names: Vec<_> = KEYS.iter().map(|key| format!("[{}]", key.section())).collect();
    names.dedup();
    format!("the sections {}", names.join(", "))
}

type Entry = (&'static Key, String, Origin);

pub(super) fn file(path: &Path, text: &str, entries: &mut Vec<Entry>, faults: &mut Vec<Fault>) {
    let at = |offset: usize| {
        let before = text.as_bytes().iter().take(offset);
        Origin::File(path.to_owned(), 1 + before.filter(|byte| **byte == b'\n').count())
    };
    let table = match DeTable::parse(text) {
        Ok(table) => table,
        Err(error) => {
            let origin = at(error.span().map_or(0, |span| span.start));
            return faults.push(Fault {
                origin,
                key: String::new(),
                value: String::new(),
                why: error.message().replace('\n', " "),
            });
        }
    };
    for (section, value) in table.get_ref() {
        let DeValue::Table(keys) = value.get_ref() else {
            faults.push(Fault::unknown(at(section.span().start), section.get_ref(), &written(text, value.span())));
            continue;
        };
        if !KEYS.iter().any(|key| key.section() == section.get_ref().as_ref()) {
            let why = format!("there is no such section; allowed: {}", sections());
            let (origin, key) = (at(section.span().start), format!("[{}]", section.get_ref()));
            faults.push(Fault { origin, key, value: String::new(), why });
            continue;
        }
        for (name, value) in keys {
            let full = format!("{}.{}", section.get_ref(), name.get_ref());
            let origin = at(name.span().start);
            let raw = written(text, value.span());
            let Some(key) = KEYS.iter().find(|key| key.full == full) else {
                faults.push(Fault::unknown(origin, &full, &raw));
                continue;
            };
            match value.get_ref() {
                DeValue::String(value) => entries.push((key, value.to_string(), origin)),
                DeValue::Integer(_) | DeValue::Float(_) => entries.push((key, raw.replace('_', ""), origin)),
                DeValue::Boolean(_) => entries.push((key, raw, origin)),
                _ => {
                    let why = format!("{raw} is no single value; allowed: {}", key.allowed());
                    faults.push(Fault { origin, key: full, value: raw, why });
                }
            }
        }
    }
}

/// A value as it is written, or its beginning.
fn written(text: &str, span: std::ops::Range<usize>) -> String {
    text.get(span).unwrap_or("").lines().next().unwrap_or("").to_owned()
}

pub(super) fn environment(variables: &[(String, String)], entries: &mut Vec<Entry>, faults: &mut Vec<Fault>) {
    for (variable, value) in variables {
        let origin = Origin::Environment(variable.clone());
        if let Some(key) = KEYS.iter().find(|key| key.variable() == *variable) {
            entries.push((key, value.clone(), origin));
        } else if let Some(key) = KEYS.iter().find(|key| {
            variable.strip_prefix("SOUNDPOST_").and_then(|rest| rest.split('_').next())
                == Some(&key.section().to_uppercase())
        }) {
            let section = key.section();
            let name = variable.to_lowercase().replacen(&format!("soundpost_{section}_"), "", 1);
            faults.push(Fault::unknown(origin, &format!("{section}.{name}"), &format!("{value:?}")));
        }
    }
}
