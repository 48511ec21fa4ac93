//! Values as they were written, in one flat tree: `section.key` to a value and where it came from.

use std::collections::BTreeMap;
use std::fmt;

use super::problem::Origin;

/// A value as it was written.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Text(String),
    Integer(i64),
    /// The digits as written: librdkafka reads them.
    Float(String),
    Boolean(bool),
    List(Vec<Value>),
    Table(BTreeMap<String, Value>),
    /// What TOML knows and no setting takes, as written: a date, an integer beyond 64 bits.
    Other(String),
    /// Text of an environment variable: its type is what the setting expects.
    Untyped(String),
}

impl Value {
    /// The text, if it was written as one.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The value for a message. Not for properties, which may be secret.
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

/// A value as one writes it in the file.
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

/// A text in quotes for a message.
pub(super) fn quoted(text: &str) -> String {
    let (text, more) = cut(text);
    format!("{text:?}{more}")
}

/// What a message repeats of a text, and what stands for the rest.
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
    pub(super) origin: Origin,
}

/// Nodes by their keys.
pub(super) type Tree = BTreeMap<String, Node>;
