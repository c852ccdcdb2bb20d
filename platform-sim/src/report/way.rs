//! One direction: its figures, its plots over time, and what was heard.

use super::page::{percent, total};
use super::plot::{Curve, Plot, Scale, Shape, Span, clock, escape, figure, stack};
use super::sound::{self, Clip};
use crate::outcome::{Direction, Outcome, Point};
use std::fmt::Write as _;

/// More points than this cannot be told apart in a plot.
const POINTS: usize = 900;

/// What a direction is called.
#[derive(Clone, Copy, Debug)]
pub(super) struct Names {
    /// In the outcome.
    pub(super) key: &'static str,
    pub(super) title: &'static str,
    pub(super) who: &'static str,
    /// Where the player is.
    pub(super) where_: &'static str,
}

/// What all plots of a direction share.
struct Sight<'a> {
    names: &'a Names,
    points: Vec<Point>,
    times: Vec<f64>,
    whole: f64,
    spans: Vec<Span>,
}

/// The section about a direction.
pub(super) fn section(
    page: &mut String,
    outcome: &Outcome,
    names: &Names,
    way: &Direction,
    clip: Option<&Clip>,
    note: &str,
) {
    let points = thin(&way.series, POINTS);
    let sight = Sight {
        names,
        times: points.iter().map(|point| point.t).collect(),
        points,
        whole: outcome.duration_s,
        spans: spans(outcome, names),
    };
    let _ = writeln!(page, "<section id=\"{}\"><h2>{}</h2>", names.key, names.title);
    tiles(page, outcome, way);
    happened(page, &sight.spans);
    listen(page, names, clip, note);
    let allowed = outcome.expectations.iter().find(|e| e.direction == names.key && e.what.contains("95 %"));
    delay(page, &sight, allowed.map(|expectation| expectation.at_most));
    gaps(page, &sight);
    quality(page, &sight, way);
    cushion(page, &sight);
    drift(page, &sight);
    work(page, &sight, way);
    stages(page, way);
    tables(page, way);
    page.push_str("</section>\n");
}

/// Fewer points: each of them all that several were.
fn thin(series: &[Point], most: usize) -> Vec<Point> {
    let each = series.len().div_ceil(most.max(1)).max(1);
    series.chunks(each).filter_map(merge).collect()
}

fn merge(points: &[Point]) -> Option<Point> {
    let last = *points.last()?;
    if points.len() == 1 {
        return Some(last);
    }
    let mean = |of: &dyn Fn(&Point) -> Option<f64>| {
        let values: Vec<f64> = points.iter().filter_map(of).collect();
        values.iter().sum::<f64>() / values.len().max(1) as f64
    };
    let most = |of: &dyn Fn(&Point) -> Option<f64>| points.iter().filter_map(of).fold(0.0, f64::max);
    let delays = points.iter().any(|point| point.delay.is_some());
    let networks = points.iter().any(|point| point.network.is_some());
    let least = points.iter().filter_map(|point| point.delay).map(|[least, ..]| least).fold(f64::MAX, f64::min);
    Some(Point {
        delay: delays.then(|| [least, mean(&|p| p.delay.map(|d| d[1])), most(&|p| p.delay.map(|d| d[2]))]),
        network: networks.then(|| [mean(&|p| p.network.map(|n| n[0])), most(&|p| p.network.map(|n| n[1]))]),
        target: mean(&|p| Some(p.target)),
        depth: mean(&|p| Some(p.depth)),
        concealed: mean(&|p| Some(p.concealed)),
        silent: mean(&|p| Some(p.silent)),
        drift: mean(&|p| Some(p.drift)),
        up: points.iter().all(|point| point.up),
        ..last
    })
}

/// What happened in this direction, numbered in order.
fn spans(outcome: &Outcome, names: &Names) -> Vec<Span> {
    let mut marks: Vec<_> =
        outcome.faults.iter().filter(|mark| [names.key, "both"].contains(&&*mark.direction)).collect();
    marks.retain(|mark| mark.at_s <= outcome.duration_s);
    marks.sort_by(|a, b| a.at_s.total_cmp(&b.at_s));
    let span = |(index, mark): (usize, &&crate::outcome::Mark)| Span {
        from: mark.at_s,
        until: mark.until_s,
        number: index + 1,
        words: format!("{}, at {}", mark.words, clock(mark.at_s)),
    };
    marks.iter().enumerate().map(span).collect()
}

fn tiles(page: &mut String, outcome: &Outcome, way: &Direction) {
    let known = outcome.codec == "marker" && way.heard.real > 0;
    let ms = |value: f64| if known { format!("{} ms", figure(value)) } else { "–".to_owned() };
    let not_real = if known { format!("{} %", percent(way.not_real_percent)) } else { "–".to_owned() };
    page.push_str("<dl class=\"tiles\">");
    for (what, value) in [
        ("Delay on average", ms(way.delay.mean)),
        ("95 % of it within", ms(way.delay.p95)),
        ("Not real sound", not_real),
        ("Restarts of the worker", figure(way.restarts as f64)),
    ] {
        let _ = write!(page, "<div><dt>{what}</dt><dd>{value}</dd></div>");
    }
    page.push_str("</dl>\n");
}

fn happened(page: &mut String, spans: &[Span]) {
    if spans.is_empty() {
        return page.push_str("<p class=\"note\">The scenario lets nothing happen in this direction.</p>\n");
    }
    page.push_str(
        "<h3>What happened</h3><p class=\"note\">The plots show these as shaded times with the same numbers.</p>\
         <ol class=\"happened\">\n",
    );
    for span in spans {
        let _ = writeln!(page, "<li>{}</li>", escape(&span.words));
    }
    page.push_str("</ol>\n");
}

fn listen(page: &mut String, names: &Names, clip: Option<&Clip>, note: &str) {
    if clip.is_none() && note.is_empty() {
        return;
    }
    page.push_str("<h3>What it sounded like</h3>");
    if let Some(clip) = clip {
        let (from, until) = (clock(clip.from.round()), clock(clip.until.round()));
        let _ = write!(
            page,
            "<p class=\"facts\">What was heard {} from {from} to {until} ({}).</p>\
             <audio controls preload=\"metadata\" aria-label=\"What was heard {}\" src=\"data:audio/wav;base64,{}\"></audio>",
            names.where_,
            escape(&clip.why),
            names.where_,
            sound::base64(&clip.wav)
        );
    }
    let _ = writeln!(page, "<p class=\"note\">{}</p>", escape(note));
}

impl Sight<'_> {
    fn plot(&self, title: &str, desc: String, scale: Scale, unit: &'static str, curves: Vec<Curve>) -> Plot<'_> {
        Plot {
            title: format!("{title}, {}", self.names.where_),
            desc,
            times: &self.times,
            whole: self.whole,
            scale,
            unit,
            height: 120.0,
            spans: &self.spans,
            limit: None,
            is_lane: false,
            curves,
        }
    }

    fn each<T>(&self, of: impl Fn(&Point) -> T) -> Vec<T> {
        self.points.iter().map(of).collect()
    }

    /// Plots with a heading, a word of what is to be seen, and what the lines are.
    fn figure(
        &self,
        page: &mut String,
        what: &str,
        title: &str,
        caption: &str,
        legend: &[(&str, &str)],
        plots: &[Plot<'_>],
    ) {
        let _ = write!(
            page,
            "<figure data-way=\"{}\" data-what=\"{what}\"><h3>{title}</h3><figcaption>{caption}</figcaption>",
            self.names.key
        );
        if !legend.is_empty() {
            page.push_str("<ul class=\"legend\">");
            for (class, words) in legend {
                let shape = if ["band", "made", "silent", "up"].contains(class) { "M1 1H29V11H1Z" } else { "M1 6H29" };
                let _ = write!(
                    page,
                    "<li><svg viewBox=\"0 0 30 12\" aria-hidden=\"true\"><path class=\"{class}\" d=\"{shape}\"/></svg>{words}</li>"
                );
            }
            page.push_str("</ul>");
        }
        plots.iter().for_each(|plot| page.push_str(&plot.svg()));
        page.push_str("<div class=\"read\" aria-live=\"off\"></div></figure>\n");
    }
}

/// The moment of most, if it is more than the plot shows.
fn beyond(sight: &Sight<'_>, scale: &Scale, of: impl Fn(&Point) -> Option<f64>) -> String {
    let peaks = sight.points.iter().filter_map(|point| Some((point.t, of(point)?)));
    let peak = peaks.max_by(|a, b| a.1.total_cmp(&b.1)).filter(|(_, value)| *value > scale.high());
    peak.map(|(t, value)| {
        format!(
            " The plot ends at {} ms; the most was {} ms, at {}.",
            figure(scale.high()),
            figure(value),
            clock(t.round())
        )
    })
    .unwrap_or_default()
}

fn delay(page: &mut String, sight: &Sight<'_>, allowed: Option<f64>) {
    let line = |of: &dyn Fn(&Point) -> Option<f64>| Shape::Line(sight.points.iter().map(of).collect());
    let most =
        |point: &Point| [point.delay.map(|d| d[2]), point.network.map(|n| n[1])].into_iter().flatten().reduce(f64::max);
    let mut values: Vec<f64> = sight.points.iter().filter_map(most).collect();
    values.extend(allowed.filter(|allowed| values.iter().any(|value| value * 3.0 > *allowed)));
    let scale = Scale::of(values.into_iter());
    let caption = format!(
        "From the microphone to the ear, against what the network alone takes. What lies between the two is the price \
         of gathering, of the cushion and of the sound cards.{}",
        beyond(sight, &scale, most)
    );
    let curves = vec![
        Curve { class: "band", shape: Shape::Band(sight.each(|p| p.delay.map(|[least, _, most]| (least, most)))) },
        Curve { class: "worst", shape: line(&|p| p.network.map(|n| n[1])) },
        Curve { class: "network", shape: line(&|p| p.network.map(|n| n[0])) },
        Curve { class: "target", shape: line(&|p| p.up.then_some(p.target)) },
        Curve { class: "mean", shape: line(&|p| p.delay.map(|d| d[1])) },
    ];
    let legend = [
        ("mean", "delay, mean"),
        ("band", "delay, least to most"),
        ("network", "network, mean"),
        ("worst", "network, most"),
        ("target", "cushion that the player aims at"),
    ];
    let desc = "Delay of what was heard, with the delay of the network, in milliseconds over time".to_owned();
    let mut plot = sight.plot("How old the sound was", desc, scale, "ms", curves);
    (plot.height, plot.limit) = (220.0, allowed);
    sight.figure(page, "delay", "How old the sound was when it was heard", &caption, &legend, &[plot]);
}

fn gaps(page: &mut String, sight: &Sight<'_>) {
    let (made, silent) = (sight.each(|p| p.concealed), sight.each(|p| p.silent));
    let worst = |values: &[f64]| values.iter().copied().fold(0.0, f64::max);
    let (most_made, most_silent) = (worst(&made), worst(&silent));
    let nothing = |what: &str| format!("Nothing was {what}.");
    let plot = |class: &'static str, title: &str, values: Vec<f64>, most: f64| {
        let desc = format!("Share of the time, in percent over time; at most {} %", percent(most));
        let shape = Shape::Bars(values);
        let mut plot = sight.plot(title, desc, Scale::over(0.0, most), "%", vec![Curve { class, shape }]);
        plot.height = 80.0;
        plot
    };
    let mut caption = "Share of the time in which nothing real was heard.".to_owned();
    let (mut plots, mut legend) = (Vec::new(), Vec::new());
    for (class, what, words, values, most) in [
        ("made", "made up", "made up, to bridge a gap", made, most_made),
        ("silent", "silent", "silent: nothing came out", silent, most_silent),
    ] {
        if most > 0.0 {
            plots.push(plot(class, what, values, most));
            legend.push((class, words));
        } else {
            caption = format!("{caption} {}", nothing(what));
        }
    }
    if plots.is_empty() {
        return said(page, "Made up and silent", "All of it was real: nothing was made up, and nothing was silent.");
    }
    sight.figure(page, "gaps", "Made up and silent", &caption, &legend, &plots);
}

/// The preset over time, where it was not the same all the time.
fn quality(page: &mut String, sight: &Sight<'_>, way: &Direction) {
    if way.turns.is_empty() {
        return;
    }
    let turns: Vec<_> = way
        .turns
        .iter()
        .map(|turn| format!("{} {} ({})", clock(turn.at_s.round()), escape(&turn.quality), escape(&turn.reason)))
        .collect();
    let caption = format!(
        "What the sound is coded with follows what the network and the processor carry: down at once, up after a calm. \
         0 is low, 1 medium, 2 high, 3 ultra. Changes: {}.",
        turns.join(", ")
    );
    let shape = Shape::Line(sight.each(|p| Some(f64::from(p.quality))));
    let desc = format!("{} changes of the preset over time", way.turns.len());
    let curves = vec![Curve { class: "target", shape }];
    let mut plot = sight.plot("Preset", desc, Scale::over(0.0, 3.0), "", curves);
    plot.height = 80.0;
    sight.figure(page, "quality", "Preset", &caption, &[("target", "preset")], &[plot]);
}

/// What needs no picture.
fn said(page: &mut String, title: &str, words: &str) {
    let _ = writeln!(page, "<h3>{title}</h3><p>{words}</p>");
}

fn cushion(page: &mut String, sight: &Sight<'_>) {
    let most = |point: &Point| Some(point.depth.max(point.target));
    let scale = Scale::of(sight.points.iter().filter_map(most));
    let caption = format!(
        "How long packets wait before they are played. The player wants as little as the network's unrest permits: it \
         grows at once when a packet is late, and shrinks slowly.{}",
        beyond(sight, &scale, most)
    );
    let line = |of: fn(&Point) -> f64| Shape::Line(sight.each(|p| p.up.then(|| of(p))));
    let curves =
        vec![Curve { class: "depth", shape: line(|p| p.depth) }, Curve { class: "target", shape: line(|p| p.target) }];
    let desc = "Delay that the player holds, and the one that it aims at, in milliseconds over time".to_owned();
    let plot = sight.plot("The player's cushion", desc, scale, "ms", curves);
    let legend = [("depth", "held (depth)"), ("target", "aimed at (target)")];
    sight.figure(page, "cushion", "The player's cushion", &caption, &legend, &[plot]);
}

fn drift(page: &mut String, sight: &Sight<'_>) {
    let values = sight.each(|p| p.drift);
    let least = values.iter().copied().fold(0.0, f64::min);
    let most = values.iter().copied().fold(0.0, f64::max);
    if most - least < 0.05 {
        return said(page, "Clocks", "The clocks of both sound cards run equally fast.");
    }
    let caption = "How much faster the sender's sound card runs than the receiver's, as it really is. What comes too \
                   much has to be cut out somewhere, and what is missing has to be filled in.";
    let desc = format!("Between {} and {} parts per million over time", figure(least), figure(most));
    let shape = Shape::Line(values.into_iter().map(Some).collect());
    let curves = vec![Curve { class: "drift", shape }];
    let mut plot = sight.plot("Clock drift", desc, Scale::over(least, most), "ppm", curves);
    plot.height = 90.0;
    sight.figure(page, "drift", "Clocks", caption, &[("drift", "drift of the sender's clock")], &[plot]);
}

fn work(page: &mut String, sight: &Sight<'_>, way: &Direction) {
    let up = sight.each(|p| if p.up { 1.0 } else { 0.0 });
    let playing = up.iter().sum::<f64>() * 100.0 / up.len().max(1) as f64;
    let gave_up =
        if way.gave_up > 0 { format!(" The supervisor gave up {} times.", way.gave_up) } else { String::new() };
    if way.restarts == 0 && up.iter().skip(1).all(|up| *up > 0.0) {
        let words =
            format!("The worker was never restarted, and the player had something to play throughout.{gave_up}");
        return said(page, "Worker and player", &words);
    }
    let mut before = 0;
    let mut restarts = Vec::new();
    for (point, index) in sight.points.iter().zip(0..) {
        if point.restarts > before {
            restarts.push((index, point.restarts - before));
        }
        before = point.restarts.max(before);
    }
    let words: Vec<_> = restarts.iter().map(|(index, _): &(usize, u64)| clock(sight.times[*index].round())).collect();
    let when = match words.len() {
        0 => "The worker was never restarted.".to_owned(),
        1..=12 => format!("Restarts of the worker ({}): {}.", way.restarts, words.join(", ")),
        _ => format!("The worker was restarted {} times.", way.restarts),
    };
    let caption = format!("Filled while the player has a stream to play: {playing:.1} % of the time. {when}{gave_up}");
    let mut marks = vec![0.0; sight.points.len()];
    restarts.iter().for_each(|(index, _)| marks[*index] = 1.0);
    let curves =
        vec![Curve { class: "up", shape: Shape::Bars(up) }, Curve { class: "restart", shape: Shape::Bars(marks) }];
    let desc = format!("The player plays {playing:.1} % of the time; {} restarts of the worker", way.restarts);
    let mut plot = sight.plot("Worker and player", desc, Scale::over(0.0, 1.0), "", curves);
    plot.height = 40.0;
    plot.is_lane = true;
    let legend = [("up", "plays"), ("restart", "the worker was restarted")];
    let legend = if way.restarts > 0 { &legend[..] } else { &legend[..1] };
    sight.figure(page, "work", "Worker and player", &caption, legend, &[plot]);
}

fn stages(page: &mut String, way: &Direction) {
    let s = &way.stages;
    let rows = [
        ("Gathering", s.gather, "filling a packet with sound, with both sound cards' periods and waking up"),
        ("Network", s.network, "from the sender to the receiver"),
        ("Cushion", s.wait, "waiting to be played, so that late packets are still in time"),
        ("Sound card", s.device, "queue of the card that plays"),
    ];
    let sum: f64 = rows.iter().map(|(_, ms, _)| ms).sum();
    page.push_str("<h3>Where the delay comes from</h3>");
    if sum <= 0.0 {
        return page.push_str("<p class=\"note\">Nothing was heard whose age is known.</p>\n");
    }
    page.push_str(&stack("Where the delay comes from", &rows.map(|(name, ms, _)| (name, ms))));
    page.push_str(
        "<table><thead><tr><th>Stage</th><th>What it is</th><th class=\"n\">Mean</th><th class=\"n\">Share</th></tr>\
         </thead><tbody>\n",
    );
    for ((name, ms, what), number) in rows.into_iter().zip(1..) {
        let _ = writeln!(
            page,
            "<tr><th scope=\"row\"><span class=\"chip part{number}\">{number}</span>{name}</th><td>{what}</td>\
             <td class=\"n\">{ms:.1} ms</td><td class=\"n\">{:.0} %</td></tr>",
            ms * 100.0 / sum
        );
    }
    let _ = writeln!(
        page,
        "<tr><th scope=\"row\">Together</th><td></td><td class=\"n\">{sum:.1} ms</td><td class=\"n\">100 %</td></tr></tbody></table>"
    );
}

/// A row: what, and figures.
pub(super) fn row(page: &mut String, what: &str, values: &[&str]) {
    let _ = write!(page, "<tr><th scope=\"row\">{what}</th>");
    for value in values {
        let _ = write!(page, "<td class=\"n\">{value}</td>");
    }
    page.push_str("</tr>\n");
}

fn tables(page: &mut String, way: &Direction) {
    page.push_str("<h3>Packets and counters</h3>\n<div class=\"pair\"><div>");
    let (all, heard) = (total(way).max(1) as f64, &way.heard);
    let open = |page: &mut String, caption: &str, columns: [&str; 2]| {
        let [one, two] = columns;
        let _ = writeln!(
            page,
            "<table><caption>{caption}</caption><thead><tr><th></th><th class=\"n\">{one}</th><th class=\"n\">{two}</th>\
             </tr></thead><tbody>"
        );
    };
    open(page, "What was heard", ["Seconds", "Share"]);
    for (what, samples) in
        [("Real sound", heard.real), ("Made up", heard.concealed), ("Silent", heard.silent), ("Blended", heard.blended)]
    {
        let seconds = samples as f64 / f64::from(sound::RATE);
        row(page, what, &[&format!("{seconds:.3} s"), &format!("{} %", percent(samples as f64 * 100.0 / all))]);
    }
    for (what, samples) in [("Never heard", heard.skipped), ("Heard twice, on purpose", heard.repeated)] {
        row(page, what, &[&format!("{:.3} s", samples as f64 / f64::from(sound::RATE)), ""]);
    }
    page.push_str("</tbody></table></div><div>");
    let [sent, lost, doubled, garbled] = way.link;
    open(page, "Packets on the network", ["Packets", "Share"]);
    row(page, "Sent", &[&figure(sent as f64), ""]);
    for (what, count) in [("Lost", lost), ("Came twice", doubled), ("Garbled", garbled)] {
        let share = percent(count as f64 * 100.0 / sent.max(1) as f64);
        row(page, what, &[&figure(count as f64), &format!("{share} %")]);
    }
    page.push_str("</tbody></table>");
    let counted = &way.counted;
    page.push_str("<table><caption>What the player counted, since its process began</caption><tbody>\n");
    for (what, count, unit) in [
        ("Packets taken", counted.packets, "packet"),
        ("Too late", counted.late, "packet"),
        ("Twice", counted.duplicates, "packet"),
        ("Dropped, for whatever reason", counted.dropped, "packet"),
        ("Could not be decoded", counted.decode_errors, "packet"),
        ("Resyncs", counted.resyncs, "time"),
        ("Brought a copy along that nobody needed", counted.spare_copies, "packet"),
        ("Xruns of its sound card", counted.xruns, "time"),
    ] {
        let many = if count == 1 { "" } else { "s" };
        row(page, what, &[&format!("{} {unit}{many}", figure(count as f64))]);
    }
    page.push_str("</tbody></table></div></div>\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fewer_points_keep_the_least_and_the_most() {
        let point = |n: u32, least: f64, most: f64| Point {
            t: f64::from(n),
            delay: Some([least, 20.0, most]),
            restarts: u64::from(n),
            up: n != 2,
            ..Point::default()
        };
        let silent = Point { t: 4.0, ..Point::default() };
        let thinned = thin(&[point(1, 10.0, 30.0), point(2, 5.0, 40.0), point(3, 9.0, 300.0), silent], 2);
        assert_eq!(thinned.len(), 2);
        assert_eq!((thinned[0].t, thinned[0].delay, thinned[0].restarts), (2.0, Some([5.0, 20.0, 40.0]), 2));
        assert_eq!((thinned[0].up, thinned[1].delay), (false, Some([9.0, 20.0, 300.0])));
        assert_eq!(thin(&[silent; 3], 10).len(), 3);
    }
}
