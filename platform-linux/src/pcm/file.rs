//! Recordings as devices: a WAV file that is played in, or written, at the pace of a sound card.
//!
//! A file to capture from is read whole when it is opened. A file to play to is written on the audio thread:
//! good enough for a recording, and the reason why nobody should put one on a slow card. Its header is
//! brought up to date every second, so that what a killed process leaves can be heard.

use super::pace::{Pacer, Queue};
use super::{OpenError, Opened, Options};
use hound::{SampleFormat, WavReader, WavSpec, WavWriter};
use soundpost_core::config::Channels;
use soundpost_core::port::{PcmError, PcmIn, PcmOut, Read};
use soundpost_core::recovery::Step;
use soundpost_core::time::SAMPLE_RATE_HZ;
use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

/// The largest recording that is taken: it is held in memory.
const BYTES_MAX: u64 = 64 << 20;

/// The most values that a recording may get: a WAV header counts bytes in 32 bits, itself included. Over six
/// hours of stereo. What counts for it does not look out for that itself.
const VALUES_MAX: u32 = (u32::MAX - 1024) / 2;

/// A recording that sound comes from.
#[derive(Debug)]
pub struct WavIn {
    values: Vec<i16>,
    at: usize,
    channels: Channels,
    repeat: bool,
    period: usize,
    pacer: Pacer,
}

impl WavIn {
    pub(super) fn open(path: &Path, repeat: bool, options: Options) -> Result<(Self, Opened), OpenError> {
        let fault = |what: String| OpenError::File { path: path.to_owned(), what };
        let (channels, values, format) = load(path).map_err(fault)?;
        if values.is_empty() {
            return Err(fault("it holds no sound".to_owned()));
        }
        let seconds = values.len() as f64 / channels.count() as f64 / f64::from(SAMPLE_RATE_HZ);
        let opened = options.opened(
            format!("{} ({seconds:.1} s{})", path.display(), if repeat { ", looped" } else { "" }),
            channels,
            format,
        );
        let period = options.period_samples as usize;
        Ok((Self { values, at: 0, channels, repeat, period, pacer: Pacer::new(options) }, opened))
    }
}

/// Reads a whole file, or says what is wrong with it.
fn load(path: &Path) -> Result<(Channels, Vec<i16>, &'static str), String> {
    let metadata = std::fs::metadata(path).map_err(|error| error.to_string())?;
    // A pipe may keep us waiting, and a device may never end.
    if !metadata.is_file() {
        return Err("it is not a regular file".to_owned());
    }
    let size = metadata.len();
    if size > BYTES_MAX {
        return Err(format!("it has {} MB; allowed: up to {} MB", size >> 20, BYTES_MAX >> 20));
    }
    let bytes = std::fs::read(path).map_err(|error| error.to_string())?;
    parse_wav(&bytes, &path.display().to_string())
}

/// Reads the bytes of a file, or says what is wrong with them. The name is for the person who has to mend it.
///
/// # Errors
/// What is wrong, in words.
pub fn parse_wav(bytes: &[u8], name: &str) -> Result<(Channels, Vec<i16>, &'static str), String> {
    let mut reader = WavReader::new(bytes).map_err(|error| match error {
        // Memory has no other trouble than ending too early.
        hound::Error::IoError(_) => "it is cut short: the WAV header is incomplete".to_owned(),
        hound::Error::FormatError(what) => format!("it is not a WAV file that can be read: {what}"),
        hound::Error::Unsupported => {
            "its coding is not supported; allowed: PCM of 16, 24 or 32 bits, or 32-bit float".to_owned()
        }
        other => other.to_string(),
    })?;
    let spec = reader.spec();
    let channels = Channels::from_count(u32::from(spec.channels)).map_err(|error| error.to_string())?;
    if spec.sample_rate != SAMPLE_RATE_HZ {
        return Err(format!(
            "it runs at {} Hz; allowed: 48000 Hz (convert it: sox {name} -r 48000 out.wav)",
            spec.sample_rate
        ));
    }
    let promised = reader.len() as usize;
    let mut values = Vec::with_capacity(promised.min(bytes.len() / 2));
    let format = match (spec.sample_format, spec.bits_per_sample) {
        (SampleFormat::Int, 16) => {
            values.extend(reader.samples::<i16>().map_while(Result::ok));
            "S16"
        }
        (SampleFormat::Int, bits @ (24 | 32)) => {
            values.extend(reader.samples::<i32>().map_while(Result::ok).map(|value| (value >> (bits - 16)) as i16));
            if bits == 24 { "S24" } else { "S32" }
        }
        (SampleFormat::Float, 32) => {
            values.extend(reader.samples::<f32>().map_while(Result::ok).map(|v| (v * 32_768.0).round() as i16));
            "FLOAT"
        }
        (_, bits) => {
            return Err(format!("it has {bits} bits a sample; allowed: PCM of 16, 24 or 32 bits, or 32-bit float"));
        }
    };
    if values.len() < promised {
        return Err(format!("it is cut short: its header promises {promised} values, {} are there", values.len()));
    }
    Ok((channels, values, format))
}

impl PcmIn for WavIn {
    fn channels(&self) -> usize {
        self.channels.count()
    }

    fn period(&self) -> usize {
        self.period
    }

    fn read(&mut self, into: &mut [i16]) -> Result<Read, PcmError> {
        if self.at >= self.values.len() {
            if !self.repeat {
                return Err(PcmError::Ended);
            }
            self.at = 0;
        }
        let rest = &self.values[self.at..];
        let values = rest.len().min(into.len());
        let samples = values / self.channels.count();
        let pending = self.pacer.wait(samples as u64)?;
        into[..values].copy_from_slice(&rest[..values]);
        self.at += values;
        self.pacer.advance(samples as u64);
        Ok(Read { samples: samples as u32, pending: u32::try_from(pending).unwrap_or(u32::MAX) })
    }

    fn recover(&mut self, _step: Step) -> Result<(), PcmError> {
        self.pacer.restart();
        Ok(())
    }
}

/// A recording that sound goes to.
pub struct WavOut {
    /// `None` once it is closed.
    writer: Option<WavWriter<BufWriter<File>>>,
    channels: Channels,
    queue: Queue,
    since_flush: usize,
    /// Values that still fit.
    room: u32,
}

impl std::fmt::Debug for WavOut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WavOut").field("channels", &self.channels).finish_non_exhaustive()
    }
}

impl WavOut {
    pub(super) fn create(path: &Path, options: Options) -> Result<(Self, Opened), OpenError> {
        let spec = WavSpec {
            channels: options.channels.count() as u16,
            sample_rate: SAMPLE_RATE_HZ,
            bits_per_sample: 16,
            sample_format: SampleFormat::Int,
        };
        let found = options.append.then(|| WavWriter::append(path).ok()).flatten();
        let fits = |writer: &WavWriter<_>| writer.spec() == spec;
        let writer = found.filter(fits).map_or_else(|| WavWriter::create(path, spec), Ok);
        let writer = writer
            .map_err(|error| OpenError::File { path: path.to_owned(), what: format!("cannot write it: {error}") })?;
        let opened = options.opened(format!("recording to {}", path.display()), options.channels, "S16");
        let queue = Queue::new(options);
        let room = VALUES_MAX.saturating_sub(writer.len());
        Ok((Self { writer: Some(writer), channels: options.channels, queue, since_flush: 0, room }, opened))
    }

    fn record(&mut self, from: &[i16]) -> Result<(), hound::Error> {
        let Some(writer) = &mut self.writer else { return Ok(()) };
        for value in from {
            writer.write_sample(*value)?;
        }
        self.since_flush += from.len() / self.channels.count();
        if self.since_flush >= SAMPLE_RATE_HZ as usize {
            self.since_flush = 0;
            writer.flush()?;
        }
        Ok(())
    }
}

impl PcmOut for WavOut {
    fn channels(&self) -> usize {
        self.channels.count()
    }

    fn period(&self) -> usize {
        self.queue.period()
    }

    fn wait(&mut self) -> Result<(), PcmError> {
        self.queue.wait()
    }

    fn queued(&mut self) -> u32 {
        self.queue.queued()
    }

    fn write(&mut self, from: &[i16]) -> Result<(), PcmError> {
        let left = u32::try_from(from.len()).ok().and_then(|values| self.room.checked_sub(values));
        self.room = left.ok_or(PcmError::Gone(libc::EFBIG))?;
        let failed = |error| match error {
            hound::Error::IoError(error) => PcmError::Gone(error.raw_os_error().unwrap_or(libc::EIO)),
            _ => PcmError::Gone(libc::EIO),
        };
        self.record(from).map_err(failed)?;
        self.queue.write()
    }

    fn recover(&mut self, _step: Step) -> Result<(), PcmError> {
        self.queue.restart();
        Ok(())
    }
}

impl Drop for WavOut {
    fn drop(&mut self) {
        if let Some(Err(error)) = self.writer.take().map(WavWriter::finalize) {
            tracing::error!("the recording is incomplete: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn options(channels: Channels) -> Options {
        Options {
            channels,
            exact: false,
            period_samples: 128,
            buffer_periods: 32,
            deadline: Duration::from_secs(1),
            append: false,
        }
    }

    /// A WAV file with the given header fields and `data` behind it.
    fn wav(channels: u16, rate: u32, bits: u16, promised: u32, data: &[u8]) -> Vec<u8> {
        let block = channels * bits / 8;
        let mut bytes = Vec::new();
        bytes.extend(b"RIFF");
        bytes.extend((36 + promised).to_le_bytes());
        bytes.extend(b"WAVEfmt ");
        bytes.extend(16_u32.to_le_bytes());
        bytes.extend([1_u16.to_le_bytes(), channels.to_le_bytes()].concat());
        bytes.extend([rate.to_le_bytes(), (rate * u32::from(block)).to_le_bytes()].concat());
        bytes.extend([block.to_le_bytes(), bits.to_le_bytes()].concat());
        bytes.extend(b"data");
        bytes.extend(promised.to_le_bytes());
        bytes.extend(data);
        bytes
    }

    fn open(bytes: &[u8]) -> Result<WavIn, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.wav");
        std::fs::write(&path, bytes).unwrap();
        WavIn::open(&path, false, options(Channels::Mono)).map(|(wav, _)| wav).map_err(|e| e.to_string())
    }

    #[test]
    fn bad_recordings_are_refused_with_the_reason() {
        let whole = wav(1, 48_000, 16, 960, &[0; 960]);
        for (bytes, reason) in [
            (Vec::new(), "cut short"),
            (b"OggS and so on, no WAV at all, not even a bit of it here".to_vec(), "not a WAV file"),
            (whole[..20].to_vec(), "cut short"),
            (whole[..500].to_vec(), "its header promises 480 values, 228 are there"),
            (wav(0, 48_000, 16, 0, &[]), "file:"),
            (wav(3, 48_000, 16, 960, &[0; 960]), "3 channels are not supported; allowed: 1 (mono) or 2 (stereo)"),
            (wav(1, 22_050, 16, 960, &[0; 960]), "22050 Hz; allowed: 48000 Hz"),
            (wav(1, 48_000, 8, 960, &[0; 960]), "8 bits a sample; allowed"),
            (wav(1, 48_000, 16, 0, &[]), "holds no sound"),
        ] {
            let error = open(&bytes).map(|_| ()).unwrap_err();
            assert!(error.contains(reason) && error.contains("x.wav"), "{reason}: {error}");
        }
        assert!(open(&whole).is_ok());
    }

    #[test]
    fn only_a_regular_file_is_read() {
        // The first has no end, the second is a directory.
        for path in ["/dev/zero", "/"] {
            let error = WavIn::open(Path::new(path), false, options(Channels::Mono)).unwrap_err().to_string();
            assert!(error.contains("not a regular file"), "{error}");
        }
    }

    #[test]
    fn a_recording_ends_before_its_header_runs_over() {
        let dir = tempfile::tempdir().unwrap();
        let (mut out, _) = WavOut::create(&dir.path().join("out.wav"), options(Channels::Mono)).unwrap();
        out.room = 128;
        assert_eq!(out.write(&[1; 128]), Ok(()));
        assert_eq!(out.write(&[1; 128]), Err(PcmError::Gone(libc::EFBIG)));
    }

    #[test]
    fn any_cut_of_a_recording_is_an_error_and_never_a_panic() {
        let whole = wav(2, 48_000, 24, 600, &[7; 600]);
        for length in 0..whole.len() {
            assert!(open(&whole[..length]).is_err(), "{length}");
        }
    }

    #[test]
    fn what_is_recorded_can_be_played_and_ends() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out.wav");
        let (mut out, _) = WavOut::create(&path, options(Channels::Stereo)).unwrap();
        let ramp: Vec<i16> = (0..256).collect();
        out.write(&ramp).unwrap();
        drop(out);
        let (mut back, opened) = WavIn::open(&path, false, options(Channels::Mono)).unwrap();
        assert_eq!(opened.channels, Channels::Stereo);
        let mut values = [0; 256];
        assert_eq!(back.read(&mut values).unwrap().samples, 128);
        assert_eq!(values[..], ramp[..]);
        assert_eq!(back.read(&mut values), Err(PcmError::Ended));
    }
}
