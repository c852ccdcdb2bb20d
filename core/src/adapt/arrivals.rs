//! When packets come, beside when the fastest of late came.
//!
//! A packet's *transit* is its arrival less its stream time: a number that means nothing alone. Beside the least transit
//! of the last two to three seconds it is the *excess*, the delay that the network put on top. The reference slides, so
//! that clocks that drift and routes that change need no care; WebRTC's NetEq takes the same one
//! (`PacketArrivalHistory`). The largest excess in each quarter of a second goes into the histogram: what matters is
//! whether something came too late at all, not how much came with it.

use super::histogram::{Histogram, ONE};
use crate::drift::Drift;
use crate::time::{Instant, MediaTime};

/// Bins of the histogram of excess delay: an eighth of a millisecond wide below 4 ms, 16 ms above half a second.
const BINS: usize = 256;
/// Length of a block.
pub(super) const BLOCK_US: i64 = 250_000;
/// A block keeps so much of the weight of those before: a time constant of 30 s; Q16.
const KEEP: u32 = 64_990;
/// The reference is the least of the current and the two last stretches of this length.
const STRETCH_US: i64 = 1_000_000;
/// A transit so far below the reference, or so long a pause, is another stream's.
const JUMP_US: i64 = 1_000_000;

/// What is known of the network.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) struct Arrivals {
    /// Transit counts from this stream time.
    origin: Option<MediaTime>,
    minima: [i64; 3],
    stretch_ends: i64,
    block_ends: i64,
    /// Largest excess in the block so far.
    worst: i64,
    /// Largest excess in the block before.
    lately: i64,
    latest: i64,
    excess: Histogram<BINS>,
    /// How late the packet is that everybody waits for, at least.
    pending: i64,
    /// The histogram, or what pends, is another than when it was last asked.
    news: bool,
    /// First sample of the latest packet in microseconds since the origin, and its length in samples.
    packet: (i64, u64),
    drift: Drift,
}

impl Arrivals {
    pub(super) const fn new() -> Self {
        Self {
            origin: None,
            minima: [i64::MAX; 3],
            stretch_ends: 0,
            block_ends: 0,
            worst: 0,
            lately: i64::MAX,
            latest: 0,
            excess: Histogram::new(),
            pending: 0,
            news: true,
            packet: (0, 0),
            drift: Drift::new(),
        }
    }

    /// Another stream begins: its clock is another one, the network is the same.
    pub(super) fn restart(&mut self) {
        *self = Self { excess: self.excess, ..Self::new() };
    }

    /// Microseconds from the origin to `media`. What wraps comes back as far away.
    pub(super) fn micros(&self, media: MediaTime) -> i64 {
        let origin = self.origin.unwrap_or(media);
        let samples = (media.0.wrapping_sub(origin.0) as i64).clamp(-(1 << 50), 1 << 50);
        samples.saturating_mul(125) / 6
    }

    /// The least transit of late.
    pub(super) fn reference(&self) -> Option<i64> {
        let [a, b, c] = self.minima;
        Some(a.min(b).min(c)).filter(|least| *least != i64::MAX)
    }

    /// A packet came.
    pub(super) fn observe(&mut self, arrived: Instant, media: MediaTime, samples: u32) {
        let now = super::micros(arrived);
        if self.origin.is_none() {
            self.origin = Some(media);
        }
        let at = self.micros(media);
        self.packet = (at, u64::from(samples));
        let transit = now.saturating_sub(at);
        let anew = match self.reference() {
            None => true,
            Some(reference) => {
                let early = transit < reference.saturating_sub(JUMP_US);
                early || now > self.latest.saturating_add(JUMP_US) || now < self.latest.saturating_sub(JUMP_US)
            }
        };
        if anew {
            self.minima = [transit, i64::MAX, i64::MAX];
            self.stretch_ends = now.saturating_add(STRETCH_US);
            self.block_ends = now.saturating_add(BLOCK_US);
            self.worst = 0;
            self.drift = Drift::new();
        } else if now >= self.stretch_ends {
            let [current, before, _] = self.minima;
            self.drift.observe(self.stretch_ends, current);
            self.minima = [transit, current, before];
            self.stretch_ends = self.stretch_ends.saturating_add(STRETCH_US).max(now);
        } else {
            let [current, ..] = &mut self.minima;
            *current = transit.min(*current);
        }
        self.latest = now.max(self.latest.min(now.saturating_add(JUMP_US)));
        self.news |= self.pending != 0;
        self.pending = 0;
        let excess = transit.saturating_sub(self.reference().unwrap_or(transit));
        self.worst = excess.max(self.worst);
        if now >= self.block_ends {
            self.excess.add(self.worst.unsigned_abs(), KEEP);
            self.lately = core::mem::take(&mut self.worst);
            self.news = true;
            self.block_ends = now.saturating_add(BLOCK_US);
        }
    }

    /// The packet that is needed is not here, and already so late: it will be at least that.
    pub(super) const fn pend(&mut self, excess_us: i64) {
        self.news |= self.pending != excess_us;
        self.pending = excess_us;
    }

    /// Makes whoever asks look again.
    pub(super) const fn renew(&mut self) {
        (self.news, self.lately) = (true, i64::MAX);
    }

    /// Whether something came later than that of late, or is about to. Without, nothing calls for more delay.
    pub(super) fn exceeds(&self, wanted_us: i64) -> bool {
        self.lately.max(self.worst).max(self.pending) > wanted_us
    }

    /// Whether there is anything new since this was asked last.
    pub(super) const fn take_news(&mut self) -> bool {
        core::mem::replace(&mut self.news, false)
    }

    pub(super) fn drift_ppm(&self) -> i32 {
        self.drift.ppm()
    }

    /// First sample and length of the latest packet.
    pub(super) const fn packet(&self) -> (i64, u64) {
        self.packet
    }

    /// Whether there is anything to go by.
    pub(super) const fn is_known(&self) -> bool {
        !self.excess.is_empty()
    }

    /// The least delay for which made-up sound is not worth more delay, at a price: in a block whose worst packet is
    /// `M` late, a delay of `D` leaves `M − D` to make up, so `D + price · E[(M − D)⁺] / block` is least where
    /// `P(M > D) = block / price` (the newsvendor's rule).
    pub(super) fn quantile(&self, price_us: u64) -> i64 {
        let part = (BLOCK_US as u64).saturating_mul(u64::from(ONE)).checked_div(price_us).unwrap_or(u64::from(ONE));
        let weight = if self.pending > 0 { (65_536 - KEEP) << 8 } else { 0 };
        self.excess.quantile_with(part.min(u64::from(ONE)) as u32, self.pending.unsigned_abs(), weight) as i64
    }

    /// The chance (Q15) that a packet which is `waited` late misses the delay `due`; none if none was ever so late, for
    /// then nothing is known.
    pub(super) fn hazard(&self, waited_us: i64, due_us: i64) -> u32 {
        let of = self.excess.above(waited_us.max(0).unsigned_abs());
        let part = self.excess.above(due_us.max(waited_us).max(0).unsigned_abs());
        (u64::from(part) << 15).checked_div(u64::from(of)).unwrap_or(0) as u32
    }
}
