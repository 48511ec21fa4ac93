//! What a topic must be like for the promises to hold, and what is only worth a warning. Pure: what
//! the cluster says goes in, verdicts with remedies come out.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Verdict;
use crate::kafka::native::Right;
use crate::stream::kept_record::{QUARANTINE_OVERHEAD_BYTES, RecordLimit};

/// What a record batch adds to the largest audit event in it: framing, key and headers.
const EVENT_OVERHEAD_BYTES: u64 = 1_024;

/// What the relay does with a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Reads state changes.
    Input,
    /// Writes the audit events of a region.
    Output,
    /// Writes what could not be judged.
    Quarantine,
    /// Reads a reference table.
    Table,
}

impl Role {
    /// The right that it takes; Describe comes with either.
    pub const fn right(self) -> Right {
        match self {
            Role::Input | Role::Table => Right::Read,
            Role::Output | Role::Quarantine => Right::Write,
        }
    }
}

/// What the cluster says of a topic.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TopicFacts {
    /// How many partitions it has.
    pub partitions: i32,
    /// The fewest replicas of any of them.
    pub replicas: usize,
    /// Its settings; none if they cannot be asked.
    pub settings: Option<BTreeMap<String, String>>,
    /// What we may do; none if the broker does not say.
    pub rights: Option<Vec<Right>>,
}

impl TopicFacts {
    fn setting(&self, name: &str) -> Option<&str> {
        self.settings.as_ref()?.get(name).map(String::as_str)
    }

    /// A setting that is a number, if it is known.
    pub fn number(&self, name: &str) -> Option<i64> {
        self.setting(name)?.parse().ok()
    }
}

/// What of the configuration and the other topics the requirements follow from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Requirements {
    /// Largest audit event.
    pub event_bytes: u64,
    /// Largest batch that the producer makes of several records.
    pub batch_bytes: u64,
    /// Largest record of the input, if it is known.
    pub input_bytes: Option<u64>,
    /// Brokers of the cluster.
    pub brokers: usize,
    /// For how long superseded versions in tables may be asked for.
    pub history: Duration,
}

/// Everything that there is to say of a topic: what is unmet or doubtful, or else that it is as it
/// must be.
pub fn judge(role: Role, facts: &TopicFacts, needs: &Requirements) -> Vec<Verdict> {
    let found = [
        right(role, facts),
        clean_up(role, facts),
        copies(role, facts, needs),
        size(role, facts, needs),
        history(role, facts, needs),
        removals(role, facts, needs),
        clock(role, facts),
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
    let needed = role.right();
    let held = facts.rights.as_ref()?;
    (!held.contains(&needed)).then(|| {
        let name = needed.name();
        Verdict::Fail(format!(
            "the relay's principal has no right to {}; grant it {name} on this topic",
            name.to_lowercase()
        ))
    })
}

fn clean_up(role: Role, facts: &TopicFacts) -> Option<Verdict> {
    let policy = facts.setting("cleanup.policy")?;
    let has = |wanted: &str| policy.split(',').any(|part| part.trim() == wanted);
    if role != Role::Table {
        return has("compact").then(|| {
            Verdict::Fail(format!(
                "cleanup.policy is {policy:?}, so that a record goes when another with its key comes; set it to \"delete\""
            ))
        });
    }
    let limit = |name| facts.number(name).is_some_and(|limit| limit >= 0);
    let forgets = has("delete") && (limit("retention.ms") || limit("retention.bytes"));
    forgets.then(|| {
        Verdict::Fail(format!(
            "cleanup.policy is {policy:?} and its retention is limited, so that keys that did not change for long are forgotten; set cleanup.policy to \"compact\""
        ))
    })
}

/// What is acknowledged must survive the loss of a broker, where there are several.
fn copies(role: Role, facts: &TopicFacts, needs: &Requirements) -> Option<Verdict> {
    if !matches!(role, Role::Output | Role::Quarantine) {
        return None;
    }
    let replicas = facts.replicas;
    let least = facts.number("min.insync.replicas");
    let least = least.map(|least| usize::try_from(least).unwrap_or(0));
    let doubt = match (least, replicas) {
        (Some(least), _) if least > replicas => format!(
            "min.insync.replicas is {least}, but there are {replicas} replicas: older brokers take no record then, newer ones only while all replicas are there; lower the one or raise the other"
        ),
        (_, 1) if needs.brokers > 1 => {
            "it has one replica: with that broker goes what was written; give it three".to_string()
        }
        (_, 0 | 1) | (None, _) => return None,
        (Some(least), _) if least <= 1 => format!(
            "min.insync.replicas is {least}: an event may be acknowledged that only one broker holds; set it to {}",
            (replicas - 1).max(2)
        ),
        (Some(least), _) if least == replicas => format!(
            "min.insync.replicas is {least}, as many as there are replicas: the relay holds while any broker is away; lower it to {}",
            replicas - 1
        ),
        _ => return None,
    };
    Some(Verdict::Warn(doubt))
}

/// What one topic must take for all that is written to it, and what is said if it does not.
fn size(role: Role, facts: &TopicFacts, needs: &Requirements) -> Option<Verdict> {
    let taken = u64::try_from(facts.number("max.message.bytes")?).ok()?;
    match role {
        Role::Input | Role::Table => None,
        Role::Output => event_size(taken, needs),
        Role::Quarantine => quarantine_size(taken, needs),
    }
}

/// An event that its topic does not take would hold its input partition for ever.
fn event_size(taken: u64, needs: &Requirements) -> Option<Verdict> {
    let event = needs.event_bytes + EVENT_OVERHEAD_BYTES;
    // Records that fit one by one do not if they come in one batch: the client never splits it.
    let (largest, why) = if event >= needs.batch_bytes {
        (event, "an audit event as large as output.max_message_bytes allows would not fit")
    } else {
        (
            needs.batch_bytes,
            "a batch as large as the producer makes them (batch.size) would not fit",
        )
    };
    (taken < largest).then(|| {
        Verdict::Fail(format!("max.message.bytes is {taken}: {why}; set it to {largest} or more"))
    })
}

/// What is too large for the quarantine is written as a stub, which must fit.
fn quarantine_size(taken: u64, needs: &Requirements) -> Option<Verdict> {
    let least = RecordLimit::LEAST.bytes() as u64;
    if taken < least {
        return Some(Verdict::Fail(format!(
            "max.message.bytes is {taken}: not even the stub of a record would fit; set it to {least} or more"
        )));
    }
    let largest = needs.input_bytes.unwrap_or(0) + QUARANTINE_OVERHEAD_BYTES as u64;
    let doubt = if taken < needs.batch_bytes {
        "batches as large as the producer makes them (batch.size) are refused and sent again in smaller ones, and larger originals are written as stubs"
    } else if taken < largest {
        "larger originals are written as stubs, with their size, SHA-256 and first 1,000 bytes"
    } else {
        return None;
    };
    let largest = largest.max(needs.batch_bytes);
    Some(Verdict::Warn(format!(
        "max.message.bytes is {taken}: {doubt}; set it to {largest} or more to keep whole what the input takes"
    )))
}

/// After a restart a table knows no more versions than its topic still holds.
fn history(role: Role, facts: &TopicFacts, needs: &Requirements) -> Option<Verdict> {
    if role != Role::Table || !facts.setting("cleanup.policy")?.contains("compact") {
        return None;
    }
    let kept = facts.number("min.compaction.lag.ms")?;
    let wanted = i64::try_from(needs.history.as_millis()).unwrap_or(i64::MAX);
    (kept < wanted).then(|| {
        Verdict::Warn(format!(
            "min.compaction.lag.ms is {kept}: superseded versions may be gone before tables.history_hours is over, and after a restart an action from their time is not judged by them; set it to {wanted}"
        ))
    })
}

/// A removal that is compacted away before every relay has forgotten what it removed comes back as
/// a grant after a restart.
fn removals(role: Role, facts: &TopicFacts, needs: &Requirements) -> Option<Verdict> {
    if role != Role::Table || !facts.setting("cleanup.policy")?.contains("compact") {
        return None;
    }
    let kept = facts.number("delete.retention.ms")?;
    let wanted = i64::try_from(2 * needs.history.as_millis()).unwrap_or(i64::MAX);
    (kept < wanted).then(|| {
        Verdict::Warn(format!(
            "delete.retention.ms is {kept}: removals may be gone before twice tables.history_hours is over, and after a restart a key that was removed and written again counts as a new one; set it to {wanted}"
        ))
    })
}

/// A removal has no time but that of its record, and so has an entry that does not say since when
/// it is valid.
fn clock(role: Role, facts: &TopicFacts) -> Option<Verdict> {
    let kind = facts.setting("message.timestamp.type")?;
    (role == Role::Table && kind == "CreateTime").then(|| {
        Verdict::Warn(
            "message.timestamp.type is \"CreateTime\": removals, and entries without validFrom, count from the clock of whoever wrote them; set it to \"LogAppendTime\""
                .to_string(),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEEDS: Requirements = Requirements {
        event_bytes: 1_000_000,
        batch_bytes: 1_000_000,
        input_bytes: Some(1_048_588),
        brokers: 3,
        history: Duration::from_secs(3_600),
    };

    fn facts(settings: &[(&str, &str)]) -> TopicFacts {
        let text = |(name, value): &(&str, &str)| (name.to_string(), value.to_string());
        TopicFacts {
            partitions: 4,
            replicas: 3,
            settings: Some(settings.iter().map(text).collect()),
            rights: Some(vec![Right::Read, Right::Write]),
        }
    }

    /// One word for each verdict, and what it says.
    fn said(role: Role, facts: &TopicFacts) -> Vec<String> {
        let verdicts = judge(role, facts, &NEEDS);
        let text = |verdict: &Verdict| format!("{} {}", verdict.word(), verdict.text());
        verdicts.iter().map(text).collect()
    }

    /// A role, the topic's settings, and how the verdict begins.
    type Case = (Role, &'static [(&'static str, &'static str)], &'static str);

    #[test]
    #[expect(clippy::too_many_lines, reason = "a table of cases")]
    fn settings_that_the_promises_rest_on() {
        use Role::{Input, Output, Quarantine, Table};
        let good = "ok 4 partitions, 3 replicas";
        let cases: &[Case] = &[
            (Input, &[("cleanup.policy", "delete")], good),
            (Input, &[("cleanup.policy", "compact")], "PROBLEM cleanup.policy is \"compact\""),
            (Output, &[("cleanup.policy", "compact,delete")], "PROBLEM cleanup.policy"),
            (Quarantine, &[("cleanup.policy", "delete, compact")], "PROBLEM cleanup.policy"),
            (Table, &[("cleanup.policy", "compact"), ("retention.ms", "1000")], good),
            (
                Table,
                &[("cleanup.policy", "delete"), ("retention.ms", "-1"), ("retention.bytes", "-1")],
                good,
            ),
            (
                Table,
                &[("cleanup.policy", "delete"), ("retention.ms", "1000")],
                "PROBLEM cleanup.policy",
            ),
            (
                Table,
                &[("cleanup.policy", "compact,delete"), ("retention.bytes", "9")],
                "PROBLEM cleanup.policy",
            ),
            (Table, &[("cleanup.policy", "compact"), ("min.compaction.lag.ms", "3600000")], good),
            (
                Table,
                &[("cleanup.policy", "compact"), ("min.compaction.lag.ms", "0")],
                "WARNING min.compaction.lag.ms is 0",
            ),
            (
                Table,
                &[("message.timestamp.type", "CreateTime")],
                "WARNING message.timestamp.type is \"CreateTime\"",
            ),
            (Table, &[("message.timestamp.type", "LogAppendTime")], good),
            (Input, &[("message.timestamp.type", "CreateTime")], good),
            (Output, &[("min.insync.replicas", "2")], good),
            (Output, &[("min.insync.replicas", "1")], "WARNING min.insync.replicas is 1: an event"),
            (
                Quarantine,
                &[("min.insync.replicas", "3")],
                "WARNING min.insync.replicas is 3, as many",
            ),
            (Quarantine, &[("min.insync.replicas", "4")], "WARNING min.insync.replicas is 4, but"),
            (Input, &[("min.insync.replicas", "1")], good),
            (Output, &[("max.message.bytes", "1001024")], good),
            (
                Output,
                &[("max.message.bytes", "1001023")],
                "PROBLEM max.message.bytes is 1001023: an audit event",
            ),
            (Quarantine, &[("max.message.bytes", "1052684")], good),
            (
                Quarantine,
                &[("max.message.bytes", "1048588")],
                "WARNING max.message.bytes is 1048588: larger originals are written as stubs",
            ),
            (
                Quarantine,
                &[("max.message.bytes", "900000")],
                "WARNING max.message.bytes is 900000: batches as large",
            ),
            (
                Quarantine,
                &[("max.message.bytes", "8192")],
                "WARNING max.message.bytes is 8192: batches as large",
            ),
            (
                Quarantine,
                &[("max.message.bytes", "8191")],
                "PROBLEM max.message.bytes is 8191: not even the stub",
            ),
            (Table, &[("cleanup.policy", "compact"), ("delete.retention.ms", "7200000")], good),
            (
                Table,
                &[("cleanup.policy", "compact"), ("delete.retention.ms", "7199999")],
                "WARNING delete.retention.ms is 7199999",
            ),
            (Input, &[("max.message.bytes", "10")], good),
        ];
        for (role, settings, expected) in cases {
            let said = said(*role, &facts(settings));
            assert_eq!(said.len(), 1, "{role:?} {settings:?}: {said:?}");
            assert!(said[0].starts_with(expected), "{role:?} {settings:?}: {said:?}");
        }
    }

    #[test]
    fn all_unmet_demands_are_named() {
        let mut bad = facts(&[("cleanup.policy", "compact"), ("max.message.bytes", "1")]);
        bad.rights = Some(vec![Right::Read]);
        bad.replicas = 1;
        let said = said(Role::Output, &bad);
        assert_eq!(said.len(), 4, "{said:?}");
        assert!(said[0].contains("no right to write; grant it Write"), "{said:?}");
        assert!(said[2].starts_with("WARNING it has one replica"), "{said:?}");
    }

    #[test]
    fn what_is_not_known_is_not_judged() {
        let unknown = TopicFacts { settings: None, rights: None, ..facts(&[]) };
        for role in [Role::Input, Role::Output, Role::Quarantine, Role::Table] {
            assert_eq!(said(role, &unknown), ["ok 4 partitions, 3 replicas"]);
        }
    }

    #[test]
    fn one_broker_can_hold_one_replica_only() {
        let needs = Requirements { brokers: 1, ..NEEDS };
        let alone = TopicFacts { replicas: 1, ..facts(&[("min.insync.replicas", "1")]) };
        assert!(matches!(judge(Role::Output, &alone, &needs)[..], [Verdict::Pass(_)]));
    }

    /// The role, the largest record of the input, the topic's limit, and how the verdict begins.
    type SizeCase = (Role, Option<u64>, u64, &'static str);

    #[test]
    fn batches_count_where_they_are_larger_than_records() {
        use Role::{Output, Quarantine};
        const BATCH: &str = "PROBLEM max.message.bytes is";
        const SPLIT: &str = "WARNING max.message.bytes is";
        let good = "ok 4 partitions";
        let cases: &[SizeCase] = &[
            (Output, None, 999_999, BATCH),
            (Output, None, 1_000_000, good),
            // Three bad records of 250 kB are one batch.
            (Quarantine, Some(300_000), 304_096, SPLIT),
            (Quarantine, Some(300_000), 999_999, SPLIT),
            (Quarantine, Some(300_000), 1_000_000, good),
            (Quarantine, None, 999_999, SPLIT),
            (Quarantine, None, 1_000_000, good),
        ];
        for (role, input_bytes, limit, expected) in cases {
            let needs = Requirements { event_bytes: 1_000, input_bytes: *input_bytes, ..NEEDS };
            let limit = limit.to_string();
            let verdicts = judge(*role, &facts(&[("max.message.bytes", &limit)]), &needs);
            let said = format!("{} {}", verdicts[0].word(), verdicts[0].text());
            assert!(said.starts_with(expected), "{role:?} {limit}: {said}");
            assert_eq!(said.contains("batch.size"), *expected != good, "{said}");
        }
    }
}
