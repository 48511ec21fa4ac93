//! What a record in the quarantine topic says of itself.

pub mod headers;
