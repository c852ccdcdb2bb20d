//! See `soundpost_fuzz::opus_toc`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| soundpost_fuzz::opus_toc(data));
