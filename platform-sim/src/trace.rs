//! Traces of packets: when each was captured, and when it arrived. [`playout`](crate::playout) plays them, a world's
//! links replay them.

use soundpost_core::time::Span;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

/// One packet of a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Its number, counted by the sender; stream time is this many packet lengths.
    pub seq: u64,
    /// When its first sample was captured, on the receiver's clock.
    pub send_us: i64,
    /// When it arrived, less its own length; `None` if it never did.
    pub arrival_us: Option<i64>,
    /// Somebody speaks.
    pub talk: bool,
}

/// A trace.
#[derive(Clone, Debug)]
pub struct Trace {
    /// What its first line, or its file, calls it.
    pub name: String,
    /// Sound in a packet.
    pub packet_ms: u32,
    /// Its packets, in the order of their numbers.
    pub packets: Vec<Packet>,
}

/// What is wrong with a trace.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// It cannot be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A line is not what it should be.
    #[error("{}, line {line}, {field}: {wrong}", path.display())]
    Line {
        /// Which file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// Which field.
        field: &'static str,
        /// What is there, and what should be.
        wrong: String,
    },
}

impl Trace {
    /// Reads a trace from a `.csv` or `.csv.gz` file.
    ///
    /// # Errors
    /// [`TraceError`] with file, line and field.
    pub fn read(path: &Path) -> Result<Self, TraceError> {
        let unreadable = |source| TraceError::Read { path: path.to_owned(), source };
        let mut reader = BufReader::new(File::open(path).map_err(unreadable)?);
        // A gzip file says so in its first two bytes, whatever it is called.
        let zipped = reader.fill_buf().map_err(unreadable)?.starts_with(&[0x1f, 0x8b]);
        let mut text = String::new();
        let read = if zipped {
            flate2::bufread::MultiGzDecoder::new(reader).read_to_string(&mut text)
        } else {
            reader.read_to_string(&mut text)
        };
        read.map_err(unreadable)?;
        Self::parse(path, &text)
    }

    /// Understands the lines of a trace; `path` is for messages, and for the name if the first line has none.
    ///
    /// # Errors
    /// [`TraceError::Line`].
    pub fn parse(path: &Path, text: &str) -> Result<Self, TraceError> {
        let wrong = |line: usize, field, wrong: String| TraceError::Line {
            path: path.to_owned(),
            line: line + 1,
            field,
            wrong,
        };
        let (mut name, mut packet_ms) = (None, None);
        let mut packets: Vec<Packet> = Vec::new();
        for (number, line) in text.lines().enumerate() {
            if let Some(head) = line.strip_prefix('#') {
                for (key, value) in head.split_whitespace().filter_map(|word| word.split_once('=')) {
                    match key {
                        "name" => name = Some(value.to_owned()),
                        "P" => {
                            let length =
                                value.parse::<f64>().ok().filter(|ms| [2.5, 5.0, 10.0, 20.0, 40.0, 60.0].contains(ms));
                            let no = || wrong(number, "P", format!("{value:?} is no length of a packet in ms"));
                            packet_ms = Some(length.ok_or_else(no)?);
                        }
                        _ => {}
                    }
                }
                continue;
            }
            if line.trim().is_empty() || line.starts_with("seq") {
                continue;
            }
            let mut cells = line.split(',').map(str::trim);
            let mut field = |field: &'static str| {
                let cell = cells.next().ok_or_else(|| wrong(number, field, "is missing".to_owned()))?;
                cell.parse::<i64>().map_err(|_| wrong(number, field, format!("{cell:?} is not a whole number")))
            };
            let (seq, send_us, arrival) = (field("seq")?, field("send_us")?, field("arr_us")?);
            let talk = field("talk").unwrap_or(1);
            let seq = u64::try_from(seq).map_err(|_| wrong(number, "seq", format!("{seq} is below zero")))?;
            if packets.last().is_some_and(|before| before.seq >= seq) {
                return Err(wrong(number, "seq", format!("{seq} is not above the one before")));
            }
            if arrival < -1 || arrival >= 0 && arrival < send_us.saturating_sub(60_000_000) {
                return Err(wrong(number, "arr_us", format!("{arrival}: neither -1 nor a time after {send_us}")));
            }
            packets.push(Packet { seq, send_us, arrival_us: (arrival >= 0).then_some(arrival), talk: talk != 0 });
        }
        if packets.iter().filter(|packet| packet.arrival_us.is_some()).count() < 2 {
            return Err(wrong(0, "packets", "fewer than two arrived".to_owned()));
        }
        let packet_ms = match packet_ms {
            Some(ms) => ms,
            None => spacing(&packets)
                .ok_or_else(|| wrong(0, "P", "is missing, and packets are not evenly spaced".into()))?,
        };
        if packet_ms.fract() > 0.0 {
            return Err(wrong(0, "P", format!("{packet_ms}: whole milliseconds only")));
        }
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        let stem = file.trim_end_matches(".gz").trim_end_matches(".csv");
        Ok(Self { name: name.unwrap_or_else(|| stem.to_owned()), packet_ms: packet_ms as u32, packets })
    }

    /// The smallest delay that the network had.
    #[must_use]
    pub fn base_us(&self) -> i64 {
        let delays = self.packets.iter().filter_map(|packet| Some(packet.arrival_us? - packet.send_us));
        delays.min().unwrap_or(0)
    }

    /// When a sample of the stream was captured, on the receiver's clock.
    #[must_use]
    pub fn capture_us(&self, sample: u64) -> i64 {
        let length = u64::from(self.packet_ms) * 48;
        let (seq, inside) = (sample / length, sample % length);
        let place = self.packets.partition_point(|packet| packet.seq <= seq).saturating_sub(1);
        let Some(packet) = self.packets.get(place) else { return 0 };
        let beyond = (seq.saturating_sub(packet.seq) * length + inside) as i64;
        packet.send_us + beyond * 125 / 6
    }

    /// What a packet takes that is sent so long after the beginning; `None` if it is lost. After its end the trace begins
    /// anew.
    #[must_use]
    pub fn delay(&self, since: Span) -> Option<Span> {
        let (first, last) = (self.packets.first()?, self.packets.last()?);
        let span = u64::try_from(last.send_us - first.send_us).ok()? + u64::from(self.packet_ms) * 1000;
        let index = since.as_micros() % span * self.packets.len() as u64 / span;
        let packet = self.packets.get(usize::try_from(index).ok()?)?;
        Some(Span::from_micros(u64::try_from(packet.arrival_us? - packet.send_us).unwrap_or(0)))
    }

    /// The first `seconds` of it.
    #[must_use]
    pub fn head(mut self, seconds: u32) -> Self {
        let end = self.packets.first().map_or(0, |first| first.send_us) + i64::from(seconds) * 1_000_000;
        self.packets.retain(|packet| packet.send_us < end);
        self
    }
}

/// The packet length that the spacing of the first packets tells.
fn spacing(packets: &[Packet]) -> Option<f64> {
    let (first, last) = (packets.first()?, packets.last()?);
    let step = (last.send_us - first.send_us) as f64 / (last.seq - first.seq).max(1) as f64 / 1000.0;
    [2.5, 5.0, 10.0, 20.0, 40.0, 60.0].into_iter().find(|ms| (step / ms - 1.0).abs() < 0.01)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Trace, TraceError> {
        Trace::parse(Path::new("dir/some-20.csv.gz"), text)
    }

    #[test]
    fn a_trace_is_read_with_or_without_its_first_line() {
        let trace = parse("# name=x-20 P=20 ppm=0\n0,0,5000,1\n1,20000,-1,0\n2,40000,45000,1\n").unwrap();
        assert_eq!((trace.name.as_str(), trace.packet_ms, trace.base_us()), ("x-20", 20, 5_000));
        assert_eq!(trace.packets[1], Packet { seq: 1, send_us: 20_000, arrival_us: None, talk: false });
        let trace = parse("0,0,5000\n1,10000,16000\n").unwrap();
        assert_eq!((trace.name.as_str(), trace.packet_ms), ("some-20", 10));
    }

    #[test]
    fn delays_come_back_and_begin_anew() {
        let trace = parse("# P=20\n0,0,5000,1\n1,20000,-1,0\n2,40000,47000,1\n").unwrap();
        let at = |ms| trace.delay(Span::from_millis(ms));
        assert_eq!((at(0), at(20), at(41)), (Some(Span::from_millis(5)), None, Some(Span::from_millis(7))));
        assert_eq!((at(60), at(80)), (at(0), at(20)));
    }

    #[test]
    fn the_traces_of_the_repository_can_be_read_and_others_are_missed_by_name() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/traces");
        let trace = Trace::read(&folder.join("lte-20.csv.gz")).unwrap();
        assert_eq!((trace.packets.len(), trace.packet_ms), (30_000, 20));
        assert!(Trace::read(Path::new("/nowhere.csv")).unwrap_err().to_string().starts_with("/nowhere.csv: "));
    }

    #[test]
    fn what_is_wrong_is_named_with_file_line_and_field() {
        let said = |text| parse(text).unwrap_err().to_string();
        assert_eq!(
            said("# P=20\n0,0,5000,1\n1,x,5,1\n"),
            "dir/some-20.csv.gz, line 3, send_us: \"x\" is not a whole number"
        );
        assert_eq!(said("# P=20\n0,0\n"), "dir/some-20.csv.gz, line 2, arr_us: is missing");
        assert!(said("# P=21\n").ends_with("line 1, P: \"21\" is no length of a packet in ms"));
        assert!(said("# P=20\n1,0,5,1\n1,20000,5,1\n").ends_with("line 3, seq: 1 is not above the one before"));
        assert!(said("# P=20\n0,0,-1,1\n").ends_with("fewer than two arrived"));
    }
}
