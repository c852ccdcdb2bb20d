//! Opening an ALSA device: agree on a format, on channels, on small periods, or say precisely why not.

use super::{OpenError, Opened, Options};
use alsa::pcm::{Access, Format, Frames, HwParams, PCM};
use alsa::{Direction, Output, ValueOr};
use soundpost_core::config::{Channels, TIMING};
use soundpost_core::port::PcmError;
use soundpost_core::time::SAMPLE_RATE_HZ;
use std::ffi::CString;
use std::time::Duration;

/// How a device stores a value, and how to get at its upper 16 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    S16,
    S32,
    S24,
    S24Packed,
    Float,
}

/// In the order of preference: 16 bits are what the codec takes.
const LAYOUTS: [(Layout, Format, &str); 5] = [
    (Layout::S16, Format::s16(), "S16"),
    (Layout::S32, Format::s32(), "S32"),
    (Layout::S24, Format::s24(), "S24"),
    (Layout::S24Packed, Format::s24_3(), "S24_3"),
    (Layout::Float, Format::float(), "FLOAT"),
];

impl Layout {
    /// Bytes of a value.
    pub(super) const fn bytes(self) -> usize {
        match self {
            Self::S16 => 2,
            Self::S24Packed => 3,
            Self::S32 | Self::S24 | Self::Float => 4,
        }
    }

    /// Device bytes to values.
    pub(super) fn decode(self, bytes: &[u8], into: &mut [i16]) {
        for (value, raw) in into.iter_mut().zip(bytes.chunks_exact(self.bytes())) {
            *value = match (self, raw) {
                (Self::S16, &[a, b]) => i16::from_ne_bytes([a, b]),
                (Self::S32, &[a, b, c, d]) => (i32::from_ne_bytes([a, b, c, d]) >> 16) as i16,
                (Self::S24, &[a, b, c, d]) => (i32::from_ne_bytes([a, b, c, d]) >> 8) as i16,
                (Self::S24Packed, &[a, b, c]) if cfg!(target_endian = "big") => {
                    let _ = c;
                    i16::from_be_bytes([a, b])
                }
                (Self::S24Packed, &[_, b, c]) => i16::from_le_bytes([b, c]),
                (Self::Float, &[a, b, c, d]) => (f32::from_ne_bytes([a, b, c, d]) * 32_768.0).round() as i16,
                _ => 0,
            };
        }
    }

    /// Values to device bytes.
    pub(super) fn encode(self, from: &[i16], into: &mut [u8]) {
        for (value, raw) in from.iter().zip(into.chunks_exact_mut(self.bytes())) {
            let wide = i32::from(*value);
            match self {
                Self::S16 => raw.copy_from_slice(&value.to_ne_bytes()),
                Self::S32 => raw.copy_from_slice(&(wide << 16).to_ne_bytes()),
                Self::S24 => raw.copy_from_slice(&(wide << 8).to_ne_bytes()),
                Self::S24Packed => {
                    let [a, b] = value.to_ne_bytes();
                    raw.copy_from_slice(&if cfg!(target_endian = "big") { [a, b, 0] } else { [0, a, b] });
                }
                Self::Float => raw.copy_from_slice(&(f32::from(*value) / 32_768.0).to_ne_bytes()),
            }
        }
    }
}

/// A device that agreed.
pub(super) struct Agreed {
    pub(super) pcm: PCM,
    pub(super) layout: Layout,
    /// Samples in the device's buffer, used or not.
    pub(super) device_buffer: u32,
    pub(super) opened: Opened,
}

/// Opens `name` and agrees on everything that hardware decides.
pub(super) fn open(name: &str, direction: Direction, options: Options) -> Result<Agreed, OpenError> {
    // What libasound would print goes here instead, and into the error.
    let said = Output::local_error_handler().ok();
    let chatter = || {
        let text = said.as_ref().map(|said| said.borrow().buffer_string(|b| String::from_utf8_lossy(b).into_owned()));
        text.unwrap_or_default()
    };
    let c_name =
        CString::new(name).map_err(|_| refusal(name, "no such device: its name has a NUL in it".to_owned()))?;
    let pcm = PCM::open(&c_name, direction, true).map_err(|error| refused(name, direction, error, &chatter()))?;
    let agreed = agree(&pcm, direction, options).map_err(|(what, hint)| OpenError::Alsa {
        name: name.to_owned(),
        what: what + &last_words(&chatter()),
        hint,
    });
    let (layout, device_buffer, mut opened) = agreed?;
    opened.description = match pcm.info().ok().and_then(|info| info.get_name().map(str::to_owned).ok()) {
        Some(text) if !text.is_empty() && text != name => format!("alsa:{name} ({text})"),
        _ => format!("alsa:{name}"),
    };
    let words = chatter();
    if !words.is_empty() {
        tracing::debug!("libasound on {name}: {}", words.trim());
    }
    Ok(Agreed { pcm, layout, device_buffer, opened })
}

type Refusal = (String, String);

fn agree(pcm: &PCM, direction: Direction, options: Options) -> Result<(Layout, u32, Opened), Refusal> {
    let trouble = |doing: &'static str| move |error: alsa::Error| (format!("{doing}: {}", words(error)), String::new());
    let params = HwParams::any(pcm).map_err(trouble("it offers no configuration"))?;
    params.set_access(Access::RWInterleaved).map_err(trouble("it cannot be read or written interleaved"))?;
    let (layout, format, format_name) = *LAYOUTS
        .iter()
        .find(|(_, format, _)| params.test_format(*format).is_ok())
        .ok_or_else(|| ("it offers none of the formats S16, S32, S24, S24_3, FLOAT".to_owned(), PLUG.to_owned()))?;
    params.set_format(format).map_err(trouble("its format"))?;
    let channels = choose_channels(&params, options.channels)?;
    params.set_channels(channels.count() as u32).map_err(trouble("its channels"))?;
    if params.test_rate(SAMPLE_RATE_HZ).is_err() {
        let range = match (params.get_rate_min(), params.get_rate_max()) {
            (Ok(min), Ok(max)) if min == max => format!("{min} Hz"),
            (Ok(min), Ok(max)) => format!("{min} to {max} Hz"),
            _ => "other rates".to_owned(),
        };
        return Err((format!("it does not run at 48000 Hz; it offers {range}"), PLUG.to_owned()));
    }
    params.set_rate(SAMPLE_RATE_HZ, ValueOr::Nearest).map_err(trouble("its rate"))?;
    let period = params.set_period_size_near(Frames::from(options.period_samples as i32), ValueOr::Nearest);
    let period = period.map_err(trouble("its period"))?;
    // For playback, too, much more than is kept full. A card whose position moves in steps (a tick of the kernel,
    // a USB frame) can go round a ring of two of them unnoticed, and then stands still for us.
    let periods = options.buffer_periods.max(TIMING.capture_periods);
    let buffer = params.set_buffer_size_near(period.saturating_mul(Frames::from(periods as i32)));
    let buffer = buffer.map_err(trouble("its buffer"))?;
    pcm.hw_params(&params).map_err(trouble("it does not take its own parameters"))?;
    let (period, device_buffer) = (u32::try_from(period).unwrap_or(0), u32::try_from(buffer).unwrap_or(0));
    if period == 0 || device_buffer < 2 * period {
        let what = format!("its period is {period} and its buffer {device_buffer} samples");
        return Err((what, "; allowed: at least two periods in a buffer".to_owned()));
    }
    let buffer_samples = match direction {
        Direction::Capture => device_buffer,
        Direction::Playback => used(period, device_buffer, options.buffer_periods),
    };
    let period_samples = portion(period);
    let opened = Opened { description: String::new(), channels, format: format_name, period_samples, buffer_samples };
    Ok((layout, device_buffer, opened))
}

/// The share of a device's period that is moved at once: all of it, or an equal part that core can take.
/// `dmix`, and with it many a `default`, insists on 1024.
const fn portion(period: u32) -> u32 {
    period / period.div_ceil(soundpost_core::capacity::PERIOD_SAMPLES_MAX as u32)
}

/// How much of a device's buffer is kept full: what was asked for, even if the device insists on more, for
/// what is in it is delay. Never less than two of its periods: while it plays one, the next must be there.
fn used(period: u32, buffer: u32, periods: u32) -> u32 {
    period.saturating_mul(periods.max(2)).min(buffer)
}

const PLUG: &str = " (plughw: devices and `default` convert)";

/// The wanted number of channels, or the other one that core can convert.
fn choose_channels(params: &HwParams<'_>, wanted: Channels) -> Result<Channels, Refusal> {
    let other = match wanted {
        Channels::Mono => Channels::Stereo,
        Channels::Stereo => Channels::Mono,
    };
    let fits = |channels: &Channels| params.test_channels(channels.count() as u32).is_ok();
    [wanted, other].into_iter().find(fits).ok_or_else(|| {
        let range = match (params.get_channels_min(), params.get_channels_max()) {
            (Ok(min), Ok(max)) if min == max => format!("{min}"),
            (Ok(min), Ok(max)) => format!("{min} to {max}"),
            _ => "other numbers".to_owned(),
        };
        (format!("it has neither 1 nor 2 channels; it offers {range}"), PLUG.to_owned())
    })
}

fn no_such_device(direction: Direction) -> Refusal {
    let known = super::devices::names(direction);
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    ("no such device".to_owned(), format!("; ALSA knows: {known}. `soundpost devices` tells more"))
}

/// An error of `snd_pcm_open`, with what to do about it.
fn refused(name: &str, direction: Direction, error: alsa::Error, chatter: &str) -> OpenError {
    // Of a card that is not there, alsa-lib says EINVAL, and in words what it means.
    let no_card = chatter.contains("Cannot get card index");
    let (what, hint) = match error.errno() {
        libc::ENOENT | libc::ENODEV | libc::ENXIO => no_such_device(direction),
        libc::EINVAL if no_card => no_such_device(direction),

        libc::EBUSY => ("another program is using it".to_owned(), "; `fuser -v /dev/snd/*` tells which".to_owned()),
        libc::EACCES | libc::EPERM => {
            ("permission denied".to_owned(), "; add the user to the group `audio`".to_owned())
        }
        _ => (format!("cannot open it: {}", words(error)), last_words(chatter)),
    };
    OpenError::Alsa { name: name.to_owned(), what, hint }
}

/// What libasound complained about last, in parentheses.
fn last_words(chatter: &str) -> String {
    chatter.lines().last().map_or_else(String::new, |line| format!(" ({})", line.trim()))
}

/// An error that says all there is to say.
pub(super) fn refusal(name: &str, what: String) -> OpenError {
    OpenError::Alsa { name: name.to_owned(), what, hint: String::new() }
}

/// A device without a clock gives and takes as much as it is asked for: at real-time priority that would be
/// a thread that never sleeps.
pub(super) fn no_clock(name: &str) -> OpenError {
    OpenError::Alsa {
        name: name.to_owned(),
        what: "it keeps no time (it gives or takes any amount at once)".to_owned(),
        hint: "; `null` is silence, or a sink, in real time".to_owned(),
    }
}

/// After a wake-up that came before there was anything to do: sleeps for half of what is missing, so that a
/// device which always wakes early cannot keep a real-time thread busy.
pub(super) fn nap(missing: usize) {
    std::thread::sleep(Duration::from_nanos(missing as u64 * 500_000_000 / u64::from(SAMPLE_RATE_HZ)));
}

/// What the system says, without the name of the function that said it.
pub(super) fn words(error: alsa::Error) -> String {
    std::io::Error::from_raw_os_error(error.errno()).to_string()
}

/// An error of a running device, in core's terms.
pub(super) fn running(error: alsa::Error) -> PcmError {
    match error.errno() {
        libc::EPIPE => PcmError::Xrun,
        libc::ESTRPIPE => PcmError::Suspended,
        errno => PcmError::Gone(errno),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_layout_gives_back_what_it_was_given() {
        let values = [0, 1, -1, 12_345, -12_345, i16::MAX, i16::MIN];
        for (layout, _, name) in LAYOUTS {
            let mut bytes = vec![0xaa; values.len() * layout.bytes()];
            layout.encode(&values, &mut bytes);
            let mut back = [0; 7];
            layout.decode(&bytes, &mut back);
            assert_eq!(back, values, "{name}");
        }
    }

    #[test]
    fn long_periods_are_moved_in_equal_parts_that_core_can_take() {
        for (period, part) in [(1, 1), (64, 64), (128, 128), (960, 960), (1024, 512), (1920, 960), (4096, 819)] {
            assert_eq!(portion(period), part);
        }
    }

    #[test]
    fn a_large_buffer_is_not_filled_and_a_small_one_is_not_overfilled() {
        assert_eq!(used(128, 384, 3), 384);
        assert_eq!(used(128, 16_384, 3), 384);
        assert_eq!(used(128, 300, 3), 300);
        assert_eq!(used(128, 300, 1), 256);
        assert_eq!(used(1024, 2048, u32::MAX), 2048);
    }

    #[test]
    fn a_name_with_a_nul_is_refused_and_does_not_panic() {
        let options =
            Options { channels: Channels::Mono, period_samples: 128, buffer_periods: 3, deadline: Duration::ZERO };
        assert!(open("a\0b", Direction::Capture, options).is_err());
    }

    #[test]
    fn loud_floats_are_clipped() {
        let mut value = [0];
        Layout::Float.decode(&2.0_f32.to_ne_bytes(), &mut value);
        assert_eq!(value, [i16::MAX]);
        Layout::Float.decode(&(-2.0_f32).to_ne_bytes(), &mut value);
        assert_eq!(value, [i16::MIN]);
    }
}
