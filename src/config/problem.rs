//! Problems of a configuration: the key, the origin of its value, the reason and the remedy.
//!
//! Problems are collected rather than returned one by one, since an operator who fixes a file wants
//! the whole list. This file checks no values and never sees a secret: messages are built before.

use std::fmt;
use std::sync::Arc;

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ValueOrigin {
    /// The default in [`SETTINGS`](super::SETTINGS).
    Default,
    /// A line of the configuration file, counted from 1.
    File {
        /// The file as the user named it.
        name: Arc<str>,
        /// The line, from 1.
        line: usize,
    },
    /// An environment variable, by its name.
    Environment(String),
}

impl fmt::Display for ValueOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => write!(f, "the default"),
            Self::File { name, line } => write!(f, "{name}, line {line}"),
            Self::Environment(variable) => write!(f, "environment variable {variable}"),
        }
    }
}

/// One problem and its remedy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The key, such as `batch.max_records`; the file's name if the problem is the file itself.
    pub key: String,
    /// Where the invalid value came from; none if there is no value.
    pub origin: Option<ValueOrigin>,
    /// What is wrong and what to do instead. Never contains a secret.
    pub message: String,
}

impl Problem {
    pub(super) fn new(key: &str, origin: Option<ValueOrigin>, message: impl Into<String>) -> Self {
        Self { key: key.to_owned(), origin, message: message.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.message)?;
        match &self.origin {
            Some(origin) => write!(f, " ({origin})"),
            None => Ok(()),
        }
    }
}

/// All problems of a configuration; never empty when returned as an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl Problems {
    /// Returns the problems as an error, if there are any.
    pub(super) fn none_or(problems: Vec<Problem>) -> Result<(), Self> {
        if problems.is_empty() { Ok(()) } else { Err(Self(problems)) }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            1 => write!(f, "1 problem in the configuration:")?,
            count => write!(f, "{count} problems in the configuration:")?,
        }
        self.0.iter().try_for_each(|problem| write!(f, "\n  - {problem}"))
    }
}

impl std::error::Error for Problems {}

/// Returns the message for a value that is not what is expected.
pub(super) fn invalid(shown: &str, expected: &str) -> String {
    format!("invalid value {shown}: expected {expected}")
}

/// Returns `; did you mean x?`, or nothing.
pub(super) fn did_you_mean(meant: Option<&str>) -> String {
    meant.map(|name| format!("; did you mean {name}?")).unwrap_or_default()
}

/// Returns the message for an unknown name, with the name that was probably meant.
pub(super) fn unknown(what: &str, meant: Option<&str>) -> String {
    match meant {
        Some(name) => format!("unknown {what}; did you mean {name}?"),
        None => format!("unknown {what}; remove it"),
    }
}
