//! The words of a seal: why offsets were not read, why a writer resumed, and lines that readers
//! ignore.

use std::fmt;
use std::str::FromStr;

use crate::Invalid;

/// Why messages of the input were not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// They were deleted before they were read, by retention or by a person.
    Deleted,
    /// They cannot be read, and the operator has configured to pass over them.
    PassedOver,
}

impl Cause {
    /// Returns the text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Cause::Deleted => "deleted",
            Cause::PassedOver => "passed-over",
        }
    }
}

impl FromStr for Cause {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let mut causes = [Cause::Deleted, Cause::PassedOver].into_iter();
        let cause = causes.find(|cause| cause.as_str() == text);
        cause.ok_or_else(|| Invalid::new("cause", text, "deleted or passed-over"))
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a writer could not simply continue: words of `a-z`, joined by `-`, such as `metadata-lost`,
/// `metadata-stale`, `offsets-moved` or `topic-recreated`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason(Box<str>);

impl Reason {
    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Reason {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        if text.split('-').all(|word| is_word(word, u8::is_ascii_lowercase)) {
            return Ok(Self(text.into()));
        }
        Err(Invalid::new("reason", text, "words of a-z joined by -, such as metadata-lost"))
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A line `x-<word> <text>`: signed, and ignored by readers that do not know the word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extension {
    word: Box<str>,
    text: Box<str>,
}

impl Extension {
    /// Makes a line.
    ///
    /// # Errors
    ///
    /// If the word is not of parts of `a-z` and `0-9` joined by `-`, or the text is not printable
    /// ASCII that begins and ends with something other than a space.
    pub fn new(word: &str, text: &str) -> Result<Self, Invalid> {
        let is_letter = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        if !word.split('-').all(|part| is_word(part, is_letter)) {
            let expected = "parts of a-z and 0-9 joined by -";
            return Err(Invalid::new("word of an x- line", word, expected));
        }
        let is_printable = text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        if text.is_empty() || !is_printable || text.starts_with(' ') || text.ends_with(' ') {
            let expected = "printable ASCII without spaces at its ends";
            return Err(Invalid::new("text of an x- line", text, expected));
        }
        Ok(Self { word: word.into(), text: text.into() })
    }

    /// Returns the word, without `x-`.
    pub fn word(&self) -> &str {
        &self.word
    }

    /// Returns what follows the word.
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Extension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "x-{} {}", self.word, self.text)
    }
}

fn is_word(word: &str, is_letter: impl Fn(&u8) -> bool) -> bool {
    !word.is_empty() && word.as_bytes().iter().all(is_letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_words() {
        for good in ["metadata-lost", "a", "a-b-c"] {
            assert_eq!(good.parse::<Reason>().expect(good).to_string(), good);
        }
        for bad in ["", "-", "a-", "-a", "a--b", "A", "a_b", "a1", "a b", "ä"] {
            assert!(bad.parse::<Reason>().is_err(), "{bad}");
        }
    }

    #[test]
    fn extensions_are_a_word_and_a_text() {
        let line = Extension::new("note-2", "any text: + / #").expect("a line");
        assert_eq!(line.to_string(), "x-note-2 any text: + / #");
        for (word, text) in
            [("", "a"), ("A", "a"), ("a-", "a"), ("a", ""), ("a", " b"), ("a", "b ")]
        {
            assert!(Extension::new(word, text).is_err(), "{word} {text}");
        }
        for text in ["a\nhead x", "a\r", "\u{7f}", "ä"] {
            assert!(Extension::new("a", text).is_err(), "{text:?}");
        }
    }
}
