//! The environment layer: `AUDIT_RELAY_INPUT__GROUP` is `group` of `[input]`.
//!
//! `__` separates section and key. librdkafka's names contain dots and no underscores, so below
//! `kafka` a single `_` means a dot. An empty variable removes the file's value if the key is
//! optional. The environment is passed in as a map: nothing here reads the process's own.

use std::collections::BTreeMap;

use audit_judge::text::nearest;

use super::problem::{self, Problem, ValueOrigin};
use super::properties::{canonical_key, settable};
use super::settings::{DefaultValue, ENVIRONMENT_PREFIX, find, literal_keys, variable_of};
use super::value::{Node, Tree, Value};

/// Variables by name; `{ env = ".." }` looks here as well.
pub(super) type Environment = BTreeMap<String, String>;

/// Merges the third layer into `tree`, where it takes precedence, and returns its problems.
pub(super) fn overlay(tree: &mut Tree, environment: &Environment) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (variable, value) in environment {
        let Some(rest) = variable.strip_prefix(ENVIRONMENT_PREFIX) else {
            continue;
        };
        if is_not_ours(rest, value) {
            continue;
        }
        let set = key_and_value(rest, value).ok_or_else(|| unknown(variable));
        if let Err(problem) = set.and_then(|(key, value)| insert(tree, key, value, variable)) {
            problems.push(problem);
        }
    }
    problems
}

/// Variables with our prefix that are not settings: the command line's, the tests', and those that
/// Kubernetes gives every pod next to a Service called `audit-relay` or `audit-relay-..`
/// (`AUDIT_RELAY_SERVICE_HOST`, `AUDIT_RELAY_PORT=tcp://..`, `AUDIT_RELAY_PORT_9464_TCP_ADDR`),
/// which no operator wrote and no setting resembles.
fn is_not_ours(rest: &str, value: &str) -> bool {
    let service = |suffix: &str| rest == suffix || rest.ends_with(&format!("_{suffix}"));
    rest == "CONFIG"
        || rest.starts_with("TEST_")
        || service("SERVICE_HOST")
        || service("SERVICE_PORT")
        || rest.starts_with("SERVICE_PORT_")
        || rest.contains("_SERVICE_PORT_")
        || (service("PORT") && value.contains("://"))
        || is_service_port(rest)
}

/// `PORT_9464_TCP`, also with `_ADDR`, `_PORT`, `_PROTO` behind and the rest of a Service's name
/// before it.
fn is_service_port(rest: &str) -> bool {
    let Some((before, after)) = rest.rsplit_once("PORT_").filter(|(_, after)| !after.is_empty())
    else {
        return false;
    };
    let (number, protocol) = after.split_once('_').unwrap_or((after, ""));
    let is_protocol = ["TCP", "UDP", "SCTP"].iter().any(|name| protocol.starts_with(name));
    (before.is_empty() || before.ends_with('_'))
        && number.bytes().all(|byte| byte.is_ascii_digit())
        && is_protocol
}

fn key_and_value(rest: &str, value: &str) -> Option<(String, Value)> {
    // Allow one spelling per key, so that two variables cannot set the same key.
    if rest.bytes().any(|byte| byte.is_ascii_lowercase()) {
        return None;
    }
    let lower = rest.to_lowercase();
    if let Some(property) = lower.strip_prefix("kafka__") {
        return property_and_value(property, value);
    }
    let key = lower.replacen("__", ".", 1);
    find(&key).map(|_| (key, Value::Untyped(value.to_owned())))
}

/// Below `kafka`: `SASL_PASSWORD`, `CONSUMER__FETCH_MAX_BYTES`, and `SASL_PASSWORD__FILE` for `{
/// file = ".." }`.
fn property_and_value(property: &str, value: &str) -> Option<(String, Value)> {
    let (name, value) = match property.rsplit_once("__") {
        Some((name, kind @ ("file" | "env"))) => {
            let reference = BTreeMap::from([(kind.to_owned(), Value::Text(value.to_owned()))]);
            (name, Value::Table(reference))
        }
        _ => (property, Value::Untyped(value.to_owned())),
    };
    let (scope, name) = match name.split_once("__") {
        Some((scope @ ("consumer" | "producer"), name)) => (format!("{scope}."), name),
        _ => (String::new(), name),
    };
    let is_name = !name.is_empty() && !name.contains("__");
    is_name.then(|| (canonical_key(&format!("kafka.{scope}{}", name.replace('_', "."))), value))
}

fn insert(tree: &mut Tree, key: String, value: Value, variable: &str) -> Result<(), Problem> {
    let origin = ValueOrigin::Environment(variable.to_owned());
    if let Some(Node { origin: ValueOrigin::Environment(earlier), .. }) = tree.get(&key) {
        let message = format!("set twice, also by {earlier}; keep one");
        return Err(Problem::new(&key, Some(origin), message));
    }
    if is_blank(&value) && is_optional(&key) {
        tree.remove(&key);
    } else {
        tree.insert(key, Node { value, origin });
    }
    Ok(())
}

fn is_blank(value: &Value) -> bool {
    matches!(value, Value::Untyped(text) if text.trim().is_empty())
}

/// Returns whether the key is optional, so that an empty variable removes the file's value.
fn is_optional(key: &str) -> bool {
    find(key).is_some_and(|setting| matches!(setting.default, DefaultValue::Computed(_)))
}

fn unknown(variable: &str) -> Problem {
    // Compare without the prefix, which would make all names similar.
    let name = |variable: &str| variable.replacen(ENVIRONMENT_PREFIX, "", 1);
    let properties = settable().map(|property| variable_of(&format!("kafka.{property}")));
    let known = literal_keys().map(variable_of).chain(properties);
    let known: Vec<String> = known.map(|variable| name(&variable)).collect();
    let meant = nearest(&name(variable), known.iter().map(String::as_str));
    let meant = meant.map(|name| format!("{ENVIRONMENT_PREFIX}{name}"));
    Problem::new(variable, None, problem::unknown("environment variable", meant.as_deref()))
}
