//! The jitter buffer of libspeexdsp (`speex_jitter.h`), with what it is set to by default.
//!
//! It hands out whole packets, so the application holds what a pull leaves over, and asks again when nothing is left. It
//! says itself what is to be made up: a packet that is missing, or time to be put in so that more waits. For either one
//! packet's length is made up, as applications do that play a frame for each answer. Times are samples at 48 kHz; it
//! keeps them in 16 bits, so two thirds of a second are the most that it sees.

use crate::{PERIOD_US, Player, Pull};
use std::ffi::{c_char, c_int, c_void};
use std::ptr;

/// `JitterBufferPacket`.
#[repr(C)]
struct Packet {
    data: *mut c_char,
    len: u32,
    timestamp: u32,
    span: u32,
    sequence: u16,
    user_data: u32,
}

const OK: c_int = 0;
const MISSING: c_int = 1;
const INSERTION: c_int = 2;

#[link(name = "speexdsp")]
unsafe extern "C" {
    fn jitter_buffer_init(step_size: c_int) -> *mut c_void;
    fn jitter_buffer_destroy(jitter: *mut c_void);
    fn jitter_buffer_put(jitter: *mut c_void, packet: *const Packet);
    fn jitter_buffer_get(jitter: *mut c_void, packet: *mut Packet, desired_span: i32, start_offset: *mut i32) -> c_int;
    fn jitter_buffer_tick(jitter: *mut c_void);
}

fn samples(us: i64) -> u32 {
    (us * 6 / 125) as u32
}

pub(crate) struct Speex {
    jitter: *mut c_void,
    packet_us: i64,
    /// Sound that a pull left over: where it is from, none if it is made up, and how much.
    rest: Option<(Option<i64>, i64)>,
    /// What comes next in the stream, once something did.
    next_us: Option<i64>,
}

impl Speex {
    pub(crate) fn new(packet_us: i64) -> Self {
        // SAFETY: it takes any step above zero.
        let jitter = unsafe { jitter_buffer_init(samples(packet_us) as c_int) };
        assert!(!jitter.is_null(), "out of memory");
        Self { jitter, packet_us, rest: None, next_us: None }
    }

    /// Takes the next piece of sound, or of none, and counts what was left out.
    fn take(&mut self, pull: &mut Pull) -> (Option<i64>, i64) {
        let (mut byte, mut offset) = (0, 0);
        let mut packet = Packet { data: &raw mut byte, len: 1, timestamp: 0, span: 0, sequence: 0, user_data: 0 };
        let span = samples(self.packet_us) as i32;
        // SAFETY: the buffer is alive, the packet has room for the one byte that each has.
        let answer = unsafe { jitter_buffer_get(self.jitter, &raw mut packet, span, &raw mut offset) };
        let length = self.packet_us;
        match answer {
            OK => {
                let from = i64::from(packet.timestamp) * 125 / 6;
                // Beyond what is missing, time was taken out.
                let over = self.next_us.map_or(0, |next| from - next);
                pull.made_up_us += over.max(0);
                pull.operations += u32::from(over != 0);
                self.next_us = Some(from + length);
                (Some(from), length)
            }
            MISSING => {
                self.next_us = self.next_us.map(|next| next + length);
                (None, length)
            }
            INSERTION => {
                pull.operations += 1;
                (None, length)
            }
            other => panic!("jitter_buffer_get answered {other}"),
        }
    }
}

impl Player for Speex {
    fn arrive(&mut self, _at_us: i64, seq: u64) {
        let mut byte = 0;
        let span = samples(self.packet_us);
        let timestamp = (seq as u32).wrapping_mul(span);
        let packet = Packet { data: &raw mut byte, len: 1, timestamp, span, sequence: seq as u16, user_data: 0 };
        // SAFETY: the buffer is alive and copies the packet.
        unsafe { jitter_buffer_put(self.jitter, &raw const packet) };
    }

    fn pull(&mut self, _at_us: i64) -> Pull {
        let (mut pull, mut filled) = (Pull::default(), 0);
        while filled < PERIOD_US {
            let (from, length) = match self.rest.take() {
                Some(rest) => rest,
                None => {
                    let taken = self.take(&mut pull);
                    // SAFETY: the buffer is alive.
                    unsafe { jitter_buffer_tick(self.jitter) };
                    taken
                }
            };
            let part = length.min(PERIOD_US - filled);
            match from {
                Some(from) => pull.first = pull.first.or(Some((filled, from))),
                None => pull.made_up_us += part,
            }
            filled += part;
            if part < length {
                self.rest = Some((from.map(|from| from + part), length - part));
            }
        }
        pull
    }
}

impl Drop for Speex {
    fn drop(&mut self) {
        // SAFETY: it is alive, and nobody uses it from here on.
        unsafe { jitter_buffer_destroy(ptr::replace(&raw mut self.jitter, ptr::null_mut())) };
    }
}
