//! What OAUTHBEARER needs of the configuration: somewhere to get tokens from, and a way there that keeps a secret. The
//! tokens themselves are fetched at the edge.

use super::kafka::{Client, KafkaProperties};
use super::read::Reader;

/// What of librdkafka's choices is there, as the relay fetches the tokens.
pub(super) fn limit(name: &str, text: &str) -> Result<(), String> {
    let only = |value| Err(format!("{text:?} will not do; give {value}"));
    match name {
        "sasl.oauthbearer.grant.type" if text != "client_credentials" => only("client_credentials"),
        "sasl.oauthbearer.method" if text != "oidc" => only("oidc"),
        "sasl.oauthbearer.token.endpoint.url" if !is_safe_endpoint(text) => Err(format!(
            "{text:?} will not do: the secret would travel in the clear; give an https URL"
        )),
        _ => Ok(()),
    }
}

/// Plain HTTP is for this machine only.
fn is_safe_endpoint(url: &str) -> bool {
    let local = ["http://localhost", "http://127.0.0.1", "http://[::1]"];
    let is_local = |host: &&str| {
        let rest = url.strip_prefix(*host);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '/']))
    };
    url.starts_with("https://") || local.iter().any(is_local)
}

/// OAUTHBEARER needs somewhere to get its tokens from.
pub(super) fn need_endpoint(reader: &mut Reader, properties: &KafkaProperties) {
    let get = |name| properties.get(Client::Consumer, name);
    if get("sasl.mechanism") != Some("OAUTHBEARER") {
        return;
    }
    let missing: Vec<&str> = [
        "sasl.oauthbearer.method",
        "sasl.oauthbearer.token.endpoint.url",
        "sasl.oauthbearer.client.id",
        "sasl.oauthbearer.client.secret",
    ]
    .into_iter()
    .filter(|name| get(name).is_none() && !reader.has_problem(&format!("kafka.{name}")))
    .collect();
    if !missing.is_empty() {
        let complaint = format!(
            "OAUTHBEARER needs {} as well; give them",
            missing.join(", ")
        );
        reader.problem("kafka.sasl.mechanism", complaint);
    }
}
