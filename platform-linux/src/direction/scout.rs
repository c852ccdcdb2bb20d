//! While a lesser device runs, somebody looks after the better ones, on a thread of its own.
//!
//! A better one is taken back only when it has proven itself with sound, and it is handed over open and running: the
//! change costs no more than the moment between two periods.

use crate::hotplug::Watch;
use crate::pcm::{Choice, OpenError, Opened, Sink, Source, Uri};
use crate::rt::{AudioThread, Stop, Woken, now};
use soundpost_core::capacity::PERIOD_VALUES_MAX;
use soundpost_core::port::{PcmError, PcmIn, PcmOut};
use soundpost_core::preference::PATIENCE;
use soundpost_core::recovery::Step;
use soundpost_core::time::Instant;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

/// How a device of a direction is opened.
pub(super) type Open<T> = Arc<dyn Fn(&Uri) -> Result<(T, Opened), OpenError> + Send + Sync>;

/// A device that can show that it works.
pub(super) trait Proves: Send + 'static {
    /// Gives or takes a period that nobody hears.
    fn prove(&mut self) -> Result<(), PcmError>;

    /// Begins again after an xrun: a scout has no real-time priority.
    fn again(&mut self) -> Result<(), PcmError>;
}

impl Proves for Source {
    fn prove(&mut self) -> Result<(), PcmError> {
        self.read(&mut [0; PERIOD_VALUES_MAX][..self.period() * self.channels()]).map(|_| ())
    }

    fn again(&mut self) -> Result<(), PcmError> {
        self.recover(Step::Prepare)
    }
}

impl Proves for Sink {
    fn prove(&mut self) -> Result<(), PcmError> {
        self.wait()?;
        self.write(&[0; PERIOD_VALUES_MAX][..self.period() * self.channels()])
    }

    fn again(&mut self) -> Result<(), PcmError> {
        self.recover(Step::Prepare)
    }
}

/// Looks for a better device until it has one, or is dropped.
pub(super) struct Scout<T> {
    offers: Receiver<(T, Opened)>,
    _thread: AudioThread,
}

impl<T: Proves> Scout<T> {
    /// For the best so many of a choice. Without a thread to spare there is none, and the lesser device stays.
    pub(super) fn send(choice: Choice, better: usize, open: Open<T>) -> Option<Self> {
        let (offer, offers) = channel();
        let thread = AudioThread::background("scout", move |stop| look(stop, &choice, better, &open, &offer));
        thread.map(|thread| Self { offers, _thread: thread }).ok()
    }

    /// What was found.
    pub(super) fn offer(&self) -> Option<(T, Opened)> {
        self.offers.try_recv().ok()
    }
}

fn look<T: Proves>(stop: &Stop, choice: &Choice, better: usize, open: &Open<T>, offer: &Sender<(T, Opened)>) {
    let watch = Watch::new();
    let mut at = now().plus(PATIENCE.pause);
    loop {
        match stop.wait(at.since(now()), watch.descriptor()) {
            Woken::Stop => return,
            Woken::News => {
                watch.clear();
                at = now().plus(PATIENCE.calm);
                continue;
            }
            Woken::Due => {}
        }
        for rank in 0..better {
            let found = choice.open([rank].into_iter(), |uri| open(uri));
            if let Ok((mut device, opened)) = found
                && proven(stop, &mut device, now().plus(PATIENCE.proof))
            {
                // Who waits for it may have gone.
                let _ = offer.send((device, opened));
                return;
            }
        }
        at = now().plus(PATIENCE.pause);
    }
}

/// Whether sound moves until then.
fn proven(stop: &Stop, device: &mut impl Proves, until: Instant) -> bool {
    while now() < until {
        let moved = match device.prove() {
            Err(PcmError::Xrun) => device.again(),
            other => other,
        };
        if moved.is_err() || stop.is_set() {
            return false;
        }
    }
    true
}
