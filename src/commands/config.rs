//! `config`: an example to begin with, and which values count. It reads nothing but the
//! configuration.

use anyhow::Context;
use serde_json::json;

use crate::commands::arguments::ShowConfigArgs;
use crate::commands::exit::Unusable;
use crate::commands::{draft, print, texts, visible};
use crate::config::Effective;

/// Every key, with its default and its meaning.
const EXAMPLE: &str = include_str!("../../audit-relay.example.toml");

/// Prints the example, or what counts.
///
/// # Errors
/// A configuration that cannot be used; what could be read of it is printed all the same.
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

/// A line of TOML, with its origin as a comment.
fn as_text(Effective { key, value, origin }: &Effective) -> String {
    let assignment = visible(&format!("{key} = {value}"));
    format!("{assignment:<48} # {origin}")
}

fn as_json(Effective { key, value, origin }: &Effective) -> String {
    json!({"key": key, "value": value, "origin": origin.to_string()}).to_string()
}
