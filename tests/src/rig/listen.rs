//! Playing something to a program under test and judging what comes back, in one step. Promises to
//! have recorded from before the first sound until long enough after the last one.

use std::time::Duration;

use super::Probe;
use crate::RATE;
use crate::measure::{self, Continuity, Delays, Train};

/// Beyond the length of the sound itself: a machine so busy that its audio clock lags.
const GRACE: Duration = Duration::from_secs(30);

/// Plays a train of chirps on all outputs of the probe and measures how long each takes to come
/// back to the input given.
///
/// # Panics
///
/// When the server's clock stands still or lags very much.
pub fn mouth_to_ear(probe: &Probe, train: &Train, input: usize) -> Delays {
    let (start, heard) = play_and_record(probe, &train.signal, 0, input);
    measure::delays(train, start, &heard)
}

/// Plays a signal on all outputs of the probe and follows it through what comes back to the input
/// given, with a delay of up to `longest`.
///
/// # Panics
///
/// When the server's clock stands still or lags very much.
pub fn passage(probe: &Probe, signal: &[f32], longest: Duration, input: usize) -> Continuity {
    let tail = (longest.as_secs_f64() * RATE as f64).ceil() as usize;
    let (start, heard) = play_and_record(probe, signal, tail, input);
    measure::followed(signal, &heard[start..])
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
