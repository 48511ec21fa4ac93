//! What the value of a setting must be: its kind and range, in words for people and in code for the
//! reader. Nothing here knows a key.

use std::net::SocketAddr;
use std::ops::RangeInclusive;

use audit_chain::name::Origin;
use audit_judge::rules::crn::CrnTemplate;
use audit_judge::text::nearest;

use super::http_url::HttpUrl;
use super::names::{TOPIC, is_action, is_name, is_topic};
use super::pass_over;
use super::problem::{did_you_mean, invalid};
use super::value::{Value, quoted};

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
    /// Another name: what it names, and its maximum length in characters.
    Name(&'static str, usize),
    /// An IP address and a port.
    Address,
    /// A template of a CRN.
    Crn,
    /// The URL of an HTTP endpoint.
    Url,
    /// The name of a trail.
    Origin,
    /// The name of an action, or a prefix that ends in `.*`.
    Action,
    /// Offsets of a partition.
    Offsets,
    /// A list of these; comma separated in the environment.
    List(&'static Kind),
    /// Anything that librdkafka accepts.
    Property,
}

impl Kind {
    /// Returns what is expected, in words.
    pub fn expected(&self) -> String {
        match self {
            Self::Number(range) => {
                format!("a whole number from {} to {}", range.start(), range.end())
            }
            Self::Boolean => "true or false".to_owned(),
            Self::Word(words) => format!("one of {}", words.join(", ")),
            Self::Text => "text".to_owned(),
            Self::Path => "a path".to_owned(),
            Self::Topic => TOPIC.to_owned(),
            Self::Name(what, most) => {
                format!("{what} (1 to {most} characters from a-z A-Z 0-9 . _ -)")
            }
            Self::Address => "an IP address and port such as 0.0.0.0:9464".to_owned(),
            Self::Crn => "a CRN template".to_owned(),
            Self::Origin => "a URL without its scheme such as audit.example.com/prod/infra (1 to 200 printable ASCII characters without spaces and +)".to_owned(),
            Self::Url => "an http or https URL without a user name, such as https://witness.example.com/anchors".to_owned(),
            Self::Action => "an action's name, or a prefix that ends in .*".to_owned(),
            Self::Offsets => "PARTITION:FIRST-LAST such as 3:1200-1299".to_owned(),
            Self::List(_) => "a list of texts such as [\"one\", \"two\"]".to_owned(),
            Self::Property => "text, a number, true or false".to_owned(),
        }
    }

    /// Returns the range alone, for the table of the reference.
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
            Self::List(kind) => entries(value).map(|entries| {
                kind.check_entries(&entries, problems);
                Value::List(entries.into_iter().map(Value::Text).collect())
            }),
            Self::Number(range) => whole_number(value)
                .filter(|number| u64::try_from(*number).is_ok_and(|number| range.contains(&number)))
                .map(Value::Integer),
            Self::Boolean => boolean(value).map(Value::Boolean),
            _ => match value {
                Value::Text(text) | Value::Untyped(text) => {
                    let checked = self.check_text(text).map_err(|problem| problems.push(problem));
                    return checked.ok().map(|()| Value::Text(text.clone()));
                }
                _ => None,
            },
        };
        if read.is_none() {
            let expected = format!("{}{}", self.expected(), self.quotes(value));
            problems.push(invalid(&value.shown(), &expected));
        }
        read
    }

    /// Returns the hint about quotes: a number in quotes is the most likely mistake.
    fn quotes(&self, value: &Value) -> &'static str {
        match (self, value) {
            (Self::Number(_) | Self::Boolean, Value::Text(_)) => ", without quotes",
            (Self::Number(_) | Self::Boolean | Self::List(_), _) => "",
            _ => ", in quotes",
        }
    }

    fn check_text(&self, text: &str) -> Result<(), String> {
        if text.trim().is_empty() {
            return Err("empty value; set it or remove it".to_owned());
        }
        self.check(text)
    }

    /// Checks that a text is of this kind.
    pub(super) fn check(&self, text: &str) -> Result<(), String> {
        let is_legal = match self {
            Self::Word(words) => words.contains(&text),
            Self::Topic => is_topic(text),
            Self::Name(_, most) => is_name(text, *most),
            Self::Address => text.parse::<SocketAddr>().is_ok(),
            Self::Action => is_action(text),
            Self::Offsets => pass_over::parse(text).is_some(),
            Self::Origin => text.parse::<Origin>().is_ok(),
            Self::Url => HttpUrl::parse(text).is_ok(),
            Self::Crn => {
                let parsed = CrnTemplate::parse(text).map(drop);
                return parsed.map_err(|why| format!("invalid value {}: {why}", quoted(text)));
            }
            _ => true,
        };
        let meant = match self {
            Self::Word(words) => did_you_mean(nearest(text, words.iter().copied())),
            _ => String::new(),
        };
        is_legal
            .then_some(())
            .ok_or_else(|| invalid(&quoted(text), &format!("{}{meant}", self.expected())))
    }

    /// Adds what is wrong with the entries of a list of this kind.
    fn check_entries(&self, entries: &[String], problems: &mut Vec<String>) {
        for (index, entry) in entries.iter().enumerate() {
            if entry.is_empty() {
                problems.push(format!("entry {} is empty; remove it", index + 1));
            } else if entries[..index].contains(entry) {
                problems.push(format!("{} is listed twice; remove one", quoted(entry)));
            } else {
                problems.extend(self.check(entry).err());
            }
        }
    }
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
