//! Shared by the catalogue and the location table for reading TOML: messages that name the line,
//! the unknown key and the key that was probably meant. It does not know the content of the files.

use std::fmt;

use serde::de::DeserializeOwned;
use toml::{Table, Value};

use crate::text::nearest;

/// Parses a whole file. The error names the line, counted from 1.
pub(crate) fn parse(text: &str) -> Result<Table, String> {
    toml::from_str(text).map_err(|error| match error.span() {
        Some(span) => {
            let before = text.as_bytes().iter().take(span.start);
            let line = 1 + before.filter(|byte| **byte == b'\n').count();
            format!("line {line} is not valid TOML: {}", one_line(&error))
        }
        None => format!("is not valid TOML: {}", one_line(&error)),
    })
}

/// Reads one table into its type, or explains what does not fit.
pub(crate) fn read<T: DeserializeOwned>(table: Table) -> Result<T, String> {
    Value::Table(table).try_into().map_err(|error: toml::de::Error| one_line(&error))
}

/// Removes the rows of an array of tables (`[[name]]`) from `table` and returns them. Absent means
/// none.
pub(crate) fn take_rows(table: &mut Table, name: &str) -> Result<Vec<Table>, String> {
    match table.remove(name) {
        None => Ok(Vec::new()),
        Some(rows) => {
            rows.try_into().map_err(|_| format!("`{name}` must be written as [[{name}]] rows"))
        }
    }
}

/// Removes every key that is not `known` from `table`, and returns one message for each, so that
/// the rest can still be read and all problems of a file are reported at once.
pub(crate) fn take_unknown(table: &mut Table, known: &[&str]) -> Vec<String> {
    let unknown: Vec<String> =
        table.keys().filter(|key| !known.contains(&key.as_str())).cloned().collect();
    for key in &unknown {
        table.remove(key);
    }
    unknown
        .iter()
        .map(|key| match nearest(key, known.iter().copied()) {
            Some(meant) => format!("unknown key `{key}`: did you mean `{meant}`?"),
            None => format!("unknown key `{key}`: known are {}", known.join(", ")),
        })
        .collect()
}

/// Returns whether `text` is one or more of `[a-z0-9-]`: safe in a topic name, a CRN segment and a
/// metric label.
pub(crate) fn is_slug(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
}

fn one_line(error: &toml::de::Error) -> String {
    error.message().trim().replace('\n', ", ")
}

/// One problem of a data file, and how to fix it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file's name as given, or `configuration`.
    pub file: String,
    /// The row by its name or number, or a key; `None` for the whole file.
    pub row: Option<String>,
    /// What is wrong and how to fix it.
    pub message: String,
}

impl Problem {
    pub(crate) fn of_row(file: &str, row: &str, message: impl Into<String>) -> Self {
        Self { file: file.to_owned(), row: Some(row.to_owned()), message: message.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.row {
            Some(row) => write!(f, "{}: {row}: {}", self.file, self.message),
            None => write!(f, "{}: {}", self.file, self.message),
        }
    }
}

impl std::error::Error for Problem {}

/// Collects the problems of one file, so that all are reported at once.
pub(crate) struct Report<'f> {
    file: &'f str,
    /// The row being read, once the head is done.
    pub(crate) row: Option<String>,
    pub(crate) problems: Vec<Problem>,
}

impl<'f> Report<'f> {
    /// Creates a report on the file of this name.
    pub(crate) fn of(file: &'f str) -> Self {
        Self { file, row: None, problems: Vec::new() }
    }

    pub(crate) fn say(&mut self, message: impl Into<String>) {
        let (file, row) = (self.file.to_owned(), self.row.clone());
        self.problems.push(Problem { file, row, message: message.into() });
    }

    pub(crate) fn say_all(&mut self, messages: Vec<String>) {
        messages.into_iter().for_each(|message| self.say(message));
    }

    pub(crate) fn require(&mut self, holds: bool, message: impl FnOnce() -> String) {
        if !holds {
            self.say(message());
        }
    }

    /// Returns the value, or reports its problem and returns `None`.
    pub(crate) fn accept<T>(&mut self, result: Result<T, String>) -> Option<T> {
        result.map_err(|message| self.say(message)).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_syntax_error_names_its_line() {
        let problem = parse("a = 1\nb = \n").unwrap_err();
        assert!(problem.starts_with("line 2 is not valid TOML: "), "{problem}");
    }

    #[test]
    fn unknown_keys_are_all_taken_and_explained() {
        let mut table = parse("serverity = 1\nzzz = 2\nname = 3\n").unwrap();
        assert_eq!(
            take_unknown(&mut table, &["name", "severity"]),
            [
                "unknown key `serverity`: did you mean `severity`?",
                "unknown key `zzz`: known are name, severity"
            ]
        );
        assert_eq!(table.keys().collect::<Vec<_>>(), ["name"]);
    }

    #[test]
    fn a_table_is_not_a_list_of_rows() {
        let mut table = parse("[action]\nname = 1\n").unwrap();
        assert_eq!(
            take_rows(&mut table, "action").unwrap_err(),
            "`action` must be written as [[action]] rows"
        );
    }

    #[test]
    fn slugs() {
        for good in ["us-south", "a", "0"] {
            assert!(is_slug(good), "{good}");
        }
        for bad in ["", "US", "a_b", "a.b", "a b", "ü"] {
            assert!(!is_slug(bad), "{bad}");
        }
    }
}
