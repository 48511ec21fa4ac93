//! What topics pass and fail, case by case.

use super::*;

const REQUIREMENTS: Requirements = Requirements {
    event_bytes: 1_000_000,
    batch_bytes: 1_000_000,
    input_bytes: Some(1_048_588),
    brokers: 3,
    history: Duration::from_secs(3_600),
    is_sealed: true,
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

/// Returns the word and text of each verdict.
fn texts(role: Role, facts: &TopicFacts) -> Vec<String> {
    let verdicts = judge(role, facts, &REQUIREMENTS);
    let text = |verdict: &Verdict| format!("{} {}", verdict.word(), verdict.text());
    verdicts.iter().map(text).collect()
}

/// A role, the topic's settings, and how the verdict begins.
type Case = (Role, &'static [(&'static str, &'static str)], &'static str);

#[test]
#[expect(clippy::too_many_lines, reason = "a table of cases")]
fn settings_that_the_guarantees_depend_on() {
    use Role::{Checkpoints, Input, Outcomes, Output, Quarantine, Table};
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
        (Outcomes, &[("retention.ms", "-1"), ("retention.bytes", "-1")], good),
        (Outcomes, &[("retention.ms", "-1"), ("retention.bytes", "9")], "PROBLEM retention.bytes"),
        (Outcomes, &[("retention.ms", "9")], "PROBLEM retention.ms is limited: outcomes"),
        (Outcomes, &[("cleanup.policy", "compact")], "PROBLEM cleanup.policy"),
        (Checkpoints, &[("retention.ms", "-1"), ("message.timestamp.type", "CreateTime")], good),
        (Checkpoints, &[("cleanup.policy", "compact")], "PROBLEM cleanup.policy"),
        (Checkpoints, &[("retention.ms", "1000")], "WARNING retention.ms is limited"),
        (Checkpoints, &[("retention.bytes", "9")], "WARNING retention.bytes is limited"),
        (Output, &[("retention.ms", "1000")], good),
        (Checkpoints, &[("max.message.bytes", "999999")], "PROBLEM max.message.bytes"),
        (
            Checkpoints,
            &[("message.timestamp.type", "LogAppendTime")],
            "PROBLEM message.timestamp.type",
        ),
        (
            Quarantine,
            &[("message.timestamp.type", "LogAppendTime")],
            "PROBLEM message.timestamp.type",
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
        (Quarantine, &[("min.insync.replicas", "3")], "WARNING min.insync.replicas is 3, as many"),
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
        let texts = texts(*role, &facts(settings));
        assert_eq!(texts.len(), 1, "{role:?} {settings:?}: {texts:?}");
        assert!(texts[0].starts_with(expected), "{role:?} {settings:?}: {texts:?}");
    }
}

#[test]
fn all_unmet_requirements_are_reported() {
    let mut bad = facts(&[("cleanup.policy", "compact"), ("max.message.bytes", "1")]);
    bad.rights = Some(vec![Right::Read]);
    bad.replicas = 1;
    let texts = texts(Role::Output, &bad);
    assert_eq!(texts.len(), 4, "{texts:?}");
    assert!(texts[0].contains("no right to write; grant it Write"), "{texts:?}");
    assert!(texts[2].starts_with("WARNING it has one replica"), "{texts:?}");
}

#[test]
fn unknown_facts_are_not_judged() {
    let unknown = TopicFacts { settings: None, rights: None, ..facts(&[]) };
    for role in [Role::Input, Role::Output, Role::Quarantine, Role::Table] {
        assert_eq!(texts(role, &unknown), ["ok 4 partitions, 3 replicas"]);
    }
}

#[test]
fn a_single_broker_needs_only_one_replica() {
    let requirements = Requirements { brokers: 1, ..REQUIREMENTS };
    let alone = TopicFacts { replicas: 1, ..facts(&[("min.insync.replicas", "1")]) };
    assert!(matches!(judge(Role::Output, &alone, &requirements)[..], [Verdict::Pass(_)]));
}

/// The role, the largest record of the input, the topic's limit, and how the verdict begins.
type SizeCase = (Role, Option<u64>, u64, &'static str);

#[test]
fn the_batch_size_counts_where_it_exceeds_the_record_size() {
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
        let requirements =
            Requirements { event_bytes: 1_000, input_bytes: *input_bytes, ..REQUIREMENTS };
        let limit = limit.to_string();
        let verdicts = judge(*role, &facts(&[("max.message.bytes", &limit)]), &requirements);
        let text = format!("{} {}", verdicts[0].word(), verdicts[0].text());
        assert!(text.starts_with(expected), "{role:?} {limit}: {text}");
        assert_eq!(text.contains("batch.size"), *expected != good, "{text}");
    }
}
