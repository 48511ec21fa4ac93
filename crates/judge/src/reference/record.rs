//! Converts one record of a table topic, key and value, to the change that it makes. An unusable
//! record is refused with a reason; the caller decides what happens to it.

use std::fmt;

use jiff::Timestamp;

use super::device::{Device, DeviceKey};
use super::entry::{Stated, read_device, read_principal};
use super::oddities::Oddities;
use super::principal::{Principal, PrincipalKey};
use super::table::{TableChange, TableKey};
use crate::parse::framing;
use crate::reference::versions::VersionChange;

/// Longest value of a table record, in bytes.
pub const VALUE_BYTES_MAX: usize = 64 * 1024;

/// Why a table record is unusable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RecordReason {
    /// The key or the value is malformed, or there is no time for the version.
    Malformed,
    /// The value belongs to another key.
    KeyMismatch,
    /// The value is longer than [`VALUE_BYTES_MAX`].
    TooLarge,
}

impl RecordReason {
    /// Every reason.
    pub const ALL: [RecordReason; 3] =
        [RecordReason::Malformed, RecordReason::KeyMismatch, RecordReason::TooLarge];

    /// Returns the name in metrics and logs.
    pub const fn name(self) -> &'static str {
        match self {
            RecordReason::Malformed => "malformed",
            RecordReason::KeyMismatch => "key_mismatch",
            RecordReason::TooLarge => "too_large",
        }
    }
}

/// An unusable table record: the reason, and a short text that names the field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordProblem {
    /// The reason that is counted.
    pub reason: RecordReason,
    /// The text that is logged.
    pub text: String,
}

impl fmt::Display for RecordProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for RecordProblem {}

impl From<RecordProblem> for String {
    fn from(problem: RecordProblem) -> Self {
        problem.text
    }
}

/// Converts a text about a field: the record is malformed.
impl From<String> for RecordProblem {
    fn from(text: String) -> Self {
        RecordProblem { reason: RecordReason::Malformed, text: one_line(&text) }
    }
}

/// Shortens a text that may quote bad data, and replaces its control characters, so that it neither
/// breaks nor floods a line of the log.
pub(super) fn one_line(text: &str) -> String {
    const CHARACTERS_MAX: usize = 400;
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().take(CHARACTERS_MAX).map(plain).collect()
}

/// Reads a record of the principals topic. Its key is `accountId/userId`, or `accountId/iamId` for
/// a principal without a classic user id. A record without a value (a tombstone) removes the
/// principal from the record's timestamp on.
///
/// # Errors
/// Names what is unusable; [`unreadable_record`] returns what that means for the key.
pub fn parse_principal_record(
    key: &[u8],
    value: Option<&[u8]>,
    timestamp_ms: Option<i64>,
    oddities: &mut Oddities,
) -> Result<TableChange<PrincipalKey, Principal>, RecordProblem> {
    parse_record(key, value, timestamp_ms, |json| read_principal(json, oddities))
}

/// Reads a record of the devices topic. Its key is the device id, or `virtualGuest/<id>` for a
/// virtual guest. A record without a value (a tombstone) removes the device from the record's
/// timestamp on.
///
/// # Errors
/// Names what is unusable; [`unreadable_record`] returns what that means for the key.
pub fn parse_device_record(
    key: &[u8],
    value: Option<&[u8]>,
    timestamp_ms: Option<i64>,
    oddities: &mut Oddities,
) -> Result<TableChange<DeviceKey, Device>, RecordProblem> {
    parse_record(key, value, timestamp_ms, |json| read_device(json, oddities))
}

fn parse_record<K: TableKey, V>(
    key: &[u8],
    value: Option<&[u8]>,
    timestamp_ms: Option<i64>,
    read: impl FnOnce(&[u8]) -> Result<Stated<K, V>, String>,
) -> Result<TableChange<K, V>, RecordProblem> {
    let key = parse_key::<K>(key)?;
    let timestamp = timestamp_ms.and_then(|ms| Timestamp::from_millisecond(ms).ok());
    let Some(value) = value else {
        let valid_from = timestamp.ok_or_else(|| "a tombstone without a timestamp".to_string())?;
        return Ok(TableChange {
            key,
            change: VersionChange::removed(valid_from),
            written: timestamp,
        });
    };
    let stated = read_value(value, read)?;
    if stated.key != key {
        return Err(RecordProblem {
            reason: RecordReason::KeyMismatch,
            text: format!("the key is {key}, but the value is that of {}", stated.key),
        });
    }
    let valid_from = stated
        .valid_from
        .or(timestamp)
        .ok_or_else(|| "validFrom is missing, and the record has no timestamp".to_string())?;
    Ok(TableChange {
        key,
        change: VersionChange {
            valid_from,
            explicit: stated.valid_from.is_some(),
            value: Some(stated.value),
            is_unreadable: false,
        },
        written: timestamp,
    })
}

fn parse_key<K: TableKey>(key: &[u8]) -> Result<K, String> {
    let text = std::str::from_utf8(key).map_err(|_| "the key is not UTF-8".to_string())?;
    K::of(text).ok_or_else(|| format!("the key is not of this table: {text:.200?}"))
}

/// Returns the change that an unusable record makes to its key, if the key can be read: the value
/// is unknown from the record's timestamp on, or from `now` on if it has none. The record may have
/// been a revocation, so the version before it must not stay in force.
pub fn unreadable_record<K: TableKey, V>(
    key: &[u8],
    timestamp_ms: Option<i64>,
    now: Timestamp,
) -> Option<TableChange<K, V>> {
    let written = timestamp_ms.and_then(|ms| Timestamp::from_millisecond(ms).ok());
    Some(TableChange {
        key: parse_key(key).ok()?,
        change: VersionChange::unreadable(written.unwrap_or(now)),
        written,
    })
}

fn read_value<K, V>(
    value: &[u8],
    read: impl FnOnce(&[u8]) -> Result<Stated<K, V>, String>,
) -> Result<Stated<K, V>, RecordProblem> {
    if value.len() > VALUE_BYTES_MAX {
        return Err(RecordProblem {
            reason: RecordReason::TooLarge,
            text: format!(
                "the value is too large: {} bytes, the limit is {VALUE_BYTES_MAX}",
                value.len()
            ),
        });
    }
    let stated = read(&framing::unwrap(value)?)?;
    if stated.deleted {
        let text = "deleted is not for topics: remove the key by a record without a value";
        return Err(text.to_string().into());
    }
    Ok(stated)
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUE: &str = r#"{"accountId":1,"userId":2,"iamId":"IBMid-X","permissions":["A"]"#;

    fn principal(
        key: &str,
        value: Option<&str>,
    ) -> Result<TableChange<PrincipalKey, Principal>, RecordProblem> {
        let value = value.map(str::as_bytes);
        parse_principal_record(key.as_bytes(), value, Some(1_500), &mut Oddities::default())
    }

    fn device(
        key: &str,
        value: Option<&str>,
    ) -> Result<TableChange<DeviceKey, Device>, RecordProblem> {
        let value = value.map(str::as_bytes);
        parse_device_record(key.as_bytes(), value, Some(1), &mut Oddities::default())
    }

    #[test]
    fn the_time_is_that_of_the_value_else_of_the_record() {
        let with = format!(r#"{VALUE},"validFrom":"2018-01-01T00:00:00Z"}}"#);
        let TableChange { change, written, .. } = principal("1/2", Some(&with)).expect("reads");
        assert!(change.explicit && change.value.is_some());
        assert_eq!(change.valid_from.to_string(), "2018-01-01T00:00:00Z");
        assert_eq!(written.map(Timestamp::as_millisecond), Some(1_500));
        let change = principal("1/2", Some(&format!("{VALUE}}}"))).expect("reads");
        assert!(!change.change.explicit);
        assert_eq!(change.change.valid_from.as_millisecond(), 1_500);
        assert_eq!(change.key.to_string(), "1/2");
        let removed = principal("1/iam-X@y:z", None).expect("reads");
        assert_eq!(removed.key.id, "iam-X@y:z");
        assert_eq!(removed.change.value, None);
        assert_eq!(removed.change.valid_from.as_millisecond(), 1_500);
    }

    #[test]
    fn what_cannot_be_used_is_refused_with_its_reason() {
        use RecordReason::{KeyMismatch, Malformed, TooLarge};
        let good = format!("{VALUE}}}");
        let deleted = format!(r#"{VALUE},"deleted":true}}"#);
        let large = format!("{good}{}", " ".repeat(VALUE_BYTES_MAX));
        let cases = [
            ("1/2", "nonsense", Malformed, "expected"),
            ("1/2", r#"{"userId":2}"#, Malformed, "accountId"),
            ("1/2", r#"{"accountId":1}"#, Malformed, "userId and iamId"),
            ("1/2", "", Malformed, "EOF"),
            ("1/2", &deleted, Malformed, "deleted"),
            ("1/2", &large, TooLarge, "too large"),
            ("1/3", &good, KeyMismatch, "the key is 1/3"),
            ("1/IBMid-X", &good, KeyMismatch, "that of 1/2"),
            ("", &good, Malformed, "key"),
            ("1", &good, Malformed, "key"),
            ("1/2/3", &good, KeyMismatch, "that of 1/2"),
            ("1/a b", &good, Malformed, "key"),
        ];
        for (key, value, reason, word) in cases {
            let problem = principal(key, Some(value)).expect_err("refused");
            assert_eq!(problem.reason, reason, "{key} {value:.80}");
            assert!(problem.text.contains(word), "{problem}");
        }
        let odd = &mut Oddities::default();
        assert!(parse_principal_record(b"1/2", Some(good.as_bytes()), None, odd).is_err());
        assert!(parse_principal_record(b"1/2", None, None, odd).is_err());
        assert!(parse_principal_record(b"\xff/2", None, Some(1), odd).is_err());
    }

    /// Tests what serializers put around the value, and what cannot be read inside it.
    #[test]
    fn framed_values_are_read_as_plain_ones() {
        let good = format!("{VALUE}}}");
        let plain = principal("1/2", Some(&good)).expect("reads");
        let framed = [
            format!("\0\0\0\0\x07{good}"),
            format!(r#"{{"specversion":"1.0","id":"1","source":"s","type":"t","data":{good}}}"#),
        ];
        for framed in &framed {
            assert_eq!(principal("1/2", Some(framed)).as_ref(), Ok(&plain));
        }
        let mut oddities = Oddities::default();
        let value = Some(framed[1].as_bytes());
        parse_principal_record(b"1/2", value, Some(1_500), &mut oddities).expect("reads");
        assert_eq!(oddities, Oddities::default(), "the frame's fields are none of the entry");
        let avro = principal("1/2", Some("\0\0\0\0\x07\x02\x06abc")).expect_err("refused");
        assert_eq!(avro.reason, RecordReason::Malformed);
        assert!(avro.text.contains("schema id 7"), "{avro}");
    }

    #[test]
    fn devices_are_keyed_by_their_kind_and_id() {
        let hardware = r#"{"deviceId":7,"datacenter":"dal10"}"#;
        let guest = r#"{"deviceId":7,"kind":"virtualGuest","datacenter":"fra02"}"#;
        for (key, value) in [("7", hardware), ("virtualGuest/7", guest)] {
            let change = device(key, Some(value)).expect("reads");
            assert_eq!(change.key.to_string(), key);
            let removed = device(key, None).expect("reads");
            assert_eq!((removed.key, removed.change.value), (change.key, None));
        }
        for (key, value) in [("8", hardware), ("7", guest), ("virtualGuest/7", hardware)] {
            let problem = device(key, Some(value)).expect_err("refused");
            assert_eq!(problem.reason, RecordReason::KeyMismatch, "{key} {value}");
        }
        for key in ["hardware/7", "virtualguest/7", "virtualGuest/", "user/7", "7/7"] {
            let problem = device(key, None).expect_err("refused");
            assert_eq!(problem.reason, RecordReason::Malformed, "{key}");
        }
    }

    #[test]
    fn an_iam_id_may_be_a_crn() {
        let id = format!("crn-crn:v1:bluemix:public:x:us-south:a/{}:y::", "0".repeat(400));
        let value = format!(r#"{{"accountId":1,"iamId":"{id}"}}"#);
        let change = principal(&format!("1/{id}"), Some(&value)).expect("reads");
        assert_eq!((change.key.account.as_str(), &*change.key.id), ("1", &*id));
    }

    #[test]
    fn what_cannot_be_used_leaves_its_key_unknown() {
        let now = Timestamp::from_second(9).expect("in range");
        let unreadable = |key: &[u8], time| {
            let change = unreadable_record::<PrincipalKey, Principal>(key, time, now)?;
            assert!(change.change.is_unreadable && change.change.value.is_none());
            Some((
                change.key.to_string(),
                change.change.valid_from.as_millisecond(),
                change.written.map(Timestamp::as_millisecond),
            ))
        };
        assert_eq!(unreadable(b"1/2", Some(1_500)), Some(("1/2".into(), 1_500, Some(1_500))));
        assert_eq!(unreadable(b"1/2", None), Some(("1/2".into(), 9_000, None)));
        assert_eq!(unreadable(b"1", Some(1_500)), None);
    }
}
