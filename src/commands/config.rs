//! `config`: prints an example configuration or the effective values. It reads only the
//! configuration, not the files that it names.

use anyhow::Context;
use serde_json::json;

use crate::commands::arguments::ShowConfigArgs;
use crate::commands::exit::Unusable;
use crate::commands::{draft, print, texts, visible};
use crate::config::Effective;

/// Every key, with its default and its meaning.
const EXAMPLE: &str = include_str!("../../audit-relay.example.toml");

/// Prints the example or the effective values.
///
/// # Errors
/// Fails if the configuration is invalid. The values that could be read are printed first.
pub fn config(arguments: &ShowConfigArgs) -> anyhow::Result<()> {
    if !arguments.effective {
        return print(EXAMPLE.trim_end()).context("write the example");
    }
    let draft = draft(&arguments.config)?;
    for value in draft.values() {
        let line = if arguments.json { as_json(value) } else { as_text(value) };
        print(line).context("write the values")?;
    }
    let problems = draft.finish().err().map(texts);
    problems.map_or(Ok(()), |problems| {
        Err(Unusable::new(arguments.config.config.is_some(), problems).into())
    })
}

/// Returns a line of TOML, with the origin as a comment.
fn as_text(Effective { key, value, origin }: &Effective) -> String {
    let assignment = visible(&format!("{key} = {value}"));
    format!("{assignment:<48} # {origin}")
}

fn as_json(Effective { key, value, origin }: &Effective) -> String {
    json!({"key": key, "value": value, "origin": origin.to_string()}).to_string()
}
