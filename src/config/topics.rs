//! Keeps topics apart: the input, the outputs and the topics of tables must all be different.

use super::names::is_topic;
use super::read::SettingsReader;
use super::sections::{CHECKPOINTS, InputSettings, OutputSettings, TableSource};

/// Refuses a quarantine topic or a region's topic that is the input.
pub(super) fn keep_outputs_apart(
    reader: &mut SettingsReader,
    input: &InputSettings,
    output: &OutputSettings,
    is_sealed: bool,
) {
    let key = "output.quarantine_topic";
    let is_known = !reader.has_problem(key) && !reader.has_problem("input.topic");
    if is_known && output.quarantine_topic == input.topic {
        reader.problem(key, format!("{:?} is also the input topic; choose another", input.topic));
    }
    if reader.has_problem("output.topic_prefix") || reader.has_problem("output.regions") {
        return;
    }
    for message in output_topic_problems(input, output, &output.regions, is_sealed) {
        reader.problem("output.regions", message);
    }
}

/// Refuses a table's topic that also has another use.
pub(super) fn keep_tables_apart(
    reader: &mut SettingsReader,
    input: &InputSettings,
    output: &OutputSettings,
    tables: [(&'static str, Option<&TableSource>); 2],
) {
    let mut taken =
        vec![(&input.topic, "input.topic"), (&output.quarantine_topic, "output.quarantine_topic")];
    for (key, source) in tables {
        let Some(TableSource::Topic(topic)) = source else {
            continue;
        };
        let other = taken.iter().find(|(other, _)| *other == topic);
        if let Some((_, other)) = other
            && !reader.has_problem(key)
        {
            reader.problem(key, format!("{topic:?} is also {other}; choose another topic"));
        }
        taken.push((topic, key));
    }
}

/// Returns the problems of the topics of `regions`.
pub(super) fn output_topic_problems(
    input: &InputSettings,
    output: &OutputSettings,
    regions: &[impl AsRef<str>],
    is_sealed: bool,
) -> Vec<String> {
    let problem = |region: &str| {
        let topic = output.topic(region);
        let wrong = match () {
            () if topic == input.topic => "also the input topic",
            () if topic == output.quarantine_topic => "also the quarantine topic",
            () if is_sealed && region == CHECKPOINTS => "also the topic of the seals",
            () if !is_topic(&topic) => {
                "not a topic name (1 to 249 characters from a-z A-Z 0-9 . _ -)"
            }
            () => return None,
        };
        Some(format!(
            "topic {topic:?} of region {region:?} is {wrong}; change the prefix or the region"
        ))
    };
    regions.iter().filter_map(|region| problem(region.as_ref())).collect()
}
