//! See `permissions` in `crates/cases/src/properties.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| audit_cases::properties::permissions(data));
