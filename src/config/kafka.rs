//! librdkafka's properties: passed through, except those the promises rest on; secrets read from
//! where they lie.
//!
//! Nothing here names a Kafka client. Whether librdkafka knows a name and takes a value is asked by
//! way of a [`PropertyCheck`], and its complaints join the same list.

use std::collections::BTreeMap;

use super::environment::Environment;
use super::kafka_properties::{Client, KafkaProperties, PropertyValue, Secret};
use super::kind::Kind;
use super::limits::own_limit;
use super::problem::{did_you_mean, nearest};
use super::properties::{Scope, concerns, is_known, is_secret, refusal, settable, split_key};
use super::read::Reader;
use super::tokens;
use super::value::{Node, Value};

/// Asks librdkafka about one property, name and value, without connecting; its complaint is the
/// error.
pub type PropertyCheck<'a> = &'a dyn Fn(&str, &str) -> Result<(), String>;

/// Reads everything below `kafka`.
pub(super) fn read(
    reader: &mut Reader<'_>,
    environment: &Environment,
    check: PropertyCheck<'_>,
) -> KafkaProperties {
    let mut properties = KafkaProperties::default();
    for (key, node) in reader.take_all("kafka.") {
        let (scope, name) = split_key(&key);
        let value = may_be_set(scope, name)
            .and_then(|()| value_of(name, &node, environment, reader))
            .and_then(|value| is_legal(scope, name, &value, check).map(|()| value));
        match value {
            Ok(value) => {
                let value = hidden_if_unknown(name, value);
                properties.table(scope).insert(name.to_owned(), value);
            }
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
        return Err(format!("not for you to set: {reason}; remove it"));
    }
    match (scope, concerns(name)) {
        (Scope::Consumer, Scope::Producer) => {
            Err("a producer's property; move it to [kafka.producer]".to_owned())
        }
        (Scope::Producer, Scope::Consumer) => {
            Err("a consumer's property; move it to [kafka.consumer]".to_owned())
        }
        (Scope::Consumer | Scope::Producer, _) if name == "bootstrap.servers" => {
            Err("both clients need the cluster of the transaction; move it to [kafka]".to_owned())
        }
        _ => Ok(()),
    }
}

fn value_of(
    name: &str,
    node: &Node,
    environment: &Environment,
    reader: &Reader<'_>,
) -> Result<PropertyValue, String> {
    let text = match &node.value {
        Value::Text(text) | Value::Untyped(text) | Value::Float(text) => text.clone(),
        Value::Integer(number) => number.to_string(),
        Value::Boolean(flag) => flag.to_string(),
        Value::Table(table) => {
            return referenced(table, environment, reader)
                .map(|text| PropertyValue::Secret(Secret(text)));
        }
        other => {
            let expected = Kind::Property.expected();
            return Err(format!("{} will not do; give {expected}", other.kind()));
        }
    };
    Ok(if is_secret(name) {
        PropertyValue::Secret(Secret(text))
    } else {
        PropertyValue::Plain(text)
    })
}

/// A name that nobody here knows may be a secret of a newer librdkafka, or a misspelt one where
/// librdkafka is not asked.
fn hidden_if_unknown(name: &str, value: PropertyValue) -> PropertyValue {
    match value {
        PropertyValue::Plain(text) if !is_known(name) => PropertyValue::Secret(Secret(text)),
        value => value,
    }
}

/// `{ file = ".." }` or `{ env = ".." }`. A file's last line end is cut: editors and `kubectl` add
/// one.
fn referenced(
    table: &BTreeMap<String, Value>,
    environment: &Environment,
    reader: &Reader<'_>,
) -> Result<String, String> {
    let entries: Vec<(&str, &Value)> =
        table.iter().map(|(key, value)| (key.as_str(), value)).collect();
    match entries.as_slice() {
        [("file", Value::Text(path))] => {
            let path = reader.resolve(path);
            let text = std::fs::read_to_string(&path).map_err(|error| {
                format!("cannot read {}: {error}; make the file readable", path.display())
            })?;
            let line = text.strip_suffix('\n').unwrap_or(&text);
            Ok(line.strip_suffix('\r').unwrap_or(line).to_owned())
        }
        [("env", Value::Text(variable))] => environment
            .get(variable)
            .cloned()
            .ok_or_else(|| format!("environment variable {variable} is not set; set it")),
        _ => {
            Err("a table will not do; give a value, { file = \"..\" } or { env = \"..\" }"
                .to_owned())
        }
    }
}

fn is_legal(
    scope: Scope,
    name: &str,
    value: &PropertyValue,
    check: PropertyCheck<'_>,
) -> Result<(), String> {
    let text = value.reveal();
    if text.is_empty() && matches!(value, PropertyValue::Secret(_)) {
        return Err("empty; give a value".to_owned());
    }
    if name == "bootstrap.servers" && text.split(',').all(|broker| broker.trim().is_empty()) {
        return Err("names no broker; give host:port, comma separated".to_owned());
    }
    if text.contains('\0') {
        return Err("holds a NUL character, which librdkafka cannot take; remove it".to_owned());
    }
    tokens::endpoint(name, text)?;
    own_limit(scope, name, text)
        .and_then(|()| check(name, text).map_err(|complaint| explained(&complaint, name, text)))
        .map_err(|complaint| match value {
            PropertyValue::Plain(_) => complaint,
            // The complaint may quote the value.
            PropertyValue::Secret(_) => {
                "name or value is not accepted (value not shown); correct it".to_owned()
            }
        })
}

/// librdkafka's complaint, with what it leaves out: the nearest name, or the value of a property
/// known to be harmless.
fn explained(complaint: &str, name: &str, text: &str) -> String {
    let complaint = complaint.trim_end();
    if !is_known(name) {
        return format!("{complaint}{}", did_you_mean(nearest(name, settable())));
    }
    if complaint.contains(&format!("{text:?}")) || complaint.contains(&format!("value {text} ")) {
        return format!("{complaint}; correct it");
    }
    format!("{complaint}: {text:?}; correct it")
}

fn need_brokers(reader: &mut Reader<'_>, properties: &KafkaProperties) {
    const KEY: &str = "kafka.bootstrap.servers";
    if !properties.both.contains_key("bootstrap.servers") && !reader.has_problem(KEY) {
        reader.missing(KEY);
    }
}

/// With KIP-848 the broker says these; librdkafka would refuse to start.
fn need_one_group_protocol(reader: &mut Reader<'_>, properties: &KafkaProperties) {
    const MESSAGE: &str =
        "the broker says this when group.protocol is consumer; remove one of the two";
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
