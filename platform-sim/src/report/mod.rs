//! The report: one page that a person understands without help.
//!
//! It is one file that asks for nothing from elsewhere, and works from a disk, on a phone, in the dark and without
//! JavaScript. It knows the outcome of a run and what was heard in it, and never runs anything itself.

pub mod page;
pub mod plot;
pub mod sound;
mod way;
mod words;

use crate::outcome::Outcome;
use sound::Clip;
use std::path::{Path, PathBuf};

/// What was heard, for the page.
#[derive(Clone, Debug, Default)]
pub struct Audio {
    /// By the first listener.
    pub capture: Option<Clip>,
    /// On the device.
    pub playback: Option<Clip>,
    /// Where it comes from, or why there is none.
    pub note: String,
}

/// Why an outcome cannot be reported on.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// There is no such file, or it may not be read.
    #[error("{}: {why}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system says.
        why: std::io::Error,
    },
    /// It is something else.
    #[error("{}: {what}; it must be what `soundpost-sim run SCENARIO --json` printed", path.display())]
    Foreign {
        /// Which.
        path: PathBuf,
        /// What is wrong, with line and field.
        what: String,
    },
}

/// The outcome that an earlier run printed.
///
/// # Errors
/// [`ReadError`], which names the file and the field.
pub fn read(path: &Path) -> Result<Outcome, ReadError> {
    let text = std::fs::read_to_string(path).map_err(|why| ReadError::File { path: path.to_owned(), why })?;
    parse(&text).map_err(|what| ReadError::Foreign { path: path.to_owned(), what })
}

fn parse(text: &str) -> Result<Outcome, String> {
    let error = match serde_json::from_str::<Outcome>(text) {
        Ok(outcome) => return Ok(outcome),
        Err(error) => error,
    };
    if text.trim().is_empty() {
        return Err("it is empty".to_owned());
    }
    if !text.trim_start().starts_with('{') {
        return Err("it is no JSON object".to_owned());
    }
    // What is missing is named by the error itself; what is wrong is named here.
    let named = error.to_string().contains("missing field");
    let field = key_before(text, error.line(), error.column()).filter(|_| !named);
    Err(field.map_or_else(|| error.to_string(), |field| format!("field `{field}`: {error}")))
}

/// The key whose value lies at a place, by the last `"key":` before it.
fn key_before(text: &str, line: usize, column: usize) -> Option<&str> {
    let start: usize = text.split_inclusive('\n').take(line.checked_sub(1)?).map(str::len).sum();
    let before = text.get(..(start + column).min(text.len()))?;
    let colons = before.match_indices(':').map(|(at, _)| before[..at].trim_end()).rev();
    let key = colons.filter_map(|head| head.strip_suffix('"')).find_map(|head| head.rsplit_once('"'));
    key.map(|(_, key)| key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Scenario;
    use crate::world::{self, Options};

    const SHORT: &str = r#"
        title = "<script>alert(1)</script>"
        about = "Short & \"troubled\""
        duration = "4s"
        [[listener]]
        count = 2
        card = { drift = 50.0 }
        link = { delay = "5ms", jitter = "4ms", loss = 3.0 }
        [talker]
        link = { delay = "5ms", jitter = "4ms" }
        [expect]
        p95-delay = "500ms"
        [[fault]]
        at = "2s"
        on = "playback-worker"
        kind = "crash"
        [[fault]]
        at = "1s"
        for = "400ms"
        on = "listener-link"
        kind = "stall"
    "#;

    fn outcome() -> Outcome {
        let scenario = Scenario::parse("short", SHORT, None).unwrap();
        let mut outcome = world::run(&scenario, 7, Options::default()).unwrap().0;
        outcome.command = "soundpost-sim run short.toml --seed 7".to_owned();
        outcome
    }

    #[test]
    fn a_page_has_every_section_and_needs_nothing_from_elsewhere() {
        let clip = Clip { from: 0.0, until: 4.0, why: "all of it".to_owned(), wav: vec![82, 73, 70, 70] };
        let audio = Audio { capture: Some(clip), playback: None, note: "Sound of a second run.".to_owned() };
        let page = page::page(&outcome(), &audio);
        for section in [
            "Promises",
            "Expectations",
            "From the device to the listener",
            "From the talker to the device",
            "How old the sound was",
            "Made up and silent",
            "The player's cushion",
            "Clocks",
            "Worker and player",
            "Where the delay comes from",
            "Packets and counters",
            "data:audio/wav;base64,UklGRg==",
            "Sound of a second run.",
            "All listeners",
            "Words used here",
            "The same run again",
            "soundpost-sim run short.toml --seed 7",
            "trace hash",
            "<script type=\"application/json\" id=\"outcome\">",
            "stall on listener-link for 400ms",
        ] {
            assert!(page.contains(section), "{section} is missing");
        }
        for outside in ["http://", "https://", "@import", "src=\"/", "<link rel=\"stylesheet\""] {
            assert!(!page.contains(outside), "{outside}");
        }
    }

    #[test]
    fn a_title_cannot_become_markup_nor_end_the_figures() {
        let page = page::page(&outcome(), &Audio::default());
        assert!(!page.contains("<script>alert"));
        assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
        let figures = page.split("id=\"outcome\">").nth(1).unwrap().split("</script>").next().unwrap();
        let read: Outcome = serde_json::from_str(figures).unwrap();
        assert_eq!(read.title, "<script>alert(1)</script>");
        assert_eq!(Scenario::parse("page", &read.scenario, None).unwrap(), Scenario::parse("x", SHORT, None).unwrap());
    }

    #[test]
    fn what_is_no_outcome_is_refused_by_field() {
        assert!(parse("").unwrap_err().contains("empty"));
        assert!(parse("[1]").unwrap_err().contains("no JSON object"));
        assert!(parse("{}").unwrap_err().contains("missing field `title`"));
        let text = serde_json::to_string_pretty(&outcome()).unwrap();
        assert!(parse(&text).is_ok());
        let wrong = text.replacen("\"seed\": 7", "\"seed\": \"seven\"", 1);
        let error = parse(&wrong).unwrap_err();
        assert!(error.contains("field `seed`") && error.contains("line 6"), "{error}");
        assert!(parse(&text[..text.len() / 2]).is_err());
    }
}
