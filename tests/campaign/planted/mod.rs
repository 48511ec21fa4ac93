//! Planted faults: deliberate errors in the evidence. A judge that never finds a violation proves
//! nothing, so each kind of violation is planted here, and the judges must find that one and no
//! other. The evidence is made by hand, without brokers and relays.

mod event;
mod fixture;
mod quarantine;
mod records;
mod recovery;
mod relays;
mod restarts;
mod runs;

use std::cell::RefCell;
use std::collections::BTreeSet;

use crate::ledger::Ledger;
use crate::violations::Violation;

/// A test: its name, and the function that plants faults and checks what is found.
pub type PlantedTest = (&'static str, fn(&Caught) -> Result<(), String>);

/// All tests of planted faults.
pub const PLANTED_TESTS: [PlantedTest; 8] = [
    ("the_ledger_finds_what_is_planted", records::find),
    ("each_part_of_an_event_is_compared", event::find),
    ("each_part_of_a_quarantined_record_is_compared", quarantine::find),
    ("a_world_that_does_not_recover_is_found", recovery::find),
    ("a_relay_that_crashes_or_falls_silent_is_found", relays::find),
    ("a_relay_that_only_restarts_is_found", |_| restarts::find()),
    ("a_run_without_coverage_is_found", runs::find),
    ("every_kind_of_violation_is_planted", find_every_kind),
];

/// The kinds of violations that were planted and found.
#[derive(Default)]
pub struct Caught(RefCell<BTreeSet<Violation>>);

impl Caught {
    /// Fails unless these are exactly the violations in the ledger.
    fn must_be(
        &self,
        ledger: &Ledger,
        what: &str,
        expected: &[(Violation, u64)],
    ) -> Result<(), String> {
        let violations = ledger.violations();
        let found =
            Violation::ALL.iter().map(|violation| (*violation, violations.count(*violation)));
        let found: BTreeSet<(Violation, u64)> = found.filter(|(_, count)| *count > 0).collect();
        if found != expected.iter().copied().collect() {
            let descriptions = violations.descriptions();
            return Err(format!("{what}: {found:?}, not {expected:?}: {descriptions:?}"));
        }
        let kinds = found.into_iter().map(|(violation, _)| violation);
        self.0.borrow_mut().extend(kinds);
        Ok(())
    }
}

/// Fails unless each kind of violation was planted and found.
fn find_every_kind(caught: &Caught) -> Result<(), String> {
    for (name, plant) in PLANTED_TESTS {
        if name != "every_kind_of_violation_is_planted" {
            plant(caught)?;
        }
    }
    let found = caught.0.borrow();
    let missing: Vec<&Violation> =
        Violation::ALL.iter().filter(|violation| !found.contains(violation)).collect();
    match missing.is_empty() {
        true => Ok(()),
        false => Err(format!("no planted fault for {missing:?}")),
    }
}
