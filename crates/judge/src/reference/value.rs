//! Single values of entries: ids, texts, flags and times, accepted in every form that producers
//! write. The caller names the field, so that an error can name it.

use std::borrow::Cow;

use jiff::Timestamp;

use super::object::Json;
use crate::json::number::whole;
use crate::parse::field::{Id, is_iam_id, is_id};

/// What some producers write for a missing value.
const ABSENT: [&str; 4] = ["null", "none", "nil", "undefined"];

/// Trims blank characters from a text, including the byte order mark, which JSON Schema counts as
/// blank.
pub(super) fn trimmed(text: &str) -> &str {
    // Most texts begin and end with plain characters.
    let is_plain = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_graphic);
    if is_plain(text.as_bytes().first()) && is_plain(text.as_bytes().last()) {
        return text;
    }
    text.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}')
}

/// Returns whether the text of a name or an id means that there is none.
pub(super) fn is_absent(text: &str) -> bool {
    let text = trimmed(text);
    // Usually the text is longer than the longest of the words.
    text.len() <= 9 && (text.is_empty() || ABSENT.iter().any(|it| it.eq_ignore_ascii_case(text)))
}

impl<'a> Json<'a> {
    /// Reads an id; `None` if it is blank. Ids of the tables become part of CRNs and keys as those
    /// of records do, so they are restricted in the same way.
    pub(super) fn id(self, field: &str) -> Result<Option<Id>, String> {
        let Some(json) = self.0 else { return Ok(None) };
        if !json.starts_with('"') {
            let number = whole_number(json);
            let refuse =
                || format!("{field} is not an id, which is a whole number or a string: {json:.80}");
            return number.map(Some).ok_or_else(refuse);
        }
        let text = self.string(field)?.unwrap_or_default();
        let text = trimmed(&text);
        if is_absent(text) {
            Ok(None)
        } else if is_id(text) {
            Ok(Some(Id::from(text)))
        } else {
            Err(format!("{field} is not an id of 1 to 64 letters, digits, '_' or '-': {text:.80?}"))
        }
    }

    /// Reads an IAM id; `None` if it is blank.
    pub(super) fn iam_id(self) -> Result<Option<Cow<'a, str>>, String> {
        let id = self.name("iamId")?;
        match id {
            Some(id) if !is_iam_id(&id) => Err(format!("iamId is not an IAM identity: {id:.80?}")),
            id => Ok(id),
        }
    }

    /// Reads a text; `None` if it is blank.
    pub(super) fn name(self, field: &str) -> Result<Option<Cow<'a, str>>, String> {
        let text = self.string(field)?;
        Ok(text.filter(|text| !is_absent(text)))
    }

    /// Reads a string.
    pub(super) fn string(self, field: &str) -> Result<Option<Cow<'a, str>>, String> {
        let Some(json) = self.0 else { return Ok(None) };
        let inside = json.strip_prefix('"').and_then(|it| it.strip_suffix('"'));
        match inside {
            None => Err(format!("{field} is not a string: {json:.80}")),
            Some(text) if !text.contains('\\') => Ok(Some(Cow::Borrowed(text))),
            Some(_) => {
                let decoded = serde_json::from_str(json).map(Cow::Owned);
                decoded.map(Some).map_err(|error| format!("{field} is not a string: {error}"))
            }
        }
    }

    /// Reads yes or no.
    pub(super) fn flag(self, field: &str) -> Result<Option<bool>, String> {
        match self.0 {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(other) => Err(format!("{field} is not true or false: {other:.80}")),
        }
    }

    /// Reads a time.
    pub(super) fn time(self, field: &str) -> Result<Option<Timestamp>, String> {
        let Some(text) = self.string(field)? else {
            return Ok(None);
        };
        let refuse = |_| {
            format!(
                "{field} is not a time with an offset, such as 2018-01-01T00:00:00Z: {text:.80?}"
            )
        };
        text.parse().map(Some).map_err(refuse)
    }
}

/// Returns the id that a JSON number represents. An integer may be written with a fraction or an
/// exponent, and is read exactly.
fn whole_number(json: &str) -> Option<Id> {
    whole(json).ok().map(Id::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_read_exactly_however_they_are_written() {
        let cases = [
            ("7", "7"),
            ("7.0", "7"),
            ("7.00e0", "7"),
            ("1e3", "1000"),
            ("1E+3", "1000"),
            ("12.5e1", "125"),
            ("1500e-2", "15"),
            ("0", "0"),
            ("0.0", "0"),
            ("-0", "0"),
            ("9007199254740993.0", "9007199254740993"),
            ("18446744073709551615", "18446744073709551615"),
            ("1.8446744073709551615e19", "18446744073709551615"),
        ];
        for (json, id) in cases {
            assert_eq!(whole_number(json).as_deref(), Some(id), "{json}");
        }
        let refused = [
            "7.5",
            "1e-3",
            "-7",
            "-7.0",
            "18446744073709551616",
            "1e20",
            "1e999999999999",
            "1e99999999999999999999",
            "true",
            "[7]",
            "{}",
        ];
        for json in refused {
            assert_eq!(whole_number(json), None, "{json}");
        }
    }

    #[test]
    fn words_for_nothing_are_nothing() {
        for text in ["", " ", "null", "None", " NIL ", "undefined"] {
            assert!(is_absent(text), "{text:?}");
            let json = format!("{text:?}");
            assert_eq!(Json(Some(&json)).id("userId"), Ok(None));
            assert_eq!(Json(Some(&json)).name("name"), Ok(None));
        }
        for text in ["nobody", "nullable", "0", "undefined1"] {
            assert!(!is_absent(text), "{text:?}");
        }
    }
}
