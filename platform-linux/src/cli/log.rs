//! Log lines on stderr, coloured on a terminal unless `NO_COLOR` says otherwise.

use super::live;
use std::io::{self, IsTerminal, Write};

/// Starts logging at `level`, each line with `tag` in front.
pub(super) fn start(level: tracing::Level, tag: &'static str) {
    let colour = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_ansi(colour)
        .with_target(false)
        .without_time()
        .with_writer(move || AroundLiveLine(io::stderr(), tag))
        .init();
}

/// Wipes the live line before a log line takes its place.
struct AroundLiveLine(io::Stderr, &'static str);

impl Write for AroundLiveLine {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        live::wipe();
        if self.1.is_empty() {
            return self.0.write(bytes);
        }
        // An event comes as a whole line; with the tag in the same write, no other process gets in between.
        self.0.write_all(&[self.1.as_bytes(), bytes].concat())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}
