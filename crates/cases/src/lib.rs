//! State changes with known fates, for test programs: the examples of `schemas/examples`, the case
//! tables of `crates/judge/tests/cases`, record generators, and setups that judge them. The crate
//! reads files, so it is not part of the core; it builds no C library.
//!
//! Reading order: [`case`](mod@case), [`setup`], [`outcome`], [`generators`], [`properties`].

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "an unreadable case or a violated property fails the test"
)]

pub mod case;
mod difference;
pub mod documents;
mod examples;
pub mod generators;
pub mod outcome;
pub mod properties;
mod record_text;
pub mod setup;
pub mod tables;

use std::path::Path;

pub use case::{Case, case, cases};
pub use setup::Setup;

/// Returns the root of the repository.
pub fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// Reads a file of the repository, by its path from the root.
pub fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
