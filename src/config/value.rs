//! Values as they were written, in one flat tree: `section.key` to a value and its origin.

use std::collections::BTreeMap;
use std::fmt;

use super::problem::ValueOrigin;

/// A value as it was written.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Text(String),
    Integer(i64),
    /// The digits as written, for librdkafka to parse.
    Float(String),
    Boolean(bool),
    List(Vec<Value>),
    Table(BTreeMap<String, Value>),
    /// A TOML value that no setting accepts, as written: a date, an integer beyond 64 bits.
    Other(String),
    /// Text of an environment variable: its type is what the setting expects.
    Untyped(String),
}

impl Value {
    /// Returns the text if the value was written as text.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Returns the value for a message. Not to be used for properties, which may be secret.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Text(text) | Self::Untyped(text) => quoted(text),
            other => {
                let shown = other.to_string();
                let (shown, more) = cut(&shown);
                format!("{shown}{more}")
            }
        }
    }
}

/// Returns a value as it would be written in the file.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) | Self::Untyped(text) => write!(f, "{text:?}"),
            Self::Integer(number) => write!(f, "{number}"),
            Self::Float(written) | Self::Other(written) => f.write_str(written),
            Self::Boolean(flag) => write!(f, "{flag}"),
            Self::List(entries) => {
                let entries: Vec<String> = entries.iter().map(Self::to_string).collect();
                write!(f, "[{}]", entries.join(", "))
            }
            Self::Table(table) => {
                let entries = table.iter().map(|(key, value)| format!("{key} = {value}"));
                write!(f, "{{ {} }}", entries.collect::<Vec<_>>().join(", "))
            }
        }
    }
}

/// Returns a text in quotes for a message.
pub(super) fn quoted(text: &str) -> String {
    let (text, more) = cut(text);
    format!("{text:?}{more}")
}

/// Returns the part of a text that a message repeats, and what replaces the rest.
fn cut(text: &str) -> (&str, &'static str) {
    const CHARACTERS_MAX: usize = 80;
    match text.char_indices().nth(CHARACTERS_MAX) {
        Some((end, _)) => (&text[..end], "..."),
        None => (text, ""),
    }
}

/// A value and where it came from.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) value: Value,
    pub(super) origin: ValueOrigin,
}

/// Nodes by their keys.
pub(super) type Tree = BTreeMap<String, Node>;
