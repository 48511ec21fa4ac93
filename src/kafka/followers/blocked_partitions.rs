//! Tracks which partitions of a table's topic cannot be read, and when each is tried again. Pure.
//!
//! After such an error the client's own behaviour cannot be relied on. After a batch that fails its
//! checksum, it may continue at an offset that it took from the middle of the payload, or at the
//! beginning of the partition, and so read all of it again forever. So the partition is unassigned,
//! and assigned again at the position that the follower knows, with backoff.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::stream::Backoff;

/// Pauses before a partition is tried again while it stays blocked.
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(250), Duration::from_secs(10));

/// The blocked partitions.
#[derive(Debug, Default)]
pub(in crate::kafka) struct BlockedPartitions(BTreeMap<i32, Blocked>);

#[derive(Debug)]
struct Blocked {
    cause: String,
    /// The client's position regressed without an error.
    regressed: bool,
    /// How often it was blocked in a row.
    attempts: u32,
    /// When the partition is tried again; `None` while it is being tried.
    due: Option<Instant>,
}

/// What had blocked a partition that can be read again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::kafka) enum Unblocked {
    /// Nothing.
    NotBlocked,
    /// An error.
    AfterError,
    /// The client's position had regressed without an error, as happens when the end of the log was
    /// truncated. Since the log continues at the known position, the records before it were
    /// replaced.
    AfterRegression(String),
}

impl BlockedPartitions {
    /// Blocks a partition after an error, until it is due. Returns false if it is blocked already.
    pub(super) fn block(&mut self, partition: i32, cause: String, now: Instant) -> bool {
        self.add(partition, cause, false, now)
    }

    /// Blocks a partition whose position regressed, until it is due. Returns false if it is blocked
    /// already.
    pub(super) fn block_regressed(&mut self, partition: i32, cause: String, now: Instant) -> bool {
        self.add(partition, cause, true, now)
    }

    fn add(&mut self, partition: i32, cause: String, regressed: bool, now: Instant) -> bool {
        if self.is_blocked(partition) {
            return false;
        }
        let before = self.0.get(&partition);
        let attempts = before.map_or(0, |before| before.attempts).saturating_add(1);
        let entry = Blocked {
            cause,
            regressed: regressed || before.is_some_and(|before| before.regressed),
            attempts,
            due: Some(now + BACKOFF.after(attempts)),
        };
        self.0.insert(partition, entry);
        true
    }

    /// Returns whether everything read from this partition is ignored.
    pub(super) fn is_blocked(&self, partition: i32) -> bool {
        let entry = self.0.get(&partition);
        entry.is_some_and(|entry| entry.due.is_some())
    }

    /// Returns the partitions to be tried again now.
    pub(super) fn due(&self, now: Instant) -> Vec<i32> {
        let is_due = |entry: &Blocked| entry.due.is_some_and(|due| due <= now);
        let due = self.0.iter().filter(|(_, entry)| is_due(entry));
        due.map(|(partition, _)| *partition).collect()
    }

    /// Starts another attempt. The cause stays known until the partition is read.
    pub(super) fn resume(&mut self, partition: i32) {
        if let Some(entry) = self.0.get_mut(&partition) {
            entry.due = None;
        }
    }

    /// Records that a partition was read, and returns what had blocked it.
    pub(super) fn unblock(&mut self, partition: i32) -> Unblocked {
        match self.0.remove(&partition) {
            None => Unblocked::NotBlocked,
            Some(entry) if entry.regressed => Unblocked::AfterRegression(entry.cause),
            Some(_) => Unblocked::AfterError,
        }
    }

    /// Returns the cause of the first blocked partition, if any.
    pub(super) fn cause(&self) -> Option<&str> {
        let first = self.0.values().next();
        first.map(|entry| entry.cause.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Duration = Duration::from_millis(250);

    #[test]
    fn a_blocked_partition_is_retried_with_backoff_until_it_is_read() {
        let (mut blocked, now) = (BlockedPartitions::default(), Instant::now());
        let mut at = now;
        let mut pauses = Vec::new();
        for _ in 0..8 {
            assert!(blocked.block(3, "bad checksum".to_string(), at));
            assert!(!blocked.block(3, "repeated".to_string(), at), "blocked already");
            assert!(blocked.is_blocked(3) && !blocked.is_blocked(2));
            assert!(blocked.due(at).is_empty());
            let mut pause = Duration::ZERO;
            while blocked.due(at + pause).is_empty() {
                pause += FIRST;
            }
            pauses.push(pause);
            at += pause;
            assert_eq!(blocked.due(at), [3]);
            blocked.resume(3);
            assert!(blocked.due(at).is_empty() && !blocked.is_blocked(3));
            assert_eq!(blocked.cause(), Some("bad checksum"), "not read yet");
        }
        let seconds: Vec<f64> = pauses.iter().map(Duration::as_secs_f64).collect();
        assert_eq!(seconds, [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 10.0, 10.0]);
        assert_eq!(blocked.unblock(3), Unblocked::AfterError);
        assert_eq!(blocked.unblock(3), Unblocked::NotBlocked);
        assert_eq!(blocked.cause(), None);
        blocked.block(3, "another".to_string(), at);
        assert_eq!(blocked.due(at + FIRST), [3], "the backoff starts again");
    }

    #[test]
    fn a_log_that_continues_after_a_regression_was_replaced() {
        let (mut blocked, now) = (BlockedPartitions::default(), Instant::now());
        blocked.block_regressed(0, "regressed".to_string(), now);
        blocked.resume(0);
        blocked.block(0, "an error as well".to_string(), now);
        let unblocked = blocked.unblock(0);
        assert_eq!(unblocked, Unblocked::AfterRegression("an error as well".to_string()));
    }
}
