//! `quarantine show`: one record, what became of it, and what a relay would say now.

use std::fmt::Write as _;

use anyhow::Context;

use super::archive::{Archive, Found};
use super::time;
use crate::commands::arguments::ShowArgs;
use crate::commands::explain::explain_record;
use crate::commands::{load, print, visible};
use crate::quarantine::outcomes::Standing;

/// Bytes of a value that are shown.
const SHOWN_MAX: usize = 16 * 1024;

/// Prints the record.
///
/// # Errors
/// Fails if there is no such record, or it cannot be read.
pub(super) fn show(arguments: &ShowArgs) -> anyhow::Result<()> {
    let (config, mut deployment) = load(&arguments.config)?;
    let archive = Archive::open(&config)?;
    let outcomes = archive.outcomes()?;
    deployment.read_table_topics(&config).context("read the tables' topics")?;
    archive.find(arguments.place, &outcomes, &mut |found| {
        print(text(found).trim_end())?;
        if !found.case.is_stub {
            let source = "what a relay with this configuration would say now".to_string();
            let explanation = explain_record(source, found.record.value, None, &deployment);
            print(format_args!("\n{}", explanation.text()))?;
        }
        Ok(())
    })
}

fn text(found: &Found<'_>) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: &str| {
        // Writing to a string cannot fail.
        _ = writeln!(text, "{name:<10}{}", visible(value));
    };
    line("record", &found.place.to_string());
    line("from", &found.case.id.source());
    line("time", &time(found.record.timestamp_ms));
    line("reason", &found.case.reason);
    line("detail", &found.case.detail);
    match found.standing {
        None => line("standing", "open"),
        Some(Standing::Again { reason, detail }) => {
            line("standing", &format!("open; judged again: {reason}: {detail}"));
        }
        Some(Standing::Closed(outcome)) => line("standing", outcome.name()),
    }
    if found.case.is_stub {
        line("stub", "the rest of the record is in the input topic alone, until retention ends");
    }
    if let Some(key) = found.record.key {
        line("key", &String::from_utf8_lossy(key));
    }
    for (name, value) in &found.record.headers {
        let value = value.as_deref().map(String::from_utf8_lossy).unwrap_or("(null)".into());
        line("header", &format!("{} = {value}", String::from_utf8_lossy(name)));
    }
    let value = found.record.value.unwrap_or_default();
    let shown = value.get(..SHOWN_MAX).unwrap_or(value);
    line("value", &String::from_utf8_lossy(shown));
    if shown.len() < value.len() {
        line("", &format!("and {} more bytes", value.len() - shown.len()));
    }
    text
}
