//! Generators of input records: any JSON, and the cases with a few fields replaced by plausible,
//! wrong, huge or hostile values. They know the field names, not the expected fates.

mod fields;
mod hold;

use std::collections::BTreeSet;
use std::fmt::{self, Write};
use std::sync::LazyLock;

use proptest::prelude::*;
use proptest::sample::select;
use serde_json::Value;

use self::fields::{FIELDS, HOSTILE};
use crate::case::cases;
pub use hold::hold;

/// An input record: keys in order, values as JSON text. It can represent numbers that no type
/// holds, and repeated keys.
#[derive(Clone, Default)]
pub struct Record(Vec<(String, String)>);

impl Record {
    /// Returns the payload.
    pub fn text(&self) -> String {
        let mut text = String::from("{");
        for (position, (key, value)) in self.0.iter().enumerate() {
            let comma = if position > 0 { "," } else { "" };
            write!(text, "{comma}{}:{value}", Value::from(key.as_str()))
                .expect("writing to a String cannot fail");
        }
        text + "}"
    }

    /// Returns whether a key is repeated, ignoring case, which makes a record malformed.
    pub fn repeats_a_field(&self) -> bool {
        let mut seen = BTreeSet::new();
        !self.0.iter().all(|(key, _)| seen.insert(key.to_ascii_lowercase()))
    }

    /// Restores the case of known keys: a JSON Schema is case-sensitive.
    pub fn with_known_keys(&self) -> Record {
        let known = |key: &String| {
            let mut fields = FIELDS.iter();
            let known = fields.find(|(field, _)| field.eq_ignore_ascii_case(key));
            known.map_or_else(|| key.clone(), |(field, _)| field.to_string())
        };
        let fields = self.0.iter();
        Record(fields.map(|(key, value)| (known(key), value.clone())).collect())
    }

    /// Generates the record with one changed field.
    pub fn with_one_change(self) -> impl Strategy<Value = Record> {
        change().prop_map(move |change| {
            let mut record = self.clone();
            change.apply(&mut record);
            record
        })
    }

    /// Returns the record with this JSON as the only value of the field.
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

/// The cases whose input is a JSON object.
static RECORDS: LazyLock<Vec<Record>> = LazyLock::new(|| {
    let objects = cases().iter().filter_map(|case| {
        let Value::Object(fields) = serde_json::from_slice(&case.input).ok()? else {
            return None;
        };
        // The fields of a CloudEvent belong to its envelope, not to the record inside.
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

/// Generates the record of a case with up to six changed fields.
pub fn near_valid() -> impl Strategy<Value = Record> {
    let changes = prop::collection::vec(change(), 0..=6);
    (select(&RECORDS[..]), changes).prop_map(|(mut record, changes)| {
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
        // Most known keys are in every case, so this makes the record malformed.
        1 => (field(), value()).prop_map(|((field, _), value)| Change::Repeat(field, value)),
    ]
}

/// Generates any value as JSON text.
fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => select(&HOSTILE[..]).prop_map(str::to_string),
        4 => any::<String>().prop_map(|text| Value::from(text).to_string()),
        1 => "[0-9A-Za-z_:@./-]{1,140}".prop_map(|text| Value::from(text).to_string()),
        1 => (0..3_000_usize).prop_map(|length| format!("\"{}\"", "ü".repeat(length))),
        1 => (1..3_000_usize).prop_map(nested),
        1 => any_json().prop_map(|value| value.to_string()),
        // JSON inside a string, as metadata arrives.
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

/// Generates any JSON; mostly objects of known keys.
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
