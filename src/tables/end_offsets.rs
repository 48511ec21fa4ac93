//! Requests for the end offsets of a table's topic, their results, and the threads that wait for
//! them. Plain data.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// For each partition of a table's topic the offset of the next record: the first that was not read
/// yet, or the first that was not written yet.
pub type TableOffsets = BTreeMap<i32, i64>;

/// One reading of a table's topic from its beginning. A topic that was replaced is read again from
/// the beginning; what is known of one reading does not apply to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reading(u64);

impl Reading {
    pub(super) fn next(self) -> Reading {
        Reading(self.0 + 1)
    }
}

/// What a follower must read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Assignment {
    /// The current reading. Any other reading must end.
    pub reading: Reading,
    /// The number of partitions of the topic, 0 until it is known.
    pub partitions: i32,
}

/// Longest time between a request and the moment when its end offsets are reached in which the
/// topic is assumed to be unchanged. After that, a second request must confirm it.
pub(super) const FRESH: Duration = Duration::from_millis(500);

/// A request for the end offsets of a table's topic that has begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndOffsetsRequest {
    /// Requests are numbered in the order in which they begin.
    pub(super) number: u64,
    /// The reading that it belongs to.
    pub(super) reading: Reading,
    pub(super) began: Instant,
}

/// End offsets that the snapshot has not reached yet.
#[derive(Debug, Clone)]
pub struct EndOffsets {
    /// The offsets.
    pub ends: Arc<TableOffsets>,
    /// Whether a thread waits for them.
    pub urgent: bool,
}

/// The result of a request.
#[derive(Debug, Clone)]
pub(super) struct EndOffsetsAnswer {
    pub(super) request: EndOffsetsRequest,
    pub(super) ends: Arc<TableOffsets>,
}

/// A thread that waits until a table has caught up.
#[derive(Debug)]
pub(super) struct Waiter {
    /// The first request that began after the wait.
    pub(super) number: u64,
    /// The end offsets to reach. They stay fixed even if the topic grows.
    pub(super) answer: Option<EndOffsetsAnswer>,
    /// The request that must confirm that the topic is unchanged, if the ends were reached late.
    pub(super) confirmation: Option<u64>,
}

pub(super) fn position(positions: &TableOffsets, partition: i32) -> i64 {
    positions.get(&partition).copied().unwrap_or(0)
}

/// Returns whether everything before these end offsets was read.
pub(super) fn covers(positions: &TableOffsets, ends: &TableOffsets) -> bool {
    let mut ends = ends.iter();
    ends.all(|(partition, end)| position(positions, *partition) >= *end)
}
