//! The documents of the repository, and the code blocks in them.

use std::fs;
use std::path::Path;

use crate::root;

/// A block of code in a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeBlock {
    /// The document's path from the root, and the line at which the block begins.
    pub place: String,
    /// The language after the fence, for example `sh`.
    pub language: String,
    /// The lines between the fences, without the indentation of the fence.
    pub text: String,
}

/// Returns the paths of the README, the contributor's guide, and all documents below `docs` and
/// `schemas`, except the decision records, which are history.
pub fn documents() -> Vec<String> {
    let mut paths = vec!["README.md".to_string(), "CONTRIBUTING.md".to_string()];
    for folder in ["docs", "schemas"] {
        collect(folder, &mut paths);
    }
    paths.sort();
    paths
}

/// Returns the code blocks of all [`documents`].
pub fn code_blocks() -> Vec<CodeBlock> {
    documents().iter().flat_map(|path| blocks_in(path, &crate::read(path))).collect()
}

fn collect(folder: &str, paths: &mut Vec<String>) {
    let entries = fs::read_dir(root().join(folder)).expect("a folder");
    for entry in entries.map(|entry| entry.expect("an entry")) {
        let path = format!("{folder}/{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() && !path.ends_with("/decisions") {
            collect(&path, paths);
        } else if Path::new(&path).extension().is_some_and(|extension| extension == "md") {
            paths.push(path);
        }
    }
}

fn blocks_in(path: &str, text: &str) -> Vec<CodeBlock> {
    let mut blocks = Vec::new();
    let mut open: Option<(usize, CodeBlock)> = None;
    for (number, line) in (1..).zip(text.lines()) {
        let indentation = line.len() - line.trim_start().len();
        match (&mut open, line.trim_start().strip_prefix("```")) {
            (None, Some(language)) => {
                let place = format!("{path}:{number}");
                let language = language.trim().to_string();
                open = Some((indentation, CodeBlock { place, language, text: String::new() }));
            }
            (Some(_), Some(_)) => blocks.extend(open.take().map(|(_, block)| block)),
            (Some((indentation, block)), None) => {
                block.text.push_str(line.get(*indentation..).unwrap_or_default());
                block.text.push('\n');
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "{path}: a code block does not end");
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_found_with_their_language_and_without_indentation() {
        let text = "a\n```sh\none\n  two\n```\n   ```toml\n   x = 1\n\n   ```\nb";
        let block = |place: &str, language: &str, text: &str| CodeBlock {
            place: place.to_string(),
            language: language.to_string(),
            text: text.to_string(),
        };
        let expected = [block("f:2", "sh", "one\n  two\n"), block("f:6", "toml", "x = 1\n\n")];
        assert_eq!(blocks_in("f", text), expected);
        assert!(code_blocks().len() > 20);
    }
}
