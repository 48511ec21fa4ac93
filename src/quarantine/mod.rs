//! The quarantine: what a record there says of itself, and what became of it.

pub mod case;
pub mod headers;
pub mod outcomes;
pub mod resolved;
