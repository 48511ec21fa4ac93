//! librdkafka's properties as finished values, by client; secrets are never shown.

use std::collections::BTreeMap;
use std::fmt;

use super::properties::{Scope, canonical, concerns};

/// A value that is never shown: `Debug` and `Display` give `***`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub(super) String);

impl Secret {
    /// Returns the value itself, for the client that needs it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// The value of a property, as the text that librdkafka takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PropertyValue {
    /// May be shown.
    Plain(String),
    /// Must not be shown: the property is known as secret, or its value was given by reference.
    Secret(Secret),
}

impl PropertyValue {
    /// Returns the value itself, secret or not, for the client that needs it.
    pub fn reveal(&self) -> &str {
        match self {
            Self::Plain(text) => text,
            Self::Secret(secret) => secret.reveal(),
        }
    }
}

/// The two kinds of Kafka client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Client {
    /// Reads the input.
    Consumer,
    /// Writes events and offsets, in transactions.
    Producer,
}

/// The librdkafka properties that the operator set. A property with two names has the newer one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KafkaProperties {
    pub(super) both: BTreeMap<String, PropertyValue>,
    pub(super) consumer: BTreeMap<String, PropertyValue>,
    pub(super) producer: BTreeMap<String, PropertyValue>,
}

impl KafkaProperties {
    /// Returns the properties of one client: the shared ones that apply to it, and its own, which
    /// take precedence.
    pub fn of(&self, client: Client) -> BTreeMap<&str, &PropertyValue> {
        let (own, others) = match client {
            Client::Consumer => (&self.consumer, Scope::Producer),
            Client::Producer => (&self.producer, Scope::Consumer),
        };
        let shared = self.both.iter().filter(|(name, _)| concerns(name) != others);
        shared.chain(own).map(|(name, value)| (name.as_str(), value)).collect()
    }

    /// Returns one property of one client, by either of its names, if the operator set it.
    pub fn get(&self, client: Client, name: &str) -> Option<&str> {
        self.of(client).get(canonical(name)).map(|value| value.reveal())
    }

    /// Returns the bootstrap servers as configured.
    pub fn bootstrap_servers(&self) -> &str {
        self.both.get("bootstrap.servers").map_or("", PropertyValue::reveal)
    }

    /// Returns the map for the properties of a scope.
    pub(super) fn table(&mut self, scope: Scope) -> &mut BTreeMap<String, PropertyValue> {
        match scope {
            Scope::Both => &mut self.both,
            Scope::Consumer => &mut self.consumer,
            Scope::Producer => &mut self.producer,
        }
    }
}
