//! Plants runs in which something did not happen, or in which numbers do not agree.

use std::time::Duration;

use super::Finds;
use super::stage::{LAST, MALFORMED, Stage};
use crate::complaints::Wrong;
use crate::counters::Counted;
use crate::evidence::{Observed, least_faults};
use crate::ledger::{Gone, Ledger, Offsets};

/// Spoils what was observed.
type Case = (&'static str, fn(&mut Observed), Wrong);

const CASES: [Case; 18] = [
    ("no fault", |run| run.faults = 0, Wrong::Untested),
    ("too few faults", |run| run.faults = 2, Wrong::Untested),
    ("no commit ambushed", |run| run.ambushed = 0, Wrong::Untested),
    ("one commit ambushed of two", |run| run.ambushed = 1, Wrong::Untested),
    ("no recovery", |run| run.recoveries = 0, Wrong::Untested),
    ("no look at the offsets", |run| run.offsets_checked = false, Wrong::Untested),
    ("no partition read", |run| run.partitions_read = 0, Wrong::Untested),
    ("none counted as read", |run| run.counted.read = 0.0, Wrong::Untested),
    ("none counted as audited", |run| run.counted.audited = 0.0, Wrong::Untested),
    ("none counted as skipped", |run| run.counted.skipped = 0.0, Wrong::Untested),
    ("none counted as quarantined", |run| run.counted.quarantined = 0.0, Wrong::Untested),
    ("no commit counted", |run| run.counted.committed = 0.0, Wrong::Untested),
    ("more read", |run| run.counted.read = 7.0, Wrong::Unaccounted),
    ("more audited", |run| run.counted.audited = 4.0, Wrong::Unaccounted),
    ("more skipped", |run| run.counted.skipped = 2.0, Wrong::Unaccounted),
    ("more quarantined", |run| run.counted.quarantined = 3.0, Wrong::Unaccounted),
    ("offsets deleted", |run| run.counted.deleted = 1.0, Wrong::Unaccounted),
    ("a record more in the log", |run| _ = run.log_ends.insert(0, 7), Wrong::Unexpected),
];

/// Plants, and looks.
pub fn find(finds: &Finds) -> Result<(), String> {
    let stage = Stage::with_all_but(&[]);
    observed().judge(&stage.ledger);
    finds.must_be(&stage.ledger, "all has happened", &[])?;
    for (what, spoil, wrong) in CASES {
        let stage = Stage::with_all_but(&[]);
        let mut observed = observed();
        spoil(&mut observed);
        observed.judge(&stage.ledger);
        finds.must_be(&stage.ledger, what, &[(wrong, 1)])?;
    }
    find_nothing_seen(finds)?;
    find_gone(finds)?;
    let least = [0, 29, 30, 100, 1_500].map(|seconds| least_faults(Duration::from_secs(seconds)));
    match least {
        [1, 1, 1, 3, 50] => Ok(()),
        least => Err(format!("at least {least:?}")),
    }
}

/// A run on the stage, of which nothing is wrong.
fn observed() -> Observed {
    Observed {
        faults: 3,
        least_faults: 3,
        ambushes: 2,
        ambushed: 2,
        recoveries: 1,
        offsets_checked: true,
        // Of what processes counted that were killed, some is not known.
        counted: Counted {
            read: 5.0,
            audited: 3.0,
            skipped: 1.0,
            quarantined: 1.0,
            committed: 1.0,
            ..Counted::default()
        },
        partitions_read: 1,
        log_ends: Offsets::from([(0, 6)]),
    }
}

/// The relays say that they have done something, and nothing of it is there.
fn find_nothing_seen(finds: &Finds) -> Result<(), String> {
    let found = [(Wrong::Untested, 1), (Wrong::Unaccounted, 1)];
    let stage = Stage::with_all_but(&[0, 1, 3]);
    observed().judge(&stage.ledger);
    finds.must_be(&stage.ledger, "nothing is audited", &found)?;
    let stage = Stage::with_all_but(&[MALFORMED, LAST]);
    observed().judge(&stage.ledger);
    finds.must_be(&stage.ledger, "nothing is quarantined", &found)?;

    let ledger = Ledger::of("changes");
    let observed = Observed {
        faults: 0,
        least_faults: 0,
        log_ends: Offsets::new(),
        counted: Counted::default(),
        ..observed()
    };
    observed.judge(&ledger);
    // No record, and none with one of the three fates; and five counters.
    finds.must_be(&ledger, "no load", &[(Wrong::Untested, 9)])
}

/// What went with its topic before anybody could read it may have been counted.
fn find_gone(finds: &Finds) -> Result<(), String> {
    let stage = Stage::with_all_but(&[3]);
    stage.ledger.add_gone(Gone {
        region: stage.device.region,
        from: Offsets::from([(0, 3)]),
        to: Offsets::from([(0, 6)]),
    });
    observed().judge(&stage.ledger);
    finds.must_be(&stage.ledger, "one is gone", &[])
}
