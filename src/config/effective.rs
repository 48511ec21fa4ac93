//! Every value that counts, and where it came from, for people who ask why a setting is what it is.
//! Secrets are not in it.

use super::problem::Origin;
use super::properties::{is_known, is_secret, split_key};
use super::settings::{DefaultValue, SETTINGS, Setting};
use super::value::{Tree, Value};

/// In place of a secret.
const HIDDEN: &str = "***";

/// One key with the value that counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effective {
    /// The key, such as `batch.max_records`.
    pub key: String,
    /// The value as one writes it in the file; a secret as `***`; for a key that nobody set and
    /// that has no fixed default, what holds then, in words and parentheses.
    pub value: String,
    /// Where it came from.
    pub origin: Origin,
}

impl Effective {
    fn of(key: &str, value: String, origin: &Origin) -> Self {
        Self { key: key.to_owned(), value, origin: origin.clone() }
    }
}

/// The values of the tree in the order of the documentation; librdkafka's properties come where
/// their table does, in alphabetical order.
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
            Some(Effective::of(key, format!("({words})"), &Origin::Default))
        }
        (None, _) => None,
    }
}

/// What was given below `kafka.`, or below one of its two tables.
fn properties(tree: &Tree, prefix: &str) -> Vec<Effective> {
    let (scope, _) = split_key(prefix);
    let is_own = |key: &str| {
        key.starts_with(prefix) && split_key(key).0 == scope && key != "kafka.bootstrap.servers"
    };
    let nodes = tree.iter().filter(|(key, _)| is_own(key));
    nodes.map(|(key, node)| Effective::of(key, property(key, &node.value), &node.origin)).collect()
}

/// A value is shown only if the property is known and no secret: a misspelt one may be one. A
/// reference says where the secret lies, not what it is.
fn property(key: &str, value: &Value) -> String {
    let (_, name) = split_key(key);
    match value {
        Value::Table(table) if table.keys().all(|key| ["file", "env"].contains(&key.as_str())) => {
            value.to_string()
        }
        Value::Table(_) => HIDDEN.to_owned(),
        // A user and a password may stand before the host.
        Value::Text(text) | Value::Untyped(text)
            if text.contains('@') && name.ends_with(".url") =>
        {
            HIDDEN.to_owned()
        }
        _ if is_secret(name) || !is_known(name) => HIDDEN.to_owned(),
        _ => value.to_string(),
    }
}
