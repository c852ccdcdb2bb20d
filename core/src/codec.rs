//! What a codec must be able to do, and the little that core itself knows of Opus packets.

use crate::config::Tuning;
use crate::time::MediaTime;

/// A codec refused. Counted; the engines carry on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct CodecError {
    /// The codec's own number for what went wrong.
    pub code: i32,
}

/// What a decoder is asked to make sound from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Input<'a> {
    /// The next packet.
    Packet(&'a [u8]),
    /// The packet *after* a missing one: rebuild the missing one from its redundancy.
    RecoverFrom(&'a [u8]),
    /// Nothing: extrapolate.
    Conceal,
}

/// Samples to bytes.
pub trait Encode {
    /// Encodes one frame of interleaved samples; returns how many bytes of `out` are used.
    ///
    /// # Errors
    /// [`CodecError`] if the codec refuses; `out` is then meaningless.
    fn encode(&mut self, pcm: &[i16], out: &mut [u8]) -> Result<usize, CodecError>;

    /// By how many samples the decoded sound trails the encoded one, beyond the frame itself.
    fn lookahead(&self) -> u32;

    /// Takes new settings for the next frame on.
    ///
    /// # Errors
    /// [`CodecError`] if the codec refuses one; it then keeps what it had for that one.
    fn retune(&mut self, tuning: Tuning) -> Result<(), CodecError>;

    /// Whether the next frame is quiet enough to be left out, should this encoder do so and take it for silence (DTX).
    fn may_pause(&mut self, _yes: bool) {}

    /// The next frame is the last one: it should leave a decoder in a state that another encoder can go on from.
    fn wind_up(&mut self) {}

    /// Hears what another encoder coded last, so that the first frame joins on to it for a decoder that heard that one.
    /// Nothing needs to be done by an encoder without memory.
    fn prime(&mut self, _past: &[i16]) {}
}

/// Bytes to samples.
pub trait Decode {
    /// Fills the front of `pcm` and returns how many samples (of all channels) were made. For
    /// [`Input::Conceal`] and [`Input::RecoverFrom`] all of `pcm` is asked for.
    ///
    /// # Errors
    /// [`CodecError`] if the codec refuses the packet.
    fn decode(&mut self, input: Input<'_>, pcm: &mut [i16]) -> Result<usize, CodecError>;
}

/// A holder of packet bytes, so that the engines need not know pools.
pub trait Payload {
    /// Reads the bytes.
    fn with_bytes<R>(&self, read: impl FnOnce(&[u8]) -> R) -> R;

    /// Whether they are a copy that a later packet brought along.
    fn is_copy(&self) -> bool {
        false
    }
}

impl Payload for &[u8] {
    fn with_bytes<R>(&self, read: impl FnOnce(&[u8]) -> R) -> R {
        read(self)
    }
}

/// How many samples at 48 kHz an Opus packet holds, from its first two bytes (RFC 6716 section 3.1).
///
/// `None` for an empty packet, a missing frame count, no frames, or more than the 120 ms that Opus allows.
#[must_use]
pub fn opus_samples(packet: &[u8]) -> Option<u32> {
    let toc = *packet.first()?;
    let frame = match toc >> 3 {
        // SILK: 10, 20, 40, 60 ms.
        config @ 0..=11 => match config & 3 {
            0 => 480,
            1 => 960,
            2 => 1920,
            _ => 2880,
        },
        // Hybrid: 10, 20 ms.
        config @ 12..=15 => 480_u32.wrapping_shl(u32::from(config & 1)),
        // CELT: 2.5, 5, 10, 20 ms.
        config => 120_u32.wrapping_shl(u32::from(config & 3)),
    };
    let frames = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => u32::from(*packet.get(1)? & 0x3f),
    };
    let samples = frame.saturating_mul(frames);
    (1..=5760).contains(&samples).then_some(samples)
}

/// Whether an Opus packet holds redundancy from which the one before it can be rebuilt (the LBRR flags of RFC 6716
/// section 4.2.3). Only packets of one frame are looked into; others are said to hold none.
#[must_use]
pub fn opus_rebuilds(packet: &[u8]) -> bool {
    let Some([toc, flags]) = packet.first_chunk() else { return false };
    // CELT has no such thing.
    if toc >> 3 >= 16 || toc & 3 != 0 {
        return false;
    }
    // One flag of activity for each 20 ms, then the one that is looked for; then the same for the side channel.
    let frames = match toc >> 3 {
        config @ 0..=11 => 1_u32.max(u32::from(config & 3)),
        _ => 1,
    };
    let flag = |channel: u32| {
        flags.wrapping_shr(7_u32.wrapping_sub(channel.wrapping_add(1).wrapping_mul(frames).wrapping_add(channel))) & 1
            == 1
    };
    flag(0) || (toc & 4 != 0 && flag(1))
}

/// The longest payload that is no sound: Opus' discontinuous transmission leaves out what such packets would hold.
pub const SILENT_BYTES_MAX: usize = 2;

/// Where a packet stands in its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Extent {
    /// Stream time of the first sample.
    pub media: MediaTime,
    /// How many samples.
    pub samples: u32,
}

impl Extent {
    /// Stream time of the first sample after it.
    #[must_use]
    pub const fn end(self) -> MediaTime {
        self.media.plus(self.samples as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packet_lengths_follow_the_table_of_rfc_6716() {
        let silk = [480, 960, 1920, 2880];
        for config in 0..12_u8 {
            assert_eq!(opus_samples(&[config << 3]), Some(silk[usize::from(config & 3)]));
        }
        for (config, samples) in [(12_u8, 480), (13, 960), (14, 480), (15, 960)] {
            assert_eq!(opus_samples(&[config << 3]), Some(samples));
        }
        for config in 16..32_u8 {
            assert_eq!(opus_samples(&[config << 3]), Some([120, 240, 480, 960][usize::from(config & 3)]));
        }
    }

    #[test]
    fn redundancy_is_told_by_the_flag_behind_those_of_activity() {
        // By SILK's lengths of 10, 20, 40 and 60 ms: one to three frames, and as many flags of activity before.
        for (config, flag) in [(0_u8, 6_u32), (1, 6), (2, 5), (3, 4), (9, 6), (11, 4), (12, 6), (15, 6)] {
            let (mono, stereo) = (config << 3, config << 3 | 4);
            assert!(opus_rebuilds(&[mono, 1 << flag]), "configuration {config}");
            assert!(!opus_rebuilds(&[mono, !(1 << flag)]), "configuration {config}: any other bit");
            // The side channel's flags are behind those of the middle one.
            let frames = 7 - flag;
            let side = 6 - 2 * frames;
            assert!(opus_rebuilds(&[stereo, 1 << flag]) && opus_rebuilds(&[stereo, 1 << side]), "{config}");
            assert!(!opus_rebuilds(&[stereo, !(1 << flag | 1 << side)]), "{config}");
        }
    }

    #[test]
    fn what_is_not_looked_into_holds_no_redundancy() {
        assert!(!opus_rebuilds(&[]) && !opus_rebuilds(&[1 << 3]), "nothing behind the first byte");
        assert!((16..32_u8).all(|config| !opus_rebuilds(&[config << 3, 0xff])), "CELT");
        assert!((1..4_u8).all(|code| !opus_rebuilds(&[1 << 3 | code, 0xff])), "several frames");
    }

    #[test]
    fn frame_counts_are_read_and_bounded() {
        assert_eq!(opus_samples(&[]), None);
        assert_eq!(opus_samples(&[31 << 3 | 1]), Some(1920));
        assert_eq!(opus_samples(&[31 << 3 | 2]), Some(1920));
        assert_eq!(opus_samples(&[31 << 3 | 3]), None, "no frame count");
        assert_eq!(opus_samples(&[31 << 3 | 3, 0]), None, "no frames");
        assert_eq!(opus_samples(&[31 << 3 | 3, 3]), Some(2880));
        assert_eq!(opus_samples(&[31 << 3 | 3, 6]), Some(5760));
        assert_eq!(opus_samples(&[31 << 3 | 3, 7]), None, "140 ms");
    }
}
