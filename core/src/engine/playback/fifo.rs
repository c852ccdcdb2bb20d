//! Decoded sound that waits for the device: a frame, and what was left of the one before.

use crate::capacity::FRAME_VALUES_MAX;
use crate::config::Channels;
use crate::signal;
use core::ops::Range;

const ROOM: usize = 2 * FRAME_VALUES_MAX;

/// A first-in, first-out buffer of interleaved samples.
#[derive(Debug)]
pub(super) struct Fifo {
    channels: Channels,
    values: [i16; ROOM],
    start: usize,
    end: usize,
}

impl Fifo {
    pub(super) const fn new(channels: Channels) -> Self {
        Self { channels, values: [0; ROOM], start: 0, end: 0 }
    }

    /// Values in it.
    pub(super) const fn len(&self) -> usize {
        self.end.saturating_sub(self.start)
    }

    /// Samples in it.
    pub(super) const fn samples(&self) -> u64 {
        match self.channels {
            Channels::Mono => self.len() as u64,
            Channels::Stereo => self.len() as u64 / 2,
        }
    }

    /// Lets `make` write up to `values` values at the end and say how many it wrote. Writes nothing if there
    /// is no room for all of them.
    pub(super) fn push_with(&mut self, values: usize, make: impl FnOnce(&mut [i16]) -> usize) -> usize {
        self.move_down(self.start..self.end, 0);
        self.end = self.len();
        self.start = 0;
        let room = self.values.get_mut(self.end..self.end.saturating_add(values));
        let made = room.map_or(0, make).min(values);
        self.end = self.end.saturating_add(made);
        made
    }

    pub(super) fn push_silence(&mut self, values: usize) {
        self.push_with(values, |room| {
            room.fill(0);
            values
        });
    }

    /// The last `values` values.
    pub(super) fn tail_mut(&mut self, values: usize) -> &mut [i16] {
        self.values.get_mut(self.end.saturating_sub(values).max(self.start)..self.end).unwrap_or(&mut [])
    }

    /// The last `new` values follow `old` ones that were made up to bridge a seam: lays the made-up ones
    /// over the head of the new ones, cross-faded, so that the seam takes no time.
    pub(super) fn overlap(&mut self, old: usize, new: usize) {
        let (channels, end) = (self.channels.count(), self.end);
        let Some((made_up, real)) = self.tail_mut(old.saturating_add(new)).split_at_mut_checked(old) else {
            return;
        };
        signal::cross_fade(made_up, real, channels);
        let from = end.saturating_sub(new);
        if new < old {
            return;
        }
        // Drop the part of the new sound that the cross-fade already played.
        self.move_down(from.saturating_add(old)..end, from);
        self.end = end.saturating_sub(old);
    }

    /// Drops the first `values` of the last `new` values; returns how many.
    pub(super) fn drop_head(&mut self, new: usize, values: usize) -> usize {
        let from = self.end.saturating_sub(new).max(self.start);
        let dropped = values.min(self.end.saturating_sub(from));
        self.move_down(from.saturating_add(dropped)..self.end, from);
        self.end = self.end.saturating_sub(dropped);
        dropped
    }

    /// Cuts `values` values out at the front, cross-faded; needs twice as many.
    pub(super) fn cut(&mut self, values: usize) -> bool {
        let channels = self.channels.count();
        let head = self.values.get_mut(self.start..self.end).and_then(|all| all.get_mut(..values.saturating_mul(2)));
        let Some((first, second)) = head.and_then(|head| head.split_at_mut_checked(values)) else {
            return false;
        };
        signal::cross_fade(first, second, channels);
        second.copy_from_slice(first);
        self.start = self.start.saturating_add(values);
        true
    }

    /// Moves the values of `range` to where `to` says, which is not after them; nothing if that is no such range.
    /// (`copy_within` panics then, and that it never comes to that is more than a compiler sees.)
    fn move_down(&mut self, range: Range<usize>, to: usize) {
        let by = range.start.saturating_sub(to);
        let both = self.values.get_mut(to..range.end).unwrap_or(&mut []);
        if by <= both.len() {
            both.copy_within(by.., 0);
        }
    }

    /// Takes sound out; silence where there is none.
    pub(super) fn pop(&mut self, out: &mut [i16]) {
        let ready = self.values.get(self.start..self.end).unwrap_or(&[]);
        let taken = ready.len().min(out.len());
        let sources = ready.iter().copied().chain(core::iter::repeat(0));
        out.iter_mut().zip(sources).for_each(|(to, from)| *to = from);
        self.start = self.start.saturating_add(taken);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn filled(values: &[i16]) -> Fifo {
        let mut fifo = Fifo::new(Channels::Mono);
        fifo.push_with(values.len(), |room| {
            room.copy_from_slice(values);
            values.len()
        });
        fifo
    }

    #[test]
    fn what_goes_in_comes_out_and_then_silence() {
        let mut fifo = filled(&[1, 2, 3]);
        let mut out = [9; 5];
        fifo.pop(&mut out);
        assert_eq!(out, [1, 2, 3, 0, 0]);
        assert_eq!(fifo.len(), 0);
    }

    #[test]
    fn a_cut_shortens_by_its_length_and_keeps_both_ends() {
        let ramp: Vec<i16> = (0..400).collect();
        let mut fifo = filled(&ramp);
        assert!(fifo.cut(120));
        assert_eq!(fifo.samples(), 280);
        let mut out = [0; 280];
        fifo.pop(&mut out);
        assert_eq!(out[0], 0);
        assert_eq!(out[120..], ramp[240..]);
        assert!(!filled(&ramp[..239]).cut(120), "too little to cut from");
    }

    #[test]
    fn the_head_of_what_came_last_can_be_dropped() {
        let mut fifo = filled(&[1, 2, 3]);
        fifo.push_with(3, |room| {
            room.copy_from_slice(&[4, 5, 6]);
            3
        });
        assert_eq!(fifo.drop_head(3, 2), 2);
        let mut out = [0; 4];
        fifo.pop(&mut out);
        assert_eq!(out, [1, 2, 3, 6]);
        assert_eq!(fifo.drop_head(3, 2), 0);
    }

    #[test]
    fn an_overlap_takes_no_time() {
        let mut fifo = filled(&[1000; 120]);
        fifo.push_with(480, |room| {
            room.fill(1000);
            480
        });
        fifo.overlap(120, 480);
        assert_eq!(fifo.samples(), 480);
        let mut out = [0; 480];
        fifo.pop(&mut out);
        assert!(out.iter().all(|v| (998..=1000).contains(v)));
    }
}
