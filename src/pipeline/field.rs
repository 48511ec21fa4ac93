//! The fields of JSON records as they come, and the ids in them: read tolerantly, checked once. It does not
//! know which fields a record has.

use std::borrow::Cow;
use std::fmt;

use compact_str::{CompactString, ToCompactString};
use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};
use serde_json::value::RawValue;

/// An id that is safe inside keys and CRNs: 1 to 64 characters of `[A-Za-z0-9_-]`.
pub type Id = CompactString;

/// The value of a field that is text: a JSON string, borrowed if it has no escapes, or a whole number.
/// Anything else is noted here and refused where the name of the field is known.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Text<'a> {
    /// A string.
    Written(Cow<'a, str>),
    /// A number, written only where its digits are asked for: ids of numbers need no memory of their own.
    Number(u64),
    /// What is there instead.
    Other(&'static str),
}

/// The JSON of a field, as it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Raw<'a>(pub &'a str);

impl<'de: 'a, 'a> Deserialize<'de> for Raw<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <&RawValue>::deserialize(deserializer).map(|raw| Raw(raw.get()))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string or a whole number")
    }

    fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Text<'de>, E> {
        Ok(Text::Written(Cow::Borrowed(text)))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Text<'de>, E> {
        Ok(Text::Written(Cow::Owned(text.to_owned())))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Text<'de>, E> {
        Ok(Text::Number(number))
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<Text<'de>, E> {
        Ok(Text::Other("a negative number"))
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<Text<'de>, E> {
        Ok(Text::Other("a fraction or too large a number"))
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<Text<'de>, E> {
        Ok(Text::Other("a boolean"))
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut list: A) -> Result<Text<'de>, A::Error> {
        while list.next_element::<de::IgnoredAny>()?.is_some() {}
        Ok(Text::Other("a list"))
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Text<'de>, A::Error> {
        while map
            .next_entry::<de::IgnoredAny, de::IgnoredAny>()?
            .is_some()
        {}
        Ok(Text::Other("an object"))
    }
}

impl<'a> Text<'a> {
    /// The same text, borrowed.
    pub(super) fn borrowed(&self) -> Text<'_> {
        match self {
            Text::Written(text) => Text::Written(Cow::Borrowed(text)),
            Text::Number(number) => Text::Number(*number),
            Text::Other(what) => Text::Other(what),
        }
    }
}

/// For people.
impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Text::Written(text) => f.write_str(text.trim()),
            Text::Number(number) => number.fmt(f),
            Text::Other(what) => write!(f, "({what})"),
        }
    }
}

/// The text of a field that is present and not blank.
pub(super) fn filled<'a>(
    field: &str,
    text: Option<Text<'a>>,
) -> Result<Option<Cow<'a, str>>, String> {
    match text {
        None => Ok(None),
        Some(Text::Written(text)) => Ok(Some(text).filter(|text| !is_blank(text))),
        Some(Text::Number(number)) => Ok(Some(Cow::Owned(number.to_string()))),
        Some(Text::Other(what)) => Err(format!(
            "{field} is {what}, expected a string or a whole number"
        )),
    }
}

/// Whether there is nothing but white space. Most texts begin with something else.
fn is_blank(text: &str) -> bool {
    let begins = text
        .bytes()
        .next()
        .is_some_and(|first| first.is_ascii_graphic());
    !begins && text.trim_start().is_empty()
}

/// A field that is an id, or absent.
pub(super) fn id(field: &str, text: Option<Text<'_>>) -> Result<Option<Id>, String> {
    if let Some(Text::Number(number)) = text {
        return Ok(Some(number.to_compact_string()));
    }
    let Some(text) = filled(field, text)? else {
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
pub(super) fn iam_id(text: Option<Text<'_>>) -> Result<Option<Cow<'_, str>>, String> {
    let Some(text) = filled("iamId", text)? else {
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
