//! In what two records differ.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use audit_chain::header::HEADER_NAME;
use serde_json::Value;

use crate::quarantine::headers::{REPLAYED, VERSION};
use crate::stream::OwnedHeaders;

/// A record of an output, as it would be written or as it is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OutputRecord {
    pub(super) topic: String,
    pub(super) partition: i32,
    pub(super) timestamp_ms: i64,
    pub(super) key: Option<Vec<u8>>,
    pub(super) value: Option<Vec<u8>>,
    pub(super) headers: OwnedHeaders,
}

/// Returns whether a header does not count: the chain's, which depends on the transaction; the mark
/// of a replayed event; and the relay's version.
fn is_ignored(name: &[u8]) -> bool {
    [HEADER_NAME, REPLAYED, VERSION].iter().any(|ignored| ignored.as_bytes() == name)
}

impl OutputRecord {
    /// Returns a number that is the same for records without a difference.
    pub(super) fn digest(&self) -> u64 {
        let OutputRecord { topic, partition, timestamp_ms, key, value, headers } = self;
        let mut hasher = DefaultHasher::new();
        (topic, partition, timestamp_ms, key, value).hash(&mut hasher);
        let counted = headers.iter().filter(|(name, _)| !is_ignored(name));
        counted.for_each(|header| header.hash(&mut hasher));
        hasher.finish()
    }
}

/// Names what differs: `topic`, `partition`, `timestamp`, `key`, `header <name>`, or the fields of
/// the value as JSON pointers.
pub(super) fn changed(now: &OutputRecord, there: &OutputRecord) -> BTreeSet<String> {
    let mut changed = BTreeSet::new();
    for (name, is_changed) in [
        ("topic", now.topic != there.topic),
        ("partition", now.partition != there.partition),
        ("timestamp", now.timestamp_ms != there.timestamp_ms),
        ("key", now.key != there.key),
    ] {
        if is_changed {
            changed.insert(name.to_string());
        }
    }
    changed_headers(&now.headers, &there.headers, &mut changed);
    if now.value != there.value {
        match (json(&now.value), json(&there.value)) {
            (Some(now), Some(there)) => {
                let before = changed.len();
                changed_fields("", &now, &there, &mut changed);
                if changed.len() == before {
                    changed.insert("form of the value".to_string());
                }
            }
            _ => _ = changed.insert("value".to_string()),
        }
    }
    changed
}

fn json(value: &Option<Vec<u8>>) -> Option<Value> {
    serde_json::from_slice(value.as_deref()?).ok()
}

fn changed_headers(now: &OwnedHeaders, there: &OwnedHeaders, changed: &mut BTreeSet<String>) {
    let counted = |headers: &OwnedHeaders| -> OwnedHeaders {
        headers.iter().filter(|(name, _)| !is_ignored(name)).cloned().collect()
    };
    let (now, there) = (counted(now), counted(there));
    let before = changed.len();
    let of = |headers: &OwnedHeaders, name: &[u8]| -> OwnedHeaders {
        headers.iter().filter(|(other, _)| other == name).cloned().collect()
    };
    for (name, _) in now.iter().chain(&there) {
        if of(&now, name) != of(&there, name) {
            changed.insert(format!("header {}", String::from_utf8_lossy(name)));
        }
    }
    if now != there && changed.len() == before {
        changed.insert("order of the headers".to_string());
    }
}

fn changed_fields(pointer: &str, now: &Value, there: &Value, changed: &mut BTreeSet<String>) {
    let step = |name: &str| format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"));
    match (now, there) {
        (Value::Object(now), Value::Object(there)) => {
            for name in now.keys().chain(there.keys()) {
                match (now.get(name), there.get(name)) {
                    (Some(now), Some(there)) => changed_fields(&step(name), now, there, changed),
                    _ => _ = changed.insert(step(name)),
                }
            }
        }
        (Value::Array(now), Value::Array(there)) if now.len() == there.len() => {
            for (index, (now, there)) in now.iter().zip(there).enumerate() {
                changed_fields(&step(&index.to_string()), now, there, changed);
            }
        }
        _ if now != there => {
            changed.insert(if pointer.is_empty() { "value" } else { pointer }.to_string());
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(value: &str, headers: &[(&str, &str)]) -> OutputRecord {
        let header = |(name, value): &(&str, &str)| {
            (name.as_bytes().to_vec(), Some(value.as_bytes().to_vec()))
        };
        OutputRecord {
            topic: "a.eu-de".to_string(),
            partition: 1,
            timestamp_ms: 7,
            key: Some(b"1234567".to_vec()),
            value: Some(value.as_bytes().to_vec()),
            headers: headers.iter().map(header).collect(),
        }
    }

    #[test]
    fn each_difference_is_named() {
        let usual = record(r#"{"a":{"b":1,"c":[1,2]},"d/e":2}"#, &[("id", "1"), ("type", "audit")]);
        for (other, expected) in [
            (OutputRecord { topic: "a.eu-gb".to_string(), ..usual.clone() }, "topic"),
            (OutputRecord { partition: 2, ..usual.clone() }, "partition"),
            (OutputRecord { timestamp_ms: 8, ..usual.clone() }, "timestamp"),
            (OutputRecord { key: None, ..usual.clone() }, "key"),
            (OutputRecord { value: None, ..usual.clone() }, "value"),
            (OutputRecord { headers: Vec::new(), ..usual.clone() }, "header id, header type"),
            (
                record(r#"{"a":{"b":2,"c":[1,3]},"f":2}"#, &[("id", "2"), ("type", "audit")]),
                "/a/b, /a/c/1, /d~1e, /f, header id",
            ),
            (
                record(r#"{"d/e":2,"a":{"b":1,"c":[1,2]}}"#, &[("type", "audit"), ("id", "1")]),
                "form of the value, order of the headers",
            ),
        ] {
            let changed = changed(&usual, &other).into_iter().collect::<Vec<_>>().join(", ");
            assert_eq!(changed, expected);
            assert_ne!(usual.digest(), other.digest(), "{expected}");
        }
    }

    #[test]
    fn what_depends_on_the_run_does_not_count() {
        let usual = record("{}", &[("id", "1")]);
        let other = record(
            "{}",
            &[
                ("audit-relay-version", "9"),
                ("id", "1"),
                ("audit-relay-replayed", "0/7"),
                ("audit-chain", "v1"),
            ],
        );
        assert_eq!(changed(&usual, &other), BTreeSet::new());
        assert_eq!(usual.digest(), other.digest());
    }
}
