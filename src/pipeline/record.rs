//! First stage, *parse*: the payload of an input record becomes a [`Record`], its fields as they stand. Here
//! it is settled that the payload is a JSON object of a known version, no known field of which stands twice; what
//! the fields hold is checked by those who need them. It knows nothing of catalogues or principals.

use std::fmt;

use serde::Deserialize;

use super::fate::{Quarantine, QuarantineReason};
use super::field::{Raw, Text};
use super::plain_record;

/// A record whose form is right: its fields as they stand in JSON; absent and `null` are the same.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record<'a> {
    #[serde(borrow)]
    pub(super) schema_version: Option<Raw<'a>>,
    #[serde(borrow)]
    pub(super) account_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) object_name: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) object_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) event_key: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) event_name: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) event_create_date: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) user_type: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) user_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) username: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) open_id_connect_user_name: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) iam_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) credential_type: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) ip_address: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) user_agent: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) label: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) datacenter: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) outcome: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) reason_code: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) reason_for_failure: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) trace_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) event_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) previous_state: Option<Raw<'a>>,
    #[serde(borrow)]
    pub(super) new_state: Option<Raw<'a>>,
    #[serde(borrow)]
    pub(super) meta_data: Option<Raw<'a>>,
    #[serde(borrow)]
    pub(super) on_behalf_of: Option<Behalf<'a>>,
}

/// `onBehalfOf` as it stands.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Behalf<'a> {
    #[serde(borrow)]
    pub(super) user_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) username: Option<Text<'a>>,
}

/// For people: what happened to what, when, by whom.
impl fmt::Display for Record<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let or = |text: &Option<Text<'_>>, absent| {
            let text = text.as_ref().map(Text::to_string);
            text.filter(|text| !text.is_empty())
                .unwrap_or_else(|| String::from(absent))
        };
        let event = self.event_key.as_ref().or(self.event_name.as_ref());
        let user = self.user_id.as_ref().or(self.iam_id.as_ref());
        write!(
            f,
            "{:?} of {} {} at {}, by {} {} of account {}",
            or(&event.cloned(), ""),
            or(&self.object_name, "(no class)"),
            or(&self.object_id, "(no id)"),
            or(&self.event_create_date, "(no time)"),
            or(&self.user_type, "nobody named,"),
            or(&user.cloned(), "(no id)"),
            or(&self.account_id, "(not given)"),
        )
    }
}

/// Parses a payload.
///
/// # Errors
/// `malformed`, or `unsupported_version`.
pub fn parse(payload: Option<&[u8]>) -> Result<Record<'_>, Quarantine> {
    let payload = payload.ok_or_else(|| Quarantine::malformed("the record has no value"))?;
    let text = std::str::from_utf8(payload).map_err(|error| {
        Quarantine::malformed(format_args!(
            "the value is not UTF-8 at byte {}",
            error.valid_up_to()
        ))
    })?;
    if let Some(record) = plain_record::read(text) {
        return record.version_checked();
    }
    if text.trim_start().is_empty() {
        return Err(Quarantine::malformed("the value is empty"));
    }
    if !text.trim_start().starts_with('{') {
        return Err(Quarantine::malformed("the value is not a JSON object"));
    }
    let record: Record<'_> = serde_json::from_str(text).map_err(|error| {
        unsupported_version(text).unwrap_or_else(|| Quarantine::malformed(json_problem(&error)))
    })?;
    record.version_checked()
}

fn json_problem(error: &serde_json::Error) -> String {
    if error.is_data() {
        error.to_string()
    } else {
        format!("the value is not JSON: {error}")
    }
}

/// A newer version may have another shape altogether: its number is looked for on its own.
fn unsupported_version(text: &str) -> Option<Quarantine> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Versioned<'a> {
        #[serde(borrow)]
        schema_version: Option<Raw<'a>>,
    }
    let versioned: Versioned<'_> = serde_json::from_str(text).ok()?;
    check_version(versioned.schema_version?).err()
}

impl<'a> Record<'a> {
    fn version_checked(self) -> Result<Self, Quarantine> {
        self.schema_version.map_or(Ok(()), check_version)?;
        Ok(self)
    }
}

fn check_version(Raw(version): Raw<'_>) -> Result<(), Quarantine> {
    match version {
        "1" | "\"1\"" | "null" => Ok(()),
        other => Err(Quarantine::new(
            QuarantineReason::UnsupportedVersion,
            format_args!("schemaVersion is {other}; this relay reads version 1"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(payload: &[u8], reason: QuarantineReason, detail: &str) {
        let quarantine = parse(Some(payload)).expect_err("must be refused");
        assert_eq!(quarantine.reason, reason, "{}", quarantine.detail);
        assert!(quarantine.detail.contains(detail), "{}", quarantine.detail);
    }

    #[test]
    fn what_is_no_record_is_refused() {
        use QuarantineReason::{Malformed, UnsupportedVersion};
        refused(b"[1]", Malformed, "not a JSON object");
        refused(b"", Malformed, "empty");
        refused(b"{\"a\":", Malformed, "not JSON");
        refused(b"{\"a\xff", Malformed, "not UTF-8 at byte 3");
        let twice = br#"{"accountId":1,"accountId":2}"#;
        refused(twice, Malformed, "duplicate field");
        refused(br#"{"onBehalfOf":1}"#, Malformed, "invalid type");
        let newer = br#"{"schemaVersion":2,"accountId":{}}"#;
        refused(newer, UnsupportedVersion, "2");
        refused(br#"{"schemaVersion":"1.1"}"#, UnsupportedVersion, "1.1");
        assert!(parse(None).is_err());
    }

    #[test]
    fn what_the_fields_hold_is_left_to_others() {
        let text = br#"{"accountId":[],"eventName":"Power On","label":null,"more":{"a":1}}"#;
        let record = parse(Some(text)).expect("has the form of a record");
        assert!(record.account_id.is_some() && record.label.is_none());
        assert_eq!(
            record.to_string(),
            "\"Power On\" of (no class) (no id) at (no time), by nobody named, (no id) of account (a list)"
        );
    }
}
