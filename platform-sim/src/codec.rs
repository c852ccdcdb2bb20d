//! The marker codec: lossless for what [`SimIn`](crate::SimIn) delivers, and honest about what it makes up.
//!
//! A packet begins with a true Opus TOC byte, so that core reads its length as it would any other's. Then
//! come a checksum, the number of the newest sample (values alone repeat themselves after two thirds of a second) and
//! runs: values that count up by one, or stand still. Made-up sound is [`CONCEALED`], a value that no source delivers.

use crate::model::source::MARKERS;
use soundpost_core::codec::{CodecError, Decode, Encode, Input, opus_samples};
use soundpost_core::config::{FrameLen, Tuning};
use std::cell::Cell;
use std::rc::Rc;

/// The value of made-up sound.
pub const CONCEALED: i16 = i16::MIN;

const RUN_BYTES: usize = 5;
const SUM_BYTES: usize = 2;
const NUMBER_BYTES: usize = 8;

/// The number of a sample, where two can see it: the newest that a microphone delivered, now or when the packet was
/// made that a decoder decoded last.
pub type Number = Rc<Cell<u64>>;

/// Encodes mono frames without loss.
#[derive(Clone, Debug, Default)]
pub struct MarkerEncoder {
    /// Settings that were taken.
    pub retunes: u32,
    /// The newest sample of the microphone.
    pub newest: Number,
}

/// Decodes what [`MarkerEncoder`] made.
#[derive(Clone, Debug, Default)]
pub struct MarkerDecoder {
    /// The newest sample when the latest packet was made.
    pub latest: Number,
}

/// The TOC byte, and for longer packets the frame count, of CELT packets of `samples`.
fn toc(samples: usize) -> Option<&'static [u8]> {
    Some(match FrameLen::from_samples(u32::try_from(samples).ok()?)? {
        FrameLen::Ms2_5 => &[28 << 3],
        FrameLen::Ms5 => &[29 << 3],
        FrameLen::Ms10 => &[30 << 3],
        FrameLen::Ms20 => &[31 << 3],
        FrameLen::Ms40 => &[(31 << 3) | 3, 2],
        FrameLen::Ms60 => &[(31 << 3) | 3, 3],
    })
}

const REFUSED: CodecError = CodecError { code: -1 };

impl Encode for MarkerEncoder {
    fn encode(&mut self, pcm: &[i16], out: &mut [u8]) -> Result<usize, CodecError> {
        let head = toc(pcm.len()).ok_or(REFUSED)?;
        out.get_mut(..head.len()).ok_or(REFUSED)?.copy_from_slice(head);
        let mut length = head.len() + SUM_BYTES + NUMBER_BYTES;
        let mut rest = pcm;
        while let [first, ..] = rest {
            let run = |step: i16| {
                rest.iter().enumerate().take_while(|(n, v)| **v == first.wrapping_add(step * *n as i16)).count()
            };
            let (step, count) = if run(1) >= run(0) { (1_u8, run(1)) } else { (0, run(0)) };
            let [f0, f1] = first.to_le_bytes();
            let [c0, c1] = (count as u16).to_le_bytes();
            out.get_mut(length..length + RUN_BYTES).ok_or(REFUSED)?.copy_from_slice(&[step, f0, f1, c0, c1]);
            length += RUN_BYTES;
            rest = &rest[count..];
        }
        let number = self.newest.get();
        let (sum, rest) = out[head.len()..length].split_at_mut(SUM_BYTES);
        rest[..NUMBER_BYTES].copy_from_slice(&number.to_le_bytes());
        sum.copy_from_slice(&checksum(rest));
        Ok(length)
    }

    fn lookahead(&self) -> u32 {
        0
    }

    fn retune(&mut self, _tuning: Tuning) -> Result<(), CodecError> {
        self.retunes += 1;
        Ok(())
    }
}

impl Decode for MarkerDecoder {
    fn decode(&mut self, input: Input<'_>, pcm: &mut [i16]) -> Result<usize, CodecError> {
        let Input::Packet(bytes) = input else {
            pcm.fill(CONCEALED);
            return Ok(pcm.len());
        };
        let samples = opus_samples(bytes).ok_or(REFUSED)? as usize;
        let head = toc(samples).ok_or(REFUSED)?.len();
        let (sum, runs) = bytes.get(head..).and_then(<[u8]>::split_first_chunk).ok_or(REFUSED)?;
        if *sum != checksum(runs) {
            return Err(REFUSED);
        }
        let (number, runs) = runs.split_first_chunk().ok_or(REFUSED)?;
        self.latest.set(u64::from_le_bytes(*number));
        let runs = runs.chunks_exact(RUN_BYTES);
        let values = runs.flat_map(|run| {
            let [step, f0, f1, c0, c1] = <[u8; RUN_BYTES]>::try_from(run).unwrap_or_default();
            let first = i16::from_le_bytes([f0, f1]);
            (0..u16::from_le_bytes([c0, c1])).map(move |n| first.wrapping_add(i16::from(step) * n as i16))
        });
        let room = pcm.get_mut(..samples).ok_or(REFUSED)?;
        let made = room.iter_mut().zip(values).map(|(to, value)| *to = value).count();
        if made == samples { Ok(samples) } else { Err(REFUSED) }
    }
}

/// Says whether a packet is as it was made (Fletcher's sum; never zero of nothing).
fn checksum(bytes: &[u8]) -> [u8; SUM_BYTES] {
    let (a, b) = bytes.iter().fold((1_u32, 0_u32), |(a, b), byte| {
        let a = a + u32::from(*byte);
        (a % 255, (a + b) % 255)
    });
    [a as u8, b as u8]
}

/// The number of the sample with this value, of those up to `newest` the newest; `None` if it is no marker.
fn number_of(value: i16, newest: u64) -> Option<u64> {
    let number = u64::try_from(value).ok()?.checked_sub(1)?;
    newest.checked_sub((newest % MARKERS + MARKERS - number) % MARKERS)
}

/// The first and the last value that a marker packet holds, and the number of the sample with the last one.
#[must_use]
pub(crate) fn ends(packet: &[u8]) -> Option<(i16, i16, u64)> {
    let head = toc(opus_samples(packet)? as usize)?.len() + SUM_BYTES;
    let (number, runs) = packet.get(head..)?.split_first_chunk()?;
    let mut runs = runs.chunks_exact(RUN_BYTES);
    let first = runs.next()?;
    let last = runs.last().unwrap_or(first);
    let value = |run: &[u8], at: fn(u16) -> u16| match *run {
        [step, f0, f1, c0, c1] => {
            let along = i16::from(step).wrapping_mul(at(u16::from_le_bytes([c0, c1])) as i16);
            Some(i16::from_le_bytes([f0, f1]).wrapping_add(along))
        }
        _ => None,
    };
    let last = value(last, |count| count.wrapping_sub(1))?;
    Some((value(first, |_| 0)?, last, number_of(last, u64::from_le_bytes(*number))?))
}

#[cfg(feature = "opus")]
pub(crate) use real::{OpusDecoder, OpusEncoder};

/// libopus, one channel.
#[cfg(feature = "opus")]
mod real {
    use super::{CodecError, Decode, Encode, Input, REFUSED, Tuning};
    use opus::{Application, Bitrate, Channels, Decoder, Encoder};
    use soundpost_core::config::{self, Stream};
    use soundpost_core::time::SAMPLE_RATE_HZ;

    const STEP: usize = 120;

    /// Encodes mono frames.
    #[derive(Debug)]
    pub(crate) struct OpusEncoder(Encoder, u32);

    impl OpusEncoder {
        /// An encoder for `stream`.
        ///
        /// # Errors
        /// What libopus says.
        pub(crate) fn new(stream: &Stream) -> Result<Self, opus::Error> {
            let application = match stream.application {
                config::Application::Voip => Application::Voip,
                config::Application::LowDelay => Application::LowDelay,
            };
            let mut encoder = Encoder::new(SAMPLE_RATE_HZ, Channels::Mono, application)?;
            let lookahead = u32::try_from(encoder.get_lookahead()?).unwrap_or(0);
            let mut this = Self(encoder, lookahead);
            this.set(stream.tuning)?;
            Ok(this)
        }

        fn set(&mut self, tuning: Tuning) -> Result<(), opus::Error> {
            self.0.set_bitrate(Bitrate::Bits(i32::try_from(tuning.bitrate.bps()).unwrap_or(i32::MAX)))?;
            self.0.set_complexity(i32::from(tuning.complexity.get()))?;
            self.0.set_dtx(tuning.dtx)?;
            self.0.set_inband_fec(tuning.expected_loss_percent > 0)?;
            self.0.set_packet_loss_perc(i32::from(tuning.expected_loss_percent.min(100)))
        }
    }

    impl Encode for OpusEncoder {
        fn encode(&mut self, pcm: &[i16], out: &mut [u8]) -> Result<usize, CodecError> {
            self.0.encode(pcm, out).map_err(|_| REFUSED)
        }

        fn lookahead(&self) -> u32 {
            self.1
        }

        fn retune(&mut self, tuning: Tuning) -> Result<(), CodecError> {
            self.set(tuning).map_err(|_| REFUSED)
        }
    }

    /// Decodes to mono.
    #[derive(Debug)]
    pub(crate) struct OpusDecoder(Decoder);

    impl OpusDecoder {
        /// A decoder.
        ///
        /// # Errors
        /// What libopus says.
        pub(crate) fn new() -> Result<Self, opus::Error> {
            Decoder::new(SAMPLE_RATE_HZ, Channels::Mono).map(Self)
        }
    }

    impl Decode for OpusDecoder {
        fn decode(&mut self, input: Input<'_>, pcm: &mut [i16]) -> Result<usize, CodecError> {
            let (bytes, fec) = match input {
                Input::Packet(bytes) => return self.0.decode(bytes, pcm, false).map_err(|_| REFUSED),
                Input::RecoverFrom(bytes) => (bytes, true),
                Input::Conceal => (&[][..], false),
            };
            // libopus makes sound in whole steps of 2.5 ms; what is beyond becomes silence.
            let (whole, rest) = pcm.split_at_mut(pcm.len() / STEP * STEP);
            rest.fill(0);
            let made = if whole.is_empty() { 0 } else { self.0.decode(bytes, whole, fec).map_err(|_| REFUSED)? };
            Ok(made + rest.len())
        }
    }
}

/// Whichever encoder a world uses.
#[derive(Debug)]
pub(crate) enum SimEncoder {
    /// Markers.
    Marker(MarkerEncoder),
    /// Sound.
    #[cfg(feature = "opus")]
    Opus(OpusEncoder),
}

/// Whichever decoder a world uses.
#[derive(Debug)]
pub(crate) enum SimDecoder {
    /// Markers.
    Marker(MarkerDecoder),
    /// Sound.
    #[cfg(feature = "opus")]
    Opus(OpusDecoder),
}

impl Encode for SimEncoder {
    fn encode(&mut self, pcm: &[i16], out: &mut [u8]) -> Result<usize, CodecError> {
        match self {
            Self::Marker(encoder) => encoder.encode(pcm, out),
            #[cfg(feature = "opus")]
            Self::Opus(encoder) => encoder.encode(pcm, out),
        }
    }

    fn lookahead(&self) -> u32 {
        match self {
            Self::Marker(encoder) => encoder.lookahead(),
            #[cfg(feature = "opus")]
            Self::Opus(encoder) => encoder.lookahead(),
        }
    }

    fn retune(&mut self, tuning: Tuning) -> Result<(), CodecError> {
        match self {
            Self::Marker(encoder) => encoder.retune(tuning),
            #[cfg(feature = "opus")]
            Self::Opus(encoder) => encoder.retune(tuning),
        }
    }
}

impl Decode for SimDecoder {
    fn decode(&mut self, input: Input<'_>, pcm: &mut [i16]) -> Result<usize, CodecError> {
        match self {
            Self::Marker(decoder) => decoder.decode(input, pcm),
            #[cfg(feature = "opus")]
            Self::Opus(decoder) => decoder.decode(input, pcm),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::marker;
    use soundpost_core::capacity::PAYLOAD_MAX;

    #[test]
    fn every_frame_length_comes_back_as_it_was() {
        for frame in FrameLen::ALL {
            let mut pcm: Vec<i16> = (32_000..).map(marker).take(frame.samples() as usize).collect();
            pcm[20..70].fill(0);
            let (mut packet, mut back) = ([0; PAYLOAD_MAX], [0; 2880]);
            let newest = Number::new(Cell::new(32_000 + 5_000));
            let length = MarkerEncoder { newest, ..Default::default() }.encode(&pcm, &mut packet).unwrap();
            assert_eq!(opus_samples(&packet[..length]), Some(frame.samples()));
            let mut decoder = MarkerDecoder::default();
            let made = decoder.decode(Input::Packet(&packet[..length]), &mut back).unwrap();
            assert_eq!(back[..made], pcm[..]);
            let last = 32_000 + pcm.len() as u64 - 1;
            assert_eq!(ends(&packet[..length]), Some((pcm[0], pcm[pcm.len() - 1], last)));
            assert_eq!(decoder.latest.get(), 32_000 + 5_000);
            packet[length - 3] ^= 4;
            assert!(
                MarkerDecoder::default().decode(Input::Packet(&packet[..length]), &mut back).is_err(),
                "{frame:?}: garbled"
            );
        }
    }

    #[test]
    fn what_is_made_up_says_so() {
        let mut pcm = [0; 240];
        assert_eq!(MarkerDecoder::default().decode(Input::Conceal, &mut pcm), Ok(240));
        assert_eq!(pcm, [CONCEALED; 240]);
        assert!(MarkerDecoder::default().decode(Input::Packet(&[31 << 3, 1, 2]), &mut [0; 960]).is_err());
    }
}
