//! Reads a record that is plain JSON, as most are: the same fields as serde would, or nothing. A property test holds
//! the two together.

use std::borrow::Cow;

use super::field::{Raw, Text};
use super::plain_json::{Plain, PlainObject};
use super::record::{Behalf, Record};

/// The record, or `None` where that is for serde to find out.
pub(super) fn read(text: &str) -> Option<Record<'_>> {
    let mut object = PlainObject::begin(text)?;
    let mut reading = Reading::default();
    loop {
        let (key, value) = object.field()?;
        reading.take(key, value)?;
        if !object.has_more()? {
            return Some(reading.record);
        }
    }
}

#[derive(Default)]
struct Reading<'a> {
    record: Record<'a>,
    /// One bit for each known field: one that stands twice is malformed.
    seen: u32,
}

impl<'a> Reading<'a> {
    fn take(&mut self, key: &str, value: Plain<'a>) -> Option<()> {
        match key {
            "accountId" => self.text(0, value, |record| &mut record.account_id),
            "objectName" => self.text(1, value, |record| &mut record.object_name),
            "objectId" => self.text(2, value, |record| &mut record.object_id),
            "eventKey" => self.text(3, value, |record| &mut record.event_key),
            "eventName" => self.text(4, value, |record| &mut record.event_name),
            "eventCreateDate" => self.text(5, value, |record| &mut record.event_create_date),
            "userType" => self.text(6, value, |record| &mut record.user_type),
            "userId" => self.text(7, value, |record| &mut record.user_id),
            "username" => self.text(8, value, |record| &mut record.username),
            "openIdConnectUserName" => {
                self.text(9, value, |record| &mut record.open_id_connect_user_name)
            }
            "iamId" => self.text(10, value, |record| &mut record.iam_id),
            "credentialType" => self.text(11, value, |record| &mut record.credential_type),
            "ipAddress" => self.text(12, value, |record| &mut record.ip_address),
            "userAgent" => self.text(13, value, |record| &mut record.user_agent),
            "label" => self.text(14, value, |record| &mut record.label),
            "datacenter" => self.text(15, value, |record| &mut record.datacenter),
            "outcome" => self.text(16, value, |record| &mut record.outcome),
            "reasonCode" => self.text(17, value, |record| &mut record.reason_code),
            "reasonForFailure" => self.text(18, value, |record| &mut record.reason_for_failure),
            "traceId" => self.text(19, value, |record| &mut record.trace_id),
            "eventId" => self.text(20, value, |record| &mut record.event_id),
            "schemaVersion" => self.raw(21, value, |record| &mut record.schema_version),
            "previousState" => self.raw(22, value, |record| &mut record.previous_state),
            "newState" => self.raw(23, value, |record| &mut record.new_state),
            "metaData" => self.raw(24, value, |record| &mut record.meta_data),
            "onBehalfOf" => self.behalf(25, value),
            _ => Some(()),
        }
    }

    fn see(&mut self, number: u32) -> Option<()> {
        let is_new = self.seen & 1 << number == 0;
        self.seen |= 1 << number;
        is_new.then_some(())
    }

    fn text(
        &mut self,
        number: u32,
        value: Plain<'a>,
        field: impl for<'r> FnOnce(&'r mut Record<'a>) -> &'r mut Option<Text<'a>>,
    ) -> Option<()> {
        self.see(number)?;
        *field(&mut self.record) = match value {
            Plain::String { text, .. } if text.contains('\\') => return None,
            Plain::String { text, .. } => Some(Text::Written(Cow::Borrowed(text))),
            Plain::Number(digits) => Some(Text::Number(digits.parse().ok()?)),
            Plain::Boolean(_) => Some(Text::Other("a boolean")),
            Plain::EmptyObject => Some(Text::Other("an object")),
            Plain::EmptyList => Some(Text::Other("a list")),
            Plain::Null => None,
        };
        Some(())
    }

    fn raw(
        &mut self,
        number: u32,
        value: Plain<'a>,
        field: impl for<'r> FnOnce(&'r mut Record<'a>) -> &'r mut Option<Raw<'a>>,
    ) -> Option<()> {
        self.see(number)?;
        *field(&mut self.record) = match value {
            Plain::Null => None,
            other => Some(Raw(other.json())),
        };
        Some(())
    }

    /// One with something in it is not plain.
    fn behalf(&mut self, number: u32, value: Plain<'a>) -> Option<()> {
        self.see(number)?;
        self.record.on_behalf_of = match value {
            Plain::EmptyObject => Some(Behalf::default()),
            Plain::Null => None,
            _ => return None,
        };
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every known field once, with each kind of plain value, alone and after another.
    #[test]
    fn the_fields_are_those_that_serde_reads() {
        let schema = include_str!("../../schemas/state-change.schema.json");
        let schema: serde_json::Value = serde_json::from_str(schema).expect("JSON");
        let names = schema["properties"].as_object().expect("properties").keys();
        let mut plain = 0;
        for name in names {
            for value in [r#""a""#, "7", "true", "null", "{}", "[]", r#""\"""#] {
                let text = format!(r#"{{"other":1,"{name}":{value}}}"#);
                let Some(record) = read(&text) else { continue };
                plain += 1;
                let expected: Record<'_> = serde_json::from_str(&text).expect(&text);
                assert_eq!(record, expected, "{text}");
                let twice = format!(r#"{{"{name}":{value},"{name}":{value}}}"#);
                let is_known = serde_json::from_str::<Record<'_>>(&twice).is_err();
                assert_eq!(read(&twice).is_none(), is_known, "{twice}");
            }
        }
        assert!(plain > 150, "only {plain} were plain");
    }
}
