//! Pictures: curves over time, lanes and stacked bars, as SVG that a page carries in itself.
//!
//! A plot has no size of its own. Positions along time are percentages, and the curves lie in a box that is stretched
//! to what room there is, with pens that are not. So one picture serves a desk and a phone, and its letters stay as
//! large as those of the text around it. What colour says, a dash, a number or a place says too.

use std::fmt::Write as _;

/// The curves' own box, both ways. It is stretched to the room there is.
const BOX: f64 = 1000.0;
/// Room above the curves for the numbers of what happened, in pixels.
const HEAD: f64 = 18.0;
/// Room below them for the time.
const FOOT: f64 = 22.0;
/// Numbers of what happened are not closer than this share of the width: they would lie on each other on a phone.
const CLOSEST: f64 = 0.04;

/// Text as HTML has it.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}

/// Seconds as a clock shows them: `12 s`, `3:05`, `2:00 h`.
#[must_use]
pub fn clock(seconds: f64) -> String {
    let whole = seconds.round().max(0.0) as u64;
    match seconds {
        s if s >= 7200.0 => format!("{}:{:02} h", whole / 3600, whole % 3600 / 60),
        s if s >= 120.0 => format!("{}:{:02}", whole / 60, whole % 60),
        s if s >= 10.0 || s.fract().abs() < 1e-9 => format!("{whole} s"),
        s => format!("{s:.1} s"),
    }
}

/// A figure with as many digits as say something, and thousands apart.
#[must_use]
pub fn figure(value: f64) -> String {
    let size = value.abs();
    let digits = if size >= 100.0 || size.fract() < 1e-9 {
        0
    } else if size >= 10.0 {
        1
    } else {
        2
    };
    let text = format!("{value:.digits$}");
    let (whole, rest) = text.split_once('.').map_or((text.as_str(), None), |(whole, rest)| (whole, Some(rest)));
    let (sign, whole) = whole.strip_prefix('-').map_or(("", whole), |whole| ("−", whole));
    let mut apart = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            apart.push('\u{202f}');
        }
        apart.push(digit);
    }
    format!("{sign}{apart}{}", rest.map(|rest| format!(".{rest}")).unwrap_or_default())
}

/// A round figure beside a plot.
fn tick(value: f64) -> String {
    let text = figure(value);
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// What the height of a plot stands for.
#[derive(Clone, Debug, PartialEq)]
pub struct Scale {
    low: f64,
    high: f64,
    step: f64,
}

impl Scale {
    /// From `low` to `high`, and a little more, so that it begins and ends on round figures.
    #[must_use]
    pub fn over(low: f64, high: f64) -> Self {
        let high = if high - low > 1e-9 { high } else { low + 1.0 };
        let rough = (high - low) / 4.0;
        let ten = 10f64.powf(rough.log10().floor());
        let steps = [1.0, 2.0, 2.5, 5.0].into_iter().map(|n| n * ten);
        let step = steps.into_iter().find(|step| *step >= rough - 1e-9 * ten).unwrap_or(10.0 * ten);
        let low = (low / step + 1e-9).floor() * step;
        let high = (high / step - 1e-9).ceil() * step;
        Self { low, high, step }
    }

    /// From zero up to what nearly all of `values` stay below. A single peak does not press everything else flat: it
    /// is cut off, and whoever draws says so.
    #[must_use]
    pub fn of(values: impl Iterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.filter(|value| value.is_finite()).collect();
        values.sort_unstable_by(f64::total_cmp);
        let most = values.last().copied().unwrap_or(1.0).max(0.0);
        let usual = values.get(values.len() * 97 / 100).copied().unwrap_or(most);
        let high = if most > usual * 2.5 && usual > 0.0 { usual * 1.6 } else { most };
        Self::over(0.0, if high > 0.0 { high } else { 1.0 })
    }

    /// Where it ends.
    #[must_use]
    pub const fn high(&self) -> f64 {
        self.high
    }

    /// How far down a value is, as a share of the height.
    fn down(&self, value: f64) -> f64 {
        ((self.high - value) / (self.high - self.low)).clamp(0.0, 1.0)
    }

    fn ticks(&self) -> impl Iterator<Item = f64> {
        let count = ((self.high - self.low) / self.step).round() as u32;
        (0..=count).map(|n| self.low + f64::from(n) * self.step)
    }
}

/// What is drawn, point by point.
#[derive(Clone, Debug)]
pub enum Shape {
    /// A line; it is interrupted where there is nothing.
    Line(Vec<Option<f64>>),
    /// What lies between two lines.
    Band(Vec<Option<(f64, f64)>>),
    /// From zero up, each over its own time.
    Bars(Vec<f64>),
}

/// A curve.
#[derive(Clone, Debug)]
pub struct Curve {
    /// What the stylesheet calls it.
    pub class: &'static str,
    /// What it shows.
    pub shape: Shape,
}

/// Something that is marked across the whole height.
#[derive(Clone, Debug)]
pub struct Span {
    /// From, in seconds.
    pub from: f64,
    /// To.
    pub until: f64,
    /// Its number in the list beside the plots.
    pub number: usize,
    /// What it was.
    pub words: String,
}

/// Curves over time.
#[derive(Clone, Debug)]
pub struct Plot<'a> {
    /// What it shows, for who cannot see it.
    pub title: String,
    /// What is to be seen in it.
    pub desc: String,
    /// Where the points are, in seconds.
    pub times: &'a [f64],
    /// Seconds altogether.
    pub whole: f64,
    /// The height.
    pub scale: Scale,
    /// Of what it is, such as `ms`.
    pub unit: &'a str,
    /// Of the curves' box, in pixels.
    pub height: f64,
    /// What happened meanwhile.
    pub spans: &'a [Span],
    /// A level that is not to be exceeded.
    pub limit: Option<f64>,
    /// The curves.
    pub curves: Vec<Curve>,
    /// Its height says only yes or no, and has no figures.
    pub is_lane: bool,
}

impl Plot<'_> {
    /// The picture.
    #[must_use]
    pub fn svg(&self) -> String {
        let (title, desc) = (escape(&self.title), escape(&self.desc));
        let total = HEAD + self.height + FOOT;
        let mut svg =
            format!("<svg class=\"plot\" role=\"img\" height=\"{total}\"><title>{title}</title><desc>{desc}</desc>\n");
        self.draw_spans(&mut svg);
        self.draw_grid(&mut svg);
        let _ = write!(
            svg,
            "<svg y=\"{HEAD}\" width=\"100%\" height=\"{}\" viewBox=\"0 0 {BOX} {BOX}\" preserveAspectRatio=\"none\">",
            self.height
        );
        for curve in &self.curves {
            let _ = write!(svg, "<path class=\"{}\" d=\"{}\"/>", curve.class, self.path(&curve.shape));
        }
        svg.push_str("</svg>\n");
        if let Some(limit) = self.limit.filter(|limit| *limit <= self.scale.high) {
            let y = self.y(limit);
            let _ = write!(svg, "<line class=\"limit\" x1=\"0\" x2=\"100%\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>");
            let _ = writeln!(svg, "<text class=\"limit\" x=\"100%\" dx=\"-4\" y=\"{:.1}\">allowed</text>", y - 4.0);
        }
        svg.push_str("<line class=\"cursor\" x1=\"0\" x2=\"0\" y1=\"18\" y2=\"0\"/></svg>\n");
        svg
    }

    fn y(&self, value: f64) -> f64 {
        HEAD + self.scale.down(value) * self.height
    }

    fn x(&self, t: f64) -> f64 {
        (t / self.whole.max(1e-9)).clamp(0.0, 1.0)
    }

    fn draw_grid(&self, svg: &mut String) {
        for value in self.scale.ticks().filter(|_| !self.is_lane) {
            let y = self.y(value);
            let _ = write!(svg, "<line class=\"grid\" x1=\"0\" x2=\"100%\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>");
            let _ = write!(svg, "<text class=\"y\" x=\"-6\" y=\"{:.1}\">{}</text>", y + 4.0, tick(value));
        }
        let _ = writeln!(svg, "<text class=\"unit\" x=\"-6\" y=\"10\">{}</text>", escape(self.unit));
        let (y, step) = (HEAD + self.height, time_step(self.whole));
        let last = (self.whole / step + 1e-9).floor() as u32;
        for n in 0..=last {
            let at = f64::from(n) * step;
            let x = self.x(at) * 100.0;
            let side = if n == 0 {
                "first"
            } else if x > 97.0 {
                "last"
            } else if n % 2 == 1 {
                "odd"
            } else {
                "even"
            };
            let _ = write!(
                svg,
                "<line class=\"grid\" x1=\"{x:.2}%\" x2=\"{x:.2}%\" y1=\"{y}\" y2=\"{}\"/>\
                 <text class=\"x {side}\" x=\"{x:.2}%\" y=\"{}\">{}</text>",
                y + 4.0,
                y + 17.0,
                clock(at)
            );
        }
        svg.push('\n');
    }

    fn draw_spans(&self, svg: &mut String) {
        let mut free = f64::NEG_INFINITY;
        for span in self.spans {
            let (from, until) = (self.x(span.from), self.x(span.until));
            let _ = write!(svg, "<g class=\"span\"><title>{}. {}</title>", span.number, escape(&span.words));
            let (x, wide) = (from * 100.0, ((until - from) * 100.0).max(0.25));
            let (y, height) = (HEAD - 4.0, self.height + 4.0);
            for class in ["wash", "hatch"] {
                let _ = write!(
                    svg,
                    "<rect class=\"{class}\" x=\"{x:.2}%\" width=\"{wide:.2}%\" y=\"{y}\" height=\"{height}\"/>"
                );
            }
            let middle = (from + until) / 2.0;
            if middle - free >= CLOSEST {
                free = middle;
                let at = (middle * 100.0).clamp(1.0, 99.0);
                let _ = write!(svg, "<text class=\"number\" x=\"{at:.2}%\" y=\"11\">{}</text>", span.number);
            }
            svg.push_str("</g>\n");
        }
    }

    fn path(&self, shape: &Shape) -> String {
        match shape {
            Shape::Line(values) => self.line(values),
            Shape::Band(values) => self.band(values),
            Shape::Bars(values) => self.bars(values),
        }
    }

    fn place(&self, index: usize, value: f64) -> String {
        let t = self.times.get(index).copied().unwrap_or_default();
        format!("{} {}", short(self.x(t) * BOX), short(self.scale.down(value) * BOX))
    }

    fn line(&self, values: &[Option<f64>]) -> String {
        let mut path = String::new();
        let mut down = false;
        for (index, value) in values.iter().enumerate() {
            if let Some(value) = value {
                let place = self.place(index, *value);
                // A point alone is a dot: the pen's ends are round.
                let _ = if down { write!(path, "L{place}") } else { write!(path, "M{place}h0") };
            }
            down = value.is_some();
        }
        path
    }

    fn band(&self, values: &[Option<(f64, f64)>]) -> String {
        let mut path = String::new();
        let mut at = 0;
        for run in values.split(Option::is_none) {
            let edge = |high: bool| {
                run.iter().enumerate().filter_map(move |(n, value)| {
                    value.map(|(least, most)| self.place(at + n, if high { most } else { least }))
                })
            };
            let (there, back): (Vec<_>, Vec<_>) = (edge(true).collect(), edge(false).collect());
            if !there.is_empty() {
                let back: Vec<_> = back.into_iter().rev().collect();
                let _ = write!(path, "M{}L{}Z", there.join("L"), back.join("L"));
            }
            at += run.len() + 1;
        }
        path
    }

    fn bars(&self, values: &[f64]) -> String {
        let mut path = String::new();
        let mut from = 0.0;
        let floor = short(self.scale.down(0.0) * BOX);
        for (t, value) in self.times.iter().zip(values) {
            let (left, right) = (short(from * BOX), short(self.x(*t) * BOX));
            if *value > 0.0 {
                // What was there at all is seen, however little it was.
                let top = short((self.scale.down(*value) * BOX).min(BOX - 30.0));
                let _ = write!(path, "M{left} {floor}V{top}H{right}V{floor}Z");
            }
            from = self.x(*t);
        }
        path
    }
}

/// A place, as short as it can be written.
fn short(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map(str::to_owned).unwrap_or(text)
}

/// From one time that is written below a plot to the next.
fn time_step(whole: f64) -> f64 {
    const STEPS: [f64; 20] = [
        0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 7200.0, 14_400.0,
        21_600.0, 43_200.0, 86_400.0,
    ];
    STEPS.into_iter().find(|step| whole / step <= 10.0).unwrap_or(86_400.0 * (whole / 864_000.0).ceil())
}

/// Parts of a whole, side by side, with their numbers in them.
#[must_use]
pub fn stack(title: &str, parts: &[(&str, f64)]) -> String {
    let sum: f64 = parts.iter().map(|(_, value)| value).sum::<f64>().max(1e-9);
    let words: Vec<_> = parts.iter().map(|(name, value)| format!("{name} {} ms", figure(*value))).collect();
    let mut svg = format!(
        "<svg class=\"stack\" role=\"img\" height=\"36\"><title>{}</title><desc>{}</desc>",
        escape(title),
        escape(&words.join(", "))
    );
    let mut x = 0.0;
    for (number, (name, value)) in parts.iter().enumerate() {
        let (wide, number) = (value / sum * 100.0, number + 1);
        let _ = write!(
            svg,
            "<g><title>{}: {} ms</title><rect class=\"part{number}\" x=\"{x:.2}%\" width=\"{wide:.2}%\" height=\"36\"/>",
            escape(name),
            figure(*value)
        );
        if wide >= 6.0 {
            let middle = x + wide / 2.0;
            let _ = write!(svg, "<text class=\"part\" x=\"{middle:.2}%\" y=\"23\">{number}</text>");
        }
        svg.push_str("</g>");
        x += wide;
    }
    svg.push_str("</svg>\n");
    svg
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plot(times: &[f64], shape: Shape) -> Plot<'_> {
        Plot {
            title: "<b>".to_owned(),
            desc: "a & b".to_owned(),
            times,
            whole: 10.0,
            scale: Scale::over(0.0, 100.0),
            unit: "ms",
            height: 100.0,
            spans: &[],
            limit: None,
            is_lane: false,
            curves: vec![Curve { class: "mean", shape }],
        }
    }

    #[test]
    fn a_scale_begins_and_ends_on_round_figures() {
        for (low, high, wanted) in [
            (0.0, 100.0, Scale { low: 0.0, high: 100.0, step: 25.0 }),
            (0.0, 83.0, Scale { low: 0.0, high: 100.0, step: 25.0 }),
            (0.0, 9.0, Scale { low: 0.0, high: 10.0, step: 2.5 }),
            (-30.0, 45.0, Scale { low: -40.0, high: 60.0, step: 20.0 }),
            (5.0, 5.0, Scale { low: 5.0, high: 6.0, step: 0.25 }),
        ] {
            let scale = Scale::over(low, high);
            assert_eq!(scale, wanted, "{low} to {high}");
            assert!((3..=7).contains(&scale.ticks().count()));
        }
    }

    #[test]
    fn one_peak_does_not_press_the_rest_flat() {
        let usual = (0..100).map(|n| 40.0 + f64::from(n % 5));
        let scale = Scale::of(usual.clone().chain([3_000.0]));
        assert!((60.0..=100.0).contains(&scale.high()), "{scale:?}");
        assert_eq!(scale.down(3_000.0), 0.0);
        assert!(Scale::of(usual.chain([90.0])).high() >= 90.0);
        assert!(Scale::of([f64::NAN].into_iter()).high() >= 1.0);
        assert!(Scale::of(std::iter::empty()).high() >= 1.0);
    }

    #[test]
    fn a_line_is_interrupted_where_there_is_nothing() {
        let times = [2.5, 5.0, 7.5, 10.0];
        let drawn = plot(&times, Shape::Line(vec![Some(0.0), Some(50.0), None, Some(1_000.0)])).svg();
        let y = |value| short(Scale::over(0.0, 100.0).down(value) * BOX);
        let path = format!("d=\"M250 {}h0L500 {}M1000 0h0\"", y(0.0), y(50.0));
        assert!(drawn.contains(&path), "{path}\n{drawn}");
    }

    #[test]
    fn a_band_goes_there_and_back() {
        let times = [5.0, 10.0];
        let scaled = Plot { scale: Scale { low: 0.0, high: 100.0, step: 50.0 }, ..plot(&times, Shape::Line(vec![])) };
        assert_eq!(scaled.band(&[Some((0.0, 100.0)), Some((50.0, 75.0))]), "M500 0L1000 250L1000 500L500 1000Z");
        assert_eq!(scaled.band(&[None, Some((0.0, 50.0))]), "M1000 500L1000 1000Z");
        assert_eq!(scaled.bars(&[0.0, 50.0]), "M500 1000V500H1000V1000Z");
        assert_eq!(scaled.bars(&[0.001, 0.0]), "M0 1000V970H500V1000Z");
    }

    #[test]
    fn words_cannot_become_markup() {
        assert_eq!(escape("<script>'\"&"), "&lt;script&gt;&#39;&quot;&amp;");
        let drawn = plot(&[1.0], Shape::Bars(vec![1.0])).svg();
        assert!(drawn.contains("<title>&lt;b&gt;</title><desc>a &amp; b</desc>"), "{drawn}");
        let drawn = stack("<i>", &[("a<b", 1.0)]);
        assert!(drawn.contains("&lt;i&gt;") && drawn.contains("a&lt;b 1 ms"), "{drawn}");
    }

    #[test]
    fn figures_and_times_are_as_people_write_them() {
        let figures = [0.0, 0.123, 41.26, 123.4, 5.0, 1_234_567.0, -12.5].map(figure);
        assert_eq!(figures, ["0", "0.12", "41.3", "123", "5", "1\u{202f}234\u{202f}567", "−12.5"]);
        assert_eq!([0.0, 1.5, 90.0, 185.0, 7_260.0].map(clock), ["0 s", "1.5 s", "90 s", "3:05", "2:01 h"]);
        for whole in [0.3, 5.0, 60.0, 600.0, 3_600.0, 86_400.0, 31.0 * 86_400.0] {
            let ticks = whole / time_step(whole);
            assert!((2.0..=10.5).contains(&ticks), "{whole}: {ticks}");
        }
    }

    #[test]
    fn numbers_of_what_happened_do_not_lie_on_each_other() {
        let span = |number: usize, from: f64| Span { from, until: from, number, words: "cut".to_owned() };
        let spans = [span(1, 5.0), span(2, 5.1), span(3, 8.0)];
        let drawn = Plot { spans: &spans, ..plot(&[1.0], Shape::Bars(vec![0.0])) }.svg();
        assert_eq!((drawn.matches("class=\"number\"").count(), drawn.matches("class=\"span\"").count()), (2, 3));
    }
}
