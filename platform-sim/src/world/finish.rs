//! The end of a world: everything comes to rest, the last judges look, the books are closed.

use super::{DAWN, Line, Sounds, Way, World, is_capture};
use crate::model::link::{Link, LinkTruth};
use crate::outcome::{Counted, Crowd, Delay, Direction, Expectation, Mark, Outcome, Point};
use crate::scenario::{Expect, Fault, Kind, Scenario};
use soundpost_core::config::TIMING;
use soundpost_core::time::{Instant, Span};

/// What was healed must be as good as new for so long at the end.
const CALM_S: f64 = 2.0;
/// By how much sound may be older then than what the way itself takes and what the player aims at. (How soon it aims at
/// less again is for its profile to say: a network that was bad for long is not trusted at once.)
const CALM_SLACK_MS: f64 = 25.0;
/// How much may be made up then, in percent: whoever tries to hold less now and then holds too little, once.
const CALM_MADE_UP_PERCENT: f64 = 1.5;
/// Where sounds are laid over each other an ear may be wrong by so many samples.
const REPEATED_SLACK: u64 = 2_000;
/// So long after that a good part is forgotten: that much is left of what was aimed at, or what costs next to nothing.
const FORGOTTEN: Span = Span::from_millis(120_000);
const AIM_SHRINKS: f64 = 0.8;
const AIM_FREE_MS: f64 = 60.0;
/// What has run for less is not as good as new yet.
const SETTLED: Span = Span::from_millis(10_000);
const SETTLED_S: f64 = 10.0;
/// So long after the last packet everything must have been played.
const REST: Span = Span::from_millis(2_000);

impl World<'_, '_, '_> {
    pub(super) fn finish(mut self) -> (Outcome, Sounds) {
        let ran = self.court.is_content();
        let t = self.since_dawn();
        let counted = [Way::Capture, Way::Playback].map(|way| self.counted(way));
        if ran {
            self.judge_clients();
            for way in [Way::Capture, Way::Playback] {
                self.judge_lost(way);
                self.judge_counts(way);
                self.come_to_rest(way);
                self.judge_calm(way, t);
            }
        }
        let has_ears = !self.clients.is_empty();
        let sounds = Sounds {
            capture: self.capture.receiver.card.borrow_mut().ear().take_kept(),
            playback: self.playback.receiver.card.borrow_mut().ear().take_kept(),
        };
        let crowd = self.crowd();
        let expect = self.scenario.expect;
        let frame = self.capture.sender.stream.frame;
        let faults = self.scenario.fault.iter().map(|fault| self.mark(fault)).collect();
        let truth = |link: &Link| {
            let LinkTruth { sent, lost, doubled, garbled } = link.truth();
            [sent, lost, doubled, garbled]
        };
        let links = [self.clients.first().map(|c| truth(&c.link)).unwrap_or_default(), truth(&self.talker_link)];
        let capture = has_ears.then(|| direction(self.capture, counted[0], links[0]));
        let playback = self.scenario.talker.is_some().then(|| direction(self.playback, counted[1], links[1]));
        let mut expectations = Vec::new();
        for (name, way) in [("capture", &capture), ("playback", &playback)] {
            // An ear that hears real sound knows nothing that could be held against a wish.
            if let Some(way) = way.as_ref().filter(|_| self.ground.codec == super::Codec::Marker) {
                expectations.extend(judge_expectations(&expect, name, way));
            }
        }
        let outcome = Outcome {
            title: self.scenario.title.clone(),
            about: self.scenario.about.clone(),
            command: String::new(),
            scenario: self.scenario.text(),
            seed: self.seed,
            codec: self.ground.codec.name().to_owned(),
            duration_s: t,
            wall_s: 0.0,
            events: self.events,
            trace_hash: format!("{:016x}", self.hash),
            frame_ms: f64::from(frame.samples()) / 48.0,
            verdicts: self.court.verdicts(),
            expectations,
            capture,
            playback,
            faults,
            crowd,
        };
        (outcome, sounds)
    }

    fn mark(&self, fault: &Fault) -> Mark {
        let until = fault.at.seconds() + fault.lasts.seconds();
        let healed = self.healed.map_or(f64::MAX, |at| at.since(DAWN).as_micros() as f64 / 1e6);
        let direction = if is_capture(fault.on) { "capture" } else { "playback" };
        let direction = if fault.on == crate::scenario::Part::Host { "both" } else { direction };
        let at_s = fault.at.seconds();
        Mark { at_s, until_s: until.min(healed).max(at_s), words: fault.to_string(), direction: direction.to_owned() }
    }

    fn crowd(&self) -> Crowd {
        let mut all = Crowd { listeners: self.clients.len() as u64, ..Crowd::default() };
        for client in &self.clients {
            all.offered += client.served.offered;
            all.dropped += client.served.dropped;
            all.got += client.served.got;
            all.lost += client.link.truth().lost;
        }
        all
    }

    /// Each listener's packets are all accounted for.
    fn judge_clients(&self) {
        for (index, client) in self.clients.iter().enumerate() {
            let truth = client.link.truth();
            let served = client.served;
            let came_of_it = served.got + client.under_way + truth.lost + served.dropped + client.waiting();
            if served.offered + truth.doubled != came_of_it {
                let words = format!(
                    "listener {index}: of {} packets and {} copies, {came_of_it} are accounted for",
                    served.offered, truth.doubled
                );
                self.court.accuse("ledger", self.now(), words);
            }
        }
    }

    fn counted(&mut self, way: Way) -> Counted {
        let report = self.line(way).receiver.report().unwrap_or_default();
        Counted {
            packets: report.metrics.frames_received,
            late: report.late,
            duplicates: report.duplicates,
            dropped: report.metrics.frames_dropped,
            decode_errors: report.decode_errors,
            resyncs: report.resyncs,
            xruns: report.xruns,
            copied: report.copied_samples,
            spare_copies: report.spare_copies,
        }
    }

    /// What the card lost is in the books, if nothing went wrong of late.
    fn judge_lost(&mut self, way: Way) {
        let (now, court, healed) = (self.now(), self.court.clone(), self.healed);
        // A clock that jumped or stood still has another opinion about what was lost than time itself.
        let clockwork = clocks_are_honest(self.scenario);
        let line = self.line(way);
        let calm = clockwork && healed.is_some_and(|healed| now.since(healed) > SETTLED) && !line.sender.lost;
        let late = line.sender.host.borrow().worst;
        if let Some(engine) = line.sender.engine().filter(|_| calm) {
            line.ledger.check_lost(&court, now, engine.report(), line.sender.card.borrow().truth(), late);
        }
    }

    /// What the player counted is what came in at its door (I12).
    fn judge_counts(&mut self, way: Way) {
        let (now, court) = (self.now(), self.court.clone());
        let receiver = &mut self.line(way).receiver;
        let Some(report) = receiver.report() else { return };
        let (who, door) = (receiver.who, receiver.door);
        let metrics = report.metrics;
        let accuse = |words: String| court.accuse("metrics", now, format!("{who}: {words}"));
        if metrics.frames_received > door.passed || metrics.bytes_processed > door.bytes {
            accuse(format!(
                "it counts {} packets of {} bytes; {} of {} came",
                metrics.frames_received, metrics.bytes_processed, door.passed, door.bytes
            ));
        }
        let waiting = u64::from(soundpost_core::capacity::HANDOVER_RING as u32);
        let explained = metrics.frames_received + report.late + report.duplicates + report.decode_errors + waiting;
        if explained < door.passed {
            accuse(format!("{} packets came; it knows of {explained} at most", door.passed));
        }
        // In one life of a player, what is heard twice is what it put in twice.
        let repeated = receiver.card.borrow_mut().ear().heard().repeated;
        let allowed = report.inserted_samples + report.inserted_samples / 2 + REPEATED_SLACK;
        if receiver.lives == 1 && repeated > allowed {
            accuse(format!("{repeated} samples were heard twice; it put {} in", report.inserted_samples));
        }
        let xruns = receiver.card.borrow().xruns() - receiver.xruns_before;
        if report.xruns != xruns {
            accuse(format!("it counts {} xruns; the card had {xruns}", report.xruns));
        }
    }

    /// Nobody sends any more: what is under way is played, and every slot comes back (I4).
    fn come_to_rest(&mut self, way: Way) {
        let deadline = self.now().plus(REST);
        let court = self.court.clone();
        let clock = self.clock.clone();
        let line = self.line(way);
        while line.sender.next_packet().is_some() {}
        if let Some(pool) = line.sender.pool().filter(|pool| pool.in_use != 0) {
            court.accuse("ledger", clock.time(), format!("{}: {} slots never came back", line.sender.who, pool.in_use));
        }
        let works = line.works(way == Way::Playback);
        while works && !line.receiver.lost && line.receiver.pool().is_some_and(|pool| pool.in_use != 0) {
            clock.advance_to(line.receiver.due());
            let turned = line.receiver.turn();
            if clock.time() > deadline {
                let left = line.receiver.pool().map_or(0, |pool| pool.in_use);
                court.accuse("ledger", clock.time(), format!("{}: {left} slots never came back", line.receiver.who));
            }
            if turned.is_err() || clock.time() > deadline {
                break;
            }
        }
    }

    /// What was mended is as good as new (I7).
    fn judge_calm(&mut self, way: Way, end: f64) {
        let Some(healed) = self.healed else { return };
        let heard = match way {
            Way::Capture => self.clients.first().map(|client| client.link.least()),
            Way::Playback => self.scenario.talker.as_ref().map(|_| self.talker_link.least()),
        };
        let Some(least) = heard else { return };
        if self.ground.codec != super::Codec::Marker {
            return;
        }
        let (now, court) = (self.now(), self.court.clone());
        // What failed many times in a row waits for its next start, and is judged by the supervisor's judge.
        let settled = |at: Instant| now.since(at) >= SETTLED;
        if !self.line(way).worker.works_since().is_some_and(settled) {
            return;
        }
        let ms = |span: Span| span.as_micros() as f64 / 1000.0;
        let way_takes = {
            let line = self.line(way);
            let frame = Span::from_samples(u64::from(line.sender.stream.frame.samples()));
            // A far card's period and two of its queue, and the device's own.
            let cards = Span::from_samples(3 * 480 + u64::from(TIMING.period_samples * (TIMING.playback_periods + 1)));
            ms(frame) + ms(cards) + ms(least)
        };
        let mended = healed.since(DAWN).as_micros() as f64 / 1e6;
        let since = mended.max(end - CALM_S);
        let line = self.line(way);
        let who = line.receiver.who;
        // What it aimed at a moment ago, it may still hold.
        let aimed = line.record.points().iter().filter(|point| point.t > since + CALM_S - SETTLED_S);
        let aimed = aimed.fold(0.0_f64, |most, point| most.max(point.target));
        let calm = || line.record.points().iter().filter(|point| point.t > since + 0.2);
        for point in calm() {
            let oldest = point.delay.map_or(f64::MAX, |[_, _, most]| most);
            let limit = way_takes + aimed + CALM_SLACK_MS;
            if oldest > limit || point.silent > 0.0 {
                let what =
                    point.delay.map_or("nothing is heard".to_owned(), |_| format!("sound is {oldest:.1} ms old"));
                let silent = point.silent;
                let words = format!(
                    "{who}: {CALM_S} s before the end {what} and {silent} % is silent; {limit:.1} ms are allowed"
                );
                return court.accuse("latency", now, words);
            }
        }
        let aims = |points: &mut dyn Iterator<Item = &Point>| points.map(|point| point.target).fold(0.0, f64::max);
        let aimed = aims(&mut line.record.points().iter().filter(|point| (point.t - mended).abs() < 2.0));
        let (aims, most) = (aims(&mut calm()), (aimed * AIM_SHRINKS).max(AIM_FREE_MS));
        if now.since(healed) > FORGOTTEN && aims > most {
            let since = now.since(healed).as_micros() / 1_000_000;
            let words =
                format!("{who}: {since} s after all was mended it aims at {aims:.1} ms; {most:.1} ms are allowed");
            return court.accuse("latency", now, words);
        }
        let made_up = calm().map(|point| point.concealed).sum::<f64>() / calm().count().max(1) as f64;
        if made_up > CALM_MADE_UP_PERCENT {
            let words = format!(
                "{who}: in the last {CALM_S} s {made_up:.2} % are made up; {CALM_MADE_UP_PERCENT} % are allowed"
            );
            court.accuse("latency", now, words);
        }
    }
}

fn clocks_are_honest(scenario: &Scenario) -> bool {
    scenario.fault.iter().all(|fault| !matches!(fault.kind, Kind::ClockStop | Kind::ClockStep))
}

fn direction(line: Line<'_, '_>, counted: Counted, link: [u64; 4]) -> Direction {
    let mut card = line.receiver.card.borrow_mut();
    let heard = card.ear().heard();
    let not_real = heard.concealed + heard.blended + heard.silent;
    let all = (not_real + heard.real).max(1);
    let counts = line.worker.counts();
    Direction {
        delay: Delay::of(card.ear().ages()),
        stages: line.record.stages(),
        heard,
        not_real_percent: not_real as f64 * 100.0 / all as f64,
        restarts: counts.restarts,
        gave_up: counts.gave_up,
        counted,
        series: line.record.into_points(),
        link,
        repeats: line.talk.repeats,
        turns: line.care.turns,
    }
}

fn judge_expectations(expect: &Expect, name: &str, way: &Direction) -> Vec<Expectation> {
    let ms = |time: crate::units::Time| time.seconds() * 1000.0;
    let asked = [
        ("not real sound", expect.not_real.map(|percent| percent.0), way.not_real_percent, "%"),
        ("mean delay", expect.mean_delay.map(ms), way.delay.mean, "ms"),
        ("95 % of the delay", expect.p95_delay.map(ms), way.delay.p95, "ms"),
        ("restarts", expect.restarts.map(f64::from), way.restarts as f64, ""),
    ];
    let asked = asked.into_iter().filter_map(|(what, most, got, unit)| most.map(|most| (what, most, got, unit)));
    let row = |(what, at_most, got, unit): (&str, f64, f64, &str)| Expectation {
        direction: name.to_owned(),
        what: what.to_owned(),
        at_most,
        got,
        unit: unit.to_owned(),
        met: got <= at_most,
    };
    asked.map(row).collect()
}
