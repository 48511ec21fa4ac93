//! A seal: what one transaction added to the chains of one set. Its text is signed as a note; its
//! hash is what the next seal of the set names.
//!
//! The lines of the text, in this order, each ended by one line feed; lines in brackets may be
//! absent:
//!
//! ```text
//! <origin>
//! audit-seal/v1
//! set <set> of <partitions>
//! seal <number>
//! prev <digest>
//! input <start> <end>
//! counts <read> <events> <skipped> <quarantined>
//! writer <group>/<instance> cfg=<16 hexadecimal digits>
//! time <time>
//! [after <set> <seal> <digest>]
//! [resumed <reason>]
//! [gap <start> <end> <cause>]...
//! [x-<word> <text>]...
//! [head <name> <size> <digest> <partition or ->]...
//! [next-key <vkey>]
//! ```
//!
//! What must hold between the lines stands in [`Seal::text`].

mod check;
mod parse;
mod words;
mod write;
mod writer;

use std::collections::BTreeMap;

pub use self::words::{Cause, Extension, Reason};
pub use self::writer::Writer;
use crate::key::PublicKey;
use crate::name::{Origin, Set, StreamName};
use crate::time::Time;
use crate::{Digest, LineError, Number};

/// The second line of a seal's text.
const VERSION: &str = "audit-seal/v1";

/// A seal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seal {
    /// The trail.
    pub origin: Origin,
    /// Whose chains it seals.
    pub set: Set,
    /// How many partitions the input topic has.
    pub partitions: Number,
    /// Which seal of the set it is, from 0 without gaps.
    pub number: Number,
    /// The hash of the seal before it. For number 0 the
    /// [genesis of the set's seals](crate::hash::seal_genesis).
    pub previous: Digest,
    /// The part of the input that the transaction consumed.
    pub input: Input,
    /// What became of it.
    pub counts: Counts,
    /// Who wrote it.
    pub writer: Writer,
    /// When, as the writer claims.
    pub time: Time,
    /// The last seal of the epoch before, exactly in the first seal of any epoch but 1.
    pub after: Option<After>,
    /// Why the writer could not simply continue.
    pub resumed: Option<Reason>,
    /// Offsets of the input that hold messages nobody read, in ascending order.
    pub gaps: Vec<Gap>,
    /// Lines that readers ignore.
    pub extensions: Vec<Extension>,
    /// The streams, by name: all that the transaction added to, and possibly others.
    pub heads: BTreeMap<StreamName, Head>,
    /// The key that signs from the next seal on.
    pub next_key: Option<PublicKey>,
}

/// Offsets of the input from `start`, inclusive, to `end`, exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Input {
    /// The end of the seal before.
    pub start: Number,
    /// The offset that the transaction commits.
    pub end: Number,
}

/// What became of the messages of a seal's input. Markers of transactions and what compaction
/// removed leave offsets without messages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Messages read.
    pub read: Number,
    /// Audit events written to the topics of regions. A message can give several.
    pub events: Number,
    /// Messages that gave no event, on purpose.
    pub skipped: Number,
    /// Messages that could not be judged.
    pub quarantined: Number,
}

/// Offsets of the input whose messages were not read and never will be, from `start`, inclusive, to
/// `end`, exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// The first offset.
    pub start: Number,
    /// The offset behind the last one.
    pub end: Number,
    /// Why.
    pub cause: Cause,
}

/// A seal of the epoch before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct After {
    /// The same partition in the epoch before.
    pub set: Set,
    /// Its last seal's number.
    pub seal: Number,
    /// That seal's hash.
    pub digest: Digest,
}

/// A stream after the transaction of a seal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// How many events the stream has, from the first on; at least 1.
    pub size: Number,
    /// The head of its chain.
    pub digest: Digest,
    /// The partition of the output topic that holds what this transaction added to the stream;
    /// `None` if it added nothing.
    pub partition: Option<Number>,
}

/// A text that is not a seal, or a seal that has no text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// A line does not follow the grammar.
    #[error(transparent)]
    Line(#[from] LineError),
    /// The lines contradict each other: what must hold and does not.
    #[error("the seal contradicts itself: {0}")]
    Contradiction(&'static str),
}

#[cfg(test)]
mod tests;
