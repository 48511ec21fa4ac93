//! Values as they were written, in one flat tree: `section.key` to a value and where it came from.

use std::collections::BTreeMap;

use super::problem::Origin;

/// Characters of an offending text that a message repeats.
const SHOWN_CHARACTERS_MAX: usize = 80;

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
    /// Something that TOML knows and no setting takes, by its name: a date, an integer beyond 64
    /// bits.
    Other(&'static str),
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

    /// The value for a message: short, one line. Not for properties, which may be secret.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Text(text) | Self::Untyped(text) => {
                match text.char_indices().nth(SHOWN_CHARACTERS_MAX) {
                    Some((end, _)) => format!("{:?}...", &text[..end]),
                    None => format!("{text:?}"),
                }
            }
            Self::Integer(number) => number.to_string(),
            Self::Float(digits) => digits.clone(),
            Self::Boolean(flag) => flag.to_string(),
            Self::List(_) | Self::Table(_) | Self::Other(_) => self.kind().to_owned(),
        }
    }

    /// What kind of value it is, in words.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) | Self::Untyped(_) => "text",
            Self::Integer(_) => "a whole number",
            Self::Float(_) => "a number with a fraction",
            Self::Boolean(_) => "true or false",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
            Self::Other(name) => name,
        }
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
