//! Log lines on stderr, coloured on a terminal unless `NO_COLOR` says otherwise.

use super::live;
use std::io::{self, IsTerminal, Write};

/// Starts logging at `level`.
pub(super) fn start(level: tracing::Level) {
    let colour = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_ansi(colour)
        .with_target(false)
        .without_time()
        .with_writer(|| AroundLiveLine(io::stderr()))
        .init();
}

/// Wipes the live line before a log line takes its place.
struct AroundLiveLine(io::Stderr);

impl Write for AroundLiveLine {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        live::wipe();
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}
