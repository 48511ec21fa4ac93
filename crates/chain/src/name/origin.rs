//! The origin: the name of a trail and of the keys that sign it.

use std::fmt;
use std::str::FromStr;

use crate::Invalid;

/// The name of a trail, unique among all trails that an auditor knows: a URL without its scheme,
/// e.g. `audit.example.com/prod/infra`. It is also the name of the keys that sign the trail, so it
/// obeys the rules of C2SP's `signed-note` for key names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin(Box<str>);

impl Origin {
    /// The most characters of an origin.
    pub const CHARACTERS_MAX: usize = 200;

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Origin {
    type Err = Invalid;

    /// Reads 1 to 200 printable ASCII characters without spaces, `+` and `://`.
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let is_allowed = |byte: u8| byte.is_ascii_graphic() && byte != b'+';
        let is_short = (1..=Self::CHARACTERS_MAX).contains(&text.len());
        if is_short && text.bytes().all(is_allowed) && !text.contains("://") {
            return Ok(Self(text.into()));
        }
        let expected = "1 to 200 characters of a URL without its scheme, such as audit.example.com/prod/infra: printable ASCII without spaces and +";
        Err(Invalid::new("origin", text, expected))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
