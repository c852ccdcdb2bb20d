//! The pace of a playback device that can be told one: told once a second, and given back when it is let go.

use crate::pcm::{Opened, PaceControl};
use soundpost_core::meter::PlaybackReport;
use soundpost_core::pitch::Pitch;

/// How a device's clock is kept in step, for the status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    /// The card's control; `None` if the resampler does it alone.
    pub control: Option<&'static str>,
    /// By how many millionths the card was told to run faster.
    pub ppm: i32,
    /// Whether somebody listens at the other end, where the card says that.
    pub listening: Option<bool>,
}

/// The pace of one opening of a device.
#[derive(Debug, Default)]
pub(super) struct Paced {
    control: Option<PaceControl>,
    pitch: Pitch,
    shown: Shown,
}

impl Paced {
    pub(super) fn new(opened: &Opened) -> Self {
        let Some(pace) = &opened.pace else { return Self::default() };
        let control = pace.control().inspect_err(|error| tracing::warn!("no pace of {}: {error}", opened.description));
        let Ok(control) = control else { return Self::default() };
        // Whoever had it before may have left it anywhere.
        let name = pace.name().filter(|_| control.set(0).is_ok());
        let shown = Shown { control: name, ppm: 0, listening: control.listening() };
        Self { control: Some(control), pitch: Pitch::new(), shown }
    }

    pub(super) const fn shown(&self) -> Shown {
        self.shown
    }

    /// To be called each [`soundpost_core::pitch::STEP`].
    pub(super) fn tend(&mut self, report: &PlaybackReport) {
        let Some(control) = &self.control else { return };
        self.shown.listening = control.listening();
        if self.shown.control.is_none() || !report.playing {
            return;
        }
        let Some(ppm) = self.pitch.step(report.card_slow_ppm, report.card_seconds, report.drift_ppm) else { return };
        match control.set(ppm) {
            Ok(()) => self.shown.ppm = ppm,
            Err(error) => {
                tracing::debug!("the card does not run {ppm} ppm faster: {error}");
                self.pitch.refused(self.shown.ppm);
            }
        }
    }
}

impl Drop for Paced {
    fn drop(&mut self) {
        if let Some(control) = &self.control {
            // It may be gone.
            let _ = control.set(0);
        }
    }
}
