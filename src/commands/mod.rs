//! What a person can type. Each command returns whether it succeeded; errors that nobody can branch on
//! are printed by `main`.

pub mod check;
pub mod config;
pub mod demo;
pub mod explain;
mod oddities;
pub mod run;
pub mod table;

use std::fmt;
use std::io::Write;

use crate::assemble::{Assembly, assemble_draft};
use crate::cli::ConfigArgs;
use crate::config::{Config, Draft, Problems};
use crate::kafka::settings::check_property;

/// A text for a person at a terminal: what could move the cursor, break the line or turn the direction of writing is
/// shown as JSON would escape it. Records and tables can hold anything.
fn visible(text: &str) -> String {
    let mut visible = String::with_capacity(text.len());
    for c in text.chars() {
        let is_invisible = c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
        if is_invisible {
            visible.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            visible.push(c);
        }
    }
    visible
}

/// Writes a line to standard output; unlike `println!` it does not panic when nobody reads any more.
fn print(line: impl fmt::Display) -> std::io::Result<()> {
    writeln!(std::io::stdout().lock(), "{line}")
}

/// A configuration that cannot be used: all that is wrong with it, and with the files that it names.
#[derive(Debug, thiserror::Error)]
pub struct Unusable {
    /// One problem each, with the remedy.
    pub problems: Vec<String>,
    /// Whether there was a file; else everything had to come from the environment.
    had_file: bool,
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.problems.len() {
            1 => write!(f, "the configuration cannot be used; 1 problem:")?,
            count => write!(f, "the configuration cannot be used; {count} problems:")?,
        }
        for problem in &self.problems {
            write!(f, "\n  - {problem}")?;
        }
        if !self.had_file {
            write!(
                f,
                "\nno configuration file was given: name one by --config FILE or AUDIT_RELAY_CONFIG (`audit-relay config` prints an example)"
            )?;
        }
        Ok(())
    }
}

impl Unusable {
    pub(crate) fn new(arguments: &ConfigArgs, problems: Vec<String>) -> Self {
        Unusable {
            problems,
            had_file: arguments.config.is_some(),
        }
    }
}

fn texts(Problems(problems): Problems) -> Vec<String> {
    problems.iter().map(ToString::to_string).collect()
}

/// Reads the configuration and all that it names; every problem is in the error.
fn load(arguments: &ConfigArgs) -> Result<(Config, Assembly), Unusable> {
    let draft = draft(arguments)?;
    let assembly = assemble_draft(&draft);
    match (draft.finish(), assembly) {
        (Ok(config), Ok(assembly)) => Ok((config, assembly)),
        (config, assembly) => {
            let mut problems = config.err().map(texts).unwrap_or_default();
            problems.extend(assembly.err().into_iter().flat_map(|files| files.0));
            Err(Unusable::new(arguments, problems))
        }
    }
}

/// Reads the configuration alone.
fn load_config(arguments: &ConfigArgs) -> Result<Config, Unusable> {
    let config = draft(arguments)?.finish();
    config.map_err(|problems| Unusable::new(arguments, texts(problems)))
}

/// Reads the configuration as far as that is possible.
fn draft(arguments: &ConfigArgs) -> Result<Draft, Unusable> {
    let path = arguments.config.as_deref();
    Config::draft(path, environment(), &check_property)
        .map_err(|problems| Unusable::new(arguments, texts(problems)))
}

/// The variables that are text; others cannot be meant for us, and `std::env::vars` would panic on them.
fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().filter_map(|(name, value)| {
        let text = |os: std::ffi::OsString| os.into_string().ok();
        Some((text(name)?, text(value)?))
    })
}
