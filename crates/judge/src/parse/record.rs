//! First stage, *parse*: turns the payload of an input record into a [`Record`], its uninterpreted
//! fields. It checks that the payload is a JSON object of a known version without duplicate known
//! fields. The stages that use a field check its content. It does not depend on catalogues or
//! principals.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::framing;
use crate::fate::{Quarantine, QuarantineReason};
use crate::json::Raw;
use crate::json::plain::PlainObject;
use crate::parse::field::{Id, canonical_id, filled, id};
use crate::text::trim;

/// Declares the known fields, each with its name in JSON.
macro_rules! fields {
    ($($field:ident = $name:literal,)+) => {
        /// A field of a record. Source: SoftLayer event log, and the extension in
        /// `schemas/README.md`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Field { $(#[doc = $name] $field,)+ }

        impl Field {
            const ALL: &'static [Field] = &[$(Field::$field,)+];

            const fn bit(self) -> u32 {
                1 << self as u32
            }

            /// Returns its name in JSON.
            pub const fn name(self) -> &'static str {
                match self { $(Field::$field => $name,)+ }
            }

            #[allow(
                non_upper_case_globals,
                reason = "a pattern can be a constant of bytes, but not a text turned into bytes"
            )]
            fn of(name: &[u8]) -> Option<Self> {
                $(const $field: &[u8] = $name.as_bytes();)+
                match name {
                    $($field => Some(Field::$field),)+
                    _ => Field::in_another_case(name),
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

impl Field {
    /// Finds a field whose key is written in another case: `dataCenter` decides the region too. The
    /// cheap test comes first: few unknown keys share both length and first letter with a known
    /// one.
    fn in_another_case(name: &[u8]) -> Option<Self> {
        let first = name.first()?.to_ascii_lowercase().wrapping_sub(b'a');
        let firsts = FIRST_LETTERS.get(name.len())?;
        let may_be_known = first < 26 && firsts & (1 << first) != 0;
        may_be_known.then(|| Field::spelled(name)).flatten()
    }

    #[cold]
    fn spelled(name: &[u8]) -> Option<Self> {
        let mut all = Field::ALL.iter().copied();
        all.find(|field| field.name().as_bytes().eq_ignore_ascii_case(name))
    }
}

/// Longer than the name of any field.
const LONG_NAME: usize = 32;

/// For each length, the first letters of the names of that length, one bit for each.
static FIRST_LETTERS: [u32; LONG_NAME] = {
    let mut firsts = [0; LONG_NAME];
    let mut position = 0;
    while position < Field::ALL.len() {
        let name = Field::ALL[position].name().as_bytes();
        firsts[name.len()] |= 1 << (name[0].to_ascii_lowercase() - b'a');
        position += 1;
    }
    firsts
};

/// A set of fields.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Fields(u32);

impl Fields {
    /// Adds a field.
    pub fn insert(&mut self, field: Field) {
        self.0 |= field.bit();
    }

    /// Returns whether the set is empty.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Iterates over the names of the fields, in the order of their declaration.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        let all = Field::ALL.iter();
        all.filter(move |field| self.contains(**field)).map(|field| field.name())
    }

    /// Returns whether the set contains a field.
    pub const fn contains(self, field: Field) -> bool {
        self.0 & field.bit() != 0
    }
}

/// A well-formed record: the known fields that are present and not `null`, as written in JSON.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Record<'a> {
    fields: [Option<Raw<'a>>; Field::ALL.len()],
}

impl<'a> Record<'a> {
    /// Returns a field as written.
    pub const fn raw(&self, field: Field) -> Option<Raw<'a>> {
        self.fields[field as usize]
    }

    /// Returns the text of a field, unless it is one of the words for nothing.
    ///
    /// # Errors
    /// Describes the value if it is not text.
    pub fn text(&self, field: Field) -> Result<Option<Cow<'a, str>>, String> {
        filled(field.name(), self.raw(field))
    }

    /// Returns the id in a field.
    ///
    /// # Errors
    /// Describes the value if it is not an id.
    pub fn id(&self, field: Field) -> Result<Option<Id>, String> {
        id(field.name(), self.raw(field))
    }
}

/// A record being read, in place: most records are read, queried for four fields and skipped, and
/// moving them would cost a tenth of that.
struct Reading<'r, 'a> {
    record: &'r mut Record<'a>,
    /// The fields seen so far, `null` or not.
    seen: Fields,
}

impl<'r, 'a> Reading<'r, 'a> {
    /// Starts reading into a blank record.
    fn of(record: &'r mut Record<'a>) -> Self {
        Reading { record, seen: Fields::default() }
    }

    /// Stores a field. The error is the name of a field that was already there.
    fn put(&mut self, field: Field, json: &'a str) -> Result<(), &'static str> {
        if self.seen.contains(field) {
            return Err(field.name());
        }
        self.seen.insert(field);
        self.record.fields[field as usize] = (json != "null").then_some(Raw(json));
        Ok(())
    }

    /// Reads a record that is plain JSON, as most are. Finds the same fields as serde would;
    /// returns `None` if the record is not plain.
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
                    self.put(field, raw.get()).map_err(A::Error::duplicate_field)?;
                }
            }
        }
        Ok(())
    }
}

/// The field of a JSON key, if it is a known one.
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

/// Prints for operators what happened, to what, when and by whom.
impl fmt::Display for Record<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let or = |fields: &[Field], absent| {
            let written = fields.iter().find_map(|field| self.raw(*field));
            let written = written.map(|raw| raw.to_string());
            written.filter(|text| !text.is_empty()).unwrap_or_else(|| String::from(absent))
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
/// `malformed` or `unsupported_version`.
pub fn parse(payload: Option<&[u8]>) -> Result<Record<'_>, Quarantine> {
    let mut record = Record::default();
    parse_into(payload, &mut record)?;
    Ok(record)
}

/// Parses a payload into a blank record that the caller provides.
///
/// # Errors
/// `malformed` or `unsupported_version`; the record must then not be used.
pub(crate) fn parse_into<'a>(
    payload: Option<&'a [u8]>,
    record: &mut Record<'a>,
) -> Result<(), Quarantine> {
    let payload = payload.ok_or_else(|| Quarantine::malformed("the record has no value"))?;
    let body = framing::body(payload).map_err(Quarantine::malformed)?;
    let text = text(body)?;
    if Reading::of(record).read_plain(text).is_none() {
        if text.trim_start().is_empty() {
            return Err(Quarantine::malformed("the value is empty"));
        }
        if !text.trim_start().starts_with('{') {
            return Err(Quarantine::malformed("the value is not a JSON object"));
        }
        *record = Record::default();
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
    if error.is_data() { error.to_string() } else { format!("the value is not JSON: {error}") }
}

fn check_version(version: Raw<'_>) -> Result<(), Quarantine> {
    match filled(Field::SchemaVersion.name(), Some(version)) {
        Ok(None) => Ok(()),
        Ok(Some(text)) if canonical_id(trim(&text)) == "1" => Ok(()),
        _ => Err(Quarantine::new(
            QuarantineReason::UnsupportedVersion,
            format_args!("schemaVersion is {}; this relay reads version 1", version.0),
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
        for version in [r#""1.1""#, "1.5", "true", "[1]", r#""one""#] {
            let text = format!("{{\"schemaVersion\":{version}}}");
            refused(text.as_bytes(), UnsupportedVersion, version);
        }
        assert!(parse(None).is_err());
    }

    #[test]
    fn version_one_in_every_form() {
        for version in ["1", "1.0", "1e0", r#""1""#, r#"" 1.0 ""#, "null", r#""""#, r#""null""#] {
            let text = format!("{{\"schemaVersion\":{version}}}");
            assert!(parse(Some(text.as_bytes())).is_ok(), "{text}");
        }
    }

    #[test]
    fn a_key_in_another_case_is_the_same_key() {
        for (key, known) in [
            ("dataCenter", true),
            ("DATACENTER", true),
            ("Datacenter", true),
            ("metadata", true),
            ("ACCOUNTID", true),
            ("userid", true),
            ("openidconnectusername", true),
            ("data center", false),
            ("datacentre", false),
            ("", false),
            ("Ü", false),
        ] {
            assert_eq!(Field::of(key.as_bytes()).is_some(), known, "{key}");
        }
        let twice = br#"{"datacenter":"dal10","dataCenter":null}"#;
        refused(twice, QuarantineReason::Malformed, "duplicate field `datacenter`");
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

    /// Tests every known field with every kind of plain value: alone, after another, and
    /// duplicated.
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
                let mixed = twice.replacen(name, &name.to_uppercase(), 1);
                assert_eq!(by_serde(&mixed).is_none(), name != "other", "{mixed}");
                assert_eq!(plainly(&mixed), by_serde(&mixed), "{mixed}");
            }
        }
    }
}
