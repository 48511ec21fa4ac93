//! Reads a trust file, and reports every problem of it.

use std::str::FromStr;

use super::{Entry, Problem, Trust};
use crate::Number;
use crate::key::PublicKey;

impl FromStr for Trust {
    type Err = Vec<Problem>;

    /// Reads a file.
    ///
    /// # Errors
    ///
    /// All problems at once, each with its line and the remedy.
    fn from_str(text: &str) -> Result<Self, Vec<Problem>> {
        let mut report = Report::default();
        let mut entries = Vec::<Entry>::new();
        for (line, content) in (1..).zip(text.split('\n')) {
            report.line = line;
            if let Some(entry) = report.read(content) {
                report.compare(&entry, &entries);
                entries.push(entry);
            }
        }
        let mut problems = report.problems;
        let Some(first) = entries.first() else {
            if problems.is_empty() {
                let message = "the file names no key: add a line with the vkey that was printed when the key was made";
                problems.push(Problem { line: None, message: message.to_owned() });
            }
            return Err(problems);
        };
        if !problems.is_empty() {
            return Err(problems);
        }
        let origin = first.key.name().clone();
        let mut keys = Vec::new();
        for entry in &entries {
            if !keys.contains(&entry.key) {
                keys.push(entry.key.clone());
            }
        }
        Ok(Self { entries, keys, origin })
    }
}

#[derive(Default)]
struct Report {
    line: usize,
    problems: Vec<Problem>,
}

impl Report {
    fn say(&mut self, message: impl Into<String>) {
        self.problems.push(Problem { line: Some(self.line), message: message.into() });
    }

    /// Reads a line. Returns nothing for one without a key, and for one with problems.
    fn read(&mut self, line: &str) -> Option<Entry> {
        let is_tolerated = |c: char| c == '\t' || !c.is_control();
        if !line.chars().all(is_tolerated) {
            self.say("a control character: remove it, and end lines with a line feed alone");
            return None;
        }
        let is_space = |c: char| c == ' ' || c == '\t';
        let mut columns = line.split(is_space).filter(|column| !column.is_empty());
        let vkey = columns.next().filter(|first| !first.starts_with('#'))?;
        let said = self.problems.len();
        let key = self.value::<PublicKey>(vkey, "copy the vkey as it was printed");
        let mut limit = || columns.next().filter(|column| *column != "-");
        let (from, until, set) = (limit(), limit(), limit());
        if let Some(more) = columns.next() {
            self.say(format!("{more:?} is one column too many: write <vkey> [from] [until] [set], and a comment on a line of its own"));
        }
        let number = "write the number of a seal, or - for no limit";
        let from = from.and_then(|from| self.value::<Number>(from, number));
        let until = until.and_then(|until| self.value::<Number>(until, number));
        let set = set.and_then(|set| self.value(set, "write a set, or - for all"));
        if let (Some(from), Some(until)) = (from, until)
            && until < from
        {
            self.say(format!("the key may sign from seal {from} until seal {until}, which is none: exchange or correct them"));
        }
        let entry = Entry { line: self.line, key: key?, from, until, set };
        (self.problems.len() == said).then_some(entry)
    }

    fn value<T: FromStr>(&mut self, text: &str, remedy: &str) -> Option<T>
    where
        T::Err: std::fmt::Display,
    {
        text.parse().map_err(|error| self.say(format!("{error}; {remedy}"))).ok()
    }

    /// Refuses a line that says nothing new, and a key that cannot be told from another.
    fn compare(&mut self, entry: &Entry, earlier: &[Entry]) {
        let limits = |entry: &Entry| (entry.from, entry.until, entry.set.clone());
        for other in earlier {
            let is_same_name = other.key.name() == entry.key.name();
            if other.key == entry.key && limits(other) == limits(entry) {
                self.say(format!("the same as line {}: remove one of them", other.line));
            } else if other.key != entry.key && is_same_name && other.key.id() == entry.key.id() {
                self.say(format!(
                    "another key with the name and id of line {}: make a new key",
                    other.line
                ));
            }
        }
    }
}
