//! Is all of a long signal there, in order and without a gap? Follows the reference through the
//! recording in pieces of 200 ms, every 100 ms: each piece that holds enough sound must be found
//! where the signal as a whole says it should be. Between that, a look at the loudness every 5 ms
//! finds holes too short to spoil a piece. Both work in the telephone band (300–3400 Hz), which a
//! speech codec keeps recognisable down to low bit rates.

use std::fmt;

use super::correlate::{self, Found};
use super::spectrum::{THIN_RATE, telephone};

const PIECE: usize = THIN_RATE / 5;
const HOP: usize = THIN_RATE / 10;
const SLOT: usize = THIN_RATE / 100;
const SLOT_HOP: usize = SLOT / 2;
/// A slot this much below its expected energy is empty…
const EMPTY: f64 = 0.02;
/// …if it should be at least this loud compared with the loud parts of the signal.
const AUDIBLE: f64 = 0.02;

/// What counts as present and continuous.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How far a piece may be from its place, in ms.
    pub tolerance_ms: f64,
    /// How far away a piece that is not in its place is searched for, in ms.
    pub search_ms: f64,
    /// How alike a piece must be.
    pub peak: f64,
    /// Pieces with less than this part of the energy of the loud ones are passed over.
    pub energy: f64,
    /// The shortest hole that is reported, in ms.
    pub hole_ms: f64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { tolerance_ms: 3.0, search_ms: 120.0, peak: 0.5, energy: 0.02, hole_ms: 12.0 }
    }
}

/// What became of a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is where it should be.
    Present,
    /// It is somewhere else.
    Moved,
    /// It is nowhere near.
    Missing,
}

/// One piece of the reference.
#[derive(Clone, Copy, Debug)]
pub struct Piece {
    /// Where it begins in the reference, in seconds.
    pub at: f64,
    /// Where it was found: its distance from its place, in ms.
    pub lag_ms: f64,
    /// How alike it is there.
    pub peak: f64,
    /// What became of it.
    pub verdict: Verdict,
}

/// A stretch of silence where the reference has sound.
#[derive(Clone, Copy, Debug)]
pub struct Hole {
    /// Where it begins in the reference, in seconds.
    pub at: f64,
    /// How long it is, in ms; short by up to 15 ms, as only whole slots count.
    pub ms: f64,
}

/// The findings on a recording.
#[derive(Clone, Debug)]
pub struct Continuity {
    /// The lag of the signal as a whole, in ms, and how alike the whole is.
    pub lag_ms: f64,
    /// See [`Continuity::lag_ms`].
    pub peak: f64,
    /// Every piece with enough sound, in the order of the reference.
    pub pieces: Vec<Piece>,
    /// Every hole found.
    pub holes: Vec<Hole>,
}

impl Continuity {
    /// Whether everything is there, in its place and without a hole.
    pub fn is_complete(&self) -> bool {
        !self.pieces.is_empty() && self.missing() == 0 && self.moved() == 0 && self.holes.is_empty()
    }

    /// How many pieces were looked for.
    pub fn windows(&self) -> usize {
        self.pieces.len()
    }

    /// How many pieces are nowhere near their place.
    pub fn missing(&self) -> usize {
        self.pieces.iter().filter(|piece| piece.verdict == Verdict::Missing).count()
    }

    /// How many pieces are somewhere else.
    pub fn moved(&self) -> usize {
        self.pieces.iter().filter(|piece| piece.verdict == Verdict::Moved).count()
    }

    /// The worst likeness of all pieces.
    pub fn worst_peak(&self) -> f64 {
        self.pieces.iter().map(|piece| piece.peak).fold(1.0, f64::min)
    }

    /// The distance between the earliest and the latest piece that was found at all, in ms.
    pub fn lag_spread_ms(&self) -> f64 {
        let found = self.pieces.iter().filter(|piece| piece.verdict != Verdict::Missing);
        let (low, high) = found.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), piece| {
            (low.min(piece.lag_ms), high.max(piece.lag_ms))
        });
        if low <= high { high - low } else { f64::NAN }
    }
}

impl fmt::Display for Continuity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "lag {:.2} ms, likeness {:.2}; {} pieces: {} moved, {} missing, worst peak {:.2}, lag \
             spread {:.2} ms; {} holes",
            self.lag_ms,
            self.peak,
            self.windows(),
            self.moved(),
            self.missing(),
            self.worst_peak(),
            self.lag_spread_ms(),
            self.holes.len(),
        )?;
        let odd = |piece: &&Piece| piece.verdict != Verdict::Present;
        for piece in self.pieces.iter().filter(odd) {
            let Piece { at, lag_ms, peak, verdict } = piece;
            writeln!(f, "  {at:8.2} s  {verdict:?}  lag {lag_ms:+8.2} ms  peak {peak:.2}")?;
        }
        for Hole { at, ms } in &self.holes {
            writeln!(f, "  {at:8.2} s  hole of {ms:.0} ms")?;
        }
        Ok(())
    }
}

/// Follows `reference` through what a player made of it that finds its delay while it plays: a piece may be as far from its
/// place as a few periods that were taken out or put in.
pub fn followed(reference: &[f32], recording: &[f32]) -> Continuity {
    continuity_with(reference, recording, Limits { tolerance_ms: 30.0, ..Limits::default() })
}

/// Follows `reference` through `recording` with the usual [`Limits`].
pub fn continuity(reference: &[f32], recording: &[f32]) -> Continuity {
    continuity_with(reference, recording, Limits::default())
}

/// Follows `reference` through `recording`, which must begin before the reference is heard.
pub fn continuity_with(reference: &[f32], recording: &[f32], limits: Limits) -> Continuity {
    let reference = telephone(reference);
    let recording = telephone(recording);
    let whole = correlate::best(&correlate::likeness(&reference, &recording));
    let lag = whole.offset_samples.round() as usize;
    let pieces = pieces(&reference, &recording, lag, whole, limits);
    let holes = holes(&reference, recording.get(lag..).unwrap_or_default(), limits);
    Continuity { lag_ms: to_ms(whole.offset_samples), peak: whole.peak, pieces, holes }
}

fn pieces(reference: &[f64], recording: &[f64], lag: usize, whole: Found, limits: Limits) -> Vec<Piece> {
    let energies: Vec<f64> = reference.windows(PIECE).step_by(HOP).map(energy).collect();
    let enough = limits.energy * loud(&energies);
    let mut pieces = Vec::new();
    for (n, energy) in energies.iter().enumerate() {
        if *energy < enough || enough == 0.0 {
            continue;
        }
        let at = n * HOP;
        let search = to_samples(limits.search_ms);
        let from = (at + lag).saturating_sub(search).min(recording.len());
        let to = (at + lag + PIECE + search).min(recording.len());
        let curve = correlate::likeness(&reference[at..at + PIECE], &recording[from..to]);
        let place = at as f64 + whole.offset_samples - from as f64;
        pieces.push(judge(at, &curve, place, limits));
    }
    pieces
}

/// A piece that is well enough in its place is present, even if another place would do as well:
/// voices repeat themselves from one vibration to the next.
fn judge(at: usize, curve: &[f64], place: f64, limits: Limits) -> Piece {
    let reach = THIN_RATE as f64 * limits.tolerance_ms / 1e3;
    let from = ((place - reach).ceil().max(0.0) as usize).min(curve.len());
    let to = ((place + reach).floor().max(0.0) as usize + 1).clamp(from, curve.len());
    let near = correlate::best(&curve[from..to]);
    let near = Found { offset_samples: near.offset_samples + from as f64, ..near };
    let far = correlate::best(curve);
    let elsewhere = far.peak >= limits.peak && far.peak > near.peak + 0.2;
    let (found, verdict) = match () {
        () if near.peak >= limits.peak && !elsewhere => (near, Verdict::Present),
        () if elsewhere => (far, Verdict::Moved),
        () => (far, Verdict::Missing),
    };
    let lag_ms = to_ms(found.offset_samples - place);
    Piece { at: at as f64 / THIN_RATE as f64, lag_ms, peak: found.peak, verdict }
}

fn holes(reference: &[f64], recording: &[f64], limits: Limits) -> Vec<Hole> {
    let slots = |signal: &[f64]| -> Vec<f64> { signal.windows(SLOT).step_by(SLOT_HOP).map(energy).collect() };
    let wanted = slots(reference);
    let mut heard = slots(recording);
    heard.resize(wanted.len(), 0.0);
    let audible = AUDIBLE * loud(&wanted);
    let gain = sum(&heard) / sum(&wanted).max(f64::MIN_POSITIVE);
    let empty = |n: usize| {
        let around = &wanted[n.saturating_sub(1)..(n + 2).min(wanted.len())];
        let least = around.iter().copied().fold(f64::INFINITY, f64::min);
        least > audible && heard[n] < EMPTY * gain * least
    };
    let mut holes = Vec::new();
    let mut begin = None;
    for n in 0..=wanted.len() {
        match (begin, n < wanted.len() && empty(n)) {
            (None, true) => begin = Some(n),
            (Some(first), false) => {
                let length = (n - 1 - first) * SLOT_HOP + SLOT;
                let at = (first * SLOT_HOP) as f64 / THIN_RATE as f64;
                holes.push(Hole { at, ms: to_ms(length as f64) });
                begin = None;
            }
            _ => {}
        }
    }
    holes.retain(|hole| hole.ms >= limits.hole_ms);
    holes
}

/// The energy of the loud parts: that which one in twenty exceeds.
fn loud(energies: &[f64]) -> f64 {
    let mut sorted = energies.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() * 19 / 20).copied().unwrap_or(0.0)
}

fn energy(samples: &[f64]) -> f64 {
    samples.iter().map(|s| s * s).sum()
}

fn sum(values: &[f64]) -> f64 {
    values.iter().sum()
}

fn to_ms(samples: f64) -> f64 {
    samples * 1e3 / THIN_RATE as f64
}

fn to_samples(ms: f64) -> usize {
    (ms * THIN_RATE as f64 / 1e3).round() as usize
}

#[cfg(test)]
mod tests;
