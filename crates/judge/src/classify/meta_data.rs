//! The `metaData` of a state change: JSON inside a string, or an object, or nothing. It stays text
//! until a listed, user-initiated event needs its content. The caller names the keys that matter.

use std::borrow::Cow;
use std::fmt::{self, Write};

use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::catalog::{Attribute, Attributes, Keys};
use crate::json::Raw;
use crate::json::bytes::has_escapes;
use crate::json::nested;
use crate::json::nested::Key;
use crate::text::{is_absent, trim};

/// `metaData`, unparsed.
#[derive(Debug, Clone)]
pub struct MetaData<'a> {
    text: Cow<'a, str>,
}

/// Why attributes are not available.
#[derive(Debug, PartialEq, Eq)]
pub enum MetaDataProblem {
    /// The value is not an object. An action that needs no attribute can still be audited.
    Unreadable(String),
    /// An attribute that matters is duplicated, so its value is unknown.
    Ambiguous(String),
}

impl<'a> MetaData<'a> {
    /// Takes the raw JSON of the field. Decodes a string and keeps anything else unchanged.
    pub fn new(raw: Option<Raw<'a>>) -> Self {
        let raw = raw.map_or("", |Raw(json)| json);
        let text = match raw.as_bytes() {
            [b'"', inside @ .., b'"'] if !has_escapes(inside) => {
                Cow::Borrowed(&raw[1..raw.len() - 1])
            }
            [b'"', ..] => nested::string(raw).map_or(Cow::Borrowed(raw), Cow::Owned),
            _ => Cow::Borrowed(raw),
        };
        MetaData { text }
    }

    /// Returns the text that identifies this metadata, for the event id.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the attributes that have one of these keys.
    ///
    /// # Errors
    /// Describes the value if it is not an object, or names the duplicated key.
    pub fn attributes<'c>(&self, keys: &'c Keys) -> Result<Attributes<'c>, MetaDataProblem> {
        let text = trim(&self.text);
        // PHP writes an empty map as an empty list, and a missing one as false.
        if is_absent(text) || matches!(text, "[]" | "false") {
            return Ok(Attributes::default());
        }
        let read = match read(text, keys) {
            Err(_) if text.bytes().any(|byte| byte < b' ') => {
                read(&escape_control_characters(text), keys)
            }
            read => read,
        };
        let reading = read.map_err(|error| {
            MetaDataProblem::Unreadable(if error.is_data() {
                "metaData is JSON, but not an object".to_owned()
            } else {
                format!("metaData is not JSON: {error}")
            })
        })?;
        reading.finish()
    }
}

fn read<'c>(text: &str, keys: &'c Keys) -> serde_json::Result<Reading<'c>> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let reading = deserializer.deserialize_map(Reading {
        keys,
        found: Vec::new(),
        has_members: false,
        twice: None,
    })?;
    deserializer.end()?;
    Ok(reading)
}

/// An object being read.
struct Reading<'c> {
    keys: &'c Keys,
    /// Position, key as written and value of each attribute found.
    found: Vec<(usize, String, Option<Attribute>)>,
    has_members: bool,
    /// A duplicated key.
    twice: Option<String>,
}

impl<'c> Reading<'c> {
    fn put(&mut self, position: usize, key: Cow<'_, str>, value: &RawValue) {
        let attribute = self.keys.attribute(position, Raw(value.get()));
        let met = self.found.iter_mut().find(|(met, _, _)| *met == position);
        match met {
            None => self.found.push((position, key.into_owned(), attribute)),
            // Another name of the attribute may repeat it, with the same value.
            Some((_, other, before)) if !other.eq_ignore_ascii_case(&key) => {
                let differs = attribute.is_some() && before.is_some() && attribute != *before;
                *before = before.take().or(attribute);
                if differs {
                    self.twice = Some(format!("{other} and {key}"));
                }
            }
            Some(_) => self.twice = Some(key.into_owned()),
        }
    }

    fn finish(self) -> Result<Attributes<'c>, MetaDataProblem> {
        if let Some(keys) = self.twice {
            return Err(MetaDataProblem::Ambiguous(format!("metaData says twice what {keys} is")));
        }
        let mut values = Vec::new();
        for (position, _, attribute) in self.found {
            if values.len() <= position {
                values.resize(position + 1, None);
            }
            values[position] = attribute;
        }
        Ok(Attributes::new(self.keys, values, self.has_members))
    }
}

impl<'de, 'c> Visitor<'de> for Reading<'c> {
    type Value = Reading<'c>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Self, A::Error> {
        while let Some(Key(key)) = map.next_key()? {
            self.has_members = true;
            match self.keys.position(&key) {
                None => _ = map.next_value::<IgnoredAny>()?,
                Some(position) => self.put(position, key, map.next_value()?),
            }
        }
        Ok(self)
    }
}

/// Escapes the line breaks and tabs that upstream writes raw inside the strings of the inner JSON.
fn escape_control_characters(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + 16);
    let (mut in_string, mut after_backslash) = (false, false);
    for c in text.chars() {
        if in_string && c < ' ' {
            // Writing to a String cannot fail.
            let _ = write!(escaped, "\\u{:04x}", c as u32);
        } else {
            escaped.push(c);
        }
        if c == '"' && !after_backslash {
            in_string = !in_string;
        }
        after_backslash = c == '\\' && !after_backslash;
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the keys of a speed update's row in the shipped catalogue.
    fn keys() -> Keys {
        use crate::catalog::{Catalog, Switches};
        let catalog = Catalog::load(&Catalog::embedded_files(), &Switches::default());
        let catalog = catalog.expect("the shipped catalogue is good");
        let listing = catalog.listed("Server", None, Some("Port Speed Update"));
        listing.expect("is listed").keys().clone()
    }

    fn speed(json: &str) -> Result<Option<String>, MetaDataProblem> {
        let keys = keys();
        let attributes = MetaData::new(Some(Raw(json))).attributes(&keys)?;
        Ok(attributes.text("speed").map(str::to_owned))
    }

    #[test]
    fn every_form_upstream_uses() {
        for (input, expected) in [
            (r#"{"speed":0}"#, Some("0")),
            (r#""{\"speed\":0}""#, Some("0")),
            (r#""""#, None),
            (r#""  ""#, None),
            (r#""[]""#, None),
            ("[]", None),
            ("null", None),
            ("false", None),
            (r#""None""#, None),
            (r#""{\n\t\"speed\":\"b\"}""#, Some("b")),
            (r#""{\"speed\":\"b\n\tc\"}""#, Some("b\n\tc")),
            (r#""{\"speed\":\"\\\"\nb\"}""#, Some("\"\nb")),
            (r#"{"speed":1e400}"#, Some("1e400")),
            (r#"{"speed":123456789012345678901234567890}"#, Some("123456789012345678901234567890")),
            (r#"{"speed":true}"#, Some("true")),
            (r#"{"SPEED":"1\ud83d"}"#, Some("1\u{fffd}")),
            (r#"{"more":1,"more":2,"newSpeed":7}"#, Some("7")),
        ] {
            assert_eq!(speed(input), Ok(expected.map(str::to_owned)), "{input}");
        }
    }

    #[test]
    fn anything_else_is_unreadable() {
        for (input, detail) in [
            (r#""port 0""#, "not JSON"),
            (r#""{\"a\":\"b""#, "not JSON"),
            ("[1]", "not an object"),
            ("7", "not an object"),
            ("true", "not an object"),
            (r#"{"a":1}{}"#, "not JSON"),
        ] {
            let Err(MetaDataProblem::Unreadable(problem)) = speed(input) else {
                panic!("{input} must be unreadable");
            };
            assert!(problem.contains(detail), "{input}: {problem}");
        }
    }

    #[test]
    fn what_is_said_twice_is_ambiguous() {
        for input in [
            r#"{"speed":0,"speed":1000}"#,
            r#"{"speed":0,"speed":0}"#,
            r#"{"speed":0,"Speed":1000}"#,
            r#"{"speed":100,"newSpeed":0}"#,
            r#"{"port":1,"port":null}"#,
        ] {
            let found = speed(input);
            assert!(matches!(found, Err(MetaDataProblem::Ambiguous(_))), "{input}: {found:?}");
        }
    }
}
