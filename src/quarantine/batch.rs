//! What becomes of records, and how many of them one transaction holds.

use std::collections::BTreeMap;

use audit_judge::fate::Audited;
use jiff::Timestamp;
use uuid::Uuid;

use super::case::{CaseId, Place};
use super::outcomes::{Author, Outcome, OutcomeRecord};
use super::resolved::Resolved;
use crate::stream::{Content, Output, Partition};

/// Records of a transaction, at most.
const BATCH_MAX: usize = 1_000;
/// Bytes of the events of a transaction, from which on it is closed.
const BATCH_BYTES: usize = 1024 * 1024;

/// Records of a transaction.
#[derive(Debug, Default)]
pub struct Batch {
    records: Vec<Closed>,
    bytes: usize,
}

/// What is decided of a record.
#[derive(Debug)]
pub struct Decision {
    /// What becomes of it.
    pub outcome: Outcome,
    /// Why, where the outcome has a reason.
    pub reason: Option<String>,
    /// The reason in words.
    pub detail: Option<String>,
    /// The audit event, if one is to be written; of an event that is there already, only its id.
    pub event: Option<Audited>,
    /// The id of the event.
    pub id: Option<Uuid>,
}

/// A quarantined record, as far as what is written of it depends on it.
#[derive(Debug, Clone)]
pub struct Quarantined {
    /// The input record.
    pub case: CaseId,
    /// The place in the quarantine topic.
    pub place: Place,
    /// The timestamp, negative if there is none.
    pub timestamp_ms: i64,
}

/// What becomes of a record, as it is written.
#[derive(Debug)]
pub struct Closed {
    digest: [u8; 16],
    record: Quarantined,
    decision: Decision,
    key: String,
    value: Vec<u8>,
    at_ms: i64,
}

impl Decision {
    /// Returns a decision without a reason.
    pub fn of(outcome: Outcome) -> Self {
        Decision { outcome, reason: None, detail: None, event: None, id: None }
    }
}

impl Batch {
    /// Adds a record with its outcome.
    pub(super) fn add(&mut self, closed: Closed) {
        let event = closed.decision.event.as_ref().map_or(0, |event| event.event.len());
        self.bytes += event + closed.value.len();
        self.records.push(closed);
    }

    /// Returns how many records it has.
    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    /// Returns whether it is to be committed.
    pub(super) fn is_full(&self) -> bool {
        self.records.len() >= BATCH_MAX || self.bytes >= BATCH_BYTES
    }

    /// Returns the records, in one transaction.
    pub fn records(self) -> Vec<Closed> {
        self.records
    }

    /// Splits it into as few transactions as there can be in which the records of each partition of
    /// the quarantine are of one partition of the input. Those of one keep their order.
    pub fn by_input_partition(self) -> Vec<Vec<Closed>> {
        let mut sets = BTreeMap::<i32, BTreeMap<i32, Vec<Closed>>>::new();
        for record in self.records {
            let inputs = sets.entry(record.record.place.partition).or_default();
            inputs.entry(record.record.case.partition).or_default().push(record);
        }
        let mut transactions = Vec::<Vec<Closed>>::new();
        for inputs in sets.into_values() {
            for (index, records) in inputs.into_values().enumerate() {
                match transactions.get_mut(index) {
                    Some(transaction) => transaction.extend(records),
                    None => transactions.push(records),
                }
            }
        }
        transactions
    }
}

impl Closed {
    /// Makes the record of an outcome.
    pub fn new(
        record: Quarantined,
        decision: Decision,
        author: &Author,
        regions: &[String],
        at: Timestamp,
    ) -> Self {
        let region = decision.event.as_ref().map(|event| event.envelope.region.0);
        let outcome = OutcomeRecord {
            reason: decision.reason.clone(),
            detail: decision.detail.clone(),
            id: decision.id.map(|id| id.to_string()),
            region: region.and_then(|index| regions.get(index)).cloned(),
            ..author.record(decision.outcome, record.place, at)
        };
        Closed {
            digest: record.case.digest(),
            key: record.case.to_string(),
            value: serde_json::to_vec(&outcome).unwrap_or_default(),
            at_ms: at.as_millisecond(),
            record,
            decision,
        }
    }

    /// Returns what stands for the case in a large set.
    pub fn digest(&self) -> [u8; 16] {
        self.digest
    }

    /// Returns what became of the record.
    pub fn outcome(&self) -> Outcome {
        self.decision.outcome
    }

    /// Returns why, where the outcome has a reason.
    pub fn reason(&self) -> Option<&str> {
        self.decision.reason.as_deref()
    }

    /// Returns it as it is written.
    pub fn resolved(&self) -> Resolved<'_> {
        let Quarantined { case, place, timestamp_ms } = &self.record;
        let partition = Partition(case.partition);
        let event = self.decision.event.as_ref().map(|audited| Output {
            source_partition: partition,
            source_offset: case.offset,
            timestamp_ms: Some(*timestamp_ms).filter(|time| *time >= 0),
            content: Content::Event { envelope: &audited.envelope, event: &audited.event },
        });
        Resolved {
            place: *place,
            partition,
            event,
            outcome: self.decision.outcome,
            key: self.key.as_bytes(),
            value: &self.value,
            at_ms: self.at_ms,
        }
    }
}
