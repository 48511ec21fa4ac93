//! What must have happened in a run, so that finding nothing wrong means something; and how its
//! numbers must agree. It is fed with what was observed, and looks at nothing itself.

use std::time::Duration;

use crate::complaints::Wrong;
use crate::counters::Counted;
use crate::ledger::{Ledger, Offsets};

/// On a busy machine a fault and the recovery from it take some twenty seconds; a run goes on until
/// it had one for so much of its time.
const TIME_OF_A_FAULT: Duration = Duration::from_secs(30);

/// How many faults a run of this length must have at least.
pub fn least_faults(time: Duration) -> usize {
    let faults = time.as_secs() / TIME_OF_A_FAULT.as_secs();
    usize::try_from(faults.max(1)).unwrap_or(usize::MAX)
}

/// What the ledger does not know of a run.
#[derive(Clone, Debug)]
pub struct Observed {
    pub faults: usize,
    /// How many there must be; none where the run was given up with a complaint.
    pub least_faults: usize,
    /// Faults that lie in wait for a commit, and commits that met one.
    pub ambushes: u64,
    pub ambushed: u64,
    /// How often the world had recovered from faults.
    pub recoveries: usize,
    /// Whether the output was held against the group's offsets after the last fault.
    pub offsets_checked: bool,
    pub counted: Counted,
    /// Partitions of the input of which the relays that were there at last had read something.
    pub partitions_read: usize,
    /// Where the logs of the input end.
    pub log_ends: Offsets,
}

impl Observed {
    /// Complains of all that did not happen, and of numbers that do not agree.
    pub fn judge(&self, ledger: &Ledger) {
        for what in self.missing(ledger) {
            ledger.complain(Wrong::Untested, what);
        }
        for what in self.excess(ledger) {
            ledger.complain(Wrong::Unaccounted, what);
        }
        let ends = ledger.ends();
        if self.log_ends != ends {
            let log_ends = &self.log_ends;
            let what = format!("the load itself: the input ends at {log_ends:?}, not {ends:?}");
            ledger.complain(Wrong::Unexpected, what);
        }
    }

    /// What did not happen, or not often enough.
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
            (self.partitions_read > 0, "no relay had read a partition at last"),
            (self.recoveries > 0, "the world has recovered from no fault"),
            (
                self.offsets_checked,
                "the output was not held against the committed offsets after the last fault",
            ),
        ];
        let missing = facts.iter().filter(|(happened, _)| !happened);
        let mut missing: Vec<String> = missing.map(|(_, what)| what.to_string()).collect();
        if self.faults < self.least_faults {
            let (faults, least) = (self.faults, self.least_faults);
            missing.push(format!("{faults} faults struck, not {least} or more"));
        }
        if self.ambushed < self.ambushes {
            let (met, all) = (self.ambushed, self.ambushes);
            missing.push(format!(
                "{met} commits were ambushed, by {all} faults that lie in wait for one"
            ));
        }
        missing
    }

    /// A commit whose answer was lost is counted by nobody, but nothing is counted twice.
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
