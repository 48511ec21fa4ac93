//! Tokens for OAUTHBEARER, from the endpoint that the operator names with librdkafka's own properties
//! (`sasl.oauthbearer.method=oidc` and its fellows). librdkafka's own way needs libcurl, which is not built
//! in. What is needed for a token travels in `sasl.oauthbearer.config`, which librdkafka keeps secret and hands back
//! when it wants one.

use std::ffi::CString;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, anyhow, bail, ensure};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rdkafka::client::{Client, ClientContext, OAuthToken};
use rdkafka::config::ClientConfig;
use serde::{Deserialize, Serialize};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, TlsProvider, parse_pem};

use super::native::set_token;

/// Longest time for a token, from looking up the name to the last byte: a worker's poll waits for it.
const TOKEN_LIMIT: Duration = Duration::from_secs(5);
/// Longest answer; a token is a few KiB.
const MOST_ANSWER_BYTES: u64 = 256 * 1024;

/// Properties that are answered here, and that librdkafka as it is built would not take.
const OURS: [&str; 7] = [
    "sasl.oauthbearer.method",
    "sasl.oauthbearer.token.endpoint.url",
    "sasl.oauthbearer.client.id",
    "sasl.oauthbearer.client.secret",
    "sasl.oauthbearer.scope",
    "https.ca.location",
    "https.ca.pem",
];
/// What hands all of them on.
const CONFIG: &str = "sasl.oauthbearer.config";

/// Whether a property is for this file and not for librdkafka.
pub fn is_ours(name: &str) -> bool {
    OURS.contains(&name)
}

/// Where a token comes from.
#[derive(Serialize, Deserialize)]
struct Endpoint {
    url: String,
    client: String,
    secret: String,
    scope: Option<String>,
    /// Whose certificates are trusted instead of the system's.
    ca_file: Option<PathBuf>,
    ca_pem: Option<String>,
}

/// Puts what is for this file into the one property that librdkafka hands back.
pub fn adopt(client: &mut ClientConfig) {
    let [method, url, id, secret, scope, ca_file, ca_pem] = OURS.map(|name| {
        let value = client.get(name).map(str::to_string);
        client.remove(name);
        value
    });
    let (Some(_), Some(url), Some(id), Some(secret)) = (method, url, id, secret) else {
        return;
    };
    let endpoint = Endpoint {
        url,
        client: id,
        secret,
        scope,
        ca_file: ca_file.map(PathBuf::from),
        ca_pem,
    };
    if let Ok(config) = serde_json::to_string(&endpoint) {
        client.set(CONFIG, config);
    }
}

/// Fetches a token, for a client's callback.
///
/// # Errors
/// Names the endpoint; tells no secret.
pub fn generate(config: Option<&str>) -> Result<OAuthToken, Box<dyn std::error::Error>> {
    let endpoint: Endpoint = config
        .and_then(|config| serde_json::from_str(config).ok())
        .ok_or("OAUTHBEARER needs sasl.oauthbearer.method=oidc and a token endpoint")?;
    // One line: it becomes part of librdkafka's own message.
    endpoint
        .fetch()
        .map_err(|error| format!("token endpoint {}: {error:#}", endpoint.url).into())
}

/// Gives a token to a client that nobody polls, so that its callback would never run. Does nothing for other mechanisms.
///
/// # Errors
/// As [`generate`].
pub fn give<C: ClientContext>(client: &Client<C>, config: &ClientConfig) -> anyhow::Result<()> {
    let Some(endpoint) = config.get(CONFIG) else {
        return Ok(());
    };
    let token = generate(Some(endpoint)).map_err(|error| anyhow!(error.to_string()))?;
    let (value, principal) = (
        CString::new(token.token)?,
        CString::new(token.principal_name)?,
    );
    let is_taken = set_token(client, &value, token.lifetime_ms, &principal);
    ensure!(is_taken, "librdkafka does not take the token");
    Ok(())
}

/// The endpoint's answer, of RFC 6749.
#[derive(Deserialize)]
struct Answer {
    access_token: String,
    expires_in: Option<u64>,
}

/// What a token says of itself, if it is a JWT.
#[derive(Default, Deserialize)]
struct Claims {
    sub: Option<String>,
    exp: Option<f64>,
}

impl Endpoint {
    fn fetch(&self) -> anyhow::Result<OAuthToken> {
        let answer: Answer = serde_json::from_str(&self.ask()?)
            // What is in the answer may be a secret.
            .map_err(|_| anyhow!("its answer is no JSON object with an access_token"))?;
        let claims = claims(&answer.access_token).unwrap_or_default();
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
        let told = answer
            .expires_in
            .map(|seconds| now.as_secs_f64() + seconds as f64);
        let expires = claims.exp.or(told);
        let expires = expires.context("neither the answer nor the token says when it expires")?;
        Ok(OAuthToken {
            token: answer.access_token,
            principal_name: claims.sub.unwrap_or_else(|| self.client.clone()),
            lifetime_ms: (expires * 1_000.0) as i64,
        })
    }

    fn ask(&self) -> anyhow::Result<String> {
        let credentials = STANDARD.encode(format!("{}:{}", self.client, self.secret));
        let mut form = vec![("grant_type", "client_credentials")];
        form.extend(self.scope.as_deref().map(|scope| ("scope", scope)));
        let mut response = self
            .agent()?
            .post(&self.url)
            .header("Authorization", format!("Basic {credentials}"))
            .header("Accept", "application/json")
            .send_form(form)?;
        let status = response.status();
        if !status.is_success() {
            bail!("it answers {status}; check client id, secret and scope");
        }
        let body = response.body_mut().with_config().limit(MOST_ANSWER_BYTES);
        Ok(body.read_to_string()?)
    }

    fn agent(&self) -> anyhow::Result<ureq::Agent> {
        let tls = TlsConfig::builder()
            .provider(TlsProvider::NativeTls)
            .root_certs(self.trusted()?)
            .build();
        let config = ureq::Agent::config_builder()
            .tls_config(tls)
            .timeout_global(Some(TOKEN_LIMIT))
            .http_status_as_error(false)
            // Credentials are for this endpoint, not for whoever it points to.
            .max_redirects(0)
            .build();
        Ok(config.into())
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
        ensure!(!certificates.is_empty(), "https.ca holds no certificate");
        Ok(RootCerts::new_with_certs(&certificates))
    }
}

fn claims(token: &str) -> Option<Claims> {
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
        adopt(&mut client);
        client
    }

    #[test]
    fn the_endpoint_travels_in_one_property() {
        let adopted = client(&[
            ("sasl.oauthbearer.method", "oidc"),
            (
                "sasl.oauthbearer.token.endpoint.url",
                "https://id.example.com/token",
            ),
            ("sasl.oauthbearer.client.id", "relay"),
            ("sasl.oauthbearer.client.secret", "hunter2"),
            ("sasl.mechanism", "OAUTHBEARER"),
        ]);
        assert_eq!(adopted.get("sasl.oauthbearer.client.secret"), None);
        assert_eq!(adopted.get("sasl.mechanism"), Some("OAUTHBEARER"));
        let config = adopted.get(CONFIG).expect("adopted");
        let endpoint: Endpoint = serde_json::from_str(config).expect("JSON");
        assert_eq!(
            (endpoint.client.as_str(), endpoint.secret.as_str()),
            ("relay", "hunter2")
        );
        assert_eq!(client(&[("client.id", "x")]).get(CONFIG), None);
    }

    #[test]
    fn claims_are_read_where_the_token_is_a_jwt() {
        let payload = URL_SAFE_NO_PAD.encode(r#"{"sub":"relay","exp":1700000000}"#);
        let claims_of = claims(&format!("x.{payload}.y")).expect("claims");
        assert_eq!(
            (claims_of.sub.as_deref(), claims_of.exp),
            (Some("relay"), Some(1.7e9))
        );
        for opaque in ["", "opaque", "a.b.c", "a.!.c"] {
            assert!(claims(opaque).is_none(), "{opaque}");
        }
    }

    #[test]
    fn failures_name_the_endpoint_and_no_secret() {
        // Port 9 of this machine: nothing listens there.
        let config = r#"{"url":"http://127.0.0.1:9/token","client":"relay","secret":"hunter2"}"#;
        let error = generate(Some(config)).err().expect("an error").to_string();
        assert!(
            error.starts_with("token endpoint http://127.0.0.1:9/token: "),
            "{error}"
        );
        assert!(!error.contains("hunter2"), "{error}");
        assert!(generate(None).is_err() && generate(Some("x=y")).is_err());
    }
}
