//! See `soundpost_fuzz::wire_control`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| soundpost_fuzz::wire_control(data));
