//! The quarantine: what a record there says of itself, what became of it, and the protocol that
//! writes this exactly once.

pub mod batch;
pub mod case;
pub mod closing;
pub mod headers;
pub mod outcomes;
pub mod resolved;
pub mod tally;
