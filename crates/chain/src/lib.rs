//! The formats of the trail that proves itself: hash chains over events, signed seals, anchors,
//! and what is committed between transactions. `schemas/integrity.md` is their contract;
//! `schemas/integrity/vectors.json` holds examples, to the byte, from another implementation.
//!
//! Nothing in this crate reads a clock, a file, the network or randomness, logs, or panics. It does
//! not know Kafka, and it does not judge a trail: it says what one record, one note or one line is.
//!
//! Reading order: [`name`] and [`number`], [`hash`], [`header`], [`key`], [`note`], then what is
//! signed, [`seal`] and [`anchor`], and what goes with it, [`state`] and [`trust`].

#![forbid(unsafe_code)]

pub mod anchor;
pub mod hash;
pub mod header;
pub mod invalid;
pub mod key;
mod lines;
pub mod name;
pub mod note;
pub mod number;
pub mod seal;
pub mod state;
pub mod time;
pub mod trust;

pub use hash::digest::Digest;
pub use invalid::Invalid;
pub use lines::LineError;
pub use number::Number;
