//! Coverage: what a run must contain, so that a run without violations proves something. Also
//! checks that the counts of a run agree. The values are collected elsewhere.

use std::time::Duration;

use crate::counters::Counted;
use crate::ledger::{Ledger, Offsets};
use crate::violations::Violation;

/// Time per required fault: a run continues until it has injected one per this much of its time. On
/// a busy machine a fault and the recovery from it take about twenty seconds.
const TIME_OF_A_FAULT: Duration = Duration::from_secs(30);

/// Minimum number of faults of a run of this length.
pub fn least_faults(time: Duration) -> usize {
    let faults = time.as_secs() / TIME_OF_A_FAULT.as_secs();
    usize::try_from(faults.max(1)).unwrap_or(usize::MAX)
}

/// What a run contained, as far as the ledger does not know it.
#[derive(Clone, Debug)]
pub struct Coverage {
    pub faults: usize,
    /// Minimum number of faults; zero if the run was given up with a violation.
    pub least_faults: usize,
    /// Faults that ambush a commit, and commits that met one.
    pub ambushes: u64,
    pub ambushed: u64,
    /// Number of recoveries from faults.
    pub recoveries: usize,
    /// Whether the output was compared with the committed offsets after the last fault.
    pub offsets_checked: bool,
    pub counted: Counted,
    /// Input partitions read by the relays that ran at the end.
    pub partitions_read: usize,
    /// End offsets of the input.
    pub log_ends: Offsets,
}

impl Coverage {
    /// Adds a violation for all that is missing, and for counts that do not agree.
    pub fn judge(&self, ledger: &Ledger) {
        for what in self.missing(ledger) {
            ledger.add_violation(Violation::Untested, what);
        }
        for what in self.excess(ledger) {
            ledger.add_violation(Violation::Unaccounted, what);
        }
        let ends = ledger.ends();
        if self.log_ends != ends {
            let log_ends = &self.log_ends;
            let what = format!("the load itself: the input ends at {log_ends:?}, not {ends:?}");
            ledger.add_violation(Violation::Unexpected, what);
        }
    }

    /// Describes what the run must contain and did not.
    fn missing(&self, ledger: &Ledger) -> Vec<String> {
        let (tally, (records, _), counted) = (ledger.tally(), ledger.records(), &self.counted);
        let facts = [
            (records > 0, "no record was written"),
            (tally.audited > 0, "nothing was audited"),
            (tally.quarantined > 0, "nothing was quarantined"),
            (ledger.count_skipped() > 0, "nothing was skipped"),
            (counted.read > 0.0, "no relay counts a record as read"),
            (counted.audited > 0.0, "no relay counts one as audited"),
            (counted.skipped > 0.0, "no relay counts one as skipped"),
            (counted.quarantined > 0.0, "no relay counts one as quarantined"),
            (counted.committed > 0.0, "no relay counts a transaction as committed"),
            (self.partitions_read > 0, "no relay had read a partition at the end"),
            (self.recoveries > 0, "the world recovered from no fault"),
            (
                self.offsets_checked,
                "the output was not compared with the committed offsets after the last fault",
            ),
        ];
        let missing = facts.iter().filter(|(happened, _)| !happened);
        let mut missing: Vec<String> = missing.map(|(_, what)| what.to_string()).collect();
        if self.faults < self.least_faults {
            let (faults, least) = (self.faults, self.least_faults);
            missing.push(format!("{faults} faults were injected, fewer than {least}"));
        }
        if self.ambushed < self.ambushes {
            let (met, all) = (self.ambushed, self.ambushes);
            missing.push(format!("{met} commits met an ambush, of {all} ambushes"));
        }
        missing
    }

    /// Describes counts that are too high. A commit whose answer was lost is never counted, but
    /// nothing is counted twice.
    fn excess(&self, ledger: &Ledger) -> Vec<String> {
        let (tally, (records, _), counted) = (ledger.tally(), ledger.records(), &self.counted);
        let gone = ledger.count_perhaps_gone();
        let limits = [
            ("read", counted.read, records as u64),
            ("audited", counted.audited, tally.audited + gone),
            ("skipped", counted.skipped, ledger.count_skipped()),
            ("quarantined", counted.quarantined, tally.quarantined),
            ("deleted", counted.deleted, 0),
        ];
        let excess = limits.iter().filter(|(_, counted, most)| *counted > *most as f64);
        excess
            .map(|(what, counted, most)| format!("relays count {counted} as {what}, of {most}"))
            .collect()
    }
}
