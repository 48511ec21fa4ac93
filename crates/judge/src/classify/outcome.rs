//! Derives how an action ended from what a producer reports: a word, a status, a reason for
//! failure. The words are in `catalog/outcomes.toml`.

use std::borrow::Cow;
use std::sync::LazyLock;

use serde::Deserialize;

use crate::json::Raw;
use crate::parse::field::filled;
use crate::parse::record::Field;
use crate::text::names::normalise;

/// How the action ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Also the default of a record without an outcome, unless its reason code is 400 or above or
    /// it gives a reason for failure.
    Success,
    /// The action failed.
    Failure,
    /// The action has not ended yet.
    Pending,
}

impl Outcome {
    const ALL: [Outcome; 3] = [Outcome::Success, Outcome::Failure, Outcome::Pending];

    /// Returns the value of `outcome` in the audit event.
    pub const fn name(self) -> &'static str {
        match self {
            Outcome::Success => "success",
            Outcome::Failure => "failure",
            Outcome::Pending => "pending",
        }
    }

    /// Reads the field; `None` if it is absent.
    ///
    /// # Errors
    /// Describes the value if it is not an outcome.
    pub(crate) fn read(raw: Option<Raw<'_>>) -> Result<Option<Self>, String> {
        let text = match raw {
            Some(Raw(flag @ ("true" | "false"))) => Some(Cow::Borrowed(flag)),
            raw => filled(Field::Outcome.name(), raw)?,
        };
        let Some(text) = text else {
            return Ok(None);
        };
        let mut published = Self::ALL.into_iter();
        let outcome =
            published.find(|outcome| *text == *outcome.name()).or_else(|| WORDS.outcome(&text));
        let refused = || format!("outcome is not success, failure or pending: {text:?}");
        outcome.map(Some).ok_or_else(refused)
    }

    /// Derives the outcome of a record that does not state it. A record that states only 403, or
    /// only why it failed, did not succeed.
    pub(crate) fn from_rest(reason_code: Option<u16>, gives_reason: bool) -> Self {
        match reason_code {
            Some(400..) => Outcome::Failure,
            None if gives_reason => Outcome::Failure,
            _ => Outcome::Success,
        }
    }
}

/// The words for each outcome, in comparable form.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Words {
    success: Vec<String>,
    failure: Vec<String>,
    pending: Vec<String>,
}

/// If this table could not be read, it would know no words, and a test would fail.
static WORDS: LazyLock<Words> = LazyLock::new(|| {
    let mut words: Words =
        toml::from_str(include_str!("../../../../catalog/outcomes.toml")).unwrap_or_default();
    for list in [&mut words.success, &mut words.failure, &mut words.pending] {
        for word in list {
            *word = normalise(word).into_owned();
        }
    }
    words
});

impl Words {
    fn of(&self, outcome: Outcome) -> &[String] {
        match outcome {
            Outcome::Success => &self.success,
            Outcome::Failure => &self.failure,
            Outcome::Pending => &self.pending,
        }
    }

    fn outcome(&self, text: &str) -> Option<Outcome> {
        let text = normalise(text);
        let is_word = |outcome: &Outcome| self.of(*outcome).iter().any(|word| *word == text);
        Outcome::ALL.into_iter().find(is_word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_word_means_one_outcome() {
        let mut seen = std::collections::BTreeSet::new();
        for outcome in Outcome::ALL {
            assert!(WORDS.of(outcome).contains(&outcome.name().to_string()));
            for word in WORDS.of(outcome) {
                assert!(seen.insert(word), "{word} twice");
            }
        }
    }

    #[test]
    fn other_vocabularies_are_read_where_there_is_no_doubt() {
        use Outcome::{Failure, Pending, Success};
        for (json, expected) in [
            (r#""success""#, Some(Success)),
            (r#""Succeeded""#, Some(Success)),
            ("true", Some(Success)),
            (r#""OK""#, Some(Success)),
            (r#""FAILURE""#, Some(Failure)),
            (r#""failed""#, Some(Failure)),
            (r#"" Error\u00a0""#, Some(Failure)),
            ("false", Some(Failure)),
            (r#""False""#, Some(Failure)),
            (r#""denied""#, Some(Failure)),
            (r#""In-Progress""#, Some(Pending)),
            (r#""""#, None),
            (r#""null""#, None),
            ("null", None),
        ] {
            let raw = Some(Raw(json)).filter(|_| json != "null");
            assert_eq!(Outcome::read(raw), Ok(expected), "{json}");
        }
        for json in ["0", "1", r#""1""#, r#""yes""#, r#""maybe""#, r#""done""#, "[]", "{}"] {
            assert!(Outcome::read(Some(Raw(json))).is_err(), "{json}");
        }
    }

    #[test]
    fn what_a_record_does_not_say_follows_from_the_rest() {
        use Outcome::{Failure, Success};
        for (code, reason, expected) in [
            (None, false, Success),
            (None, true, Failure),
            (Some(200), false, Success),
            (Some(399), true, Success),
            (Some(400), false, Failure),
            (Some(503), true, Failure),
        ] {
            assert_eq!(Outcome::from_rest(code, reason), expected, "{code:?} {reason}");
        }
    }
}
