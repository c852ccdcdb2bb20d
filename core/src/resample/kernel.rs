//! The table that the resampler multiplies by: a windowed sinc, made by the compiler.
//!
//! Floating point is used here and only here, and never when the program runs: the one caller is a `static`.
#![expect(clippy::float_arithmetic, clippy::indexing_slicing, reason = "evaluated by the compiler, never at run time")]

/// Input samples that one output sample is made of.
pub(super) const TAPS: usize = 32;

/// Steps from one input sample to the next at which the sinc is tabled; between two it is interpolated.
pub(super) const PHASES: usize = 128;

/// One, as a coefficient. It is one less than in Q15, so that it fits.
pub(super) const UNITY: i32 = i16::MAX as i32;

/// Shape of the Kaiser window: 80 dB of attenuation, flat up to 20 kHz.
const BETA: f64 = 7.86;

/// Row `p` is the weight of each of 32 successive samples in the value `p / 128` after the sixteenth. There is one
/// row more than phases, so that a row always has a next one.
pub(super) static KERNEL: [[i16; TAPS]; PHASES + 1] = table();

const fn table() -> [[i16; TAPS]; PHASES + 1] {
    let mut rows = [[0; TAPS]; PHASES + 1];
    let mut phase = 0;
    while phase <= PHASES {
        rows[phase] = row(phase as f64 / PHASES as f64);
        phase += 1;
    }
    rows
}

/// Scaled and rounded so that the coefficients add up to one exactly: what is constant stays what it is.
const fn row(after: f64) -> [i16; TAPS] {
    let mut exact = [0.0; TAPS];
    let (mut sum, mut tap) = (0.0, 0);
    while tap < TAPS {
        exact[tap] = sinc_windowed(tap as f64 - (TAPS / 2 - 1) as f64 - after);
        sum += exact[tap];
        tap += 1;
    }
    let mut row = [0; TAPS];
    let (mut rest, mut largest) = (UNITY, 0);
    tap = 0;
    while tap < TAPS {
        let scaled = exact[tap] / sum * UNITY as f64;
        row[tap] = (scaled + if scaled < 0.0 { -0.5 } else { 0.5 }) as i16;
        rest -= row[tap] as i32;
        if row[tap] > row[largest] {
            largest = tap;
        }
        tap += 1;
    }
    row[largest] += rest as i16;
    row
}

const fn sinc_windowed(t: f64) -> f64 {
    let edge = t / (TAPS / 2) as f64;
    let inside = 1.0 - edge * edge;
    if inside <= 0.0 {
        return 0.0;
    }
    sinc(t) * bessel_i0(BETA * BETA * inside) / bessel_i0(BETA * BETA)
}

/// `sin(πt) / πt`.
const fn sinc(t: f64) -> f64 {
    // The sine of the distance to the nearest whole number; its sign turns with every one.
    let whole = (t + if t < 0.0 { -0.5 } else { 0.5 }) as i64;
    let x = (t - whole as f64) * core::f64::consts::PI;
    if t == 0.0 {
        return 1.0;
    }
    let (mut term, mut sine, mut n) = (x, x, 1);
    while n < 12 {
        term *= -x * x / ((2 * n) * (2 * n + 1)) as f64;
        sine += term;
        n += 1;
    }
    let sign = if whole % 2 == 0 { 1.0 } else { -1.0 };
    sign * sine / (core::f64::consts::PI * t)
}

/// The modified Bessel function of order zero of the root of `square`.
const fn bessel_i0(square: f64) -> f64 {
    let (mut term, mut sum, mut k) = (1.0, 1.0, 1);
    while k < 40 {
        term *= square / (4 * k * k) as f64;
        sum += term;
        k += 1;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_adds_up_to_one_and_half_of_one_never_overflows() {
        for row in &KERNEL {
            assert_eq!(row.iter().map(|c| i32::from(*c)).sum::<i32>(), UNITY);
            for half in row.chunks(TAPS / 2) {
                let size: i64 = half.iter().map(|c| i64::from(*c).abs()).sum();
                assert!(size * 32_768 < i64::from(i32::MAX), "{size}");
            }
        }
    }

    #[test]
    fn the_first_row_takes_one_sample_as_it_is_and_the_last_one_the_next() {
        for (row, tap) in [(KERNEL[0], 15), (KERNEL[PHASES], 16)] {
            assert!(row.iter().enumerate().all(|(k, c)| i32::from(*c) == if k == tap { UNITY } else { 0 }), "{row:?}");
        }
    }

    #[test]
    fn the_table_is_the_formula() {
        let i0 = |x: f64| (1..40).rev().fold(1.0, |sum, k| 1.0 + sum * (x / 2.0 / f64::from(k)).powi(2));
        for (phase, row) in KERNEL.iter().enumerate() {
            for (tap, coefficient) in row.iter().enumerate() {
                let t = tap as f64 - 15.0 - phase as f64 / PHASES as f64;
                let x = std::f64::consts::PI * t;
                let sinc = if t == 0.0 { 1.0 } else { x.sin() / x };
                let window = i0(BETA * (1.0 - (t / 16.0).powi(2)).max(0.0).sqrt()) / i0(BETA);
                let error = f64::from(*coefficient) - sinc * window * f64::from(UNITY);
                // What makes a row add up to one is put on its largest coefficient.
                assert!(error.abs() < 12.0, "phase {phase} tap {tap}: {error}");
            }
        }
    }
}
