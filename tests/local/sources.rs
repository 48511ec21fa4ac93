//! The Rust files of the tree, as `tidy` looks at them: the code without comments, without the contents of
//! strings and without tests. Not a parser: it knows just enough of Rust for rules about words and lines.

use std::path::{Path, PathBuf};

/// A Rust file.
pub struct Source {
    /// Path from the package's root, with `/`.
    pub path: String,
    /// Everything in it.
    pub text: String,
    /// What is compiled into the program, with everything else blanked; lines stay where they are.
    pub code: String,
    /// How many lines are tests.
    pub test_lines: usize,
}

/// A function with a body.
pub struct Function {
    pub name: String,
    /// Number of its first line, from 1.
    pub line: usize,
    /// From its first line to its last.
    pub lines: usize,
}

/// The package's root.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The Rust files below a folder, sorted.
pub fn sources(folder: &str) -> Vec<Source> {
    let mut paths = Vec::new();
    collect(&root().join(folder), &mut paths);
    paths.sort();
    paths.iter().map(|path| Source::read(path)).collect()
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
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
        let text = std::fs::read_to_string(path).expect("UTF-8");
        Source::new(relative.to_string_lossy().replace('\\', "/"), text)
    }

    fn new(path: String, text: String) -> Source {
        let mut code = without_prose(&text);
        let test_lines = if is_test_file(&path) {
            code.clear();
            text.lines().count()
        } else {
            blank_tests(&mut code)
        };
        Source {
            path,
            text,
            code,
            test_lines,
        }
    }

    /// The lines, from 1, on which the code has this word. A word that begins or ends with punctuation may
    /// touch other words there.
    pub fn lines_with(&self, word: &str) -> Vec<usize> {
        let touches = |c: Option<char>| c.is_some_and(is_part_of_word);
        let at = |position: usize| {
            let before = self.code[..position].chars().next_back();
            let after = self.code[position + word.len()..].chars().next();
            let begins_inside = word.starts_with(is_part_of_word) && touches(before);
            let ends_inside = word.ends_with(is_part_of_word) && touches(after);
            (!begins_inside && !ends_inside).then(|| line_of(&self.code, position))
        };
        let positions = self.code.match_indices(word);
        positions.filter_map(|(position, _)| at(position)).collect()
    }

    /// The functions in the code.
    pub fn functions(&self) -> Vec<Function> {
        let code = &self.code;
        let starts = code.match_indices("fn ").map(|(position, _)| position);
        starts
            .filter(|position| !code[..*position].ends_with(is_part_of_word))
            .filter_map(|position| function(code, position))
            .collect()
    }
}

/// Whether the whole file is tests.
fn is_test_file(path: &str) -> bool {
    path.starts_with("tests/") || path.ends_with("/tests.rs") || path.contains("/tests/")
}

fn is_part_of_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn line_of(code: &str, position: usize) -> usize {
    code[..position].matches('\n').count() + 1
}

fn function(code: &str, start: usize) -> Option<Function> {
    let signature = &code[start + "fn ".len()..];
    let name: String = signature
        .chars()
        .take_while(|c| is_part_of_word(*c))
        .collect();
    let open = start + "fn ".len() + body(signature)?;
    let end = closing_brace(code, open);
    let line = line_of(code, start);
    let lines = line_of(code, end) - line + 1;
    Some(Function { name, line, lines })
}

/// Where the body of a function begins; nothing if there is none.
fn body(signature: &str) -> Option<usize> {
    let mut depth = 0;
    for (position, c) in signature.char_indices() {
        match c {
            '(' | '[' => depth += 1,
            ')' | ']' => depth -= 1,
            '{' if depth == 0 => return Some(position),
            ';' if depth == 0 => return None,
            _ => {}
        }
    }
    None
}

/// The brace that closes the one at `open`; the end of the text if none does.
fn closing_brace(code: &str, open: usize) -> usize {
    let mut depth = 0;
    for (position, c) in code[open..].char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if c == '}' && depth == 0 {
            return open + position;
        }
    }
    code.len()
}

/// Blanks every item under `#[cfg(test)]` and says how many lines they were.
fn blank_tests(code: &mut String) -> usize {
    let mut lines = 0;
    while let Some(start) = code.find("#[cfg(test)]") {
        let end = match code[start..].find(['{', ';']).map(|found| start + found) {
            Some(position) if code[position..].starts_with('{') => closing_brace(code, position),
            Some(position) => position,
            None => code.len(),
        };
        let end = (end + 1).min(code.len());
        lines += code[start..end].matches('\n').count() + 1;
        let blanked = blanked(&code[start..end]);
        code.replace_range(start..end, &blanked);
    }
    lines
}

fn blanked(text: &str) -> String {
    let blank = |c: char| if c == '\n' { '\n' } else { ' ' };
    text.chars().map(blank).collect()
}

/// The text with comments and the contents of literals blanked.
fn without_prose(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let (prose, length) = match prose_length(rest, code.chars().next_back()) {
            Some(length) => (true, length),
            None => (false, first.len_utf8()),
        };
        let (piece, after) = rest.split_at(length);
        if prose {
            code.push_str(&blanked(piece));
        } else {
            code.push_str(piece);
        }
        rest = after;
    }
    code
}

/// The length of the comment or literal that begins here, if one does.
fn prose_length(rest: &str, before: Option<char>) -> Option<usize> {
    if rest.starts_with("//") {
        return Some(rest.find('\n').unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        return Some(rest.find("*/").map_or(rest.len(), |end| end + 2));
    }
    if let Some(text) = rest.strip_prefix('"') {
        return Some(1 + escaped_length(text, '"'));
    }
    if rest.starts_with('r') && !before.is_some_and(|c| is_part_of_word(c) && c != 'b') {
        return raw_string_length(rest);
    }
    // A character, not a lifetime: it ends two places on or is escaped.
    let mut quoted = rest.strip_prefix('\'')?.chars();
    match (quoted.next()?, quoted.next()?) {
        ('\\', _) => Some(1 + escaped_length(&rest[1..], '\'')),
        (c, '\'') => Some(2 + c.len_utf8()),
        _ => None,
    }
}

/// The length up to and with the quote that ends a literal.
fn escaped_length(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (position, c) in rest.char_indices() {
        if c == quote && !escaped {
            return position + c.len_utf8();
        }
        escaped = c == '\\' && !escaped;
    }
    rest.len()
}

fn raw_string_length(rest: &str) -> Option<usize> {
    let hashes = rest[1..].chars().take_while(|c| *c == '#').count();
    let opening = 1 + hashes + 1;
    if !rest[1 + hashes..].starts_with('"') {
        return None;
    }
    let closing = format!("\"{}", "#".repeat(hashes));
    let length = rest[opening..]
        .find(&closing)
        .map(|end| end + closing.len());
    Some(length.map_or(rest.len(), |length| opening + length))
}

#[test]
fn prose_and_tests_are_not_code() {
    let text = r##"
//! unwrap() here
fn one<'a>(text: &'a str) -> [u8; 2] { // panic!
    let x = ("panic! \" {", 'p', '{', '\'', r#"todo!("#, b"dbg!", br"todo!"); /* todo! */
    here
}
trait T { fn none(&self) -> [u8; 2]; }
#[cfg(test)]
mod tests { fn two() { panic!() } }
#[cfg(test)]
mod more;
fn three() {}
"##;
    let source = Source::new("src/x.rs".to_string(), text.to_string());
    for word in ["unwrap()", "panic!", "todo!", "dbg!", "tests", "more"] {
        assert!(
            source.lines_with(word).is_empty(),
            "{word}:\n{}",
            source.code
        );
    }
    assert_eq!(source.lines_with("here"), [5]);
    assert_eq!(source.lines_with("three"), [12]);
    assert!(source.lines_with("thr").is_empty());
    assert_eq!(source.test_lines, 4);
    let functions = source.functions();
    let found: Vec<_> = functions
        .iter()
        .map(|f| (&*f.name, f.line, f.lines))
        .collect();
    assert_eq!(found, [("one", 3, 4), ("three", 12, 1)]);
}
