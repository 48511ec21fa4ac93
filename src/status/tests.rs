//! The status as a whole: what it says of a process, its schema, and the page.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::*;
use crate::liveness::health::Health;
use crate::metrics::{InputName, Metrics, WorkerObserver};
use crate::stream::batch::Batch;
use crate::stream::{
    GroupEvent, GroupStatistics, Observer, OwnedHeaders, Partition, SourceRecord, WorkerEvent,
};
use crate::tables::{TableName, TableStore};
use audit_judge::fate::{Fate, Quarantine, SkipReason};
use audit_judge::reference::ReferenceTables;

/// A name that a record could contain, to attack the page.
const HOSTILE: &str = "<script src=//x></script>\" onload=\"x";

/// Returns a process of one worker that owns two partitions, and its observer.
fn process() -> (StatusSource, WorkerObserver) {
    let regions = vec!["eu-de".to_string(), "us-south".to_string()];
    let metrics = Metrics::new(&regions, "2.12.1").expect("registers");
    let health = Arc::new(Health::default());
    let tables =
        TableStore::new(ReferenceTables::default(), &[TableName::Principals], Duration::MAX);
    let names = Names {
        instance: "relay-0".to_string(),
        topic: "changes".to_string(),
        group: "relays".to_string(),
        regions,
        librdkafka: "2.12.1".to_string(),
    };
    metrics.set_input_partitions(12);
    metrics.set_workers(1);
    health.add_workers(1);
    let input = InputName {
        topic: names.topic.clone(),
        group: names.group.clone(),
        bootstrap: "b:9092".to_string(),
    };
    let mut observer = WorkerObserver::new(0, input, Arc::clone(&metrics), Arc::clone(&health));
    let assigned = GroupEvent::Assigned(vec![Partition(3), Partition(7)]);
    observer.on_event(WorkerEvent::Group(&assigned));
    (StatusSource::new(names, metrics, health, Arc::new(tables)), observer)
}

const NO_HEADERS: &OwnedHeaders = &Vec::new();

fn record(offset: i64) -> SourceRecord<'static> {
    SourceRecord {
        partition: Partition(3),
        offset,
        timestamp_ms: Some(1_626_272_000_000),
        key: None,
        payload: Some(b"{}"),
        headers: NO_HEADERS,
        leader_epoch: None,
        log: &None,
    }
}

/// Commits two records of partition 3, whose log then has ten more.
fn commit(observer: &mut WorkerObserver) {
    let mut batch = Batch::default();
    batch.add(&record(0), Fate::Skipped(SkipReason::NotUserInitiated.into()));
    batch.add(&record(1), Fate::Quarantined(Quarantine::malformed("no JSON")));
    observer.on_event(WorkerEvent::Publishing(&batch));
    observer.on_event(WorkerEvent::Committed(&batch, Duration::from_millis(80)));
    let statistics = GroupStatistics { end_offsets: vec![(Partition(3), 12)], steady: true };
    observer.on_event(WorkerEvent::Group(&GroupEvent::Statistics(statistics)));
}

#[test]
fn it_tells_positions_fates_tables_and_what_holds() {
    let (source, mut observer) = process();
    commit(&mut observer);
    source.health.hold("tables", "principals: behind their topic");
    source.health.warnings.set("devices", Some("old".to_string()));
    let status = source.status();
    assert_eq!((status.input.partitions, status.workers), (12, 1));
    assert!(!status.ready);
    let texts: Vec<&str> = status.reasons.iter().map(|reason| reason.text.as_str()).collect();
    assert_eq!(texts, ["tables: principals: behind their topic"]);
    assert_eq!(status.warnings, ["devices: old"]);
    let position = |it: &PartitionStatus| (it.partition, it.offset, it.end, it.lag_records);
    let positions: Vec<_> = status.partitions.iter().map(position).collect();
    assert_eq!(positions, [(3, Some(2), Some(12), 10), (7, None, None, 1)]);
    assert_eq!(status.lag.records, 11);
    let flow = &status.flow;
    let totals = [flow.read, flow.audited, flow.skipped, flow.quarantined].map(|it| it.total);
    assert_eq!(totals, [2, 0, 1, 1]);
    let reasons: Vec<_> =
        flow.reasons.iter().map(|it| (it.reason.as_str(), it.count.total)).collect();
    assert_eq!(reasons, [("not_user_initiated", 1), ("malformed", 1)]);
    assert_eq!(status.tables.len(), 1, "there is no device table");
    let principals = &status.tables[0];
    assert_eq!((principals.followed, principals.ready, principals.entries), (true, false, 0));
}

fn schema() -> jsonschema::Validator {
    let schema = include_str!("../../schemas/status.schema.json");
    let schema: Value = serde_json::from_str(schema).expect("JSON");
    jsonschema::validator_for(&schema).expect("a valid schema")
}

/// Returns the status as JSON, after a check that it is valid and that `top` reads it back.
#[track_caller]
fn valid(source: &StatusSource) -> Value {
    let status = source.status();
    let json = serde_json::to_value(&status).expect("JSON");
    let errors: Vec<String> = schema().iter_errors(&json).map(|it| it.to_string()).collect();
    assert!(errors.is_empty(), "{errors:?}\n{json:#}");
    let read: Status = serde_json::from_value(json.clone()).expect("a status");
    assert_eq!(read, status);
    json
}

#[test]
fn it_is_valid_by_its_schema_which_refuses_anything_else() {
    let (source, mut observer) = process();
    valid(&source);
    commit(&mut observer);
    source.health.hold("tables", "old");
    source.sample();
    let json = valid(&source);
    let validator = schema();
    // Each object of the answer, with a member more, and without one of its own.
    let objects = [
        "",
        "/reasons/0",
        "/input",
        "/lag",
        "/flow",
        "/flow/read",
        "/flow/reasons/0",
        "/flow/regions/0",
        "/partitions/0",
        "/tables/0",
        "/unlistedNames",
    ];
    for pointer in objects {
        let object = json.pointer(pointer).and_then(Value::as_object).expect(pointer);
        for name in object.keys().map(String::as_str).chain(["else"]) {
            let mut changed = json.clone();
            let target =
                changed.pointer_mut(pointer).and_then(Value::as_object_mut).expect(pointer);
            if target.remove(name).is_none() {
                target.insert(name.to_string(), Value::Null);
            }
            assert!(!validator.is_valid(&changed), "{pointer}/{name}");
        }
    }
}

#[test]
fn the_page_shows_the_status_and_escapes_every_name() {
    let (source, mut observer) = process();
    commit(&mut observer);
    source.health.hold("tables", HOSTILE);
    source.health.warnings.set("devices", Some(HOSTILE.to_string()));
    let mut status = source.status();
    for text in [&mut status.instance, &mut status.input.topic, &mut status.input.group] {
        *text = HOSTILE.to_string();
    }
    status.partitions[0].held = Some(HOSTILE.to_string());
    status.unlisted_names.total = 1;
    let names = &mut status.unlisted_names.names;
    names.push(crate::metrics::NameCount { name: HOSTILE.into(), count: 1 });
    let page = page(&status);
    assert_eq!(page.matches("&lt;script src=//x&gt;&lt;/script&gt;").count(), 8, "{page}");
    assert!(!page.contains("<script") && !page.contains(HOSTILE), "{page}");
    // The policy allows none of these.
    for forbidden in [" style=", "<style", "<img", "<iframe", "<form", "http://", "https://", " on"]
    {
        let found =
            page.split('>').any(|tag| tag.trim_start().starts_with('<') && tag.contains(forbidden));
        assert!(!found, "{forbidden} in {page}");
    }
    for expected in
        ["not ready", "What holds", "not_user_initiated", "malformed", "us-south", "principals"]
    {
        assert!(page.contains(expected), "{expected}");
    }
}

#[test]
fn what_is_not_there_is_not_on_the_page() {
    let (source, _observer) = process();
    source.health.working(0);
    let page = page(&source.status());
    assert!(page.contains(">ready<"), "{page}");
    for absent in ["What holds", "Warnings", "Not in the trail", "the catalogue lacks"] {
        assert!(!page.contains(absent), "{absent}");
    }
}
