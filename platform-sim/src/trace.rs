//! Recorded links: one line a packet, as plain text or gzip.
//!
//! Lines are `seq,send_us,arr_us,talk`: when the frame began on the receiver's clock, when its packet arrived there
//! (-1: never), and whether somebody spoke. Lines with `#` are comments, of the form `# key=value …`.

use flate2::read::GzDecoder;
use soundpost_core::time::Span;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

/// A packet of a trace; times in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TracePacket {
    /// Its number.
    pub seq: u32,
    /// When its first sample was captured.
    pub send_us: i64,
    /// When it arrived, if it did.
    pub arr_us: Option<i64>,
    /// Whether somebody spoke.
    pub talk: bool,
}

/// A recorded link.
#[derive(Clone, Debug)]
pub struct Trace {
    /// In the order of sending; never empty.
    pub packets: Vec<TracePacket>,
    /// Milliseconds of sound in a packet.
    pub frame_ms: u32,
    span_us: u64,
    least_us: u64,
}

/// Why a trace cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// The file.
    #[error("{}: {why}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system says.
        why: std::io::Error,
    },
    /// What is in it.
    #[error("{}: line {line}: {field} is {value:?}; {allowed}", path.display())]
    Line {
        /// Which file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// Which field.
        field: &'static str,
        /// What it holds.
        value: String,
        /// What it may hold.
        allowed: &'static str,
    },
    /// There is nothing in it.
    #[error("{}: it holds {got} packets; at least 2 that arrived are needed", path.display())]
    Short {
        /// Which file.
        path: PathBuf,
        /// How many.
        got: usize,
    },
}

impl Trace {
    /// Reads a file, `.csv` or `.csv.gz`.
    ///
    /// # Errors
    /// [`TraceError`], which names file, line and field.
    pub fn read(path: &Path) -> Result<Self, TraceError> {
        let file_error = |why| TraceError::File { path: path.to_owned(), why };
        let file = File::open(path).map_err(file_error)?;
        let reader: Box<dyn Read> = match path.extension() {
            Some(gz) if gz == "gz" => Box::new(GzDecoder::new(file)),
            _ => Box::new(file),
        };
        let (mut packets, mut frame_ms) = (Vec::new(), None);
        for (line, text) in (1..).zip(BufReader::new(reader).lines()) {
            let text = text.map_err(file_error)?;
            if let Some(comment) = text.strip_prefix('#') {
                let ms = comment.split_whitespace().find_map(|word| word.strip_prefix("P="));
                frame_ms = frame_ms.or(ms.and_then(|ms| ms.parse().ok()));
            } else if !text.trim().is_empty() {
                packets.push(packet(path, line, &text)?);
            }
        }
        Self::new(path, packets, frame_ms)
    }

    fn new(path: &Path, packets: Vec<TracePacket>, frame_ms: Option<u32>) -> Result<Self, TraceError> {
        let delays = || packets.iter().filter_map(|packet| packet.arr_us.map(|arrived| arrived - packet.send_us));
        let ([first, second, ..], Some(least), 2..) = (&packets[..], delays().min(), delays().count()) else {
            return Err(TraceError::Short { path: path.to_owned(), got: packets.len() });
        };
        let step = u64::try_from(second.send_us - first.send_us).unwrap_or(0).max(1);
        let last = packets.last().map_or(0, |packet| packet.send_us);
        let span_us = u64::try_from(last - first.send_us).unwrap_or(0) + step;
        let frame_ms = frame_ms.unwrap_or_else(|| u32::try_from((step + 500) / 1000).unwrap_or(20));
        Ok(Self { frame_ms, span_us, least_us: u64::try_from(least).unwrap_or(0), packets })
    }

    /// The least delay of all packets.
    #[must_use]
    pub const fn least_delay(&self) -> Span {
        Span::from_micros(self.least_us)
    }

    /// What a packet takes that is sent so long after the beginning; `None` if it is lost. After its end the trace
    /// begins anew.
    #[must_use]
    pub fn delay(&self, since: Span) -> Option<Span> {
        let along = since.as_micros() % self.span_us;
        let index = usize::try_from(along * self.packets.len() as u64 / self.span_us).unwrap_or(0);
        let packet = self.packets.get(index)?;
        packet.arr_us.map(|arrived| Span::from_micros(u64::try_from(arrived - packet.send_us).unwrap_or(0)))
    }
}

fn packet(path: &Path, line: usize, text: &str) -> Result<TracePacket, TraceError> {
    let mut fields = text.split(',').map(str::trim);
    let mut number = |field: &'static str, low: i64, allowed: &'static str| {
        let value = fields.next().unwrap_or("");
        value.parse::<i64>().ok().filter(|number| *number >= low).ok_or_else(|| TraceError::Line {
            path: path.to_owned(),
            line,
            field,
            value: value.to_owned(),
            allowed,
        })
    };
    let seq = number("seq", 0, "a count from 0 is needed")?;
    let send_us = number("send_us", i64::MIN, "a whole number of microseconds is needed")?;
    let arrived = number("arr_us", -1, "microseconds are needed, or -1 for a packet that was lost")?;
    let talk = number("talk", 0, "0 or 1 is needed")?;
    let arr_us = (arrived >= 0).then_some(arrived);
    if let Some(value) = arr_us.filter(|arrived| *arrived < send_us) {
        let (value, allowed) = (value.to_string(), "a packet cannot arrive before it is sent");
        return Err(TraceError::Line { path: path.to_owned(), line, field: "arr_us", value, allowed });
    }
    Ok(TracePacket { seq: u32::try_from(seq).unwrap_or(u32::MAX), send_us, arr_us, talk: talk != 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Trace, TraceError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.csv");
        std::fs::write(&path, text).unwrap();
        Trace::read(&path)
    }

    #[test]
    fn delays_come_back_and_begin_anew() {
        let trace = read("# name=t P=20 ppm=0\n0,0,5000,1\n1,20000,-1,0\n2,40000,47000,1\n").unwrap();
        assert_eq!((trace.frame_ms, trace.least_delay()), (20, Span::from_millis(5)));
        let at = |ms| trace.delay(Span::from_millis(ms));
        assert_eq!((at(0), at(20), at(41)), (Some(Span::from_millis(5)), None, Some(Span::from_millis(7))));
        assert_eq!((at(60), at(80)), (at(0), at(20)));
    }

    #[test]
    fn what_is_wrong_is_named_by_line_and_field() {
        let said = |text| read(text).unwrap_err().to_string();
        assert!(said("0,0,5000,1\n1,x,3,1\n").contains("line 2: send_us is \"x\"; a whole number"));
        assert!(said("0,0,5000\n").contains("line 1: talk is \"\"; 0 or 1"));
        assert!(said("0,9000,5000,1\n").contains("line 1: arr_us is \"5000\"; a packet cannot arrive before"));
        assert!(said("0,0,-1,1\n").contains("it holds 1 packets"));
        assert!(Trace::read(Path::new("/nowhere.csv")).unwrap_err().to_string().starts_with("/nowhere.csv: "));
    }

    #[test]
    fn the_shipped_traces_can_be_read() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/traces");
        let trace = Trace::read(&folder.join("lte-20.csv.gz")).unwrap();
        assert_eq!((trace.packets.len(), trace.frame_ms), (30_000, 20));
    }
}
