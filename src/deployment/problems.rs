//! What is wrong with the files that a configuration names.

use std::fmt;

/// All problems of the files that the configuration names.
#[derive(Debug, Default)]
pub struct FileProblems(pub Vec<String>);

impl fmt::Display for FileProblems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

impl std::error::Error for FileProblems {}
