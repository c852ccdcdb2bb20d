//! Repeats the last period of what was heard, when next to nothing is left to go on with.
//!
//! An insertion ahead needs two periods of sound that is still to come. When only a few milliseconds are left, what was
//! played a moment ago can stand in for one of them: the sound goes on into what it resembles, one period back, and comes
//! round to where it was.

use super::{PERIOD_SAMPLES_MAX, PERIOD_SAMPLES_MIN, Stretch, Stretched, Urgency, search};
use crate::config::Channels;
use crate::signal;

/// What is left is compared over 5 ms, and cross-faded over no more.
const COMPARED: usize = 240;
/// Distances are tried at every sixth sample, then around the best.
const STRIDE: usize = 6;

impl Stretch {
    /// Puts one period of at most `at_most` samples between what was `played` and what is left of the `filled` values of
    /// `room`. With `Some` there are so many samples more. Needs 2.5 ms that are left, and as much behind as is inserted.
    pub fn repeat(
        &self,
        room: &mut [i16],
        played: usize,
        filled: usize,
        at_most: usize,
        urgency: Urgency,
    ) -> Option<Stretched> {
        let channels = self.channels.count();
        let free = room.len().checked_sub(filled)?.checked_div(channels)?;
        let behind = played.checked_div(channels)?;
        let left = filled.checked_sub(played)?.checked_div(channels)?;
        let longest = at_most.min(free).min(behind).min(PERIOD_SAMPLES_MAX);
        let compared = left.min(COMPARED);
        if longest < PERIOD_SAMPLES_MIN || compared < PERIOD_SAMPLES_MIN {
            return None;
        }
        let found = match self.channels {
            Channels::Mono => best::<1>(room.get(..filled)?, played, compared, longest),
            Channels::Stereo => best::<2>(room.get(..filled)?, played, compared, longest),
        }?;
        let found = if found.likeness >= urgency.least() {
            found
        } else {
            let around = room.get(played.checked_sub(longest.wrapping_mul(channels))?..filled)?;
            self.is_quiet(around).then_some(Stretched { samples: longest, ..found })?
        };
        let values = found.samples.wrapping_mul(channels);
        signal::move_up(room.get_mut(played..filled.checked_add(values)?)?, values);
        let (before, inserted) = room.split_at_mut_checked(played)?;
        let period = before.get(before.len().checked_sub(values)?..)?;
        let inserted = inserted.get_mut(..values)?;
        // The head of what was left stands there still, and fades into the period.
        let fade = compared.min(found.samples).wrapping_mul(channels);
        let (head, body) = inserted.split_at_mut_checked(fade)?;
        let (start, end) = period.split_at_checked(fade)?;
        signal::cross_fade_level(head, start, channels, found.likeness);
        body.iter_mut().zip(end).for_each(|(to, from)| *to = *from);
        Some(found)
    }
}

/// The distance back at which the sound resembles what is left of it most.
fn best<const CHANNELS: usize>(sound: &[i16], played: usize, compared: usize, longest: usize) -> Option<Stretched> {
    let at = |lag: usize| {
        let sound = sound.get(played.checked_sub(lag.wrapping_mul(CHANNELS))?..)?;
        let likeness = search::compare(sound, lag.wrapping_mul(CHANNELS), compared.wrapping_mul(CHANNELS));
        Some(Stretched { samples: lag, likeness })
    };
    let better = |a: Option<Stretched>, b: Option<Stretched>| match (a, b) {
        (Some(a), Some(b)) => Some(if b.likeness > a.likeness { b } else { a }),
        (a, b) => a.or(b),
    };
    let rough = (PERIOD_SAMPLES_MIN..=longest).step_by(STRIDE).map(at).fold(None, better)?;
    let from = rough.samples.saturating_sub(STRIDE).max(PERIOD_SAMPLES_MIN);
    let to = rough.samples.saturating_add(STRIDE).min(longest);
    (from..=to).map(at).fold(Some(rough), better)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn a_tone_goes_on_for_whole_periods_and_comes_back_to_where_it_was() {
        let stretch = Stretch::new(Channels::Mono);
        let tone = |n: usize| ((n as f64 * core::f64::consts::TAU / 160.0).sin() * 10_000.0) as i16;
        let mut room: Vec<i16> = (0..960).map(tone).collect();
        room.resize(2_000, 0);
        let found = stretch.repeat(&mut room, 720, 960, 480, Urgency::Calm).unwrap();
        assert_eq!(found.samples % 160, 0, "{found:?}");
        for (n, value) in room[..960 + found.samples].iter().enumerate() {
            assert!((i32::from(*value) - i32::from(tone(n))).abs() < 300, "{n}: {value}");
        }
    }

    #[test]
    fn with_next_to_nothing_left_or_nothing_behind_it_does_nothing() {
        let stretch = Stretch::new(Channels::Stereo);
        let mut room = [1_000; 4_000];
        assert_eq!(stretch.repeat(&mut room, 1_000, 1_100, 480, Urgency::Must), None);
        assert_eq!(stretch.repeat(&mut room, 100, 1_100, 480, Urgency::Must), None);
        assert_eq!(stretch.repeat(&mut room, 2_000, 3_900, 480, Urgency::Must), None);
        assert_eq!(stretch.repeat(&mut room, 9_000, 3_900, 480, Urgency::Must), None);
    }

    #[test]
    fn noise_is_left_alone_unless_it_is_quiet() {
        let mut state = 1_u32;
        let mut noise = |size: i32| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            ((state >> 16) as i32 % size - size / 2) as i16
        };
        let stretch = Stretch::new(Channels::Mono);
        let mut loud: Vec<i16> = (0..3_000).map(|_| noise(20_000)).collect();
        assert_eq!(stretch.repeat(&mut loud, 1_000, 1_500, 720, Urgency::Calm), None);
        let mut quiet: Vec<i16> = (0..3_000).map(|_| noise(16)).collect();
        assert_eq!(stretch.repeat(&mut quiet, 1_000, 1_500, 720, Urgency::Calm).map(|found| found.samples), Some(720));
    }
}
