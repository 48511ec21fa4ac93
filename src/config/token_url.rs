//! The URL of a token endpoint. It is parsed once, with the parser of the client that uses it, so
//! that the host that is checked is the host that is called. Its query may be secret: only scheme,
//! host, port and path are shown.

use std::fmt;
use std::net::IpAddr;

use http::Uri;
use http::uri::Scheme;

/// A URL to which a client's secret may be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenUrl(Uri);

impl TokenUrl {
    /// Parses a URL. Plain HTTP is for this machine only.
    ///
    /// # Errors
    /// Fails with a message that says what to do and repeats nothing of the text.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        const NO_URL: &str =
            "not the URL of an endpoint: expected one such as https://id.example.com/token";
        let uri: Uri = text.parse().map_err(|_| NO_URL)?;
        let authority = uri.authority().ok_or(NO_URL)?;
        if authority.as_str().contains('@') {
            return Err(
                "the URL contains a user name or password; set sasl.oauthbearer.client.id and sasl.oauthbearer.client.secret instead",
            );
        }
        let has_port = authority.as_str() != authority.host();
        if authority.host().is_empty() || has_port && authority.port_u16().is_none() {
            return Err(NO_URL);
        }
        let url = TokenUrl(uri);
        match url.0.scheme() {
            Some(scheme) if *scheme == Scheme::HTTPS => Ok(url),
            Some(scheme) if *scheme == Scheme::HTTP && url.is_local() => Ok(url),
            Some(scheme) if *scheme == Scheme::HTTP => {
                Err("the secret would be sent unencrypted; use an https URL")
            }
            _ => Err(NO_URL),
        }
    }

    /// Returns whether its host is this machine.
    pub fn is_local(&self) -> bool {
        let host = self.0.host().unwrap_or_default();
        let address = host.trim_start_matches('[').trim_end_matches(']').parse();
        address.map_or_else(
            |_| host.eq_ignore_ascii_case("localhost"),
            |address: IpAddr| address.is_loopback(),
        )
    }

    /// Returns the whole URL, for the client.
    pub fn uri(&self) -> &Uri {
        &self.0
    }
}

impl fmt::Display for TokenUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = self.0.scheme_str().unwrap_or_default();
        write!(f, "{scheme}://{}", self.0.host().unwrap_or_default())?;
        if let Some(port) = self.0.port_u16() {
            write!(f, ":{port}")?;
        }
        f.write_str(self.0.path())
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
            let parsed = TokenUrl::parse(url).unwrap_or_else(|why| panic!("{url}: {why}"));
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
            let refused = TokenUrl::parse(url).expect_err(url);
            assert!(refused.contains(why) && !refused.contains("hunter2"), "{url}: {refused}");
        }
    }
}
