//! The error of a short text, such as a name or a number, that does not have its form.

/// Characters of the text that a message shows.
const SHOWN_CHARACTERS_MAX: usize = 120;

/// A text that does not have the form it must have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid {what} {text:?}: expected {expected}")]
pub struct Invalid {
    what: &'static str,
    text: String,
    expected: &'static str,
}

impl Invalid {
    /// Describes a text; `what` and `expected` complete `invalid what "text": expected expected`.
    pub(crate) fn new(what: &'static str, text: &str, expected: &'static str) -> Self {
        Self { what, text: text.chars().take(SHOWN_CHARACTERS_MAX).collect(), expected }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_is_expected_and_escapes_what_is_there() {
        let invalid = Invalid::new("origin", "a\nb", "no line break");
        assert_eq!(invalid.to_string(), "invalid origin \"a\\nb\": expected no line break");
    }

    #[test]
    fn shows_the_beginning_of_a_long_text() {
        let message = Invalid::new("origin", &"é".repeat(10_000), "less").to_string();
        assert_eq!(message.matches('é').count(), SHOWN_CHARACTERS_MAX);
    }
}
