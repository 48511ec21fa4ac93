//! Where the reference tables come from, how they are followed, and when they count as stale.

use std::path::PathBuf;
use std::time::Duration;

use super::read::SettingsReader;
use super::sections::{TableSettings, TableSource};
use super::settings::variable_of;

const HOUR: Duration = Duration::from_secs(3_600);

/// Returns the source of the principals, which must be given.
pub(super) fn principals(reader: &mut SettingsReader<'_>) -> TableSource {
    const KEYS: [&str; 2] = ["principals.file", "principals.topic"];
    let is_given = KEYS.iter().any(|key| reader.has(key));
    let source = source(reader, "principals");
    if !is_given {
        let [file, topic] = KEYS.map(variable_of);
        reader.problem(
            KEYS[0],
            format!("required but not set; set it (or {file}) to a file, or principals.topic (or {topic}) to a compacted topic"),
        );
    }
    source.unwrap_or(TableSource::File(PathBuf::new()))
}

/// Returns the source of a table: a file or a topic, not both.
pub(super) fn source(reader: &mut SettingsReader<'_>, section: &str) -> Option<TableSource> {
    let (file, topic) = (format!("{section}.file"), format!("{section}.topic"));
    drop_overridden(reader, &file, &topic);
    let is_followed = reader.has(&topic);
    let path = reader.path(&file);
    if !is_followed {
        return path.map(TableSource::File);
    }
    let name = reader.text(&topic);
    if path.is_some() {
        reader.problem(
            &topic,
            format!("{file} is also set, but a table has one source; remove one of the two"),
        );
    }
    Some(TableSource::Topic(name))
}

/// Lets the environment take precedence over the file even if it names the other kind of source.
fn drop_overridden(reader: &mut SettingsReader<'_>, file: &str, topic: &str) {
    if !reader.has(file) || !reader.has(topic) {
        return;
    }
    let overridden = match (reader.is_from_environment(file), reader.is_from_environment(topic)) {
        (true, false) => topic,
        (false, true) => file,
        (true, true) | (false, false) => return,
    };
    reader.take(overridden);
}

/// Returns the settings of all tables.
pub(super) fn tables(reader: &mut SettingsReader<'_>) -> TableSettings {
    let reload_loss_limit_percent = reader.number("tables.reload_loss_limit_percent");
    let hours: u32 = reader.number("tables.history_hours").unwrap_or_default();
    TableSettings {
        history: HOUR * hours,
        staleness_limit: reader.milliseconds("tables.staleness_limit_ms"),
        barrier_limit: reader.milliseconds("tables.barrier_limit_ms"),
        publish_interval: reader.milliseconds("tables.publish_interval_ms"),
        reload_loss_limit_percent: reload_loss_limit_percent.unwrap_or_default(),
    }
}
