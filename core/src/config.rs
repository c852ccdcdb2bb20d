//! What a stream sounds like: presets, and the types that make an impossible stream unsayable.
//!
//! The four presets are one `const` table and [`Quality::stream`] is a total function of quality,
//! direction and content. Rates that Opus does not have, bitrates it refuses and frames it cannot code have
//! no value here: text becomes a type once, at the edge, or a [`ConfigError`] that names what is allowed.

mod board;
mod gain;
mod limits;
mod own;
mod playout;
mod rate;
mod seam;
mod text;
mod timing;
mod web;

pub use board::{BOARD, BoardTiming};
pub use gain::Gain;
pub use limits::{Allowance, LIMITS, Limits};
pub use own::Own;
pub use playout::{Playout, Terms};
pub use rate::Rate;
pub use seam::SEAM;
pub use text::{ConfigError, switch};
pub use timing::{TIMING, Timing};
pub use web::{WEB, WebTiming};

use crate::time::SAMPLE_RATE_HZ;

/// The four quality presets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Quality {
    /// Least bandwidth; speech coding.
    Low,
    /// The default: transparent speech, good music.
    #[default]
    Medium,
    /// Music.
    High,
    /// The most that Opus is worth.
    Ultra,
}

/// Which way the sound goes, seen from the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Direction {
    /// Sound card → Opus → listeners.
    Capture,
    /// A talker's Opus → sound card.
    Playback,
}

/// What is being captured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Content {
    /// A microphone: always mono.
    #[default]
    Voice,
    /// HDMI or line in: stereo, at the bitrates of the playback column.
    Program,
}

/// One channel or two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Channels {
    /// One channel.
    Mono,
    /// Left and right, interleaved.
    Stereo,
}

/// How much sound one packet carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum FrameLen {
    /// 2.5 ms, 120 samples.
    Ms2_5,
    /// 5 ms, 240 samples.
    Ms5,
    /// 10 ms, 480 samples.
    Ms10,
    /// 20 ms, 960 samples.
    Ms20,
    /// 40 ms, 1920 samples.
    Ms40,
    /// 60 ms, 2880 samples.
    Ms60,
}

/// Coded bits a second: 6 000 to 510 000, what Opus accepts for up to two channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Bitrate(u32);

/// How hard the encoder works: 0 (least) to 10.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Complexity(u8);

/// What the encoder is built for. Fixed for the life of an encoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Application {
    /// Speech modes allowed: 6.5 ms of look-ahead, in-band redundancy possible.
    Voip,
    /// No speech modes: 2.5 ms of look-ahead, no in-band redundancy.
    LowDelay,
}

/// What kind of sound the encoder may expect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum SignalKind {
    /// Speech.
    Voice,
    /// Anything else.
    Music,
}

/// The part of a stream that an encoder takes between two frames, without a new encoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Tuning {
    /// Coded bits a second, packet headers not counted.
    pub bitrate: Bitrate,
    /// Encoder effort.
    pub complexity: Complexity,
    /// Upper bound of the coded audio bandwidth.
    pub rate: Rate,
    /// Expected kind of sound.
    pub signal: SignalKind,
    /// Let the bitrate follow the sound, within a packet's worth (constrained VBR); else all packets are of one size.
    pub vbr: bool,
    /// Send next to nothing during silence.
    pub dtx: bool,
    /// Write in-band redundancy for the loss that is expected (speech modes only).
    pub expected_loss_percent: u8,
}

/// Everything that defines a coded stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Stream {
    /// Coded channels.
    pub channels: Channels,
    /// Sound in one packet.
    pub frame: FrameLen,
    /// What the encoder is built for.
    pub application: Application,
    /// What can be changed in place.
    pub tuning: Tuning,
}

/// The least that has to happen to get from one stream to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Change {
    /// Nothing.
    None,
    /// New settings, and perhaps a new frame length, for the same encoder.
    Retune(Tuning, FrameLen),
    /// Another encoder.
    Reshape(Stream),
}

/// The least bytes of a frame, for each channel, that a preset is coded with at 2.5 and 5 ms.
pub const FRAME_BYTES_MIN: u32 = 15;

const _: () = assert!(FRAME_BYTES_MIN * 8 * 400 * 2 <= Bitrate::MAX_BPS);

/// One row of the preset table.
struct Preset {
    voice: Bitrate,
    program: Bitrate,
    playback_channels: Channels,
    voice_rate: Rate,
    frame: FrameLen,
    application: Application,
    complexity: Complexity,
    signal: SignalKind,
    dtx: bool,
}

/// The four presets. Bitrates are the seed's; the rest is chosen for a small single-core ARM:
///
/// - complexity stays under 7, where libopus starts its tonality analysis, whose worst frame is what hurts
///   short frames;
/// - Low uses the speech modes (below about 32 kbit/s they are what keeps speech intelligible) and 40 ms
///   frames, because at 20 ms the packet headers would cost more than the sound;
/// - from Medium on, CELT without the speech modes: 4 ms less look-ahead, and at these bitrates it is
///   transparent for speech too;
/// - Ultra halves the frame: there the headers are small change.
const PRESETS: [Preset; 4] = [
    Preset {
        voice: Bitrate(16_000),
        program: Bitrate(32_000),
        playback_channels: Channels::Mono,
        voice_rate: Rate::Hz16000,
        frame: FrameLen::Ms40,
        application: Application::Voip,
        complexity: Complexity(2),
        signal: SignalKind::Voice,
        dtx: true,
    },
    Preset {
        voice: Bitrate(64_000),
        program: Bitrate(96_000),
        playback_channels: Channels::Stereo,
        voice_rate: Rate::Hz48000,
        frame: FrameLen::Ms20,
        application: Application::LowDelay,
        complexity: Complexity(4),
        signal: SignalKind::Music,
        dtx: false,
    },
    Preset {
        voice: Bitrate(128_000),
        program: Bitrate(192_000),
        playback_channels: Channels::Stereo,
        voice_rate: Rate::Hz48000,
        frame: FrameLen::Ms20,
        application: Application::LowDelay,
        complexity: Complexity(5),
        signal: SignalKind::Music,
        dtx: false,
    },
    Preset {
        voice: Bitrate(256_000),
        program: Bitrate(320_000),
        playback_channels: Channels::Stereo,
        voice_rate: Rate::Hz48000,
        frame: FrameLen::Ms10,
        application: Application::LowDelay,
        complexity: Complexity(6),
        signal: SignalKind::Music,
        dtx: false,
    },
];

const _: () = {
    let [low, medium, high, ultra] = &PRESETS;
    assert!(low.voice.0 < medium.voice.0 && medium.voice.0 < high.voice.0 && high.voice.0 < ultra.voice.0);
    assert!(low.program.0 < medium.program.0 && medium.program.0 < high.program.0 && high.program.0 < ultra.program.0);
    assert!(ultra.complexity.0 <= 6 && ultra.program.0 <= Bitrate::MAX_BPS && low.voice.0 >= Bitrate::MIN_BPS);
};

impl Quality {
    /// All presets, from the least to the most.
    pub const ALL: [Self; 4] = [Self::Low, Self::Medium, Self::High, Self::Ultra];

    const fn preset(self) -> &'static Preset {
        let [low, medium, high, ultra] = &PRESETS;
        match self {
            Self::Low => low,
            Self::Medium => medium,
            Self::High => high,
            Self::Ultra => ultra,
        }
    }

    /// The stream that this preset stands for.
    ///
    /// For playback it is what a talker is asked to send; the decoder takes whatever comes.
    #[must_use]
    pub const fn stream(self, direction: Direction, content: Content) -> Stream {
        let preset = self.preset();
        let (channels, bitrate, rate) = match (direction, content) {
            (Direction::Capture, Content::Voice) => (Channels::Mono, preset.voice, preset.voice_rate),
            (Direction::Capture, Content::Program) => (Channels::Stereo, preset.program, Rate::Hz48000),
            (Direction::Playback, _) => (preset.playback_channels, preset.program, Rate::Hz48000),
        };
        Stream {
            channels,
            frame: preset.frame,
            application: preset.application,
            tuning: Tuning {
                bitrate,
                complexity: preset.complexity,
                rate,
                signal: preset.signal,
                vbr: true,
                dtx: preset.dtx,
                expected_loss_percent: 0,
            },
        }
    }

    /// The preset's name, as it is written in configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Ultra => "ultra",
        }
    }
}

impl Stream {
    /// The least that turns this stream into `to` without being heard.
    ///
    /// An encoder makes up for frames that were larger than they are now by others that are smaller; speech modes end where
    /// frames become short; and where they are possible, a step from one short frame to another leaves holes. So much of a
    /// change is heard, and another encoder, which hears what was, is not.
    #[must_use]
    pub fn diff(self, to: Self) -> Change {
        let same_kind = self.channels == to.channels && self.application == to.application;
        let have_speech = self.frame.has_speech() && to.frame.has_speech();
        let same_modes = self.application == Application::LowDelay || self.frame == to.frame || have_speech;
        let (before, twice) = (self.frame_bytes(), to.frame_bytes().saturating_mul(2));
        // Half is much where frames are short: there is little in them to save.
        let saves_much = twice < before || (twice == before && !to.frame.has_speech());
        if self == to {
            Change::None
        } else if same_kind && same_modes && !saves_much {
            Change::Retune(to.tuning, to.frame)
        } else {
            Change::Reshape(to)
        }
    }

    /// Coded bytes in a frame, on average.
    #[must_use]
    pub const fn frame_bytes(self) -> u32 {
        let bits = self.tuning.bitrate.bps() as u64 * self.frame.samples() as u64 / SAMPLE_RATE_HZ as u64;
        (bits / 8) as u32
    }

    /// The same stream in frames of another length.
    ///
    /// A frame needs a few bytes before it sounds like anything: where the preset's bitrate would leave less
    /// than [`FRAME_BYTES_MIN`] a channel, it is raised. (Frames that short cost more in packet headers than
    /// in sound anyway.)
    #[must_use]
    pub fn with_frame(self, frame: FrameLen) -> Self {
        let floor_bps = match frame {
            FrameLen::Ms2_5 => FRAME_BYTES_MIN * 8 * 400,
            FrameLen::Ms5 => FRAME_BYTES_MIN * 8 * 200,
            FrameLen::Ms10 | FrameLen::Ms20 | FrameLen::Ms40 | FrameLen::Ms60 => 0,
        };
        let floor = Bitrate(floor_bps.saturating_mul(self.channels.count() as u32));
        let tuning = Tuning { bitrate: self.tuning.bitrate.max(floor), ..self.tuning };
        Self { frame, tuning, ..self }
    }

    /// Interleaved values in one frame.
    #[must_use]
    pub const fn frame_values(self) -> usize {
        self.frame.samples() as usize * self.channels.count()
    }
}

impl Channels {
    /// How many.
    #[must_use]
    pub const fn count(self) -> usize {
        match self {
            Self::Mono => 1,
            Self::Stereo => 2,
        }
    }

    /// The layout of `count` channels.
    ///
    /// # Errors
    /// [`ConfigError::Channels`] unless `count` is 1 or 2.
    pub const fn from_count(count: u32) -> Result<Self, ConfigError> {
        match count {
            1 => Ok(Self::Mono),
            2 => Ok(Self::Stereo),
            _ => Err(ConfigError::Channels(count)),
        }
    }
}

impl FrameLen {
    /// All frame lengths, the shortest first.
    pub const ALL: [Self; 6] = [Self::Ms2_5, Self::Ms5, Self::Ms10, Self::Ms20, Self::Ms40, Self::Ms60];

    /// Samples at 48 kHz.
    #[must_use]
    pub const fn samples(self) -> u32 {
        match self {
            Self::Ms2_5 => 120,
            Self::Ms5 => 240,
            Self::Ms10 => 480,
            Self::Ms20 => 960,
            Self::Ms40 => 1920,
            Self::Ms60 => 2880,
        }
    }

    /// Whether a frame is long enough for the speech modes.
    #[must_use]
    pub const fn has_speech(self) -> bool {
        self.samples() >= Self::Ms10.samples()
    }

    /// The length of `samples` samples at 48 kHz, if a frame can have it.
    #[must_use]
    pub fn from_samples(samples: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|frame| frame.samples() == samples)
    }

    /// As it is written in configuration: `2.5ms`, `20ms`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ms2_5 => "2.5ms",
            Self::Ms5 => "5ms",
            Self::Ms10 => "10ms",
            Self::Ms20 => "20ms",
            Self::Ms40 => "40ms",
            Self::Ms60 => "60ms",
        }
    }
}

impl Bitrate {
    /// The least that Opus accepts.
    pub const MIN_BPS: u32 = 6_000;
    /// The most that Opus accepts.
    pub const MAX_BPS: u32 = 510_000;

    /// A bitrate of `bps` bits a second.
    ///
    /// # Errors
    /// [`ConfigError::Bitrate`] outside 6 000 to 510 000 bit/s.
    pub const fn from_bps(bps: u32) -> Result<Self, ConfigError> {
        if bps < Self::MIN_BPS || bps > Self::MAX_BPS {
            return Err(ConfigError::Bitrate(bps));
        }
        Ok(Self(bps))
    }

    /// Bits a second.
    #[must_use]
    pub const fn bps(self) -> u32 {
        self.0
    }
}

impl Complexity {
    /// An effort from 0 to 10.
    ///
    /// # Errors
    /// [`ConfigError::Complexity`] above 10.
    pub const fn new(value: u8) -> Result<Self, ConfigError> {
        if value > 10 { Err(ConfigError::Complexity(value)) } else { Ok(Self(value)) }
    }

    /// The effort, 0 to 10.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seeds_bitrates_are_the_presets_bitrates() {
        let kbps = |direction, content| {
            Quality::ALL.map(|quality| quality.stream(direction, content).tuning.bitrate.bps() / 1000)
        };
        assert_eq!(kbps(Direction::Playback, Content::Voice), [32, 96, 192, 320]);
        assert_eq!(kbps(Direction::Capture, Content::Voice), [16, 64, 128, 256]);
        assert_eq!(kbps(Direction::Capture, Content::Program), [32, 96, 192, 320]);
    }

    #[test]
    fn a_microphone_is_always_mono_and_program_capture_always_stereo() {
        for quality in Quality::ALL {
            assert_eq!(quality.stream(Direction::Capture, Content::Voice).channels, Channels::Mono);
            assert_eq!(quality.stream(Direction::Capture, Content::Program).channels, Channels::Stereo);
        }
    }

    #[test]
    fn a_better_preset_never_narrows_the_band_or_lowers_the_effort() {
        for pair in Quality::ALL.windows(2) {
            let [worse, better] = [pair[0], pair[1]].map(|q| q.stream(Direction::Capture, Content::Voice).tuning);
            assert!(better.rate >= worse.rate && better.complexity >= worse.complexity);
        }
    }

    #[test]
    fn short_frames_raise_a_bitrate_that_is_too_low_for_them_and_no_other() {
        let bps = |quality: Quality, frame| {
            quality.stream(Direction::Capture, Content::Voice).with_frame(frame).tuning.bitrate.bps()
        };
        assert_eq!(FrameLen::ALL.map(|f| bps(Quality::Low, f)), [48_000, 24_000, 16_000, 16_000, 16_000, 16_000]);
        assert_eq!(FrameLen::ALL.map(|f| bps(Quality::Medium, f)), [64_000; 6]);
        let program = Quality::Low.stream(Direction::Capture, Content::Program).with_frame(FrameLen::Ms2_5);
        assert_eq!((program.tuning.bitrate.bps(), program.frame), (96_000, FrameLen::Ms2_5));
    }

    #[test]
    fn the_smallest_change_is_chosen() {
        let medium = Quality::Medium.stream(Direction::Capture, Content::Voice);
        let high = Quality::High.stream(Direction::Capture, Content::Voice);
        let low = Quality::Low.stream(Direction::Capture, Content::Voice);
        assert_eq!(medium.diff(medium), Change::None);
        assert_eq!(medium.diff(high), Change::Retune(high.tuning, high.frame));
        assert_eq!(medium.diff(low), Change::Reshape(low));
        assert_eq!(high.diff(medium), Change::Retune(medium.tuning, medium.frame));
    }

    #[test]
    fn another_encoder_takes_over_where_the_same_one_would_be_heard() {
        let low = Quality::Low.stream(Direction::Capture, Content::Voice);
        let short = low.with_frame(FrameLen::Ms5);
        assert_eq!(low.diff(short), Change::Reshape(short), "speech modes end");
        assert_eq!(short.diff(low), Change::Reshape(low));
        let ultra = Quality::Ultra.stream(Direction::Capture, Content::Voice);
        let medium = Quality::Medium.stream(Direction::Capture, Content::Voice).with_frame(FrameLen::Ms10);
        assert_eq!(ultra.diff(medium), Change::Reshape(medium), "it would save for several frames");
        let [high, medium] = [Quality::High, Quality::Medium]
            .map(|quality| quality.stream(Direction::Capture, Content::Voice).with_frame(FrameLen::Ms5));
        assert_eq!(high.diff(medium), Change::Reshape(medium), "half of a short frame");
        let medium = medium.with_frame(FrameLen::Ms10);
        assert_eq!(medium.diff(ultra), Change::Retune(ultra.tuning, ultra.frame));
    }
}
