//! What an observer counts, and what it reports of the worker's health.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::super::METRICS;
use super::super::scrape::now_ms;
use super::{
    audited, batch, malformed, observed, record, show_anchors, show_tables, skipped, value,
};
use crate::stream::batch::Batch;
use crate::stream::{
    Failure, Gap, GapCause, GroupEvent, GroupStatistics, Partition, PartitionFault, SourceRecord,
};
use crate::stream::{Observer, WorkerEvent};
use crate::tables::TableName;
use audit_judge::fate::{Fate, FateKind, Skip, SkipReason};

const P0: Partition = Partition(0);

/// Returns a batch of two partitions with every fate.
fn mixed_batch() -> Batch {
    let mut batch = Batch::default();
    let old = now_ms() - 3_000;
    for (offset, fate) in
        [audited(0), audited(1), audited(1), skipped(), malformed()].into_iter().enumerate()
    {
        batch.add(&record(3, offset as i64, Some(old)), fate);
    }
    batch.add(&record(4, 70, None), audited(0));
    batch
}

#[test]
fn unlisted_names_are_shown_once_they_are_committed() {
    let (metrics, _, mut observer) = observed();
    let mut batch = Batch::default();
    for (offset, name) in ["Cancel Service", "Tea", "Tea"].into_iter().enumerate() {
        let fate = Fate::Skipped(Skip::unlisted_by_a_customer(name));
        batch.add(&record(3, offset as i64, None), fate);
    }
    batch.add(&record(3, 3, None), skipped());
    observer.on_event(WorkerEvent::Publishing(&batch));
    assert_eq!(metrics.unlisted_names().total, 0, "not committed yet");
    for _ in 0..2 {
        observer.on_event(WorkerEvent::Committed(&batch, Duration::from_millis(80)));
    }
    let view = metrics.unlisted_names();
    let names = view.names.iter().map(|named| (named.name.as_str(), named.count));
    assert_eq!(names.collect::<Vec<_>>(), [("Tea", 4), ("Cancel Service", 2)]);
    let text = metrics.render();
    assert_eq!(value(&text, "audit_relay_unlisted_names_total"), Some(6.0));
    batch.forget(&[Partition(3)]);
    observer.on_event(WorkerEvent::Committed(&batch, Duration::from_millis(80)));
    assert_eq!(metrics.unlisted_names().total, 6, "another member's now");
}

#[test]
fn a_committed_batch_is_counted_once_with_every_fate() {
    let (metrics, _, mut observer) = observed();
    observer.on_event(WorkerEvent::Publishing(&mixed_batch()));
    assert_eq!(metrics.counts().read, 0, "not committed yet");
    observer.on_event(WorkerEvent::Committed(&mixed_batch(), Duration::from_millis(80)));
    let counts = metrics.counts();
    assert_eq!((counts.read, counts.audited()), (6, 4));
    assert_eq!((counts.skipped(), counts.quarantined()), (1, 1));
    let unlisted = FateKind::Skipped(SkipReason::UnlistedAction);
    assert_eq!(counts.fate(unlisted), 1);

    let text = metrics.render();
    let expected = [
        (r#"audit_relay_records_read_total{partition="3"}"#, 5.0),
        (r#"audit_relay_records_total{fate="audited",partition="3",reason=""}"#, 3.0),
        (
            r#"audit_relay_records_total{fate="skipped",partition="3",reason="unlisted_action"}"#,
            1.0,
        ),
        (r#"audit_relay_records_total{fate="quarantined",partition="3",reason="malformed"}"#, 1.0),
        (r#"audit_relay_records_total{fate="quarantined",partition="4",reason="too_large"}"#, 0.0),
        (r#"audit_relay_events_total{region="eu-de"}"#, 2.0),
        (r#"audit_relay_events_total{region="us-south"}"#, 2.0),
        (r#"audit_relay_transactions_total{result="committed"}"#, 1.0),
        ("audit_relay_batch_records_sum", 6.0),
        (r#"audit_relay_batch_duration_seconds_bucket{le="0.1"}"#, 1.0),
        // The record without a timestamp has no latency.
        ("audit_relay_end_to_end_latency_seconds_count", 3.0),
        (r#"audit_relay_end_to_end_latency_seconds_bucket{le="2.5"}"#, 0.0),
        (r#"audit_relay_end_to_end_latency_seconds_bucket{le="30"}"#, 3.0),
    ];
    for (series, count) in expected {
        assert_eq!(value(&text, series), Some(count), "{series}");
    }
}

#[test]
fn fates_add_up_to_what_was_read_in_each_partition() {
    let (metrics, _, mut observer) = observed();
    for _ in 0..3 {
        observer.on_event(WorkerEvent::Committed(&mixed_batch(), Duration::ZERO));
    }
    let text = metrics.render();
    for partition in ["3", "4"] {
        let read = format!(r#"audit_relay_records_read_total{{partition="{partition}"}}"#);
        let fates = FateKind::all().map(|kind| {
            let (fate, reason) = (kind.fate(), kind.reason());
            let series = format!(
                r#"audit_relay_records_total{{fate="{fate}",partition="{partition}",reason="{reason}"}}"#
            );
            value(&text, &series).expect("every fate shows")
        });
        assert_eq!(value(&text, &read), Some(fates.sum()), "{partition}");
    }
}

#[test]
fn offsets_deleted_before_they_were_read_are_counted_from_zero() {
    let (metrics, _, mut observer) = observed();
    let series = r#"audit_relay_deleted_offsets_total{partition="0"}"#;
    observer.on_event(WorkerEvent::Group(&GroupEvent::Assigned(vec![P0])));
    assert_eq!(value(&metrics.render(), series), Some(0.0));
    let mut batch = Batch::default();
    for (offsets, cause) in
        [(7..12, GapCause::Deleted), (12..14, GapCause::PassedOver), (40..41, GapCause::Deleted)]
    {
        batch.pass(P0, Gap { offsets, cause });
    }
    assert_eq!(batch.positions()[0].next_offset, 41);
    observer.on_event(WorkerEvent::Publishing(&batch));
    assert_eq!(value(&metrics.render(), series), Some(0.0), "not committed");
    observer.on_event(WorkerEvent::Committed(&batch, Duration::ZERO));
    assert_eq!(value(&metrics.render(), series), Some(6.0));
    let series = r#"audit_relay_passed_over_offsets_total{partition="0"}"#;
    assert_eq!(value(&metrics.render(), series), Some(2.0));
    assert_eq!(metrics.counts().read, 0, "these records were not read");
}

#[test]
fn quarantined_records_that_were_written_as_stubs_are_counted() {
    let (metrics, _, mut observer) = observed();
    let series = r#"audit_relay_quarantine_stubs_total{partition="0"}"#;
    observer.on_event(WorkerEvent::Group(&GroupEvent::Assigned(vec![P0])));
    assert_eq!(value(&metrics.render(), series), Some(0.0));
    let large = vec![b'v'; 1_000_000];
    let mut batch = Batch::default();
    batch.add(&record(0, 0, None), malformed());
    for (offset, is_final) in [(1, true), (2, false)] {
        let record = SourceRecord { payload: Some(&large), ..record(0, offset, None) };
        match is_final {
            true => batch.add(&record, malformed()),
            false => batch.defer(&record),
        }
    }
    batch.judge_deferred(|_| malformed());
    observer.on_event(WorkerEvent::Committed(&batch, Duration::ZERO));
    assert_eq!(value(&metrics.render(), series), Some(2.0));
    assert_eq!(metrics.counts().quarantined(), 3);
}

#[test]
fn exactly_the_declared_metrics_are_rendered() {
    let (metrics, _, mut observer) = observed();
    show_tables(&metrics);
    show_anchors(&metrics);
    metrics.set_ready(true);
    observer.on_event(WorkerEvent::Group(&GroupEvent::Assigned(vec![P0])));
    let fault = PartitionFault::BehindEnd { committed: 100, end: 15 };
    observer.on_event(WorkerEvent::Held(P0, &fault, 1));
    let text = metrics.render();
    let mut types: Vec<(&str, &str)> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '))
        .filter(|(name, _)| !name.starts_with("process_"))
        .collect();
    types.sort_unstable();
    let mut declared: Vec<(&str, &str)> =
        METRICS.iter().map(|metric| (metric.name, metric.metric_type.name())).collect();
    declared.sort_unstable();
    assert_eq!(types, declared);
    assert_eq!(value(&text, "audit_relay_ready"), Some(1.0));
    assert_eq!(value(&text, r#"audit_relay_table_entries{table="principals"}"#), Some(1.0));
    assert_eq!(value(&text, r#"audit_relay_assigned_partitions{worker="0"}"#), Some(1.0));
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    for sample in samples {
        let number = sample.rsplit_once(' ').map(|(_, value)| value.parse::<f64>());
        assert!(matches!(number, Some(Ok(_))), "{sample}");
    }
}

#[test]
fn names_follow_the_conventions_of_prometheus() {
    for metric in METRICS {
        let is_counter = metric.metric_type.name() == "counter";
        assert_eq!(metric.name.ends_with("_total"), is_counter, "{}", metric.name);
        for unit in ["_ms", "_millis", "_minutes", "_kib", "_count", "_sum", "_bucket"] {
            assert!(!metric.name.contains(unit), "{}", metric.name);
        }
        let plain = |c: char| c.is_ascii_lowercase() || c == '_';
        assert!(metric.name.starts_with("audit_relay_"), "{}", metric.name);
        assert!(metric.name.chars().all(plain), "{}", metric.name);
        assert!(!metric.help.is_empty(), "{}", metric.name);
    }
}

/// Prometheus' own linter.
#[test]
#[ignore = "needs promtool, which .ci/run fetches"]
fn promtool_reports_nothing() {
    let (metrics, _, mut observer) = observed();
    show_tables(&metrics);
    observer.on_event(WorkerEvent::Group(&GroupEvent::Assigned(vec![P0])));
    observer.on_event(WorkerEvent::Committed(&mixed_batch(), Duration::ZERO));
    let promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut promtool = promtool.expect("promtool is installed");
    let mut input = promtool.stdin.take().expect("piped");
    input.write_all(metrics.render().as_bytes()).expect("reads");
    drop(input);
    let output = promtool.wait_with_output().expect("ends");
    let said = String::from_utf8_lossy(&output.stderr) + String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    assert_eq!(said.trim(), "");
}

#[test]
fn rebalances_are_counted_and_lost_partitions_disappear() {
    let (metrics, health, mut observer) = observed();
    observer.on_event(WorkerEvent::Group(&GroupEvent::Assigned(vec![P0, Partition(1)])));
    assert!(health.ready().is_ok());
    observer.on_event(WorkerEvent::Group(&GroupEvent::Revoked(vec![Partition(1)])));
    assert!(health.ready().is_ok());
    observer.on_event(WorkerEvent::Group(&GroupEvent::Lost(vec![P0])));
    assert_eq!(health.ready(), Err(vec!["worker 0: joining the consumer group".to_string()]));
    let text = metrics.render();
    for kind in ["assigned", "revoked", "lost"] {
        let series = format!(r#"audit_relay_rebalances_total{{kind="{kind}"}}"#);
        assert_eq!(value(&text, &series), Some(1.0), "{kind}");
    }
    assert!(!text.contains("audit_relay_partition_lag_records"));
    assert_eq!(value(&text, r#"audit_relay_assigned_partitions{worker="0"}"#), Some(0.0));
    let steady = GroupStatistics { steady: true, end_offsets: Vec::new() };
    observer.on_event(WorkerEvent::Group(&GroupEvent::Statistics(steady)));
    assert!(health.ready().is_ok(), "a member without partitions works as well");
}

#[test]
fn a_worker_is_ready_again_only_when_the_failed_batch_is_committed() {
    let (metrics, health, mut observer) = observed();
    let failed = batch(0..5, 0, true);
    observer.on_event(WorkerEvent::Group(&GroupEvent::Assigned(vec![P0])));
    for _ in 0..2 {
        observer.on_event(WorkerEvent::Publishing(&failed));
        observer.on_event(WorkerEvent::Failed(&Failure::Aborted("no leader".to_string())));
        observer.on_event(WorkerEvent::Failed(&Failure::Broken("cannot abort".to_string())));
        observer.on_event(WorkerEvent::Recovered);
        let reason = "worker 0: recovering: producer broken: cannot abort".to_string();
        assert_eq!(health.ready(), Err(vec![reason]));
    }
    observer.on_event(WorkerEvent::Committed(&failed, Duration::ZERO));
    assert!(health.ready().is_ok());
    let text = metrics.render();
    let transactions = |result: &str| {
        value(&text, &format!(r#"audit_relay_transactions_total{{result="{result}"}}"#))
    };
    assert_eq!(transactions("aborted"), Some(2.0));
    assert_eq!(transactions("broken"), Some(0.0), "a recovery is not a transaction");
    assert_eq!(value(&text, r#"audit_relay_producer_rebuilds_total{reason="broken"}"#), Some(2.0));
}

#[test]
fn anchors_are_shown_for_the_places_that_are_configured() {
    let (metrics, ..) = observed();
    let series = |place, result| {
        format!("audit_relay_anchors_total{{place=\"{place}\",result=\"{result}\"}}")
    };
    assert_eq!(value(&metrics.render(), &series("file", "kept")), None);
    show_anchors(&metrics);
    let text = metrics.render();
    for result in ["kept", "failed"] {
        assert_eq!(value(&text, &series("file", result)), Some(0.0), "{result}");
        assert_eq!(value(&text, &series("endpoint", result)), None, "{result}");
    }
}

#[test]
fn the_counts_of_tables_are_rendered() {
    let (metrics, _, _) = observed();
    let tables = show_tables(&metrics);
    tables.count(TableName::Principals, |counts| {
        counts.records = 3;
        counts.versions_dropped = 2;
        *counts.rejected.entry("malformed").or_default() += 1;
    });
    tables.count(TableName::Devices, |counts| counts.failed_reloads += 1);
    tables.reloaded(TableName::Devices, Some("empty".to_string()));
    metrics.count_barrier(true, Duration::from_millis(2));
    for _ in 0..2 {
        let text = metrics.render();
        let is =
            |series: &str, expected| assert_eq!(value(&text, series), Some(expected), "{series}");
        is(r#"audit_relay_table_records_total{table="principals"}"#, 3.0);
        is(r#"audit_relay_table_versions_dropped_total{table="principals"}"#, 2.0);
        is(r#"audit_relay_table_rejected_total{reason="malformed",table="principals"}"#, 1.0);
        is(r#"audit_relay_table_rejected_total{reason="too_large",table="principals"}"#, 0.0);
        is(r#"audit_relay_table_reloads_total{result="failed",table="devices"}"#, 1.0);
        is(r#"audit_relay_table_reload_refused{table="devices"}"#, 1.0);
        is(r#"audit_relay_table_ready{table="principals"}"#, 0.0);
        is(r#"audit_relay_table_ready{table="devices"}"#, 1.0);
        is(r#"audit_relay_table_barriers_total{result="met"}"#, 1.0);
        is(r#"audit_relay_table_barriers_total{result="failed"}"#, 0.0);
        is("audit_relay_table_barrier_seconds_count", 1.0);
    }
}
