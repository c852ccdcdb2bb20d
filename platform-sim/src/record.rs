//! The record of a direction over time.

use crate::judge::ear::Heard;
use crate::outcome::{Point, Stages};
use soundpost_core::config::Quality;
use soundpost_core::time::{SAMPLE_RATE_HZ, Span};

/// Least, mean and most of something.
#[derive(Clone, Copy, Debug, Default)]
struct Spread {
    count: u64,
    sum: f64,
    least: f64,
    most: f64,
}

impl Spread {
    fn add(&mut self, value: f64) {
        if self.count == 0 {
            (self.least, self.most) = (value, value);
        }
        self.count += 1;
        self.sum += value;
        self.least = self.least.min(value);
        self.most = self.most.max(value);
    }

    fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / self.count as f64)
    }
}

/// What is seen at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Glance {
    pub(crate) target: Span,
    pub(crate) depth: Span,
    pub(crate) queued: u32,
    pub(crate) drift: f64,
    pub(crate) restarts: u64,
    pub(crate) up: bool,
    pub(crate) quality: Quality,
}

/// Collects what happens between two points, and the points.
#[derive(Debug, Default)]
pub(crate) struct Record {
    delay: Spread,
    network: Spread,
    heard: Heard,
    points: Vec<Point>,
    all: Stages,
    all_count: f64,
    all_network: Spread,
    all_delay: Spread,
}

fn ms(span: Span) -> f64 {
    span.as_micros() as f64 / 1000.0
}

fn round(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

impl Record {
    pub(crate) fn hear(&mut self, age: Span) {
        self.delay.add(ms(age));
    }

    pub(crate) fn network(&mut self, took: Span) {
        self.network.add(ms(took));
    }

    /// Ends a point.
    pub(crate) fn point(&mut self, t: f64, heard: Heard, glance: Glance) {
        let before = std::mem::replace(&mut self.heard, heard);
        let all = |heard: Heard| heard.real + heard.concealed + heard.silent + heard.blended;
        let passed = (all(heard) - all(before)).max(1) as f64;
        let share = |now: u64, before: u64| round((now - before) as f64 * 100.0 / passed);
        let (delay, network) = (std::mem::take(&mut self.delay), std::mem::take(&mut self.network));
        let network = network.mean().map(|mean| {
            self.all_network.add(mean);
            [round(mean), round(network.most)]
        });
        let delay = delay.mean().map(|mean| {
            self.all_delay.add(mean);
            self.all.wait += ms(glance.depth);
            self.all.device += ms(Span::from_samples(u64::from(glance.queued)));
            self.all_count += 1.0;
            [round(delay.least), round(mean), round(delay.most)]
        });
        self.points.push(Point {
            t,
            delay,
            network,
            target: ms(glance.target),
            depth: ms(glance.depth),
            concealed: share(heard.concealed + heard.blended, before.concealed + before.blended),
            silent: share(heard.silent, before.silent),
            sounded: round(all(heard) as f64 / f64::from(SAMPLE_RATE_HZ)),
            drift: round(glance.drift),
            restarts: glance.restarts,
            up: glance.up,
            quality: glance.quality as u8,
        });
    }

    /// Where the delay comes from, on average: what is neither network nor waiting nor the device is the gathering.
    pub(crate) fn stages(&self) -> Stages {
        let count = self.all_count.max(1.0);
        let network = self.all_network.mean().unwrap_or_default();
        let (wait, device) = (self.all.wait / count, self.all.device / count);
        let rest = self.all_delay.mean().unwrap_or_default() - network - wait - device;
        Stages { gather: round(rest.max(0.0)), network: round(network), wait: round(wait), device: round(device) }
    }

    pub(crate) fn points(&self) -> &[Point] {
        &self.points
    }

    pub(crate) fn into_points(self) -> Vec<Point> {
        self.points
    }
}
