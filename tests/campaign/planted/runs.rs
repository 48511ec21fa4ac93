//! Plants runs that lack coverage, and runs whose counts do not agree.

use std::time::Duration;

use super::Caught;
use super::fixture::{Fixture, LAST, MALFORMED};
use crate::counters::Counted;
use crate::coverage::{Coverage, least_faults};
use crate::ledger::{Gone, Ledger, Offsets};
use crate::violations::Violation;

/// A name, a change of the coverage, and the violation that must be found.
type Case = (&'static str, fn(&mut Coverage), Violation);

const CASES: [Case; 18] = [
    ("no fault", |run| run.faults = 0, Violation::Untested),
    ("too few faults", |run| run.faults = 2, Violation::Untested),
    ("no commit ambushed", |run| run.ambushed = 0, Violation::Untested),
    ("one commit ambushed of two", |run| run.ambushed = 1, Violation::Untested),
    ("no recovery", |run| run.recoveries = 0, Violation::Untested),
    ("offsets not checked", |run| run.offsets_checked = false, Violation::Untested),
    ("no partition read", |run| run.partitions_read = 0, Violation::Untested),
    ("none counted as read", |run| run.counted.read = 0.0, Violation::Untested),
    ("none counted as audited", |run| run.counted.audited = 0.0, Violation::Untested),
    ("none counted as skipped", |run| run.counted.skipped = 0.0, Violation::Untested),
    ("none counted as quarantined", |run| run.counted.quarantined = 0.0, Violation::Untested),
    ("no commit counted", |run| run.counted.committed = 0.0, Violation::Untested),
    ("more read", |run| run.counted.read = 7.0, Violation::Unaccounted),
    ("more audited", |run| run.counted.audited = 4.0, Violation::Unaccounted),
    ("more skipped", |run| run.counted.skipped = 2.0, Violation::Unaccounted),
    ("more quarantined", |run| run.counted.quarantined = 3.0, Violation::Unaccounted),
    ("offsets deleted", |run| run.counted.deleted = 1.0, Violation::Unaccounted),
    ("one more record in the log", |run| _ = run.log_ends.insert(0, 7), Violation::Unexpected),
];

/// Plants each fault, and checks what is found.
pub fn find(caught: &Caught) -> Result<(), String> {
    let fixture = Fixture::with_all_but(&[]);
    coverage().judge(&fixture.ledger);
    caught.must_be(&fixture.ledger, "full coverage", &[])?;
    for (what, corrupt, violation) in CASES {
        let fixture = Fixture::with_all_but(&[]);
        let mut coverage = coverage();
        corrupt(&mut coverage);
        coverage.judge(&fixture.ledger);
        caught.must_be(&fixture.ledger, what, &[(violation, 1)])?;
    }
    find_nothing_seen(caught)?;
    find_gone(caught)?;
    let least = [0, 29, 30, 100, 1_500].map(|seconds| least_faults(Duration::from_secs(seconds)));
    match least {
        [1, 1, 1, 3, 50] => Ok(()),
        least => Err(format!("at least {least:?}")),
    }
}

/// The coverage of a run of the fixture without any violation.
fn coverage() -> Coverage {
    Coverage {
        faults: 3,
        least_faults: 3,
        ambushes: 2,
        ambushed: 2,
        recoveries: 1,
        offsets_checked: true,
        // The last counts of processes that were killed are not known.
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

/// The relays have counted outputs of which none exists.
fn find_nothing_seen(caught: &Caught) -> Result<(), String> {
    let found = [(Violation::Untested, 1), (Violation::Unaccounted, 1)];
    let fixture = Fixture::with_all_but(&[0, 1, 3]);
    coverage().judge(&fixture.ledger);
    caught.must_be(&fixture.ledger, "nothing is audited", &found)?;
    let fixture = Fixture::with_all_but(&[MALFORMED, LAST]);
    coverage().judge(&fixture.ledger);
    caught.must_be(&fixture.ledger, "nothing is quarantined", &found)?;

    let ledger = Ledger::of("changes");
    let coverage = Coverage {
        faults: 0,
        least_faults: 0,
        log_ends: Offsets::new(),
        counted: Counted::default(),
        ..coverage()
    };
    coverage.judge(&ledger);
    // No record, none of the three fates, and five counters at zero.
    caught.must_be(&ledger, "no load", &[(Violation::Untested, 9)])
}

/// Output that was deleted with its topic before a reader saw it may have been counted.
fn find_gone(caught: &Caught) -> Result<(), String> {
    let fixture = Fixture::with_all_but(&[3]);
    fixture.ledger.add_gone(Gone {
        region: fixture.device.region,
        from: Offsets::from([(0, 3)]),
        to: Offsets::from([(0, 6)]),
    });
    coverage().judge(&fixture.ledger);
    caught.must_be(&fixture.ledger, "output deleted with its topic", &[])
}
