//! The page: what it says first, what it says last, and what holds it together.

use super::Audio;
use super::plot::{clock, escape, figure};
use super::way::{self, Names};
use super::words::{GLOSSARY, PROMISES};
use crate::outcome::{Direction, Outcome};
use std::fmt::Write as _;

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("hover.js");
/// The browser itself sees to it that nothing is fetched.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; \
                      media-src data:; img-src data:";

pub(super) const CAPTURE: Names =
    Names { key: "capture", title: "From the device to the listener", who: "The listener", where_: "at the listener" };
pub(super) const PLAYBACK: Names = Names {
    key: "playback",
    title: "From the talker to the device",
    who: "Whoever stands at the device",
    where_: "on the device",
};

/// The report, as one HTML file.
#[must_use]
pub fn page(outcome: &Outcome, audio: &Audio) -> String {
    let mut page = String::with_capacity(1 << 20);
    let title = escape(&outcome.title);
    let _ = write!(
        page,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
         <link rel=\"icon\" href=\"data:,\">\n<title>{title} – soundpost</title>\n<style>\n{STYLE}</style>\n</head>\n\
         <body>\n<svg width=\"0\" height=\"0\" style=\"position:absolute\" aria-hidden=\"true\"><defs>\
         <pattern id=\"hatch\" width=\"7\" height=\"7\" patternUnits=\"userSpaceOnUse\" patternTransform=\"rotate(45)\">\
         <line x1=\"0\" x2=\"0\" y1=\"0\" y2=\"7\" style=\"stroke:var(--span);stroke-width:1.2;stroke-opacity:.45\"/>\
         </pattern></defs></svg>\n<main>\n"
    );
    head(&mut page, outcome);
    promises(&mut page, outcome);
    for (names, way, clip) in
        [(CAPTURE, &outcome.capture, &audio.capture), (PLAYBACK, &outcome.playback, &audio.playback)]
    {
        if let Some(way) = way {
            way::section(&mut page, outcome, &names, way, clip.as_ref(), &audio.note);
        }
    }
    crowd(&mut page, outcome);
    glossary(&mut page);
    again(&mut page, outcome);
    let _ = write!(page, "</main>\n<script>\n{SCRIPT}</script>\n</body>\n</html>\n");
    page
}

/// What a person wants to know first.
fn head(page: &mut String, outcome: &Outcome) {
    let length = clock(outcome.duration_s);
    let _ = write!(
        page,
        "<header><p class=\"kicker\">soundpost simulation · {length} · seed {}</p>\n<h1>{}</h1>\n\
         <p class=\"about\">{}</p>\n",
        outcome.seed,
        escape(&outcome.title),
        escape(&outcome.about)
    );
    let class = if outcome.is_good() { "good" } else { "bad" };
    let _ = writeln!(page, "<div class=\"verdict {class}\"><p class=\"head\">{}</p>", escape(&in_short(outcome)));
    for (names, way) in [(CAPTURE, &outcome.capture), (PLAYBACK, &outcome.playback)] {
        if let Some(way) = way {
            let _ = writeln!(page, "<p>{}</p>", escape(&sentence(outcome, &names, way)));
        }
    }
    page.push_str("</div>\n<nav aria-label=\"Parts\">");
    for (names, way) in [(CAPTURE, &outcome.capture), (PLAYBACK, &outcome.playback)] {
        if way.is_some() {
            let _ = write!(page, "<a href=\"#{}\">{}</a> ", names.key, names.title);
        }
    }
    page.push_str("<a href=\"#words\">Words used here</a> <a href=\"#again\">The same run again</a></nav></header>\n");
}

fn in_short(outcome: &Outcome) -> String {
    let missed = outcome.expectations.iter().filter(|expectation| !expectation.met).count();
    let promises = match outcome.verdicts.len() {
        0 => "✓ Every promise was kept".to_owned(),
        1 => "✗ A promise was broken, which ended the run".to_owned(),
        n => format!("✗ Promises were broken {n} times, which ended the run"),
    };
    match (missed, outcome.expectations.len(), outcome.verdicts.is_empty()) {
        (_, 0, _) => format!("{promises}."),
        (0, _, true) => format!("{promises}, and every expectation was met."),
        (0, _, false) => format!("{promises}."),
        (n, all, kept) => {
            let but = if kept { ", but" } else { "; besides," };
            format!("{}{but} {n} of {all} expectations were not met.", promises.replace('✓', "✗"))
        }
    }
}

/// What was heard, in a sentence or two.
fn sentence(outcome: &Outcome, names: &Names, way: &Direction) -> String {
    if outcome.codec != "marker" {
        return format!("{}: with the {} codec nobody knows what exactly was heard.", names.who, outcome.codec);
    }
    if way.heard.real == 0 {
        return format!("{} heard no real sound at all.", names.who);
    }
    let all = total(way);
    let real = floor(100.0 - way.not_real_percent);
    let mut text = format!(
        "{} heard real sound {real} % of the time, on average {:.0} ms after it was spoken",
        names.who, way.delay.mean
    );
    let _ = write!(text, " (95 % of it within {:.0} ms).", way.delay.p95);
    let share = |samples: u64| samples as f64 * 100.0 / all.max(1) as f64;
    let (made, silent) = (share(way.heard.concealed + way.heard.blended), share(way.heard.silent));
    if made + silent >= 0.05 {
        let _ = write!(text, " Made up to bridge gaps: {} %; silent: {} %.", percent(made), percent(silent));
    }
    let away = outcome.duration_s - all as f64 / f64::from(super::sound::RATE);
    if away >= 0.5 {
        let _ = write!(text, " For {away:.1} s nothing came out at all.");
    }
    text
}

/// Samples that came out of the speaker.
pub(super) const fn total(way: &Direction) -> u64 {
    way.heard.real + way.heard.concealed + way.heard.silent + way.heard.blended
}

/// A share that says 100 only if it is all.
fn floor(percent: f64) -> String {
    if percent >= 100.0 {
        return "100".to_owned();
    }
    let digits = if percent > 99.9 { 1000.0 } else { 10.0 };
    format!("{}", (percent * digits).floor() / digits)
}

/// A share, with enough digits that little is not nothing.
pub(super) fn percent(value: f64) -> String {
    match value {
        0.0 => "0".to_owned(),
        v if v < 0.001 => "under 0.001".to_owned(),
        v if v < 0.1 => format!("{v:.3}"),
        v if v < 10.0 => format!("{v:.2}"),
        v => format!("{v:.1}"),
    }
}

/// Promises and expectations.
fn promises(page: &mut String, outcome: &Outcome) {
    page.push_str("<section><h2>Promises and expectations</h2>\n<div class=\"pair\"><div>");
    page.push_str("<table><caption>Promises, which hold in every world</caption><tbody>\n");
    let known = |judge: &str| PROMISES.iter().any(|(name, _)| *name == judge);
    for (judge, promise) in PROMISES {
        let broken: Vec<_> = outcome.verdicts.iter().filter(|verdict| verdict.judge == judge).collect();
        let words: Vec<_> = broken.iter().map(|verdict| verdict.words.as_str()).collect();
        let kept = if outcome.verdicts.is_empty() { "✓ kept" } else { "✓ kept so far" };
        row_of_promise(page, promise, &words, kept);
    }
    for verdict in outcome.verdicts.iter().filter(|verdict| !known(&verdict.judge)) {
        row_of_promise(page, &verdict.judge, &[&verdict.words], "");
    }
    page.push_str("</tbody></table>\n");
    if !outcome.verdicts.is_empty() {
        let at = clock(outcome.duration_s);
        let _ = writeln!(page, "<p class=\"note\">The first broken promise ends a run: here at {at}.</p>");
    }
    page.push_str("</div><div>");
    if outcome.expectations.is_empty() {
        page.push_str("<p><b>Expectations</b></p><p class=\"note\">The scenario has none.</p>");
    } else {
        page.push_str(
            "<table><caption>Expectations of this scenario</caption><thead><tr><th>What</th>\
             <th class=\"n\">Got</th><th class=\"n\">Allowed</th><th></th></tr></thead><tbody>\n",
        );
        for wish in &outcome.expectations {
            let unit = escape(&wish.unit);
            let value = |value| if wish.unit == "%" { percent(value) } else { figure(value) };
            let (class, mark) = if wish.met { ("kept", "✓ met") } else { ("broken", "✗ not met") };
            let _ = writeln!(
                page,
                "<tr><td>{}: {}</td><td class=\"n\">{} {unit}</td><td class=\"n\">{} {unit}</td>\
                 <td class=\"{class}\">{mark}</td></tr>",
                if wish.direction == PLAYBACK.key { "To the device" } else { "From the device" },
                escape(&wish.what),
                value(wish.got),
                value(wish.at_most)
            );
        }
        page.push_str("</tbody></table>");
    }
    page.push_str("</div></div></section>\n");
}

fn row_of_promise(page: &mut String, promise: &str, broken: &[&str], kept: &str) {
    let (class, mark) = if broken.is_empty() { ("kept", kept) } else { ("broken", "✗ broken") };
    let _ = write!(page, "<tr><td>{}", escape(promise));
    for words in broken {
        let _ = write!(page, "<br><b>{}</b>", escape(words));
    }
    let _ = writeln!(page, "</td><td class=\"{class}\">{mark}</td></tr>");
}

fn crowd(page: &mut String, outcome: &Outcome) {
    let crowd = &outcome.crowd;
    if crowd.listeners < 2 {
        return;
    }
    let _ = writeln!(
        page,
        "<section><h2>All listeners</h2><p>{} listened. The plots above are what the first one heard; these are the \
         packets of all.</p>",
        crowd.listeners
    );
    let share = |n: u64| format!("{} %", percent(n as f64 * 100.0 / crowd.offered.max(1) as f64));
    let rows = [
        ("Packets that there were for them", crowd.offered, String::new()),
        ("Delivered", crowd.got, share(crowd.got)),
        ("Lost on the way", crowd.lost, share(crowd.lost)),
        ("Dropped, because one did not keep up", crowd.dropped, share(crowd.dropped)),
    ];
    page.push_str(
        "<table><thead><tr><th>Packets</th><th class=\"n\">Count</th><th class=\"n\">Share</th></tr></thead>",
    );
    page.push_str("<tbody>\n");
    for (what, count, share) in rows {
        way::row(page, what, &[&figure(count as f64), &share]);
    }
    page.push_str("</tbody></table></section>\n");
}

fn glossary(page: &mut String) {
    page.push_str("<section id=\"words\"><h2>Words used here</h2><dl class=\"words\">\n");
    for (word, meaning) in GLOSSARY {
        let _ = writeln!(page, "<dt>{word}</dt><dd>{}</dd>", escape(meaning));
    }
    page.push_str("</dl></section>\n");
}

/// How to have the same run again, and the figures for machines.
fn again(page: &mut String, outcome: &Outcome) {
    page.push_str("<section id=\"again\"><h2>The same run again</h2>\n");
    if !outcome.command.is_empty() {
        let _ = writeln!(page, "<pre><code>{}</code></pre>", escape(&outcome.command));
    }
    let _ = writeln!(
        page,
        "<p>It gives the same trace hash, <code>{}</code>, with the same version of the program on any machine: \
         version {}, seed {}, {} codec, {} events in {}.</p>",
        escape(&outcome.trace_hash),
        env!("CARGO_PKG_VERSION"),
        outcome.seed,
        escape(&outcome.codec),
        figure(outcome.events as f64),
        clock(outcome.duration_s)
    );
    if !outcome.scenario.is_empty() {
        let _ = writeln!(
            page,
            "<details><summary>The scenario, to save as a file and change</summary><pre><code>{}</code></pre></details>",
            escape(&outcome.scenario)
        );
    }
    page.push_str(
        "<p class=\"note\">All figures are in this file as JSON, in the element <code>script#outcome</code>: what \
         <code>soundpost-sim run --json</code> prints.</p></section>\n",
    );
    // Within a string, `<` may be written like this; nothing in it can end the element then.
    let json = serde_json::to_string(outcome).unwrap_or_default().replace('<', "\\u003c");
    let _ = writeln!(page, "<script type=\"application/json\" id=\"outcome\">{json}</script>");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearly_all_is_not_all_and_little_is_not_nothing() {
        assert_eq!([99.9996, 99.96, 99.36, 100.0].map(floor), ["99.999", "99.96", "99.3", "100"]);
        assert_eq!([0.0, 0.0001, 0.0123, 1.234, 45.67].map(percent), ["0", "under 0.001", "0.012", "1.23", "45.7"]);
    }
}
