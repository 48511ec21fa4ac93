//! Tests of the metrics, by the rendered text.

mod counting;
mod lag;
mod working;

use std::sync::Arc;
use std::time::Duration;

use compact_str::CompactString;
use uuid::Uuid;

use super::{InputName, Metrics, WorkerObserver};
use crate::liveness::health::Health;
use crate::sealing::AnchorSink;
use crate::stream::batch::Batch;
use crate::stream::{OwnedHeaders, Partition, SourceRecord};
use crate::tables::{TableName, TableStore};
use audit_judge::fate::RegionIndex;
use audit_judge::fate::{Audited, Envelope, Fate, Quarantine, SkipReason};
use audit_judge::reference::{ReferenceTables, Table, read_principals};

fn metrics() -> Arc<Metrics> {
    let regions = ["eu-de".to_string(), "us-south".to_string()];
    let metrics = Metrics::new(&regions, "2.12.1").expect("registers");
    metrics.set_input("relays", "changes");
    metrics
}

/// Returns an observer of the only worker, with the metrics and the health that it updates.
fn observed() -> (Arc<Metrics>, Arc<Health>, WorkerObserver) {
    let (metrics, health) = (metrics(), Arc::new(Health::default()));
    health.add_workers(1);
    let input = InputName {
        topic: "changes".to_string(),
        group: "relays".to_string(),
        bootstrap: "b:9092".to_string(),
    };
    let observer = WorkerObserver::new(0, input, Arc::clone(&metrics), Arc::clone(&health));
    (metrics, health, observer)
}

/// Returns the value of a series, e.g. `audit_relay_ready` or
/// `audit_relay_events_total{region="eu-de"}`.
fn value(text: &str, series: &str) -> Option<f64> {
    let lines = text.lines();
    let mut found = lines.filter_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    found.next().and_then(|value| value.parse().ok())
}

/// Registers anchors that are kept in a file.
fn show_anchors(metrics: &Metrics) {
    let sink = AnchorSink::new(Some("anchors".into()), None);
    metrics.show_anchors(Arc::new(sink)).expect("registers");
}

/// Registers a followed table with one principal, and devices from a file.
fn show_tables(metrics: &Metrics) -> Arc<TableStore> {
    let line = r#"{"accountId":1,"userId":2,"validFrom":"2018-01-01T00:00:00Z"}"#;
    let reference = ReferenceTables {
        principals: read_principals("p", line).expect("reads"),
        devices: Some(Table::default()),
    };
    let limit = Duration::from_secs(60);
    let tables = TableStore::new(reference, &[TableName::Principals], limit);
    let tables = Arc::new(tables);
    let shown = metrics.show_tables(Arc::clone(&tables));
    shown.expect("registers");
    tables
}

const NO_HEADERS: &OwnedHeaders = &Vec::new();

fn record(partition: i32, offset: i64, timestamp_ms: Option<i64>) -> SourceRecord<'static> {
    SourceRecord {
        partition: Partition(partition),
        offset,
        timestamp_ms,
        key: None,
        payload: Some(b"payload"),
        headers: NO_HEADERS,
        leader_epoch: None,
        log: &None,
    }
}

fn audited(region: usize) -> Fate {
    Fate::Audited(Audited {
        envelope: Envelope {
            region: RegionIndex(region),
            device: CompactString::new("1"),
            account: CompactString::new("2"),
            location: CompactString::new("fra02"),
            id: Uuid::nil(),
        },
        event: b"{}".to_vec(),
        awaits_tables: false,
    })
}

fn skipped() -> Fate {
    Fate::Skipped(SkipReason::UnlistedAction.into())
}

fn malformed() -> Fate {
    Fate::Quarantined(Quarantine::malformed("x"))
}

/// Returns a batch of skipped records of partition 0 with these offsets.
fn batch(offsets: std::ops::Range<i64>, timestamp_ms: i64, at_end: bool) -> Batch {
    let mut batch = Batch::default();
    for offset in offsets {
        let record = record(0, offset, Some(timestamp_ms));
        batch.add(&record, skipped());
    }
    if at_end {
        batch.reached_end(Partition(0));
    }
    batch
}
