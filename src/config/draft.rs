//! Turns a file and the environment into a [`Config`], or into the list of all problems.

use std::path::Path;

use super::build::build;
use super::effective::{Effective, shown};
use super::environment::{Environment, overlay};
use super::kafka::PropertyCheck;
use super::load;
use super::problem::{Problem, Problems};
use super::read::SettingsReader;
use super::sections::Config;
use super::topics;

/// A configuration as far as it could be read. It holds a stand-in for each invalid value, so that
/// the rest can still be used to find the problems of the files that the configuration names.
#[derive(Debug)]
pub struct Draft {
    config: Config,
    values: Vec<Effective>,
    problems: Vec<Problem>,
}

impl Draft {
    /// Merges defaults, file and environment, and reads the result.
    fn read(
        (name, text): (&str, &str),
        folder: &Path,
        environment: impl Iterator<Item = (String, String)>,
        check: PropertyCheck<'_>,
    ) -> Result<Self, Problems> {
        let environment: Environment = environment.collect();
        let mut tree = load::defaults();
        let mut problems =
            load::file(text, name, &mut tree).map_err(|problem| Problems(vec![problem]))?;
        problems.extend(overlay(&mut tree, &environment));
        let values = shown(&tree);
        let mut reader = SettingsReader::new(tree, problems, folder);
        let config = build(&mut reader, &environment, check);
        Ok(Draft { config, values, problems: reader.finish() })
    }

    /// Returns the configuration. A section that is not [good](Draft::is_good) may hold stand-ins.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Returns whether nothing is wrong with a section's keys.
    pub fn is_good(&self, section: &str) -> bool {
        let is_of_it = |key: &str| key.split('.').next() == Some(section);
        !self.problems.iter().any(|problem| is_of_it(&problem.key))
    }

    /// Returns every effective value and its origin.
    pub fn values(&self) -> &[Effective] {
        &self.values
    }

    /// Returns the configuration if it has no problems.
    ///
    /// # Errors
    /// Fails with all problems.
    pub fn finish(self) -> Result<Config, Problems> {
        Problems::none_or(self.problems).map(|()| self.config)
    }
}

impl Config {
    /// Reads the file, if there is one, and merges the environment into it. A process passes
    /// `std::env::vars_os` without the names and values that are not Unicode, because `vars` panics
    /// on them. Asks `check` about every librdkafka property.
    ///
    /// # Errors
    /// Fails if the file cannot be read or is not TOML; all other problems are in the draft.
    pub fn draft(
        path: Option<&Path>,
        environment: impl Iterator<Item = (String, String)>,
        check: PropertyCheck<'_>,
    ) -> Result<Draft, Problems> {
        let Some(path) = path else {
            return Draft::read(("", ""), Path::new(""), environment, check);
        };
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| {
            let message = format!("cannot be read: {error}; check the path and its permissions");
            Problems(vec![Problem::new(&name, None, message)])
        })?;
        let folder = path.parent().unwrap_or(Path::new(""));
        Draft::read((&name, &text), folder, environment, check)
    }

    /// Reads a text instead of a file, for tests and the demo: relative paths stay as they are, and
    /// librdkafka is not asked about its properties.
    ///
    /// # Errors
    /// Fails with all problems.
    pub fn from_toml(
        text: &str,
        environment: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, Problems> {
        let file = ("configuration", text);
        Draft::read(file, Path::new(""), environment, &|_, _| Ok(()))?.finish()
    }

    /// Checks that no region's topic is the input or the quarantine topic, and that its name is
    /// legal. Listed regions were checked on loading; call this with those of the location
    /// profile when the list is empty.
    ///
    /// # Errors
    /// Fails with one problem for each topic that cannot be used.
    pub fn check_output_topics(&self, regions: &[impl AsRef<str>]) -> Result<(), Problems> {
        let (output, is_sealed) = (&self.output, self.integrity.is_some());
        let messages = topics::output_topic_problems(&self.input, output, regions, is_sealed);
        let problem = |message| Problem::new("output.topic_prefix", None, message);
        Problems::none_or(messages.into_iter().map(problem).collect())
    }
}
