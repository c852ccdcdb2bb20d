//! Devices, clock and codec that the compiler cannot see into.
//!
//! Each method is a call of a C function that exists nowhere, so nothing is known about what it returns or
//! writes, just as with a sound card and a codec library. All of them begin with `world_`.

use soundpost_core::codec::{CodecError, Decode, Encode, Input};
use soundpost_core::config::Tuning;
use soundpost_core::port::{Clock, PcmError, PcmIn, PcmOut, Read};
use soundpost_core::recovery::Step;
use soundpost_core::time::Instant;

unsafe extern "C" {
    safe fn world_number(of: u32) -> usize;
    safe fn world_now() -> u64;
    safe fn world_call(what: u32, argument: u32) -> i32;
    fn world_read(into: *mut i16, values: usize, pending: *mut u32) -> i32;
    fn world_write(from: *const i16, values: usize) -> i32;
    fn world_encode(pcm: *const i16, values: usize, out: *mut u8, room: usize) -> i32;
    fn world_decode(how: u32, packet: *const u8, length: usize, pcm: *mut i16, values: usize) -> i32;
}

/// Every device error there is, by number.
fn trouble(number: i32) -> PcmError {
    match number {
        1 => PcmError::Xrun,
        2 => PcmError::Suspended,
        3 => PcmError::Stopped,
        4 => PcmError::Ended,
        5 => PcmError::Broken(number),
        other => PcmError::Gone(other),
    }
}

fn outcome(number: i32) -> Result<(), PcmError> {
    if number == 0 { Ok(()) } else { Err(trouble(number)) }
}

/// Negative numbers are refusals, as with libopus.
fn count(number: i32) -> Result<usize, CodecError> {
    usize::try_from(number).map_err(|_| CodecError { code: number })
}

/// A sound card, either way.
pub struct Card;

impl PcmIn for Card {
    fn channels(&self) -> usize {
        world_number(0)
    }

    fn period(&self) -> usize {
        world_number(1)
    }

    fn read(&mut self, into: &mut [i16]) -> Result<Read, PcmError> {
        let mut pending = 0;
        // SAFETY: the slice is writable for its length.
        let read = unsafe { world_read(into.as_mut_ptr(), into.len(), &mut pending) };
        let samples = u32::try_from(read).map_err(|_| trouble(read.wrapping_neg()))?;
        Ok(Read { samples, pending })
    }

    fn recover(&mut self, step: Step) -> Result<(), PcmError> {
        outcome(world_call(0, step as u32))
    }
}

impl PcmOut for Card {
    fn channels(&self) -> usize {
        world_number(2)
    }

    fn period(&self) -> usize {
        world_number(3)
    }

    fn wait(&mut self) -> Result<(), PcmError> {
        outcome(world_call(1, 0))
    }

    fn queued(&mut self) -> u32 {
        world_number(4) as u32
    }

    fn write(&mut self, from: &[i16]) -> Result<(), PcmError> {
        // SAFETY: the slice is readable for its length.
        outcome(unsafe { world_write(from.as_ptr(), from.len()) })
    }

    fn recover(&mut self, step: Step) -> Result<(), PcmError> {
        outcome(world_call(2, step as u32))
    }
}

/// A clock.
pub struct Ticks;

impl Clock for Ticks {
    fn now(&mut self) -> Instant {
        Instant::from_micros(world_now())
    }
}

/// A codec, either way.
pub struct Codec;

impl Encode for Codec {
    fn encode(&mut self, pcm: &[i16], out: &mut [u8]) -> Result<usize, CodecError> {
        // SAFETY: both slices are good for their lengths.
        count(unsafe { world_encode(pcm.as_ptr(), pcm.len(), out.as_mut_ptr(), out.len()) })
    }

    fn lookahead(&self) -> u32 {
        world_number(5) as u32
    }

    fn retune(&mut self, tuning: Tuning) -> Result<(), CodecError> {
        count(world_call(3, tuning.bitrate.bps())).map(|_| ())
    }

    fn wind_up(&mut self) {
        world_call(4, 0);
    }

    fn prime(&mut self, past: &[i16]) {
        // SAFETY: the slice is readable for its length.
        unsafe { world_write(past.as_ptr(), past.len()) };
    }
}

impl Decode for Codec {
    fn decode(&mut self, input: Input<'_>, pcm: &mut [i16]) -> Result<usize, CodecError> {
        let (how, packet) = match input {
            Input::Packet(packet) => (0, packet),
            Input::RecoverFrom(packet) => (1, packet),
            Input::Conceal => (2, &[][..]),
        };
        // SAFETY: both slices are good for their lengths.
        count(unsafe { world_decode(how, packet.as_ptr(), packet.len(), pcm.as_mut_ptr(), pcm.len()) })
    }
}
