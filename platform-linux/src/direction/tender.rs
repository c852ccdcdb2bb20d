//! What an audio thread does beside its turns: it says how its device is doing, and gets it back when it is lost.
//!
//! When and what is tried is decided by [`Recovery`]; here it is carried out. While a device is lost its thread has
//! nothing else to do: it sleeps until the next attempt is due, the kernel tells of a card, or it is to stop.

use super::state::{Reason, SharedState, State};
use crate::hotplug::Watch;
use crate::pcm::{OpenError, Opened};
use crate::rt::{Stop, Woken, now};
use soundpost_core::config::TIMING;
use soundpost_core::port::PcmError;
use soundpost_core::recovery::{Fault, Recovery};
use std::io;
use std::sync::mpsc::Sender;

/// See the module.
pub(super) struct Tender<'a> {
    stop: &'a Stop,
    shown: SharedState,
    openings: Sender<Opened>,
    /// What was wrong at the last look.
    trouble: Option<Fault>,
}

impl<'a> Tender<'a> {
    pub(super) fn new(stop: &'a Stop, shown: SharedState, openings: Sender<Opened>) -> Self {
        Self { stop, shown, openings, trouble: None }
    }

    /// After each turn: says so if the device does otherwise than before.
    pub(super) fn look(&mut self, recovery: &Recovery) {
        let trouble = recovery.trouble();
        if trouble == self.trouble {
            return;
        }
        self.trouble = trouble;
        match trouble {
            None if self.shown.get() != State::Running => self.shown.set(State::Running),
            Some(Fault::Stopped) => self.shown.set(State::Stopped),
            // An xrun is over in a moment, and what is not is lost.
            _ => {}
        }
    }

    pub(super) fn ended(&self) {
        self.shown.set(State::Ended);
    }

    pub(super) fn lost(&self, why: PcmError) {
        self.shown.set(State::Lost(Reason::new(&why_lost(why))));
    }

    /// Opens a device that was closed, again and again until that works; `None` when the thread is to stop.
    pub(super) fn reopen<T>(
        &mut self,
        why: PcmError,
        recovery: &mut Recovery,
        mut open: impl FnMut() -> Result<(T, Opened), OpenError>,
    ) -> Option<T> {
        let mut reason = Reason::new(&why_lost(why));
        self.shown.set(State::Lost(reason));
        // Before the first attempt: what comes after it is noticed.
        let watch = Watch::new();
        while self.wait(recovery, &watch) {
            match open() {
                Ok((device, opened)) => {
                    self.shown.set(State::Opened(reason));
                    // Nobody there to hear of it is as good.
                    let _ = self.openings.send(opened);
                    return Some(device);
                }
                Err(error) => {
                    recovery.on_open_failed(now());
                    reason = Reason::new(&error.to_string());
                    if self.shown.get() != State::Lost(reason) {
                        self.shown.set(State::Lost(reason));
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
            match self.stop.wait(rest, watch.descriptor()) {
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
