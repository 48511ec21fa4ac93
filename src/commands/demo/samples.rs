//! Sample data for the demo: a small cloud with six regions, a few users, and a stream of state
//! changes, about half of them by the system itself. A number always gives the same record, except
//! for the time.

use jiff::Timestamp;
use serde_json::{Value, json};

/// The account of the sample cloud.
const ACCOUNT: u64 = 307_608;
/// One data center of each region.
const DATA_CENTERS: [&str; 6] = ["dal10", "wdc04", "lon06", "fra02", "syd04", "tok02"];
/// Devices in each data center.
const DEVICES_EACH: u64 = 4;
/// Event name and metadata of each of the twelve bare metal actions.
const ACTIONS: [(&str, &str); 12] = [
    ("Provision", r#"{"operatingSystem":"DEBIAN_12_64"}"#),
    ("Power On", ""),
    ("Power Off", ""),
    ("Reboot", ""),
    ("Soft Reboot", ""),
    ("IPMI Reset", ""),
    ("Rename", r#"{"oldName":"web-old","newName":"web-new"}"#),
    ("Rescue", ""),
    ("OS Reload", r#"{"imageTemplateId":4711}"#),
    ("Port Speed Update", r#"{"interface":"eth1","speed":0}"#),
    ("Port Speed Update", r#"{"interface":"eth1","speed":-1}"#),
    ("Port Speed Update", r#"{"interface":"eth1","previousSpeed":100,"speed":1000}"#),
];

/// Users with access: classic id and name.
const OPERATORS: [(u64, &str); 3] = [
    (6_100_101, "ada.operator@example.com"),
    (6_100_102, "ben.operator@example.com"),
    (6_100_103, "cleo.operator@example.com"),
];
/// A user without Infrastructure access.
const VISITOR: u64 = 6_100_900;

/// A sample state change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SampleRecord {
    /// The key: the device.
    pub key: String,
    /// The value.
    pub value: Vec<u8>,
}

/// Returns the file of principals.
pub(super) fn principals() -> String {
    let operator = |(id, name): (u64, &str)| {
        json!({
            "accountId": ACCOUNT, "userId": id, "iamId": format!("IBMid-{:010}", id), "name": name,
            "kind": "user", "linked": true, "permissions": ["REMOTE_MANAGEMENT", "PORT_CONTROL"],
            "validFrom": "2020-01-01T00:00:00Z",
        })
    };
    let visitor = json!({
        "accountId": ACCOUNT, "userId": VISITOR, "iamId": "IBMid-0006100900",
        "name": "vera.visitor@example.com", "linked": true, "infrastructureAccess": false,
        "validFrom": "2020-01-01T00:00:00Z",
    });
    lines(OPERATORS.into_iter().map(operator).chain([visitor]))
}

/// Returns the file of devices.
pub(super) fn devices() -> String {
    let all = (0..DATA_CENTERS.len() as u64 * DEVICES_EACH).map(|number| {
        json!({
            "deviceId": device_id(number), "accountId": ACCOUNT, "name": device_name(number),
            "datacenter": data_center(number), "validFrom": "2020-01-01T00:00:00Z",
        })
    });
    lines(all)
}

fn lines(entries: impl Iterator<Item = Value>) -> String {
    entries.map(|entry| format!("{entry}\n")).collect()
}

fn device_id(number: u64) -> u64 {
    1_234_000 + number
}

fn data_center(number: u64) -> &'static str {
    DATA_CENTERS[(number % DATA_CENTERS.len() as u64) as usize]
}

fn device_name(number: u64) -> String {
    format!("web{number:02}.{}.example.com", data_center(number))
}

/// Returns the state change with this number.
pub(super) fn state_change(number: u64, now: Timestamp) -> SampleRecord {
    // Of twenty: seven by users, ten by the system, and one each by support, by a user without
    // access, and of the cases that go to quarantine.
    match number % 20 {
        0 | 3 | 6 | 9 | 12 | 15 | 18 => user_action(number / 20 * 7 + number % 20 / 3, now),
        2 => by(number, now, json!({"userType": "EMPLOYEE", "userId": 42, "username": "support"})),
        4 => by(number, now, json!({"userType": "CUSTOMER", "userId": VISITOR})),
        7 if number % 60 == 7 => malformed(number),
        7 if number % 60 == 27 => {
            by(number, now, json!({"userType": "CUSTOMER", "userId": 6_999_999}))
        }
        7 => by(number, now, json!({"datacenter": "xyz99"})),
        _ => by(number, now, json!({"userType": "SYSTEM", "userId": "", "username": null})),
    }
}

fn user_action(turn: u64, now: Timestamp) -> SampleRecord {
    // Over time, every action occurs in every region.
    let (name, meta_data) = ACTIONS[(turn % 12) as usize];
    let device = turn % 12 + turn / 12;
    let failed = turn % 17 == 5;
    let outcome = if failed {
        json!({"outcome": "failure", "reasonCode": 409, "reasonForFailure": "a transaction is in progress"})
    } else {
        json!({})
    };
    sample(device, name, meta_data, now, turn, outcome)
}

fn by(number: u64, now: Timestamp, changes: Value) -> SampleRecord {
    sample(number, "Power On", "", now, number, changes)
}

fn sample(
    device: u64,
    event: &str,
    meta_data: &str,
    now: Timestamp,
    number: u64,
    changes: Value,
) -> SampleRecord {
    let device = device % (DATA_CENTERS.len() as u64 * DEVICES_EACH);
    let (user, name) = OPERATORS[(number % 3) as usize];
    let mut change = json!({
        "accountId": ACCOUNT, "eventCreateDate": now.to_string(), "eventName": event,
        "ipAddress": format!("192.0.2.{}", 10 + number % 200), "label": device_name(device),
        "metaData": meta_data, "objectId": device_id(device), "objectName": "Server", "resource": {},
        "traceId": format!("{number:013x}"), "userId": user, "userType": "CUSTOMER", "username": name,
        "datacenter": data_center(device),
    });
    if let (Value::Object(change), Value::Object(changes)) = (&mut change, changes) {
        change.extend(changes);
    }
    SampleRecord { key: device_id(device).to_string(), value: change.to_string().into_bytes() }
}

fn malformed(number: u64) -> SampleRecord {
    SampleRecord {
        key: device_id(number % 24).to_string(),
        value: format!("{{\"accountId\":{ACCOUNT},\"eventName\":\"Power Of").into_bytes(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn few_samples_show_every_action_and_region() {
        let mut events = BTreeSet::new();
        let mut places = BTreeSet::new();
        for number in 0..60 {
            let SampleRecord { value, .. } = state_change(number, Timestamp::UNIX_EPOCH);
            let Ok(change) = serde_json::from_slice::<Value>(&value) else {
                continue;
            };
            if change["userType"] == "CUSTOMER" {
                events.insert(format!("{} {}", change["eventName"], change["metaData"]));
                places.insert(change["datacenter"].to_string());
            }
        }
        assert!(events.len() >= 12, "{events:?}");
        assert!(places.len() >= 6, "{places:?}");
    }
}
