//! The crate against `schemas/integrity/vectors.json`, which another implementation wrote: every
//! example to the byte, and every text refused that must be.

// Cargo sets `test` here anyway. Clippy must see it to apply the test exceptions of clippy.toml.
#![cfg(test)]

mod allocations;
mod contract;
mod hashes;
mod hostile;
mod json;
mod keys;
mod names;
mod notes;
mod seals;
mod states;
mod trusts;
