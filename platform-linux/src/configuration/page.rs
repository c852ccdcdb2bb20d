//! What is written from the table of keys: the example file, and the page about it.

use super::{KEYS, Takes, Values};
use std::fmt::Write as _;

/// A value as TOML has it.
#[must_use]
pub fn quoted(value: &str) -> String {
    let is_bare =
        value == "true" || value == "false" || (!value.is_empty() && value.bytes().all(|b| b.is_ascii_digit()));
    if is_bare { value.to_owned() } else { toml::Value::from(value).to_string() }
}

/// The example file: every key, commented out, with its default.
#[must_use]
pub fn example() -> String {
    let mut text =
        "# Soundpost: every key with its default. What is commented out here is not said, and so is as it says.\n\
                    # Copy to /etc/soundpost.toml, or name it: soundpost run --config FILE\n"
            .to_owned();
    let (defaults, mut section) = (Values::default(), "");
    for key in KEYS {
        if key.section() != section {
            section = key.section();
            let _ = writeln!(text, "\n[{section}]");
        }
        let _ = writeln!(text, "\n# {}\n# Allowed: {}.", key.doc, key.allowed());
        let _ = match (key.show)(&defaults) {
            Some(value) => writeln!(text, "# {} = {}", key.name(), quoted(&value)),
            None => writeln!(text, "# Not set: {}.\n# {} = {}", key.unset, key.name(), quoted(key.example)),
        };
    }
    text
}

/// The page about the keys.
#[must_use]
pub fn reference() -> String {
    let mut text = include_str!("preface.md").to_owned();
    let (defaults, mut section) = (Values::default(), "");
    for key in KEYS {
        if key.section() != section {
            section = key.section();
            let _ = writeln!(
                text,
                "\n### [{section}]\n\n| key | value | default | allowed | what it does | takes effect |\n|---|---|---|---|---|---|"
            );
        }
        let default =
            (key.show)(&defaults).map_or_else(|| key.unset.to_owned(), |value| format!("`{}`", quoted(&value)));
        let takes = match key.takes {
            Takes::Frame => "between two frames",
            Takes::Period => "between two periods",
            Takes::Talker => "with the next talker",
            Takes::Device => "the device is opened anew",
            Takes::Restart => "with the next start",
        };
        let cells = [&format!("`{}`", key.name()), key.kind, &default, &key.allowed(), key.doc, takes];
        let _ = writeln!(text, "| {} |", cells.map(|cell| cell.replace('|', "\\|")).join(" | "));
    }
    text
}
