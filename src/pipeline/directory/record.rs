//! One record of a table topic: key and value as they come, the change they make. A record that cannot be
//! used is refused with its reason; what then happens to it is the caller's business.

use std::fmt;

use jiff::Timestamp;
use serde::de::DeserializeOwned;

use super::super::field::{Id, is_iam_id, is_id};
use super::super::versions::VersionChange;
use super::entry::{DeviceEntry, PrincipalEntry, Stated};
use super::{Device, Principal, PrincipalKey, TableChange};

/// Longest value of a table record, in bytes.
pub const MOST_VALUE_BYTES: usize = 64 * 1024;

/// Why a table record cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RecordReason {
    /// Key or value have not the form they must have, or there is no time for the version.
    Malformed,
    /// The value belongs to another key.
    KeyMismatch,
    /// The value is longer than [`MOST_VALUE_BYTES`].
    TooLarge,
}

impl RecordReason {
    /// All reasons.
    pub const ALL: [RecordReason; 3] = [
        RecordReason::Malformed,
        RecordReason::KeyMismatch,
        RecordReason::TooLarge,
    ];

    /// As metrics and logs say it.
    pub const fn name(self) -> &'static str {
        match self {
            RecordReason::Malformed => "malformed",
            RecordReason::KeyMismatch => "key_mismatch",
            RecordReason::TooLarge => "too_large",
        }
    }
}

/// A table record that cannot be used: why, and a short text that names the field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordProblem {
    /// What is counted.
    pub reason: RecordReason,
    /// What is logged.
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

/// Texts that come from looking at fields: the form is wrong.
impl From<String> for RecordProblem {
    fn from(text: String) -> Self {
        RecordProblem {
            reason: RecordReason::Malformed,
            text,
        }
    }
}

/// Reads a record of the principals topic: key `accountId/userId`, or `accountId/iamId` for a principal without
/// a classic user id. Without a value (a tombstone) the principal is removed from the record's timestamp on.
///
/// # Errors
/// Says what cannot be used; the version that was there before then stays.
pub fn parse_principal_record(
    key: &[u8],
    value: Option<&[u8]>,
    timestamp_ms: Option<i64>,
) -> Result<TableChange<PrincipalKey, Principal>, RecordProblem> {
    parse_record(
        key,
        value,
        timestamp_ms,
        principal_key,
        PrincipalEntry::finish,
    )
}

/// Reads a record of the devices topic: key device id. Without a value (a tombstone) the device is removed
/// from the record's timestamp on.
///
/// # Errors
/// Says what cannot be used; the version that was there before then stays.
pub fn parse_device_record(
    key: &[u8],
    value: Option<&[u8]>,
    timestamp_ms: Option<i64>,
) -> Result<TableChange<Id, Device>, RecordProblem> {
    parse_record(key, value, timestamp_ms, device_key, DeviceEntry::finish)
}

fn parse_record<E: DeserializeOwned, K: PartialEq + fmt::Display, V>(
    key: &[u8],
    value: Option<&[u8]>,
    timestamp_ms: Option<i64>,
    read_key: impl Fn(&str) -> Option<K>,
    finish: impl Fn(E) -> Result<Stated<K, V>, String>,
) -> Result<TableChange<K, V>, RecordProblem> {
    let text = std::str::from_utf8(key).map_err(|_| "the key is not UTF-8".to_string())?;
    let key =
        read_key(text).ok_or_else(|| format!("the key is not of this table: {text:.200?}"))?;
    let timestamp = timestamp_ms.and_then(|ms| Timestamp::from_millisecond(ms).ok());
    let Some(value) = value else {
        let valid_from = timestamp.ok_or_else(|| "a tombstone without a timestamp".to_string())?;
        return Ok(TableChange {
            key,
            change: VersionChange::removed(valid_from),
        });
    };
    let stated = read_value(value, finish)?;
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
        },
    })
}

fn read_value<E: DeserializeOwned, K, V>(
    value: &[u8],
    finish: impl Fn(E) -> Result<Stated<K, V>, String>,
) -> Result<Stated<K, V>, RecordProblem> {
    if value.len() > MOST_VALUE_BYTES {
        return Err(RecordProblem {
            reason: RecordReason::TooLarge,
            text: format!(
                "the value is too large: {} bytes, the limit is {MOST_VALUE_BYTES}",
                value.len()
            ),
        });
    }
    let entry = serde_json::from_slice(value).map_err(|error| error.to_string())?;
    let stated = finish(entry)?;
    if stated.deleted {
        let text = "deleted is not for topics: remove the key by a record without a value";
        return Err(text.to_string().into());
    }
    Ok(stated)
}

pub(super) fn principal_key(text: &str) -> Option<PrincipalKey> {
    let (account, id) = text.split_once('/')?;
    (is_id(account) && (is_id(id) || is_iam_id(id))).then(|| PrincipalKey {
        account: Id::from(account),
        id: Id::from(id),
    })
}

pub(super) fn device_key(text: &str) -> Option<Id> {
    is_id(text).then(|| Id::from(text))
}
