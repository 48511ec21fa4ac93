//! Takes values out of the tree by key, each as its row in the table of settings demands, and
//! collects every problem on the way.
//!
//! Where a value is wrong, its problem is noted and a stand-in returned, so that reading goes on;
//! only a [`Draft`](super::Draft) holds stand-ins. What is left in the tree at the end is unknown.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use audit_judge::text::nearest;

use super::problem::{Origin, Problem, unknown};
use super::settings::{find, literal_keys, sections};
use super::value::{Node, Tree, Value};

/// Reads one configuration.
pub(super) struct Reader<'a> {
    tree: Tree,
    origins: BTreeMap<String, Origin>,
    problems: Vec<Problem>,
    /// What relative paths are relative to.
    folder: &'a Path,
}

impl<'a> Reader<'a> {
    pub(super) fn new(tree: Tree, problems: Vec<Problem>, folder: &'a Path) -> Self {
        Self { tree, origins: BTreeMap::new(), problems, folder }
    }

    /// Notes that the value of `key` is wrong; where it came from is known from reading it.
    pub(super) fn problem(&mut self, key: &str, message: impl Into<String>) {
        let origin = self.origins.get(key).cloned();
        self.problems.push(Problem::new(key, origin, message));
    }

    /// Whether anything was found wrong with `key`.
    pub(super) fn has_problem(&self, key: &str) -> bool {
        self.problems.iter().any(|problem| problem.key == key)
    }

    /// Whether a key was given and not taken yet.
    pub(super) fn has(&self, key: &str) -> bool {
        self.tree.contains_key(key)
    }

    /// Whether a key was given in the environment and not taken yet.
    pub(super) fn is_from_environment(&self, key: &str) -> bool {
        let node = self.tree.get(key);
        node.is_some_and(|node| matches!(node.origin, Origin::Environment(_)))
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

    /// Takes a value in the type of its kind; none when it is not given or wrong.
    fn value(&mut self, key: &str) -> Option<Value> {
        let node = self.take(key)?;
        let mut problems = Vec::new();
        let value = find(key).and_then(|setting| setting.kind.read(&node.value, &mut problems));
        problems.into_iter().for_each(|problem| self.problem(key, problem));
        value
    }

    /// A whole number; none when the key is not given.
    pub(super) fn number<N: TryFrom<i64>>(&mut self, key: &str) -> Option<N> {
        match self.value(key)? {
            Value::Integer(number) => N::try_from(number).ok(),
            _ => None,
        }
    }

    /// A number of milliseconds.
    pub(super) fn milliseconds(&mut self, key: &str) -> Duration {
        Duration::from_millis(self.number(key).unwrap_or_default())
    }

    /// `true` or `false`.
    pub(super) fn boolean(&mut self, key: &str) -> bool {
        self.value(key) == Some(Value::Boolean(true))
    }

    /// A text; none when the key is not given.
    pub(super) fn optional_text(&mut self, key: &str) -> Option<String> {
        match self.value(key)? {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A text with a default.
    pub(super) fn text(&mut self, key: &str) -> String {
        self.optional_text(key).unwrap_or_default()
    }

    /// The texts of a list.
    pub(super) fn list(&mut self, key: &str) -> Vec<String> {
        match self.value(key) {
            Some(Value::List(entries)) => {
                entries.iter().filter_map(Value::text).map(str::to_owned).collect()
            }
            _ => Vec::new(),
        }
    }

    /// A path; none when the key is not given.
    pub(super) fn path(&mut self, key: &str) -> Option<PathBuf> {
        self.optional_text(key).map(|text| self.resolve(&text))
    }

    /// A path as seen from the configuration file's folder.
    pub(super) fn resolve(&self, path: &str) -> PathBuf {
        self.folder.join(path)
    }

    /// All problems; unknown keys are among them.
    pub(super) fn finish(mut self) -> Vec<Problem> {
        let unknown = self.tree.iter().filter_map(|(key, node)| {
            let message = untaken(key, &node.value)?;
            Some(Problem::new(key, Some(node.origin.clone()), message))
        });
        self.problems.extend(unknown);
        self.problems
    }
}

/// What is wrong with a key that nobody took; an empty section is nothing.
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
