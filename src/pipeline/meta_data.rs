//! The `metaData` of a state change: JSON inside a string, or an object, or nothing. Kept as text
//! until a listed, user-initiated event needs to look into it. It does not know which keys matter.

use std::borrow::Cow;
use std::fmt::Write;

use serde_json::{Map, Value};

use super::field::Raw;

/// `metaData`, unparsed.
#[derive(Debug, Clone)]
pub struct MetaData<'a> {
    text: Cow<'a, str>,
}

impl<'a> MetaData<'a> {
    /// Takes the raw JSON of the field; a string is decoded, anything else stays as it is.
    ///
    /// # Errors
    /// A string that cannot be decoded (a lone surrogate).
    pub fn new(raw: Option<Raw<'a>>) -> Result<Self, String> {
        let raw = raw.map_or("", |Raw(json)| json);
        let text = match raw.strip_prefix('"') {
            None => Cow::Borrowed(raw),
            Some(rest) => match rest.strip_suffix('"') {
                Some(plain) if !plain.contains('\\') => Cow::Borrowed(plain),
                _ => Cow::Owned(
                    serde_json::from_str(raw).map_err(|error| format!("metaData: {error}"))?,
                ),
            },
        };
        Ok(MetaData { text })
    }

    /// The text that identifies this metadata, for the event id.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The attributes inside.
    ///
    /// # Errors
    /// Says what is there instead of an object.
    pub fn attributes(&self) -> Result<Map<String, Value>, String> {
        let text = self.text.trim();
        // PHP writes an empty map as an empty list.
        if matches!(text, "" | "null" | "[]") {
            return Ok(Map::new());
        }
        let parsed = match serde_json::from_str(text) {
            Err(_) if text.bytes().any(|byte| byte < b' ') => {
                serde_json::from_str(&escape_control_characters(text))
            }
            parsed => parsed,
        };
        match parsed {
            Ok(Value::Object(attributes)) => Ok(attributes),
            Ok(_) => Err("metaData is JSON, but not an object".to_string()),
            Err(error) => Err(format!("metaData is not JSON: {error}")),
        }
    }
}

/// Upstream writes line breaks and tabs raw inside the strings of the inner JSON.
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

    fn attributes(json: &str) -> Result<String, String> {
        let attributes = MetaData::new(Some(Raw(json)))?.attributes()?;
        Ok(Value::Object(attributes).to_string())
    }

    #[test]
    fn every_form_upstream_uses() {
        let cases = [
            (r#"{"speed":0}"#, r#"{"speed":0}"#),
            (r#""{\"speed\":0}""#, r#"{"speed":0}"#),
            (r#""""#, "{}"),
            (r#""  ""#, "{}"),
            (r#""[]""#, "{}"),
            ("[]", "{}"),
            ("null", "{}"),
            (r#""{\n\t\"a\":\"b\"}""#, r#"{"a":"b"}"#),
            (r#""{\"a\":\"b\n\tc\"}""#, r#"{"a":"b\n\tc"}"#),
            (r#""{\"a\":\"\\\"\nb\"}""#, r#"{"a":"\"\nb"}"#),
        ];
        for (input, expected) in cases {
            assert_eq!(attributes(input).as_deref(), Ok(expected), "{input}");
        }
    }

    #[test]
    fn anything_else_is_named() {
        for (input, detail) in [
            (r#""port 0""#, "not JSON"),
            ("[1]", "not an object"),
            ("7", "not an object"),
            (r#""{\"a\":1e999}""#, "not JSON"),
        ] {
            let error = attributes(input).expect_err(input);
            assert!(error.contains(detail), "{input}: {error}");
        }
    }
}
