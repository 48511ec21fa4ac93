//! What became of the selected records, in numbers.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value, json};

use super::outcomes::Outcome;

/// Some of the selected records are still open.
#[derive(Debug, thiserror::Error)]
#[error("{open} of {selected} selected records are still open")]
pub struct StillOpen {
    /// How many.
    pub open: u64,
    /// Of how many.
    pub selected: u64,
}

/// What became of records, or would.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    outcomes: BTreeMap<Outcome, u64>,
    /// Why records stay open that were judged again.
    again: BTreeMap<String, u64>,
    /// Why records were not judged.
    refused: BTreeMap<&'static str, u64>,
}

impl Tally {
    /// Counts a record that was judged; `reason` says why, where there is a reason.
    pub fn add(&mut self, outcome: Outcome, reason: Option<&str>) {
        *self.outcomes.entry(outcome).or_default() += 1;
        if outcome == Outcome::Again {
            *self.again.entry(reason.unwrap_or_default().to_string()).or_default() += 1;
        }
    }

    /// Counts a record that was not judged.
    pub fn refuse(&mut self, why: &'static str) {
        *self.refused.entry(why).or_default() += 1;
    }

    /// Returns how many records there are.
    pub fn selected(&self) -> u64 {
        self.outcomes.values().chain(self.refused.values()).sum()
    }

    fn open(&self) -> u64 {
        let again = self.outcomes.get(&Outcome::Again).copied().unwrap_or_default();
        again + self.refused.values().sum::<u64>()
    }

    /// Fails unless all records are closed.
    ///
    /// # Errors
    /// Says how many are open.
    pub fn check(&self) -> anyhow::Result<()> {
        match (self.open(), self.selected()) {
            (0, _) => Ok(()),
            (open, selected) => Err(StillOpen { open, selected }.into()),
        }
    }

    /// Returns it for programs.
    pub fn to_json(&self) -> Value {
        let outcomes = self.outcomes.iter();
        let outcomes = outcomes.map(|(outcome, count)| (outcome.to_string(), json!(count)));
        json!({
            "selected": self.selected(),
            "outcomes": outcomes.collect::<Map<_, _>>(),
            "again": self.again,
            "refused": self.refused,
        })
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.selected() == 0 {
            return write!(f, "No open record is selected.");
        }
        write!(f, "{} selected", self.selected())?;
        for outcome in Outcome::ALL {
            if let Some(count) = self.outcomes.get(&outcome) {
                write!(f, "\n{count:>9} {outcome}")?;
            }
        }
        for (reason, count) in &self.again {
            write!(f, "\n{:>9} {count} of them {reason}", "")?;
        }
        for (why, count) in &self.refused {
            write!(f, "\n{count:>9} not judged: {why}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_open_is_said_with_its_reasons() {
        let mut tally = Tally::default();
        assert_eq!(tally.to_string(), "No open record is selected.");
        tally.check().expect("nothing is open");
        tally.add(Outcome::Audited, None);
        tally.add(Outcome::Skipped, Some("unlisted_action"));
        tally.check().expect("all are closed");
        tally.add(Outcome::Again, Some("unknown_device"));
        tally.refuse("a stub");
        assert_eq!(
            tally.to_string(),
            "4 selected\n        1 audited\n        1 skipped\n        1 again\n          1 of them unknown_device\n        1 not judged: a stub"
        );
        let open = tally.check().expect_err("open").to_string();
        assert_eq!(open, "2 of 4 selected records are still open");
        assert_eq!(tally.to_json()["outcomes"]["audited"], 1);
        assert_eq!(tally.to_json()["again"]["unknown_device"], 1);
    }
}
