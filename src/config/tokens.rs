//! What OAUTHBEARER needs from the configuration: a token endpoint, reached in a way that keeps the
//! client's secret. `kafka/client/oauth.rs` fetches the tokens.

use super::kafka_properties::{Client, KafkaProperties};
use super::read::SettingsReader;
use super::token_url::TokenUrl;

/// The property that says where tokens come from.
const ENDPOINT: &str = "sasl.oauthbearer.token.endpoint.url";

/// Checks that a secret may be sent to this URL. The message repeats nothing of the URL, which may
/// be a secret itself.
pub(super) fn endpoint(name: &str, text: &str) -> Result<(), String> {
    match name {
        ENDPOINT => TokenUrl::parse(text).map(drop).map_err(str::to_owned),
        _ => Ok(()),
    }
}

/// Checks that OAUTHBEARER has a token endpoint.
pub(super) fn need_endpoint(reader: &mut SettingsReader<'_>, properties: &KafkaProperties) {
    let get = |name| properties.get(Client::Consumer, name);
    if get("sasl.mechanism") != Some("OAUTHBEARER") {
        return;
    }
    let missing: Vec<&str> = [
        "sasl.oauthbearer.method",
        ENDPOINT,
        "sasl.oauthbearer.client.id",
        "sasl.oauthbearer.client.secret",
    ]
    .into_iter()
    .filter(|name| get(name).is_none() && !reader.has_problem(&format!("kafka.{name}")))
    .collect();
    if !missing.is_empty() {
        let message = format!("OAUTHBEARER also needs {}; set them", missing.join(", "));
        reader.problem("kafka.sasl.mechanism", message);
    }
}
