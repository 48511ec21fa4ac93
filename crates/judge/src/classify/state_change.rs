//! The fields of a record that matter to an audited action, checked once and borrowed from the
//! payload where possible. Tolerant where producers differ (ids as numbers or strings, `metaData`
//! as object or text), strict about what identifies the event. Source of the fields: SoftLayer
//! event log.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::descriptive::Descriptive;
use super::meta_data::MetaData;
pub use super::outcome::Outcome;
use super::time::time;
use crate::json::Raw;
use crate::json::nested;
use crate::parse::field::{Id, canonical_id, filled, iam_id, id};
use crate::parse::record::{Field, Fields, Record};
use crate::text::trim;

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
    /// `userId`: the acting user, by classic user id.
    pub user: Option<Id>,
    /// `username`.
    pub username: Option<Cow<'a, str>>,
    /// `openIdConnectUserName`.
    pub identity_provider_name: Option<Cow<'a, str>>,
    /// `iamId`.
    pub iam_id: Option<Cow<'a, str>>,
    /// `onBehalfOf`, if it names an identity.
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
    /// `previousState`, in any form: it helps to tell events apart and is not written.
    pub previous_state: Option<Raw<'a>>,
    /// `newState`, likewise.
    pub new_state: Option<Raw<'a>>,
    /// `outcome`, or the value derived from the other fields; see [`Outcome`].
    pub outcome: Outcome,
    /// `reasonCode`: an HTTP status, 100 to 599.
    pub reason_code: Option<u16>,
    /// `reasonForFailure`.
    pub reason_for_failure: Option<Cow<'a, str>>,
    /// `traceId`.
    pub trace_id: Option<Cow<'a, str>>,
    /// `eventId`: the producer's own event id.
    pub event_id: Option<Cow<'a, str>>,
    /// `metaData`, not yet parsed.
    pub meta_data: MetaData<'a>,
    /// The fields that are present, decide nothing and cannot be read. The event lists them.
    pub unreadable: Fields,
}

/// The identity on whose behalf another acted, by at least one of the two ids.
#[derive(Debug, Clone)]
pub struct OnBehalfOf<'a> {
    /// `onBehalfOf.userId`.
    pub user: Option<Id>,
    /// `onBehalfOf.iamId`.
    pub iam_id: Option<Cow<'a, str>>,
    /// `onBehalfOf.username`.
    pub username: Option<Cow<'a, str>>,
}

/// What identifies the kind of an event: the class of its object, its key and its name.
#[derive(Debug, Clone)]
pub struct EventNames<'a> {
    /// `objectName`.
    pub class: Option<Cow<'a, str>>,
    /// `eventKey`.
    pub key: Option<Cow<'a, str>>,
    /// `eventName`.
    pub name: Option<Cow<'a, str>>,
}

impl<'a> EventNames<'a> {
    /// Reads the class, key and name of a record's event.
    ///
    /// # Errors
    /// Names the field that cannot be read.
    #[inline]
    pub fn read(record: &Record<'a>) -> Result<Self, String> {
        Ok(EventNames {
            class: record.text(Field::ObjectName)?,
            key: record.text(Field::EventKey)?,
            name: record.text(Field::EventName)?,
        })
    }
}

impl<'a> StateChange<'a> {
    /// Checks the fields of a record after its event's names were read.
    ///
    /// # Errors
    /// Names the field that is missing or cannot be read.
    pub fn check(record: &Record<'a>, names: EventNames<'a>) -> Result<Self, String> {
        let text = |field| record.text(field);
        let mut descriptive = Descriptive::of(record);
        let reason_code = reason_code(text(Field::ReasonCode)?)?;
        let reason_for_failure = descriptive.reason();
        let gives_reason =
            reason_for_failure.is_some() || descriptive.is_unreadable(Field::ReasonForFailure);
        let outcome = Outcome::read(record.raw(Field::Outcome))?;
        Ok(StateChange {
            account: record.id(Field::AccountId)?,
            class: names.class.ok_or("objectName is missing")?,
            object: record.id(Field::ObjectId)?.ok_or("objectId is missing")?,
            event_key: names.key,
            event_name: names.name,
            time: event_time(text(Field::EventCreateDate)?)?,
            user: record.id(Field::UserId)?,
            username: descriptive.text(Field::Username),
            identity_provider_name: descriptive.text(Field::OpenIdConnectUserName),
            iam_id: iam_id(record.raw(Field::IamId))?,
            on_behalf_of: OnBehalfOf::check(record)?,
            credential_type: descriptive.text(Field::CredentialType),
            address: descriptive.addresses(),
            agent: descriptive.text(Field::UserAgent),
            label: descriptive.text(Field::Label),
            data_center: data_center(record.raw(Field::Datacenter))?,
            previous_state: record.raw(Field::PreviousState),
            new_state: record.raw(Field::NewState),
            outcome: outcome.unwrap_or_else(|| Outcome::from_rest(reason_code, gives_reason)),
            reason_code,
            reason_for_failure,
            trace_id: descriptive.text(Field::TraceId),
            event_id: text(Field::EventId)?,
            meta_data: MetaData::new(record.raw(Field::MetaData)),
            unreadable: descriptive.unreadable(),
        })
    }
}

/// Reads the data center: one of its names, or an object with a `name`, as the provider's API gives
/// it.
fn data_center(raw: Option<Raw<'_>>) -> Result<Option<Cow<'_, str>>, String> {
    let field = Field::Datacenter.name();
    match raw {
        Some(Raw(json)) if json.starts_with('{') => {
            let name = nested::members(json, ["name"]).and_then(|[name]| name);
            let name = filled(&format!("{field}.name"), name)?;
            match name {
                Some(name) => Ok(Some(name)),
                None => Err(format!("{field} is an object without a name")),
            }
        }
        raw => filled(field, raw),
    }
}

impl<'a> OnBehalfOf<'a> {
    /// Reads the identity that the record names, if any.
    ///
    /// # Errors
    /// Describes what cannot be read.
    pub fn check(record: &Record<'a>) -> Result<Option<Self>, String> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Behalf<'b> {
            #[serde(borrow)]
            user_id: Option<&'b RawValue>,
            #[serde(borrow)]
            iam_id: Option<&'b RawValue>,
            #[serde(borrow)]
            username: Option<&'b RawValue>,
        }
        let Some(Raw(json)) = record.raw(Field::OnBehalfOf) else {
            return Ok(None);
        };
        let behalf: Behalf<'a> =
            serde_json::from_str(json).map_err(|error| format!("onBehalfOf: {error}"))?;
        let raw = |value: Option<&'a RawValue>| value.map(|value| Raw(value.get()));
        let user = id("onBehalfOf.userId", raw(behalf.user_id))?;
        let iam_id = iam_id(raw(behalf.iam_id)).map_err(|error| format!("onBehalfOf.{error}"))?;
        let username = filled("onBehalfOf.username", raw(behalf.username))?;
        let is_named = user.is_some() || iam_id.is_some();
        Ok(is_named.then_some(OnBehalfOf { user, iam_id, username }))
    }
}

fn event_time(text: Option<Cow<'_, str>>) -> Result<Timestamp, String> {
    let text = text.ok_or("eventCreateDate is missing")?;
    time(&text).map_err(|problem| format!("eventCreateDate {problem}"))
}

fn reason_code(text: Option<Cow<'_, str>>) -> Result<Option<u16>, String> {
    let Some(text) = text else {
        return Ok(None);
    };
    match canonical_id(trim(&text)).parse() {
        Ok(code @ 100..=599) => Ok(Some(code)),
        _ => Err(format!("reasonCode is not a status from 100 to 599: {text:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::record::parse;

    const LEAST: &str = r#""eventCreateDate":"2018-11-06T08:22:36.221541-06:00","objectName":"Server","objectId":1234567,"eventName":"Power Off""#;

    fn record(more: &str) -> String {
        format!("{{{LEAST}{more}}}")
    }

    fn checked(text: &str) -> Result<StateChange<'_>, String> {
        let record = parse(Some(text.as_bytes())).expect("has the form of a record");
        StateChange::check(&record, EventNames::read(&record)?)
    }

    #[test]
    fn reads_the_least_record() {
        let text = record("");
        let change = checked(&text).expect("is good");
        assert_eq!(change.object, "1234567");
        assert_eq!(change.time.to_string(), "2018-11-06T14:22:36.221541Z");
        assert_eq!(change.outcome, Outcome::Success);
        assert!(matches!(change.class, Cow::Borrowed("Server")));
    }

    #[test]
    fn ids_are_numbers_or_strings() {
        let forms = [
            "307608",
            "307608.0",
            "3.07608e5",
            r#""307608""#,
            r#"" 307608 ""#,
            r#""0307608""#,
            r#""307608.0""#,
            "\"\u{feff}307608\u{a0}\"",
        ];
        for id in forms {
            let text = record(&format!(",\"accountId\":{id}"));
            let change = checked(&text).expect("is good");
            assert_eq!(change.account.as_deref(), Some("307608"), "{id}");
        }
        for (id, expected) in [(r#""00""#, "0"), (r#""a_B-7""#, "a_B-7"), ("0", "0")] {
            let text = record(&format!(",\"userId\":{id}"));
            let change = checked(&text).expect("is good");
            assert_eq!(change.user.as_deref(), Some(expected), "{id}");
        }
        let words = [r#""""#, r#""  ""#, "null", r#""null""#, r#""None""#, r#""(null)""#];
        for absent in words {
            let text = record(&format!(",\"userId\":{absent}"));
            let change = checked(&text).expect("is good");
            assert_eq!(change.user, None, "{absent}");
        }
    }

    #[test]
    fn refuses_what_it_cannot_read() {
        let fields = [
            (r#","accountId":1.5"#, "accountId is a fraction"),
            (r#","accountId":-1"#, "accountId is a negative"),
            (r#","accountId":"-1""#, "accountId"),
            (r#","accountId":99999999999999999999"#, "too large"),
            (r#","accountId":"1:2""#, "accountId"),
            (r#","accountId":true"#, "accountId is a boolean"),
            (r#","iamId":"a b""#, "iamId"),
            (r#","datacenter":{"a":[1,{}]}"#, "datacenter is an object"),
            (r#","datacenter":{"name":["dal10"]}"#, "datacenter.name is a list"),
            (r#","datacenter":["dal10"]"#, "datacenter is a list"),
            (r#","userId":"\ud800""#, "userId is no text"),
            (r#","outcome":"maybe""#, "outcome"),
            (r#","reasonCode":99"#, "reasonCode"),
            (r#","reasonCode":600"#, "reasonCode"),
            (r#","onBehalfOf":{"userId":"a/b"}"#, "onBehalfOf.userId"),
            (r#","onBehalfOf":{"iamId":true}"#, "onBehalfOf.iamId"),
        ];
        for (field, detail) in fields {
            let text = record(field);
            let problem = checked(&text).expect_err("must be refused");
            assert!(problem.contains(detail), "{problem}");
        }
    }

    #[test]
    fn a_data_center_may_be_an_object_with_a_name() {
        let text = record(r#","datacenter":{"id":358694,"name":"fra02","longName":"Frankfurt 2"}"#);
        let change = checked(&text).expect("is good");
        assert_eq!(change.data_center.as_deref(), Some("fra02"));
    }

    #[test]
    fn what_decides_nothing_does_not_refuse_a_record() {
        let odd = ["{\"a\":1}", "[1,2]", "true", "-1.5", "1e400", r#""\ud83d""#];
        let fields = [
            "label",
            "ipAddress",
            "userAgent",
            "username",
            "openIdConnectUserName",
            "traceId",
            "reasonForFailure",
            "credentialType",
            "previousState",
            "newState",
        ];
        for field in fields {
            for value in odd {
                let text = record(&format!(",\"{field}\":{value}"));
                assert!(checked(&text).is_ok(), "{text}");
            }
        }
    }

    #[test]
    fn what_only_a_status_or_a_reason_tells_is_a_failure() {
        for field in [
            r#","reasonCode":"403""#,
            r#","reasonForFailure":"permission denied""#,
            r#","reasonForFailure":{"unknown":1}"#,
        ] {
            let text = record(field);
            let change = checked(&text).expect("is good");
            assert_eq!(change.outcome, Outcome::Failure, "{field}");
        }
        let text = record(r#","reasonForFailure":"None""#);
        let change = checked(&text).expect("is good");
        assert_eq!(change.outcome, Outcome::Success);
    }
}
