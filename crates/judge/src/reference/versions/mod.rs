//! A value that changes over time: the packed versions of one key, and which of them was valid
//! when.
//!
//! `version.rs` has one version, `raw.rs` its packed form. `reading.rs` finds the version of a
//! moment, and `writing.rs` adds one.

mod raw;
mod reading;
#[cfg(test)]
mod tests;
mod version;
pub(crate) mod writing;

pub use reading::Versions;
pub use version::{Version, VersionChange};
pub use writing::{History, Horizon, VERSIONS_BYTES_MAX, VERSIONS_KEPT_MIN, VERSIONS_MAX};
