//! What the value of a setting must be: its kind and range, in words for people and in code for the
//! reader. Nothing here knows a key.

use std::net::SocketAddr;
use std::ops::RangeInclusive;

use super::names::{check_crn_template, is_action, is_name, is_topic};
use super::pass_over::PassOver;
use super::problem::{did_you_mean, nearest};
use super::value::Value;

/// The kind of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A whole number within a range.
    Number(RangeInclusive<u64>),
    /// `true` or `false`.
    Boolean,
    /// One of a few words.
    Word(&'static [&'static str]),
    /// Any text.
    Text,
    /// A path; relative ones start at the configuration file's folder.
    Path,
    /// The name of a topic.
    Topic,
    /// Another name, of what, and the most characters that it may have.
    Name(&'static str, usize),
    /// An IP address and a port.
    Address,
    /// A template of a CRN.
    Crn,
    /// The name of an action, or a prefix that ends in `.*`.
    Action,
    /// Offsets of a partition.
    Offsets,
    /// A list of these; comma separated in the environment.
    List(&'static Kind),
    /// Whatever librdkafka takes.
    Property,
}

impl Kind {
    /// What is expected, in words.
    pub fn expected(&self) -> String {
        match self {
            Self::Number(range) => {
                format!("a whole number from {} to {}", range.start(), range.end())
            }
            Self::Boolean => "true or false".to_owned(),
            Self::Word(words) => format!("one of {}", words.join(", ")),
            Self::Text | Self::Path | Self::Crn => "text in quotes".to_owned(),
            Self::Topic => "a topic name: 1 to 249 of a-z A-Z 0-9 . _ -".to_owned(),
            Self::Name(what, most) => format!("{what}1 to {most} of a-z A-Z 0-9 . _ -"),
            Self::Address => "an IP address and port, such as 0.0.0.0:9464".to_owned(),
            Self::Action => "an action's name, or a prefix ending in .*".to_owned(),
            Self::Offsets => "PARTITION:FIRST-LAST, such as 3:1200-1299".to_owned(),
            Self::List(_) => "a list of texts, such as [\"one\", \"two\"]".to_owned(),
            Self::Property => "text, a number, true or false".to_owned(),
        }
    }

    /// The range alone, for the table of the README.
    pub fn range(&self) -> Option<String> {
        match self {
            Self::Number(range) => Some(format!("{} to {}", range.start(), range.end())),
            Self::Word(words) => Some(format!("one of {}", words.join(", "))),
            Self::List(Self::Word(words)) => Some(format!("any of {}", words.join(", "))),
            _ => None,
        }
    }

    /// Converts a value to the type of its kind and adds what is wrong with it to `problems`. A
    /// list is returned with its bad entries.
    pub(super) fn read(&self, value: &Value, problems: &mut Vec<String>) -> Option<Value> {
        let read = match self {
            Self::Number(range) => whole_number(value)
                .filter(|number| u64::try_from(*number).is_ok_and(|number| range.contains(&number)))
                .map(Value::Integer)
                .ok_or_else(|| self.refused(value)),
            Self::Boolean => boolean(value).map(Value::Boolean).ok_or_else(|| self.refused(value)),
            Self::List(kind) => entries(value)
                .inspect(|entries| problems.extend(kind.entry_problems(entries)))
                .map(|entries| Value::List(entries.into_iter().map(Value::Text).collect()))
                .ok_or_else(|| self.refused(value)),
            _ => self.read_text(value).map(|text| Value::Text(text.to_owned())),
        };
        read.map_err(|problem| problems.push(problem)).ok()
    }

    fn read_text<'v>(&self, value: &'v Value) -> Result<&'v str, String> {
        match value {
            Value::Text(text) | Value::Untyped(text) if text.trim().is_empty() => {
                Err("empty; give a value or leave the key out".to_owned())
            }
            Value::Text(text) | Value::Untyped(text) => self.check(text).map(|()| &**text),
            other => Err(refused(&other.shown(), "text in quotes")),
        }
    }

    /// Whether a text is of this kind.
    pub(super) fn check(&self, text: &str) -> Result<(), String> {
        let is_legal = match self {
            Self::Word(words) => words.contains(&text),
            Self::Topic => is_topic(text),
            Self::Name(_, most) => is_name(text, *most),
            Self::Address => text.parse::<SocketAddr>().is_ok(),
            Self::Crn => return check_crn_template(text),
            Self::Action => is_action(text),
            Self::Offsets => PassOver::parse(text).is_some(),
            _ => true,
        };
        if is_legal { Ok(()) } else { Err(self.refused(&Value::Text(text.to_owned()))) }
    }

    /// What is wrong with the entries of a list of this kind.
    fn entry_problems(&self, entries: &[String]) -> Vec<String> {
        let mut problems = Vec::new();
        for (index, entry) in entries.iter().enumerate() {
            if entry.is_empty() {
                problems.push(format!("entry {} is empty; remove it", index + 1));
            } else if entries[..index].contains(entry) {
                problems.push(format!("{entry:?} is listed twice; remove one"));
            }
        }
        let given = entries.iter().filter(|entry| !entry.is_empty());
        problems.extend(given.filter_map(|entry| match self {
            Self::Word(words) if !words.contains(&&**entry) => {
                Some(refused(&format!("{entry:?}"), &format!("{}, both or none", words.join(", "))))
            }
            Self::Word(_) => None,
            _ => self.check(entry).err(),
        }));
        problems
    }

    fn refused(&self, value: &Value) -> String {
        let hint = match (self, value) {
            (Self::Number(_) | Self::Boolean, Value::Text(_)) => ", without quotes".to_owned(),
            (Self::Word(words), Value::Text(text)) => {
                did_you_mean(nearest(text, words.iter().copied()))
            }
            _ => String::new(),
        };
        let shown = match (self, value) {
            (
                Self::Word(_) | Self::Name("", _) | Self::Action | Self::Offsets,
                Value::Text(text),
            ) => {
                format!("{text:?}")
            }
            _ => value.shown(),
        };
        refused(&shown, &format!("{}{hint}", self.expected()))
    }
}

fn refused(shown: &str, expected: &str) -> String {
    format!("{shown} will not do; give {expected}")
}

fn whole_number(value: &Value) -> Option<i64> {
    match value {
        Value::Integer(number) => Some(*number),
        Value::Untyped(text) => text.trim().parse().ok(),
        _ => None,
    }
}

fn boolean(value: &Value) -> Option<bool> {
    match value {
        Value::Boolean(flag) => Some(*flag),
        Value::Untyped(text) => text.trim().parse().ok(),
        _ => None,
    }
}

fn entries(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::Untyped(text) if text.trim().is_empty() => Some(Vec::new()),
        Value::Untyped(text) => {
            Some(text.split(',').map(|entry| entry.trim().to_owned()).collect())
        }
        Value::List(entries) => {
            entries.iter().map(|entry| entry.text().map(str::to_owned)).collect()
        }
        _ => None,
    }
}
