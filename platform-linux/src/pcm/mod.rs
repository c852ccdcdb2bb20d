//! Where sound comes from and goes to, chosen by URI.
//!
//! `alsa:NAME` is any ALSA device, `file:PATH.wav` a recording paced in real time, `tone:` a synthetic
//! source, `null` silence and a bottomless sink, `auto` a real sound card if there is one. All of them look
//! alike to core: interleaved `i16` at 48 kHz. After opening, nothing here allocates (files excepted) and
//! nothing decides: what went wrong is reported, what to do about it is core's business.

mod alsa_in;
mod alsa_open;
mod alsa_out;
mod auto;
pub mod devices;
mod file;
mod pace;
mod tone;
mod uri;

pub use file::parse_wav;
pub use uri::{Uri, UriError};

use soundpost_core::config::Channels;
use soundpost_core::port::{PcmError, PcmIn, PcmOut, Read};
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// What the caller wants of a device.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Channels, if the device can.
    pub channels: Channels,
    /// Samples in a period, as near as the device can.
    pub period_samples: u32,
    /// Periods in the device's buffer.
    pub buffer_periods: u32,
    /// A device that moves nothing for so long stands still.
    pub deadline: Duration,
}

impl Options {
    /// What is opened of a device without hardware: it takes the periods that it is asked for.
    fn opened(self, description: String, channels: Channels, format: &'static str) -> Opened {
        Opened {
            description,
            channels,
            format,
            period_samples: self.period_samples,
            buffer_samples: self.period_samples * self.buffer_periods,
        }
    }
}

/// What was opened.
#[derive(Clone, Debug)]
pub struct Opened {
    /// What it is, in words; for `auto` also why.
    pub description: String,
    /// Channels.
    pub channels: Channels,
    /// How the device stores a value.
    pub format: &'static str,
    /// Samples in a period.
    pub period_samples: u32,
    /// Samples of its buffer that are used: for playback, the ones that are kept full.
    pub buffer_samples: u32,
}

impl fmt::Display for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |samples: u32| f64::from(samples) / 48.0;
        write!(
            f,
            "{} · 48 kHz {} {} ch · period {:.1} ms, buffer {:.1} ms",
            self.description,
            self.format,
            self.channels.count(),
            ms(self.period_samples),
            ms(self.buffer_samples)
        )
    }
}

/// Why a device could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// ALSA said no.
    #[error("alsa:{name}: {what}{hint}")]
    Alsa {
        /// The ALSA name.
        name: String,
        /// What is wrong.
        what: String,
        /// What to do about it.
        hint: String,
    },
    /// The recording is no good.
    #[error("file:{path}: {what}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what is allowed.
        what: String,
    },
    /// The URI does not name a device for that direction.
    #[error("{uri} cannot be used for {direction}; allowed: {allowed}")]
    Direction {
        /// What was asked for.
        uri: Uri,
        /// `capture` or `playback`.
        direction: &'static str,
        /// What can be.
        allowed: &'static str,
    },
}

/// A device that sound comes from.
#[derive(Debug)]
pub enum Source {
    /// An ALSA device.
    Alsa(alsa_in::AlsaIn),
    /// A recording.
    File(file::WavIn),
    /// A synthetic source, or silence.
    Tone(tone::Tone),
}

/// A device that sound goes to.
#[derive(Debug)]
pub enum Sink {
    /// An ALSA device.
    Alsa(alsa_out::AlsaOut),
    /// A recording.
    File(file::WavOut),
    /// Nowhere, in real time.
    Null(pace::NullOut),
}

/// Opens a device to capture from.
///
/// # Errors
/// [`OpenError`].
pub fn open_capture(uri: &Uri, options: Options) -> Result<(Source, Opened), OpenError> {
    match uri {
        Uri::Alsa(name) => alsa_in::AlsaIn::open(name, options).map(|(pcm, opened)| (Source::Alsa(pcm), opened)),
        Uri::File { path, repeat } => {
            file::WavIn::open(path, *repeat, options).map(|(pcm, opened)| (Source::File(pcm), opened))
        }
        Uri::Tone(hertz) => {
            let (tone, opened) = tone::Tone::open(*hertz, options);
            Ok((Source::Tone(tone), opened))
        }
        Uri::Null => {
            let (silence, opened) = tone::Tone::silence(options);
            Ok((Source::Tone(silence), opened))
        }
        Uri::Auto => auto::open_capture(options),
    }
}

/// Opens a device to play on.
///
/// # Errors
/// [`OpenError`].
pub fn open_playback(uri: &Uri, options: Options) -> Result<(Sink, Opened), OpenError> {
    match uri {
        Uri::Alsa(name) => alsa_out::AlsaOut::open(name, options).map(|(pcm, opened)| (Sink::Alsa(pcm), opened)),
        Uri::File { path, repeat: false } => {
            file::WavOut::create(path, options).map(|(pcm, opened)| (Sink::File(pcm), opened))
        }
        Uri::File { repeat: true, .. } | Uri::Tone(_) => Err(OpenError::Direction {
            uri: uri.clone(),
            direction: "playback",
            allowed: "alsa:NAME, file:PATH.wav, null or auto",
        }),
        Uri::Null => {
            let (null, opened) = pace::NullOut::open(options);
            Ok((Sink::Null(null), opened))
        }
        Uri::Auto => auto::open_playback(options),
    }
}

/// What stands in for a source that is lost: silence.
#[must_use]
pub fn no_source(options: Options) -> Source {
    Source::Tone(tone::Tone::silence(options).0)
}

/// What stands in for a sink that is lost.
#[must_use]
pub fn no_sink(options: Options) -> Sink {
    Sink::Null(pace::NullOut::open(options).0)
}

impl PcmIn for Source {
    fn channels(&self) -> usize {
        match self {
            Self::Alsa(pcm) => pcm.channels(),
            Self::File(pcm) => pcm.channels(),
            Self::Tone(pcm) => pcm.channels(),
        }
    }

    fn period(&self) -> usize {
        match self {
            Self::Alsa(pcm) => pcm.period(),
            Self::File(pcm) => pcm.period(),
            Self::Tone(pcm) => pcm.period(),
        }
    }

    fn read(&mut self, into: &mut [i16]) -> Result<Read, PcmError> {
        match self {
            Self::Alsa(pcm) => pcm.read(into),
            Self::File(pcm) => pcm.read(into),
            Self::Tone(pcm) => pcm.read(into),
        }
    }

    fn recover(&mut self, why: PcmError) -> Result<(), PcmError> {
        match self {
            Self::Alsa(pcm) => pcm.recover(why),
            Self::File(pcm) => pcm.recover(why),
            Self::Tone(pcm) => pcm.recover(why),
        }
    }
}

impl PcmOut for Sink {
    fn channels(&self) -> usize {
        match self {
            Self::Alsa(pcm) => pcm.channels(),
            Self::File(pcm) => pcm.channels(),
            Self::Null(pcm) => pcm.channels(),
        }
    }

    fn period(&self) -> usize {
        match self {
            Self::Alsa(pcm) => pcm.period(),
            Self::File(pcm) => pcm.period(),
            Self::Null(pcm) => pcm.period(),
        }
    }

    fn wait(&mut self) -> Result<(), PcmError> {
        match self {
            Self::Alsa(pcm) => pcm.wait(),
            Self::File(pcm) => pcm.wait(),
            Self::Null(pcm) => pcm.wait(),
        }
    }

    fn queued(&mut self) -> u32 {
        match self {
            Self::Alsa(pcm) => pcm.queued(),
            Self::File(pcm) => pcm.queued(),
            Self::Null(pcm) => pcm.queued(),
        }
    }

    fn write(&mut self, from: &[i16]) -> Result<(), PcmError> {
        match self {
            Self::Alsa(pcm) => pcm.write(from),
            Self::File(pcm) => pcm.write(from),
            Self::Null(pcm) => pcm.write(from),
        }
    }

    fn recover(&mut self, why: PcmError) -> Result<(), PcmError> {
        match self {
            Self::Alsa(pcm) => pcm.recover(why),
            Self::File(pcm) => pcm.recover(why),
            Self::Null(pcm) => pcm.recover(why),
        }
    }
}
