//! Reads what became of quarantined records.

use anyhow::anyhow;

use super::trail_source::whole;
use crate::kafka::trail_reader::{TrailReader, TrailRecord};
use crate::quarantine::outcomes::Outcomes;

/// Reads all of the topic with the outcomes, and hands over each of its records.
///
/// # Errors
/// If the topic cannot be read, or one of its records cannot: nothing must be decided without it.
pub(super) fn read_outcomes(
    reader: &TrailReader,
    topic: &str,
    receive: &mut dyn FnMut(&TrailRecord<'_>),
) -> anyhow::Result<Outcomes> {
    let mut outcomes = Outcomes::default();
    let all = whole(&reader.bounds(topic)?);
    reader.read(topic, &all, &mut |record| {
        receive(record);
        outcomes.take(record.key, record.value).map_err(|why| {
            let TrailRecord { partition, offset, .. } = record;
            anyhow!("{topic} {partition}/{offset}: {why}")
        })
    })?;
    Ok(outcomes)
}
