//! What somebody wants otherwise than a preset has it, and how much of that is left where the preset cannot be had.

use super::{Bitrate, Channels, Complexity, Content, Direction, FrameLen, Quality, Rate, SignalKind, Stream};

/// Parts of a captured stream that are said; what is not said is the preset's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Own {
    /// Sound in one packet.
    pub frame: Option<FrameLen>,
    /// Coded channels.
    pub channels: Option<Channels>,
    /// Coded bits a second.
    pub bitrate: Option<Bitrate>,
    /// Bound of the band.
    pub rate: Option<Rate>,
    /// Encoder effort.
    pub complexity: Option<Complexity>,
    /// Expected kind of sound.
    pub signal: Option<SignalKind>,
    /// Whether the bitrate follows the sound.
    pub vbr: Option<bool>,
    /// Whether next to nothing is sent during silence.
    pub dtx: Option<bool>,
}

impl Own {
    /// What is coded where `used` is in use and `wished` was wished. In a lesser preset nothing that is said costs more
    /// bandwidth or work than the preset does: it is used because so much cannot be had.
    #[must_use]
    pub fn stream(&self, wished: Quality, used: Quality, content: Content) -> Stream {
        let preset = used.stream(Direction::Capture, content);
        let most = preset.tuning;
        let own = if used < wished { self.at_most(most.bitrate, most.rate, most.complexity) } else { *self };
        let stream = Stream { channels: own.channels.unwrap_or(preset.channels), ..preset };
        let mut stream = stream.with_frame(own.frame.unwrap_or(preset.frame));
        let tuning = &mut stream.tuning;
        tuning.bitrate = own.bitrate.unwrap_or(tuning.bitrate);
        tuning.rate = own.rate.unwrap_or(tuning.rate);
        tuning.complexity = own.complexity.unwrap_or(tuning.complexity);
        tuning.signal = own.signal.unwrap_or(tuning.signal);
        tuning.vbr = own.vbr.unwrap_or(tuning.vbr);
        tuning.dtx = own.dtx.unwrap_or(tuning.dtx);
        stream
    }

    fn at_most(&self, bitrate: Bitrate, rate: Rate, complexity: Complexity) -> Self {
        Self {
            bitrate: self.bitrate.map(|own| own.min(bitrate)),
            rate: self.rate.map(|own| own.min(rate)),
            complexity: self.complexity.map(|own| own.min(complexity)),
            ..*self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VOICE: Content = Content::Voice;

    #[test]
    fn what_is_not_said_is_the_presets() {
        for quality in Quality::ALL {
            let preset = quality.stream(Direction::Capture, VOICE);
            assert_eq!(Own::default().stream(Quality::Ultra, quality, VOICE), preset);
        }
    }

    #[test]
    fn what_is_said_is_done_unless_it_costs_more_than_a_lesser_preset() {
        let complexity = |effort| Complexity::new(effort).unwrap();
        let dear = Own {
            frame: Some(FrameLen::Ms5),
            channels: Some(Channels::Stereo),
            bitrate: Bitrate::from_bps(400_000).ok(),
            rate: Some(Rate::Hz48000),
            complexity: Some(complexity(9)),
            signal: Some(SignalKind::Voice),
            vbr: Some(false),
            dtx: Some(true),
        };
        let wished = dear.stream(Quality::High, Quality::High, VOICE).tuning;
        assert_eq!((wished.bitrate.bps(), wished.complexity), (400_000, complexity(9)));
        for used in [Quality::Low, Quality::Medium] {
            let (stream, preset) = (dear.stream(Quality::High, used, VOICE), used.stream(Direction::Capture, VOICE));
            let (own, most) = (stream.tuning, preset.tuning);
            assert_eq!((stream.channels, stream.frame), (Channels::Stereo, FrameLen::Ms5));
            assert_eq!((own.bitrate, own.rate, own.complexity), (most.bitrate, most.rate, most.complexity), "{used:?}");
            assert_eq!((own.signal, own.vbr, own.dtx), (SignalKind::Voice, false, true));
        }
        let cheap = Own { bitrate: Bitrate::from_bps(12_000).ok(), rate: Some(Rate::Hz8000), ..dear };
        let own = cheap.stream(Quality::High, Quality::Low, VOICE).tuning;
        assert_eq!((own.bitrate.bps(), own.rate), (12_000, Rate::Hz8000), "less stays less");
    }
}
