//! The Rust source files, for tests that inspect them.

use std::path::{Path, PathBuf};

use audit_cases::root;

/// A Rust file.
pub struct Source {
    /// Path relative to the repository's root, with `/`.
    pub path: String,
    /// The whole text.
    pub text: String,
}

/// Returns the Rust files below a folder, sorted.
pub fn sources(folder: &str) -> Vec<Source> {
    let mut paths = Vec::new();
    collect(&root().join(folder), &mut paths);
    paths.sort();
    paths.iter().map(|path| Source::read(path)).collect()
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) {
    let entries = std::fs::read_dir(folder).expect("a folder");
    for entry in entries {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(&path, paths);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            paths.push(path);
        }
    }
}

impl Source {
    fn read(path: &Path) -> Source {
        let relative = path.strip_prefix(root()).expect("below the root");
        Source {
            path: relative.to_string_lossy().into_owned(),
            text: std::fs::read_to_string(path).expect("UTF-8"),
        }
    }

    /// Returns whether the whole file is tests.
    pub fn is_test(&self) -> bool {
        let path = &self.path;
        path.starts_with("tests/") || path.ends_with("/tests.rs") || path.contains("/tests/")
    }

    /// Returns the number of lines before the unit tests at the end.
    pub fn lines_before_tests(&self) -> usize {
        let before = self.text.split("#[cfg(test)]\nmod tests {").next();
        before.unwrap_or_default().lines().count()
    }
}
