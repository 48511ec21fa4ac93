//! What is wrong with a configuration: which key, where it came from, why, and what to do about it.
//!
//! Problems are collected, never thrown one by one: an operator who fixes a file wants the whole
//! list. This file decides nothing about values; it also never sees one that is secret, because the
//! message is made before.

use std::fmt;
use std::sync::Arc;

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
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

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => write!(f, "the default"),
            Self::File { name, line } => write!(f, "{name}, line {line}"),
            Self::Environment(variable) => write!(f, "environment variable {variable}"),
        }
    }
}

/// One thing that is wrong, with the remedy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The key, such as `batch.max_records`; the file's name when the file as a whole is at fault.
    pub key: String,
    /// Where the offending value came from; none when there is no value.
    pub origin: Option<Origin>,
    /// What is wrong, and what to do instead. Never holds a secret.
    pub message: String,
}

impl Problem {
    pub(super) fn new(key: &str, origin: Option<Origin>, message: impl Into<String>) -> Self {
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

/// Everything that is wrong with a configuration; never empty when returned as an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl Problems {
    /// The problems as an error, if there are any.
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

/// That a value is not what is expected.
pub(super) fn invalid(shown: &str, expected: &str) -> String {
    format!("invalid value {shown}: expected {expected}")
}

/// `; did you mean x?`, or nothing.
pub(super) fn did_you_mean(meant: Option<&str>) -> String {
    meant.map(|name| format!("; did you mean {name}?")).unwrap_or_default()
}

/// That something is not known, with the name that was probably meant.
pub(super) fn unknown(what: &str, meant: Option<&str>) -> String {
    match meant {
        Some(name) => format!("unknown {what}; did you mean {name}?"),
        None => format!("unknown {what}; remove it"),
    }
}
