//! The expected event of a record, to the byte, and its headers: part of the second statement of
//! the rules, which shares no code with the relay.

use serde_json::{Map, Value};

use crate::expected::{
    ACCOUNT, ACTION_KINDS, Device, ExpectedRecord, event_time, iam_id, user_name,
};
use audit_testkit::relay::REGIONS;

/// The expected event, given its id.
pub fn text(number: u32, expected: &ExpectedRecord, device: &Device, id: &str) -> String {
    let action_kind = ACTION_KINDS[usize::from(expected.action_kind)];
    let (verb, severity) = (action_kind.verb, action_kind.severity);
    let (label, time) = (device.label(), event_time(expected.time_ms));
    let (user, name) = (iam_id(expected.user), user_name(expected.user));
    let scope = format!("crn:v1:bluemix:public:audit-log:{}:a/{ACCOUNT}", device.data_center());
    let head = format!(
        "\"typeURI\":\"http://schemas.dmtf.org/cloud/audit/1.0/event\",\"eventType\":\"activity\",\"id\":\"{id}\",\"eventTime\":\"{time}\""
    );
    let what = format!(
        "\"action\":\"audit-log.bare-metal.{verb}\",\"outcome\":\"success\",\"severity\":\"{severity}\",\"message\":\"Bare Metal Servers (Classic): {verb} bare-metal {label}\""
    );
    let who = format!(
        "\"initiator\":{{\"id\":\"{user}\",\"name\":\"{name}\",\"typeURI\":\"service/security/account/user\"}}"
    );
    let to_what = format!(
        "\"target\":{{\"id\":\"{scope}::bare-metal:{}\",\"name\":\"{label}\",\"typeURI\":\"audit-log/bare-metal\"}}",
        device.id
    );
    let rest = "\"observer\":{\"name\":\"ActivityTracker\"},\"reason\":{\"reasonCode\":200,\"reasonType\":\"OK\"},\"requestData\":{}";
    let tail = format!(
        "\"correlationId\":\"{number}\",\"dataEvent\":false,\"logSourceCRN\":\"{scope}:::\",\"saveServiceCopy\":true"
    );
    format!("{{{head},{what},{who},{to_what},{rest},{tail}}}")
}

/// The expected headers of the event, in order.
pub fn headers(device: &Device, id: &str) -> Vec<(String, Vec<u8>)> {
    let headers = [
        ("type", "audit"),
        ("account", &ACCOUNT.to_string()),
        ("region", REGIONS[device.region]),
        ("location", device.data_center()),
        ("id", id),
    ];
    let own = |(name, value): (&str, &str)| (name.to_string(), value.as_bytes().to_vec());
    headers.map(own).to_vec()
}

/// The value of an id, if it is a UUID of version 5 in lower case with hyphens, as events have it.
pub fn id_number(id: &str) -> Option<u128> {
    let form = "xxxxxxxx-xxxx-5xxx-yxxx-xxxxxxxxxxxx";
    let fits = |(is, must): (char, char)| match must {
        'x' => matches!(is, '0'..='9' | 'a'..='f'),
        'y' => matches!(is, '8' | '9' | 'a' | 'b'),
        must => is == must,
    };
    let is_one = id.len() == form.len() && id.chars().zip(form.chars()).all(fits);
    is_one.then(|| u128::from_str_radix(&id.replace('-', ""), 16).ok())?
}

/// Describes how an event differs from the expected one.
pub fn difference(said: &Value, expected: &str) -> String {
    let expected: Map<String, Value> = serde_json::from_str(expected).unwrap_or_default();
    let said = said.as_object().cloned().unwrap_or_default();
    let more = said.keys().filter(|name| !expected.contains_key(*name));
    let fields: Vec<String> = expected
        .keys()
        .chain(more)
        .filter(|name| said.get(*name) != expected.get(*name))
        .map(|name| {
            let (said, expected) = (said.get(name), expected.get(name));
            let show =
                |value: Option<&Value>| value.map_or("nothing".to_string(), Value::to_string);
            format!("{name} is {}, not {}", show(said), show(expected))
        })
        .collect();
    match fields.is_empty() {
        true => "its fields have another order or formatting".to_string(),
        false => fields.join("; "),
    }
}
