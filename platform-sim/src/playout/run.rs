//! Plays a trace with the real engine, pull by pull, and judges what the device got.

use super::sound::{Decoder, Marked, Sound};
use crate::trace::Trace;
use serde::Serialize;
use soundpost_core::codec::Extent;
use soundpost_core::config::{Channels, Playout, Terms};
use soundpost_core::engine::playback::Playback;
use soundpost_core::jitter::Arrival;
use soundpost_core::meter::PlaybackReport;
use soundpost_core::time::{Instant, MediaTime};
use std::rc::Rc;

/// How a trace is played.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The profile.
    pub profile: Playout,
    /// Terms to play by instead of the profile's.
    pub terms: Option<Terms>,
    /// Each packet claims to be so much longer than they are apart: with one sample, pulls and packets have no grid in
    /// common that the engine could see, and all else stays as it is.
    pub overlap_samples: u32,
    /// Price of made-up sound in the cost, in ms of delay for all of the time.
    pub lambda_ms: f64,
    /// The device asks for so much at once.
    pub pull_us: u32,
    /// And does so this long after whole periods.
    pub phase_us: u32,
    /// So much of the beginning is not judged.
    pub excluded_us: i64,
    /// Keep the delay over time.
    pub keep_course: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            profile: Playout::Balanced,
            terms: None,
            overlap_samples: 0,
            lambda_ms: 5_000.0,
            pull_us: 10_000,
            phase_us: 3_700,
            excluded_us: 10_000_000,
            keep_course: false,
        }
    }
}

/// What came of it. Times in ms, shares in percent of the time that is judged.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Outcome {
    /// The trace.
    pub trace: String,
    /// The profile.
    pub profile: String,
    /// Mean delay: time of the pull less capture time less the least delay of the network.
    pub mean_delay_ms: f64,
    /// The delay that one pull in twenty exceeds.
    pub p95_delay_ms: f64,
    /// Made up, or left out.
    pub concealed_pct: f64,
    /// Of that, what arrived but too late.
    pub late_pct: f64,
    /// Of that, what never arrived.
    pub lost_pct: f64,
    /// Insertions and removals.
    pub stretch_ops_per_min: f64,
    /// Times that made-up sound began.
    pub events: u64,
    /// Mean delay and the price of what was made up, at 5 s.
    pub j5_ms: f64,
    /// The same at the price that was asked for.
    pub j_ms: f64,
    /// Pulls whose sound was compared with its position.
    pub checked: u64,
    /// Of these, where it was from elsewhere.
    pub misplaced: u64,
    /// Seconds that were judged.
    pub judged_s: f64,
    /// The sender's drift as the engine sees it at the end.
    pub drift_ppm: i32,
    /// Time and delay of each pull, if that was asked for.
    #[serde(skip)]
    pub course: Vec<Point>,
}

/// One pull.
#[derive(Clone, Copy, Debug)]
pub struct Point {
    /// When.
    pub at_us: i64,
    /// The true delay; `None` if nothing was played.
    pub delay_us: Option<i64>,
    /// The delay that the engine aims at.
    pub goal_us: i64,
    /// Made up in this pull.
    pub made_up_us: i64,
}

/// Plays a trace.
#[must_use]
pub fn run(trace: &Trace, options: &Options) -> Outcome {
    let mut play = Play::new(trace, options);
    let mut arrivals: Vec<(i64, usize)> =
        trace.packets.iter().enumerate().filter_map(|(n, packet)| Some((packet.arrival_us?, n))).collect();
    arrivals.sort_unstable();
    let end = trace.packets.last().map_or(0, |packet| packet.send_us);
    let mut waiting = arrivals.into_iter().peekable();
    // The engine's clock has no time before zero, traces may.
    let mut pull = 0_i64;
    loop {
        let at = i64::from(options.phase_us) + pull * i64::from(options.pull_us);
        if at >= end {
            break;
        }
        while let Some((arrived, n)) = waiting.next_if(|(arrived, _)| *arrived <= at) {
            play.arrive(arrived, n);
        }
        play.pull(at);
        pull += 1;
    }
    play.judge()
}

struct Play<'a> {
    trace: &'a Trace,
    options: &'a Options,
    sound: Rc<Sound>,
    engine: Playback<Decoder, Marked>,
    base_us: i64,
    out: Vec<i16>,
    /// Number of pulls, so that periods of no whole number of samples add up.
    pulls: u64,
    samples: u64,
    before: PlaybackReport,
    delays: Vec<i64>,
    judged_us: i64,
    made_up: u64,
    operations: u64,
    events: u64,
    making_up: bool,
    checked: u64,
    misplaced: u64,
    course: Vec<Point>,
}

impl<'a> Play<'a> {
    fn new(trace: &'a Trace, options: &'a Options) -> Self {
        let sound = Rc::new(Sound::of(trace));
        let terms = options.terms.unwrap_or_else(|| options.profile.terms());
        let engine = Playback::new(Decoder(Rc::clone(&sound)), Channels::Mono).with_terms(terms);
        Self {
            trace,
            options,
            sound,
            engine,
            base_us: trace.base_us(),
            out: Vec::new(),
            pulls: 0,
            samples: 0,
            before: PlaybackReport::default(),
            delays: Vec::new(),
            judged_us: 0,
            made_up: 0,
            operations: 0,
            events: 0,
            making_up: false,
            checked: 0,
            misplaced: 0,
            course: Vec::new(),
        }
    }

    fn arrive(&mut self, arrived: i64, n: usize) {
        let samples = self.trace.packet_ms * 48;
        let media = self.trace.packets[n].seq * u64::from(samples);
        // Refusals are in the report.
        let _ = self.engine.accept(Arrival {
            extent: Extent { media: MediaTime(media), samples: samples + self.options.overlap_samples },
            arrived: Instant::from_micros(arrived.max(0).unsigned_abs()),
            captured: None,
            payload: Marked::new(media),
        });
    }

    fn pull(&mut self, at: i64) {
        self.pulls += 1;
        let total = self.pulls * u64::from(self.options.pull_us) * 48 / 1_000;
        let samples = total - self.samples;
        self.samples = total;
        self.out.resize(samples as usize, 0);
        self.engine.render(Instant::from_micros(at.unsigned_abs()), 0, &mut self.out);
        let after = *self.engine.report();
        // The position is that of the next sample: this pull's first one is so far before it.
        let made_up = made_up(&after) - made_up(&self.before);
        let operations = operations(&after) - operations(&self.before);
        // What was held may turn out to have stood in for something lost: then it counts as concealed after all.
        let still = (after.held_samples + after.inserted_samples) as i64
            - (self.before.held_samples + self.before.inserted_samples) as i64;
        let over =
            (after.cut_samples + after.spliced_samples) - (self.before.cut_samples + self.before.spliced_samples);
        let span = ((samples + over) as i64 - still).max(0).unsigned_abs();
        let first = self.engine.position().map(|next| next.0.saturating_sub(span));
        self.before = after;
        if at < self.options.excluded_us {
            return;
        }
        self.judged_us += i64::from(self.options.pull_us);
        self.operations += operations;
        self.made_up += made_up;
        self.events += u64::from(made_up > 0 && !self.making_up);
        self.making_up = made_up > 0;
        let real = first.filter(|_| made_up < samples);
        let delay = real.map(|first| at - self.trace.capture_us(first) - self.base_us);
        self.delays.extend(delay);
        if let Some(first) = real.filter(|_| made_up == 0 && operations == 0) {
            self.compare(first);
        }
        if self.options.keep_course {
            let made_up_us = made_up as i64 * 125 / 6;
            let goal_us = after.target.as_micros() as i64;
            self.course.push(Point { at_us: at, delay_us: delay, goal_us, made_up_us });
        }
    }

    /// Where the sound is noise, it must be the noise that belongs where the engine says it is.
    fn compare(&mut self, first: u64) {
        const APART: u64 = 37;
        const REACH: i64 = 144;
        let length = self.out.len() as u64;
        if !self.pulls.is_multiple_of(APART) || length < 240 {
            return;
        }
        let around = first.saturating_sub(2_400);
        if !(around..first + length + 2_400).step_by(240).all(|sample| self.sound.is_noise(sample)) {
            return;
        }
        let likeness = |shift: i64| {
            let from = first.saturating_add_signed(shift);
            self.out.iter().zip(from..).map(|(value, n)| i64::from(*value) * i64::from(self.sound.at(n))).sum::<i64>()
        };
        let best = (-REACH..=REACH).max_by_key(|shift| likeness(*shift)).unwrap_or(REACH);
        self.checked += 1;
        self.misplaced += u64::from(best.abs() > 24);
    }

    fn judge(mut self) -> Outcome {
        let judged = self.judged_us.max(1) as f64;
        self.delays.sort_unstable();
        let count = self.delays.len().max(1);
        let mean = self.delays.iter().sum::<i64>() as f64 / count as f64 / 1000.0;
        let p95 = self.delays.get(self.delays.len() * 95 / 100).copied().unwrap_or(0) as f64 / 1000.0;
        let concealed = self.made_up as f64 * 1000.0 / 48.0 / judged * 100.0;
        let judged_packets = self.trace.packets.iter().filter(|packet| packet.send_us >= self.options.excluded_us);
        let lost = judged_packets.filter(|packet| packet.arrival_us.is_none()).count() as f64;
        let lost = lost * f64::from(self.trace.packet_ms) * 1000.0 / judged * 100.0;
        Outcome {
            trace: self.trace.name.clone(),
            profile: self.options.profile.name().to_owned(),
            mean_delay_ms: mean,
            p95_delay_ms: p95,
            concealed_pct: concealed,
            late_pct: (concealed - lost).max(0.0),
            lost_pct: lost,
            stretch_ops_per_min: self.operations as f64 * 60e6 / judged,
            events: self.events,
            j5_ms: mean + 50.0 * concealed,
            j_ms: mean + self.options.lambda_ms / 100.0 * concealed,
            checked: self.checked,
            misplaced: self.misplaced,
            judged_s: judged / 1e6,
            drift_ppm: self.engine.report().drift_ppm,
            course: self.course,
        }
    }
}

/// Samples that were not real, or real ones that were left out, packets aside that were too old to be begun with.
fn made_up(report: &PlaybackReport) -> u64 {
    report.concealed_samples + report.held_samples + report.recovered_samples + report.spliced_samples
}

fn operations(report: &PlaybackReport) -> u64 {
    report.insertions + report.removals
}
