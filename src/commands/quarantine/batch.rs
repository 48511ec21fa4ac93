//! What a transaction holds: records with their outcomes, and the events of those that have one.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::archive::Found;
use super::judging::Decision;
use crate::quarantine::case::{CaseId, Place};
use crate::quarantine::outcomes::{Author, Outcome, OutcomeRecord};
use crate::quarantine::resolved::Resolved;
use crate::stream::{Content, Output, Partition};

/// Records of a transaction, at most.
const BATCH_MAX: usize = 1_000;
/// Bytes of the events of a transaction, from which on it is closed.
const BATCH_BYTES: usize = 1024 * 1024;

/// Records of a transaction.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) records: Vec<Closed>,
    bytes: usize,
}

/// What becomes of a record.
pub(super) struct Closed {
    pub(super) digest: [u8; 16],
    case: CaseId,
    place: Place,
    pub(super) outcome: Outcome,
    pub(super) reason: Option<String>,
    decision: Decision,
    timestamp_ms: i64,
    key: String,
    value: Vec<u8>,
    at_ms: i64,
}

impl Batch {
    /// Adds a record with its outcome.
    pub(super) fn add(
        &mut self,
        found: &Found<'_>,
        decision: Decision,
        author: &Author,
        regions: &[String],
    ) {
        let closed = Closed::new(found, decision, author, regions);
        let event = closed.decision.event.as_ref().map_or(0, |event| event.event.len());
        self.bytes += event + closed.value.len();
        self.records.push(closed);
    }

    /// Returns whether it is to be committed.
    pub(super) fn is_full(&self) -> bool {
        self.records.len() >= BATCH_MAX || self.bytes >= BATCH_BYTES
    }

    /// Splits it into as few transactions as there can be in which the records of each partition of
    /// the quarantine are of one partition of the input. Those of one keep their order.
    pub(super) fn by_input_partition(self) -> Vec<Vec<Closed>> {
        let mut sets = BTreeMap::<i32, BTreeMap<i32, Vec<Closed>>>::new();
        for record in self.records {
            let inputs = sets.entry(record.place.partition).or_default();
            inputs.entry(record.case.partition).or_default().push(record);
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
    fn new(found: &Found<'_>, decision: Decision, author: &Author, regions: &[String]) -> Self {
        let (case, place): (CaseId, Place) = (found.case.id.clone(), found.place);
        let at = Timestamp::now();
        let region = decision.event.as_ref().map(|event| event.envelope.region.0);
        let record = OutcomeRecord {
            reason: decision.reason.clone(),
            detail: decision.detail.clone(),
            id: decision.id.map(|id| id.to_string()),
            region: region.and_then(|index| regions.get(index)).cloned(),
            ..author.record(decision.outcome, place, at)
        };
        Closed {
            digest: found.digest,
            place,
            outcome: decision.outcome,
            reason: decision.reason.clone(),
            timestamp_ms: found.record.timestamp_ms,
            key: case.to_string(),
            value: serde_json::to_vec(&record).unwrap_or_default(),
            at_ms: at.as_millisecond(),
            case,
            decision,
        }
    }

    /// Returns it as it is written.
    pub(super) fn resolved(&self) -> Resolved<'_> {
        let partition = Partition(self.case.partition);
        let event = self.decision.event.as_ref().map(|audited| Output {
            source_partition: partition,
            source_offset: self.case.offset,
            timestamp_ms: Some(self.timestamp_ms).filter(|time| *time >= 0),
            content: Content::Event { envelope: &audited.envelope, event: &audited.event },
        });
        Resolved {
            place: self.place,
            partition,
            event,
            outcome: self.outcome,
            key: self.key.as_bytes(),
            value: &self.value,
            at_ms: self.at_ms,
        }
    }
}
