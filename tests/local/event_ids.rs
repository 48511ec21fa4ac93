//! Event ids: two events that differ have two ids, and the same record has the same id, however its numbers are
//! written and whatever the tables say later.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::Write;

use audit_relay::pipeline::fate::{Audited, Fate};
use proptest::prelude::*;
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use crate::properties::{hold, judged, load, load_with};
use crate::records::near_valid;

fn base() -> Value {
    json!({
        "accountId": 307608, "eventCreateDate": "2021-07-14T09:12:44.318207-05:00", "eventKey": "n/a",
        "eventName": "Power On", "label": "web01.example.com", "objectId": 1234567, "objectName": "Server",
        "userId": 6100101, "userType": "CUSTOMER", "traceId": "60eef10c4daff", "metaData": "",
    })
}

/// The base record with some of its fields replaced.
fn changed(change: &Value) -> Vec<u8> {
    let mut record = base();
    for (field, value) in change.as_object().expect("an object") {
        record[field] = value.clone();
    }
    record.to_string().into_bytes()
}

fn audited(settings: &str, record: &[u8]) -> Audited {
    match judged(&load(settings), record) {
        Fate::Audited(audited) => audited,
        other => panic!("{}: {other:?}", String::from_utf8_lossy(record)),
    }
}

#[test]
fn two_events_that_differ_have_two_ids() {
    let changes = [
        json!({}),
        json!({"eventName": "Power Off"}),
        json!({"eventKey": "-"}),
        json!({"eventKey": "AUDIT"}),
        json!({"objectId": 1234568}),
        json!({"objectName": "Bare Metal Instance"}),
        json!({"eventCreateDate": "2021-07-14T09:12:44.318207001-05:00"}),
        json!({"label": "web02.example.com"}),
        json!({"datacenter": "dal13"}),
        json!({"datacenter": "wdc04"}),
        json!({"userId": 6100102}),
        json!({"username": "one"}),
        json!({"openIdConnectUserName": "one"}),
        json!({"iamId": "IBMid-270004WA01"}),
        json!({"onBehalfOf": {"userId": 6100102}}),
        json!({"onBehalfOf": {"userId": 6100102, "username": "two"}}),
        json!({"credentialType": "token"}),
        json!({"ipAddress": "192.0.2.10"}),
        json!({"userAgent": "192.0.2.10"}),
        json!({"outcome": "pending"}),
        json!({"outcome": "failure"}),
        json!({"reasonCode": 201}),
        json!({"outcome": "failure", "reasonForFailure": "busy"}),
        json!({"previousState": "on"}),
        json!({"newState": "on"}),
        json!({"traceId": "60eef10c4dafe"}),
        json!({"metaData": {"port": 1}}),
    ];
    let mut seen = BTreeMap::new();
    for change in changes {
        let id = audited("", &changed(&change)).envelope.id;
        let before = seen.insert(id, change.clone());
        assert_eq!(before, None, "the same id as {change}");
    }
}

#[test]
fn a_number_and_the_same_number_as_text_have_one_id() {
    let numbers = json!({"reasonCode": 201, "previousState": 1, "label": 7});
    let texts = json!({
        "reasonCode": "201", "previousState": "1", "label": "7",
        "accountId": "307608", "objectId": "1234567", "userId": "6100101",
    });
    let [one, other] = [numbers, texts].map(|change| audited("", &changed(&change)).envelope.id);
    assert_eq!(one, other);
}

/// The account of this record is the device table's, and so is its place.
#[test]
fn the_tables_take_no_part() {
    let record = changed(&json!({"accountId": null, "userId": 7}));
    let ids = ["1", "2"].map(|account| {
        let principal = json!({
            "accountId": account, "userId": 7, "iamId": format!("IBMid-{account}"),
            "infrastructureAccess": true, "validFrom": "2018-01-01T00:00:00Z",
        });
        let device = json!({
            "deviceId": 1234567, "accountId": account, "datacenter": "dal10", "validFrom": "2018-01-01T00:00:00Z",
        });
        let [principals, devices] = [principal, device].map(|line| file(&line));
        match judged(&load_with(principals.path(), devices.path(), ""), &record) {
            Fate::Audited(audited) => (audited.envelope.account.to_string(), audited.envelope.id),
            other => panic!("{other:?}"),
        }
    });
    assert_eq!([&ids[0].0, &ids[1].0], ["1", "2"]);
    assert_eq!(ids[0].1, ids[1].1);
}

fn file(line: &Value) -> NamedTempFile {
    let mut file = NamedTempFile::new().expect("a file");
    writeln!(file, "{line}").expect("written");
    file
}

#[test]
fn events_of_near_records_differ_in_their_ids_if_in_anything() {
    let assembly = load("");
    let (different, equal) = (RefCell::new(0), RefCell::new(0));
    let near =
        near_valid().prop_flat_map(|record| (Just(record.clone()), record.with_one_change()));
    hold(3_000, near, |(one, other)| {
        let events = [one, other].map(|record| {
            let record = record.with("eventId", "null");
            match judged(&assembly, record.text().as_bytes()) {
                Fate::Audited(audited) => Some(without_id(&audited)),
                Fate::Skipped(_) | Fate::Quarantined(_) => None,
            }
        });
        if let [Some((one, one_id)), Some((other, other_id))] = events {
            if one != other {
                *different.borrow_mut() += 1;
                prop_assert_ne!(one_id, other_id, "{} {}", one, other);
            } else {
                *equal.borrow_mut() += usize::from(one_id == other_id);
            }
        }
        Ok(())
    });
    let (different, equal) = (different.into_inner(), equal.into_inner());
    assert!(different > 100 && equal > 10, "{different} {equal}");
}

/// An event without its id, and the id.
fn without_id(audited: &Audited) -> (Value, String) {
    let id = audited.envelope.id.to_string();
    let text = std::str::from_utf8(&audited.event).expect("UTF-8");
    let event = serde_json::from_str(&text.replace(&id, "")).expect("JSON");
    (event, id)
}
