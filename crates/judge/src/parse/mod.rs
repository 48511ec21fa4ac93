//! First stage, *parse*: reads the known fields from the bytes of a record, without interpreting
//! them.

pub mod field;
pub mod framing;
pub mod record;
pub(crate) mod wrapping;
