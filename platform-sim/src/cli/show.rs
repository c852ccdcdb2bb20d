//! Figures for people, on a terminal.

use crate::outcome::{Direction, Outcome};
use std::fmt::Write as _;
use std::io::{IsTerminal, Write as _};

/// The outcome in some lines.
pub(super) fn summary(outcome: &Outcome) -> String {
    let mut text = format!("{}, seed {}, {} codec\n", outcome.title, outcome.seed, outcome.codec);
    for (name, direction) in [("device → listener", &outcome.capture), ("talker → device", &outcome.playback)] {
        if let Some(direction) = direction {
            text += &one_way(name, direction);
        }
    }
    if outcome.crowd.listeners > 1 {
        let crowd = &outcome.crowd;
        let _ = writeln!(
            text,
            "  {} listeners       {} packets offered, {} delivered, {} lost on the way, {} dropped for who did not keep up",
            crowd.listeners, crowd.offered, crowd.got, crowd.lost, crowd.dropped
        );
    }
    for wish in &outcome.expectations {
        let mark = if wish.met { "met" } else { "NOT MET" };
        let _ = writeln!(
            text,
            "  {mark:<8} {} {}: {:.2} {unit} of at most {} {unit}",
            wish.direction,
            wish.what,
            wish.got,
            wish.at_most,
            unit = wish.unit
        );
    }
    for verdict in &outcome.verdicts {
        let _ = writeln!(text, "  BROKEN   {verdict}");
    }
    let speed = outcome.duration_s / outcome.wall_s.max(1e-9);
    let _ = write!(
        text,
        "  {} simulated in {:.2} s ({speed:.0} times real time), {} events, trace hash {}",
        length(outcome.duration_s),
        outcome.wall_s,
        outcome.events,
        outcome.trace_hash
    );
    text
}

fn one_way(name: &str, way: &Direction) -> String {
    let mut text = format!("  {name}\n");
    let (delay, heard) = (&way.delay, &way.heard);
    let ms = |samples: u64| samples as f64 / 48.0;
    if delay.mean > 0.0 {
        let _ = writeln!(
            text,
            "    delay            mean {:.1} ms, half {:.1} ms, 95 % {:.1} ms, 99 % {:.1} ms",
            delay.mean, delay.p50, delay.p95, delay.p99
        );
    }
    let stages = &way.stages;
    let _ = writeln!(
        text,
        "      of it          frame and cards {:.1} ms, network {:.1} ms, waiting {:.1} ms, device queue {:.1} ms",
        stages.gather, stages.network, stages.wait, stages.device
    );
    let _ = writeln!(
        text,
        "    not real sound   {:.3} % ({:.0} ms made up, {:.0} ms silent, {:.0} ms blended), {:.0} ms never heard",
        way.not_real_percent,
        ms(heard.concealed),
        ms(heard.silent),
        ms(heard.blended),
        ms(heard.skipped)
    );
    let [sent, lost, doubled, garbled] = way.link;
    let counted = &way.counted;
    let _ = writeln!(
        text,
        "    packets          {sent} sent, {lost} lost, {doubled} doubled, {garbled} garbled on the way; {} late, {} resyncs, {} xruns",
        counted.late, counted.resyncs, counted.xruns
    );
    if way.repeats.copies > 0 {
        let (repeats, more) = (way.repeats, way.repeats.copied_bytes as f64 * 100.0 / way.repeats.bytes.max(1) as f64);
        let _ = writeln!(
            text,
            "    redundancy       {} copies sent ({more:.1} % more bytes), {:.0} ms played from them; {} changes of level",
            repeats.copies,
            ms(counted.copied),
            repeats.changes
        );
    }
    if way.restarts > 0 || way.gave_up > 0 {
        let _ = writeln!(text, "    worker           {} restarts, given up {} times", way.restarts, way.gave_up);
    }
    text
}

/// Seconds as people say them.
pub(super) fn length(seconds: f64) -> String {
    match seconds {
        s if s >= 7200.0 => format!("{:.1} h", s / 3600.0),
        s if s >= 120.0 => format!("{:.0} min", s / 60.0),
        s => format!("{s:.0} s"),
    }
}

/// A line on a terminal that is written over.
#[derive(Debug)]
pub(super) struct Progress {
    shown: Option<u32>,
    active: bool,
}

impl Progress {
    pub(super) fn new() -> Self {
        Self { shown: None, active: std::io::stderr().is_terminal() }
    }

    pub(super) fn show(&mut self, what: &str, share: f64) {
        let percent = (share * 100.0) as u32;
        if self.active && self.shown != Some(percent) {
            self.shown = Some(percent);
            eprint!("\r{what} {percent:>3} %");
            let _ = std::io::stderr().flush();
        }
    }

    pub(super) fn done(&mut self) {
        if self.active && self.shown.take().is_some() {
            eprint!("\r\x1b[K");
        }
    }
}
