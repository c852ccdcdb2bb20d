//! Log lines on stderr, coloured on a terminal unless `NO_COLOR` says otherwise. A line that cannot be written, because
//! the disk is full, say, is no reason to stop: it is counted, and the next one that can be says how many were lost.

use super::live;
use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicU64, Ordering};

/// Starts logging at `level`, each line with `tag` in front.
pub(super) fn start(level: tracing::Level, tag: &'static str) {
    let colour = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_ansi(colour)
        .with_target(false)
        .without_time()
        .with_writer(move || AroundLiveLine(io::stderr(), tag, &LOST))
        .init();
}

/// Lines that could not be written and of which nobody knows yet.
static LOST: AtomicU64 = AtomicU64::new(0);

/// Wipes the live line before a log line takes its place.
struct AroundLiveLine<W>(W, &'static str, &'static AtomicU64);

impl<W: Write> Write for AroundLiveLine<W> {
    /// Never fails: whoever logs would report that, to the same place, and give up when that fails, too.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Self(out, tag, lost) = self;
        live::wipe();
        let before = lost.swap(0, Ordering::Relaxed);
        let note = if before > 0 { format!("{tag} WARN {before} lines could not be logged\n") } else { String::new() };
        // An event comes as a whole line; with the tag in the same write, no other process gets in between.
        if out.write_all(&[note.as_bytes(), tag.as_bytes(), bytes].concat()).is_err() {
            lost.fetch_add(before + 1, Ordering::Relaxed);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let _ = self.0.flush();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk that is full until there is room.
    struct Disk(bool, Vec<u8>);

    impl Write for &mut Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.1.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_that_find_no_room_are_no_fault_and_are_counted() {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let mut disk = Disk(true, Vec::new());
        for line in ["one\n", "two\n"] {
            AroundLiveLine(&mut disk, "[t] ", &COUNT).write_all(line.as_bytes()).unwrap();
        }
        disk.0 = false;
        for line in ["three\n", "four\n"] {
            AroundLiveLine(&mut disk, "[t] ", &COUNT).write_all(line.as_bytes()).unwrap();
        }
        let said = String::from_utf8(disk.1).unwrap();
        assert_eq!(said, "[t]  WARN 2 lines could not be logged\n[t] three\n[t] four\n");
    }
}
