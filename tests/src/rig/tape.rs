//! Sound handed between a test and the audio thread. Both ends may look at the same tape or score
//! at any time: samples travel in atomics, the audio thread allocates nothing, frees nothing (the
//! test side keeps every tape alive until the audio thread has let go of it) and never waits.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};

const NOT_YET: u64 = u64::MAX;

/// A place for a recording of several channels, filled by the audio thread.
pub(super) struct Tape {
    channels: Vec<Box<[AtomicU32]>>,
    start: AtomicU64,
    filled: AtomicUsize,
    skipped: AtomicU64,
}

impl Tape {
    pub(super) fn new(channels: usize, capacity: usize) -> Self {
        let blank = || (0..capacity).map(|_| AtomicU32::new(0)).collect();
        Self {
            channels: (0..channels).map(|_| blank()).collect(),
            start: AtomicU64::new(NOT_YET),
            filled: AtomicUsize::new(0),
            skipped: AtomicU64::new(0),
        }
    }

    /// The frame of the first sample, once the audio thread has begun.
    pub(super) fn start(&self) -> Option<u64> {
        Some(self.start.load(Ordering::Acquire)).filter(|&start| start != NOT_YET)
    }

    pub(super) fn filled(&self) -> usize {
        self.filled.load(Ordering::Acquire)
    }

    pub(super) fn capacity(&self) -> usize {
        self.channels.first().map_or(0, |channel| channel.len())
    }

    /// Frames that passed by while the audio thread was not called; silent on the tape.
    pub(super) fn skipped(&self) -> u64 {
        self.skipped.load(Ordering::Acquire)
    }

    pub(super) fn snapshot(&self) -> Vec<Vec<f32>> {
        let filled = self.filled();
        let read = |channel: &[AtomicU32]| {
            channel[..filled].iter().map(|s| f32::from_bits(s.load(Ordering::Relaxed))).collect()
        };
        self.channels.iter().map(|channel| read(channel)).collect()
    }

    /// Audio thread: the place on the tape of a cycle that begins at `frame`.
    pub(super) fn place(&self, frame: u64, skipped: u64) -> usize {
        let start = self.start().unwrap_or_else(|| {
            self.start.store(frame, Ordering::Release);
            frame
        });
        if frame > start {
            self.skipped.fetch_add(skipped, Ordering::AcqRel);
        }
        usize::try_from(frame - start).unwrap_or(usize::MAX)
    }

    /// Audio thread: one channel of a cycle; what does not fit any more is left out.
    pub(super) fn write(&self, channel: usize, place: usize, samples: &[f32]) {
        let cells = self.channels[channel].get(place..).unwrap_or(&[]);
        for (cell, sample) in cells.iter().zip(samples) {
            cell.store(sample.to_bits(), Ordering::Relaxed);
        }
    }

    /// Audio thread: all channels of a cycle are on the tape.
    pub(super) fn commit(&self, end: usize) {
        self.filled.store(end.min(self.capacity()), Ordering::Release);
    }
}

/// Something to be played: one signal per output port, an empty one for silence.
pub(super) struct Score {
    parts: Vec<Vec<f32>>,
    at: Option<u64>,
    start: AtomicU64,
    done: AtomicBool,
}

impl Score {
    /// To be played from frame `at`, or as soon as possible.
    pub(super) fn new(parts: Vec<Vec<f32>>, at: Option<u64>) -> Self {
        Self { parts, at, start: AtomicU64::new(NOT_YET), done: AtomicBool::new(false) }
    }

    pub(super) fn start(&self) -> Option<u64> {
        Some(self.start.load(Ordering::Acquire)).filter(|&start| start != NOT_YET)
    }

    pub(super) fn done(&self) -> bool {
        self.done.load(Ordering::Acquire)
    }

    pub(super) fn len(&self) -> usize {
        self.parts.iter().map(Vec::len).max().unwrap_or(0)
    }

    /// Audio thread: taken up in the cycle that begins at `frame`.
    pub(super) fn begin(&self, frame: u64) {
        self.start.store(self.at.unwrap_or(frame).max(frame), Ordering::Release);
    }

    /// Audio thread: adds one part to an output whose first frame is `frame`.
    pub(super) fn mix(&self, port: usize, frame: u64, output: &mut [f32]) {
        let (Some(part), Some(start)) = (self.parts.get(port), self.start()) else { return };
        let ahead = usize::try_from(start.saturating_sub(frame)).unwrap_or(usize::MAX);
        let behind = usize::try_from(frame.saturating_sub(start)).unwrap_or(usize::MAX);
        let output = output.get_mut(ahead..).unwrap_or_default();
        let part = part.get(behind..).unwrap_or_default();
        for (out, sample) in output.iter_mut().zip(part) {
            *out += sample;
        }
    }

    /// Audio thread: nothing is left to play after the cycle that ends before `frame`.
    pub(super) fn finish(&self, frame: u64) -> bool {
        let over = self.start().is_some_and(|start| frame >= start + self.len() as u64);
        if over {
            self.done.store(true, Ordering::Release);
        }
        over
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_score_is_heard_from_its_frame_on_across_cycles() {
        let score = Score::new(vec![vec![1.0, 2.0, 3.0]], Some(10));
        score.begin(8);
        let mut cycles = [[0.0; 4]; 2];
        score.mix(0, 8, &mut cycles[0]);
        assert!(!score.finish(12));
        score.mix(0, 12, &mut cycles[1]);
        assert!(score.finish(16) && score.done());
        assert_eq!(cycles, [[0.0, 0.0, 1.0, 2.0], [3.0, 0.0, 0.0, 0.0]]);
    }

    #[test]
    fn a_tape_keeps_every_sample_at_its_frame_and_skipped_frames_silent() {
        let tape = Tape::new(1, 6);
        for (frame, skipped) in [(100, 0), (104, 2)] {
            let place = tape.place(frame, skipped);
            tape.write(0, place, &[1.0, 2.0]);
            tape.commit(place + 2);
        }
        assert_eq!((tape.start(), tape.skipped()), (Some(100), 2));
        assert_eq!(tape.snapshot(), [[1.0, 2.0, 0.0, 0.0, 1.0, 2.0]]);
    }
}
