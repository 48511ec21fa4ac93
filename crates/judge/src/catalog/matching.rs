//! What a row matches: its event names and keys, and the conditions under which they mean its
//! action. Converts them from the form in files to the form that records are judged by. It does not
//! check whether two rows match the same record.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Value;

use super::condition::{Condition, Scalar, Test};
use crate::data_file::Report;
use crate::text::names::{NAME_BYTES_MAX, normalise};

/// Event names and keys as written, and the condition under which they mean the row's action.
pub(super) struct Match {
    pub(super) events: Vec<String>,
    pub(super) condition: Condition,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MatchText {
    events: Vec<String>,
    when: BTreeMap<String, TestText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TestText {
    #[serde(rename = "in")]
    is_in: Option<Vec<Value>>,
    not_in: Option<Vec<Value>>,
    #[serde(default)]
    present: bool,
}

/// Reads a row's `events`, which always apply, and its `match`, which applies under conditions.
pub(super) fn read_matches(
    events: Vec<String>,
    conditional: Vec<MatchText>,
    report: &mut Report<'_>,
) -> Vec<Match> {
    report.require(!events.is_empty() || !conditional.is_empty(), || {
        "matches no events: name some in `events`, or in `match` with a condition".to_owned()
    });
    check_names("events", &events, report);
    let always = Match { events, condition: Condition::default() };
    let conditional: Vec<_> =
        conditional.into_iter().map(|text| read_match(text, report)).collect();
    [always].into_iter().chain(conditional).collect()
}

fn read_match(text: MatchText, report: &mut Report<'_>) -> Match {
    report.require(!text.events.is_empty(), || {
        "`match` without events: name the events that it is about".to_owned()
    });
    report.require(!text.when.is_empty(), || {
        "`match` with an empty `when`: move its events to the row's own `events`".to_owned()
    });
    check_names("match.events", &text.events, report);
    let tests = text.when.into_iter().map(|(attribute, test)| {
        let test = read_test(&attribute, test, report);
        (attribute, test)
    });
    let condition = Condition(tests.collect());
    if let Some(attribute) = condition.impossible_attribute() {
        report.say(format!(
            "the condition on `{attribute}` can never hold, for `not_in` excludes all of `in`: correct one of them"
        ));
    }
    Match { events: text.events, condition }
}

fn read_test(attribute: &str, text: TestText, report: &mut Report<'_>) -> Test {
    let is_given = text.is_in.is_some() || text.not_in.is_some();
    report.require(is_given != text.present, || {
        format!("the condition on `{attribute}` must say one thing: give it `in`, `not_in`, or `present = true`")
    });
    if text.present {
        return Test::Present;
    }
    let lists = [("in", &text.is_in), ("not_in", &text.not_in)];
    for (key, _) in lists.iter().filter(|(_, list)| list.as_ref().is_some_and(Vec::is_empty)) {
        report.say(format!(
            "`{key}` of the condition on `{attribute}` is empty: list values or leave it out"
        ));
    }
    // An empty `in` is reported as empty. That it can never hold is not reported as well.
    let is_in = text.is_in.filter(|values| !values.is_empty());
    let is_in = is_in.map(|values| read_values(attribute, values, report));
    Test::new(is_in, read_values(attribute, text.not_in.unwrap_or_default(), report))
}

fn read_values(attribute: &str, values: Vec<Value>, report: &mut Report<'_>) -> Vec<Scalar> {
    let read = values.iter().filter_map(|value| {
        let scalar = Scalar::from_toml(value);
        report.require(scalar.is_some(), || {
            format!("the condition on `{attribute}` names {value}: only texts, finite numbers and booleans can be compared")
        });
        scalar
    });
    read.collect()
}

/// Checks the names that records are looked up by.
pub(super) fn check_names(key: &str, names: &[String], report: &mut Report<'_>) {
    for name in names {
        report.require(!normalise(name).is_empty(), || {
            format!("`{key}` holds \"{name}\", which has no letter: remove it")
        });
        report.require(name.trim_ascii().len() <= NAME_BYTES_MAX, || {
            format!("`{key}` holds \"{name}\", which is longer than {NAME_BYTES_MAX} bytes and would never be found: shorten it")
        });
    }
}
