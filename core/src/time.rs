//! Three kinds of time that must never be mistaken for each other.
//!
//! [`Instant`] is the monotonic clock in microseconds, handed in by the shell. [`Span`] is a distance
//! between two instants. [`MediaTime`] counts captured samples at 48 kHz: it is the *stream's* time, gaps
//! included, and is never derived from a preset or from a clock. All arithmetic saturates.

/// The rate at which stream time counts, and at which every device is run: 48 000 samples a second, the
/// one clock of Opus over RTP (RFC 7587 section 4.1).
pub const SAMPLE_RATE_HZ: u32 = 48_000;

/// A moment on the monotonic clock, in microseconds since an arbitrary start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Instant(u64);

impl Instant {
    /// The start of the clock.
    pub const ZERO: Self = Self(0);

    /// The moment `us` microseconds after the start of the clock.
    #[must_use]
    pub const fn from_micros(us: u64) -> Self {
        Self(us)
    }

    /// Microseconds since the start of the clock.
    #[must_use]
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// How long after `earlier` this is; zero if it is not after it.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }

    /// This moment, `span` later.
    #[must_use]
    pub const fn plus(self, span: Span) -> Self {
        Self(self.0.saturating_add(span.0))
    }

    /// This moment, `span` earlier; not before the start of the clock.
    #[must_use]
    pub const fn minus(self, span: Span) -> Self {
        Self(self.0.saturating_sub(span.0))
    }
}

/// A length of time, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Span(u64);

impl Span {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// A span of `us` microseconds.
    #[must_use]
    pub const fn from_micros(us: u64) -> Self {
        Self(us)
    }

    /// A span of `ms` milliseconds.
    #[must_use]
    pub const fn from_millis(ms: u64) -> Self {
        Self(ms.saturating_mul(1000))
    }

    /// How long `samples` samples last at 48 kHz, rounded down to a microsecond.
    #[must_use]
    pub const fn from_samples(samples: u64) -> Self {
        Self(samples.saturating_mul(125) / 6)
    }

    /// The length in microseconds.
    #[must_use]
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// How many samples at 48 kHz this lasts, rounded to the nearest.
    #[must_use]
    pub const fn as_samples(self) -> u64 {
        self.0.saturating_mul(6).saturating_add(62) / 125
    }

    /// The sum of both spans.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// This span less `other`; zero if that would be negative.
    #[must_use]
    pub const fn minus(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

/// Stream time: the count of captured samples at 48 kHz since the stream began, gaps included.
///
/// A frame of 20 ms always advances it by 960, whether the frame was sent, dropped, muted or lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct MediaTime(pub u64);

impl MediaTime {
    /// The first sample of a stream.
    pub const ZERO: Self = Self(0);

    /// The stream time `samples` later.
    #[must_use]
    pub const fn plus(self, samples: u64) -> Self {
        Self(self.0.saturating_add(samples))
    }

    /// Samples from `earlier` to here; zero if `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_and_microseconds_agree_on_whole_frames() {
        for samples in [120, 240, 480, 960, 1920, 2880, 48_000] {
            assert_eq!(Span::from_samples(samples).as_samples(), samples);
        }
        assert_eq!(Span::from_samples(960), Span::from_millis(20));
        assert_eq!(Span::from_micros(2_500).as_samples(), 120);
    }

    #[test]
    fn every_sample_count_survives_the_way_there_and_back() {
        for samples in 0..if cfg!(miri) { 1_000 } else { 100_000 } {
            assert_eq!(Span::from_samples(samples).as_samples(), samples);
        }
    }

    #[test]
    fn time_that_runs_backwards_saturates() {
        let early = Instant::from_micros(5);
        let late = Instant::from_micros(9);
        assert_eq!(early.since(late), Span::ZERO);
        assert_eq!(late.since(early), Span::from_micros(4));
        assert_eq!(early.minus(Span::from_millis(1)), Instant::ZERO);
        assert_eq!(MediaTime(5).since(MediaTime(9)), 0);
    }

    #[test]
    fn every_pair_of_edges_compares_and_saturates_as_wide_integers_do() {
        const EDGES: [u64; 12] = [
            0,
            1,
            959,
            960,
            u32::MAX as u64,
            1 << 32,
            (1 << 63) - 1,
            1 << 63,
            (1 << 63) + 1,
            u64::MAX - 960,
            u64::MAX - 1,
            u64::MAX,
        ];
        let clamp = |wide: i128| wide.clamp(0, i128::from(u64::MAX)) as u64;
        for a in EDGES {
            for b in EDGES {
                let (wide_a, wide_b) = (i128::from(a), i128::from(b));
                assert_eq!(MediaTime(a).cmp(&MediaTime(b)), wide_a.cmp(&wide_b));
                assert_eq!(MediaTime(a).since(MediaTime(b)), clamp(wide_a - wide_b));
                assert_eq!(MediaTime(a).plus(b).0, clamp(wide_a + wide_b));
                let (x, y, span) = (Instant::from_micros(a), Instant::from_micros(b), Span::from_micros(b));
                assert_eq!(x.since(y).as_micros(), clamp(wide_a - wide_b));
                assert_eq!(x.plus(span).as_micros(), clamp(wide_a + wide_b));
                assert_eq!(x.minus(span).as_micros(), clamp(wide_a - wide_b));
            }
        }
    }
}
