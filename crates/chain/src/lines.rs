//! Reads the text of a note line by line. A text is printable ASCII, and each line ends with one
//! line feed. It does not know what the lines mean.

use std::str::FromStr;

/// A line that is not what the grammar has in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: expected {expected}")]
pub struct LineError {
    /// The line, counted from 1.
    pub line: usize,
    /// What the grammar has there.
    pub expected: &'static str,
}

/// The lines of a text that were not read yet.
pub(crate) struct Lines<'t> {
    rest: &'t str,
    read: usize,
}

impl<'t> Lines<'t> {
    /// Checks the characters of a text, and its end.
    pub(crate) fn of(text: &'t str) -> Result<Self, LineError> {
        let is_allowed = |byte: &u8| matches!(byte, b' '..=b'~' | b'\n');
        if let Some(at) = text.bytes().position(|byte| !is_allowed(&byte)) {
            let before = text.bytes().take(at).filter(|byte| *byte == b'\n');
            return Err(LineError { line: 1 + before.count(), expected: "printable ASCII" });
        }
        if !text.ends_with('\n') {
            let line = 1 + text.matches('\n').count();
            return Err(LineError { line, expected: "a line feed at the end of the text" });
        }
        Ok(Self { rest: text, read: 0 })
    }

    /// Returns an error that names the line that was read last.
    pub(crate) fn error(&self, expected: &'static str) -> LineError {
        LineError { line: self.read, expected }
    }

    /// Returns whether the next line begins so.
    pub(crate) fn is_next(&self, beginning: &str) -> bool {
        self.rest.starts_with(beginning)
    }

    /// Reads a line, or refuses it.
    pub(crate) fn take<T>(
        &mut self,
        expected: &'static str,
        read: impl FnOnce(&'t str) -> Option<T>,
    ) -> Result<T, LineError> {
        self.read += 1;
        let line = self.rest.split_once('\n').map(|(line, rest)| {
            self.rest = rest;
            line
        });
        line.and_then(read).ok_or_else(|| self.error(expected))
    }

    /// Reads a line of a keyword and `N` values, each after one space.
    pub(crate) fn values<const N: usize>(
        &mut self,
        keyword: &str,
        expected: &'static str,
    ) -> Result<[&'t str; N], LineError> {
        self.take(expected, |line| {
            let rest = line.strip_prefix(keyword)?.strip_prefix(' ')?;
            rest.split(' ').collect::<Vec<_>>().try_into().ok()
        })
    }

    /// Reads a value of the line that was read last.
    pub(crate) fn value<T: FromStr>(
        &self,
        text: &str,
        expected: &'static str,
    ) -> Result<T, LineError> {
        text.parse().map_err(|_| self.error(expected))
    }

    /// Refuses another line.
    pub(crate) fn finish(mut self, expected: &'static str) -> Result<(), LineError> {
        self.read += 1;
        if self.rest.is_empty() { Ok(()) } else { Err(self.error(expected)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_other_characters_and_names_the_line() {
        for (text, line) in [("a\r\n", 1), ("a\nb\tc\n", 2), ("a\n\u{7f}\n", 2), ("ä\n", 1)] {
            let error = Lines::of(text).err().expect(text);
            assert_eq!(error, LineError { line, expected: "printable ASCII" });
        }
        for (text, line) in [("", 1), ("a", 1), ("a\nb", 2)] {
            assert_eq!(Lines::of(text).err().expect(text).line, line);
        }
    }

    #[test]
    fn a_line_has_a_keyword_and_values() {
        let values = |text: &str| {
            Lines::of(text).expect(text).values::<2>("input", "two").map(|two| two.map(str::len))
        };
        assert_eq!(values("input 1 22\n"), Ok([1, 2]));
        let bad = ["input 1\n", "input 1 2 3\n", "inputs 1 2\n", "Input 1 2\n"];
        for bad in bad.into_iter().chain(["\n", "input\n", " input 1 2\n"]) {
            assert!(values(bad).is_err(), "{bad}");
        }
        // Empty values are refused where they are read.
        assert_eq!(values("input  1\n"), Ok([0, 1]));
    }
}
