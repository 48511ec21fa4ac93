//! `replay --compare`: judges a part of the input, and tells how the events differ from those that
//! are in the outputs. Writes nothing.
//!
//! An event is looked for by the time of its record and by its device, which do not depend on
//! tables or rules: events that are equal belong together, then those with the same id, then what
//! is left, in order. Of each event in the outputs only a few numbers are kept.

mod fields;
mod judging;
mod pairing;
mod report;
mod written;

use std::collections::BTreeMap;

use anyhow::Context;

use self::judging::Comparison;
use self::report::Report;
use self::written::Topics;
use super::window::Window;
use crate::commands::arguments::InputReplayArgs;
use crate::commands::print;
use crate::commands::progress::Progress;
use crate::config::Config;
use crate::deployment::Deployment;
use crate::kafka::offline::OfflineGroup;
use crate::kafka::trail_reader::TrailReader;
use crate::stream::ResumePoint;

/// The events are not those that are in the outputs.
#[derive(Debug, thiserror::Error)]
#[error("{0} differences")]
pub struct Different(pub u64);

/// Compares.
///
/// # Errors
/// Fails if the cluster does not answer, or with [`Different`].
pub(super) fn compare(
    arguments: &InputReplayArgs,
    config: Config,
    mut deployment: Deployment,
) -> anyhow::Result<()> {
    let reader = TrailReader::of_relay(&config)?;
    let input = &config.input.topic;
    let compared = match &arguments.with {
        Some(prefix) => config.replayed_into(prefix),
        None => config.clone(),
    };
    let mut window = Window::of(arguments, &reader, input)?;
    // Before the ends of the outputs are looked up, so that these have all that is judged.
    window.cut_to(&processed(&compared)?);
    window.check().context("compare with what the relays have processed")?;
    window.check_history(arguments, &reader, &config)?;
    let topics = Topics::find(&reader, &compared, &deployment)?;
    deployment.read_table_topics(&config).context("read the tables' topics")?;
    let mut progress = Progress::default();
    let since = oldest(&reader, input, &window, &mut progress)?;
    let written = topics.read(&reader, input, since, &mut progress)?;
    let mut comparison = Comparison::new(&config, &deployment, &topics, written, arguments);
    reader.read(input, &window.0, &mut |record| {
        progress.add(input);
        comparison.take(record);
        Ok(())
    })?;
    let mut report = comparison.finish();
    report.find_fields(&reader, &topics)?;
    show(&report, &window, &compared, arguments.json)?;
    match report.differences() {
        0 => Ok(()),
        differences => Err(Different(differences).into()),
    }
}

/// Returns the next offset of the relays, or of the replay that is compared, in each partition.
fn processed(config: &Config) -> anyhow::Result<BTreeMap<i32, i64>> {
    let places = OfflineGroup::new(config)?.places()?;
    let next = places.into_iter().filter_map(|(partition, place)| match place {
        ResumePoint::At(position) => Some((partition.0, position.next_offset)),
        ResumePoint::Beginning | ResumePoint::NewLog => None,
    });
    Ok(next.collect())
}

/// Returns the time of the oldest record, in milliseconds since 1970. Events have the times of
/// their records, so no older record of an output needs to be looked at.
fn oldest(
    reader: &TrailReader,
    topic: &str,
    window: &Window,
    progress: &mut Progress,
) -> anyhow::Result<u64> {
    let mut oldest = i64::MAX;
    reader.read(topic, &window.0, &mut |record| {
        progress.add(topic);
        oldest = oldest.min(record.timestamp_ms);
        Ok(())
    })?;
    Ok(u64::try_from(oldest).unwrap_or_default())
}

fn show(report: &Report, window: &Window, compared: &Config, as_json: bool) -> anyhow::Result<()> {
    let shown = if as_json {
        print(report.to_json(window))
    } else {
        let prefix = &compared.output.topic_prefix;
        print(format_args!(
            "--offsets {window}\ncompared with {prefix}… and {}\n{report}",
            compared.output.quarantine_topic
        ))
    };
    shown.context("write the answer")
}
