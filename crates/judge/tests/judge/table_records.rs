//! Unreadable records of table topics: the key is unknown from then on, and actions that depend on
//! it are quarantined until a valid record arrives. The previous version never silently stays in
//! force.

use audit_cases::Setup;
use audit_judge::fate::{Fate, QuarantineReason, SkipReason};
use audit_judge::judge;
use audit_judge::reference::packing::Packed;
use audit_judge::reference::{
    Oddities, RecordProblem, ReferenceTables, Table, TableChange, TableKey, TableWriter,
    parse_device_record, parse_principal_record, read_devices, unreadable_record,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

const DEVICE: &str = r#"{"deviceId":1234567,"accountId":307608,"name":"web01.example.com","datacenter":"dal10","validFrom":"2018-01-01T00:00:00Z"}"#;

/// The fate of an action, simplified.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Audited,
    NoAccess,
    Unknown,
    Unreadable,
}
use Seen::{Audited, NoAccess, Unknown, Unreadable};

fn moment(time: &str) -> Timestamp {
    format!("2021-07-14T{time}Z").parse().expect("a time")
}

/// Builds a table from these records, each a time of writing and a value.
fn table<K: TableKey, V: Packed>(
    key: &str,
    records: &[(&str, Option<&str>)],
    parse: impl Fn(&[u8], Option<&[u8]>, Option<i64>) -> Result<TableChange<K, V>, RecordProblem>,
) -> Table<K, V> {
    let mut table = TableWriter::with_history(SignedDuration::from_hours(168));
    for (written, value) in records {
        let time = Some(moment(written).as_millisecond());
        let read = parse(key.as_bytes(), value.map(str::as_bytes), time);
        let unreadable = || unreadable_record(key.as_bytes(), time, Timestamp::MAX);
        let change = read.ok().or_else(unreadable).expect("a key");
        table.apply(change).expect("room");
    }
    table.snapshot()
}

fn principals(records: &[(&str, Option<&str>)]) -> ReferenceTables {
    let parse = |key: &[u8], value: Option<&[u8]>, time| {
        parse_principal_record(key, value, time, &mut Oddities::default())
    };
    ReferenceTables {
        principals: table("307608/6100101", records, parse),
        devices: Some(read_devices("d", DEVICE).expect("devices")),
    }
}

fn user(access: bool) -> String {
    let user = json!({"accountId": 307608, "userId": 6100101, "iamId": "IBMid-X", "infrastructureAccess": access});
    user.to_string()
}

fn action(time: &str) -> Value {
    json!({
        "accountId": 307608, "eventCreateDate": moment(time).to_string(), "eventName": "Power On", "objectId": 1234567,
        "objectName": "Server", "userId": 6100101, "userType": "CUSTOMER", "label": "web01", "datacenter": "dal10",
    })
}

fn seen(setup: &Setup, reference: &ReferenceTables, action: &Value) -> Seen {
    let rules = &setup.rules;
    let payload = action.to_string();
    match judge(Some(payload.as_bytes()), rules, || reference) {
        Fate::Audited(_) => Audited,
        Fate::Skipped(skip) if skip.reason == SkipReason::NoInfrastructureAccess => NoAccess,
        Fate::Skipped(skip) if skip.reason == SkipReason::UnknownPrincipal => Unknown,
        Fate::Quarantined(quarantine) if quarantine.detail.contains("cannot be read") => {
            let reasons = [QuarantineReason::UnknownPrincipal, QuarantineReason::UnknownDevice];
            assert!(reasons.contains(&quarantine.reason), "{quarantine:?}");
            Unreadable
        }
        Fate::Quarantined(quarantine)
            if quarantine.reason == QuarantineReason::UnknownPrincipal =>
        {
            Unknown
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_principal_is_unknown_from_a_bad_record_until_a_valid_one() {
    let (grant, revocation) = (user(true), user(false));
    let deleted = grant.replace('}', ",\"deleted\":true}");
    let large = grant.replace('{', &format!("{{{}", " ".repeat(70_000)));
    let other = grant.replace("6100101", "6100102");
    for bad in ["{", "[]", "", "null", &deleted, &large, &other] {
        let records = [
            ("14:00:00", Some(grant.as_str())),
            ("14:10:00", Some(bad)),
            ("14:20:00", Some(revocation.as_str())),
            ("14:30:00", Some(bad)),
            ("14:40:00", Some(grant.as_str())),
            ("14:50:00", Some(bad)),
            ("15:00:00", None),
        ];
        let reference = principals(&records);
        let cases = [
            ("14:05:00", Audited),
            // Within the clock skew before the bad record, the version at that time still counts.
            ("14:09:57", Audited),
            ("14:10:00", Unreadable),
            // The bad record ended the grant within the skew: the grant must not stay in force.
            ("14:10:02", Unreadable),
            ("14:15:00", Unreadable),
            ("14:19:59", Unreadable),
            // Access was revoked within the skew, so the earlier unreadable version may still
            // apply.
            ("14:20:02", Unreadable),
            ("14:25:00", NoAccess),
            ("14:29:58", Unreadable),
            ("14:39:58", Unreadable),
            ("14:40:02", Audited),
            ("14:55:00", Unreadable),
            ("15:00:10", Unknown),
        ];
        for settings in ["", "[policy]\nunknown_principal = \"skip\"\n"] {
            let setup = Setup::new(settings);
            for (time, expected) in &cases {
                let seen = seen(&setup, &reference, &action(time));
                assert_eq!(&seen, expected, "at {time}, {bad:.40}, {settings}");
            }
        }
    }
}

#[test]
fn a_principal_with_only_a_bad_record_is_not_skipped() {
    let setup = Setup::new("[policy]\nunknown_principal = \"skip\"\n");
    let reference = principals(&[("14:10:00", Some("{"))]);
    // Compaction may have removed earlier records.
    for time in ["14:00:00", "14:10:00", "15:00:00"] {
        assert_eq!(seen(&setup, &reference, &action(time)), Unreadable, "{time}");
    }
}

#[test]
fn a_valid_record_with_an_old_start_covers_the_time_of_the_bad_one() {
    let setup = Setup::new("");
    let grant = user(true).replace('}', ",\"validFrom\":\"2018-01-01T00:00:00Z\"}");
    let good = Some(grant.as_str());
    let reference = principals(&[("14:00:00", good), ("14:10:00", Some("{")), ("14:20:00", good)]);
    for time in ["14:05:00", "14:15:00", "14:25:00"] {
        assert_eq!(seen(&setup, &reference, &action(time)), Audited, "{time}");
    }
}

#[test]
fn a_device_is_unknown_from_a_bad_record_until_a_valid_one() {
    let setup = Setup::new("");
    let mut reference = principals(&[("09:00:00", Some(user(true).as_str()))]);
    let parse = |key: &[u8], value: Option<&[u8]>, time| {
        parse_device_record(key, value, time, &mut Oddities::default())
    };
    let device = DEVICE.replace(",\"validFrom\":\"2018-01-01T00:00:00Z\"", "");
    let records = [
        ("14:00:00", Some(device.as_str())),
        ("14:10:00", Some("{")),
        ("14:20:00", Some(device.as_str())),
        ("14:30:00", None),
        ("14:30:01", Some("{")),
    ];
    reference.devices = Some(table("1234567", &records, parse));
    let cases = [
        ("14:05:00", Audited),
        ("14:09:58", Audited),
        ("14:10:00", Unreadable),
        // Its location was known until two seconds earlier, but may have changed.
        ("14:10:02", Unreadable),
        ("14:19:58", Unreadable),
        ("14:20:00", Audited),
        ("14:30:00", Audited),
        ("14:30:02", Unreadable),
    ];
    for (time, expected) in &cases {
        for missing in ["datacenter", "accountId"] {
            let mut action = action(time);
            action.as_object_mut().expect("an object").remove(missing);
            let seen = seen(&setup, &reference, &action);
            assert_eq!(&seen, expected, "at {time}, without {missing}");
        }
        let mut provision = action(time);
        provision["eventName"] = json!("Provision");
        provision["metaData"] = json!({"datacenter": provision["datacenter"].take()});
        let seen_of_new = seen(&setup, &reference, &provision);
        assert_eq!(&seen_of_new, expected, "at {time}, data center in the metadata");
        assert_eq!(seen(&setup, &reference, &action(time)), Audited, "{time}");
    }
}
