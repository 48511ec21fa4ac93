//! What became of the cases: the records of the topic beside the quarantine, in their form and as
//! a whole. Each is written in the transaction that makes it true.

use std::collections::HashMap;
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::case::{Place, digest_of};

/// The version of the records.
const VERSION: u8 = 1;

/// Returns the name of the topic with the outcomes.
pub fn topic(quarantine: &str) -> String {
    format!("{quarantine}.state")
}

/// What became of a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The audit event was written.
    Audited,
    /// It does not belong in the trail.
    Skipped,
    /// Its producer had sent the record again, and its event is in the trail.
    Present,
    /// An operator closed it without an event.
    Done,
    /// It was judged again, and stays in quarantine.
    Again,
}

impl Outcome {
    /// Every outcome, in the order in which they are shown.
    pub const ALL: [Outcome; 5] =
        [Outcome::Audited, Outcome::Skipped, Outcome::Present, Outcome::Done, Outcome::Again];

    /// Returns its name.
    pub const fn name(self) -> &'static str {
        match self {
            Outcome::Audited => "audited",
            Outcome::Skipped => "skipped",
            Outcome::Present => "present",
            Outcome::Done => "done",
            Outcome::Again => "again",
        }
    }

    /// Returns whether the case is closed.
    pub const fn is_final(self) -> bool {
        !matches!(self, Outcome::Again)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The record of an outcome. Its key is the case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OutcomeRecord {
    /// The version of this form: 1.
    pub v: u8,
    /// What became of the case.
    pub outcome: Outcome,
    /// Why, where the outcome has a reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The reason in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The id of the event, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The region of the event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The place of the record in the quarantine topic.
    pub quarantine: String,
    /// Who did it, as they claim.
    pub by: String,
    /// On which host.
    pub host: String,
    /// Why, in their words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// The version of the program.
    pub version: String,
    /// Tells apart configurations that judge differently, in one version of the program.
    pub config: String,
    /// When, by the clock of that host.
    pub at: Timestamp,
}

/// Who closes cases, and with what.
#[derive(Debug, Clone)]
pub struct Author {
    /// Who, as they claim.
    pub by: String,
    /// On which host.
    pub host: String,
    /// Why, in their words.
    pub note: Option<String>,
    /// Tells apart configurations that judge differently.
    pub config: u64,
}

impl Author {
    /// Returns the record of an outcome, without a reason.
    pub fn record(&self, outcome: Outcome, place: Place, at: Timestamp) -> OutcomeRecord {
        OutcomeRecord {
            v: VERSION,
            outcome,
            reason: None,
            detail: None,
            id: None,
            region: None,
            quarantine: place.to_string(),
            by: self.by.clone(),
            host: self.host.clone(),
            note: self.note.clone(),
            version: env!("CARGO_PKG_VERSION").to_string(),
            config: format!("{:016x}", self.config),
            at,
        }
    }
}

/// The last outcome of each case that has one.
#[derive(Debug, Default)]
pub struct Outcomes(HashMap<[u8; 16], Standing>);

/// Where a case stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It is closed.
    Closed(Outcome),
    /// It was judged again, for this reason.
    Again {
        /// The name of the reason.
        reason: String,
        /// The reason in words.
        detail: String,
    },
}

impl Standing {
    /// Returns whether the case is closed.
    pub const fn is_closed(&self) -> bool {
        matches!(self, Standing::Closed(_))
    }
}

impl Outcomes {
    /// Takes the next record of the topic.
    ///
    /// # Errors
    /// If it is not one of this version: nothing must be decided without it.
    pub fn take(&mut self, key: Option<&[u8]>, value: Option<&[u8]>) -> Result<(), String> {
        let key = key.and_then(|key| std::str::from_utf8(key).ok()).ok_or("it has no key")?;
        let record: OutcomeRecord = serde_json::from_slice(value.unwrap_or_default())
            .map_err(|error| format!("it is not an outcome: {error}"))?;
        if record.v != VERSION {
            return Err(format!(
                "it is of version {}, which this program does not know; use a newer one",
                record.v
            ));
        }
        let standing = match record.outcome {
            Outcome::Again => Standing::Again {
                reason: record.reason.unwrap_or_default(),
                detail: record.detail.unwrap_or_default(),
            },
            outcome => Standing::Closed(outcome),
        };
        let slot = self.0.entry(digest_of(key)).or_insert_with(|| standing.clone());
        // What is closed stays closed.
        if !slot.is_closed() {
            *slot = standing;
        }
        Ok(())
    }

    /// Returns where a case stands, by [`CaseId::digest`](super::case::CaseId::digest); `None` if
    /// it has no outcome.
    pub fn of(&self, case: &[u8; 16]) -> Option<&Standing> {
        self.0.get(case)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quarantine::case::CaseId;

    fn case() -> CaseId {
        CaseId { topic: "changes".to_string(), partition: 3, offset: 7, hash: [1; 8] }
    }

    fn record(outcome: Outcome) -> OutcomeRecord {
        let author =
            Author { by: "ops".to_string(), host: "a".to_string(), note: None, config: 0x2a };
        author.record(outcome, Place { partition: 1, offset: 2 }, Timestamp::UNIX_EPOCH)
    }

    fn take(outcomes: &mut Outcomes, record: &OutcomeRecord) -> Result<(), String> {
        let value = serde_json::to_vec(record).expect("JSON");
        outcomes.take(Some(case().to_string().as_bytes()), Some(&value))
    }

    #[test]
    fn what_is_closed_stays_closed() {
        let mut outcomes = Outcomes::default();
        assert_eq!(outcomes.of(&case().digest()), None);
        let again =
            OutcomeRecord { reason: Some("unknown_device".to_string()), ..record(Outcome::Again) };
        take(&mut outcomes, &again).expect("taken");
        let standing = outcomes.of(&case().digest()).expect("known");
        assert!(matches!(standing, Standing::Again { reason, .. } if reason == "unknown_device"));
        for outcome in [Outcome::Audited, Outcome::Again, Outcome::Done] {
            take(&mut outcomes, &record(outcome)).expect("taken");
            assert_eq!(outcomes.of(&case().digest()), Some(&Standing::Closed(Outcome::Audited)));
        }
        let other = CaseId { offset: 8, ..case() };
        assert_eq!(outcomes.of(&other.digest()), None);
    }

    #[test]
    fn nothing_is_decided_without_a_record_that_cannot_be_read() {
        let mut outcomes = Outcomes::default();
        let newer = OutcomeRecord { v: 2, ..record(Outcome::Audited) };
        assert!(take(&mut outcomes, &newer).expect_err("newer").contains("version 2"));
        assert!(outcomes.take(None, Some(b"{}")).is_err());
        assert!(outcomes.take(Some(b"a"), Some(b"{}")).is_err());
        assert!(outcomes.take(Some(b"a"), None).is_err());
        assert!(outcomes.0.is_empty());
    }

    #[test]
    fn the_form_is_the_documented_one() {
        let full = OutcomeRecord {
            reason: Some("unlisted_action".to_string()),
            note: Some("the catalogue was wrong".to_string()),
            ..record(Outcome::Skipped)
        };
        assert_eq!(
            serde_json::to_string(&full).expect("JSON"),
            format!(
                "{{\"v\":1,\"outcome\":\"skipped\",\"reason\":\"unlisted_action\",\"quarantine\":\"1/2\",\"by\":\"ops\",\"host\":\"a\",\"note\":\"the catalogue was wrong\",\"version\":\"{}\",\"config\":\"000000000000002a\",\"at\":\"1970-01-01T00:00:00Z\"}}",
                env!("CARGO_PKG_VERSION")
            )
        );
    }
}
