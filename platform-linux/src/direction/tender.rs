//! What an audio thread does beside its turns: it says how its device is doing, and gets it back when it is lost.
//!
//! When and what is tried is decided by [`Recovery`]; here it is carried out. While a device is lost its thread has
//! nothing else to do: it sleeps until the next attempt is due, the kernel tells of a card, or it is to stop.

use super::pulse::Pulse;
use super::scout::{Open, Proves, Scout};
use super::state::{Reason, SharedState, State};
use crate::hotplug::Watch;
use crate::pcm::{Choice, Opened};
use crate::rt::{Stop, Woken, now};
use soundpost_core::config::TIMING;
use soundpost_core::port::PcmError;
use soundpost_core::preference::Preference;
use soundpost_core::recovery::{Fault, Recovery};
use soundpost_core::watch::Call;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::Sender;

/// See the module.
pub(super) struct Tender<'a, T> {
    stop: &'a Stop,
    outlook: Outlook<T>,
    /// What was wrong at the last look.
    trouble: Option<Fault>,
    scout: Option<Scout<T>>,
}

/// What a tender needs of the world.
pub(super) struct Outlook<T> {
    pub(super) choice: Choice,
    pub(super) preference: Preference,
    pub(super) open: Open<T>,
    pub(super) shown: SharedState,
    pub(super) openings: Sender<Opened>,
    pub(super) pulse: Pulse,
}

impl<'a, T: Proves> Tender<'a, T> {
    pub(super) fn new(stop: &'a Stop, outlook: Outlook<T>) -> Self {
        let mut this = Self { stop, outlook, trouble: None, scout: None };
        this.send_scout();
        this
    }

    /// A better device than the one in use, which runs already.
    pub(super) fn better(&mut self) -> Option<T> {
        let (device, opened) = self.scout.as_ref()?.offer()?;
        self.take(opened);
        Some(device)
    }

    fn take(&mut self, opened: Opened) {
        if let Some(Err(error)) = &opened.volume {
            tracing::warn!("{}: {error}", opened.description);
        }
        self.outlook.preference.on_opened(opened.rank);
        // Nobody there to hear of it is as good.
        let _ = self.outlook.openings.send(opened);
        self.send_scout();
    }

    fn send_scout(&mut self) {
        let better = self.outlook.preference.better();
        self.scout = match better {
            0 => None,
            _ => Scout::send(self.outlook.choice.clone(), better, Arc::clone(&self.outlook.open)),
        };
    }

    /// After each turn: says so if the device does otherwise than before.
    pub(super) fn look(&mut self, recovery: &Recovery) {
        let trouble = recovery.trouble();
        if trouble == self.trouble {
            return;
        }
        self.trouble = trouble;
        match trouble {
            None if self.outlook.shown.get() != State::Running => self.outlook.shown.set(State::Running),
            Some(Fault::Stopped) => self.outlook.shown.set(State::Stopped),
            // An xrun is over in a moment, and what is not is lost.
            _ => {}
        }
    }

    pub(super) fn ended(&self) {
        self.outlook.pulse.mark(Call::Rest);
        self.outlook.shown.set(State::Ended);
    }

    pub(super) fn lost(&self, why: PcmError) {
        self.outlook.pulse.mark(Call::Rest);
        self.outlook.shown.set(State::Lost(Reason::new(&why_lost(why))));
    }

    /// Opens a device after the one in use was closed, again and again until that works; `None` when the thread is to
    /// stop.
    pub(super) fn reopen(&mut self, why: PcmError, recovery: &mut Recovery) -> Option<T> {
        // What went wrong first stays in sight, whatever keeps the device from coming back.
        let first = why_lost(why);
        let mut shown = State::Lost(Reason::new(&first));
        self.outlook.shown.set(shown);
        // It may hold what is to be opened now.
        self.scout = None;
        // One that is gone says so itself when it is opened.
        if !matches!(why, PcmError::Gone(_)) {
            self.outlook.preference.on_failed(now());
        }
        // Before the first attempt: what comes after it is noticed.
        let watch = Watch::new();
        while self.wait(recovery, &watch) {
            let Outlook { choice, preference, open, pulse, .. } = &self.outlook;
            match pulse.during(Call::Open, || choice.open(preference.order(now()), |uri| open(uri))) {
                Ok((device, opened)) => {
                    self.outlook.shown.set(State::Opened(Reason::new(&first)));
                    self.take(opened);
                    return Some(device);
                }
                Err(error) => {
                    recovery.on_open_failed(now());
                    let lost = State::Lost(Reason::new(&format!("{first}; it cannot be opened again: {error}")));
                    if std::mem::replace(&mut shown, lost) != lost {
                        self.outlook.shown.set(lost);
                    }
                }
            }
        }
        None
    }

    /// Waits until the next attempt is due; false if the thread is to stop.
    fn wait(&self, recovery: &mut Recovery, watch: &Watch) -> bool {
        loop {
            let rest = recovery.retry_at().since(now());
            match self.outlook.pulse.during(Call::Rest, || self.stop.wait(rest, watch.descriptor())) {
                Woken::Stop => return false,
                Woken::Due => return true,
                Woken::News => {
                    watch.clear();
                    recovery.on_news(now());
                }
            }
        }
    }
}

fn why_lost(why: PcmError) -> String {
    match why {
        PcmError::Xrun => "it ran over and did not come back".to_owned(),
        PcmError::Suspended => "it is suspended".to_owned(),
        PcmError::Stopped => {
            format!("its clock stands still: nothing for {} ms", TIMING.device_deadline.as_micros() / 1000)
        }
        PcmError::Gone(errno) | PcmError::Broken(errno) => io::Error::from_raw_os_error(errno).to_string(),
        PcmError::Ended => "it is over".to_owned(),
    }
}
