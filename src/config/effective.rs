//! Every value that counts, and where it came from, for people who ask why a setting is what it is.
//! Secrets are not in it.

use super::problem::Origin;
use super::properties::{is_known, is_secret, split_key};
use super::settings::{DefaultValue, SETTINGS};
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

/// The values of the tree in the order of the documentation; librdkafka's properties and unknown
/// keys come where their section does, in alphabetical order.
pub(super) fn shown(tree: &Tree) -> Vec<Effective> {
    let mut values = Vec::new();
    for setting in SETTINGS {
        match (setting.key.strip_suffix('*'), tree.get(setting.key)) {
            (Some(prefix), _) => values.extend(properties(tree, prefix)),
            (None, Some(node)) => values.push(Effective {
                key: setting.key.to_owned(),
                value: literal(&node.value),
                origin: node.origin.clone(),
            }),
            (None, None) => values.extend(unset(setting.key, setting.default)),
        }
    }
    values
}

fn unset(key: &str, default: DefaultValue) -> Option<Effective> {
    let DefaultValue::Computed(words) = default else {
        return None;
    };
    Some(Effective { key: key.to_owned(), value: format!("({words})"), origin: Origin::Default })
}

/// What was given below `kafka.`, or below one of its two tables.
fn properties<'a>(tree: &'a Tree, prefix: &'a str) -> impl Iterator<Item = Effective> + 'a {
    let is_own = move |key: &&String| {
        let (scope, _) = split_key(key);
        let (of_prefix, _) = split_key(&format!("{prefix}x"));
        key.starts_with(prefix) && scope == of_prefix && key.as_str() != "kafka.bootstrap.servers"
    };
    let keys = tree.keys().filter(is_own);
    keys.filter_map(|key| {
        let node = tree.get(key)?;
        Some(Effective {
            key: key.clone(),
            value: property(key, &node.value),
            origin: node.origin.clone(),
        })
    })
}

/// A value is shown only if the property is known and no secret: a misspelt one may be one. A
/// reference says where the secret lies, not what it is.
fn property(key: &str, value: &Value) -> String {
    let (_, name) = split_key(key);
    match value {
        Value::Table(table) if table.keys().all(|key| ["file", "env"].contains(&key.as_str())) => {
            literal(value)
        }
        Value::Table(_) => HIDDEN.to_owned(),
        // A user and a password may stand before the host.
        Value::Text(text) | Value::Untyped(text)
            if text.contains('@') && name.ends_with(".url") =>
        {
            HIDDEN.to_owned()
        }
        _ if is_secret(name) || !is_known(name) => HIDDEN.to_owned(),
        _ => literal(value),
    }
}

/// A value as one writes it in the file.
fn literal(value: &Value) -> String {
    match value {
        Value::Text(text) | Value::Untyped(text) => format!("{text:?}"),
        Value::Integer(number) => number.to_string(),
        Value::Float(digits) => digits.clone(),
        Value::Boolean(flag) => flag.to_string(),
        Value::List(entries) => {
            let entries: Vec<String> = entries.iter().map(literal).collect();
            format!("[{}]", entries.join(", "))
        }
        Value::Table(table) => {
            let entries = table.iter();
            let entries: Vec<String> =
                entries.map(|(key, value)| format!("{key} = {}", literal(value))).collect();
            format!("{{ {} }}", entries.join(", "))
        }
        Value::Other(name) => format!("({name})"),
    }
}
