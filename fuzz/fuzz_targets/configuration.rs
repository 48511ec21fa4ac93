//! See `configuration` in `configuration.rs`.
#![no_main]

#[path = "../configuration.rs"]
mod property;

libfuzzer_sys::fuzz_target!(|data: &[u8]| property::configuration(data));
