//! See `table_record` in `properties.rs`.
#![no_main]

#[path = "../properties.rs"]
#[allow(dead_code, reason = "each target uses one of the functions")]
mod properties;

libfuzzer_sys::fuzz_target!(|data: &[u8]| properties::table_record(data));
