//! How a world is put together from a scenario.

use super::care::Care;
use super::clients::Client;
use super::ends::{Ground, Receiver, Sender};
use super::repeats::Talk;
use super::worker::Worker;
use super::{DAWN, Event, Line, Options, Panel, Way, World};
use crate::VirtualClock;
use crate::judge::Court;
use crate::judge::ear::Ear;
use crate::judge::ledger::Ledger;
use crate::model::card::{CardOptions, Mic, Speaker};
use crate::model::host::{Host, HostOptions};
use crate::model::link::{Link, LinkOptions, Spells};
use crate::model::source::Source;
use crate::pins::{RecorderPin, ScriptedPin};
use crate::queue::Queue;
use crate::record::Record;
use crate::scenario::{self, Card, Scenario};
use crate::trace::Trace;
use crate::world::Codec;
use soundpost_core::board::{LiveLamp, MicrophoneGuard, MuteSwitch, Polarity};
use soundpost_core::config::{Channels, Content, Direction, Quality, Stream, TIMING};
use soundpost_core::quality::OBSERVE_EVERY;
use soundpost_core::time::{Instant, Span};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::path::Path;
use std::rc::Rc;

/// The cards of those who are not the device have periods of 10 ms, as most have.
const FAR_PERIOD: u32 = 480;

/// Periods in a microphone's buffer, and in a speaker's.
struct Size {
    period: u32,
    capture: u32,
    playback: u32,
}

const NEAR: Size =
    Size { period: TIMING.period_samples, capture: TIMING.capture_periods, playback: TIMING.playback_periods };
const FAR: Size = Size { period: FAR_PERIOD, capture: 10, playback: 2 };

fn card(card: Card, period: u32, periods: u32) -> CardOptions {
    CardOptions {
        drift_ppm: card.drift.0,
        wander_ppm: card.wander.0.abs(),
        period,
        room: period * periods,
        grain: u32::try_from(card.grain.0.as_samples()).unwrap_or(1).clamp(1, period),
        short_reads: false,
    }
}

pub(super) fn link(link: &scenario::Link) -> Result<LinkOptions, String> {
    let spells = |spell: scenario::Spell| Spells { every: spell.every.0, lasts: spell.lasts.0 };
    let trace = link.trace.as_deref().map(replay).transpose()?;
    let patience = if link.queue.0 == Span::ZERO { Span::from_millis(200) } else { link.queue.0 };
    Ok(LinkOptions {
        delay: link.delay.0,
        jitter: link.jitter.0,
        loss_percent: link.loss.0,
        bursts: link.bursts.map(spells),
        stalls: link.stalls.map(spells),
        reorder_percent: link.reorder.0,
        duplicate_percent: link.duplicate.0,
        corrupt_percent: link.corrupt.0,
        bottleneck: link.bandwidth.map(|kbps| ((kbps.0 * 1000.0) as u64, patience)),
        trace: trace.map(Rc::new),
    })
}

/// A trace that a link can replay.
fn replay(path: &Path) -> Result<Trace, String> {
    let trace = Trace::read(path).map_err(|error| error.to_string())?;
    let early = trace.packets.iter().find(|packet| packet.arrival_us.is_some_and(|arrived| arrived < packet.send_us));
    match early {
        Some(packet) => {
            Err(format!("{}: seq {}: arr_us is before send_us; a link cannot do that", path.display(), packet.seq))
        }
        None => Ok(trace),
    }
}

/// What is common to both directions while they are built.
struct Site<'a> {
    scenario: &'a Scenario,
    seed: u64,
    clock: VirtualClock,
    court: Court,
    near: Rc<RefCell<Host>>,
    far: Rc<RefCell<Host>>,
    source: Source,
    keep: bool,
    codec: Codec,
}

/// What is coded with a preset: markers are mono.
pub(super) fn stream(scenario: &Scenario, quality: Quality, direction: Direction) -> Stream {
    let stream = quality.stream(direction, Content::Voice);
    let stream = Stream { channels: Channels::Mono, ..stream };
    scenario.frame.map_or(stream, |frame| stream.with_frame(frame))
}

impl Site<'_> {
    fn line<'r, 'p>(&self, way: Way, sender: Card, receiver: Card) -> Line<'r, 'p> {
        let (from, to, worker, direction) = match way {
            Way::Capture => ("microphone", "listener's speaker", "capture worker", Direction::Capture),
            Way::Playback => ("talker's microphone", "speaker", "playback worker", Direction::Playback),
        };
        let (sizes, hosts) = match way {
            Way::Capture => ((NEAR, FAR), (&self.near, &self.far)),
            Way::Playback => ((FAR, NEAR), (&self.far, &self.near)),
        };
        let options = card(sender, sizes.0.period, sizes.0.capture);
        let mic = Mic::new(DAWN, options, self.source.clone(), self.seed, from);
        let mic = Rc::new(RefCell::new(mic));
        let mut ear = Ear::new(Rc::clone(&mic), self.court.clone(), to);
        if self.codec != Codec::Marker {
            ear.listen_to_sound();
        }
        if self.keep {
            ear.keep();
        }
        let options = card(receiver, sizes.1.period, sizes.1.playback);
        let speaker = Rc::new(RefCell::new(Speaker::new(DAWN, options, ear, self.seed, to)));
        let stream = stream(self.scenario, self.scenario.preset, direction);
        Line {
            sender: Sender::new(from, mic, Rc::clone(hosts.0), self.clock.clone(), stream),
            receiver: Receiver::new(to, speaker, Rc::clone(hosts.1), self.clock.clone()),
            ledger: Ledger::default(),
            record: Record::default(),
            talk: Talk::default(),
            care: Care::new(self.scenario, direction),
            worker: Worker::new(worker, self.court.clone(), self.seed),
            called: false,
        }
    }
}

impl<'a, 'r, 'p> World<'a, 'r, 'p> {
    pub(super) fn new(
        scenario: &'a Scenario,
        seed: u64,
        ground: Ground<'r, 'p>,
        options: Options<'a>,
    ) -> Result<Self, String> {
        let clock = VirtualClock::default();
        clock.advance_to(DAWN);
        let machine = HostOptions { audio: scenario.host.audio.0, io: scenario.host.io.0 };
        let host = |options, who| Rc::new(RefCell::new(Host::new(options, seed, who)));
        let source = match options.codec {
            Codec::Marker => Source::Markers,
            #[cfg(feature = "opus")]
            Codec::Opus => Source::sound(&scenario.sound)?,
        };
        let court = Court::default();
        let site = Site {
            scenario,
            seed,
            clock: clock.clone(),
            court: court.clone(),
            near: host(machine, "device"),
            far: host(HostOptions::default(), "far"),
            source,
            keep: options.keep_sound,
            codec: options.codec,
        };
        let ears = scenario.listener.first().map(|listener| listener.card).unwrap_or_default();
        let talker = scenario.talker.clone().unwrap_or_default();
        let lamp = RecorderPin::new(clock.clone());
        let lit = LiveLamp::new(lamp.clone(), Polarity::ActiveHigh).map_err(|fault| format!("lamp: {fault:?}"))?;
        let switch_pin = ScriptedPin::default();
        switch_pin.set(Some(false));
        let panel = Panel {
            switch: MuteSwitch::new(switch_pin.clone(), Polarity::ActiveHigh),
            switch_pin,
            guard: MicrophoneGuard::new(Some(lit)),
            lamp,
        };
        let whole = scenario.duration.0.as_micros();
        Ok(Self {
            scenario,
            seed,
            ground,
            queue: Queue::default(),
            device_host: Rc::clone(&site.near),
            capture: site.line(Way::Capture, scenario.microphone, ears),
            playback: site.line(Way::Playback, talker.card, scenario.speaker),
            clients: clients(scenario, seed)?,
            talker_link: Link::new(DAWN, link(&talker.link)?, seed, "talker's link"),
            socket: VecDeque::new(),
            talks: scenario.talker.is_some(),
            copies: 1,
            panel,
            healed: None,
            point: Span::from_micros((whole / 600).clamp(100_000, 60_000_000)),
            events: 0,
            hash: seed,
            options,
            clock,
            court,
        })
    }

    /// What is announced before anything happens.
    pub(super) fn dawn(&mut self) {
        for way in [Way::Capture, Way::Playback] {
            let now = self.now();
            let demands = self.line(way).worker.start(now);
            self.meet(way, demands);
        }
        self.begin_receiver(Way::Capture);
        if self.talks {
            self.begin_sender(Way::Playback);
        }
        self.announce(self.now(), Event::Look);
        if self.scenario.govern {
            for way in [Way::Capture, Way::Playback] {
                self.announce(self.now().plus(OBSERVE_EVERY), Event::Care(way));
            }
        }
        self.announce(self.now().plus(self.point), Event::Point);
        for (index, fault) in self.scenario.fault.iter().enumerate() {
            let at = DAWN.plus(fault.at.0);
            self.queue.push(at, Event::Begin(index));
            if fault.kind.takes_time() {
                self.queue.push(at.plus(fault.lasts.0), Event::End(index));
            }
        }
        if let Some(heal) = self.scenario.heal {
            self.queue.push(DAWN.plus(heal.0), Event::Heal);
        }
    }
}

fn clients(scenario: &Scenario, seed: u64) -> Result<Vec<Client>, String> {
    let mut clients = Vec::new();
    for listener in &scenario.listener {
        for _ in 0..listener.count {
            let index = clients.len();
            let link = Link::new(DAWN, link(&listener.link)?, seed, &format!("listener's link {index}"));
            clients.push(Client::new(link, index == 0));
        }
    }
    Ok(clients)
}

/// A listener more, on a clean link.
pub(super) fn newcomer(now: Instant, seed: u64, index: usize) -> Client {
    let options = LinkOptions { delay: Span::from_millis(1), ..LinkOptions::default() };
    Client::new(Link::new(now, options, seed, &format!("listener's link {index}")), false)
}
