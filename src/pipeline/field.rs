//! The fields of JSON records as they come, and the ids in them: read tolerantly, checked once. It does not
//! know which fields a record has.

use std::borrow::Cow;
use std::fmt;

use compact_str::CompactString;

use super::json::has_escapes;

/// An id that is safe inside keys and CRNs: 1 to 64 characters of `[A-Za-z0-9_-]`.
pub type Id = CompactString;

/// The JSON of a field that is there and not `null`, as it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Raw<'a>(pub &'a str);

impl<'a> Raw<'a> {
    /// The value of a field that is text: a string, borrowed if it has no escapes, or a whole number.
    ///
    /// # Errors
    /// What is there instead.
    fn text(self) -> Result<Cow<'a, str>, Cow<'static, str>> {
        let Raw(json) = self;
        Err(Cow::Borrowed(match json.as_bytes() {
            [b'"', inside @ .., b'"'] if !has_escapes(inside) => {
                return Ok(Cow::Borrowed(&json[1..json.len() - 1]));
            }
            [b'"', ..] => {
                let decoded = serde_json::from_str(json).map(Cow::Owned);
                return decoded.map_err(|error| Cow::Owned(format!("no text: {error}")));
            }
            [b't' | b'f', ..] => "a boolean",
            [b'[', ..] => "a list",
            [b'{', ..] => "an object",
            _ if json.parse::<u64>().is_ok() => return Ok(Cow::Borrowed(json)),
            _ if json.parse::<i64>().is_ok_and(i64::is_negative) => "a negative number",
            _ => "a fraction or too large a number",
        }))
    }
}

impl<'a> Raw<'a> {
    /// Its text, if it is text, so that a number and the same number as text are the same; else its JSON as it stands.
    pub(super) fn read_form(self) -> Cow<'a, str> {
        self.text().unwrap_or(Cow::Borrowed(self.0))
    }
}

/// For people.
impl fmt::Display for Raw<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.text() {
            Ok(text) => f.write_str(text.trim()),
            Err(what) => write!(f, "({what})"),
        }
    }
}

/// The text of a field that is present and not blank.
pub(super) fn filled<'a>(
    field: &str,
    raw: Option<Raw<'a>>,
) -> Result<Option<Cow<'a, str>>, String> {
    match raw.map(Raw::text) {
        None => Ok(None),
        Some(Ok(text)) => Ok(Some(text).filter(|text| !is_blank(text))),
        Some(Err(what)) => Err(format!(
            "{field} is {what}, expected a string or a whole number"
        )),
    }
}

/// Whether there is nothing but white space. Most texts begin with something else.
fn is_blank(text: &str) -> bool {
    let first = text.bytes().next();
    !first.is_some_and(|first| first.is_ascii_graphic()) && text.trim_start().is_empty()
}

/// A field that is an id, or absent.
pub(super) fn id(field: &str, raw: Option<Raw<'_>>) -> Result<Option<Id>, String> {
    let Some(text) = filled(field, raw)? else {
        return Ok(None);
    };
    let id = text.trim();
    if !is_id(id) {
        return Err(format!(
            "{field} is not an id of 1 to 64 letters, digits, '_' or '-': {id:?}"
        ));
    }
    Ok(Some(Id::from(id)))
}

/// `iamId`, or nothing.
pub(super) fn iam_id(raw: Option<Raw<'_>>) -> Result<Option<Cow<'_, str>>, String> {
    let Some(text) = filled("iamId", raw)? else {
        return Ok(None);
    };
    if is_iam_id(&text) {
        Ok(Some(text))
    } else {
        Err(format!("iamId is not an IAM identity: {text:?}"))
    }
}

/// Whether a text is an [`Id`].
pub fn is_id(text: &str) -> bool {
    let legal = |c: u8| c.is_ascii_alphanumeric() || c == b'_' || c == b'-';
    // A leading minus can only be a negative number: no upstream id is one.
    (1..=64).contains(&text.len()) && text.bytes().all(legal) && !text.starts_with('-')
}

/// Whether a text can be an IAM identity: 1 to 128 characters of `[A-Za-z0-9_.@:-]`.
pub fn is_iam_id(text: &str) -> bool {
    let legal = |c: u8| c.is_ascii_alphanumeric() || b"_.@:-".contains(&c);
    (1..=128).contains(&text.len()) && text.bytes().all(legal)
}
