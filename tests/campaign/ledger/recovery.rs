//! Whether the world has recovered, and what to complain of if it has not: judged from what was
//! seen and what the group has committed.

use std::fmt::Debug;

use super::{Ledger, Offsets};
use crate::complaints::Wrong;

impl Ledger {
    /// Whether everything before the target is committed, and its output was seen.
    pub fn is_delivered(&self, committed: &Offsets, target: &Offsets) -> bool {
        covers(committed, target) && covers(&self.settled(), target)
    }

    /// The same of all partitions but this one, which cannot be read.
    pub fn is_delivered_but(&self, held: i32, committed: &Offsets, target: &Offsets) -> bool {
        let others = target.iter().filter(|(partition, _)| **partition != held);
        let others: Offsets = others.map(|(partition, end)| (*partition, *end)).collect();
        self.is_delivered(committed, &others)
    }

    /// Complains of output that was seen before the group was asked, and behind which it has no
    /// offset.
    pub fn check_for_torn_output(&self, seen: &Offsets, committed: &Offsets) {
        for (partition, seen) in seen {
            let committed = committed.get(partition).copied().unwrap_or(0);
            if *seen > committed {
                let what = format!("output up to input {partition}/{seen}, committed {committed}");
                self.complain(Wrong::Torn, what);
            }
        }
    }

    /// The target was not reached in time. What is committed and not there is more than late.
    pub fn complain_of_stall(&self, committed: &Offsets, target: &Offsets, health: impl Debug) {
        self.complain_of_missing(committed, Wrong::Torn);
        if !covers(committed, target) {
            let what = format!("committed {committed:?} of {target:?}; {health:?}");
            self.complain(Wrong::Stalled, what);
        }
    }

    /// Partitions that can be read did not go on beside one that cannot.
    pub fn complain_of_company(
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
        self.complain(Wrong::Stalled, what);
    }

    /// Nobody has said in time what cannot be written or read.
    pub fn complain_of_silence(&self, words: &[String], health: impl Debug) {
        let what = format!("no relay names {words:?}, which it cannot write or read: {health:?}");
        self.complain(Wrong::Stalled, what);
    }
}

fn covers(positions: &Offsets, target: &Offsets) -> bool {
    let mut target = target.iter();
    target.all(|(partition, end)| positions.get(partition).copied().unwrap_or(0) >= *end)
}
