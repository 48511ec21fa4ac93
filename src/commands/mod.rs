//! The commands of the program. Each returns an error if it did not succeed, and `main` prints it.

pub mod arguments;
mod audit_event;
pub mod check;
pub mod config;
pub mod demo;
pub mod exit;
pub mod explain;
pub mod export;
pub mod generate;
mod history;
pub mod key;
pub mod manifest;
mod oddities;
mod outcomes;
mod progress;
pub mod quarantine;
pub mod replay;
pub mod resume;
pub mod run;
mod state_change;
pub mod table;
pub mod top;
mod trail_source;
pub mod verify;

use std::fmt;
use std::io::Write;

use crate::commands::arguments::ConfigArgs;
use crate::commands::exit::Unusable;
use crate::config::{Config, Draft, Problems};
use crate::deployment::Deployment;
use crate::kafka::settings::check_property;

/// Makes a text safe for a terminal: escapes characters that could move the cursor, break the line
/// or change the writing direction, as JSON does. Records and tables can contain any character.
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

/// Writes a line to standard output. Unlike `println!`, it does not panic when the pipe is closed.
fn print(line: impl fmt::Display) -> std::io::Result<()> {
    writeln!(std::io::stdout().lock(), "{line}")
}

fn texts(Problems(problems): Problems) -> Vec<String> {
    problems.iter().map(ToString::to_string).collect()
}

/// Reads the configuration and everything that it names. The error contains every problem.
fn load(arguments: &ConfigArgs) -> Result<(Config, Deployment), Unusable> {
    let draft = draft(arguments)?;
    let deployment = Deployment::load_draft(&draft);
    match (draft.finish(), deployment) {
        (Ok(config), Ok(deployment)) => Ok((config, deployment)),
        (config, deployment) => {
            let mut problems = config.err().map(texts).unwrap_or_default();
            problems.extend(deployment.err().into_iter().flat_map(|files| files.0));
            Err(Unusable::new(arguments.config.is_some(), problems))
        }
    }
}

/// Reads the configuration only.
fn load_config(arguments: &ConfigArgs) -> Result<Config, Unusable> {
    let config = draft(arguments)?.finish();
    config.map_err(|problems| Unusable::new(arguments.config.is_some(), texts(problems)))
}

/// Reads the valid part of the configuration, and collects the problems of the rest.
fn draft(arguments: &ConfigArgs) -> Result<Draft, Unusable> {
    let path = arguments.config.as_deref();
    Config::draft(path, environment(), &check_property)
        .map_err(|problems| Unusable::new(arguments.config.is_some(), texts(problems)))
}

/// Returns the environment variables that are valid text. `std::env::vars` would panic on others,
/// and no setting can be one of them.
fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().filter_map(|(name, value)| {
        let text = |os: std::ffi::OsString| os.into_string().ok();
        Some((text(name)?, text(value)?))
    })
}
