//! First stage, *parse*: the payload of an input record becomes a [`Record`], its fields as they stand. Here
//! it is settled that the payload is a JSON object of a known version, no known field of which stands twice; what
//! the fields hold is checked by those who need them. It knows nothing of catalogues or principals.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::fate::{Quarantine, QuarantineReason};
use super::field::{Id, Raw, filled, id};
use super::plain_json::PlainObject;

/// Declares the fields that are known, each with its name in JSON.
macro_rules! fields {
    ($($field:ident = $name:literal,)+) => {
        /// A field of a record. Source: SoftLayer event log, and the extension in `schemas/README.md`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Field { $(#[doc = $name] $field,)+ }

        impl Field {
            const ALL: &'static [Field] = &[$(Field::$field,)+];

            /// As it is called in JSON.
            pub const fn name(self) -> &'static str {
                match self { $(Field::$field => $name,)+ }
            }

            // A pattern can be a constant of bytes, but not a text turned into bytes.
            #[allow(non_upper_case_globals)]
            fn of(name: &[u8]) -> Option<Self> {
                $(const $field: &[u8] = $name.as_bytes();)+
                match name {
                    $($field => Some(Field::$field),)+
                    _ => None,
                }
            }
        }
    };
}

fields! {
    SchemaVersion = "schemaVersion",
    AccountId = "accountId",
    ObjectName = "objectName",
    ObjectId = "objectId",
    EventKey = "eventKey",
    EventName = "eventName",
    EventCreateDate = "eventCreateDate",
    UserType = "userType",
    UserId = "userId",
    Username = "username",
    OpenIdConnectUserName = "openIdConnectUserName",
    IamId = "iamId",
    OnBehalfOf = "onBehalfOf",
    CredentialType = "credentialType",
    IpAddress = "ipAddress",
    UserAgent = "userAgent",
    Label = "label",
    Datacenter = "datacenter",
    PreviousState = "previousState",
    NewState = "newState",
    Outcome = "outcome",
    ReasonCode = "reasonCode",
    ReasonForFailure = "reasonForFailure",
    TraceId = "traceId",
    EventId = "eventId",
    MetaData = "metaData",
}

/// A record whose form is right: the known fields that are there and not `null`, as they stand in JSON.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Record<'a> {
    fields: [Option<Raw<'a>>; Field::ALL.len()],
}

impl<'a> Record<'a> {
    /// A field as it stands.
    pub const fn raw(&self, field: Field) -> Option<Raw<'a>> {
        self.fields[field as usize]
    }

    /// A field that is text, if it is not blank.
    ///
    /// # Errors
    /// Says what it is instead.
    pub fn text(&self, field: Field) -> Result<Option<Cow<'a, str>>, String> {
        filled(field.name(), self.raw(field))
    }

    /// A field that is an id.
    ///
    /// # Errors
    /// Says what it is instead.
    pub fn id(&self, field: Field) -> Result<Option<Id>, String> {
        id(field.name(), self.raw(field))
    }
}

/// A record that is being read, in its place: most records are read, asked for four fields and skipped, and moving them would
/// be a tenth of that.
struct Reading<'r, 'a> {
    record: &'r mut Record<'a>,
    /// One bit for each field that was seen, `null` or not.
    seen: u32,
}

impl<'r, 'a> Reading<'r, 'a> {
    fn of(record: &'r mut Record<'a>) -> Self {
        *record = Record::default();
        Reading { record, seen: 0 }
    }

    /// Takes a field; the error is the name of one that was there before.
    fn put(&mut self, field: Field, json: &'a str) -> Result<(), &'static str> {
        let bit = 1 << field as u32;
        if self.seen & bit != 0 {
            return Err(field.name());
        }
        self.seen |= bit;
        self.record.fields[field as usize] = (json != "null").then_some(Raw(json));
        Ok(())
    }

    /// Reads a record that is plain JSON, as most are: the same fields as serde would, or `None`, if it is not plain.
    fn read_plain(mut self, text: &'a str) -> Option<()> {
        let mut object = PlainObject::begin(text)?;
        loop {
            let (key, value) = object.field()?;
            if let Some(field) = Field::of(key) {
                self.put(field, object.json(value)?).ok()?;
            }
            if !object.has_more()? {
                return Some(());
            }
        }
    }

    /// Reads any record.
    fn read(self, text: &'a str) -> serde_json::Result<()> {
        let mut deserializer = serde_json::Deserializer::from_str(text);
        deserializer.deserialize_map(self)?;
        deserializer.end()
    }
}

impl<'de> Visitor<'de> for Reading<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(Known(field)) = map.next_key()? {
            match field {
                None => _ = map.next_value::<IgnoredAny>()?,
                Some(field) => {
                    let raw: &RawValue = map.next_value()?;
                    self.put(field, raw.get())
                        .map_err(A::Error::duplicate_field)?;
                }
            }
        }
        Ok(())
    }
}

/// The name of a field, known or not.
struct Known(Option<Field>);

impl<'de> Deserialize<'de> for Known {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_identifier(Known(None))
    }
}

impl Visitor<'_> for Known {
    type Value = Known;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a field")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Known, E> {
        Ok(Known(Field::of(name.as_bytes())))
    }
}

/// For people: what happened to what, when, by whom.
impl fmt::Display for Record<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let or = |fields: &[Field], absent| {
            let written = fields.iter().find_map(|field| self.raw(*field));
            let written = written.map(|raw| raw.to_string());
            written
                .filter(|text| !text.is_empty())
                .unwrap_or_else(|| String::from(absent))
        };
        write!(
            f,
            "{:?} of {} {} at {}, by {} {} of account {}",
            or(&[Field::EventKey, Field::EventName], ""),
            or(&[Field::ObjectName], "(no class)"),
            or(&[Field::ObjectId], "(no id)"),
            or(&[Field::EventCreateDate], "(no time)"),
            or(&[Field::UserType], "nobody named,"),
            or(&[Field::UserId, Field::IamId], "(no id)"),
            or(&[Field::AccountId], "(not given)"),
        )
    }
}

/// Parses a payload.
///
/// # Errors
/// `malformed`, or `unsupported_version`.
pub fn parse(payload: Option<&[u8]>) -> Result<Record<'_>, Quarantine> {
    let mut record = Record::default();
    parse_into(payload, &mut record)?;
    Ok(record)
}

/// Parses a payload, into a place of the caller's.
///
/// # Errors
/// As [`parse`]; then the record holds nothing of use.
pub fn parse_into<'a>(
    payload: Option<&'a [u8]>,
    record: &mut Record<'a>,
) -> Result<(), Quarantine> {
    let payload = payload.ok_or_else(|| Quarantine::malformed("the record has no value"))?;
    let text = text(payload)?;
    if Reading::of(record).read_plain(text).is_none() {
        if text.trim_start().is_empty() {
            return Err(Quarantine::malformed("the value is empty"));
        }
        if !text.trim_start().starts_with('{') {
            return Err(Quarantine::malformed("the value is not a JSON object"));
        }
        let read = Reading::of(record).read(text);
        read.map_err(|error| Quarantine::malformed(json_problem(&error)))?;
    }
    let version = record.raw(Field::SchemaVersion);
    version.map_or(Ok(()), check_version)
}

fn text(payload: &[u8]) -> Result<&str, Quarantine> {
    std::str::from_utf8(payload).map_err(|error| {
        Quarantine::malformed(format_args!(
            "the value is not UTF-8 at byte {}",
            error.valid_up_to()
        ))
    })
}

fn json_problem(error: &serde_json::Error) -> String {
    if error.is_data() {
        error.to_string()
    } else {
        format!("the value is not JSON: {error}")
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
        let newer = br#"{"schemaVersion":2,"accountId":{}}"#;
        refused(newer, UnsupportedVersion, "2");
        refused(br#"{"schemaVersion":"1.1"}"#, UnsupportedVersion, "1.1");
        assert!(parse(None).is_err());
    }

    #[test]
    fn what_the_fields_hold_is_left_to_others() {
        let text = br#"{"accountId":[],"eventName":"Power On","label":null,"more":{"a":1}}"#;
        let record = parse(Some(text)).expect("has the form of a record");
        assert_eq!(record.raw(Field::AccountId), Some(Raw("[]")));
        assert_eq!(record.raw(Field::Label), None);
        assert_eq!(
            record.to_string(),
            "\"Power On\" of (no class) (no id) at (no time), by nobody named, (no id) of account (a list)"
        );
    }

    fn plainly(text: &str) -> Option<Record<'_>> {
        let mut record = Record::default();
        Reading::of(&mut record).read_plain(text)?;
        Some(record)
    }

    fn by_serde(text: &str) -> Option<Record<'_>> {
        let mut record = Record::default();
        Reading::of(&mut record).read(text).ok()?;
        Some(record)
    }

    /// Every known field, with every kind of plain value: alone, after another, and twice.
    #[test]
    fn plain_records_are_read_as_serde_reads_them() {
        for name in Field::ALL.iter().map(|field| field.name()).chain(["other"]) {
            for value in [r#""a""#, "7", "true", "null", "{}", "[]", r#""\"""#] {
                let text = format!(r#"{{"more":1,"{name}":{value}}}"#);
                assert!(by_serde(&text).is_some(), "{text}");
                assert_eq!(plainly(&text), by_serde(&text), "{text}");
                let twice = format!(r#"{{"{name}":{value},"{name}":{value}}}"#);
                assert_eq!(by_serde(&twice).is_none(), name != "other", "{twice}");
                assert_eq!(plainly(&twice), by_serde(&twice), "{twice}");
            }
        }
    }
}
