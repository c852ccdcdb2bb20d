//! What is done with an input, for the fuzzer and for the tests.
//!
//! Each body takes any bytes, as they are or as a script of operations, and panics when a promise is broken. A body
//! knows nothing of the fuzzer: `tests/fuzz_corpus.rs` runs the same ones over the inputs that are kept.

mod engines;
mod platform;
mod pool;
mod wire;

pub use engines::{capture_ops, opus_toc, playback_ops};
pub use platform::wav_and_uri;
pub use pool::pool_ops;
pub use wire::{wire_control, wire_parse};

/// A body.
pub type Body = fn(&[u8]);

/// Every body, under the name of its target and of its folder of inputs.
pub const BODIES: [(&str, Body); 7] = [
    ("wire_parse", wire_parse),
    ("wire_control", wire_control),
    ("pool_ops", pool_ops),
    ("playback_ops", playback_ops),
    ("capture_ops", capture_ops),
    ("opus_toc", opus_toc),
    ("wav_and_uri", wav_and_uri),
];

/// Takes numbers off the front of an input; zeros when it is over.
struct Script<'a>(&'a [u8]);

impl Script<'_> {
    fn is_over(&self) -> bool {
        self.0.is_empty()
    }

    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut taken = [0; N];
        let count = N.min(self.0.len());
        let (front, rest) = self.0.split_at(count);
        taken[..count].copy_from_slice(front);
        self.0 = rest;
        taken
    }

    fn u8(&mut self) -> u8 {
        u8::from_le_bytes(self.bytes())
    }

    fn u16(&mut self) -> u16 {
        u16::from_le_bytes(self.bytes())
    }

    fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.bytes())
    }
}
