//! Two sound cards, a clock and a codec, as arithmetic and small enough for a controller.
//!
//! Every captured sample is its own number, folded into 1 to 32 767, and the codec keeps it as it is behind a true
//! Opus TOC byte, so that whoever listens can tell which sample he hears. Made-up sound is [`MADE_UP`].

use core::cell::Cell;
use soundpost_core::codec::{CodecError, Decode, Encode, Input, opus_samples};
use soundpost_core::config::Tuning;
use soundpost_core::port::{Clock, PcmError, PcmIn, PcmOut, Read};
use soundpost_core::recovery::Step;
use soundpost_core::time::{Instant, Span};

/// Samples in a period of either card.
pub(crate) const PERIOD: usize = 128;
/// The value of made-up sound.
pub(crate) const MADE_UP: i16 = i16::MIN;

/// The value of the sample with number `n`.
pub(crate) fn marker(n: u64) -> i16 {
    (n % 32_767) as i16 + 1
}

/// A clock that a card moves on.
pub(crate) struct Ticks<'a>(pub(crate) &'a Cell<Instant>);

impl Clock for Ticks<'_> {
    fn now(&mut self) -> Instant {
        self.0.get()
    }
}

/// A card to capture from. It loses what the faults say: at which sample, and how many.
pub(crate) struct Microphone<'a> {
    pub(crate) clock: &'a Cell<Instant>,
    pub(crate) next: u64,
    pub(crate) faults: &'a [(u64, u64)],
}

impl PcmIn for Microphone<'_> {
    fn channels(&self) -> usize {
        1
    }

    fn period(&self) -> usize {
        PERIOD
    }

    fn read(&mut self, into: &mut [i16]) -> Result<Read, PcmError> {
        if let Some(((at, lost), later)) = self.faults.split_first()
            && *at <= self.next
        {
            self.next += lost;
            self.faults = later;
            return Err(PcmError::Xrun);
        }
        into.iter_mut().zip(self.next..).for_each(|(value, n)| *value = marker(n));
        self.next += into.len() as u64;
        self.clock.set(Instant::ZERO.plus(Span::from_samples(self.next)));
        Ok(Read { samples: into.len() as u32, pending: 0 })
    }

    fn recover(&mut self, _step: Step) -> Result<(), PcmError> {
        Ok(())
    }
}

/// What was heard, and how it fitted together.
#[derive(Default)]
pub(crate) struct Heard {
    before: i16,
    /// Samples in all.
    pub(crate) samples: u32,
    pub(crate) silent: u32,
    pub(crate) made_up: u32,
    /// Samples that are the one after the sample before.
    pub(crate) in_order: u32,
}

impl Heard {
    fn hear(&mut self, value: i16) {
        self.samples += 1;
        match value {
            0 => self.silent += 1,
            MADE_UP => self.made_up += 1,
            _ => {
                self.in_order +=
                    u32::from(value == self.before.wrapping_add(1) || (value, self.before) == (1, i16::MAX))
            }
        }
        self.before = value;
    }
}

/// A card to play to, that always has room for a period and always holds two.
pub(crate) struct Speaker<'a>(pub(crate) &'a Cell<Heard>);

impl PcmOut for Speaker<'_> {
    fn channels(&self) -> usize {
        1
    }

    fn period(&self) -> usize {
        PERIOD
    }

    fn wait(&mut self) -> Result<(), PcmError> {
        Ok(())
    }

    fn queued(&mut self) -> u32 {
        2 * PERIOD as u32
    }

    fn write(&mut self, from: &[i16]) -> Result<(), PcmError> {
        let mut heard = self.0.take();
        from.iter().for_each(|value| heard.hear(*value));
        self.0.set(heard);
        Ok(())
    }

    fn recover(&mut self, _step: Step) -> Result<(), PcmError> {
        Ok(())
    }
}

/// The codec: mono frames of 20 ms.
pub(crate) struct Lossless;

const FRAME: usize = 960;
const TOC: u8 = 31 << 3;
const REFUSED: CodecError = CodecError { code: -1 };

impl Encode for Lossless {
    fn encode(&mut self, pcm: &[i16], out: &mut [u8]) -> Result<usize, CodecError> {
        let (toc, body) = out.split_first_mut().filter(|_| pcm.len() == FRAME).ok_or(REFUSED)?;
        *toc = TOC;
        body.chunks_exact_mut(2).zip(pcm).for_each(|(to, from)| to.copy_from_slice(&from.to_le_bytes()));
        Ok(1 + 2 * FRAME)
    }

    fn lookahead(&self) -> u32 {
        0
    }

    fn retune(&mut self, _tuning: Tuning) -> Result<(), CodecError> {
        Ok(())
    }
}

impl Decode for Lossless {
    fn decode(&mut self, input: Input<'_>, pcm: &mut [i16]) -> Result<usize, CodecError> {
        let Input::Packet(packet @ [_, body @ ..]) = input else {
            pcm.fill(MADE_UP);
            return Ok(pcm.len());
        };
        if opus_samples(packet) != Some(FRAME as u32) || body.len() != 2 * FRAME || pcm.len() < FRAME {
            return Err(REFUSED);
        }
        pcm.iter_mut().zip(body.chunks_exact(2)).for_each(|(to, from)| *to = value(from));
        Ok(FRAME)
    }
}

fn value(bytes: &[u8]) -> i16 {
    i16::from_le_bytes(bytes.try_into().unwrap_or_default())
}

/// The samples of a packet.
pub(crate) fn samples(packet: &[u8]) -> impl Iterator<Item = i16> {
    packet.get(1..).unwrap_or(&[]).chunks_exact(2).map(value)
}
