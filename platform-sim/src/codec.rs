//! The marker codec: lossless for what [`SimIn`](crate::SimIn) delivers, and honest about what it makes up.
//!
//! A packet begins with a true Opus TOC byte, so that core reads its length as it would any other's. Then
//! come runs: values that count up by one, or stand still. Made-up sound is [`CONCEALED`], a value that no
//! source delivers.

use soundpost_core::codec::{CodecError, Decode, Encode, Input, opus_samples};
use soundpost_core::config::{FrameLen, Tuning};

/// The value of made-up sound.
pub const CONCEALED: i16 = i16::MIN;

const RUN_BYTES: usize = 5;

/// Encodes mono frames without loss.
#[derive(Clone, Copy, Debug, Default)]
pub struct MarkerEncoder {
    /// Settings that were taken.
    pub retunes: u32,
}

/// Decodes what [`MarkerEncoder`] made.
#[derive(Clone, Copy, Debug, Default)]
pub struct MarkerDecoder;

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
        let mut length = head.len();
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
        let runs = bytes.get(head..).ok_or(REFUSED)?.chunks_exact(RUN_BYTES);
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
            let length = MarkerEncoder::default().encode(&pcm, &mut packet).unwrap();
            assert_eq!(opus_samples(&packet[..length]), Some(frame.samples()));
            let made = MarkerDecoder.decode(Input::Packet(&packet[..length]), &mut back).unwrap();
            assert_eq!(back[..made], pcm[..]);
        }
    }

    #[test]
    fn what_is_made_up_says_so() {
        let mut pcm = [0; 240];
        assert_eq!(MarkerDecoder.decode(Input::Conceal, &mut pcm), Ok(240));
        assert_eq!(pcm, [CONCEALED; 240]);
        assert!(MarkerDecoder.decode(Input::Packet(&[31 << 3, 1, 2]), &mut [0; 960]).is_err());
    }
}
