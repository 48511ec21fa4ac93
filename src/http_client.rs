//! The client of HTTP endpoints: tokens come from one, anchors go to one.

use std::time::Duration;

use ureq::Agent;
use ureq::tls::{RootCerts, TlsConfig, TlsProvider};

use crate::config::HttpUrl;

/// Returns a client for requests to this endpoint. A request fails at the limit, from the name
/// look-up to the last byte. Redirects are not followed, since what is sent is for this endpoint
/// only, and no status is an error.
pub(crate) fn agent(url: &HttpUrl, trusted: RootCerts, limit: Duration) -> Agent {
    let tls = TlsConfig::builder().provider(TlsProvider::NativeTls).root_certs(trusted).build();
    let mut config = Agent::config_builder();
    // For a proxy, 127.0.0.1 is another machine.
    if url.is_local() {
        config = config.proxy(None);
    }
    let config = config
        .tls_config(tls)
        .timeout_global(Some(limit))
        .http_status_as_error(false)
        .max_redirects(0)
        .build();
    config.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_local_endpoint_is_reached_without_a_proxy() {
        for url in ["http://127.0.0.1:9/", "http://[::1]/", "https://localhost/"] {
            let parsed = HttpUrl::parse(url).expect(url);
            let agent = agent(&parsed, RootCerts::PlatformVerifier, Duration::from_secs(1));
            assert!(agent.config().proxy().is_none(), "{url}");
        }
    }
}
