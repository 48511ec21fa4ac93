//! Tests the ledger itself: each test plants one violation in a clean output, and the ledger must
//! find exactly that. Needs no broker.

use super::accounts::accounted;
use super::event::{self, IdFields, id_of_fields, id_of_producers};
use super::*;
use audit_testkit::relay::{REGIONS, measured};
use audit_testkit::topics::TestRecord;

/// Enough records to have every fate for each device.
const RECORDS: u64 = 1_200;
const INPUT_PARTITIONS: i32 = 4;
const TOPIC: &str = "changes";

fn seen(topic: &str, partition: i32, offset: usize, record: TestRecord) -> Seen {
    Seen {
        topic: topic.to_string(),
        partition,
        offset: offset as i64,
        key: record.key,
        value: record.value,
        headers: record.headers,
        timestamp: record.timestamp,
    }
}

fn input() -> Vec<Seen> {
    let record = |number: u64| {
        let partition = load::device_id(number) as i32 % INPUT_PARTITIONS;
        let record =
            TestRecord { timestamp: Some(1_700_000_000_000 + number as i64), ..change(number) };
        seen(TOPIC, partition, number as usize, record)
    };
    (0..RECORDS).map(record).collect()
}

fn event_of(number: u64, original: &Seen, partitions: i32) -> Seen {
    let record = TestRecord {
        key: original.key.clone(),
        value: Some(event::expected(number).to_string().into_bytes()),
        headers: event::headers(number),
        timestamp: original.timestamp,
        partition: None,
    };
    let partition = original.partition % partitions;
    seen(region(number), partition, number as usize, record)
}

fn quarantined_copy(original: &Seen) -> Seen {
    let (partition, offset) = (original.partition.to_string(), original.offset.to_string());
    let values = [
        "malformed",
        "it ends too early",
        TOPIC,
        &partition,
        &offset,
        env!("CARGO_PKG_VERSION"),
        "false",
    ];
    let ours = ADDED.into_iter().zip(values);
    let ours = ours.map(|(name, value)| (name.to_string(), Some(value.as_bytes().to_vec())));
    let mut kept = original.clone();
    kept.partition %= 2;
    kept.headers.extend(ours);
    kept
}

/// The output of a correct relay.
fn clean() -> Evidence {
    let input = input();
    let with_fate = |fate| {
        let numbered = (0..RECORDS).zip(&input);
        numbered.filter(move |(number, _)| expected_fate(*number) == fate)
    };
    let output = |region: &str| {
        let audited = with_fate(ExpectedFate::Audited);
        let here = audited.filter(|(number, _)| super::region(*number) == region);
        let records = here.map(|(number, original)| event_of(number, original, 3));
        Contents { partitions: 3, records: records.collect() }
    };
    let quarantined =
        with_fate(ExpectedFate::Quarantined).map(|(_, original)| quarantined_copy(original));
    Evidence {
        topic: TOPIC.to_string(),
        outputs: REGIONS.map(output).into(),
        quarantine: Contents { partitions: 2, records: quarantined.collect() },
        event_headers: true,
        input: input.clone(),
    }
}

/// The first event of the third topic.
fn first(evidence: &mut Evidence) -> &mut Seen {
    &mut evidence.outputs[2].records[0]
}

fn change_field(evidence: &mut Evidence, pointer: &str, new: Value) {
    let seen = first(evidence);
    let mut event: Value = serde_json::from_slice(seen.value.as_deref().unwrap()).unwrap();
    *event.pointer_mut(pointer).expect("the field") = new;
    seen.value = Some(event.to_string().into_bytes());
}

/// Damages a clean output, and asserts that the ledger finds exactly these kinds of violations.
#[track_caller]
fn assert_finds(kinds: &[&str], damage: impl FnOnce(&mut Evidence)) {
    let mut evidence = clean();
    damage(&mut evidence);
    let ledger = Ledger::judge(&evidence, RECORDS);
    let found = [
        ("lost", ledger.lost.len()),
        ("doubled", ledger.doubled.len()),
        ("reordered", ledger.reordered.len()),
        ("misrouted", ledger.misrouted.len()),
        ("changed", ledger.changed.len()),
        ("shared id", ledger.shared_ids.len()),
        ("unexpected", ledger.unexpected.len()),
        ("incomplete", ledger.quarantine_incomplete.len()),
    ];
    let found = found.iter().filter(|(_, count)| *count > 0);
    let found: Vec<&str> = found.map(|(kind, _)| *kind).collect();
    assert_eq!(found, kinds, "{ledger}");
    assert_eq!(ledger.is_clean_but_for(&[]), kinds.is_empty(), "{ledger}");
}

#[test]
fn a_clean_output_has_no_violations() {
    assert_finds(&[], |_| {});
    let nothing = Ledger::default();
    assert!(!nothing.is_clean_but_for(&[]), "an empty output must not be clean");
}

#[test]
fn lost_duplicate_and_unexpected_records_are_found() {
    assert_finds(&["lost"], |it| drop(it.outputs[2].records.remove(0)));
    assert_finds(&["lost"], |it| drop(it.quarantine.records.remove(0)));
    assert_finds(&["doubled"], |it| {
        let again = first(it).clone();
        it.outputs[2].records.insert(1, again);
    });
    assert_finds(&["doubled"], |it| {
        let again = it.quarantine.records[0].clone();
        it.quarantine.records.insert(1, again);
    });
    assert_finds(&["unexpected"], |it| {
        // Record 5 must be skipped.
        let event = event_of(5, &it.input[5], 3);
        it.outputs[0].records.insert(4, event);
    });
    assert_finds(&["lost", "unexpected"], |it| first(it).value = None);
    assert_finds(&["lost", "unexpected"], |it| {
        change_field(it, "/correlationId", "999999".into());
    });
}

#[test]
fn misrouted_and_reordered_records_are_found() {
    assert_finds(&["misrouted"], |it| {
        let event = it.outputs[2].records.pop().unwrap();
        it.outputs[3].records.push(event);
    });
    // First a single record in another partition, then all records of a topic.
    assert_finds(&["misrouted"], |it| first(it).partition += 1);
    assert_finds(&["misrouted"], |it| {
        for seen in &mut it.outputs[2].records {
            seen.partition = (seen.partition + 1) % 3;
        }
    });
    assert_finds(&["misrouted"], |it| it.quarantine.records[0].partition ^= 1);
    assert_finds(&["reordered"], |it| it.outputs[2].records.reverse());
    assert_finds(&["reordered"], |it| it.quarantine.records.reverse());
}

#[test]
fn changed_events_are_found() {
    for (pointer, new) in [
        ("/id", "00000000-0000-5000-8000-000000000000"),
        ("/severity", "normal"),
        ("/initiator/id", "IBMid-270004WA09"),
        ("/target/name", "web"),
        ("/message", ""),
    ] {
        assert_finds(&["changed"], |it| change_field(it, pointer, new.into()));
    }
    assert_finds(&["changed"], |it| first(it).key = Some(b"1000001".to_vec()));
    assert_finds(&["changed"], |it| first(it).key = None);
    assert_finds(&["changed"], |it| *first(it).timestamp.as_mut().unwrap() += 1);
    assert_finds(&["changed"], |it| first(it).timestamp = None);
    assert_finds(&["changed", "shared id"], |it| {
        let other = it.outputs[2].records[1].value.as_deref().unwrap();
        let other: Value = serde_json::from_slice(other).unwrap();
        change_field(it, "/id", other["id"].clone());
    });
}

#[test]
fn missing_and_wrong_headers_are_found() {
    for header in 0..5 {
        assert_finds(&["changed"], |it| drop(first(it).headers.remove(header)));
        assert_finds(&["changed"], |it| {
            first(it).headers[header].1 = Some(b"other".to_vec());
        });
    }
    assert_finds(&["changed"], |it| {
        first(it).headers.push(("more".to_string(), None));
    });
    // Headers that must be absent.
    assert_finds(&["changed"], |it| it.event_headers = false);
    assert_finds(&[], |it| {
        it.event_headers = false;
        let events = it.outputs.iter_mut().flat_map(|contents| &mut contents.records);
        events.for_each(|seen| seen.headers.clear());
    });
}

#[test]
fn incomplete_quarantine_records_are_found() {
    let incomplete = |damage: fn(&mut Seen)| {
        assert_finds(&["incomplete"], |it| damage(&mut it.quarantine.records[0]));
    };
    incomplete(|seen| seen.key = None);
    incomplete(|seen| seen.value.as_mut().unwrap().truncate(9));
    incomplete(|seen| seen.timestamp = None);
    for header in 1..=ADDED.len() {
        assert_finds(&["incomplete"], |it| {
            drop(it.quarantine.records[0].headers.remove(header));
        });
    }
    incomplete(|seen| seen.headers[4].1 = Some(b"9".to_vec()));
    incomplete(|seen| seen.headers.push(("more".to_string(), None)));
    assert_finds(&["lost", "unexpected"], |it| {
        drop(it.quarantine.records[0].headers.remove(0));
    });
}

/// Checks the ids of two documented examples.
#[test]
fn ids_match_the_documented_examples() {
    assert_eq!(
        id_of_producers("307608", "evt-000000000042"),
        "41d4cae0-190a-584b-b0f0-896f480ee592"
    );
    let fields = IdFields {
        device: "1234567".to_string(),
        trace: "60eef10c4daff".to_string(),
        label: "web01.example.com".to_string(),
        time_ns: 1_626_271_964_318_207_000,
        user: "6100102",
        username: "307608_operator1",
        login_name: "operator.one@example.com",
        address: "192.0.2.10",
        ..IdFields::default()
    };
    assert_eq!(id_of_fields(&fields), "11ffcaa3-b14d-5c3a-81a9-6f6d2e96aff3");
}

/// A relay's metrics for two partitions.
fn accounts() -> String {
    let mut page = String::new();
    for partition in 0..2 {
        let read = format!("audit_relay_records_read_total{{partition=\"{partition}\"}} 15\n");
        page.push_str(&read);
        for (fate, reason) in accounts::KNOWN {
            let series = format!(
                "audit_relay_records_total{{fate=\"{fate}\",partition=\"{partition}\",reason=\"{reason}\"}} 1\n"
            );
            page.push_str(&series);
        }
    }
    page
}

#[test]
fn inconsistent_metrics_are_found() {
    let page = accounts();
    assert_eq!(accounted(&page), Ok(30.0));
    for (part, new) in [
        ("records_read_total", "records_seen_total"),
        ("records_total", "fates_total"),
        ("} 1\n", "} 2\n"),
        ("} 15\n", "} 0\n"),
        ("reason=\"malformed\"", "reason=\"misshapen\""),
        ("fate=\"audited\"", "fate=\"forgotten\""),
        ("partition=\"1\"", "part=\"1\""),
    ] {
        let damaged = page.replacen(part, new, page.len());
        assert!(accounted(&damaged).is_err(), "{part}");
    }
    assert!(accounted("").is_err(), "no metrics");
    let idle = page.replace("} 15\n", "} 0\n").replace("} 1\n", "} 0\n");
    assert!(accounted(&idle).is_err(), "nothing was read");
    let more = page + "audit_relay_records_total{fate=\"audited\",partition=\"2\",reason=\"\"} 1\n";
    assert!(accounted(&more).is_err(), "a partition that was not read");
}

#[test]
fn a_missing_metric_is_not_zero() {
    let page = accounts();
    let read = |label| measured(&page, "audit_relay_records_read_total", label);
    assert_eq!(read(""), Some(30.0));
    assert_eq!(read("partition=\"1\""), Some(15.0));
    assert_eq!(read("partition=\"7\""), None);
    assert_eq!(measured(&page, "audit_relay_records_read", ""), None);
}
