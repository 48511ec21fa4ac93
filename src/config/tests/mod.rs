//! Tests as data: a text and an environment in, a configuration or its problems out. The whole text
//! of each refusal is recorded in `tests/local/refusals`.

mod documents;
mod effective;
mod kafka;
mod refusals;
mod sources;
mod values;

use std::path::Path;

use super::{Config, Draft, Problems, PropertyCheck};

/// The least that works.
const MINIMAL: &str =
    "kafka.bootstrap.servers = \"localhost:9092\"\nprincipals.file = \"principals.jsonl\"\n";

fn variables<'a>(pairs: &'a [(&'a str, &'a str)]) -> impl Iterator<Item = (String, String)> + 'a {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
}

fn read(text: &str, environment: &[(&str, &str)]) -> Result<Config, Problems> {
    Config::from_toml(text, variables(environment))
}

fn load(
    path: &Path,
    environment: &[(&str, &str)],
    check: PropertyCheck<'_>,
) -> Result<Config, Problems> {
    Config::draft(Some(path), variables(environment), check).and_then(Draft::finish)
}

/// The minimal configuration and `text`, which must be good.
fn good(text: &str, environment: &[(&str, &str)]) -> Config {
    read(&format!("{MINIMAL}{text}"), environment)
        .unwrap_or_else(|problems| panic!("{text}: {problems}"))
}

/// The problems of the minimal configuration and `text`.
fn problems(text: &str, environment: &[(&str, &str)]) -> Vec<String> {
    let problems = read(&format!("{MINIMAL}{text}"), environment).expect_err(text);
    problems.0.iter().map(ToString::to_string).collect()
}
