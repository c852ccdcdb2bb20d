//! One line at the bottom of a terminal that says how it goes, rewritten in place. Nothing where there is no
//! terminal.

use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};

static SHOWN: AtomicBool = AtomicBool::new(false);

/// Whether there is a terminal to show a live line on.
pub(super) fn wanted() -> bool {
    io::stderr().is_terminal()
}

/// Shows `line` in place of the one before.
pub(super) fn show(line: &str) {
    SHOWN.store(true, Ordering::Relaxed);
    let mut terminal = io::stderr().lock();
    // Without line wrap, so that a narrow terminal cuts it instead of scrolling.
    let _ = write!(terminal, "\r\x1b[2K\x1b[?7l{line}\x1b[?7h").and_then(|()| terminal.flush());
}

/// Removes the line; the next [`show`] brings it back.
pub(super) fn wipe() {
    if SHOWN.swap(false, Ordering::Relaxed) {
        let _ = write!(io::stderr(), "\r\x1b[2K");
    }
}

/// Leaves the line where it is and goes below it.
pub(super) fn end() {
    if SHOWN.swap(false, Ordering::Relaxed) {
        let _ = writeln!(io::stderr());
    }
}

/// A level meter of ten cells, from −60 to 0 dB below full scale, and the number.
pub(super) fn meter(dbfs: Option<f64>) -> String {
    const CELLS: usize = 10;
    let lit = dbfs.map_or(0.0, |level| ((level + 60.0) / 6.0).clamp(0.0, CELLS as f64).round()) as usize;
    let number = dbfs.map_or_else(|| " silent".to_owned(), |level| format!("{level:>4.0} dB"));
    format!("▕{}{}▏{number}", "█".repeat(lit), " ".repeat(CELLS - lit))
}

/// Milliseconds, or a dash.
pub(super) fn latency(ms: Option<f64>) -> String {
    ms.map_or_else(|| "–".to_owned(), |ms| format!("{ms:.1} ms"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_meter_runs_from_minus_sixty_to_zero() {
        assert_eq!(meter(None), "▕          ▏ silent");
        assert_eq!(meter(Some(-90.0)), "▕          ▏ -90 dB");
        assert_eq!(meter(Some(-30.0)), "▕█████     ▏ -30 dB");
        assert_eq!(meter(Some(0.0)), "▕██████████▏   0 dB");
    }
}
