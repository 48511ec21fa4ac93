//! File and environment to one flat tree: `section.key` to a value and where it came from.
//!
//! Three layers, of which the later wins: the defaults of `SETTINGS`, the file, the environment.
//! Values keep the type they were written with; what they must be is the reader's business.
//! librdkafka's properties have dots in their names, so below `kafka` a nested table is just
//! another way to write a dot.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::{Origin, Problem};
use super::properties::{self, Scope};
use super::settings::{DefaultValue, SETTINGS};

/// A value as it was written.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Text(String),
    Integer(i64),
    /// The digits as written: librdkafka reads them, not we.
    Float(String),
    Boolean(bool),
    List(Vec<Value>),
    Table(BTreeMap<String, Value>),
    /// Something TOML knows and no setting wants, by its name: a date, an integer beyond 64 bits.
    Other(&'static str),
    /// Text of an environment variable: its type is what the setting wants.
    Untyped(String),
}

impl Value {
    /// The value for a complaint: short, one line. Not for properties, which may be secret.
    pub(super) fn shown(&self) -> String {
        /// Characters of an offending text that a complaint repeats.
        const SHOWN: usize = 80;
        match self {
            Self::Text(text) | Self::Untyped(text) if text.chars().count() > SHOWN => {
                format!("{:?}...", text.chars().take(SHOWN).collect::<String>())
            }
            Self::Text(text) | Self::Untyped(text) => format!("{text:?}"),
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

pub(super) type Tree = BTreeMap<String, Node>;

/// The first layer.
pub(super) fn defaults() -> Tree {
    let with_value = SETTINGS.iter().filter_map(|setting| match setting.default {
        DefaultValue::Value(literal) => Some((setting.key, literal)),
        DefaultValue::Required | DefaultValue::Computed(_) => None,
    });
    with_value
        .filter_map(|(key, literal)| {
            // Every literal parses: a test reads each of them.
            let value = convert(DeValue::parse(literal).ok()?.get_ref());
            Some((key.to_owned(), Node { value, origin: Origin::Default }))
        })
        .collect()
}

/// The second layer: a file's text, laid over `tree`. `name` is the file's, for complaints.
///
/// # Errors
/// A text that is not TOML, as the one problem that it is: nothing after the place can be trusted.
pub(super) fn file(text: &str, name: &str, tree: &mut Tree) -> Result<Vec<Problem>, Problem> {
    let name: Arc<str> = name.into();
    let mut layer = FileLayer { text, name, tree: Tree::new(), problems: Vec::new() };
    let document = DeTable::parse(text).map_err(|error| layer.not_toml(&error))?;
    layer.document(document.get_ref());
    tree.append(&mut layer.tree);
    Ok(layer.problems)
}

struct FileLayer<'a> {
    text: &'a str,
    name: Arc<str>,
    tree: Tree,
    problems: Vec<Problem>,
}

impl FileLayer<'_> {
    /// Message and line only: the parser's own report quotes the line, which may hold a password.
    fn not_toml(&self, error: &toml::de::Error) -> Problem {
        Problem {
            key: self.name.to_string(),
            origin: error.span().map(|span| self.origin(&span)),
            complaint: format!("not a TOML file: {}", error.message()),
        }
    }

    fn document(&mut self, document: &DeTable<'_>) {
        for (key, value) in document {
            let name: &str = key.get_ref();
            match value.get_ref() {
                DeValue::Table(table) if name == "kafka" => self.properties(name, table),
                DeValue::Table(table) if !table.is_empty() => self.section(name, table),
                _ => self.insert(name.to_owned(), &key.span(), value),
            }
        }
    }

    fn section(&mut self, section: &str, table: &DeTable<'_>) {
        for (key, value) in table {
            self.insert(format!("{section}.{}", key.get_ref()), &key.span(), value);
        }
    }

    fn properties(&mut self, prefix: &str, table: &DeTable<'_>) {
        for (key, value) in table {
            let path = format!("{prefix}.{}", key.get_ref());
            match value.get_ref() {
                DeValue::Table(inner) if !self.is_reference(&path, value) => {
                    self.properties(&path, inner)
                }
                _ => self.insert(properties::canonical_key(&path), &key.span(), value),
            }
        }
    }

    /// Whether a table is a value (`{ file = ".." }`) and not one more part of a dotted name.
    fn is_reference(&self, path: &str, value: &Spanned<DeValue<'_>>) -> bool {
        let (scope, name) = properties::split_key(path);
        if scope == Scope::Both && ["consumer", "producer"].contains(&name) {
            return false;
        }
        let written = self.text.get(value.span()).unwrap_or_default();
        written.starts_with('{') || properties::is_secret(name)
    }

    fn insert(&mut self, key: String, span: &Range<usize>, value: &Spanned<DeValue<'_>>) {
        let node = Node { value: convert(value.get_ref()), origin: self.origin(span) };
        if let Some(earlier) = self.tree.get(&key) {
            let complaint = format!("given twice, also at {}; keep one of them", earlier.origin);
            self.problems.push(Problem { key, origin: Some(node.origin), complaint });
            return;
        }
        self.tree.insert(key, node);
    }

    fn origin(&self, span: &Range<usize>) -> Origin {
        let before = self.text.as_bytes().get(..span.start).unwrap_or_default();
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        Origin::File { name: Arc::clone(&self.name), line }
    }
}

fn convert(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_or(Value::Other("an integer beyond 64 bits"), Value::Integer),
        DeValue::Float(number) => Value::Float(number.as_str().to_owned()),
        DeValue::Boolean(flag) => Value::Boolean(*flag),
        DeValue::Datetime(_) => Value::Other("a date or time"),
        DeValue::Array(items) => {
            Value::List(items.iter().map(|item| convert(item.get_ref())).collect())
        }
        DeValue::Table(table) => {
            let entries = table
                .iter()
                .map(|(key, value)| (key.get_ref().to_string(), convert(value.get_ref())));
            Value::Table(entries.collect())
        }
    }
}
