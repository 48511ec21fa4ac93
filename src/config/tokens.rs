//! What OAUTHBEARER needs from the configuration: a token endpoint, reached in a way that keeps the
//! client's secret. `kafka/client/oauth.rs` fetches the tokens.

use super::http_url::{HttpUrl, NoHttpUrl};
use super::kafka_properties::{Client, KafkaProperties};
use super::read::SettingsReader;

/// The property that says where tokens come from.
const ENDPOINT: &str = "sasl.oauthbearer.token.endpoint.url";

/// Reads the URL of a token endpoint, to which a client's secret is sent. Plain HTTP is for this
/// machine only.
///
/// # Errors
/// Fails with a message that says what to do and repeats nothing of the text.
pub fn token_url(text: &str) -> Result<HttpUrl, &'static str> {
    let url = HttpUrl::parse(text).map_err(|why| match why {
        NoHttpUrl::HasUser => "the URL contains a user name or password; set sasl.oauthbearer.client.id and sasl.oauthbearer.client.secret instead",
        NoHttpUrl::Form => "not the URL of an endpoint: expected one such as https://id.example.com/token",
    })?;
    match url.is_https() || url.is_local() {
        true => Ok(url),
        false => Err("the secret would be sent unencrypted; use an https URL"),
    }
}

/// Checks that a secret may be sent to this URL. The message repeats nothing of the URL, which may
/// be a secret itself.
pub(super) fn endpoint(name: &str, text: &str) -> Result<(), String> {
    match name {
        ENDPOINT => token_url(text).map(drop).map_err(str::to_owned),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_goes_over_https_or_to_this_machine() {
        for (url, shown, is_local) in [
            ("https://id.example.com", "https://id.example.com/", false),
            (
                "https://id.example.com:8443/a/token?key=hunter2#x",
                "https://id.example.com:8443/a/token",
                false,
            ),
            ("https://127.0.0.1/token", "https://127.0.0.1/token", true),
            ("http://127.9.9.9:80/", "http://127.9.9.9:80/", true),
            ("http://[::1]:8080/token", "http://[::1]:8080/token", true),
            ("HTTP://LocalHost/token", "http://LocalHost/token", true),
        ] {
            let parsed = token_url(url).unwrap_or_else(|why| panic!("{url}: {why}"));
            assert_eq!((parsed.to_string().as_str(), parsed.is_local()), (shown, is_local));
        }
    }

    #[test]
    fn what_is_refused_is_not_repeated() {
        for (url, why) in [
            ("http://127.0.0.1:hunter2@127.0.0.2:18082/token", "user name"),
            ("https://relay:hunter2@id.example.com/token", "user name"),
            ("https://hunter2@id.example.com/token", "user name"),
            ("http://id.example.com/hunter2", "unencrypted"),
            ("http://localhost.example.com/hunter2", "unencrypted"),
            ("http://127.0.0.1.example.com/hunter2", "unencrypted"),
            ("http://127.1/hunter2", "unencrypted"),
            ("http://2130706433/hunter2", "unencrypted"),
            ("http://[::ffff:127.0.0.1]/hunter2", "unencrypted"),
            ("http://0.0.0.0/hunter2", "unencrypted"),
            ("ftp://127.0.0.1/hunter2", "not the URL"),
            ("id.example.com", "not the URL"),
            ("/hunter2", "not the URL"),
            ("https:///hunter2", "not the URL"),
            ("https://id.example.com:99999/hunter2", "not the URL"),
            ("https://id.example.com:/hunter2", "not the URL"),
            ("https://id.example.com/ hunter2", "not the URL"),
            ("", "not the URL"),
        ] {
            let refused = token_url(url).expect_err(url);
            assert!(refused.contains(why) && !refused.contains("hunter2"), "{url}: {refused}");
        }
    }
}
