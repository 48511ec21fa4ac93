//! Where the reference tables come from, and how far they are followed and trusted.

use std::path::PathBuf;
use std::time::Duration;

use super::names::is_topic;
use super::read::Reader;
use super::settings::variable_of;
use super::{Input, Output, TableSource, Tables};

const HOUR: Duration = Duration::from_secs(3_600);

/// The source of the principals, which must be given.
pub(super) fn principals(reader: &mut Reader) -> TableSource {
    let given = reader.has("principals.file") || reader.has("principals.topic");
    let source = source(reader, "principals");
    if !given {
        reader.problem("principals.file", missing());
    }
    source.unwrap_or(TableSource::File(PathBuf::new()))
}

fn missing() -> String {
    format!(
        "required, and not given; name a file with the principals (principals.file, or {}) or a compacted topic (principals.topic, or {})",
        variable_of("principals.file"),
        variable_of("principals.topic")
    )
}

/// The source of a table: a file or a topic, not both.
pub(super) fn source(reader: &mut Reader, section: &str) -> Option<TableSource> {
    const WANTED: &str = "a topic name: 1 to 249 of a-z A-Z 0-9 . _ -";
    let (file, topic) = (format!("{section}.file"), format!("{section}.topic"));
    drop_overridden(reader, &file, &topic);
    let is_followed = reader.has(&topic);
    let path = reader.path(&file);
    if !is_followed {
        return path.map(TableSource::File);
    }
    let name = reader.legal_text(&topic, WANTED, is_topic);
    if path.is_some() {
        reader.problem(
            &topic,
            format!("{file} is given as well; a table has one source, remove one of them"),
        );
    }
    Some(TableSource::Topic(name))
}

/// The environment wins over the file also where it names the other kind of source.
fn drop_overridden(reader: &mut Reader, file: &str, topic: &str) {
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

/// What holds for all tables.
pub(super) fn tables(reader: &mut Reader) -> Tables {
    let loss = reader.number("tables.reload_loss_limit_percent", 0..=100);
    let hours = reader.number("tables.history_hours", 1..=87_600);
    Tables {
        history: HOUR * u32::try_from(hours).unwrap_or(u32::MAX),
        staleness_limit: reader.milliseconds("tables.staleness_limit_ms", 1_000..=3_600_000),
        barrier_limit: reader.milliseconds("tables.barrier_limit_ms", 10..=600_000),
        publish_interval: reader.milliseconds("tables.publish_interval_ms", 1..=60_000),
        reload_loss_limit_percent: u8::try_from(loss).unwrap_or_default(),
    }
}

/// A topic that feeds a table is nothing else.
pub(super) fn keep_topics_apart(
    reader: &mut Reader,
    input: &Input,
    output: &Output,
    principals: &TableSource,
    devices: Option<&TableSource>,
) {
    let mut taken = vec![
        (input.topic.clone(), "input.topic"),
        (output.quarantine_topic.clone(), "output.quarantine_topic"),
    ];
    for (source, key) in [(Some(principals), "principals.topic"), (devices, "devices.topic")] {
        let Some(TableSource::Topic(topic)) = source else {
            continue;
        };
        let twice = taken.iter().find(|(other, _)| other == topic);
        if let Some((_, other)) = twice
            && !reader.has_problem(key)
        {
            reader.problem(key, format!("{topic:?} is {other} as well; give another topic"));
        }
        taken.push((topic.clone(), key));
    }
}
