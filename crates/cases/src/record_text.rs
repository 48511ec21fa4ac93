//! A record as text in the layout of the examples. Fields are changed individually, so that the
//! others keep their bytes.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

/// The fields of a record, in order, each value as raw text.
pub(crate) struct RecordText(Vec<(String, String)>);

impl RecordText {
    /// Parses the fields of an object.
    pub(crate) fn parse(text: &[u8]) -> Result<RecordText, serde_json::Error> {
        serde_json::from_slice(text)
    }

    /// Removes the fields `without`. Each field of `change` replaces the one with the same name, or
    /// is appended.
    pub(crate) fn changed(mut self, without: &[String], change: RecordText) -> RecordText {
        let RecordText(fields) = &mut self;
        fields.retain(|(name, _)| !without.contains(name));
        for (name, value) in change.0 {
            let value = indented(value);
            match fields.iter_mut().find(|(known, _)| *known == name) {
                Some((_, old)) => *old = value,
                None => fields.push((name, value)),
            }
        }
        self
    }

    /// Writes the record.
    pub(crate) fn write(&self) -> Vec<u8> {
        let field =
            |(name, value): &(String, String)| format!("  {}: {value}", Value::from(name.as_str()));
        let fields: Vec<String> = self.0.iter().map(field).collect();
        format!("{{\n{}\n}}\n", fields.join(",\n")).into_bytes()
    }
}

/// Indents lists and objects as in the examples.
fn indented(value: String) -> String {
    if !value.starts_with(['{', '[']) {
        return value;
    }
    let parsed: Value = serde_json::from_str(&value).expect("already parsed as JSON");
    let pretty = serde_json::to_string_pretty(&parsed).expect("JSON");
    pretty.replace('\n', "\n  ")
}

impl<'de> Deserialize<'de> for RecordText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Fields)
    }
}

struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = RecordText;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RecordText, A::Error> {
        let mut fields = Vec::new();
        while let Some((name, value)) = map.next_entry::<String, Box<RawValue>>()? {
            fields.push((name, value.get().to_string()));
        }
        Ok(RecordText(fields))
    }
}
