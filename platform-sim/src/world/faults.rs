//! What the scenario does to the world, and how it undoes it.

use super::build::newcomer;
use super::{DAWN, Event, Way, World};
use crate::model::card::Act;
use crate::model::host::HostOptions;
use crate::model::link::Link;
use crate::scenario::{Fault, Kind, Part};
use soundpost_core::time::Span;

impl World<'_, '_, '_> {
    pub(super) fn begin_fault(&mut self, index: usize) {
        let fault = self.scenario.fault[index];
        self.log(|| format!("fault {index}: {fault}"));
        self.apply(&fault, index, true);
    }

    pub(super) fn end_fault(&mut self, index: usize) {
        let fault = self.scenario.fault[index];
        if self.healed.is_some() {
            return;
        }
        self.log(|| format!("fault {index}: {fault}: over"));
        self.apply(&fault, index, false);
    }

    fn apply(&mut self, fault: &Fault, index: usize, begins: bool) {
        let now = self.now();
        match (fault.kind, begins) {
            (Kind::Xrun, _) => self.card(fault.on, Act::Xrun),
            (Kind::Suspend, true) => self.card(fault.on, Act::Suspend),
            (Kind::Suspend, false) => self.card(fault.on, Act::Resume),
            (Kind::Unplug, true) => self.card(fault.on, Act::Unplug),
            (Kind::Unplug, false) => self.card(fault.on, Act::Plug),
            (Kind::ClockStop, true) => self.card(fault.on, Act::Stop),
            (Kind::ClockStop, false) => self.card(fault.on, Act::Go),
            (Kind::ClockStep, _) => self.card(fault.on, Act::Step(u64::from(fault.samples.unwrap_or(0)))),
            (Kind::Drift, _) => self.card(fault.on, Act::Drift(fault.ppm.unwrap_or_default().0)),
            (Kind::ShortReads, begins) => self.card(fault.on, Act::ShortReads(begins)),
            (Kind::Stall, true) => {
                let until = now.plus(fault.lasts.0);
                self.links(fault.on, |link| link.hold(until));
            }
            (Kind::Stall, false) => {}
            (Kind::Loss, begins) => {
                let percent = if begins { fault.percent.unwrap_or_default().0 } else { 0.0 };
                self.links(fault.on, |link| link.extra_loss = percent);
            }
            (Kind::Delay, begins) => {
                let extra = if begins { fault.extra.unwrap_or_default().0 } else { Span::ZERO };
                self.links(fault.on, |link| link.extra_delay = extra);
            }
            (Kind::Squeeze, begins) => {
                let bits = (fault.bandwidth.unwrap_or_default().0 * 1000.0) as u64;
                let squeezed = begins.then_some((bits, Span::from_millis(500)));
                self.links(fault.on, |link| link.squeezed = squeezed);
            }
            (Kind::Cut, begins) => self.links(fault.on, |link| link.cut = begins),
            (Kind::Starve, begins) => {
                let most = |time: Option<crate::units::Time>| time.unwrap_or_default().0;
                let options = HostOptions { audio: most(fault.audio), io: most(fault.io) };
                self.device_host.borrow_mut().starved = begins.then_some(options);
            }
            (Kind::Reclaim, begins) => {
                let waits = (fault.percent.unwrap_or_default().0, fault.io.unwrap_or_default().0);
                self.device_host.borrow_mut().reclaimed = begins.then_some(waits);
            }
            (Kind::Crash | Kind::Hang | Kind::CrashLoop | Kind::SlowDeath, _) => self.process(fault, begins),
            (Kind::Join | Kind::StopReading, _) => self.throng(fault, index, begins),
            (Kind::Flood, begins) => self.copies = if begins { fault.count.unwrap_or(1) } else { 1 },
            (Kind::Leave, begins) => self.leave(begins),
            (Kind::Mute, begins) => {
                self.panel.switch_pin.set(Some(begins));
                // The edge wakes whoever looks at the pins, without waiting for the next look.
                let late = self.device_host.borrow_mut().io_late();
                self.announce(now.plus(late), Event::Look);
            }
            (Kind::Break, begins) => self.panel.lamp.set_broken(begins),
        }
    }

    fn card(&mut self, part: Part, act: Act) {
        let now = self.now();
        let way = match part {
            Part::Microphone | Part::ListenerCard => Way::Capture,
            _ => Way::Playback,
        };
        let line = self.line(way);
        match part {
            Part::Microphone | Part::TalkerCard => {
                line.sender.card.borrow_mut().apply(now, act);
                line.sender.epoch += 1;
                self.await_sender(way);
            }
            _ => {
                line.receiver.card.borrow_mut().apply(now, act);
                line.receiver.epoch += 1;
                self.await_receiver(way);
            }
        }
    }

    fn links(&mut self, part: Part, mut change: impl FnMut(&mut Link)) {
        match part {
            Part::TalkerLink => change(&mut self.talker_link),
            _ => self.clients.iter_mut().take(1).for_each(|client| change(&mut client.link)),
        }
    }

    fn process(&mut self, fault: &Fault, begins: bool) {
        let now = self.now();
        let way = if fault.on == Part::CaptureWorker { Way::Capture } else { Way::Playback };
        let worker = &mut self.line(way).worker;
        let demands = match (fault.kind, begins) {
            (Kind::Crash, _) => worker.crash(now),
            (Kind::Hang, _) => {
                worker.hang(now);
                Vec::new()
            }
            (Kind::CrashLoop, true) => {
                worker.crash_loop = true;
                worker.crash(now)
            }
            (Kind::CrashLoop, false) => {
                worker.crash_loop = false;
                // What was given up waits for somebody who mended the cause and says so.
                if worker.gave_up() { worker.start(now) } else { Vec::new() }
            }
            _ => {
                worker.slow_death = begins;
                Vec::new()
            }
        };
        self.meet(way, demands);
    }

    fn throng(&mut self, fault: &Fault, index: usize, begins: bool) {
        let now = self.now();
        match (fault.kind, begins) {
            (Kind::Join, true) => {
                for _ in 0..fault.count.unwrap_or(1) {
                    let client = newcomer(now, self.seed, self.clients.len() + index * 100);
                    self.clients.push(client);
                }
            }
            (Kind::Join, false) => {
                let leaving = fault.count.unwrap_or(1) as usize;
                self.clients.iter_mut().skip(1).rev().filter(|c| c.here).take(leaving).for_each(|c| c.here = false);
            }
            (_, true) => self.clients.iter_mut().skip(1).for_each(super::clients::Client::stall),
            (_, false) => {
                for index in 1..self.clients.len() {
                    let deliveries = self.clients[index].resume(now);
                    self.deliver(index, deliveries);
                }
            }
        }
    }

    fn leave(&mut self, begins: bool) {
        self.talks = !begins;
        if begins {
            self.playback.sender.end();
        } else {
            self.playback.receiver.first = true;
            self.begin_sender(Way::Playback);
        }
    }

    /// Everything is mended.
    pub(super) fn heal(&mut self) {
        self.log(|| "everything is mended".to_owned());
        let now = self.now();
        self.healed = Some(now);
        for index in 0..self.scenario.fault.len() {
            let fault = self.scenario.fault[index];
            let end = DAWN.plus(fault.at.0).plus(fault.lasts.0);
            if fault.kind.takes_time() && DAWN.plus(fault.at.0) <= now && end > now {
                self.apply(&fault, index, false);
            }
        }
        self.device_host.borrow_mut().heal();
        self.talker_link.heal(now);
        self.clients.iter_mut().for_each(|client| client.link.heal(now));
        for way in [Way::Capture, Way::Playback] {
            if self.line(way).worker.gave_up() {
                let demands = self.line(way).worker.start(now);
                self.meet(way, demands);
            }
        }
    }
}
