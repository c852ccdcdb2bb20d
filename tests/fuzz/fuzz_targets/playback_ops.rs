//! See `soundpost_fuzz::playback_ops`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| soundpost_fuzz::playback_ops(data));
