//! Where sound comes from and goes to, chosen by URI.
//!
//! `alsa:NAME` is any ALSA device, `file:PATH.wav` a recording paced in real time, `tone:` a synthetic
//! source, `null` silence and a bottomless sink, `auto` a real sound card if there is one. All of them look
//! alike to core: interleaved `i16` at 48 kHz. After opening, nothing here allocates (files excepted) and
//! nothing decides: what went wrong is reported, what to do about it is core's business.

mod alsa_in;
mod alsa_open;
mod alsa_out;
mod alsa_soft;
mod alsa_wait;
mod auto;
mod choice;
mod convert;
pub mod devices;
mod file;
mod layout;
mod pace;
mod pitch;
mod tone;
mod uri;
mod usb;
mod volume;

pub use choice::Choice;
pub use file::parse_wav;
pub use pitch::{Pace, PaceControl};
pub use uri::{Uri, UriError};
pub use volume::{Volume, VolumeError};

use serde::{Deserialize, Serialize};
use soundpost_core::config::{Channels, Direction, TIMING};
use soundpost_core::port::{PcmError, PcmIn, PcmOut, Read};
use soundpost_core::recovery::Step;
use soundpost_core::time::SAMPLE_RATE_HZ;
use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// What the caller wants of a device.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Channels, if the device can.
    pub channels: Channels,
    /// Core gets just these channels, whatever the device has.
    pub exact: bool,
    /// Samples in a period, as near as the device can.
    pub period_samples: u32,
    /// Periods in the device's buffer.
    pub buffer_periods: u32,
    /// A device that moves nothing for so long stands still.
    pub deadline: Duration,
    /// A recording that is there already is gone on with.
    pub append: bool,
}

impl Options {
    /// What every device is asked for.
    #[must_use]
    pub fn of(direction: Direction, channels: Channels) -> Self {
        let buffer_periods = match direction {
            Direction::Capture => TIMING.capture_periods,
            Direction::Playback => TIMING.playback_periods,
        };
        let deadline = Duration::from_micros(TIMING.device_deadline.as_micros());
        Self { channels, exact: false, period_samples: TIMING.period_samples, buffer_periods, deadline, append: false }
    }

    /// What is opened of a device without hardware: it takes the periods that it is asked for.
    fn opened(self, description: String, channels: Channels, format: &'static str) -> Opened {
        let format = format.into();
        Opened {
            description,
            rank: 0,
            channels,
            format,
            rate_hz: SAMPLE_RATE_HZ,
            device_channels: channels.count() as u32,
            picked: None,
            device_period: self.period_samples,
            period_samples: self.period_samples,
            buffer_samples: self.period_samples * self.buffer_periods,
            conversion_samples: 0,
            pace: None,
            card: None,
            volume: None,
        }
    }
}

/// What was opened. Samples are at 48 kHz, whatever the device's own rate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opened {
    /// What it is, in words, and why it was chosen if there was a choice.
    pub description: String,
    /// Its place among the candidates; 0 is the best.
    pub rank: usize,
    /// Channels that core gets or gives.
    pub channels: Channels,
    /// How the device stores a value.
    pub format: Cow<'static, str>,
    /// The device's rate.
    pub rate_hz: u32,
    /// The device's channels.
    pub device_channels: u32,
    /// Which of them are used, counted from 1, if not simply the first ones.
    pub picked: Option<String>,
    /// Samples in a period of the device, which may be moved in parts.
    pub device_period: u32,
    /// Samples that are moved at once.
    pub period_samples: u32,
    /// Samples of its buffer that are used: for playback, the ones that are kept full.
    pub buffer_samples: u32,
    /// Samples that converting the rate holds back.
    pub conversion_samples: u32,
    /// How its clock can be told how fast to run; of no use to another process.
    #[serde(skip)]
    pub pace: Option<Pace>,
    /// The ALSA name of its card's controls, if it is a sound card.
    pub card: Option<String>,
    /// What its card's volume was set to, in words, or why not; `None` if nobody asked for that.
    pub volume: Option<Result<String, VolumeError>>,
}

/// The ALSA name of a device of the card in a USB port.
fn in_port(port: &str, device: u32) -> Result<String, OpenError> {
    let missing = |what| OpenError::Usb { port: port.to_owned(), what };
    usb::card(port).map(|card| format!("hw:{card},{device}")).map_err(missing)
}

impl Opened {
    /// What stands for a device that could not be opened.
    pub(crate) fn nothing(options: Options) -> Self {
        options.opened("none yet".to_owned(), options.channels, "S16")
    }

    fn named(self, uri: &Uri) -> Self {
        Self { description: format!("{uri}: {}", self.description), ..self }
    }

    /// The same, after its card's volume was set if that was asked for.
    #[must_use]
    pub fn with_volume(mut self, volume: Option<&Volume>, direction: Direction) -> Self {
        self.volume = volume.map(|volume| volume.set(direction, &self));
        self
    }

    /// The most that a sample waits on its way through the device: for capture until its period is full, for playback
    /// until what is before it has been played.
    #[must_use]
    pub fn latency_samples(&self, direction: Direction) -> u32 {
        let device = match direction {
            Direction::Capture => self.device_period,
            Direction::Playback => self.buffer_samples,
        };
        device + self.conversion_samples
    }
}

impl fmt::Display for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |samples: u32| f64::from(samples) / 48.0;
        let rate = f64::from(self.rate_hz) / 1000.0;
        write!(f, "{} · {rate} kHz {} {} ch", self.description, self.format, self.device_channels)?;
        if let Some(picked) = &self.picked {
            write!(f, " ({picked} used)")?;
        }
        write!(f, " · period {:.1} ms, buffer {:.1} ms", ms(self.device_period), ms(self.buffer_samples))
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
    /// There is no such USB port, or no sound card in it.
    #[error("usb:{port}: {what}")]
    Usb {
        /// The port.
        port: String,
        /// What is wrong.
        what: String,
    },
    /// The recording is no good.
    #[error("file:{path}: {what}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what is allowed.
        what: String,
    },
    /// None of several devices.
    #[error("none of the devices can be opened: {}", .0.join("; "))]
    None(Vec<String>),
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
    /// Nothing any more.
    Closed,
}

impl Source {
    /// Lets go of the device: many can be opened only once.
    pub fn close(&mut self) {
        *self = Self::Closed;
    }
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
    /// Nothing any more.
    Closed,
}

impl Sink {
    /// Lets go of the device: many can be opened only once.
    pub fn close(&mut self) {
        *self = Self::Closed;
    }
}

/// What a closed device answers.
const CLOSED: PcmError = PcmError::Gone(libc::ENODEV);

/// Opens a device to capture from.
///
/// # Errors
/// [`OpenError`].
pub fn open_capture(uri: &Uri, options: Options) -> Result<(Source, Opened), OpenError> {
    match uri {
        Uri::Alsa(name) => alsa_in::AlsaIn::open(name, options).map(|(pcm, opened)| (Source::Alsa(pcm), opened)),
        Uri::Usb { port, device } => {
            let (pcm, opened) = alsa_in::AlsaIn::open(&in_port(port, *device)?, options)?;
            Ok((Source::Alsa(pcm), opened.named(uri)))
        }
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
        Uri::Usb { port, device } => {
            let (pcm, opened) = alsa_out::AlsaOut::open(&in_port(port, *device)?, options)?;
            Ok((Sink::Alsa(pcm), opened.named(uri)))
        }
        Uri::File { path, repeat: false } => {
            file::WavOut::create(path, options).map(|(pcm, opened)| (Sink::File(pcm), opened))
        }
        Uri::File { repeat: true, .. } | Uri::Tone(_) => Err(OpenError::Direction {
            uri: uri.clone(),
            direction: "playback",
            allowed: "alsa:NAME, usb:PORT, file:PATH.wav, null or auto",
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
            Self::Closed => 1,
        }
    }

    fn period(&self) -> usize {
        match self {
            Self::Alsa(pcm) => pcm.period(),
            Self::File(pcm) => pcm.period(),
            Self::Tone(pcm) => pcm.period(),
            Self::Closed => 1,
        }
    }

    fn read(&mut self, into: &mut [i16]) -> Result<Read, PcmError> {
        match self {
            Self::Alsa(pcm) => pcm.read(into),
            Self::File(pcm) => pcm.read(into),
            Self::Tone(pcm) => pcm.read(into),
            Self::Closed => Err(CLOSED),
        }
    }

    fn recover(&mut self, step: Step) -> Result<(), PcmError> {
        match self {
            Self::Alsa(pcm) => pcm.recover(step),
            Self::File(pcm) => pcm.recover(step),
            Self::Tone(pcm) => pcm.recover(step),
            Self::Closed => Err(CLOSED),
        }
    }
}

impl PcmOut for Sink {
    fn channels(&self) -> usize {
        match self {
            Self::Alsa(pcm) => pcm.channels(),
            Self::File(pcm) => pcm.channels(),
            Self::Null(pcm) => pcm.channels(),
            Self::Closed => 1,
        }
    }

    fn period(&self) -> usize {
        match self {
            Self::Alsa(pcm) => pcm.period(),
            Self::File(pcm) => pcm.period(),
            Self::Null(pcm) => pcm.period(),
            Self::Closed => 1,
        }
    }

    fn wait(&mut self) -> Result<(), PcmError> {
        match self {
            Self::Alsa(pcm) => pcm.wait(),
            Self::File(pcm) => pcm.wait(),
            Self::Null(pcm) => pcm.wait(),
            Self::Closed => Err(CLOSED),
        }
    }

    fn queued(&mut self) -> u32 {
        match self {
            Self::Alsa(pcm) => pcm.queued(),
            Self::File(pcm) => pcm.queued(),
            Self::Null(pcm) => pcm.queued(),
            Self::Closed => 0,
        }
    }

    fn write(&mut self, from: &[i16]) -> Result<(), PcmError> {
        match self {
            Self::Alsa(pcm) => pcm.write(from),
            Self::File(pcm) => pcm.write(from),
            Self::Null(pcm) => pcm.write(from),
            Self::Closed => Err(CLOSED),
        }
    }

    fn recover(&mut self, step: Step) -> Result<(), PcmError> {
        match self {
            Self::Alsa(pcm) => pcm.recover(step),
            Self::File(pcm) => pcm.recover(step),
            Self::Null(pcm) => pcm.recover(step),
            Self::Closed => Err(CLOSED),
        }
    }
}
