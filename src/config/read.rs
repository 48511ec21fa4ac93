//! Takes values out of the tree by key and type, and collects every problem on the way.
//!
//! A method that finds a problem notes it and returns a stand-in, so that reading goes on; only a
//! [`Draft`](super::Draft) holds stand-ins. What is left in the tree at the end is unknown.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use super::load::{Node, Tree, Value};
use super::problem::{Origin, Problem, did_you_mean, nearest};
use super::settings::variable_of;
use super::settings::{literal_keys, sections};

/// Reads one configuration.
pub(super) struct Reader {
    tree: Tree,
    origins: BTreeMap<String, Origin>,
    problems: Vec<Problem>,
    /// What relative paths are relative to.
    folder: PathBuf,
}

impl Reader {
    pub(super) fn new(tree: Tree, problems: Vec<Problem>, folder: PathBuf) -> Self {
        Self { tree, origins: BTreeMap::new(), problems, folder }
    }

    /// Notes that the value of `key` is wrong; where it came from is known from reading it.
    pub(super) fn problem(&mut self, key: &str, complaint: impl Into<String>) {
        let origin = self.origins.get(key).cloned();
        self.problems.push(Problem { key: key.to_owned(), origin, complaint: complaint.into() });
    }

    /// Whether a key was given and not taken yet.
    pub(super) fn has(&self, key: &str) -> bool {
        self.tree.contains_key(key)
    }

    /// Takes a node out of the tree, so that it is known.
    pub(super) fn take(&mut self, key: &str) -> Option<Node> {
        let node = self.tree.remove(key)?;
        self.origins.insert(key.to_owned(), node.origin.clone());
        Some(node)
    }

    /// Takes all keys that begin with `prefix`, in alphabetical order.
    pub(super) fn take_all(&mut self, prefix: &str) -> Vec<(String, Node)> {
        let keys: Vec<String> =
            self.tree.keys().filter(|key| key.starts_with(prefix)).cloned().collect();
        keys.into_iter().filter_map(|key| self.take(&key).map(|node| (key, node))).collect()
    }

    fn refuse(&mut self, key: &str, value: &Value, wanted: &str) {
        self.problem(key, format!("{} will not do; give {wanted}", value.shown()));
    }

    pub(super) fn missing(&mut self, key: &str) {
        self.problem(
            key,
            format!("required, and not given; set it in the file or as {}", variable_of(key)),
        );
    }

    /// Text that is not blank; none when the key is not given.
    pub(super) fn optional_text(&mut self, key: &str) -> Option<String> {
        let node = self.take(key)?;
        match node.value {
            Value::Text(text) | Value::Untyped(text) if !text.trim().is_empty() => Some(text),
            Value::Text(_) | Value::Untyped(_) => {
                self.problem(key, "empty; give a value or leave the key out");
                None
            }
            other => {
                self.refuse(key, &other, "text in quotes");
                None
            }
        }
    }

    /// Text that must be given.
    pub(super) fn text(&mut self, key: &str) -> String {
        let given = self.tree.contains_key(key);
        let text = self.optional_text(key);
        if !given {
            self.missing(key);
        }
        text.unwrap_or_default()
    }

    /// Text that `is_legal`; `wanted` says what that is.
    pub(super) fn legal_text(
        &mut self,
        key: &str,
        wanted: &str,
        is_legal: impl Fn(&str) -> bool,
    ) -> String {
        let before = self.problems.len();
        let text = self.text(key);
        if self.problems.len() == before && !is_legal(&text) {
            self.refuse(key, &Value::Untyped(text.clone()), wanted);
        }
        text
    }

    /// A whole number within `range`.
    pub(super) fn number(&mut self, key: &str, range: RangeInclusive<u64>) -> u64 {
        self.optional_number(key, range.clone()).unwrap_or(*range.start())
    }

    /// A whole number within `range`; none when the key is not given.
    pub(super) fn optional_number(&mut self, key: &str, range: RangeInclusive<u64>) -> Option<u64> {
        let node = self.take(key)?;
        let number = match &node.value {
            Value::Integer(number) => u64::try_from(*number).ok(),
            Value::Untyped(text) => text.trim().parse().ok(),
            _ => None,
        };
        let number = number.filter(|number| range.contains(number));
        if number.is_none() {
            let unquoted = unquoted(&node.value);
            let wanted =
                format!("a whole number from {} to {}{unquoted}", range.start(), range.end());
            self.refuse(key, &node.value, &wanted);
        }
        number
    }

    /// A number of bytes or records, for use as a size in memory.
    pub(super) fn size(&mut self, key: &str, range: RangeInclusive<u64>) -> usize {
        usize::try_from(self.number(key, range)).unwrap_or(usize::MAX)
    }

    /// A number of milliseconds.
    pub(super) fn milliseconds(&mut self, key: &str, range: RangeInclusive<u64>) -> Duration {
        Duration::from_millis(self.number(key, range))
    }

    /// true or false.
    pub(super) fn boolean(&mut self, key: &str) -> bool {
        let Some(node) = self.take(key) else {
            return false;
        };
        match &node.value {
            Value::Boolean(flag) => *flag,
            Value::Untyped(text) if text.trim() == "true" => true,
            Value::Untyped(text) if text.trim() == "false" => false,
            other => {
                self.refuse(key, other, &format!("true or false{}", unquoted(other)));
                false
            }
        }
    }

    /// A list of texts; in the environment comma separated. No blank entry, none twice.
    pub(super) fn list(&mut self, key: &str) -> Vec<String> {
        let Some(node) = self.take(key) else {
            return Vec::new();
        };
        let Some(entries) = texts(&node.value) else {
            self.refuse(key, &node.value, "a list of texts, such as [\"one\", \"two\"]");
            return Vec::new();
        };
        for (index, entry) in entries.iter().enumerate() {
            if entry.is_empty() {
                self.problem(key, format!("entry {} is empty; remove it", index + 1));
            } else if entries[..index].contains(entry) {
                self.problem(key, format!("{entry:?} is listed twice; remove one"));
            }
        }
        entries
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(&mut self, key: &str, choices: &[(&str, T)]) -> Option<T> {
        let text = self.optional_text(key)?;
        let chosen = choices.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        if chosen.is_none() {
            let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
            let suggestion = did_you_mean(nearest(&text, words.iter().copied()));
            self.problem(
                key,
                format!("{text:?} will not do; give one of {}{suggestion}", words.join(", ")),
            );
        }
        chosen
    }

    /// A path, relative ones seen from the configuration file's folder; none when the key is not
    /// given.
    pub(super) fn path(&mut self, key: &str) -> Option<PathBuf> {
        self.optional_text(key).map(|text| self.resolve(&text))
    }

    /// A path as seen from the configuration file's folder.
    pub(super) fn resolve(&self, path: &str) -> PathBuf {
        self.folder.join(path)
    }

    /// Whether anything was found wrong with `key`.
    pub(super) fn has_problem(&self, key: &str) -> bool {
        self.problems.iter().any(|problem| problem.key == key)
    }

    /// Whether a value stands in the file or in the environment, and in which of the two.
    pub(super) fn is_from_environment(&self, key: &str) -> bool {
        let node = self.tree.get(key);
        node.is_some_and(|node| matches!(node.origin, Origin::Environment(_)))
    }

    /// All problems; unknown keys are among them.
    pub(super) fn finish(mut self) -> Vec<Problem> {
        for (key, node) in std::mem::take(&mut self.tree) {
            let is_section = sections().any(|section| section == key);
            let complaint = match node.value {
                Value::Table(table) if table.is_empty() && is_section => continue,
                _ if is_section => {
                    format!("a section, not a value; write [{key}] and its keys below")
                }
                _ => format!(
                    "unknown key; remove it{}",
                    did_you_mean(nearest(&key, literal_keys().chain(sections())))
                ),
            };
            self.problems.push(Problem { key, origin: Some(node.origin), complaint });
        }
        self.problems
    }
}

/// A number in quotes is the likeliest slip.
fn unquoted(value: &Value) -> &'static str {
    if matches!(value, Value::Text(_)) { ", without quotes" } else { "" }
}

fn texts(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::Untyped(text) if text.trim().is_empty() => Some(Vec::new()),
        Value::Untyped(text) => {
            Some(text.split(',').map(|entry| entry.trim().to_owned()).collect())
        }
        Value::List(entries) => entries.iter().map(text).collect(),
        _ => None,
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::Text(text) => Some(text.clone()),
        _ => None,
    }
}
