//! The URL of an endpoint. It is parsed once, with the parser of the client that uses it, so that
//! the host that is checked is the host that is called. Its query may be secret: only scheme, host,
//! port and path are shown.

use std::fmt;
use std::net::IpAddr;

use http::Uri;
use http::uri::Scheme;

/// An absolute URL of HTTP or HTTPS, without a user name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpUrl(Uri);

/// Why a text is not an [`HttpUrl`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoHttpUrl {
    /// It has a user name or a password.
    HasUser,
    /// It is not an absolute URL of HTTP or HTTPS.
    Form,
}

impl HttpUrl {
    /// Parses a URL.
    ///
    /// # Errors
    /// If it is none, or has a user name.
    pub fn parse(text: &str) -> Result<Self, NoHttpUrl> {
        let uri: Uri = text.parse().map_err(|_| NoHttpUrl::Form)?;
        let authority = uri.authority().ok_or(NoHttpUrl::Form)?;
        if authority.as_str().contains('@') {
            return Err(NoHttpUrl::HasUser);
        }
        let has_port = authority.as_str() != authority.host();
        if authority.host().is_empty() || has_port && authority.port_u16().is_none() {
            return Err(NoHttpUrl::Form);
        }
        let is_http = uri.scheme().is_some_and(|it| *it == Scheme::HTTP || *it == Scheme::HTTPS);
        is_http.then_some(HttpUrl(uri)).ok_or(NoHttpUrl::Form)
    }

    /// Returns whether the connection is encrypted.
    pub fn is_https(&self) -> bool {
        self.0.scheme().is_some_and(|scheme| *scheme == Scheme::HTTPS)
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

impl fmt::Display for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = self.0.scheme_str().unwrap_or_default();
        write!(f, "{scheme}://{}", self.0.host().unwrap_or_default())?;
        if let Some(port) = self.0.port_u16() {
            write!(f, ":{port}")?;
        }
        f.write_str(self.0.path())
    }
}
