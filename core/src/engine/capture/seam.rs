//! From one encoder to another, between two frames, so that nothing is missing and nothing clicks.
//!
//! The other encoder is made where there is time for that and only moves in here; the old one moves out, to be dropped
//! where there is time for that too. Before it codes its first frame it hears the end of what the old one coded.
//!
//! Encoders look ahead, some further than others. Where the new one looks ahead less, its sound would be earlier, and
//! what lies between would never be heard: so it gets its sound that much later, out of the [`Past`], until a moment
//! comes that is too quiet for anybody to notice that this is given up.

use crate::capacity::CHANNELS_MAX;
use crate::codec::Encode;
use crate::config::{Channels, Stream};
use crate::signal::{self, Level};

/// Samples of the past that are kept: what an encoder hears, and what one that looks ahead less gets later.
const PAST_SAMPLES: usize = PRIMING_SAMPLES + LAG_SAMPLES_MAX;

/// What an encoder hears before its first frame, at most: 20 ms, which is the longest frame that all of its modes have.
pub const PRIMING_SAMPLES: usize = 960;

/// The most that two encoders' look-aheads differ by: 6.5 ms less 2.5 ms.
const LAG_SAMPLES_MAX: usize = 192;

/// Sound with smaller peaks is too quiet for a step in it to be heard: −60 dB of full scale.
const QUIET_PEAK: u16 = 32;

/// Another encoder, and the stream that it was made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape<E> {
    /// The encoder.
    pub encoder: E,
    /// Its stream.
    pub stream: Stream,
}

/// What was captured just now, and by how much later it is coded.
#[derive(Debug)]
pub(super) struct Past {
    values: [i16; PAST_SAMPLES * CHANNELS_MAX],
    /// Of these, at the end, so many are known.
    known: usize,
    lag_samples: usize,
}

impl Past {
    /// Nothing yet.
    pub(super) const NONE: Self = Self { values: [0; PAST_SAMPLES * CHANNELS_MAX], known: 0, lag_samples: 0 };

    /// By how many samples everything is coded later than it could be.
    pub(super) const fn lag(&self) -> u32 {
        self.lag_samples as u32
    }

    /// What there was is never heard of again.
    pub(super) const fn forget(&mut self) {
        (self.known, self.lag_samples) = (0, 0);
    }

    /// Takes `frame` in and puts what is to be coded in its place.
    pub(super) fn pass(&mut self, frame: &mut [i16], channels: Channels) {
        let lag = self.lag_samples.saturating_mul(channels.count());
        let mut held = [0; LAG_SAMPLES_MAX * CHANNELS_MAX];
        let held = held.get_mut(..lag).unwrap_or(&mut []);
        held.iter_mut().zip(self.last(lag)).for_each(|(to, from)| *to = *from);
        self.push(frame);
        if lag == 0 {
            return;
        }
        if Level::of(held).peak < QUIET_PEAK && Level::of(frame).peak < QUIET_PEAK {
            self.lag_samples = 0;
            return;
        }
        signal::move_up(frame, lag.min(frame.len()));
        frame.iter_mut().zip(held).for_each(|(to, from)| *to = *from);
    }

    /// Another encoder, with another look-ahead, goes on where one stopped that was `late` by so many samples in all.
    pub(super) fn hand_over<E: Encode>(&mut self, encoder: &mut E, late: u32, from: Channels, to: Channels) {
        if self.known == 0 {
            return self.forget();
        }
        self.convert(from, to);
        self.lag_samples = (late.saturating_sub(encoder.lookahead()) as usize).min(LAG_SAMPLES_MAX);
        let lag = self.lag_samples.saturating_mul(to.count());
        let heard = self.last(self.known);
        let heard = heard.get(..heard.len().saturating_sub(lag)).unwrap_or(&[]);
        let values = heard.len().min(PRIMING_SAMPLES.saturating_mul(to.count()));
        encoder.prime(heard.get(heard.len().saturating_sub(values)..).unwrap_or(&[]));
    }

    /// The newest values. More than are known begin with silence.
    fn last(&self, values: usize) -> &[i16] {
        self.values.get(self.values.len().saturating_sub(values)..).unwrap_or(&[])
    }

    fn push(&mut self, frame: &[i16]) {
        let newest = frame.get(frame.len().saturating_sub(self.values.len())..).unwrap_or(&[]);
        signal::move_down(&mut self.values, newest.len());
        let begin = self.values.len().saturating_sub(newest.len());
        if let Some(end) = self.values.get_mut(begin..) {
            end.iter_mut().zip(newest).for_each(|(to, from)| *to = *from);
        }
        self.known = self.known.saturating_add(newest.len()).min(self.values.len());
    }

    fn convert(&mut self, from: Channels, to: Channels) {
        if from == to {
            return;
        }
        let samples = self.known.checked_div(from.count()).unwrap_or(0).min(PAST_SAMPLES);
        let before = self.values;
        let known = before.get(before.len().saturating_sub(samples.saturating_mul(from.count()))..).unwrap_or(&[]);
        self.known = samples.saturating_mul(to.count());
        self.values.fill(0);
        let begin = self.values.len().saturating_sub(self.known);
        if let Some(end) = self.values.get_mut(begin..) {
            signal::convert_channels(known, from.count(), end, to.count());
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::codec::CodecError;
    use crate::config::Tuning;
    use std::vec::Vec;

    /// Looks ahead so far, and keeps what it heard.
    struct Hearing(u32, Vec<i16>);

    impl Encode for Hearing {
        fn encode(&mut self, _: &[i16], _: &mut [u8]) -> Result<usize, CodecError> {
            Ok(1)
        }

        fn lookahead(&self) -> u32 {
            self.0
        }

        fn retune(&mut self, _: Tuning) -> Result<(), CodecError> {
            Ok(())
        }

        fn prime(&mut self, past: &[i16]) {
            self.1 = past.to_vec();
        }
    }

    fn hand_over(past: &mut Past, lookahead: u32, late: u32, from: Channels, to: Channels) -> Vec<i16> {
        let mut encoder = Hearing(lookahead, Vec::new());
        past.hand_over(&mut encoder, late, from, to);
        encoder.1
    }

    #[test]
    fn an_encoder_that_looks_ahead_less_goes_on_exactly_where_the_other_stopped() {
        for channels in [Channels::Mono, Channels::Stereo] {
            let count = channels.count();
            let sound: Vec<i16> = (0..9_600 * count).map(|n| n as i16 + 100).collect();
            let (begin, mut rest) = sound.split_at(2_400 * count);
            let mut past = Past::NONE;
            let mut first = begin.to_vec();
            past.pass(&mut first, channels);
            assert_eq!(first, begin);
            let heard = hand_over(&mut past, 120, 312, channels, channels);
            assert_eq!((past.lag(), heard.len()), (192, 960 * count));
            let mut out = heard;
            for samples in [120, 240, 960, 2_880, 120, 120, 480, 120] {
                let (frame, after) = rest.split_at(samples * count);
                let mut frame = frame.to_vec();
                past.pass(&mut frame, channels);
                out.extend(frame);
                rest = after;
            }
            let from = (2_400 - 192 - 960) * count;
            assert_eq!(out[..], sound[from..from + out.len()]);
            // And one that looks ahead more gets all of it.
            let heard = hand_over(&mut past, 312, 312, channels, channels);
            assert_eq!(past.lag(), 0);
            assert!(sound[..sound.len() - rest.len()].ends_with(&heard));
        }
    }

    #[test]
    fn a_lag_is_given_up_where_nobody_hears_it_and_not_before() {
        let mut past = Past::NONE;
        past.pass(&mut [1_000; 960], Channels::Mono);
        hand_over(&mut past, 120, 312, Channels::Mono, Channels::Mono);
        let mut quiet = [3; 480];
        past.pass(&mut quiet, Channels::Mono);
        assert_eq!((past.lag(), quiet[0], quiet[192]), (192, 1_000, 3), "what is held is loud");
        past.pass(&mut [3; 480], Channels::Mono);
        assert_eq!(past.lag(), 0);
    }

    #[test]
    fn what_was_forgotten_is_heard_by_nobody() {
        let mut past = Past::NONE;
        past.pass(&mut [1_000; 960], Channels::Mono);
        past.forget();
        assert!(hand_over(&mut past, 120, 312, Channels::Mono, Channels::Mono).is_empty());
        past.pass(&mut [500; 240], Channels::Mono);
        let heard = hand_over(&mut past, 120, 312, Channels::Mono, Channels::Stereo);
        assert_eq!((heard.len(), past.lag()), (2 * 48, 192));
        let mut frame = [7; 480];
        past.pass(&mut frame, Channels::Stereo);
        assert!(frame[..384].iter().all(|v| *v == 500) && frame[384..].iter().all(|v| *v == 7));
    }
}
