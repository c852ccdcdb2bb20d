//! Decoded sound that waits for the device, and a little of what has just been played.
//!
//! What was played is kept so that its last period can be repeated. What was made up beyond the moment at which it was
//! needed is kept, too: the sound that follows fades in over it.

use crate::capacity::FRAME_VALUES_MAX;
use crate::config::Channels;
use crate::signal;
use crate::stretch::{PERIOD_SAMPLES_MAX, Stretch, Stretched, Urgency};
use core::ops::Range;

/// Values of the past that are kept.
const PAST: usize = PERIOD_SAMPLES_MAX * 2;
/// Two frames, and what is inserted.
const ROOM: usize = PAST + 2 * FRAME_VALUES_MAX + 2 * PERIOD_SAMPLES_MAX * 2;

/// A first-in, first-out buffer of interleaved samples.
#[derive(Debug)]
pub(super) struct Fifo {
    channels: Channels,
    values: [i16; ROOM],
    start: usize,
    end: usize,
    /// Values behind the end that were made up and not needed so far.
    spare: usize,
}

impl Fifo {
    pub(super) const fn new(channels: Channels) -> Self {
        Self { channels, values: [0; ROOM], start: 0, end: 0, spare: 0 }
    }

    /// Samples in it.
    pub(super) const fn samples(&self) -> usize {
        let values = self.end.saturating_sub(self.start);
        match self.channels {
            Channels::Mono => values,
            Channels::Stereo => values / 2,
        }
    }

    /// Samples that were made up ahead.
    pub(super) const fn spare(&self) -> usize {
        match self.channels {
            Channels::Mono => self.spare,
            Channels::Stereo => self.spare / 2,
        }
    }

    const fn values_of(&self, samples: usize) -> usize {
        match self.channels {
            Channels::Mono => samples,
            Channels::Stereo => samples.saturating_mul(2),
        }
    }

    /// Forgets what waits.
    pub(super) fn clear(&mut self) {
        self.end = self.start;
        self.spare = 0;
    }

    /// What waits.
    pub(super) fn waiting(&self) -> &[i16] {
        self.values.get(self.start..self.end).unwrap_or(&[])
    }

    /// The next `samples` samples that wait, or all.
    pub(super) fn head(&self, samples: usize) -> &[i16] {
        let waiting = self.waiting();
        waiting.get(..self.values_of(samples)).unwrap_or(waiting)
    }

    /// The last `samples` samples that wait.
    pub(super) fn tail_mut(&mut self, samples: usize) -> &mut [i16] {
        let values = self.values_of(samples);
        self.values.get_mut(self.end.saturating_sub(values).max(self.start)..self.end).unwrap_or(&mut [])
    }

    /// Whether so many samples more find room.
    pub(super) const fn has_room_for(&self, samples: usize) -> bool {
        let waiting = self.end.saturating_sub(self.start).saturating_add(self.spare);
        waiting.saturating_add(self.values_of(samples)) <= ROOM - PAST
    }

    /// Lets `make` write `samples` samples of sound behind what waits, of which the first `skip` are left out. What was
    /// made up ahead fades into it. Returns how many samples there are more.
    pub(super) fn push(&mut self, samples: usize, skip: usize, make: impl FnOnce(&mut [i16])) -> usize {
        self.make_room();
        let spare = core::mem::take(&mut self.spare);
        let (from, values) = (self.end.saturating_add(spare), self.values_of(samples));
        let Some(room) = self.values.get_mut(from..from.saturating_add(values)) else { return 0 };
        make(room);
        let skipped = self.values_of(skip).min(values);
        let new = from.saturating_add(skipped)..from.saturating_add(values);
        let length = new.len();
        self.move_down(new, from);
        if let Some((made_up, real)) =
            self.values.get_mut(self.end..from.saturating_add(length)).and_then(|all| all.split_at_mut_checked(spare))
        {
            let faded = spare.min(real.len());
            signal::cross_fade(made_up.get_mut(..faded).unwrap_or(&mut []), real, self.channels.count());
            self.move_down(from.saturating_add(faded)..from.saturating_add(length), self.end.saturating_add(faded));
        }
        self.end = self.end.saturating_add(length);
        samples.saturating_sub(skip)
    }

    /// Lets `make` make sound up, behind what waits and is spare: `samples` samples.
    pub(super) fn push_spare(&mut self, samples: usize, make: impl FnOnce(&mut [i16])) {
        self.make_room();
        let (from, values) = (self.end.saturating_add(self.spare), self.values_of(samples));
        if let Some(room) = self.values.get_mut(from..from.saturating_add(values)) {
            make(room);
            self.spare = self.spare.saturating_add(values);
        }
    }

    /// Takes `samples` of what was made up into what waits.
    pub(super) fn use_spare(&mut self, samples: usize) -> usize {
        let values = self.values_of(samples).min(self.spare);
        self.spare = self.spare.saturating_sub(values);
        self.end = self.end.saturating_add(values);
        values.checked_div(self.channels.count()).unwrap_or(0)
    }

    /// Adds silence, or as much as finds room.
    pub(super) fn push_silence(&mut self, samples: usize) -> usize {
        self.push(samples, 0, |room| room.fill(0))
    }

    /// Takes one period out of what is played next.
    pub(super) fn remove(&mut self, stretch: &Stretch, at_most: usize, urgency: Urgency) -> Option<Stretched> {
        let waiting = self.values.get_mut(self.start..self.end)?;
        let found = stretch.remove(waiting, at_most, urgency)?;
        self.start = self.start.saturating_add(self.values_of(found.samples)).min(self.end);
        Some(found)
    }

    /// Cuts `samples` samples of quiet out; needs a fade more than that.
    pub(super) fn cut(&mut self, samples: usize, fade: usize) -> bool {
        let (cut, fade, channels) = (self.values_of(samples), self.values_of(fade), self.channels.count());
        let waiting = self.values.get_mut(self.start..self.end).unwrap_or(&mut []);
        let Some((before, after)) = waiting.split_at_mut_checked(cut) else { return false };
        let (Some(before), Some(after)) = (before.get_mut(..fade), after.get_mut(..fade)) else { return false };
        signal::cross_fade(before, after, channels);
        after.iter_mut().zip(before).for_each(|(to, from)| *to = *from);
        self.start = self.start.saturating_add(cut);
        true
    }

    /// Puts one period in before what is played next: ahead if enough waits, otherwise what was just played again.
    pub(super) fn insert(&mut self, stretch: &Stretch, at_most: usize, urgency: Urgency) -> Option<Stretched> {
        self.make_room();
        if self.spare > 0 {
            return None;
        }
        let (played, filled) = (self.start, self.end);
        let found = stretch.repeat(&mut self.values, played, filled, at_most, urgency)?;
        self.end = self.end.saturating_add(self.values_of(found.samples));
        Some(found)
    }

    /// So many samples were played.
    pub(super) fn played(&mut self, samples: usize) {
        self.start = self.start.saturating_add(self.values_of(samples)).min(self.end);
    }

    /// Moves everything to the front but for the past that is kept.
    fn make_room(&mut self) {
        let from = self.start.saturating_sub(PAST);
        if from == 0 {
            return;
        }
        self.move_down(from..self.end.saturating_add(self.spare), 0);
        self.end = self.end.saturating_sub(from);
        self.start = self.start.saturating_sub(from);
    }

    /// Moves the values of `range` to where `to` says, which is not after them; nothing if that is no such range.
    fn move_down(&mut self, range: Range<usize>, to: usize) {
        let by = range.start.saturating_sub(to);
        signal::move_down(self.values.get_mut(to..range.end).unwrap_or(&mut []), by);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn filled(values: &[i16]) -> Fifo {
        let mut fifo = Fifo::new(Channels::Mono);
        fifo.push(values.len(), 0, |room| room.copy_from_slice(values));
        fifo
    }

    #[test]
    fn what_goes_in_waits_and_its_head_can_be_left_out() {
        let mut fifo = filled(&[1, 2, 3]);
        assert_eq!(fifo.push(3, 2, |room| room.copy_from_slice(&[4, 5, 6])), 1);
        assert_eq!(fifo.waiting(), [1, 2, 3, 6]);
        fifo.played(2);
        assert_eq!((fifo.waiting(), fifo.samples()), (&[3, 6][..], 2));
    }

    #[test]
    fn what_was_made_up_ahead_fades_into_what_comes() {
        let mut fifo = filled(&[1_000; 120]);
        fifo.push_spare(120, |room| room.fill(1_000));
        assert_eq!(fifo.use_spare(40), 40);
        assert_eq!((fifo.samples(), fifo.spare()), (160, 80));
        fifo.push(480, 0, |room| room.fill(1_000));
        assert_eq!((fifo.samples(), fifo.spare()), (640, 0));
        assert!(fifo.waiting().iter().all(|value| (999..=1_000).contains(value)));
        let mut fifo = filled(&[]);
        fifo.push_spare(120, |room| room.fill(0));
        fifo.push(60, 0, |room| room.fill(1_000));
        assert_eq!(fifo.samples(), 60, "shorter than what was made up");
    }

    #[test]
    fn a_cut_shortens_by_its_length_and_keeps_both_ends() {
        let ramp: Vec<i16> = (0..400).collect();
        let mut fifo = filled(&ramp);
        assert!(fifo.cut(120, 100));
        assert_eq!(fifo.samples(), 280);
        assert_eq!(fifo.waiting()[0], 0);
        assert_eq!(fifo.waiting()[100..], ramp[220..]);
        assert!(!filled(&ramp[..210]).cut(120, 100), "too little to cut from");
    }

    #[test]
    fn it_never_holds_more_than_it_has_room_for() {
        let mut fifo = Fifo::new(Channels::Stereo);
        let mut held = 0;
        while fifo.has_room_for(960) {
            held += fifo.push_silence(960);
        }
        assert!(held >= 2 * 2880 && fifo.samples() == held);
        assert_eq!(fifo.push(2 * 2880, 0, |_| {}), 0);
        fifo.played(held);
        assert_eq!(fifo.push_silence(2880), 2880);
    }
}
