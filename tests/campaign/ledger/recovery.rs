//! Decides whether the world has recovered, from the output that was seen and the committed
//! offsets, and adds the violations if it has not.

use std::fmt::Debug;

use super::{Ledger, Offsets};
use crate::violations::Violation;

impl Ledger {
    /// Whether everything before the target is committed and its output was seen.
    pub fn is_delivered(&self, committed: &Offsets, target: &Offsets) -> bool {
        covers(committed, target) && covers(&self.settled(), target)
    }

    /// Whether this holds for all partitions but the held one, which cannot be read.
    pub fn is_delivered_but(&self, held: i32, committed: &Offsets, target: &Offsets) -> bool {
        let others = target.iter().filter(|(partition, _)| **partition != held);
        let others: Offsets = others.map(|(partition, end)| (*partition, *end)).collect();
        self.is_delivered(committed, &others)
    }

    /// Adds a violation for output that was seen before the committed offsets were read, and that
    /// they do not cover.
    pub fn check_for_torn_output(&self, seen: &Offsets, committed: &Offsets) {
        for (partition, seen) in seen {
            let committed = committed.get(partition).copied().unwrap_or(0);
            if *seen > committed {
                let what = format!("output up to input {partition}/{seen}, committed {committed}");
                self.add_violation(Violation::Torn, what);
            }
        }
    }

    /// Adds a violation if the target was not reached in time. Committed records without output are
    /// torn, not late.
    pub fn add_stall(&self, committed: &Offsets, target: &Offsets, health: impl Debug) {
        self.add_missing(committed, Violation::Torn);
        if !covers(committed, target) {
            let what = format!("committed {committed:?} of {target:?}; {health:?}");
            self.add_violation(Violation::Stalled, what);
        }
    }

    /// Adds a violation: readable partitions made no progress while one was held.
    pub fn add_blocked_others(
        &self,
        held: i32,
        committed: &Offsets,
        target: &Offsets,
        health: impl Debug,
    ) {
        let settled = self.settled();
        let what = format!(
            "partition {held} is held, and others do not reach {target:?}: committed {committed:?}, delivered {settled:?}; {health:?}"
        );
        self.add_violation(Violation::Stalled, what);
    }

    /// Adds a violation: no relay has reported in time what it cannot write or read.
    pub fn add_undiagnosed(&self, words: &[String], health: impl Debug) {
        let what = format!("no relay names {words:?}, which it cannot write or read: {health:?}");
        self.add_violation(Violation::Stalled, what);
    }
}

fn covers(positions: &Offsets, target: &Offsets) -> bool {
    let mut target = target.iter();
    target.all(|(partition, end)| positions.get(partition).copied().unwrap_or(0) >= *end)
}
