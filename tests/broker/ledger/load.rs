//! The load: numbered state changes. The number determines the expected fate.

use std::collections::BTreeMap;

use serde_json::json;

use audit_testkit::relay::REGIONS;
use audit_testkit::topics::TestRecord;

/// Devices in the load. Each is in one data center, and therefore in one region.
const DEVICES: u64 = 60;
/// A data center in each of [`REGIONS`].
const DATA_CENTERS: [&str; 6] = ["syd04", "fra02", "lon06", "tok02", "wdc04", "dal10"];
/// The time of every record.
const TIME: &str = "2021-07-14T09:12:44.310001-05:00";

/// A principal with access and one without.
pub const PRINCIPALS: &str = r#"{"accountId":307608,"userId":6100101,"iamId":"IBMid-270004WA01","name":"operator@example.com","linked":true,"permissions":["REMOTE_MANAGEMENT"],"validFrom":"2018-01-01T00:00:00Z"}
{"accountId":307608,"userId":6100900,"iamId":"IBMid-270004WA09","name":"visitor@example.com","linked":true,"infrastructureAccess":false,"validFrom":"2018-01-01T00:00:00Z"}
"#;

/// A location table with the data centers of the load in their regions, but for these changes and
/// additions.
pub fn location_table(changed: &[(&str, &str)]) -> String {
    let usual = DATA_CENTERS.into_iter().zip(REGIONS);
    let entries: BTreeMap<&str, &str> = usual.chain(changed.iter().copied()).collect();
    let entry = |(data_center, region): (&str, &str)| {
        format!("[[entry]]\ndata_centers = [\"{data_center}\"]\nregion = \"{region}\"\n")
    };
    let entries: String = entries.into_iter().map(entry).collect();
    format!("profiles = [\"six\"]\n{entries}")
}

/// The expected fate of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExpectedFate {
    Audited,
    Skipped,
    Quarantined,
}

/// Returns the expected fate of the record with this number.
pub fn expected_fate(number: u64) -> ExpectedFate {
    match number % 10 {
        0..=3 => ExpectedFate::Audited,
        4..=8 => ExpectedFate::Skipped,
        _ => ExpectedFate::Quarantined,
    }
}

/// Returns how many of the first records have this fate.
pub fn count(records: u64, fate: ExpectedFate) -> u64 {
    (0..records).filter(|number| expected_fate(*number) == fate).count() as u64
}

/// Returns the device id of the record with this number.
pub fn device_id(number: u64) -> u64 {
    1_000_000 + device(number)
}

fn device(number: u64) -> u64 {
    // Independent of the fate, so that every device has records of all fates.
    number / 10 % DEVICES
}

/// Returns the region of the record with this number.
pub fn region(number: u64) -> &'static str {
    REGIONS[device(number) as usize % REGIONS.len()]
}

/// Returns the data center of the record with this number.
pub fn data_center(number: u64) -> &'static str {
    DATA_CENTERS[device(number) as usize % DATA_CENTERS.len()]
}

/// Returns the device name of the record with this number.
pub fn device_name(number: u64) -> String {
    format!("web{}", device(number))
}

/// Returns the producer's event id; every other record has one.
pub fn event_id(number: u64) -> Option<String> {
    (number % 2 == 1).then(|| format!("change-{number}"))
}

/// Returns the record with this number.
pub fn change(number: u64) -> TestRecord {
    let (user_type, user) = match number % 10 {
        0..=3 => ("CUSTOMER", json!(6_100_101)),
        8 => ("CUSTOMER", json!("6100900")),
        _ => ("SYSTEM", json!("")),
    };
    let mut value = json!({
        "accountId": 307_608, "eventCreateDate": TIME, "eventName": "Power Off", "objectName": "Server",
        "objectId": device_id(number), "label": device_name(number), "datacenter": data_center(number),
        "traceId": number.to_string(), "userId": user, "userType": user_type, "metaData": "",
    });
    if let Some(id) = event_id(number) {
        value["eventId"] = json!(id);
    }
    let mut value = value.to_string();
    if expected_fate(number) == ExpectedFate::Quarantined {
        value.truncate(value.len() - 2);
    }
    TestRecord {
        key: Some(device_id(number).to_string().into_bytes()),
        value: Some(value.into_bytes()),
        headers: vec![("number".to_string(), Some(number.to_string().into_bytes()))],
        ..TestRecord::default()
    }
}
