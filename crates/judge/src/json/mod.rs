//! JSON, as fast as records need it: read in place, and written piece by piece. It does not know
//! what records mean.

pub(crate) mod bytes;
pub(crate) mod nested;
pub(crate) mod number;
pub(crate) mod plain;
pub(crate) mod write;

/// The JSON of a value that is present and not `null`, as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Raw<'a>(pub &'a str);
