//! The effective value of every key and its origin, for operators who ask why a setting has its
//! value. Secrets are masked.

use super::problem::ValueOrigin;
use super::properties::{is_known, is_secret, split_key};
use super::settings::{DefaultValue, SETTINGS, Setting};
use super::value::{Tree, Value};

/// Printed instead of a secret.
const HIDDEN: &str = "***";

/// A key and its effective value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effective {
    /// The key, such as `batch.max_records`.
    pub key: String,
    /// The value as it would be written in the file; `***` for a secret. For a key that is not set
    /// and has no fixed default: a description of what is used, in parentheses.
    pub value: String,
    /// Where it came from.
    pub origin: ValueOrigin,
}

impl Effective {
    fn of(key: &str, value: String, origin: &ValueOrigin) -> Self {
        Self { key: key.to_owned(), value, origin: origin.clone() }
    }
}

/// Returns the values of the tree in the order of the documentation; librdkafka's properties come
/// where their table does, in alphabetical order.
pub(super) fn shown(tree: &Tree) -> Vec<Effective> {
    let shown = |setting: &'static Setting| match (setting.key.strip_suffix('*'), setting.default) {
        (Some(prefix), _) => properties(tree, prefix),
        (None, default) => value(tree, setting.key, default).into_iter().collect(),
    };
    SETTINGS.iter().flat_map(shown).collect()
}

fn value(tree: &Tree, key: &str, default: DefaultValue) -> Option<Effective> {
    match (tree.get(key), default) {
        (Some(node), _) => Some(Effective::of(key, node.value.to_string(), &node.origin)),
        (None, DefaultValue::Computed(words)) => {
            Some(Effective::of(key, format!("({words})"), &ValueOrigin::Default))
        }
        (None, _) => None,
    }
}

/// Returns what was given below `kafka.`, or below one of its two tables.
fn properties(tree: &Tree, prefix: &str) -> Vec<Effective> {
    let (scope, _) = split_key(prefix);
    let is_own = |key: &str| {
        key.starts_with(prefix) && split_key(key).0 == scope && key != "kafka.bootstrap.servers"
    };
    let nodes = tree.iter().filter(|(key, _)| is_own(key));
    nodes.map(|(key, node)| Effective::of(key, property(key, &node.value), &node.origin)).collect()
}

/// Returns the text to show for a property. Hides the value unless the property is known and not
/// secret, since a misspelt name may mean a secret. A reference shows where the secret is stored.
fn property(key: &str, value: &Value) -> String {
    let (_, name) = split_key(key);
    match value {
        Value::Table(table) if table.keys().all(|key| ["file", "env"].contains(&key.as_str())) => {
            value.to_string()
        }
        Value::Table(_) => HIDDEN.to_owned(),
        // The URL may contain a user and a password.
        Value::Text(text) | Value::Untyped(text)
            if text.contains('@') && name.ends_with(".url") =>
        {
            HIDDEN.to_owned()
        }
        _ if is_secret(name) || !is_known(name) => HIDDEN.to_owned(),
        _ => value.to_string(),
    }
}
