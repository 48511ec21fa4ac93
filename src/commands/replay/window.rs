//! Which part of the input is judged.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::{Context, anyhow, bail, ensure};

use crate::commands::arguments::{Edge, InputReplayArgs, OffsetRanges};
use crate::commands::history::oldest_known;
use crate::config::Config;
use crate::kafka::Ranges;
use crate::kafka::trail_reader::{LogBounds, TrailReader};

/// Offsets of every partition of the input; those of which nothing is judged are empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Window(pub(super) Ranges);

impl Window {
    /// Returns the part that the arguments name.
    ///
    /// # Errors
    /// If the input does not hold it, or the cluster does not answer.
    pub(super) fn of(
        arguments: &InputReplayArgs,
        reader: &TrailReader,
        topic: &str,
    ) -> anyhow::Result<Self> {
        let bounds = reader.bounds(topic)?;
        if let Some(OffsetRanges(given)) = &arguments.offsets {
            return Self::given(given, &bounds).with_context(|| format!("--offsets of {topic:?}"));
        }
        let starts = edge(arguments.from, reader, topic, &bounds)?;
        let ends = edge(arguments.to, reader, topic, &bounds)?;
        let ranges = starts.into_iter().zip(ends).map(|((partition, start), (_, end))| {
            // An earlier end leaves nothing.
            (partition, (start.min(end), end))
        });
        Ok(Window(ranges.collect()))
    }

    fn given(given: &Ranges, bounds: &BTreeMap<i32, LogBounds>) -> anyhow::Result<Self> {
        for (partition, (start, end)) in given {
            let Some(log) = bounds.get(partition) else {
                bail!("there is no partition {partition}")
            };
            ensure!(
                log.low <= *start && *end <= log.stable_end,
                "partition {partition} has the offsets {} to {}, not all of {start}-{end}",
                log.low,
                log.stable_end
            );
        }
        let all = bounds.iter().map(|(partition, log)| {
            let nothing = (log.stable_end, log.stable_end);
            (*partition, given.get(partition).copied().unwrap_or(nothing))
        });
        Ok(Window(all.collect()))
    }

    /// Ends it where the relays will go on.
    pub(super) fn cut_to(&mut self, next_offsets: &BTreeMap<i32, i64>) {
        for (partition, (start, end)) in &mut self.0 {
            *end = next_offsets.get(partition).map_or(*start, |next| (*end).min(*next));
            *start = (*start).min(*end);
        }
    }

    /// Returns the offsets in it. Some of them may be of no record.
    pub(super) fn len(&self) -> i64 {
        self.0.values().map(|(start, end)| end - start).sum()
    }

    /// Fails if it is empty.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        ensure!(self.len() > 0, "there is no record in this part of the input");
        Ok(())
    }

    /// Fails if it holds records that are older than what the topics of the tables keep.
    ///
    /// # Errors
    /// If it does and that is not accepted, or the cluster does not answer.
    pub(super) fn check_history(
        &self,
        arguments: &InputReplayArgs,
        reader: &TrailReader,
        config: &Config,
    ) -> anyhow::Result<()> {
        let oldest = oldest_known(config)?.filter(|_| !arguments.accept_tables);
        let Some(oldest) = oldest else { return Ok(()) };
        let topic = &config.input.topic;
        let oldest_ms = u64::try_from(oldest.as_millisecond()).unwrap_or_default();
        let times = self.0.keys().map(|partition| (*partition, oldest_ms)).collect();
        let first = reader.first_since(topic, &times)?;
        for (partition, (start, end)) in self.0.iter().filter(|(_, (start, end))| start < end) {
            let known = first.get(partition).copied().unwrap_or(i64::MAX);
            ensure!(
                known <= *start,
                "partition {partition}: the records {start} to {} are older than the history of the tables' topics (tables.history_hours); begin with --from {oldest:.0}, or judge by what they have with --accept-tables",
                known.min(*end) - 1
            );
        }
        Ok(())
    }
}

/// As `--offsets` takes it.
impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ranges = self.0.iter().filter(|(_, (start, end))| start < end);
        let ranges = ranges.map(|(partition, offsets)| (*partition, *offsets)).collect();
        OffsetRanges(ranges).fmt(f)
    }
}

/// Returns the offset of an edge in each partition.
fn edge(
    edge: Edge,
    reader: &TrailReader,
    topic: &str,
    bounds: &BTreeMap<i32, LogBounds>,
) -> anyhow::Result<BTreeMap<i32, i64>> {
    let first = match edge {
        Edge::Earliest => bounds.iter().map(|(partition, log)| (*partition, log.low)).collect(),
        Edge::Latest => BTreeMap::new(),
        Edge::At(time) => {
            let time = u64::try_from(time.as_millisecond());
            let time = time.map_err(|_| anyhow!("a time before 1970"))?;
            let times = bounds.keys().map(|partition| (*partition, time)).collect();
            reader.first_since(topic, &times)?
        }
    };
    let edges = bounds.iter().map(|(partition, log)| {
        let first = first.get(partition).copied().unwrap_or(log.stable_end);
        (*partition, first.clamp(log.low, log.stable_end))
    });
    Ok(edges.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: LogBounds = LogBounds { low: 10, stable_end: 90, end: 95 };

    #[test]
    fn given_offsets_must_be_there() {
        let bounds = BTreeMap::from([(0, LOG), (1, LOG)]);
        let given = |partition, start, end| {
            Window::given(&BTreeMap::from([(partition, (start, end))]), &bounds)
        };
        let window = given(1, 10, 90).expect("all of it");
        assert_eq!(window.0, BTreeMap::from([(0, (90, 90)), (1, (10, 90))]));
        assert_eq!((window.to_string().as_str(), window.len()), ("1:10-90", 80));
        for (partition, start, end) in [(2, 10, 11), (0, 9, 11), (0, 10, 91)] {
            let error = given(partition, start, end).expect_err("not there").to_string();
            assert!(error.contains(&format!("partition {partition}")), "{error}");
        }
    }

    #[test]
    fn what_the_relays_have_not_processed_is_left_out() {
        let ranges = [(0, (10, 90)), (1, (10, 90)), (2, (10, 90)), (3, (10, 90))];
        let mut window = Window(ranges.into());
        window.cut_to(&BTreeMap::from([(0, 100), (1, 50), (2, 5)]));
        let expected = [(0, (10, 90)), (1, (10, 50)), (2, (5, 5)), (3, (10, 10))];
        assert_eq!(window.0, expected.into());
        assert_eq!(window.to_string(), "0:10-90,1:10-50");
        window.check().expect("something is left");
        window.cut_to(&BTreeMap::new());
        window.check().expect_err("nothing is left");
    }
}
