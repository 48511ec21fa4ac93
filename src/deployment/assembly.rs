//! What a configuration names, loaded, or what is wrong with its files.

use std::fmt;

use audit_judge::reference::ReferenceTables;
use audit_judge::rules::Rules;

use crate::kafka::topics::TopicNames;
use crate::tables::files::TableFile;

/// All problems of the files that the configuration names.
#[derive(Debug, Default)]
pub struct FileProblems(pub Vec<String>);

impl fmt::Display for FileProblems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

impl std::error::Error for FileProblems {}

/// Everything that the configuration names, loaded.
#[derive(Debug)]
pub struct Assembly {
    /// The rules.
    pub rules: Rules,
    /// The reference tables; those from topics are empty.
    pub directory: ReferenceTables,
    /// The files that the tables were read from.
    pub table_files: Vec<TableFile>,
    /// The topics.
    pub topics: TopicNames,
}
