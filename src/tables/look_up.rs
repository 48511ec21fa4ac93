//! Look-ups of the ends of a table's topic, what they found, and who waits for what. Plain data.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Offsets;

/// Which reading of a table's topic something belongs to. A topic that is no longer the one that
/// was read is read anew: what is known of one reading says nothing of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reading(u64);

impl Reading {
    pub(super) fn next(self) -> Reading {
        Reading(self.0 + 1)
    }
}

/// What a follower is to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Assignment {
    /// The reading that counts; another one that is under way is to end.
    pub reading: Reading,
    /// How many partitions the topic has, 0 until that is known.
    pub partitions: i32,
}

/// Longest time between a look-up and the moment when its ends are reached, for it to be known that
/// the topic is still the one that was looked up. After that it is looked up once more.
pub(super) const FRESH: Duration = Duration::from_millis(500);

/// A look-up of the ends of a table's topic that has begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LookUp {
    /// Look-ups are numbered in the order in which they begin.
    pub(super) number: u64,
    /// Which reading of the topic it belongs to.
    pub(super) reading: Reading,
    pub(super) began: Instant,
}

/// Ends that the snapshot has not reached yet.
#[derive(Debug, Clone)]
pub struct Target {
    /// The ends.
    pub ends: Arc<Offsets>,
    /// Whether somebody waits for them.
    pub urgent: bool,
}

/// What a look-up found.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) look_up: LookUp,
    pub(super) ends: Arc<Offsets>,
}

/// One who waits until a table has caught up.
#[derive(Debug)]
pub(super) struct Wait {
    /// The first look-up that began after the request.
    pub(super) number: u64,
    /// Once known, it stays: ends that move on are not run after.
    pub(super) answer: Option<Answer>,
    /// The ends were reached late: this look-up must show that the topic is still the same.
    pub(super) confirmation: Option<u64>,
}

pub(super) fn position(positions: &Offsets, partition: i32) -> i64 {
    positions.get(&partition).copied().unwrap_or(0)
}

/// Whether everything before these ends was read.
pub(super) fn covers(positions: &Offsets, ends: &Offsets) -> bool {
    let mut ends = ends.iter();
    ends.all(|(partition, end)| position(positions, *partition) >= *end)
}
