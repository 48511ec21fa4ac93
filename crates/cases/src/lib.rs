//! State changes with known fates, for test programs: the examples of `schemas/examples`, the
//! tables of cases in `crates/judge/tests/cases`, generators of records, and setups that judge
//! them. It reads files, so it is no part of the core, and it builds no C library.
//!
//! Reading order: [`case`](mod@case), [`setup`], [`outcome`], [`generators`], [`properties`].

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a case that cannot be read, or a property that does not hold, fails the test"
)]

pub mod case;
mod difference;
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

/// The root of the repository.
pub fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// A file of the repository, by its path from the root.
pub fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
