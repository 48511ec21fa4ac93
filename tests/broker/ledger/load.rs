//! The load: numbered state changes whose demands are known by their number.

use serde_json::json;

use audit_testkit::relay::REGIONS;
use audit_testkit::topics::TestRecord;

/// Devices in the load; each is in one data center, and so in one region.
const DEVICES: u64 = 60;
/// A data center of each of [`REGIONS`].
const DATA_CENTERS: [&str; 6] = ["syd04", "fra02", "lon06", "tok02", "wdc04", "dal10"];
/// When all of it happened.
const TIME: &str = "2021-07-14T09:12:44.310001-05:00";

/// A principal with access and one without.
pub const PRINCIPALS: &str = r#"{"accountId":307608,"userId":6100101,"iamId":"IBMid-270004WA01","name":"operator@example.com","linked":true,"permissions":["REMOTE_MANAGEMENT"],"validFrom":"2018-01-01T00:00:00Z"}
{"accountId":307608,"userId":6100900,"iamId":"IBMid-270004WA09","name":"visitor@example.com","linked":true,"infrastructureAccess":false,"validFrom":"2018-01-01T00:00:00Z"}
"#;

/// What must become of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Demand {
    Audited,
    Skipped,
    Quarantined,
}

/// The demand on the record with this number.
pub fn demand(number: u64) -> Demand {
    match number % 10 {
        0..=3 => Demand::Audited,
        4..=8 => Demand::Skipped,
        _ => Demand::Quarantined,
    }
}

/// The id of the device that the record with this number is about.
pub fn device_id(number: u64) -> u64 {
    1_000_000 + device(number)
}

fn device(number: u64) -> u64 {
    // Not in step with the demand, so that every device sees all of them.
    number / 10 % DEVICES
}

/// The region that the record with this number belongs to.
pub fn region(number: u64) -> &'static str {
    REGIONS[device(number) as usize % REGIONS.len()]
}

/// The data center of the record with this number.
pub fn data_center(number: u64) -> &'static str {
    DATA_CENTERS[device(number) as usize % DATA_CENTERS.len()]
}

/// The device's name in the record with this number.
pub fn device_name(number: u64) -> String {
    format!("web{}", device(number))
}

/// The producer's own id of what happened; every other record has one.
pub fn event_id(number: u64) -> Option<String> {
    (number % 2 == 1).then(|| format!("change-{number}"))
}

/// The record with this number.
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
    if demand(number) == Demand::Quarantined {
        value.truncate(value.len() - 2);
    }
    TestRecord {
        key: Some(device_id(number).to_string().into_bytes()),
        value: Some(value.into_bytes()),
        headers: vec![("number".to_string(), Some(number.to_string().into_bytes()))],
        ..TestRecord::default()
    }
}
