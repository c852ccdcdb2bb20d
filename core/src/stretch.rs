//! Takes one period out of a sound, or puts one in, so that less or more of it waits and nobody hears how.
//!
//! A voiced sound or a note repeats itself. Where a piece resembles the next one of the same length, one fades into
//! the other and the sound is shorter by that length, its pitch and level what they were. How alike they must be is
//! the caller's [`Urgency`]; where next to nothing is heard, any length will do. That it is worth doing at all, and
//! how often, is decided elsewhere.

mod repeat;
mod search;

use crate::config::Channels;
use crate::signal::{self, Level};
use search::Found;

/// The shortest piece: 2.5 ms, a pitch of 400 Hz.
pub const PERIOD_SAMPLES_MIN: usize = 120;

/// The longest piece: 15 ms, a pitch of 67 Hz.
pub const PERIOD_SAMPLES_MAX: usize = 720;

/// More of a sound than this is not looked at: two of the longest pieces, 30 ms. With `at_most` samples to go, twice
/// that is looked at, and 5 ms more than that at least; with less there, only shorter pieces are found.
pub const LOOK_AHEAD_SAMPLES: usize = 2 * PERIOD_SAMPLES_MAX;

/// How alike two pieces are when they are the same, in Q15.
pub const ALIKE: i32 = 1 << 15;

/// The pieces over which loudness is judged.
const PIECE_SAMPLES: usize = 120;

/// What is this much quieter than the loud parts is not heard as a sound: 2⁻⁹ of the energy, 27 dB.
const QUIET_SHIFT: u32 = 9;

/// What is below this is quiet, however quiet everything else is: −66 dB of full scale, as a mean square.
const QUIET_ALWAYS: u32 = 256;

/// What it is worth to be heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Urgency {
    /// Nothing: only in quiet, or where pieces are alike by more than 0.9.
    Calm,
    /// A little: in quiet, or where pieces are alike by more than 0.5.
    Pressed,
    /// It must be: where they are most alike, whatever that is.
    Must,
}

impl Urgency {
    const fn least(self) -> i32 {
        match self {
            Self::Calm => ALIKE / 10 * 9,
            Self::Pressed => ALIKE / 2,
            Self::Must => -ALIKE,
        }
    }
}

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Stretched {
    /// By how many samples.
    pub samples: usize,
    /// How alike the pieces were that fade into each other: [`ALIKE`] for copies, 0 for strangers.
    pub likeness: i32,
}

/// Removes and inserts periods, and knows how loud the loud parts are.
#[derive(Clone, Copy, Debug)]
pub struct Stretch {
    channels: Channels,
    /// Mean square of what is loud, over some ten seconds.
    loud: u32,
}

impl Stretch {
    /// One that has heard nothing yet.
    #[must_use]
    pub const fn new(channels: Channels) -> Self {
        Self { channels, loud: 0 }
    }

    /// Listens, so that quiet can be told: to be called with all that is played, once. It follows a louder sound
    /// within 20 ms and forgets it over 10 s.
    pub fn hear(&mut self, pcm: &[i16]) {
        for piece in self.pieces(pcm) {
            let now = Level::of(piece).mean_square;
            self.loud = match now.checked_sub(self.loud) {
                Some(more) => self.loud.wrapping_add(more.div_ceil(8)),
                None => self.loud.wrapping_sub(self.loud.wrapping_sub(now) >> 12),
            };
        }
    }

    /// Whether nothing in `pcm` is heard beside the loud parts.
    #[must_use]
    pub fn is_quiet(&self, pcm: &[i16]) -> bool {
        let most = (self.loud >> QUIET_SHIFT).max(QUIET_ALWAYS);
        self.pieces(pcm).all(|piece| Level::of(piece).mean_square <= most)
    }

    /// Shortens `sound`, which is interleaved, by one period of at most `at_most` samples, if it may. When it did,
    /// **the first [`Stretched::samples`] samples are to be dropped**; what follows them begins as they did.
    pub fn remove(&self, sound: &mut [i16], at_most: usize, urgency: Urgency) -> Option<Stretched> {
        let found = self.look(sound, at_most, urgency)?;
        let values = found.samples.wrapping_mul(self.channels.count());
        let (first, rest) = sound.split_at_mut_checked(values)?;
        let second = rest.get_mut(..values)?;
        signal::cross_fade_level(first, second, self.channels.count(), found.likeness);
        second.iter_mut().zip(first).for_each(|(to, from)| *to = *from);
        Some(found)
    }

    /// Lengthens the sound in the first `filled` values of `room` by one period of at most `at_most` samples, if it
    /// may and there is room: it then fills [`Stretched::samples`] samples more.
    pub fn insert(&self, room: &mut [i16], filled: usize, at_most: usize, urgency: Urgency) -> Option<Stretched> {
        let channels = self.channels.count();
        let free = room.len().checked_sub(filled)?.checked_div(channels)?;
        let found = self.look(room.get(..filled)?, at_most.min(free), urgency)?;
        let values = found.samples.wrapping_mul(channels);
        // The sound from its second piece on is played again later; the second piece itself fades into the first.
        signal::move_up(room.get_mut(values..filled.checked_add(values)?)?, values);
        let (first, rest) = room.split_at_mut_checked(values)?;
        signal::cross_fade_level(rest.get_mut(..values)?, first, channels, found.likeness);
        Some(found)
    }

    fn look(&self, sound: &[i16], at_most: usize, urgency: Urgency) -> Option<Stretched> {
        let found = match self.channels {
            Channels::Mono => self.choose::<1>(sound, at_most, urgency),
            Channels::Stereo => self.choose::<2>(sound, at_most, urgency),
        }?;
        Some(Stretched { samples: found.lag, likeness: found.likeness })
    }

    /// The period if there is one; the longest piece in quiet.
    fn choose<const CHANNELS: usize>(&self, sound: &[i16], at_most: usize, urgency: Urgency) -> Option<Found> {
        let longest = at_most.min(PERIOD_SAMPLES_MAX).min(sound.len() / CHANNELS / 2);
        if longest < PERIOD_SAMPLES_MIN {
            return None;
        }
        let period = search::period::<CHANNELS>(sound, longest);
        if period.likeness >= urgency.least() {
            return Some(period);
        }
        let pieces = sound.get(..longest.wrapping_mul(2 * CHANNELS))?;
        self.is_quiet(pieces).then(|| search::at::<CHANNELS>(sound, longest))
    }

    fn pieces<'a>(&self, pcm: &'a [i16]) -> core::slice::Chunks<'a, i16> {
        pcm.chunks(match self.channels {
            Channels::Mono => PIECE_SAMPLES,
            Channels::Stereo => 2 * PIECE_SAMPLES,
        })
    }
}

#[cfg(test)]
mod tests;
