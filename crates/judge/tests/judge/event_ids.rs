//! Event ids: different events have different ids, and the same record always has the same id,
//! regardless of the spelling of numbers and of later tables.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::LazyLock;

use audit_cases::Setup;
use audit_cases::generators::{Record, hold, near_valid};
use audit_judge::fate::{Audited, Fate};
use proptest::prelude::*;
use serde_json::{Value, json};

static SETUP: LazyLock<Setup> = LazyLock::new(|| Setup::new(""));

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

fn audited(record: &[u8]) -> Audited {
    match SETUP.judge(Some(record)) {
        Fate::Audited(audited) => audited,
        other => panic!("{}: {other:?}", String::from_utf8_lossy(record)),
    }
}

#[test]
fn different_events_have_different_ids() {
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
        json!({"onBehalfOf": {"userId": 6100102, "iamId": "IBMid-270004WA02"}}),
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
        let id = audited(&changed(&change)).envelope.id;
        let before = seen.insert(id, change.clone());
        assert_eq!(before, None, "the same id as {change}");
    }
}

/// Regardless of their length and of where they differ.
#[test]
fn long_texts_with_different_ends_have_different_ids() {
    for field in ["eventId", "label", "traceId", "reasonForFailure", "previousState"] {
        for length in [31, 255, 1_023, 1_024, 1_025, 5_000] {
            let [one, other] = ["a", "b"].map(|end| {
                let text = "x".repeat(length) + end;
                audited(&changed(&json!({field: text}))).envelope.id
            });
            assert_ne!(one, other, "{field} of {length}");
        }
    }
}

#[test]
fn a_number_and_its_text_have_the_same_id() {
    let numbers = json!({"reasonCode": 201, "previousState": 1, "label": 7});
    let texts = json!({
        "reasonCode": "201", "previousState": "1", "label": "7",
        "accountId": "307608", "objectId": "1234567", "userId": "6100101",
    });
    let [one, other] = [numbers, texts].map(|change| audited(&changed(&change)).envelope.id);
    assert_eq!(one, other);
}

/// The account and location of this record come from the device table.
#[test]
fn the_tables_do_not_affect_the_id() {
    let record = changed(&json!({"accountId": null, "userId": 7}));
    let ids = ["1", "2"].map(|account| {
        let principal = json!({
            "accountId": account, "userId": 7, "iamId": format!("IBMid-{account}"),
            "infrastructureAccess": true, "validFrom": "2018-01-01T00:00:00Z",
        });
        let device = json!({
            "deviceId": 1234567, "accountId": account, "datacenter": "dal10", "validFrom": "2018-01-01T00:00:00Z",
        });
        let setup = Setup::with_tables("", &principal.to_string(), &device.to_string());
        match setup.judge(Some(&record)) {
            Fate::Audited(audited) => (audited.envelope.account.to_string(), audited.envelope.id),
            other => panic!("{other:?}"),
        }
    });
    assert_eq!([&ids[0].0, &ids[1].0], ["1", "2"]);
    assert_eq!(ids[0].1, ids[1].1);
}

#[test]
fn similar_records_with_different_events_have_different_ids() {
    let (different, equal) = (RefCell::new(0), RefCell::new(0));
    let near =
        near_valid().prop_flat_map(|record| (Just(record.clone()), record.with_one_change()));
    hold(3_000, near, |(one, other)| {
        let events = [one, other].map(|record| {
            let record = record.with("eventId", "null");
            match SETUP.judge(Some(record.text().as_bytes())) {
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

/// Returns the event without its id, and the id.
fn without_id(audited: &Audited) -> (Value, String) {
    let id = audited.envelope.id.to_string();
    let text = std::str::from_utf8(&audited.event).expect("UTF-8");
    let event = serde_json::from_str(&text.replace(&id, "")).expect("JSON");
    (event, id)
}

/// Returns the event id of a record, if it is audited.
fn id(record: &Record) -> Option<String> {
    match SETUP.judge(Some(record.text().as_bytes())) {
        Fate::Audited(audited) => Some(audited.envelope.id.to_string()),
        Fate::Skipped(_) | Fate::Quarantined(_) => None,
    }
}

#[test]
fn a_producers_event_id_alone_determines_the_id() {
    let compared = RefCell::new(0);
    let pair = (near_valid(), near_valid(), "[a-z]{1,3}", "[ -~é]{1,40}");
    hold(2_000, pair, |(one, other, event_id, other_id)| {
        // Event ids are unique only within an account.
        let given = |record: &Record, id: &str| {
            let record = record.with("eventId", &Value::from(id).to_string());
            record.with("accountId", "307608")
        };
        let first = id(&given(&one, &event_id));
        let second = id(&given(&other, &event_id));
        let third = id(&given(&one, &other_id));
        if let (Some(first), Some(second)) = (&first, &second) {
            prop_assert_eq!(first, second);
            *compared.borrow_mut() += 1;
        }
        if let (Some(first), Some(third)) = (first, third) {
            prop_assert_eq!(first == third, event_id == other_id);
        }
        Ok(())
    });
    assert!(compared.into_inner() > 100);
}

#[test]
fn records_with_different_metadata_have_different_ids() {
    let compared = RefCell::new(0);
    let values = "[a-z0-9 \\PC]{0,12}";
    hold(1_500, (near_valid(), values, values), |(record, one, other)| {
        let record = record.with("eventId", "null");
        let marked = |mark: &str| {
            let inner = serde_json::json!({ "mark": mark }).to_string();
            let as_text = Value::from(inner.as_str()).to_string();
            [inner, as_text].map(|meta_data| id(&record.with("metaData", &meta_data)))
        };
        let [first, as_text] = marked(&one);
        prop_assert_eq!(&first, &as_text, "an object and its text must have the same id");
        let [second, _] = marked(&other);
        if let (Some(first), Some(second)) = (first, second) {
            prop_assert_eq!(first == second, one == other);
            *compared.borrow_mut() += 1;
        }
        Ok(())
    });
    assert!(compared.into_inner() > 100);
}
