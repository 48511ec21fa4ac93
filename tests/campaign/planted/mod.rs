//! A judge that never complains proves nothing: here each kind of fault is planted, and the judges
//! must find that one and no other. They are fed by hand; no broker and no relay is there.

mod event;
mod quarantine;
mod records;
mod recovery;
mod relays;
mod restarts;
mod runs;
mod stage;

use std::cell::RefCell;
use std::collections::BTreeSet;

use crate::complaints::Wrong;
use crate::ledger::Ledger;

/// A test: what it is called, and what it plants.
pub type Planting = (&'static str, fn(&Finds) -> Result<(), String>);

/// All of them.
pub const PLANTINGS: [Planting; 8] = [
    ("the_ledger_finds_what_is_planted", records::find),
    ("each_part_of_an_event_is_compared", event::find),
    ("each_part_of_a_quarantined_record_is_compared", quarantine::find),
    ("a_world_that_does_not_recover_is_found", recovery::find),
    ("a_relay_that_ends_badly_or_falls_silent_is_found", relays::find),
    ("a_relay_that_only_restarts_is_found", |_| restarts::find()),
    ("a_run_in_which_nothing_happened_is_found", runs::find),
    ("every_kind_of_complaint_is_planted", find_every_kind),
];

/// The kinds of complaints that were planted, and found.
#[derive(Default)]
pub struct Finds(RefCell<BTreeSet<Wrong>>);

impl Finds {
    /// Fails unless this is all that the ledger complains of.
    fn must_be(
        &self,
        ledger: &Ledger,
        what: &str,
        expected: &[(Wrong, u64)],
    ) -> Result<(), String> {
        let complaints = ledger.complaints();
        let found = Wrong::ALL.iter().map(|wrong| (*wrong, complaints.count(*wrong)));
        let found: BTreeSet<(Wrong, u64)> = found.filter(|(_, count)| *count > 0).collect();
        if found != expected.iter().copied().collect() {
            let told = complaints.told();
            return Err(format!("{what}: {found:?}, not {expected:?}: {told:?}"));
        }
        let kinds = found.into_iter().map(|(wrong, _)| wrong);
        self.0.borrow_mut().extend(kinds);
        Ok(())
    }
}

/// No kind is without a planted fault that it was found by.
fn find_every_kind(finds: &Finds) -> Result<(), String> {
    for (name, plant) in PLANTINGS {
        if name != "every_kind_of_complaint_is_planted" {
            plant(finds)?;
        }
    }
    let found = finds.0.borrow();
    let missing: Vec<&Wrong> = Wrong::ALL.iter().filter(|wrong| !found.contains(wrong)).collect();
    match missing.is_empty() {
        true => Ok(()),
        false => Err(format!("nothing is planted for {missing:?}")),
    }
}
