//! Tests as data: a text and an environment in, a configuration or a list of complaints out.

mod documents;
mod effective;
mod kafka;
mod refusals;
mod sources;
mod values;

use super::{Config, Problems};

/// The least that works.
const MINIMAL: &str =
    "kafka.bootstrap.servers = \"localhost:9092\"\nprincipals.file = \"principals.jsonl\"\n";

fn variables<'a>(pairs: &'a [(&'a str, &'a str)]) -> impl Iterator<Item = (String, String)> + 'a {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
}

fn read(text: &str, environment: &[(&str, &str)]) -> Result<Config, Problems> {
    Config::from_toml(text, variables(environment))
}

/// The minimal configuration and `text`, which must be good.
fn good(text: &str, environment: &[(&str, &str)]) -> Config {
    read(&format!("{MINIMAL}{text}"), environment)
        .unwrap_or_else(|problems| panic!("{text}: {problems}"))
}

/// The complaints about the minimal configuration and `text`, without the header.
fn complaints(text: &str, environment: &[(&str, &str)]) -> Vec<String> {
    let problems = read(&format!("{MINIMAL}{text}"), environment).expect_err(text);
    problems.0.iter().map(ToString::to_string).collect()
}

/// Checks that `text` has one problem, and that it says `expected`.
#[track_caller]
fn check_refused(text: &str, expected: &str) {
    assert_eq!(complaints(text, &[]), [expected], "for {text}");
}
