//! Generators of input records: any JSON, and the examples with a few fields replaced by what is
//! plausible, wrong, huge or hostile. They know the names of the fields and nothing of what should
//! happen.

use std::collections::BTreeSet;
use std::fmt::{self, Write};
use std::sync::LazyLock;

use proptest::prelude::*;
use proptest::sample::select;
use serde_json::Value;

use crate::golden::cases;

/// The fields of a state change, each with values (as JSON) that can lead to an audit event.
const FIELDS: [(&str, &[&str]); 27] = [
    ("schemaVersion", &["1", "\"1\"", "1.0", "\"01.0\"", "null", "2"]),
    (
        "accountId",
        &[
            "307608",
            "\" 307608 \"",
            "3.07608e5",
            "\"0307608.0\"",
            "411202",
            "null",
            "\"\"",
            "\"None\"",
        ],
    ),
    (
        "objectName",
        &[
            "\"Server\"",
            "\"bare-metal INSTANCE\"",
            "\"Ser\u{ad}ver\u{200b}\"",
            "\"CCI\"",
            "\"User\"",
        ],
    ),
    (
        "objectId",
        &[
            "1234567",
            "\"1234572\"",
            "1234573",
            "1234574",
            "1234576",
            "1234577",
            "1234567.0",
            "9",
            "\"a_B-7\"",
        ],
    ),
    (
        "eventKey",
        &[
            "\"HARDWARE_POWER_OFF\"",
            "\"HARDWARE_PORT_SPEED_UPDATE\"",
            "\"HARDWARE_PROVISION\"",
            "null",
            "\"NEW\"",
        ],
    ),
    (
        "eventName",
        &[
            "\"Power On\"",
            "\"rename\"",
            "\"OS_RELOAD\"",
            "\"Power\u{a0}On\"",
            "\"Port Speed Update\"",
            "\"Disable Port\"",
            "\"Tea\"",
        ],
    ),
    (
        "eventCreateDate",
        &[
            "\"2018-11-06T08:22:36.221541-06:00\"",
            "\"2024-02-29T23:59:59.999999999+14:00\"",
            "\"1970-01-01T00:00:00Z\"",
            "\"2199-12-31T23:59:60Z\"",
            "\"2021-07-14 09:12:44,318-0500\"",
            "\"9999-12-30T00:00:00Z\"",
            "\"2021-07-14T09:12:44.3-05:00\"",
        ],
    ),
    ("userType", &["\"CUSTOMER\"", "\"customer \"", "\"SYSTEM\"", "\"EMPLOYEE\""]),
    (
        "userId",
        &[
            "6100101",
            "6100102",
            "6100105",
            "\"6100112\"",
            "6100113",
            "6100111",
            "6100104",
            "1",
            "\"\"",
            "\"master\"",
        ],
    ),
    ("username", &["\"307608_operator1\"", "null", "\"\""]),
    ("openIdConnectUserName", &["\"operator@example.com\"", "null"]),
    (
        "iamId",
        &[
            "\"IBMid-270004WA01\"",
            "\"iam-Profile-2b1d7c36-58f4-4e09-8f6a-9d1c3b5a7e42\"",
            "\"iam-ClientId-7d0c2f9b41\"",
            "\"cert-5c1e9a0b7d3f\"",
            "\"iam-ServiceId-nobody\"",
            "null",
        ],
    ),
    (
        "onBehalfOf",
        &[
            "{\"userId\":6100102,\"username\":\"two\"}",
            "{\"userId\":6100113}",
            "{\"userId\":6100101}",
            "{\"iamId\":\"IBMid-270004WA02\"}",
            "{\"userId\":\"\",\"iamId\":\"iam-ServiceId-nobody\"}",
            "{}",
            "null",
            "{\"userId\":\"1:2\"}",
        ],
    ),
    ("credentialType", &["\"token\"", "\"apikey\"", "\"password\""]),
    (
        "ipAddress",
        &[
            "\"192.0.2.10\"",
            "\"2001:db8::1, 192.0.2.1\"",
            "\"192.0.2.10:99\"",
            "\"[2001:db8::1]:99\"",
            "\"192.0.2.0/24\"",
            "\"192.0.2.0/+8\"",
            "\"192.0.2.0/0000008\"",
            "\"::ffff:192.0.2.1/128\"",
            "\"fe80::1%eth0\"",
            "\"for=192.0.2.60;proto=https;by=203.0.113.43\"",
            "[\"192.0.2.10\",\"198.51.100.7\"]",
            "\"[fe80::1%3]:1\"",
            "\"localhost\"",
        ],
    ),
    ("userAgent", &["\"curl/8\"", "\"\"", "\"\\n\""]),
    (
        "label",
        &[
            "\"web01.example.com\"",
            "null",
            "\"null\"",
            "\"a\\nb\"",
            "\"a\\u0000\\u202eb -failure\"",
            "[\"a\",\"b\"]",
        ],
    ),
    (
        "datacenter",
        &[
            "\"dal10\"",
            "\"DAL10.pod01\"",
            "\"mad02\"",
            "\"wdc04\"",
            "{\"id\":1,\"Name\":\"fra02\"}",
            "null",
            "\"xyz99\"",
            "\"dal10:a/1\"",
        ],
    ),
    ("previousState", &["\"old\"", "7", "{\"power\":\"on\"}"]),
    ("newState", &["\"new\"", "-1", "[0]"]),
    (
        "outcome",
        &[
            "\"success\"",
            "\"FAILURE\"",
            "\"pending\"",
            "\"in_progress\"",
            "\"failed\"",
            "true",
            "\"1\"",
        ],
    ),
    (
        "reasonCode",
        &["200", "200.0", "\"403\"", "299", "503", "100", "599", "\"+200\"", "\"0200\""],
    ),
    (
        "reasonForFailure",
        &["\"no\\r\\n\\nway\"", "\"\\r\\n\"", "{\"code\":1,\"message\":\"busy\"}"],
    ),
    ("traceId", &["\"59e767e9c2184\"", "null", "7"]),
    ("eventId", &["\"e-1\"", "\"\"", "null"]),
    (
        "metaData",
        &[
            "\"\"",
            "{}",
            "[]",
            "\"{\\\"speed\\\":0}\"",
            "{\"speed\":-1,\"interface\":\"eth0\",\"port\":1,\"password\":\"x\"}",
            "{\"speed\":\"1000\",\"previousSpeed\":100}",
            "{\"newSpeed\":\"0 Mbps\",\"previousSpeed\":1e400}",
            "{\"oldName\":\"a\",\"newName\":\"b\",\"truncated\":true,\"secret\":1}",
            "{\"hostname\":\"h\",\"domain\":{\"a\":1},\"imageTemplateId\":1e300,\"Hostname\":2}",
            "\"{\\\"newName\\\":\\\"a\\n\\tb\\\"}\"",
            "\"null\"",
            "\"7\"",
        ],
    ),
    ("somethingNew", &["{\"a\":[1,{}]}"]),
];

/// Values (as JSON) that no field expects.
const HOSTILE: [&str; 23] = [
    "\"-1\"",
    "null",
    "true",
    "-1",
    "-0",
    "1.5",
    "1e400",
    "18446744073709551615",
    "18446744073709551616",
    "123456789012345678901234567890123456789012345678901234567890",
    "[]",
    "{}",
    "\"1:2\"",
    "\"307608::bare-metal:9\"",
    "\"a/307608\"",
    "\"dal10:a/411202::bare-metal:1\"",
    "\"1\\u003a2\"",
    "\"\\uff1a\"",
    "\"\\u0000\"",
    "\"\\ud800\"",
    "\"..\\/..\"",
    "\" \\u00a0\\u2003 \"",
    "\"佐藤 Ünïcøde \\ud83d\\ude80\"",
];

/// An input record as it is written: keys in order, values as JSON text. So numbers that no type
/// holds and keys that stand there twice can be written too.
#[derive(Clone, Default)]
pub struct Record(Vec<(String, String)>);

impl Record {
    /// The payload.
    pub fn text(&self) -> String {
        let mut text = String::from("{");
        for (position, (key, value)) in self.0.iter().enumerate() {
            let comma = if position > 0 { "," } else { "" };
            write!(text, "{comma}{}:{value}", Value::from(key.as_str())).expect("Strings grow");
        }
        text + "}"
    }

    /// Whether a key stands there twice, in any case, which makes a record malformed.
    pub fn repeats_a_field(&self) -> bool {
        let mut seen = BTreeSet::new();
        !self.0.iter().all(|(key, _)| seen.insert(key.to_ascii_lowercase()))
    }

    /// The record as a JSON Schema takes it, which knows keys in one case only.
    pub fn with_known_keys(&self) -> Record {
        let known = |key: &String| {
            let mut fields = FIELDS.iter();
            let known = fields.find(|(field, _)| field.eq_ignore_ascii_case(key));
            known.map_or_else(|| key.clone(), |(field, _)| field.to_string())
        };
        let fields = self.0.iter();
        Record(fields.map(|(key, value)| (known(key), value.clone())).collect())
    }

    /// The record with one of its fields changed.
    pub fn with_one_change(self) -> impl Strategy<Value = Record> {
        change().prop_map(move |change| {
            let mut record = self.clone();
            change.apply(&mut record);
            record
        })
    }

    /// The record with a value, given as JSON, in the place of all values of the field.
    pub fn with(&self, field: &str, value: &str) -> Record {
        let others = self.0.iter().filter(|(key, _)| key != field).cloned();
        let given = (field.to_string(), value.to_string());
        Record(others.chain([given]).collect())
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

/// The examples whose input is a JSON object.
static EXAMPLES: LazyLock<Vec<Record>> = LazyLock::new(|| {
    let objects = cases().into_iter().filter_map(|case| {
        let Value::Object(fields) = serde_json::from_slice(&case.input).ok()? else {
            return None;
        };
        // Its fields are the frame's; what is changed here is what stands in it.
        if fields.contains_key("specversion") {
            return None;
        }
        let written = fields.into_iter();
        let written = written.map(|(key, value)| (key, value.to_string()));
        Some(Record(written.collect()))
    });
    objects.collect()
});

#[derive(Debug, Clone)]
enum Change {
    Remove(&'static str),
    Set(&'static str, String),
    Repeat(&'static str, String),
    Respell(&'static str),
}

impl Change {
    fn apply(self, Record(fields): &mut Record) {
        match self {
            Change::Remove(field) => fields.retain(|(key, _)| key != field),
            Change::Repeat(field, value) => fields.push((field.to_string(), value)),
            Change::Respell(field) => {
                for (key, _) in fields.iter_mut().filter(|(key, _)| key == field) {
                    *key = key.to_ascii_uppercase();
                }
            }
            Change::Set(field, value) => match fields.iter_mut().find(|(key, _)| key == field) {
                Some((_, old)) => *old = value,
                None => fields.push((field.to_string(), value)),
            },
        }
    }
}

/// An example with up to six of its fields changed.
pub fn near_valid() -> impl Strategy<Value = Record> {
    let changes = prop::collection::vec(change(), 0..=6);
    (select(&EXAMPLES[..]), changes).prop_map(|(mut record, changes)| {
        for change in changes {
            change.apply(&mut record);
        }
        record
    })
}

fn change() -> impl Strategy<Value = Change> {
    let field = || select(&FIELDS[..]);
    let plausible = field().prop_flat_map(|(field, values)| {
        select(values).prop_map(move |value| Change::Set(field, value.to_string()))
    });
    prop_oneof![
        20 => plausible,
        3 => (field(), value()).prop_map(|((field, _), value)| Change::Set(field, value)),
        1 => field().prop_map(|(field, _)| Change::Remove(field)),
        1 => field().prop_map(|(field, _)| Change::Respell(field)),
        // Most known keys are in every example, so this makes the record malformed.
        1 => (field(), value()).prop_map(|((field, _), value)| Change::Repeat(field, value)),
    ]
}

/// Any value, written as JSON.
fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => select(&HOSTILE[..]).prop_map(str::to_string),
        4 => any::<String>().prop_map(|text| Value::from(text).to_string()),
        1 => "[0-9A-Za-z_:@./-]{1,140}".prop_map(|text| Value::from(text).to_string()),
        1 => (0..3_000_usize).prop_map(|length| format!("\"{}\"", "ü".repeat(length))),
        1 => (1..3_000_usize).prop_map(nested),
        1 => any_json().prop_map(|value| value.to_string()),
        // The same, as metadata comes: JSON inside a string.
        1 => any_json().prop_map(|value| Value::from(value.to_string()).to_string()),
    ]
}

fn nested(depth: usize) -> String {
    format!("{}{}", "{\"a\":[".repeat(depth), "]}".repeat(depth))
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 6, |inner| {
        let key = prop_oneof![
            select(&FIELDS[..]).prop_map(|(field, _)| field.to_string()),
            any::<String>()
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((key, inner), 0..6)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// Any JSON, an object of known keys more often than not.
pub fn any_record() -> impl Strategy<Value = String> {
    let known = (select(&FIELDS[..]), value());
    let object = prop::collection::vec(known, 0..30).prop_map(|fields| {
        let named = |((field, _), value): ((&str, _), _)| (field.to_string(), value);
        Record(fields.into_iter().map(named).collect()).text()
    });
    prop_oneof![
        2 => object,
        1 => any_json().prop_map(|value| value.to_string()),
    ]
}
