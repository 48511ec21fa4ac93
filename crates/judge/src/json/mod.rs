//! JSON, as fast as records need it: read where it lies, and written piece by piece. What records
//! mean is not known here.

pub(crate) mod bytes;
pub(crate) mod nested;
pub(crate) mod number;
pub(crate) mod plain;
pub(crate) mod write;

/// The JSON of a value that is there and not `null`, as it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Raw<'a>(pub &'a str);
