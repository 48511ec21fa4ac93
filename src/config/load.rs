//! The first two of the three layers: the defaults of `SETTINGS`, the file, the environment. A
//! later layer takes precedence.
//!
//! Values keep the type that they were written with; the reader checks them. librdkafka's property
//! names contain dots, so below `kafka` a nested table is another way to write a dot.

use std::ops::Range;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::{Problem, ValueOrigin};
use super::properties::{self, Scope};
use super::settings::{DefaultValue, SETTINGS};
use super::value::{Node, Tree, Value};

/// Returns the first layer.
pub(super) fn defaults() -> Tree {
    let with_value = SETTINGS.iter().filter_map(|setting| match setting.default {
        DefaultValue::Value(literal) => Some((setting.key, literal)),
        DefaultValue::Required | DefaultValue::Computed(_) => None,
    });
    with_value
        .filter_map(|(key, literal)| {
            // Every literal parses: a test reads each one.
            let value = convert(DeValue::parse(literal).ok()?.get_ref());
            Some((key.to_owned(), Node { value, origin: ValueOrigin::Default }))
        })
        .collect()
}

/// Merges the second layer, a file's text, into `tree`. Messages use `name` for the file.
///
/// # Errors
/// Fails if the text is not TOML. This is then the only problem: nothing after it can be trusted.
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
    /// Returns message and line only: the parser's own report quotes the line, which may hold a
    /// password.
    fn not_toml(&self, error: &toml::de::Error) -> Problem {
        let origin = error.span().map(|span| self.origin(&span));
        Problem::new(&self.name, origin, format!("invalid TOML: {}", error.message()))
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

    /// Returns whether a table is a value (`{ file = ".." }`) rather than part of a dotted name.
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
            let message = format!("set twice, first at {}; keep one", earlier.origin);
            self.problems.push(Problem::new(&key, Some(node.origin), message));
        } else {
            self.tree.insert(key, node);
        }
    }

    fn origin(&self, span: &Range<usize>) -> ValueOrigin {
        let before = self.text.as_bytes().get(..span.start).unwrap_or_default();
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        ValueOrigin::File { name: Arc::clone(&self.name), line }
    }
}

fn convert(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_or_else(|_| Value::Other(number.to_string()), Value::Integer),
        DeValue::Float(number) => Value::Float(number.as_str().to_owned()),
        DeValue::Boolean(flag) => Value::Boolean(*flag),
        DeValue::Datetime(time) => Value::Other(time.to_string()),
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
