//! Fetches OAUTHBEARER tokens from the endpoint that the operator configures with librdkafka's own
//! properties (`sasl.oauthbearer.method=oidc` and the related ones). librdkafka's own
//! implementation needs libcurl, which is not built in. The endpoint and its credentials travel in
//! `sasl.oauthbearer.config`, which librdkafka keeps secret and passes back when it needs a token.

use std::ffi::CString;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, anyhow, bail, ensure};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use form_urlencoded::byte_serialize;
use rdkafka::client::{Client, ClientContext, OAuthToken};
use rdkafka::config::ClientConfig;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use ureq::tls::{Certificate, PemItem, RootCerts, parse_pem};

use crate::config::{HttpUrl, token_url};
use crate::http_client::agent;
use crate::kafka::native::set_token;

/// Longest time to fetch a token, from the name look-up to the last byte. A worker's poll waits for
/// it.
const TOKEN_WAIT_MAX: Duration = Duration::from_secs(5);
/// Longest response body; a token is a few KiB.
const ANSWER_BYTES_MAX: u64 = 256 * 1024;

/// Properties that are handled here. librdkafka, as it is built, would reject them.
const RELAY_PROPERTIES: [&str; 7] = [
    "sasl.oauthbearer.method",
    "sasl.oauthbearer.token.endpoint.url",
    "sasl.oauthbearer.client.id",
    "sasl.oauthbearer.client.secret",
    "sasl.oauthbearer.scope",
    "https.ca.location",
    "https.ca.pem",
];
/// The librdkafka property that carries all of them.
const CONFIG: &str = "sasl.oauthbearer.config";

/// Returns whether a property is handled here and not by librdkafka.
pub(crate) fn is_relay_property(name: &str) -> bool {
    RELAY_PROPERTIES.contains(&name)
}

/// The token endpoint.
#[derive(Serialize, Deserialize)]
struct Endpoint {
    url: String,
    client: String,
    secret: String,
    scope: Option<String>,
    /// CA file that replaces the system's trust store.
    ca_file: Option<PathBuf>,
    ca_pem: Option<String>,
}

/// Moves the properties that are handled here into the one that librdkafka passes back.
pub(crate) fn move_endpoint(client: &mut ClientConfig) {
    let [method, url, id, secret, scope, ca_file, ca_pem] = RELAY_PROPERTIES.map(|name| {
        let value = client.get(name).map(str::to_string);
        client.remove(name);
        value
    });
    let (Some(_), Some(url), Some(id), Some(secret)) = (method, url, id, secret) else {
        return;
    };
    let endpoint =
        Endpoint { url, client: id, secret, scope, ca_file: ca_file.map(PathBuf::from), ca_pem };
    if let Ok(config) = serde_json::to_string(&endpoint) {
        client.set(CONFIG, config);
    }
}

/// Fetches a token, for a client's callback.
///
/// # Errors
/// Fails if the endpoint is not configured or returns no token. The message names the endpoint and
/// contains no secret.
pub(crate) fn generate(config: Option<&str>) -> Result<OAuthToken, Box<dyn std::error::Error>> {
    let endpoint: Endpoint = config
        .and_then(|config| serde_json::from_str(config).ok())
        .ok_or("OAUTHBEARER needs sasl.oauthbearer.method=oidc and a token endpoint")?;
    let url = token_url(&endpoint.url)?;
    // One line, since it becomes part of librdkafka's own message.
    endpoint.fetch(&url).map_err(|error| format!("token endpoint {url}: {error:#}").into())
}

/// Sets the token of a client that is never polled, so that its callback would never run. Does
/// nothing for other mechanisms.
///
/// # Errors
/// Fails if no token can be fetched, or the client rejects it.
pub(crate) fn set_initial_token<C: ClientContext>(
    client: &Client<C>,
    config: &ClientConfig,
) -> anyhow::Result<()> {
    let Some(endpoint) = config.get(CONFIG) else {
        return Ok(());
    };
    let token = generate(Some(endpoint)).map_err(|error| anyhow!(error.to_string()))?;
    let (value, principal) = (CString::new(token.token)?, CString::new(token.principal_name)?);
    let is_accepted = set_token(client, &value, token.lifetime_ms, &principal);
    ensure!(is_accepted, "librdkafka rejected the token");
    Ok(())
}

/// The token response of RFC 6749, and the claims of the token, if it is a JWT. A member of the
/// wrong type counts as missing.
#[derive(Debug, Default, PartialEq)]
struct TokenResponse {
    token: String,
    /// Lifetime of the token, in seconds.
    expires_in: Option<f64>,
    subject: Option<String>,
    /// Expiry of the token, in seconds since 1970.
    expires_at: Option<f64>,
}

impl TokenResponse {
    /// Parses a response body, which may contain secrets.
    fn read(body: &str) -> Option<Self> {
        let answer: Value = serde_json::from_str(body).ok()?;
        let token = answer.get("access_token")?.as_str()?;
        let claims = claims(token).unwrap_or_default();
        Some(TokenResponse {
            token: token.to_string(),
            expires_in: number(&answer["expires_in"]),
            subject: claims["sub"].as_str().map(str::to_string),
            expires_at: number(&claims["exp"]),
        })
    }
}

/// Reads a number. Some endpoints write it as a string.
fn number(value: &Value) -> Option<f64> {
    let number = match value {
        Value::String(text) => text.trim().parse().ok()?,
        other => other.as_f64()?,
    };
    Some(number).filter(|number: &f64| number.is_finite() && *number >= 0.0)
}

impl Endpoint {
    fn fetch(&self, url: &HttpUrl) -> anyhow::Result<OAuthToken> {
        let answer = TokenResponse::read(&self.request(url)?)
            .context("the response is not a JSON object with an access_token")?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
        let computed = answer.expires_in.map(|seconds| now.as_secs_f64() + seconds);
        let expires_at = answer.expires_at.or(computed);
        let expires_at =
            expires_at.context("neither the response nor the token contains an expiry time")?;
        Ok(OAuthToken {
            token: answer.token,
            principal_name: answer.subject.unwrap_or_else(|| self.client.clone()),
            lifetime_ms: (expires_at * 1_000.0) as i64,
        })
    }

    fn request(&self, url: &HttpUrl) -> anyhow::Result<String> {
        let mut form = vec![("grant_type", "client_credentials")];
        form.extend(self.scope.as_deref().map(|scope| ("scope", scope)));
        let mut response = agent(url, self.trusted()?, TOKEN_WAIT_MAX)
            .post(url.uri())
            .header("Authorization", format!("Basic {}", self.credentials()))
            .header("Accept", "application/json")
            .send_form(form)?;
        let status = response.status();
        if status.is_redirection() {
            bail!(
                "responded {status}; redirects are not followed, since the secret is for this endpoint only: configure the URL it redirects to"
            );
        }
        if !status.is_success() {
            bail!("responded {status}; check client id, secret and scope");
        }
        let body = response.body_mut().with_config().limit(ANSWER_BYTES_MAX);
        Ok(body.read_to_string()?)
    }

    /// Returns client id and secret for HTTP basic authentication. Each is form-encoded first, as
    /// RFC 6749 (2.3.1) demands: an id may contain a colon.
    fn credentials(&self) -> String {
        let encoded = |text: &str| -> String { byte_serialize(text.as_bytes()).collect() };
        STANDARD.encode(format!("{}:{}", encoded(&self.client), encoded(&self.secret)))
    }

    fn trusted(&self) -> anyhow::Result<RootCerts> {
        let pem = match (&self.ca_pem, &self.ca_file) {
            (Some(pem), _) => pem.clone().into_bytes(),
            (None, Some(file)) => std::fs::read(file)
                .with_context(|| format!("cannot read {} (https.ca.location)", file.display()))?,
            (None, None) => return Ok(RootCerts::PlatformVerifier),
        };
        let certificates = parse_pem(&pem).filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        });
        let certificates: Vec<Certificate<'static>> = certificates.collect();
        ensure!(
            !certificates.is_empty(),
            "https.ca.pem or https.ca.location contains no certificate"
        );
        Ok(RootCerts::new_with_certs(&certificates))
    }
}

fn claims(token: &str) -> Option<Value> {
    let payload = token.split('.').nth(1)?;
    let payload = URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?;
    serde_json::from_slice(&payload).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(properties: &[(&str, &str)]) -> ClientConfig {
        let mut client = ClientConfig::new();
        for (name, value) in properties {
            client.set(*name, *value);
        }
        move_endpoint(&mut client);
        client
    }

    #[test]
    fn the_endpoint_is_passed_in_one_property() {
        let adopted = client(&[
            ("sasl.oauthbearer.method", "oidc"),
            ("sasl.oauthbearer.token.endpoint.url", "https://id.example.com/token"),
            ("sasl.oauthbearer.client.id", "relay"),
            ("sasl.oauthbearer.client.secret", "hunter2"),
            ("sasl.mechanism", "OAUTHBEARER"),
        ]);
        assert_eq!(adopted.get("sasl.oauthbearer.client.secret"), None);
        assert_eq!(adopted.get("sasl.mechanism"), Some("OAUTHBEARER"));
        let config = adopted.get(CONFIG).expect("adopted");
        let endpoint: Endpoint = serde_json::from_str(config).expect("JSON");
        assert_eq!((endpoint.client.as_str(), endpoint.secret.as_str()), ("relay", "hunter2"));
        assert_eq!(client(&[("client.id", "x")]).get(CONFIG), None);
    }

    fn jwt(claims: &str) -> String {
        format!("x.{}.y", URL_SAFE_NO_PAD.encode(claims))
    }

    #[test]
    fn members_of_the_wrong_type_do_not_discard_the_others() {
        let good = jwt(r#"{"sub":"relay","exp":1700000000}"#);
        let odd = jwt(r#"{"sub":["relay"],"exp":"1700000000"}"#);
        let timeless = jwt(r#"{"sub":"relay","exp":{}}"#);
        let relay = Some("relay");
        for (token, expires_in, lifetime, subject, expires_at) in [
            (&good, "3599", Some(3_599.0), relay, Some(1.7e9)),
            (&good, "\"3599\"", Some(3_599.0), relay, Some(1.7e9)),
            (&good, "[1]", None, relay, Some(1.7e9)),
            (&good, "-1", None, relay, Some(1.7e9)),
            (&odd, "3599.5", Some(3_599.5), None, Some(1.7e9)),
            (&timeless, "null", None, relay, None),
            (&"opaque".to_string(), "\"60\"", Some(60.0), None, None),
            (&"a.!.c".to_string(), "60", Some(60.0), None, None),
        ] {
            let body = format!(
                r#"{{"access_token":"{token}","token_type":7,"scope":[],"expires_in":{expires_in}}}"#
            );
            let read = TokenResponse::read(&body).unwrap_or_else(|| panic!("{body}"));
            let expected = TokenResponse {
                token: token.clone(),
                expires_in: lifetime,
                subject: subject.map(str::to_string),
                expires_at,
            };
            assert_eq!(read, expected, "{body}");
        }
        for body in ["", "[]", "{}", r#"{"access_token":7}"#, r#""access_token""#] {
            assert_eq!(TokenResponse::read(body), None, "{body}");
        }
    }

    #[test]
    fn id_and_secret_are_encoded_before_they_are_joined() {
        let endpoint = Endpoint {
            url: String::new(),
            client: "relay:a b".to_string(),
            secret: "p%s+ö&=~".to_string(),
            scope: None,
            ca_file: None,
            ca_pem: None,
        };
        let credentials = STANDARD.decode(endpoint.credentials()).expect("base64");
        assert_eq!(String::from_utf8_lossy(&credentials), "relay%3Aa+b:p%25s%2B%C3%B6%26%3D%7E");
    }

    /// Answers each request with this status, and returns the requests.
    fn serve(status: &'static str) -> (u16, std::sync::mpsc::Receiver<String>) {
        use std::io::{Read, Write};
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let (sender, requests) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let mut head = [0; 4_096];
                let read = stream.read(&mut head).unwrap_or(0);
                // The test may not read the requests.
                _ = sender.send(String::from_utf8_lossy(&head[..read]).into_owned());
                _ = write!(
                    stream,
                    "HTTP/1.1 {status}\r\nLocation: http://127.0.0.1:{port}/other?hunter2\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                );
            }
        });
        (port, requests)
    }

    #[test]
    fn a_redirect_is_not_followed_and_the_error_omits_the_query() {
        let (port, requests) = serve("302 Found");
        let config = format!(
            r#"{{"url":"http://127.0.0.1:{port}/token?key=hunter2","client":"relay","secret":"hunter2"}}"#
        );
        let error = generate(Some(&config)).err().expect("an error").to_string();
        assert!(
            error.starts_with(&format!(
                "token endpoint http://127.0.0.1:{port}/token: responded 302 Found; redirects are not followed"
            )),
            "{error}"
        );
        assert!(!error.contains("hunter2"), "{error}");
        let received: Vec<String> = requests.try_iter().collect();
        assert_eq!(received.len(), 1, "{received:?}");
        assert!(received[0].starts_with("POST /token?key=hunter2 "), "{received:?}");
    }

    #[test]
    fn failures_name_the_endpoint_and_no_secret() {
        // Nothing listens on port 9.
        let config = r#"{"url":"http://127.0.0.1:9/token","client":"relay","secret":"hunter2"}"#;
        let error = generate(Some(config)).err().expect("an error").to_string();
        assert!(error.starts_with("token endpoint http://127.0.0.1:9/token: "), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
        assert!(generate(None).is_err() && generate(Some("x=y")).is_err());
    }
}
