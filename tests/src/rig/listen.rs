//! Playing something to a program under test and judging what comes back, in one step. Promises to
//! have recorded from before the first sound until long enough after the last one.

use std::fmt;
use std::time::Duration;

use super::Probe;
use crate::RATE;
use crate::measure::{self, Continuity, Delays, Train};

/// Beyond the length of the sound itself: a machine so busy that its audio clock lags.
const GRACE: Duration = Duration::from_secs(30);

/// What was measured, and whether the rig itself kept time meanwhile.
#[derive(Clone, Debug)]
pub struct Take<T> {
    /// The measurement.
    pub found: T,
    /// Deadlines that the rig's own server missed during it. With any, only a good result means something.
    pub missed: u64,
}

impl<T> Take<T> {
    /// Whether the rig kept time.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        self.missed == 0
    }
}

impl<T: fmt::Display> fmt::Display for Take<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.found.fmt(f)?;
        if self.missed > 0 {
            write!(f, "; the rig's own server missed {} deadlines", self.missed)?;
        }
        Ok(())
    }
}

/// Plays a train of chirps on all outputs of the probe and measures how long each takes to come
/// back to the input given.
///
/// # Panics
///
/// When the server's clock stands still or lags very much.
pub fn mouth_to_ear(probe: &Probe, train: &Train, input: usize) -> Take<Delays> {
    let before = probe.xruns();
    let (start, heard) = play_and_record(probe, &train.signal, 0, input);
    Take { missed: probe.xruns() - before, found: measure::delays(train, start, &heard) }
}

/// Plays a signal on all outputs of the probe and follows it through what comes back to the input
/// given, with a delay of up to `longest`.
///
/// # Panics
///
/// When the server's clock stands still or lags very much.
pub fn passage(probe: &Probe, signal: &[f32], longest: Duration, input: usize) -> Take<Continuity> {
    let before = probe.xruns();
    let tail = (longest.as_secs_f64() * RATE as f64).ceil() as usize;
    let (start, heard) = play_and_record(probe, signal, tail, input);
    Take { missed: probe.xruns() - before, found: measure::followed(signal, &heard[start..]) }
}

/// Where in the recording a sound without delay would be, and the recording.
fn play_and_record(probe: &Probe, signal: &[f32], tail: usize, input: usize) -> (usize, Vec<f32>) {
    let recorded = probe.record_into(signal.len() + tail + RATE);
    let played = probe.play(signal);
    let start = usize::try_from(played - recorded).expect("recording came first");
    let frames = start + signal.len() + tail;
    let deadline = Duration::from_secs_f64(frames as f64 / RATE as f64) + GRACE;
    assert!(probe.wait_recorded(frames, deadline), "the audio clock lags");
    let recording = probe.recording();
    (start, recording.channels.into_iter().nth(input).expect("an input of the probe"))
}
