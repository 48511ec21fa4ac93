//! First stage, *parse*: the bytes of a record become its known fields, as they stand.

pub mod field;
pub mod framing;
pub mod record;
pub(crate) mod wrapping;
