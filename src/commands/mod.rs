//! What a person can type. Each command returns whether it succeeded; errors that nobody can branch
//! on are printed by `main`.

pub mod arguments;
pub mod check;
pub mod config;
pub mod demo;
pub mod exit;
pub mod explain;
mod oddities;
pub mod run;
pub mod table;

use std::fmt;
use std::io::Write;

use crate::commands::arguments::ConfigArgs;
use crate::commands::exit::Unusable;
use crate::config::{Config, Draft, Problems};
use crate::deployment::{Assembly, assemble_draft};
use crate::kafka::settings::check_property;

/// A text for a person at a terminal: what could move the cursor, break the line or turn the
/// direction of writing is shown as JSON would escape it. Records and tables can hold anything.
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

/// Writes a line to standard output; unlike `println!` it does not panic when nobody reads any
/// more.
fn print(line: impl fmt::Display) -> std::io::Result<()> {
    writeln!(std::io::stdout().lock(), "{line}")
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
            Err(Unusable::new(arguments.config.is_some(), problems))
        }
    }
}

/// Reads the configuration alone.
fn load_config(arguments: &ConfigArgs) -> Result<Config, Unusable> {
    let config = draft(arguments)?.finish();
    config.map_err(|problems| Unusable::new(arguments.config.is_some(), texts(problems)))
}

/// Reads the configuration as far as that is possible.
fn draft(arguments: &ConfigArgs) -> Result<Draft, Unusable> {
    let path = arguments.config.as_deref();
    Config::draft(path, environment(), &check_property)
        .map_err(|problems| Unusable::new(arguments.config.is_some(), texts(problems)))
}

/// The variables that are text; others cannot be meant for us, and `std::env::vars` would panic on
/// them.
fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().filter_map(|(name, value)| {
        let text = |os: std::ffi::OsString| os.into_string().ok();
        Some((text(name)?, text(value)?))
    })
}
