//! `export`: copies a trail into files, to be kept and verified elsewhere.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context;

use super::print;
use super::progress::Progress;
use super::trail_source::{TrailTopics, connect, whole, write_partition};
use crate::commands::arguments::ExportArgs;
use crate::kafka::trail_reader::{LogBounds, TrailReader};

/// Exports a trail. It reads the seals between two looks at the ends of the outputs, as `verify`
/// does, so that the export can be verified like the topics at this time.
///
/// # Errors
/// Fails if one of the files exists, or something cannot be read or written.
pub fn export(arguments: &ExportArgs) -> anyhow::Result<()> {
    let folder = &arguments.folder;
    std::fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
    let reader = connect(&arguments.cluster)?;
    let topics = TrailTopics::find(&reader, &arguments.topics)?;
    let before = topics.output_bounds(&reader)?;
    let mut progress = Progress::default();
    if let Some(checkpoints) = &topics.checkpoints {
        let bounds = reader.bounds(checkpoints)?;
        copy(&reader, folder, checkpoints, &bounds, &mut progress)?;
    }
    for (topic, before) in topics.outputs.iter().zip(before) {
        let mut bounds = reader.bounds(&topic.name)?;
        for (partition, log) in &mut bounds {
            // Records behind these may be newer than the seals.
            log.stable_end = before.get(partition).map_or(0, |before| before.stable_end);
        }
        copy(&reader, folder, &topic.name, &bounds, &mut progress)?;
    }
    let records = progress.records();
    print(format_args!("{records} records are in {}", folder.display())).context("write the answer")
}

/// Copies a topic.
fn copy(
    reader: &TrailReader,
    folder: &Path,
    topic: &str,
    bounds: &BTreeMap<i32, LogBounds>,
    progress: &mut Progress,
) -> anyhow::Result<()> {
    let mut files = BTreeMap::new();
    for (partition, log) in bounds {
        files.insert(*partition, write_partition(folder, topic, *partition, *log)?);
    }
    reader.read(topic, &whole(bounds), &mut |record| {
        progress.add(topic);
        let file = files.get_mut(&record.partition).context("a record of an unknown partition")?;
        file.add(record).with_context(|| format!("write into {}", folder.display()))
    })?;
    for (_, file) in files {
        file.finish().with_context(|| format!("write into {}", folder.display()))?;
    }
    Ok(())
}
