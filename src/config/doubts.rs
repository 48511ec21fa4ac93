//! Warnings about a valid configuration that its operator may not have meant. It is used as it is.

use std::collections::BTreeSet;

use super::kafka_properties::Client;
use super::sections::Config;

impl Config {
    /// Returns the warnings, one sentence each.
    pub fn doubts(&self) -> BTreeSet<&'static str> {
        let clients = [Client::Consumer, Client::Producer];
        let doubts = clients.into_iter().flat_map(|client| self.doubts_of(client));
        doubts.collect()
    }

    fn doubts_of(&self, client: Client) -> impl Iterator<Item = &'static str> {
        let get = |name| self.kafka.get(client, name).map(str::to_ascii_lowercase);
        let is_unverified = get("enable.ssl.certificate.verification")
            .is_some_and(|value| ["false", "f", "0"].contains(&value.as_str()));
        let is_open = get("security.protocol").as_deref() == Some("sasl_plaintext");
        let unverified = is_unverified.then_some(
            "kafka.enable.ssl.certificate.verification is false: any server can pose as the broker and receive the credentials; set it to true, and ssl.ca.location to the authority's certificate",
        );
        let unencrypted = is_open.then_some(
            "kafka.security.protocol is SASL_PLAINTEXT: passwords, tokens and records are sent unencrypted; set it to SASL_SSL",
        );
        unverified.into_iter().chain(unencrypted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn doubts(kafka: &str) -> Vec<&'static str> {
        let text =
            format!("kafka.\"bootstrap.servers\" = \"b:9092\"\nprincipals.topic = \"p\"\n{kafka}");
        let config = Config::from_toml(&text, std::iter::empty()).expect("configuration");
        config.doubts().into_iter().collect()
    }

    #[test]
    fn what_lets_others_listen_is_told() {
        let unverified = "enable.ssl.certificate.verification";
        for (kafka, expected) in [
            ("", vec![]),
            ("kafka.\"security.protocol\" = \"SASL_SSL\"", vec![]),
            ("kafka.\"security.protocol\" = \"sasl_plaintext\"", vec!["SASL_PLAINTEXT"]),
            ("kafka.producer.\"security.protocol\" = \"SASL_PLAINTEXT\"", vec!["SASL_PLAINTEXT"]),
            ("kafka.\"enable.ssl.certificate.verification\" = true", vec![]),
            ("kafka.\"enable.ssl.certificate.verification\" = false", vec![unverified]),
            (
                "kafka.consumer.\"enable.ssl.certificate.verification\" = false\nkafka.\"security.protocol\" = \"SASL_PLAINTEXT\"",
                vec![unverified, "SASL_PLAINTEXT"],
            ),
        ] {
            let found = doubts(kafka);
            assert_eq!(found.len(), expected.len(), "{kafka}: {found:?}");
            for word in expected {
                assert!(found.iter().any(|doubt| doubt.contains(word)), "{kafka}: {found:?}");
            }
        }
    }
}
