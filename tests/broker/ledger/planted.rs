//! Each judge can complain: a clean picture is harmed in one way, and the ledger must say in which.
//! No broker is needed.

use super::accounts::accounted;
use super::event::{self, Fields, id_of_fields, id_of_producers};
use super::*;
use audit_testkit::relay::{REGIONS, measured};
use audit_testkit::topics::TestRecord;

/// So many records have some of every kind for each device.
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

fn kept_of(original: &Seen) -> Seen {
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

/// What a relay without fault leaves behind.
fn clean() -> Evidence {
    let input = input();
    let of_demand = |wanted| {
        let numbered = (0..RECORDS).zip(&input);
        numbered.filter(move |(number, _)| demand(*number) == wanted)
    };
    let output = |region: &str| {
        let audited = of_demand(Demand::Audited);
        let here = audited.filter(|(number, _)| super::region(*number) == region);
        let records = here.map(|(number, original)| event_of(number, original, 3));
        Contents { partitions: 3, records: records.collect() }
    };
    let quarantined = of_demand(Demand::Quarantined).map(|(_, original)| kept_of(original));
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

/// Harms the clean picture, and asserts that these kinds are complained of, and no others.
#[track_caller]
fn is_seen(kinds: &[&str], harm: impl FnOnce(&mut Evidence)) {
    let mut evidence = clean();
    harm(&mut evidence);
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
fn a_clean_ledger_has_no_complaint() {
    is_seen(&[], |_| {});
    let nothing = Ledger::default();
    assert!(!nothing.is_clean_but_for(&[]), "nothing was written at all");
}

#[test]
fn what_is_lost_doubled_or_unexpected_is_seen() {
    is_seen(&["lost"], |it| drop(it.outputs[2].records.remove(0)));
    is_seen(&["lost"], |it| drop(it.quarantine.records.remove(0)));
    is_seen(&["doubled"], |it| {
        let again = first(it).clone();
        it.outputs[2].records.insert(1, again);
    });
    is_seen(&["doubled"], |it| {
        let again = it.quarantine.records[0].clone();
        it.quarantine.records.insert(1, again);
    });
    is_seen(&["unexpected"], |it| {
        // Number 5 was to be skipped.
        let event = event_of(5, &it.input[5], 3);
        it.outputs[0].records.insert(4, event);
    });
    is_seen(&["lost", "unexpected"], |it| first(it).value = None);
    is_seen(&["lost", "unexpected"], |it| {
        change_field(it, "/correlationId", "999999".into());
    });
}

#[test]
fn what_is_in_another_place_or_order_is_seen() {
    is_seen(&["misrouted"], |it| {
        let event = it.outputs[2].records.pop().unwrap();
        it.outputs[3].records.push(event);
    });
    // Alone in its partition, and all of a topic in another one than the rule says.
    is_seen(&["misrouted"], |it| first(it).partition += 1);
    is_seen(&["misrouted"], |it| {
        for seen in &mut it.outputs[2].records {
            seen.partition = (seen.partition + 1) % 3;
        }
    });
    is_seen(&["misrouted"], |it| it.quarantine.records[0].partition ^= 1);
    is_seen(&["reordered"], |it| it.outputs[2].records.reverse());
    is_seen(&["reordered"], |it| it.quarantine.records.reverse());
}

#[test]
fn what_is_changed_in_an_event_is_seen() {
    for (pointer, new) in [
        ("/id", "00000000-0000-5000-8000-000000000000"),
        ("/severity", "normal"),
        ("/initiator/id", "IBMid-270004WA09"),
        ("/target/name", "web"),
        ("/message", ""),
    ] {
        is_seen(&["changed"], |it| change_field(it, pointer, new.into()));
    }
    is_seen(&["changed"], |it| first(it).key = Some(b"1000001".to_vec()));
    is_seen(&["changed"], |it| first(it).key = None);
    is_seen(&["changed"], |it| *first(it).timestamp.as_mut().unwrap() += 1);
    is_seen(&["changed"], |it| first(it).timestamp = None);
    is_seen(&["changed", "shared id"], |it| {
        let other = it.outputs[2].records[1].value.as_deref().unwrap();
        let other: Value = serde_json::from_slice(other).unwrap();
        change_field(it, "/id", other["id"].clone());
    });
}

#[test]
fn headers_that_are_missing_or_wrong_are_seen() {
    for header in 0..5 {
        is_seen(&["changed"], |it| drop(first(it).headers.remove(header)));
        is_seen(&["changed"], |it| {
            first(it).headers[header].1 = Some(b"other".to_vec());
        });
    }
    is_seen(&["changed"], |it| {
        first(it).headers.push(("more".to_string(), None));
    });
    // Those that were to be left out.
    is_seen(&["changed"], |it| it.event_headers = false);
    is_seen(&[], |it| {
        it.event_headers = false;
        let events = it.outputs.iter_mut().flat_map(|contents| &mut contents.records);
        events.for_each(|seen| seen.headers.clear());
    });
}

#[test]
fn what_is_incomplete_in_the_quarantine_is_seen() {
    let incomplete = |harm: fn(&mut Seen)| {
        is_seen(&["incomplete"], |it| harm(&mut it.quarantine.records[0]));
    };
    incomplete(|seen| seen.key = None);
    incomplete(|seen| seen.value.as_mut().unwrap().truncate(9));
    incomplete(|seen| seen.timestamp = None);
    for header in 1..=ADDED.len() {
        is_seen(&["incomplete"], |it| {
            drop(it.quarantine.records[0].headers.remove(header));
        });
    }
    incomplete(|seen| seen.headers[4].1 = Some(b"9".to_vec()));
    incomplete(|seen| seen.headers.push(("more".to_string(), None)));
    is_seen(&["lost", "unexpected"], |it| {
        drop(it.quarantine.records[0].headers.remove(0));
    });
}

/// The ids of two documented examples.
#[test]
fn ids_are_made_as_documented() {
    assert_eq!(
        id_of_producers("307608", "evt-000000000042"),
        "41d4cae0-190a-584b-b0f0-896f480ee592"
    );
    let fields = Fields {
        device: "1234567".to_string(),
        trace: "60eef10c4daff".to_string(),
        label: "web01.example.com".to_string(),
        time_ns: 1_626_271_964_318_207_000,
        user: "6100102",
        username: "307608_operator1",
        login_name: "operator.one@example.com",
        address: "192.0.2.10",
        ..Fields::default()
    };
    assert_eq!(id_of_fields(&fields), "11ffcaa3-b14d-5c3a-81a9-6f6d2e96aff3");
}

/// Accounts of two partitions as a relay shows them.
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
fn accounts_that_do_not_add_up_are_seen() {
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
        let harmed = page.replacen(part, new, page.len());
        assert!(accounted(&harmed).is_err(), "{part}");
    }
    assert!(accounted("").is_err(), "no accounts");
    let idle = page.replace("} 15\n", "} 0\n").replace("} 1\n", "} 0\n");
    assert!(accounted(&idle).is_err(), "nothing was read");
    let more = page + "audit_relay_records_total{fate=\"audited\",partition=\"2\",reason=\"\"} 1\n";
    assert!(accounted(&more).is_err(), "a partition that was not read");
}

#[test]
fn a_metric_that_is_absent_is_no_zero() {
    let page = accounts();
    let read = |label| measured(&page, "audit_relay_records_read_total", label);
    assert_eq!(read(""), Some(30.0));
    assert_eq!(read("partition=\"1\""), Some(15.0));
    assert_eq!(read("partition=\"7\""), None);
    assert_eq!(measured(&page, "audit_relay_records_read", ""), None);
}
