//! First stage, *parse*: the payload of an input record becomes a [`StateChange`] whose fields are
//! checked once and borrowed from the payload where they can be. Tolerant where producers differ
//! (ids as numbers or strings, `metaData` as object or text), strict about what identifies the event.
//! It knows nothing of catalogues or principals. Source of the fields: SoftLayer event log.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::fate::{Quarantine, QuarantineReason};
pub use super::field::Id;
use super::field::{Text, filled, iam_id, id};
use super::meta_data::MetaData;

/// An infrastructure state change, checked.
#[derive(Debug, Clone)]
pub struct StateChange<'a> {
    /// `accountId`; when absent, the device table supplies it.
    pub account: Option<Id>,
    /// `objectName`: the class of the object, e.g. `Server`.
    pub class: Cow<'a, str>,
    /// `objectId`: the device.
    pub object: Id,
    /// `eventKey`, e.g. `HARDWARE_POWER_OFF`.
    pub event_key: Option<Cow<'a, str>>,
    /// `eventName`, e.g. `Power Off`.
    pub event_name: Option<Cow<'a, str>>,
    /// `eventCreateDate`.
    pub time: Timestamp,
    /// `userType`, not yet judged: it matters for listed events only.
    pub user_type: Option<Cow<'a, str>>,
    /// `userId`: the acting user, by classic id.
    pub user: Option<Id>,
    /// `username`.
    pub username: Option<Cow<'a, str>>,
    /// `openIdConnectUserName`.
    pub identity_provider_name: Option<Cow<'a, str>>,
    /// `iamId`.
    pub iam_id: Option<Cow<'a, str>>,
    /// `onBehalfOf`, when it names a user.
    pub on_behalf_of: Option<OnBehalfOf<'a>>,
    /// `credentialType`.
    pub credential_type: Option<Cow<'a, str>>,
    /// `ipAddress`, as given.
    pub address: Option<Cow<'a, str>>,
    /// `userAgent`.
    pub agent: Option<Cow<'a, str>>,
    /// `label`: the name of the object at that time.
    pub label: Option<Cow<'a, str>>,
    /// `datacenter`.
    pub data_center: Option<Cow<'a, str>>,
    /// `previousState`, of whatever form: only a change of one plain value looks into it.
    pub previous_state: Option<&'a RawValue>,
    /// `newState`, likewise.
    pub new_state: Option<&'a RawValue>,
    /// `outcome`; see [`Outcome`].
    pub outcome: Outcome,
    /// `reasonCode`: an HTTP status, 100 to 599.
    pub reason_code: Option<u16>,
    /// `reasonForFailure`.
    pub reason_for_failure: Option<Cow<'a, str>>,
    /// `traceId`.
    pub trace_id: Option<Cow<'a, str>>,
    /// `eventId`: the producer's own id of the event.
    pub event_id: Option<Cow<'a, str>>,
    /// `metaData`, not yet looked into.
    pub meta_data: MetaData<'a>,
}

/// The user for whom somebody else acted.
#[derive(Debug, Clone)]
pub struct OnBehalfOf<'a> {
    /// `onBehalfOf.userId`.
    pub user: Id,
    /// `onBehalfOf.username`.
    pub username: Option<Cow<'a, str>>,
}

/// How the action ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Also when the record does not say, unless its reason code is 400 or above.
    Success,
    /// The action failed.
    Failure,
    /// The action has not ended yet.
    Pending,
}

impl Outcome {
    /// The value of `outcome` in the audit event.
    pub const fn name(self) -> &'static str {
        match self {
            Outcome::Success => "success",
            Outcome::Failure => "failure",
            Outcome::Pending => "pending",
        }
    }
}

/// Parses a payload.
///
/// # Errors
/// `malformed` naming the field, or `unsupported_version`.
pub fn parse(payload: Option<&[u8]>) -> Result<StateChange<'_>, Quarantine> {
    let payload = payload.ok_or_else(|| Quarantine::malformed("the record has no value"))?;
    let text = std::str::from_utf8(payload).map_err(|error| {
        Quarantine::malformed(format_args!(
            "the value is not UTF-8 at byte {}",
            error.valid_up_to()
        ))
    })?;
    if text.trim_start().is_empty() {
        return Err(Quarantine::malformed("the value is empty"));
    }
    if !text.trim_start().starts_with('{') {
        return Err(Quarantine::malformed("the value is not a JSON object"));
    }
    let raw: RawStateChange<'_> = serde_json::from_str(text).map_err(|error| {
        unsupported_version(text).unwrap_or_else(|| Quarantine::malformed(json_problem(&error)))
    })?;
    if let Some(version) = raw.schema_version {
        check_version(version)?;
    }
    raw.check().map_err(Quarantine::malformed)
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
        schema_version: Option<&'a RawValue>,
    }
    let versioned: Versioned<'_> = serde_json::from_str(text).ok()?;
    check_version(versioned.schema_version?).err()
}

fn check_version(version: &RawValue) -> Result<(), Quarantine> {
    match version.get() {
        "1" | "\"1\"" | "null" => Ok(()),
        other => Err(Quarantine::new(
            QuarantineReason::UnsupportedVersion,
            format_args!("schemaVersion is {other}; this relay reads version 1"),
        )),
    }
}

/// The record as it stands in JSON; absent and `null` are the same.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawStateChange<'a> {
    #[serde(borrow)]
    schema_version: Option<&'a RawValue>,
    #[serde(borrow)]
    account_id: Option<Text<'a>>,
    #[serde(borrow)]
    object_name: Option<Text<'a>>,
    #[serde(borrow)]
    object_id: Option<Text<'a>>,
    #[serde(borrow)]
    event_key: Option<Text<'a>>,
    #[serde(borrow)]
    event_name: Option<Text<'a>>,
    #[serde(borrow)]
    event_create_date: Option<Text<'a>>,
    #[serde(borrow)]
    user_type: Option<Text<'a>>,
    #[serde(borrow)]
    user_id: Option<Text<'a>>,
    #[serde(borrow)]
    username: Option<Text<'a>>,
    #[serde(borrow)]
    open_id_connect_user_name: Option<Text<'a>>,
    #[serde(borrow)]
    iam_id: Option<Text<'a>>,
    #[serde(borrow)]
    on_behalf_of: Option<RawOnBehalfOf<'a>>,
    #[serde(borrow)]
    credential_type: Option<Text<'a>>,
    #[serde(borrow)]
    ip_address: Option<Text<'a>>,
    #[serde(borrow)]
    user_agent: Option<Text<'a>>,
    #[serde(borrow)]
    label: Option<Text<'a>>,
    #[serde(borrow)]
    datacenter: Option<Text<'a>>,
    #[serde(borrow)]
    previous_state: Option<&'a RawValue>,
    #[serde(borrow)]
    new_state: Option<&'a RawValue>,
    #[serde(borrow)]
    outcome: Option<Text<'a>>,
    #[serde(borrow)]
    reason_code: Option<Text<'a>>,
    #[serde(borrow)]
    reason_for_failure: Option<Text<'a>>,
    #[serde(borrow)]
    trace_id: Option<Text<'a>>,
    #[serde(borrow)]
    event_id: Option<Text<'a>>,
    #[serde(borrow)]
    meta_data: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawOnBehalfOf<'a> {
    #[serde(borrow)]
    user_id: Option<Text<'a>>,
    #[serde(borrow)]
    username: Option<Text<'a>>,
}

impl<'a> RawStateChange<'a> {
    fn check(self) -> Result<StateChange<'a>, String> {
        let reason_code = reason_code(self.reason_code)?;
        let event_key = filled("eventKey", self.event_key)?;
        let event_name = filled("eventName", self.event_name)?;
        if event_key.is_none() && event_name.is_none() {
            return Err("eventName and eventKey are both missing".to_string());
        }
        Ok(StateChange {
            account: id("accountId", self.account_id)?,
            class: filled("objectName", self.object_name)?.ok_or("objectName is missing")?,
            object: id("objectId", self.object_id)?.ok_or("objectId is missing")?,
            event_key,
            event_name,
            time: time(self.event_create_date)?,
            user_type: filled("userType", self.user_type)?,
            user: id("userId", self.user_id)?,
            username: filled("username", self.username)?,
            identity_provider_name: filled(
                "openIdConnectUserName",
                self.open_id_connect_user_name,
            )?,
            iam_id: iam_id(self.iam_id)?,
            on_behalf_of: on_behalf_of(self.on_behalf_of)?,
            credential_type: filled("credentialType", self.credential_type)?,
            address: filled("ipAddress", self.ip_address)?,
            agent: filled("userAgent", self.user_agent)?,
            label: filled("label", self.label)?,
            data_center: filled("datacenter", self.datacenter)?,
            previous_state: self.previous_state,
            new_state: self.new_state,
            outcome: outcome(self.outcome, reason_code)?,
            reason_code,
            reason_for_failure: filled("reasonForFailure", self.reason_for_failure)?,
            trace_id: filled("traceId", self.trace_id)?,
            event_id: filled("eventId", self.event_id)?,
            meta_data: MetaData::new(self.meta_data)?,
        })
    }
}

fn time(text: Option<Text<'_>>) -> Result<Timestamp, String> {
    let text = filled("eventCreateDate", text)?.ok_or("eventCreateDate is missing")?;
    let time: Timestamp = text
        .trim()
        .parse()
        .map_err(|error| format!("eventCreateDate is not a time with an offset: {error}"))?;
    if time < Timestamp::UNIX_EPOCH {
        return Err(format!("eventCreateDate lies before 1970: {text:?}"));
    }
    Ok(time)
}

fn on_behalf_of(raw: Option<RawOnBehalfOf<'_>>) -> Result<Option<OnBehalfOf<'_>>, String> {
    let Some(raw) = raw else { return Ok(None) };
    let user = id("onBehalfOf.userId", raw.user_id)?;
    let username = filled("onBehalfOf.username", raw.username)?;
    Ok(user.map(|user| OnBehalfOf { user, username }))
}

fn reason_code(text: Option<Text<'_>>) -> Result<Option<u16>, String> {
    let Some(text) = filled("reasonCode", text)? else {
        return Ok(None);
    };
    match text.trim().parse() {
        Ok(code @ 100..=599) => Ok(Some(code)),
        _ => Err(format!(
            "reasonCode is not a status from 100 to 599: {text:?}"
        )),
    }
}

fn outcome(text: Option<Text<'_>>, reason_code: Option<u16>) -> Result<Outcome, String> {
    let Some(text) = filled("outcome", text)? else {
        // A record that says 403 and nothing else did not succeed.
        let failed = reason_code.is_some_and(|code| code >= 400);
        return Ok(if failed {
            Outcome::Failure
        } else {
            Outcome::Success
        });
    };
    [Outcome::Success, Outcome::Failure, Outcome::Pending]
        .into_iter()
        .find(|outcome| text.trim().eq_ignore_ascii_case(outcome.name()))
        .ok_or_else(|| format!("outcome is not success, failure or pending: {text:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: &str = r#""eventCreateDate":"2018-11-06T08:22:36.221541-06:00","objectName":"Server","objectId":1234567,"eventName":"Power Off""#;

    fn record(more: &str) -> String {
        format!("{{{LEAST}{more}}}")
    }

    #[track_caller]
    fn refused(payload: &[u8], reason: QuarantineReason, detail: &str) {
        let quarantine = parse(Some(payload)).expect_err("must be refused");
        assert_eq!(quarantine.reason, reason, "{}", quarantine.detail);
        assert!(quarantine.detail.contains(detail), "{}", quarantine.detail);
    }

    #[test]
    fn reads_the_least_record() {
        let text = record("");
        let change = parse(Some(text.as_bytes())).expect("parses");
        assert_eq!(change.object, "1234567");
        assert_eq!(change.time.to_string(), "2018-11-06T14:22:36.221541Z");
        assert_eq!(change.outcome, Outcome::Success);
        assert!(matches!(change.class, Cow::Borrowed("Server")));
    }

    #[test]
    fn ids_are_numbers_or_strings() {
        for id in ["307608", "\"307608\"", "\" 307608 \""] {
            let text = record(&format!(",\"accountId\":{id}"));
            let change = parse(Some(text.as_bytes())).expect("parses");
            assert_eq!(change.account.as_deref(), Some("307608"), "{id}");
        }
        for absent in ["\"\"", "\"  \"", "null"] {
            let text = record(&format!(",\"userId\":{absent}"));
            let change = parse(Some(text.as_bytes())).expect("parses");
            assert_eq!(change.user, None, "{absent}");
        }
    }

    #[test]
    fn refuses_what_it_cannot_read() {
        use QuarantineReason::{Malformed, UnsupportedVersion};
        let fields = [
            (r#","accountId":1.5"#, "accountId is a fraction"),
            (r#","accountId":-1"#, "accountId is a negative"),
            (r#","accountId":"-1""#, "accountId"),
            (r#","accountId":99999999999999999999"#, "too large"),
            (r#","accountId":"1:2""#, "accountId"),
            (r#","accountId":true"#, "accountId is a boolean"),
            (r#","accountId":1,"accountId":2"#, "duplicate field"),
            (r#","iamId":"a/b""#, "iamId"),
            (r#","label":{"a":[1,{}]}"#, "label is an object"),
            (r#","label":[1,[2]]"#, "label is a list"),
            (r#","outcome":"maybe""#, "outcome"),
            (r#","reasonCode":99"#, "reasonCode"),
            (r#","onBehalfOf":{"userId":"a/b"}"#, "onBehalfOf.userId"),
        ];
        for (field, detail) in fields {
            refused(record(field).as_bytes(), Malformed, detail);
        }
        refused(b"[1]", Malformed, "not a JSON object");
        refused(b"", Malformed, "empty");
        refused(b"{\"a\":", Malformed, "not JSON");
        refused(b"{\"a\xff", Malformed, "not UTF-8 at byte 3");
        refused(b"{}", Malformed, "eventName");
        refused(
            br#"{"schemaVersion":2,"accountId":{}}"#,
            UnsupportedVersion,
            "2",
        );
        refused(
            record(r#","schemaVersion":"1.1""#).as_bytes(),
            UnsupportedVersion,
            "1.1",
        );
        assert!(parse(None).is_err());
    }

    #[test]
    fn a_failing_status_without_outcome_is_a_failure() {
        let text = record(r#","reasonCode":"403""#);
        let change = parse(Some(text.as_bytes())).expect("parses");
        assert_eq!(change.outcome, Outcome::Failure);
    }
}
