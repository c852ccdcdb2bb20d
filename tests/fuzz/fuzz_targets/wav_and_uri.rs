//! See `soundpost_fuzz::wav_and_uri`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| soundpost_fuzz::wav_and_uri(data));
