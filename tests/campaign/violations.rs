//! What the ledger holds against the relay, by kind. None of any kind is the promise.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

/// Most complaints of a kind that are kept in words; all are counted.
const TOLD_MAX: usize = 20;

/// What can be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Wrong {
    /// What was demanded is not there.
    Lost,
    /// It is there more than once.
    Doubled,
    /// It stands before an earlier change of the same device.
    Reordered,
    /// It is in the wrong region, under the wrong key, or in another partition than what else is of
    /// its device.
    Misrouted,
    /// Output without the offset behind it, or the reverse.
    Torn,
    /// Audited, skipped or quarantined where something else was right.
    Decision,
    /// The event says something else than the record, or the original was not kept whole.
    Changed,
    /// Two records share an event id: a reader that removes duplicates by id would lose an event.
    SharedId,
    /// A relay's counters do not add up, or are not there.
    Unaccounted,
    /// The world did not recover in time, or a relay fell silent.
    Stalled,
    /// A relay ended in a way that is no clean end.
    Crashed,
    /// Output that belongs to no record.
    Unexpected,
    /// What a run is there for did not happen, so that it shows nothing.
    Untested,
}

impl Wrong {
    /// All of them, for a report that shows the zeros.
    pub const ALL: [Wrong; 13] = [
        Wrong::Lost,
        Wrong::Doubled,
        Wrong::Reordered,
        Wrong::Misrouted,
        Wrong::Torn,
        Wrong::Decision,
        Wrong::Changed,
        Wrong::SharedId,
        Wrong::Unaccounted,
        Wrong::Stalled,
        Wrong::Crashed,
        Wrong::Unexpected,
        Wrong::Untested,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Wrong::Lost => "lost",
            Wrong::Doubled => "doubled",
            Wrong::Reordered => "reordered per device",
            Wrong::Misrouted => "misrouted",
            Wrong::Torn => "torn",
            Wrong::Decision => "wrong decision",
            Wrong::Changed => "changed",
            Wrong::SharedId => "shared id",
            Wrong::Unaccounted => "unaccounted",
            Wrong::Stalled => "stalled",
            Wrong::Crashed => "crashed",
            Wrong::Unexpected => "unexpected",
            Wrong::Untested => "untested",
        }
    }
}

/// Counts, and the first few of each kind in words.
#[derive(Clone, Debug, Default)]
pub struct Complaints(BTreeMap<Wrong, (u64, Vec<String>)>);

impl Complaints {
    pub fn add(&mut self, wrong: Wrong, what: impl fmt::Display) {
        let (count, told) = self.0.entry(wrong).or_default();
        *count += 1;
        if told.len() < TOLD_MAX {
            told.push(what.to_string());
        }
    }

    pub fn count(&self, wrong: Wrong) -> u64 {
        self.0.get(&wrong).map_or(0, |(count, _)| *count)
    }

    /// All that is kept in words, each with its kind.
    pub fn told(&self) -> Vec<String> {
        let words = |(wrong, (_, told)): (&Wrong, &(u64, Vec<String>))| {
            let name = wrong.name();
            told.iter().map(|text| format!("{name}: {text}")).collect::<Vec<_>>()
        };
        self.0.iter().flat_map(words).collect()
    }
}
