//! All figures of the status for Prometheus, in its text format 0.0.4.
//!
//! Names begin with `soundpost_`, counts end in `_total`, and units are seconds, bytes, hertz and ratios. What has two
//! directions has the label `direction`. `docs/control.md` lists them all, and a test keeps that list true.

mod process;
mod sound;
mod system;
mod worker;

use super::Shop;
use crate::daemon::status::Status;
use std::fmt::Write as _;

/// What a metric is.
#[derive(Clone, Copy)]
enum Kind {
    /// It only grows.
    Counter,
    /// It goes up and down.
    Gauge,
}

/// The page, as it grows.
struct Page(String);

impl Page {
    /// The head of a metric.
    fn head(&mut self, name: &str, kind: Kind, help: &str) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        let _ = write!(self.0, "# HELP soundpost_{name} {help}\n# TYPE soundpost_{name} {kind}\n");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        let _ = write!(self.0, "soundpost_{name}");
        for (n, (label, text)) in labels.iter().enumerate() {
            let before = if n == 0 { '{' } else { ',' };
            let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let _ = write!(self.0, "{before}{label}=\"{text}\"");
        }
        let _ = writeln!(self.0, "{} {value}", if labels.is_empty() { "" } else { "}" });
    }

    /// A metric with one value.
    fn one(&mut self, name: &str, kind: Kind, help: &str, value: f64) {
        self.head(name, kind, help);
        self.sample(name, &[], value);
    }

    /// A metric with a value for each of a label's; those that are not known are left out.
    fn each<L: AsRef<str>>(
        &mut self,
        (name, kind, help): (&str, Kind, &str),
        label: &str,
        values: impl IntoIterator<Item = (L, Option<f64>)>,
    ) {
        self.head(name, kind, help);
        for (text, value) in values {
            value.into_iter().for_each(|value| self.sample(name, &[(label, text.as_ref())], value));
        }
    }

    /// The same of counts.
    fn counts<L: AsRef<str>>(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        values: impl IntoIterator<Item = (L, u64)>,
    ) {
        let values = values.into_iter().map(|(text, times)| (text, Some(count(times))));
        self.each((name, Kind::Counter, help), label, values);
    }

    /// A metric of both directions.
    fn both(&mut self, name: &str, kind: Kind, help: &str, [capture, playback]: [f64; 2]) {
        self.maybe(name, kind, help, [Some(capture), Some(playback)]);
    }

    /// The same, where a value may not be known.
    fn maybe(&mut self, name: &str, kind: Kind, help: &str, [capture, playback]: [Option<f64>; 2]) {
        self.each((name, kind, help), "direction", [("capture", capture), ("playback", playback)]);
    }

    /// A metric of both directions with another label.
    fn grid(
        &mut self,
        (name, kind, help): (&str, Kind, &str),
        label: &str,
        [capture, playback]: [Vec<(&str, f64)>; 2],
    ) {
        self.head(name, kind, help);
        for (direction, values) in [("capture", capture), ("playback", playback)] {
            for (text, value) in values {
                self.sample(name, &[("direction", direction), (label, text)], value);
            }
        }
    }
}

/// One of several words is true.
fn one_of<'a>(words: &[&'a str], is: &str) -> Vec<(&'a str, f64)> {
    words.iter().map(|word| (*word, flag(*word == is))).collect()
}

fn flag(is: bool) -> f64 {
    f64::from(u8::from(is))
}

/// Counts as samples: exact up to 2⁵³.
fn count(count: u64) -> f64 {
    count as f64
}

fn seconds(ms: f64) -> f64 {
    ms / 1000.0
}

/// A part of a number that is written in decibels, as what it is a ratio of.
fn ratio(decibels: f64) -> f64 {
    10_f64.powf(decibels / 20.0)
}

/// The whole page.
pub(super) fn text(shop: &Shop) -> String {
    let status = shop.hub.status();
    let mut page = Page(String::with_capacity(32 * 1024));
    system::write(&mut page, shop, &status);
    sound::write(&mut page, &status);
    worker::write(&mut page, &status);
    process::write(&mut page, &status);
    page.0
}

fn unix_time() -> f64 {
    crate::daytime::since_1970().as_secs_f64()
}

/// Both directions of something that the status has of each.
fn both<T>(status: &Status, capture: impl Fn(&Status) -> T, playback: impl Fn(&Status) -> T) -> [T; 2] {
    [capture(status), playback(status)]
}
