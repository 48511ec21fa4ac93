//! Takes values out of the tree by key, checks each against its row in the table of settings, and
//! collects every problem.
//!
//! For an invalid value it records the problem and returns a stand-in, so that reading continues;
//! only a [`Draft`](super::Draft) holds stand-ins. Keys left in the tree at the end are unknown.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use audit_judge::text::nearest;

use super::problem::{Problem, ValueOrigin, unknown};
use super::settings::{find, literal_keys, sections};
use super::value::{Node, Tree, Value};

/// Reads one configuration.
pub(super) struct SettingsReader<'a> {
    tree: Tree,
    origins: BTreeMap<String, ValueOrigin>,
    problems: Vec<Problem>,
    /// The folder that relative paths start from.
    folder: &'a Path,
}

impl<'a> SettingsReader<'a> {
    pub(super) fn new(tree: Tree, problems: Vec<Problem>, folder: &'a Path) -> Self {
        Self { tree, origins: BTreeMap::new(), problems, folder }
    }

    /// Records a problem with the value of `key`; its origin is known from reading it.
    pub(super) fn problem(&mut self, key: &str, message: impl Into<String>) {
        let origin = self.origins.get(key).cloned();
        self.problems.push(Problem::new(key, origin, message));
    }

    /// Returns whether `key` has a problem.
    pub(super) fn has_problem(&self, key: &str) -> bool {
        self.problems.iter().any(|problem| problem.key == key)
    }

    /// Returns whether a key was given and has not been taken yet.
    pub(super) fn has(&self, key: &str) -> bool {
        self.tree.contains_key(key)
    }

    /// Returns whether a key was given in the environment and has not been taken yet.
    pub(super) fn is_from_environment(&self, key: &str) -> bool {
        let node = self.tree.get(key);
        node.is_some_and(|node| matches!(node.origin, ValueOrigin::Environment(_)))
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

    /// Takes a value in the type of its kind; none if it is missing or invalid.
    fn value(&mut self, key: &str) -> Option<Value> {
        let node = self.take(key)?;
        let mut problems = Vec::new();
        let value = find(key).and_then(|setting| setting.kind.read(&node.value, &mut problems));
        problems.into_iter().for_each(|problem| self.problem(key, problem));
        value
    }

    /// Returns a whole number; none when the key is not given.
    pub(super) fn number<N: TryFrom<i64>>(&mut self, key: &str) -> Option<N> {
        match self.value(key)? {
            Value::Integer(number) => N::try_from(number).ok(),
            _ => None,
        }
    }

    /// Returns a number of milliseconds.
    pub(super) fn milliseconds(&mut self, key: &str) -> Duration {
        Duration::from_millis(self.number(key).unwrap_or_default())
    }

    /// `true` or `false`.
    pub(super) fn boolean(&mut self, key: &str) -> bool {
        self.value(key) == Some(Value::Boolean(true))
    }

    /// Returns a text; none when the key is not given.
    pub(super) fn optional_text(&mut self, key: &str) -> Option<String> {
        match self.value(key)? {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Returns a text with a default.
    pub(super) fn text(&mut self, key: &str) -> String {
        self.optional_text(key).unwrap_or_default()
    }

    /// Returns the texts of a list.
    pub(super) fn list(&mut self, key: &str) -> Vec<String> {
        match self.value(key) {
            Some(Value::List(entries)) => {
                entries.iter().filter_map(Value::text).map(str::to_owned).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Returns a path; none when the key is not given.
    pub(super) fn path(&mut self, key: &str) -> Option<PathBuf> {
        self.optional_text(key).map(|text| self.resolve(&text))
    }

    /// Resolves a path against the configuration file's folder.
    pub(super) fn resolve(&self, path: &str) -> PathBuf {
        self.folder.join(path)
    }

    /// Returns all problems, including unknown keys.
    pub(super) fn finish(mut self) -> Vec<Problem> {
        let unknown = self.tree.iter().filter_map(|(key, node)| {
            let message = untaken(key, &node.value)?;
            Some(Problem::new(key, Some(node.origin.clone()), message))
        });
        self.problems.extend(unknown);
        self.problems
    }
}

/// Returns the problem of an unknown key. An empty section is not a problem.
fn untaken(key: &str, value: &Value) -> Option<String> {
    let is_section = sections().any(|section| section == key);
    match value {
        Value::Table(table) if is_section && table.is_empty() => None,
        _ if is_section => {
            Some(format!("a section, not a value; write [{key}] and its keys below"))
        }
        _ => Some(unknown("key", nearest(key, literal_keys().chain(sections())))),
    }
}
