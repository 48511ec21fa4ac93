//! What a person can type. Each command returns whether it succeeded; errors that nobody can branch on
//! are printed by `main`.

pub mod check;
pub mod demo;
pub mod explain;
pub mod run;

use anyhow::Context;

use crate::assemble::{Assembly, assemble};
use crate::cli::ConfigArgs;
use crate::config::Config;
use crate::kafka::settings::check_property;

/// Reads the configuration and all that it names; every problem is in the error.
fn load(arguments: &ConfigArgs) -> anyhow::Result<(Config, Assembly)> {
    let config = Config::load(
        arguments.config.as_deref(),
        std::env::vars(),
        &check_property,
    )
    .context("the configuration cannot be used")?;
    let assembly =
        assemble(&config).context("a file that the configuration names cannot be used")?;
    Ok((config, assembly))
}
