//! What became of a quarantined record, as a replay writes it.

use super::case::Place;
use super::outcomes::Outcome;
use crate::stream::{Output, Partition};

/// What became of a quarantined record: the outcome, and the audit event if there is one.
#[derive(Debug, Clone, Copy)]
pub struct Resolved<'a> {
    /// The place of the record in the quarantine topic.
    pub place: Place,
    /// The partition of the input that the record is of: partitions of what is written follow from
    /// it, so that order is kept.
    pub partition: Partition,
    /// The audit event, as an output of the input record.
    pub event: Option<Output<'a>>,
    /// The outcome.
    pub outcome: Outcome,
    /// The key of its record.
    pub key: &'a [u8],
    /// The value of its record.
    pub value: &'a [u8],
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
}

/// The partitions that hold what is written of a quarantined record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Destination {
    /// That of the region's topic, if there is an event.
    pub event: Option<i32>,
    /// That of the topic with the outcomes.
    pub outcome: i32,
}
