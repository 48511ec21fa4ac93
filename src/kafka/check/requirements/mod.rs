//! Judges whether a topic meets the relay's guarantees, and what only deserves a warning. Pure:
//! takes the facts about a topic and returns verdicts with remedies.

use std::collections::BTreeMap;
use std::time::Duration;

use super::finding::Verdict;
use crate::kafka::native::Right;
use crate::stream::kept_record::{QUARANTINE_OVERHEAD_BYTES, RecordLimit};

/// Bytes that a record batch adds to the largest audit event in it: framing, key and headers.
const EVENT_OVERHEAD_BYTES: u64 = 1_024;

/// What the relay does with a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Reads state changes.
    Input,
    /// Writes the audit events of a region.
    Output,
    /// Writes records that could not be judged.
    Quarantine,
    /// Writes the seals of the trail, and reads them when it takes partitions over.
    Checkpoints,
    /// Writes what became of quarantined records, and reads it before a replay.
    Outcomes,
    /// Reads a reference table.
    Table,
}

impl Role {
    /// Returns the rights that the role needs. Read and Write both imply Describe.
    pub const fn rights(self) -> &'static [Right] {
        match self {
            Role::Input | Role::Table => &[Right::Read],
            Role::Output | Role::Quarantine => &[Right::Write],
            Role::Checkpoints | Role::Outcomes => &[Right::Read, Right::Write],
        }
    }

    /// Returns whether the relay writes to topics of this role.
    const fn is_written(self) -> bool {
        matches!(self, Role::Output | Role::Quarantine | Role::Checkpoints | Role::Outcomes)
    }
}

/// The facts about a topic.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TopicFacts {
    /// Partition count.
    pub partitions: i32,
    /// The lowest replica count of any partition.
    pub replicas: usize,
    /// The topic configs; `None` if they cannot be read.
    pub settings: Option<BTreeMap<String, String>>,
    /// The rights of the relay's principal; `None` if the broker does not report them.
    pub rights: Option<Vec<Right>>,
}

impl TopicFacts {
    fn setting(&self, name: &str) -> Option<&str> {
        self.settings.as_ref()?.get(name).map(String::as_str)
    }

    /// Returns a numeric setting, if it is known.
    pub fn number(&self, name: &str) -> Option<i64> {
        self.setting(name)?.parse().ok()
    }
}

/// The values of the configuration and of other topics that the requirements depend on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Requirements {
    /// Largest audit event.
    pub event_bytes: u64,
    /// Largest batch that the producer builds of several records.
    pub batch_bytes: u64,
    /// Largest record of the input, if it is known.
    pub input_bytes: Option<u64>,
    /// Brokers of the cluster.
    pub brokers: usize,
    /// How long superseded table versions must stay available.
    pub history: Duration,
    /// Whether the trail is sealed.
    pub is_sealed: bool,
}

impl Requirements {
    /// Returns the max.message.bytes with which an output takes every event and every batch:
    /// records that fit one by one may not fit as one batch, which the client never splits.
    pub(super) fn output_bytes(&self) -> u64 {
        (self.event_bytes + EVENT_OVERHEAD_BYTES).max(self.batch_bytes)
    }

    /// Returns the max.message.bytes with which the quarantine takes every input record whole.
    pub(super) fn quarantine_bytes(&self) -> u64 {
        let record = self.input_bytes.unwrap_or(0) + QUARANTINE_OVERHEAD_BYTES as u64;
        record.max(self.batch_bytes)
    }
}

/// Returns all failures and warnings of a topic, or a pass if there are none.
pub fn judge(role: Role, facts: &TopicFacts, requirements: &Requirements) -> Vec<Verdict> {
    let found = [
        right(role, facts),
        cleanup_policy(role, facts),
        unlimited_retention(role, facts),
        replication(role, facts, requirements),
        message_size(role, facts, requirements),
        compaction_lag(role, facts, requirements),
        tombstone_retention(role, facts, requirements),
        timestamp_type(role, facts),
        sealed_timestamps(role, facts, requirements),
    ];
    let mut verdicts: Vec<Verdict> = found.into_iter().flatten().collect();
    if verdicts.is_empty() {
        verdicts.push(Verdict::Pass(format!(
            "{} partitions, {} replicas",
            facts.partitions, facts.replicas
        )));
    }
    verdicts
}

fn right(role: Role, facts: &TopicFacts) -> Option<Verdict> {
    let granted = facts.rights.as_ref()?;
    let missing = role.rights().iter().find(|needed| !granted.contains(needed));
    missing.map(|needed| {
        let name = needed.name();
        Verdict::Fail(format!(
            "the relay's principal has no right to {}; grant it {name} on this topic",
            name.to_lowercase()
        ))
    })
}

fn cleanup_policy(role: Role, facts: &TopicFacts) -> Option<Verdict> {
    let policy = facts.setting("cleanup.policy")?;
    let has = |required: &str| policy.split(',').any(|part| part.trim() == required);
    if role != Role::Table {
        return has("compact").then(|| {
            Verdict::Fail(format!(
                "cleanup.policy is {policy:?}, so that a later record with the same key removes an earlier one; set it to \"delete\""
            ))
        });
    }
    let limit = |name| facts.number(name).is_some_and(|limit| limit >= 0);
    let deletes = has("delete") && (limit("retention.ms") || limit("retention.bytes"));
    deletes.then(|| {
        Verdict::Fail(format!(
            "cleanup.policy is {policy:?} and its retention is limited, so that entries that have not changed for a long time are deleted; set cleanup.policy to \"compact\""
        ))
    })
}

/// Checks that nothing is deleted that must be known forever.
fn unlimited_retention(role: Role, facts: &TopicFacts) -> Option<Verdict> {
    let limits = ["retention.ms", "retention.bytes"];
    let limited = limits.into_iter().find(|name| facts.number(name).is_some_and(|it| it >= 0))?;
    match role {
        Role::Checkpoints => Some(Verdict::Warn(format!(
            "{limited} is limited: seals are deleted with time, and what they prove with them; set it to -1"
        ))),
        Role::Outcomes => Some(Verdict::Fail(format!(
            "{limited} is limited: outcomes are deleted with time, and their records would be replayed a second time; set it to -1"
        ))),
        _ => None,
    }
}

/// Checks that brokers keep the timestamps of sealed records, which the chains cover.
fn sealed_timestamps(
    role: Role,
    facts: &TopicFacts,
    requirements: &Requirements,
) -> Option<Verdict> {
    let kind = facts.setting("message.timestamp.type")?;
    (requirements.is_sealed && role.is_written() && kind != "CreateTime").then(|| {
        Verdict::Fail(format!(
            "message.timestamp.type is {kind:?}: the broker replaces the timestamps that the trail's chains cover; set it to \"CreateTime\""
        ))
    })
}

/// Checks that acknowledged records survive the loss of a broker, where there are several.
fn replication(role: Role, facts: &TopicFacts, requirements: &Requirements) -> Option<Verdict> {
    if !role.is_written() {
        return None;
    }
    let replicas = facts.replicas;
    let least = facts.number("min.insync.replicas");
    let least = least.map(|least| usize::try_from(least).unwrap_or(0));
    let warning = match (least, replicas) {
        (Some(least), _) if least > replicas => format!(
            "min.insync.replicas is {least}, but there are {replicas} replicas: older brokers then reject every record, newer ones accept records only while all replicas are in sync; lower min.insync.replicas or add replicas"
        ),
        (_, 1) if requirements.brokers > 1 => {
            "it has one replica: if that broker is lost, so are its records; use three replicas"
                .to_string()
        }
        (_, 0 | 1) | (None, _) => return None,
        (Some(least), _) if least <= 1 => format!(
            "min.insync.replicas is {least}: an event may be acknowledged while only one broker has it; set it to {}",
            (replicas - 1).max(2)
        ),
        (Some(least), _) if least == replicas => format!(
            "min.insync.replicas is {least}, as many as there are replicas: the relay makes no progress while any of these brokers is down; lower it to {}",
            replicas - 1
        ),
        _ => return None,
    };
    Some(Verdict::Warn(warning))
}

/// Checks that the topic accepts everything that is written to it.
fn message_size(role: Role, facts: &TopicFacts, requirements: &Requirements) -> Option<Verdict> {
    let limit = u64::try_from(facts.number("max.message.bytes")?).ok()?;
    match role {
        Role::Input | Role::Table => None,
        Role::Output => event_limit(limit, requirements),
        Role::Quarantine => quarantine_limit(limit, requirements),
        Role::Checkpoints | Role::Outcomes => batch_limit(limit, requirements),
    }
}

/// Checks the size limit for events. An event that its topic rejects would hold its input partition
/// forever.
fn event_limit(limit: u64, requirements: &Requirements) -> Option<Verdict> {
    let largest = requirements.output_bytes();
    let why = if largest == requirements.event_bytes + EVENT_OVERHEAD_BYTES {
        "an audit event as large as output.max_message_bytes allows would not fit"
    } else {
        "a batch as large as the producer builds them (batch.size) would not fit"
    };
    (limit < largest).then(|| {
        Verdict::Fail(format!("max.message.bytes is {limit}: {why}; set it to {largest} or more"))
    })
}

/// Checks the size limit for seals and outcomes, each of which is far smaller than a batch of them.
fn batch_limit(limit: u64, requirements: &Requirements) -> Option<Verdict> {
    let largest = requirements.batch_bytes;
    (limit < largest).then(|| {
        Verdict::Fail(format!(
            "max.message.bytes is {limit}: a batch as large as the producer builds them (batch.size) would not fit; set it to {largest} or more"
        ))
    })
}

/// Checks the size limit of the quarantine. A record that is too large is written as a stub, which
/// must fit.
fn quarantine_limit(limit: u64, requirements: &Requirements) -> Option<Verdict> {
    let least = RecordLimit::LEAST.bytes() as u64;
    if limit < least {
        return Some(Verdict::Fail(format!(
            "max.message.bytes is {limit}: not even the stub of a record fits; set it to {least} or more"
        )));
    }
    let largest = requirements.quarantine_bytes();
    let warning = if limit < requirements.batch_bytes {
        "batches as large as the producer builds them (batch.size) are rejected and sent again as smaller ones, and larger originals are written as stubs"
    } else if limit < largest {
        "larger originals are written as stubs, with their size, SHA-256 and first 1,000 bytes"
    } else {
        return None;
    };
    Some(Verdict::Warn(format!(
        "max.message.bytes is {limit}: {warning}; set it to {largest} or more to keep input records whole"
    )))
}

/// Checks how long the table keeps superseded versions. After a restart the relay knows only the
/// versions that the topic still holds.
fn compaction_lag(role: Role, facts: &TopicFacts, requirements: &Requirements) -> Option<Verdict> {
    if role != Role::Table || !facts.setting("cleanup.policy")?.contains("compact") {
        return None;
    }
    let kept = facts.number("min.compaction.lag.ms")?;
    let required = i64::try_from(requirements.history.as_millis()).unwrap_or(i64::MAX);
    (kept < required).then(|| {
        Verdict::Warn(format!(
            "min.compaction.lag.ms is {kept}: superseded versions may be compacted away within tables.history_hours, and after a restart actions from that time are judged without them; set it to {required}"
        ))
    })
}

/// Checks how long the table keeps tombstones. A tombstone that is compacted away before every
/// relay has forgotten the removed entry turns it into a grant again after a restart.
fn tombstone_retention(
    role: Role,
    facts: &TopicFacts,
    requirements: &Requirements,
) -> Option<Verdict> {
    if role != Role::Table || !facts.setting("cleanup.policy")?.contains("compact") {
        return None;
    }
    let kept = facts.number("delete.retention.ms")?;
    let required = i64::try_from(2 * requirements.history.as_millis()).unwrap_or(i64::MAX);
    (kept < required).then(|| {
        Verdict::Warn(format!(
            "delete.retention.ms is {kept}: tombstones may be compacted away within twice tables.history_hours, and after a restart a key that was removed and written again counts as a new one; set it to {required}"
        ))
    })
}

/// Checks where timestamps come from. The only time of a tombstone is that of its record; the same
/// holds for an entry without validFrom.
fn timestamp_type(role: Role, facts: &TopicFacts) -> Option<Verdict> {
    let kind = facts.setting("message.timestamp.type")?;
    (role == Role::Table && kind == "CreateTime").then(|| {
        Verdict::Warn(
            "message.timestamp.type is \"CreateTime\": tombstones, and entries without validFrom, are dated by the producer's clock; set it to \"LogAppendTime\""
                .to_string(),
        )
    })
}

#[cfg(test)]
mod tests;
