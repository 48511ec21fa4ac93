//! The violations that the ledger finds, by kind. A clean run has none.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

/// Maximum number of descriptions kept of each kind; all violations are counted.
const DESCRIPTIONS_MAX: usize = 20;

/// A kind of violation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Violation {
    /// The expected output is missing.
    Lost,
    /// The output exists more than once.
    Doubled,
    /// The output comes before that of an earlier change of the same device.
    Reordered,
    /// The output is in the wrong region, has the wrong key, or is in another partition than the
    /// other output of its device.
    Misrouted,
    /// Output without its committed offset, or a committed offset without its output.
    Torn,
    /// The record was audited, skipped or quarantined where another fate was expected.
    Decision,
    /// The event differs from the expected one, or the original was not kept whole.
    Changed,
    /// Two records share an event id: a reader that removes duplicates by id would lose an event.
    SharedId,
    /// A relay's counters do not add up, or are missing.
    Unaccounted,
    /// The world did not recover in time, or a relay stopped answering.
    Stalled,
    /// A relay did not exit cleanly.
    Crashed,
    /// Output that belongs to no record.
    Unexpected,
    /// The run did not contain what it must contain, so it proves nothing.
    Untested,
}

impl Violation {
    /// All kinds, for a report that includes the zeros.
    pub const ALL: [Violation; 13] = [
        Violation::Lost,
        Violation::Doubled,
        Violation::Reordered,
        Violation::Misrouted,
        Violation::Torn,
        Violation::Decision,
        Violation::Changed,
        Violation::SharedId,
        Violation::Unaccounted,
        Violation::Stalled,
        Violation::Crashed,
        Violation::Unexpected,
        Violation::Untested,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Violation::Lost => "lost",
            Violation::Doubled => "doubled",
            Violation::Reordered => "reordered per device",
            Violation::Misrouted => "misrouted",
            Violation::Torn => "torn",
            Violation::Decision => "wrong decision",
            Violation::Changed => "changed",
            Violation::SharedId => "shared id",
            Violation::Unaccounted => "unaccounted",
            Violation::Stalled => "stalled",
            Violation::Crashed => "crashed",
            Violation::Unexpected => "unexpected",
            Violation::Untested => "untested",
        }
    }
}

/// Violations by kind: the count, and descriptions of the first few.
#[derive(Clone, Debug, Default)]
pub struct Violations(BTreeMap<Violation, (u64, Vec<String>)>);

impl Violations {
    pub fn add(&mut self, violation: Violation, what: impl fmt::Display) {
        let (count, descriptions) = self.0.entry(violation).or_default();
        *count += 1;
        if descriptions.len() < DESCRIPTIONS_MAX {
            descriptions.push(what.to_string());
        }
    }

    pub fn count(&self, violation: Violation) -> u64 {
        self.0.get(&violation).map_or(0, |(count, _)| *count)
    }

    /// All descriptions, each with its kind.
    pub fn descriptions(&self) -> Vec<String> {
        let words = |(violation, (_, descriptions)): (&Violation, &(u64, Vec<String>))| {
            let name = violation.name();
            descriptions.iter().map(|text| format!("{name}: {text}")).collect::<Vec<_>>()
        };
        self.0.iter().flat_map(words).collect()
    }
}
