//! What a check found, and how grave that is.

use std::fmt;

/// The result of one check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The requirement is met; the text says what was found.
    Pass(String),
    /// It works, but the operator should know about it.
    Warn(String),
    /// Unknown: the relay has no right to read it, or the broker does not report it.
    NotPermitted(String),
    /// The cluster did not answer, which may be temporary.
    Unreachable(String),
    /// A topic is missing while others exist: it may still be created.
    Missing(String),
    /// The relay starts, and holds the partition concerned until the operator decides how to
    /// resume.
    Held(String),
    /// The requirement is not met; the text says what to do.
    Fail(String),
}

impl Verdict {
    /// Returns the word that precedes the text in a list.
    pub const fn word(&self) -> &'static str {
        match self {
            Verdict::Pass(_) => "ok",
            Verdict::Warn(_) => "WARNING",
            Verdict::NotPermitted(_) => "unknown",
            Verdict::Unreachable(_) | Verdict::Missing(_) | Verdict::Held(_) | Verdict::Fail(_) => {
                "PROBLEM"
            }
        }
    }

    /// Returns the text.
    pub fn text(&self) -> &str {
        match self {
            Verdict::Pass(text)
            | Verdict::Warn(text)
            | Verdict::NotPermitted(text)
            | Verdict::Unreachable(text)
            | Verdict::Missing(text)
            | Verdict::Held(text)
            | Verdict::Fail(text) => text,
        }
    }

    /// Returns whether the relay cannot work as things are.
    pub const fn is_problem(&self) -> bool {
        match self {
            Verdict::Pass(_) | Verdict::Warn(_) | Verdict::NotPermitted(_) => false,
            Verdict::Unreachable(_) | Verdict::Missing(_) | Verdict::Held(_) | Verdict::Fail(_) => {
                true
            }
        }
    }
}

/// The result of one check, and what was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What was checked.
    pub subject: String,
    /// The result.
    pub verdict: Verdict,
}

impl Finding {
    pub(super) fn new(subject: impl Into<String>, verdict: Verdict) -> Self {
        Finding { subject: subject.into(), verdict }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.subject, self.verdict.text())
    }
}
