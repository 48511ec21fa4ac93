//! librdkafka's properties. They are passed through, except those that the promises depend on;
//! secrets are read from the file or variable that is named.
//!
//! Nothing here names a Kafka client. A [`PropertyCheck`] asks librdkafka whether it knows a
//! name and accepts a value, and its messages join the same list.

use std::collections::BTreeMap;

use audit_judge::text::nearest;

use super::environment::Environment;
use super::kafka_properties::{Client, KafkaProperties, PropertyValue, Secret};
use super::kind::Kind;
use super::limits::own_limit;
use super::problem::did_you_mean;
use super::properties::{Scope, concerns, is_known, is_secret, refusal, settable, split_key};
use super::read::SettingsReader;
use super::settings::variable_of;
use super::tokens;
use super::value::Value;

/// Asks librdkafka about one property, name and value, without connecting; its message is the
/// error.
pub type PropertyCheck<'a> = &'a dyn Fn(&str, &str) -> Result<(), String>;

/// Reads everything below `kafka`.
pub(super) fn read(
    reader: &mut SettingsReader<'_>,
    environment: &Environment,
    check: PropertyCheck<'_>,
) -> KafkaProperties {
    let mut properties = KafkaProperties::default();
    for (key, node) in reader.take_all("kafka.") {
        let (scope, name) = split_key(&key);
        let value = may_be_set(scope, name)
            .and_then(|()| value_of(name, &node.value, environment, reader))
            .and_then(|value| is_legal(scope, name, &value, check).map(|()| value));
        match value {
            Ok(value) => _ = properties.table(scope).insert(name.to_owned(), value.hidden(name)),
            Err(message) => reader.problem(&key, message),
        }
    }
    need_brokers(reader, &properties);
    need_one_group_protocol(reader, &properties);
    tokens::need_endpoint(reader, &properties);
    properties
}

fn may_be_set(scope: Scope, name: &str) -> Result<(), String> {
    if let Some(reason) = refusal(name) {
        return Err(format!("managed by audit-relay: {reason}; remove it"));
    }
    let elsewhere = match (scope, concerns(name)) {
        (Scope::Consumer, Scope::Producer) => "a producer property; move it to [kafka.producer]",
        (Scope::Producer, Scope::Consumer) => "a consumer property; move it to [kafka.consumer]",
        (Scope::Consumer | Scope::Producer, _) if name == "bootstrap.servers" => {
            "consumers and producers must use one cluster; move it to [kafka]"
        }
        _ => return Ok(()),
    };
    Err(elsewhere.to_owned())
}

fn value_of(
    name: &str,
    value: &Value,
    environment: &Environment,
    reader: &SettingsReader<'_>,
) -> Result<PropertyValue, String> {
    let text = match value {
        Value::Text(text) | Value::Untyped(text) | Value::Float(text) => text.clone(),
        Value::Integer(_) | Value::Boolean(_) => value.to_string(),
        Value::Table(table) => {
            let text = referenced(table, environment, reader);
            return text.map(|text| PropertyValue::Secret(Secret(text)));
        }
        _ => return Err(format!("invalid value: expected {}", Kind::Property.expected())),
    };
    let is_secret = is_secret(name);
    Ok(if is_secret { PropertyValue::Secret(Secret(text)) } else { PropertyValue::Plain(text) })
}

impl PropertyValue {
    /// Hides the value of an unknown name: it may be a secret of a newer librdkafka, or a misspelt
    /// secret if librdkafka is not asked.
    fn hidden(self, name: &str) -> Self {
        match self {
            Self::Plain(text) if !is_known(name) => Self::Secret(Secret(text)),
            value => value,
        }
    }
}

/// `{ file = ".." }` or `{ env = ".." }`. Strips the final line break of a file, which
/// editors and `kubectl` add.
fn referenced(
    table: &BTreeMap<String, Value>,
    environment: &Environment,
    reader: &SettingsReader<'_>,
) -> Result<String, String> {
    let entries: Vec<(&str, &Value)> =
        table.iter().map(|(key, value)| (key.as_str(), value)).collect();
    match entries.as_slice() {
        [("file", Value::Text(path))] => {
            let path = reader.resolve(path);
            let text = std::fs::read_to_string(&path)
                .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
            let line = text.strip_suffix('\n').unwrap_or(&text);
            Ok(line.strip_suffix('\r').unwrap_or(line).to_owned())
        }
        [("env", Value::Text(variable))] => environment
            .get(variable)
            .cloned()
            .ok_or_else(|| format!("environment variable {variable} is not set; set it")),
        _ => Err(r#"invalid table: expected { file = ".." } or { env = ".." }"#.to_owned()),
    }
}

fn is_legal(
    scope: Scope,
    name: &str,
    value: &PropertyValue,
    check: PropertyCheck<'_>,
) -> Result<(), String> {
    let text = value.reveal();
    let wrong = match name {
        _ if text.is_empty() && matches!(value, PropertyValue::Secret(_)) => {
            "empty value; set it or remove it"
        }
        "bootstrap.servers" if text.split(',').all(|broker| broker.trim().is_empty()) => {
            "no broker is named: expected host:port, comma separated"
        }
        _ if text.contains('\0') => {
            "contains a NUL character, which librdkafka does not accept; remove it"
        }
        _ => "",
    };
    if !wrong.is_empty() {
        return Err(wrong.to_owned());
    }
    tokens::endpoint(name, text)?;
    own_limit(scope, name, text)
        .and_then(|()| check(name, text).map_err(|message| explained(&message, name, text)))
        .map_err(|message| match value {
            PropertyValue::Plain(_) => message,
            // The message may quote the value.
            PropertyValue::Secret(_) => {
                "invalid name or value (value not shown); correct it".to_owned()
            }
        })
}

/// Completes librdkafka's message with what it leaves out: the nearest name, or the value of a
/// property known to be harmless.
fn explained(message: &str, name: &str, text: &str) -> String {
    let message = message.trim_end();
    if !is_known(name) {
        return format!("{message}{}", did_you_mean(nearest(name, settable())));
    }
    if message.contains(&format!("{text:?}")) || message.contains(&format!("value {text} ")) {
        return format!("{message}; correct it");
    }
    format!("{message}: {text:?}; correct it")
}

fn need_brokers(reader: &mut SettingsReader<'_>, properties: &KafkaProperties) {
    const KEY: &str = "kafka.bootstrap.servers";
    if !properties.both.contains_key("bootstrap.servers") && !reader.has_problem(KEY) {
        let variable = variable_of(KEY);
        reader.problem(KEY, format!("required but not set; set it in the file or as {variable}"));
    }
}

/// Settings that the broker makes under KIP-848; librdkafka would refuse to start with them.
fn need_one_group_protocol(reader: &mut SettingsReader<'_>, properties: &KafkaProperties) {
    const MESSAGE: &str =
        "set by the broker when group.protocol is consumer; remove one of the two";
    if properties.get(Client::Consumer, "group.protocol") != Some("consumer") {
        return;
    }
    for name in ["session.timeout.ms", "heartbeat.interval.ms"] {
        if properties.both.contains_key(name) {
            reader.problem(&format!("kafka.{name}"), MESSAGE);
        }
        if properties.consumer.contains_key(name) {
            reader.problem(&format!("kafka.consumer.{name}"), MESSAGE);
        }
    }
}
