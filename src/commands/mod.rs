//! What a person can type. Each command returns whether it succeeded; errors that nobody can branch on
//! are printed by `main`.

pub mod check;
pub mod demo;
pub mod explain;
mod oddities;
pub mod run;
pub mod table;

use std::fmt::Display;
use std::io::Write;

use anyhow::Context;

use crate::assemble::{Assembly, assemble};
use crate::cli::ConfigArgs;
use crate::config::Config;
use crate::kafka::settings::check_property;

/// Writes a line to standard output; unlike `println!` it does not panic when nobody reads any more.
fn print(line: impl Display) -> std::io::Result<()> {
    writeln!(std::io::stdout().lock(), "{line}")
}

/// Reads the configuration and all that it names; every problem is in the error.
fn load(arguments: &ConfigArgs) -> anyhow::Result<(Config, Assembly)> {
    let config = load_config(arguments)?;
    let assembly = assemble(&config).context("what the configuration names cannot be used")?;
    Ok((config, assembly))
}

/// Reads the configuration alone.
fn load_config(arguments: &ConfigArgs) -> anyhow::Result<Config> {
    let path = arguments.config.as_deref();
    Config::load_checked(path, environment(), &check_property)
        .context("the configuration cannot be used")
}

/// The variables that are text; others cannot be meant for us, and `std::env::vars` would panic on them.
fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().filter_map(|(name, value)| {
        let text = |os: std::ffi::OsString| os.into_string().ok();
        Some((text(name)?, text(value)?))
    })
}
