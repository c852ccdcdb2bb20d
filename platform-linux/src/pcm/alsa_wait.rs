//! Waiting for an ALSA device, with a deadline that holds.
//!
//! `snd_pcm_wait` begins its timeout anew with each wake-up that brought nothing. A plugin that is woken by a timer and
//! not by its card (`dsnoop` and `dmix` are) would be waited for until the end of days when the card's clock stands.

use alsa::pcm::{PCM, State};
use alsa::poll::{Descriptors, Flags, poll, pollfd};
use std::time::{Duration, Instant};

/// The descriptors of a device, and for how long they are waited on.
#[derive(Debug)]
pub(super) struct Waiter {
    fds: Vec<pollfd>,
    deadline: Duration,
}

impl Waiter {
    /// For a device that has its parameters.
    pub(super) fn new(pcm: &PCM, deadline: Duration) -> Self {
        let none = pollfd { fd: -1, events: 0, revents: 0 };
        Self { fds: vec![none; pcm.count()], deadline }
    }

    /// Waits until the device has as much as its `avail_min`; false if that did not happen before the deadline.
    pub(super) fn wait(&mut self, pcm: &PCM) -> alsa::Result<bool> {
        let end = Instant::now() + self.deadline;
        loop {
            trouble(pcm)?;
            pcm.fill(&mut self.fds)?;
            let rest = end.saturating_duration_since(Instant::now());
            // Rounded up: what is left of a millisecond is not spun through.
            let rest_ms = i32::try_from(rest.as_micros().div_ceil(1000)).unwrap_or(i32::MAX);
            match poll(&mut self.fds, rest_ms) {
                Ok(0) => return Ok(false),
                Ok(_) => {}
                // A signal, for some other thread.
                Err(error) if error.errno() == libc::EINTR => continue,
                Err(error) => return Err(error),
            }
            let flags = pcm.revents(&self.fds)?;
            if flags.intersects(Flags::ERR | Flags::NVAL) {
                trouble(pcm)?;
                return Err(alsa::Error::new("poll", libc::EIO));
            }
            if flags.intersects(Flags::IN | Flags::OUT) {
                return Ok(true);
            }
        }
    }
}

/// What the device's state says is wrong with it.
fn trouble(pcm: &PCM) -> alsa::Result<()> {
    let errno = match pcm.state_raw() {
        state if state == State::XRun as libc::c_int => libc::EPIPE,
        state if state == State::Suspended as libc::c_int => libc::ESTRPIPE,
        state if state == State::Disconnected as libc::c_int => libc::ENODEV,
        _ => return Ok(()),
    };
    Err(alsa::Error::new("snd_pcm_state", errno))
}
