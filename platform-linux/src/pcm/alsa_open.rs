//! Opening an ALSA device: agree on a format, on channels, on small periods, or say precisely why not.

use super::convert::Converter;
use super::layout::{DEVICE_CHANNELS_MAX, Layout, STORES, Store};
use super::{OpenError, Opened, Options};
use alsa::pcm::{Access, Frames, HwParams, PCM};
use alsa::{Direction, Output, ValueOr};
use rubato::ResamplerConstructionError;
use soundpost_core::config::{Channels, TIMING};
use soundpost_core::port::PcmError;
use soundpost_core::recovery::Step;
use soundpost_core::time::SAMPLE_RATE_HZ;
use std::ffi::CString;
use std::time::Duration;

/// Rates in the order of preference: ours, then the least that keeps the whole band, then what loses the least of it.
pub(super) const RATES_HZ: [u32; 13] =
    [48_000, 96_000, 192_000, 88_200, 176_400, 64_000, 44_100, 32_000, 24_000, 22_050, 16_000, 11_025, 8_000];

/// A device that agreed. Everything but `opened` is in samples of the device's own rate.
pub(super) struct Agreed {
    pub(super) pcm: PCM,
    pub(super) layout: Layout,
    pub(super) rate_hz: u32,
    /// What is moved at once.
    pub(super) period: usize,
    /// The device's buffer, used or not.
    pub(super) buffer: usize,
    /// For playback, what of it is kept full: whole periods.
    pub(super) used: usize,
    /// Where the device has another rate than core.
    pub(super) converter: Option<Converter>,
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
    let terms = agreed?;
    let description = match pcm.info().ok().and_then(|info| info.get_name().map(str::to_owned).ok()) {
        Some(text) if !text.is_empty() && text != name => format!("alsa:{name} ({text})"),
        _ => format!("alsa:{name}"),
    };
    let words = chatter();
    if !words.is_empty() {
        tracing::debug!("libasound on {name}: {}", words.trim());
    }
    terms
        .into_agreed(pcm, direction, options, description)
        .map_err(|error| refusal(name, format!("its rate cannot be converted: {error}")))
}

type Refusal = (String, String);

fn trouble(doing: &'static str) -> impl Fn(alsa::Error) -> Refusal {
    move |error| (format!("{doing}: {}", words(error)), String::new())
}

/// What a device took.
struct Terms {
    store: (Store, &'static str),
    channels: u32,
    rate_hz: u32,
    period: u32,
    buffer: u32,
}

impl Terms {
    fn into_agreed(
        self,
        pcm: PCM,
        direction: Direction,
        options: Options,
        description: String,
    ) -> Result<Agreed, ResamplerConstructionError> {
        let Self { store: (store, format), channels: device_channels, rate_hz, period, buffer } = self;
        let channels = match device_channels {
            _ if options.exact => options.channels,
            1 => Channels::Mono,
            _ => Channels::Stereo,
        };
        let layout = Layout::of(&pcm, store, device_channels as usize, channels.count());
        let moved = portion(period, rate_hz);
        let used = used(period, buffer, options.buffer_periods) / moved * moved;
        let period_samples = core_samples(moved, rate_hz);
        let block = (period_samples as usize, channels.count());
        let converter = match direction {
            _ if rate_hz == SAMPLE_RATE_HZ => None,
            Direction::Capture => Some(Converter::from_device(rate_hz, block.0, block.1)?),
            Direction::Playback => Some(Converter::to_device(rate_hz, block.0, block.1)?),
        };
        let opened = Opened {
            description,
            rank: 0,
            channels,
            format: format.into(),
            rate_hz,
            device_channels,
            picked: layout.picked(),
            device_period: core_samples(period, rate_hz),
            period_samples,
            buffer_samples: core_samples(if direction == Direction::Capture { buffer } else { used }, rate_hz),
            conversion_samples: converter.as_ref().map_or(0, Converter::delay),
            pace: None,
        };
        let (period, buffer, used) = (moved as usize, buffer as usize, used as usize);
        Ok(Agreed { pcm, layout, rate_hz, period, buffer, used, converter, opened })
    }
}

fn agree(pcm: &PCM, direction: Direction, options: Options) -> Result<Terms, Refusal> {
    let params = HwParams::any(pcm).map_err(trouble("it offers no configuration"))?;
    params.set_access(Access::RWInterleaved).map_err(trouble("it cannot be read or written interleaved"))?;
    // A plugin's own conversion is a straight line between samples, and rounds its periods. One that cannot do without
    // refuses this, and keeps it.
    let _ = params.set_rate_resample(false);
    let (store, format, format_name) = *STORES
        .iter()
        .find(|(_, format, _)| params.test_format(*format).is_ok())
        .ok_or_else(|| ("it offers none of the formats S16, S32, S24, S24_3, FLOAT".to_owned(), PLUG.to_owned()))?;
    params.set_format(format).map_err(trouble("its format"))?;
    let channels = choose_channels(&params, options.channels)?;
    params.set_channels(channels).map_err(trouble("its channels"))?;
    let rate_hz = choose_rate(&params)?;
    params.set_rate(rate_hz, ValueOr::Nearest).map_err(trouble("its rate"))?;
    let wanted = device_samples(options.period_samples, rate_hz);
    let period = params.set_period_size_near(Frames::from(wanted as i32), ValueOr::Nearest);
    let period = period.map_err(trouble("its period"))?;
    let periods = match direction {
        // Much more than is kept full, which is what is delay. A card whose position moves in steps (a tick of the kernel,
        // a USB frame) can go round a ring of two of them unnoticed, and then stands still for us.
        Direction::Playback => options.buffer_periods.max(TIMING.capture_periods),
        // The room wanted is a time; long periods are that in fewer.
        Direction::Capture => {
            let room = Frames::from(wanted as i32) * Frames::from(options.buffer_periods as i32);
            u32::try_from(room / period.max(1)).unwrap_or(0).max(CAPTURE_PERIODS_LEAST)
        }
    };
    let buffer = params.set_buffer_size_near(period.saturating_mul(Frames::from(periods as i32)));
    let buffer = buffer.map_err(trouble("its buffer"))?;
    pcm.hw_params(&params).map_err(trouble("it does not take its own parameters"))?;
    let (period, buffer) = (u32::try_from(period).unwrap_or(0), u32::try_from(buffer).unwrap_or(0));
    if period == 0 || buffer < 2 * period {
        let what = format!("its period is {period} and its buffer {buffer} samples");
        return Err((what, "; allowed: at least two periods in a buffer".to_owned()));
    }
    Ok(Terms { store: (store, format_name), channels, rate_hz, period, buffer })
}

/// Below this a device of long periods would lose sound to the first late wake-up.
const CAPTURE_PERIODS_LEAST: u32 = 4;

/// Samples of a device at `rate_hz` that last as long as `samples` at 48 kHz, or nearly so.
fn device_samples(samples: u32, rate_hz: u32) -> u32 {
    scaled(samples, rate_hz, SAMPLE_RATE_HZ)
}

/// Samples at 48 kHz that last as long as `samples` of a device at `rate_hz`, or nearly so.
pub(super) fn core_samples(samples: u32, rate_hz: u32) -> u32 {
    scaled(samples, SAMPLE_RATE_HZ, rate_hz)
}

/// Rounded, and never to nothing.
fn scaled(samples: u32, up: u32, down: u32) -> u32 {
    let (up, down) = (u64::from(up), u64::from(down));
    let scaled = (u64::from(samples) * up + down / 2) / down.max(1);
    u32::try_from(scaled).unwrap_or(u32::MAX).max(u32::from(samples > 0))
}

/// The share of a device's period that is moved at once: all of it, or an equal part that core can take.
/// `dmix`, and with it many a `default`, insists on 1024.
fn portion(period: u32, rate_hz: u32) -> u32 {
    let most = soundpost_core::capacity::PERIOD_SAMPLES_MAX as u32;
    (period / core_samples(period, rate_hz).div_ceil(most)).max(1)
}

/// How much of a device's buffer is kept full: what was asked for, even if the device insists on more, for
/// what is in it is delay. Never less than two of its periods: while it plays one, the next must be there.
fn used(period: u32, buffer: u32, periods: u32) -> u32 {
    period.saturating_mul(periods.max(2)).min(buffer)
}

const PLUG: &str = " (plughw: devices and `default` convert)";

/// The wanted number of channels, or the other one that core can convert, or the least beyond.
fn choose_channels(params: &HwParams<'_>, wanted: Channels) -> Result<u32, Refusal> {
    let first = match wanted {
        Channels::Mono => [1, 2],
        Channels::Stereo => [2, 1],
    };
    let fits = |channels: &u32| params.test_channels(*channels).is_ok();
    first.into_iter().chain(3..=DEVICE_CHANNELS_MAX as u32).find(fits).ok_or_else(|| {
        let range = range(params.get_channels_min(), params.get_channels_max(), "");
        (format!("it has no number of channels from 1 to {DEVICE_CHANNELS_MAX}; it offers {range}"), PLUG.to_owned())
    })
}

/// Our rate if it can be had, else the one that costs the least.
fn choose_rate(params: &HwParams<'_>) -> Result<u32, Refusal> {
    if let Some(rate) = RATES_HZ.into_iter().find(|rate| params.test_rate(*rate).is_ok()) {
        return Ok(rate);
    }
    // An odd one: any that can be converted will do.
    let (least, most) = (RATES_HZ[RATES_HZ.len() - 1], RATES_HZ[2]);
    let (min, max) = (params.get_rate_min(), params.get_rate_max());
    let odd =
        [&min, &max].into_iter().find_map(|rate| rate.as_ref().ok().copied().filter(|hz| (least..=most).contains(hz)));
    odd.ok_or_else(|| {
        let range = range(min, max, " Hz");
        (format!("it runs at no rate from {least} to {most} Hz; it offers {range}"), PLUG.to_owned())
    })
}

fn range(min: alsa::Result<u32>, max: alsa::Result<u32>, unit: &str) -> String {
    match (min, max) {
        (Ok(min), Ok(max)) if min == max => format!("{min}{unit}"),
        (Ok(min), Ok(max)) => format!("{min} to {max}{unit}"),
        _ => "others".to_owned(),
    }
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
pub(super) fn nap(missing: usize, rate_hz: u32) {
    std::thread::sleep(Duration::from_nanos(missing as u64 * 500_000_000 / u64::from(rate_hz)));
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
        errno @ (libc::ENODEV | libc::ENXIO | libc::ESHUTDOWN) => PcmError::Gone(errno),
        errno => PcmError::Broken(errno),
    }
}

/// Asks a device to get going again, up to where it is ready to start.
pub(super) fn recover(pcm: &PCM, step: Step) -> alsa::Result<()> {
    match step {
        Step::Resume => return pcm.resume(),
        Step::Prepare => {}
        // What cannot be dropped is prepared all the same.
        Step::Restart => pcm.drop().unwrap_or(()),
    }
    pcm.prepare()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_periods_are_moved_in_equal_parts_that_core_can_take() {
        for (period, part) in [(1, 1), (64, 64), (128, 128), (960, 960), (1024, 512), (1920, 960), (4096, 819)] {
            assert_eq!(portion(period, 48_000), part);
        }
        assert_eq!(portion(1024, 44_100), 512, "it is 1115 at 48 kHz");
        assert_eq!(portion(1024, 192_000), 1024, "it is 256");
        assert_eq!(portion(1024, 8_000), 146, "it is 6144");
        assert_eq!(portion(1, 8_000), 1);
    }

    #[test]
    fn lengths_last_as_long_at_either_rate() {
        for (rate, samples) in [(48_000, 128), (44_100, 118), (96_000, 256), (8_000, 21), (11_025, 29)] {
            assert_eq!(device_samples(128, rate), samples);
            assert!(core_samples(samples, rate).abs_diff(128) <= 2, "{rate}");
        }
        assert_eq!((core_samples(0, 8_000), device_samples(1, 8_000)), (0, 1));
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
        let options = Options {
            channels: Channels::Mono,
            exact: false,
            period_samples: 128,
            buffer_periods: 3,
            deadline: Duration::ZERO,
            append: false,
        };
        assert!(open("a\0b", Direction::Capture, options).is_err());
    }
}
