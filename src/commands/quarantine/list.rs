//! `quarantine list`: the records, one in a line.

use serde_json::json;

use super::archive::{Archive, Found};
use super::time;
use crate::commands::arguments::ListArgs;
use crate::commands::{load_config, print, visible};
use crate::quarantine::outcomes::Standing;

/// Prints the records.
///
/// # Errors
/// Fails if the topic cannot be read.
pub(super) fn list(arguments: &ListArgs) -> anyhow::Result<()> {
    let archive = Archive::open(&load_config(&arguments.config)?)?;
    let outcomes = archive.outcomes()?;
    let (mut listed, mut more) = (0, 0_u64);
    let meant = (&arguments.selection, arguments.all);
    archive.select(&archive.everything()?, &outcomes, meant, &mut |found| {
        if listed == arguments.limit {
            more += 1;
            return Ok(());
        }
        listed += 1;
        match arguments.json {
            true => print(json(found))?,
            false => print(line(found))?,
        }
        Ok(())
    })?;
    if !arguments.json && more > 0 {
        print(format_args!("and {more} more: --limit"))?;
    }
    if !arguments.json && listed == 0 {
        print("No such record.")?;
    }
    Ok(())
}

/// Returns where a case stands, in a word.
fn standing(found: &Found<'_>) -> &'static str {
    match found.standing {
        Some(Standing::Closed(outcome)) => outcome.name(),
        Some(Standing::Again { .. }) | None => "open",
    }
}

fn line(found: &Found<'_>) -> String {
    let (time, standing) = (time(found.record.timestamp_ms), standing(found));
    format!(
        "{:<12} {time:<20} {standing:<7} {:<24} {}  ({})",
        found.place.to_string(),
        found.reason(),
        visible(found.detail()),
        visible(&found.case.id.source())
    )
}

fn json(found: &Found<'_>) -> serde_json::Value {
    let id = &found.case.id;
    json!({
        "place": found.place.to_string(),
        "time": time(found.record.timestamp_ms),
        "standing": standing(found),
        "reason": found.reason(),
        "detail": found.detail(),
        "stub": found.case.is_stub,
        "case": id.to_string(),
        "topic": id.topic,
        "partition": id.partition,
        "offset": id.offset,
    })
}
