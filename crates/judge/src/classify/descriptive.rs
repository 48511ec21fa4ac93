//! The fields of a record that decide nothing: names, addresses, agents, reasons. None of them can
//! keep an action out of the trail. A field with one obvious reading is read. Any other is left
//! out, and the event lists it as unreadable.

use std::borrow::Cow;

use crate::json::Raw;
use crate::json::nested;
use crate::parse::field::Plain;
use crate::parse::record::{Field, Fields, Record};

/// Reads the fields of one record and remembers which could not be read.
pub(crate) struct Descriptive<'r, 'a> {
    record: &'r Record<'a>,
    unreadable: Fields,
}

impl<'r, 'a> Descriptive<'r, 'a> {
    pub(crate) fn of(record: &'r Record<'a>) -> Self {
        Descriptive { record, unreadable: Fields::default() }
    }

    /// Returns the fields that could not be read.
    pub(crate) fn unreadable(self) -> Fields {
        self.unreadable
    }

    /// Returns whether a field was requested, is present and could not be read.
    pub(crate) fn is_unreadable(&self, field: Field) -> bool {
        self.unreadable.contains(field)
    }

    /// Reads a text field.
    pub(crate) fn text(&mut self, field: Field) -> Option<Cow<'a, str>> {
        self.read(field, Raw::plain)
    }

    /// Reads `ipAddress`: one address, or a list in the order in which proxies appended them.
    pub(crate) fn addresses(&mut self) -> Option<Cow<'a, str>> {
        self.read(Field::IpAddress, |raw| match raw.0.as_bytes() {
            [b'[', ..] => addresses(raw.0),
            _ => raw.plain(),
        })
    }

    /// Reads `reasonForFailure`: text, or the text inside an error object as APIs return it. The
    /// rest of such an object could contain anything.
    pub(crate) fn reason(&mut self) -> Option<Cow<'a, str>> {
        self.read(Field::ReasonForFailure, |raw| match raw.0.as_bytes() {
            [b'{', _, _, ..] => reason(raw.0),
            _ => raw.plain(),
        })
    }

    fn read(
        &mut self,
        field: Field,
        read: impl FnOnce(Raw<'a>) -> Plain<'a>,
    ) -> Option<Cow<'a, str>> {
        match read(self.record.raw(field)?) {
            Plain::Absent => None,
            Plain::Text(text) => Some(text),
            Plain::Unreadable => {
                self.unreadable.insert(field);
                None
            }
        }
    }
}

fn addresses(list: &str) -> Plain<'_> {
    let Some(items) = nested::items(list) else {
        return Plain::Unreadable;
    };
    let texts: Vec<_> = items
        .iter()
        .filter_map(|item| match item.plain() {
            Plain::Text(text) => Some(text),
            Plain::Absent | Plain::Unreadable => None,
        })
        .collect();
    match (items.is_empty(), texts.is_empty()) {
        (true, _) => Plain::Absent,
        (false, true) => Plain::Unreadable,
        (false, false) => Plain::Text(Cow::Owned(texts.join(","))),
    }
}

fn reason(error: &str) -> Plain<'_> {
    let members = ["message", "error", "reason", "description", "detail"];
    let members = nested::members(error, members).unwrap_or_default();
    let texts = members.into_iter().flatten().map(Raw::plain);
    let mut texts = texts.filter(|text| matches!(text, Plain::Text(_)));
    texts.next().unwrap_or(Plain::Unreadable)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::record::parse;

    fn read(
        value: &str,
        field: Field,
        read: impl FnOnce(&mut Descriptive<'_, '_>) -> Option<String>,
    ) -> (Option<String>, bool) {
        let text = format!("{{\"{}\":{value}}}", field.name());
        let record = parse(Some(text.as_bytes())).expect("has the form of a record");
        let mut descriptive = Descriptive::of(&record);
        let text = read(&mut descriptive);
        (text, !descriptive.unreadable().is_empty())
    }

    #[test]
    fn what_decides_nothing_is_read_or_left_out() {
        let there = |text: &str| (Some(text.to_string()), false);
        let absent = (None, false);
        let unreadable = (None, true);
        for (value, expected) in [
            (r#""web01""#, there("web01")),
            (r#""web\ud83d""#, there("web\u{fffd}")),
            (r#"" ""#, absent.clone()),
            (r#""NULL""#, absent.clone()),
            ("null", absent.clone()),
            ("false", absent.clone()),
            ("[]", absent.clone()),
            ("{}", absent.clone()),
            ("7", there("7")),
            ("7.0", there("7")),
            ("-1.5", there("-1.5")),
            ("1e400", there("1e400")),
            (r#"["web01"]"#, there("web01")),
            (r#"["web01","web02"]"#, unreadable.clone()),
            ("[[1]]", unreadable.clone()),
            (r#"{"a":1}"#, unreadable.clone()),
            ("true", unreadable.clone()),
        ] {
            let found =
                read(value, Field::Label, |fields| fields.text(Field::Label).map(Cow::into_owned));
            assert_eq!(found, expected, "{value}");
        }
    }

    #[test]
    fn addresses_may_be_a_list() {
        for (value, expected) in [
            (r#"["192.0.2.10","198.51.100.7"]"#, Some("192.0.2.10,198.51.100.7")),
            (r#"[null,"192.0.2.10"]"#, Some("192.0.2.10")),
            ("[[1,2],{}]", None),
            ("true", None),
        ] {
            let (found, unreadable) =
                read(value, Field::IpAddress, |fields| fields.addresses().map(Cow::into_owned));
            assert_eq!(found.as_deref(), expected, "{value}");
            assert_eq!(unreadable, expected.is_none(), "{value}");
        }
    }

    #[test]
    fn a_reason_may_be_an_object_with_a_message() {
        for (value, expected) in [
            (r#"{"code":"SoftLayer_Exception","message":"busy"}"#, Some("busy")),
            (r#"{"Error":"busy","password":"x"}"#, Some("busy")),
            (r#"{"password":"x"}"#, None),
            (r#"{"message":{"a":1},"error":"busy"}"#, Some("busy")),
            (r#""busy""#, Some("busy")),
        ] {
            let (found, unreadable) =
                read(value, Field::ReasonForFailure, |fields| fields.reason().map(Cow::into_owned));
            assert_eq!(found.as_deref(), expected, "{value}");
            assert_eq!(unreadable, expected.is_none(), "{value}");
        }
    }
}
