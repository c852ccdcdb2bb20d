//! The privacy judge: nothing leaves that was captured while the lamp was dark (I9).

use super::Court;
use crate::codec::ends;
use crate::model::card::Mic;
use crate::model::source::MARKERS;
use crate::pins::RecorderPin;
use soundpost_core::codec::opus_samples;
use soundpost_core::time::Instant;

/// Looks at a packet that leaves the device.
pub fn check(court: &Court, now: Instant, payload: &[u8], mic: &Mic, lamp: &RecorderPin) {
    let Some((first, last, end)) = ends(payload) else { return };
    let length = u64::from(opus_samples(payload).unwrap_or(1)).saturating_sub(1);
    let (Ok(first), Ok(last)) = (u64::try_from(first), u64::try_from(last)) else { return };
    // Faded samples, as beside a gap, do not say which they are: then nothing here fits.
    if first == 0 || (last + MARKERS - first) % MARKERS != length % MARKERS {
        return;
    }
    let (Some(from), Some(to)) = (mic.captured(end.saturating_sub(length)), mic.captured(end)) else { return };
    if !lamp.was_high_throughout(from, to) {
        let (from, to) = (from.as_micros(), to.as_micros());
        court.accuse("privacy", now, format!("a packet holds sound of {from} to {to} us, when the lamp was not lit"));
    }
}

/// The lamp is lit while the microphone is live: what is now, not only what leaves.
pub fn check_lamp(court: &Court, now: Instant, live: bool, lamp: &RecorderPin) {
    if live && !lamp.is_high() {
        court.accuse("privacy", now, "the microphone is live and the lamp is dark".to_owned());
    }
}
