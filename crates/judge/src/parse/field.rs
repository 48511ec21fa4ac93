//! Reads the fields of JSON records, and the ids in them: tolerant of their form, checked once. It
//! does not know which fields a record has.

use std::borrow::Cow;
use std::fmt;

use compact_str::CompactString;

use crate::json::Raw;
use crate::json::bytes::has_escapes;
use crate::json::nested;
use crate::json::number::whole;
use crate::text::{clean, is_absent, trim};

/// An id that is safe inside keys and CRNs: 1 to 64 characters of `[A-Za-z0-9_-]`.
pub type Id = CompactString;

impl<'a> Raw<'a> {
    /// Returns the text of a field: a string, borrowed if it has no escapes, or a whole number.
    ///
    /// # Errors
    /// Describes the value if it is neither.
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
            _ => return whole(json).map_err(Cow::Borrowed),
        }))
    }

    /// Returns its text, so that a number and the same number as text are equal. A value that is
    /// not text is returned as its JSON.
    pub(crate) fn read_form(self) -> Cow<'a, str> {
        self.text().unwrap_or(Cow::Borrowed(self.0))
    }

    /// Reads a field that decides nothing, if there is one obvious way to read it.
    pub(crate) fn plain(self) -> Plain<'a> {
        match self.0.as_bytes() {
            [b'[', ..] => match nested::items(self.0).as_deref() {
                Some([]) => Plain::Absent,
                Some([only]) if !matches!(only.0.as_bytes(), [b'[' | b'{', ..]) => only.plain(),
                _ => Plain::Unreadable,
            },
            // PHP writes an empty object, an empty list or false for a missing value.
            b"{}" | b"false" => Plain::Absent,
            [b'{' | b't', ..] => Plain::Unreadable,
            _ => Plain::of(self.lenient_text()),
        }
    }

    /// Returns the text of a string or of any number.
    pub(crate) fn lenient_text(self) -> Option<Cow<'a, str>> {
        match self.text() {
            Ok(text) => Some(text),
            Err(_) if self.0.starts_with('"') => nested::string(self.0).map(Cow::Owned),
            // A number that is not whole, as written.
            Err(_) => Some(Cow::Borrowed(self.0)),
        }
    }
}

/// The value of a field that decides nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Plain<'a> {
    /// Nothing.
    Absent,
    /// Text.
    Text(Cow<'a, str>),
    /// A value that cannot be read as text.
    Unreadable,
}

impl<'a> Plain<'a> {
    /// Classifies a text, which may be one of the words for nothing.
    pub(crate) fn of(text: Option<Cow<'a, str>>) -> Self {
        match text {
            Some(text) if is_absent(&text) => Plain::Absent,
            Some(text) => Plain::Text(text),
            None => Plain::Unreadable,
        }
    }
}

/// Prints the value on one line, for operators.
impl fmt::Display for Raw<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.text() {
            Ok(text) => f.write_str(&clean(trim(&text))),
            Err(what) => write!(f, "({what})"),
        }
    }
}

/// Returns the text of a field that is present and not one of the words for nothing.
pub(crate) fn filled<'a>(
    field: &str,
    raw: Option<Raw<'a>>,
) -> Result<Option<Cow<'a, str>>, String> {
    match raw.map(Raw::text) {
        None => Ok(None),
        Some(Ok(text)) => Ok(Some(text).filter(|text| !is_absent(text))),
        Some(Err(what)) => Err(format!("{field} is {what}, expected a string or a whole number")),
    }
}

/// Reads a field that is an id, or absent.
pub(crate) fn id(field: &str, raw: Option<Raw<'_>>) -> Result<Option<Id>, String> {
    let Some(text) = filled(field, raw)? else {
        return Ok(None);
    };
    let id = canonical_id(trim(&text));
    if !is_id(id) {
        return Err(format!("{field} is not an id of 1 to 64 letters, digits, '_' or '-': {id:?}"));
    }
    Ok(Some(Id::from(id)))
}

/// Returns a numeric id in its one canonical form: without leading zeros or a fraction. Returns
/// other ids unchanged.
pub(crate) fn canonical_id(id: &str) -> &str {
    if let [b'1'..=b'9', rest @ ..] = id.as_bytes()
        && rest.iter().all(u8::is_ascii_digit)
    {
        return id;
    }
    let all = |text: &str, is: fn(&u8) -> bool| !text.is_empty() && text.as_bytes().iter().all(is);
    let number = match id.split_once('.') {
        Some((number, zeros)) if all(zeros, |byte| *byte == b'0') => number,
        _ => id,
    };
    if !all(number, u8::is_ascii_digit) {
        return id;
    }
    match number.trim_start_matches('0') {
        "" => "0",
        digits => digits,
    }
}

/// Reads `iamId`, if it is present.
pub(crate) fn iam_id(raw: Option<Raw<'_>>) -> Result<Option<Cow<'_, str>>, String> {
    let Some(text) = filled("iamId", raw)? else {
        return Ok(None);
    };
    let text = match text {
        Cow::Borrowed(text) => Cow::Borrowed(trim(text)),
        Cow::Owned(text) => Cow::Owned(trim(&text).to_owned()),
    };
    if is_iam_id(&text) {
        Ok(Some(text))
    } else {
        Err(format!("iamId is not an IAM identity: {text:?}"))
    }
}

/// Returns whether a text is an [`Id`].
pub fn is_id(text: &str) -> bool {
    let legal = |c: u8| c.is_ascii_alphanumeric() || c == b'_' || c == b'-';
    // A leading minus can only be a negative number: upstream ids never have one.
    (1..=ID_BYTES_MAX).contains(&text.len()) && text.bytes().all(legal) && !text.starts_with('-')
}

/// Longest [`Id`], in bytes.
pub const ID_BYTES_MAX: usize = 64;
/// Longest IAM identity, in bytes.
pub const IAM_ID_BYTES_MAX: usize = 512;

/// Returns whether a text can be an IAM identity: 1 to 512 characters of `[A-Za-z0-9_.@:/+%=,~-]`.
/// The identity of a service that acts for itself is `crn-` and a CRN, with colons and slashes.
pub fn is_iam_id(text: &str) -> bool {
    let legal = |c: u8| c.is_ascii_alphanumeric() || b"_.@:/+%=,~-".contains(&c);
    (1..=IAM_ID_BYTES_MAX).contains(&text.len()) && text.bytes().all(legal)
}
