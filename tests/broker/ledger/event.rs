//! The complete expected audit event of each record of the load, and its id. Written from
//! `schemas/README.md`, without any code of the relay.

use openssl::sha::sha1;
use serde_json::{Value, json};

use super::load::{data_center, device_id, device_name, event_id, region};
use audit_testkit::topics::HeaderList;

/// The namespace of ids derived from a producer's event id.
const OF_PRODUCERS: u128 = 0x0f6c_1d52_8a4e_5d39_9b57_2f4f_0a6f_7c31;
/// The namespace of ids derived from a record's fields.
const OF_FIELDS: u128 = 0xcddb_3b4a_f5cb_5815_83e1_c5a9_5a12_239f;
const ACCOUNT: &str = "307608";
const ACTION: &str = "audit-log.bare-metal.power-off";
/// The time of every record, in nanoseconds since 1970: 2021-07-14T14:12:44.310001Z.
const TIME_NS: i64 = 1_626_271_964_310_001_000;

/// Returns the expected event of the record with this number.
pub fn expected(number: u64) -> Value {
    let (device, name, place) = (device_id(number), device_name(number), data_center(number));
    let source = format!("crn:v1:bluemix:public:audit-log:{place}:a/{ACCOUNT}");
    json!({
        "typeURI": "http://schemas.dmtf.org/cloud/audit/1.0/event",
        "eventType": "activity",
        "id": id(number),
        "eventTime": "2021-07-14T14:12:44.31+0000",
        "action": ACTION,
        "outcome": "success",
        "severity": "warning",
        "message": format!("Bare Metal Servers (Classic): power-off bare-metal {name}"),
        "initiator": {
            "id": "IBMid-270004WA01",
            "name": "operator@example.com",
            "typeURI": "service/security/account/user",
        },
        "target": {
            "id": format!("{source}::bare-metal:{device}"),
            "name": name,
            "typeURI": "audit-log/bare-metal",
        },
        "observer": { "name": "ActivityTracker" },
        "reason": { "reasonCode": 200, "reasonType": "OK" },
        "requestData": {},
        "correlationId": number.to_string(),
        "dataEvent": false,
        "logSourceCRN": format!("{source}:::"),
        "saveServiceCopy": true,
    })
}

/// Returns the headers of that event.
pub fn headers(number: u64) -> HeaderList {
    let headers = [
        ("type", "audit".to_string()),
        ("account", ACCOUNT.to_string()),
        ("region", region(number).to_string()),
        ("location", data_center(number).to_string()),
        ("id", id(number)),
    ];
    let owned = |(name, value): (&str, String)| (name.to_string(), Some(value.into_bytes()));
    headers.map(owned).into()
}

/// Returns the id of that event.
pub fn id(number: u64) -> String {
    match event_id(number) {
        Some(id) => id_of_producers(ACCOUNT, &id),
        None => id_of_fields(&IdFields {
            device: device_id(number).to_string(),
            trace: number.to_string(),
            label: device_name(number),
            data_center: data_center(number).to_string(),
            time_ns: TIME_NS,
            user: "6100101",
            ..IdFields::default()
        }),
    }
}

pub(super) fn id_of_producers(account: &str, id: &str) -> String {
    let parts = ["event-id", account, id].map(str::as_bytes);
    uuid(OF_PRODUCERS, &parts, four_bytes)
}

/// The fields in which the records differ. All records are a user's `Power Off` of a bare metal
/// server.
#[derive(Default)]
pub(super) struct IdFields {
    pub device: String,
    pub trace: String,
    pub label: String,
    pub data_center: String,
    pub time_ns: i64,
    pub user: &'static str,
    pub username: &'static str,
    pub login_name: &'static str,
    pub address: &'static str,
}

pub(super) fn id_of_fields(fields: &IdFields) -> String {
    let (time, no_code) = (fields.time_ns.to_be_bytes(), 0_u16.to_be_bytes());
    let parts: [&[u8]; 27] = [
        ACTION.as_bytes(),
        ACCOUNT.as_bytes(),
        b"Server",
        fields.device.as_bytes(),
        b"",
        b"Power Off",
        &time,
        fields.trace.as_bytes(),
        fields.label.as_bytes(),
        fields.data_center.as_bytes(),
        b"user",
        fields.user.as_bytes(),
        b"",
        fields.username.as_bytes(),
        fields.login_name.as_bytes(),
        b"",
        b"",
        b"",
        b"",
        fields.address.as_bytes(),
        b"",
        b"success",
        &no_code,
        b"",
        b"",
        b"",
        b"",
    ];
    uuid(OF_FIELDS, &parts, leb128)
}

/// Returns a version 5 UUID: the start of the SHA-1 of the namespace and the name. The name is the
/// parts, each preceded by its length.
fn uuid(namespace: u128, parts: &[&[u8]], length: fn(usize) -> Vec<u8>) -> String {
    let mut name = namespace.to_be_bytes().to_vec();
    for part in parts {
        name.extend(length(part.len()));
        name.extend(*part);
    }
    let hash = sha1(&name);
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash[..16]);
    bytes[6] = bytes[6] & 0x0f | 0x50;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex = format!("{:032x}", u128::from_be_bytes(bytes));
    let parts = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]];
    parts.join("-")
}

fn four_bytes(length: usize) -> Vec<u8> {
    (length as u32).to_be_bytes().to_vec()
}

fn leb128(mut length: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while length > 0x7f {
        bytes.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    bytes.push(length as u8);
    bytes
}
