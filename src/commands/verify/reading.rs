//! Reads a trail for the verifier: all of it, or what came since it was read last.

use std::collections::BTreeMap;

use anyhow::{Context, ensure};
use audit_chain::trust::Trust;
use audit_verify::{
    Options, PartitionReport, PartitionVerifier, Record, Remembered, Report, SealRecord, Sealed,
    Seals, Step, conclude,
};

use crate::commands::progress::Progress;
use crate::commands::trail_source::{OutputTopic, TrailSource, TrailTopics};
use crate::kafka::Ranges;
use crate::kafka::trail_reader::{LogBounds, TrailRecord};

/// What is to be verified next.
#[derive(Debug)]
pub(super) struct Unverified {
    seals: Seals,
    reached: Reached,
}

/// What was verified, to go on behind it.
#[derive(Debug)]
pub(super) struct Verified {
    sealed: Sealed,
    reached: Reached,
}

impl Unverified {
    /// The whole trail.
    pub(super) fn whole(trust: Trust, options: Options) -> Self {
        Unverified { seals: Seals::new(trust, options), reached: Reached::default() }
    }

    /// Reads the ends of the outputs, the seals, and then the outputs to ends that lie behind
    /// whatever the seals sign. Records behind the first ends may be newer than the seals.
    pub(super) fn verify(
        self,
        source: &dyn TrailSource,
        topics: &TrailTopics,
        progress: &mut Progress,
    ) -> anyhow::Result<(Report, Verified)> {
        let Unverified { seals, reached: from } = self;
        from.check_topics(topics)?;
        let mut reached = Reached::default();
        let before = topics.output_bounds(source)?;
        let sealed = read_seals(seals, source, topics, progress, (&from, &mut reached))?;
        let mut outputs = Outputs { source, topics, before: &before, from: &from, progress };
        let read = outputs.read(&|topic, partition, low| {
            Some(verifier(&sealed, topic, partition, low, from.of(&topic.name, partition)))
        })?;
        for PartitionRead { topic, partition, end, report } in &read {
            let next = i64::try_from(report.next(unsigned(*end))).unwrap_or(*end);
            reached.set(topic, *partition, Offsets { next, end: *end });
        }
        let reports = read.into_iter().map(|read| read.report).collect();
        let report = match conclude(&sealed, reports).context("read a temporary file")? {
            Step::Done(report) => report,
            Step::Ask(questions) => {
                let answers = outputs.read(&|topic, partition, _| {
                    let asked = (&topic.stream, number(partition));
                    let is_asked = questions.partitions().any(|partition| partition == asked);
                    is_asked.then(|| questions.verifier(&sealed, topic.stream.clone(), asked.1))
                })?;
                questions.answered(answers.into_iter().map(|read| read.report).collect())
            }
        };
        Ok((report, Verified { sealed, reached }))
    }
}

impl Verified {
    /// Goes on behind it, with what is remembered outside the cluster by now.
    pub(super) fn go_on(self, remembered: Vec<Remembered>) -> Unverified {
        Unverified { seals: self.sealed.go_on(remembered), reached: self.reached }
    }
}

/// How far the partitions of all topics were read.
#[derive(Debug, Default)]
struct Reached(BTreeMap<String, BTreeMap<i32, Offsets>>);

/// How far a partition was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Offsets {
    /// Where to go on: at the end, or at the first record that no seal covered.
    next: i64,
    /// The offset behind the last record that was read.
    end: i64,
}

impl Reached {
    fn of(&self, topic: &str, partition: i32) -> Option<Offsets> {
        self.0.get(topic)?.get(&partition).copied()
    }

    fn set(&mut self, topic: &str, partition: i32, offsets: Offsets) {
        self.0.entry(topic.to_string()).or_default().insert(partition, offsets);
    }

    /// Fails if a topic is not there any more.
    fn check_topics(&self, topics: &TrailTopics) -> anyhow::Result<()> {
        let there = || topics.outputs.iter().map(|topic| &topic.name).chain(&topics.checkpoints);
        for topic in self.0.keys() {
            ensure!(there().any(|name| name == topic), "topic {topic:?} is not there any more");
        }
        Ok(())
    }

    /// Returns what is to be read of a topic that has these bounds now.
    ///
    /// # Errors
    /// If it lost records that were read, or were still to be read.
    fn ranges(&self, topic: &str, bounds: &BTreeMap<i32, LogBounds>) -> anyhow::Result<Ranges> {
        for (partition, Offsets { next, end }) in self.0.get(topic).into_iter().flatten() {
            let place = || format!("topic {topic:?} partition {partition}");
            let log = bounds.get(partition);
            let log = log.with_context(|| format!("{} is not there any more", place()))?;
            ensure!(
                log.end >= *end,
                "{} ends at offset {}, and was read up to {end}",
                place(),
                log.end
            );
            ensure!(
                log.low <= *next,
                "{} begins at offset {}, and was to be read from {next} on",
                place(),
                log.low
            );
        }
        let start = |partition, log: &LogBounds| {
            self.of(topic, partition).map_or(log.low, |offsets| offsets.next)
        };
        let ranges = bounds.iter();
        Ok(ranges.map(|(it, log)| (*it, (start(*it, log), log.end))).collect())
    }
}

/// Reads the checkpoints topic.
fn read_seals(
    mut seals: Seals,
    source: &dyn TrailSource,
    topics: &TrailTopics,
    progress: &mut Progress,
    (from, reached): (&Reached, &mut Reached),
) -> anyhow::Result<Sealed> {
    if let Some(topic) = &topics.checkpoints {
        let bounds = source.bounds(topic)?;
        let ranges = from.ranges(topic, &bounds)?;
        source.read(topic, &ranges, &mut |record| {
            progress.add(topic);
            seals.take(&seal_record(record)).context("write a temporary file")
        })?;
        for (partition, LogBounds { end, .. }) in bounds {
            reached.set(topic, partition, Offsets { next: end, end });
        }
    }
    seals.finish().context("read a temporary file")
}

/// Returns the verifier of an output's partition, which begins at a low watermark, or goes on.
fn verifier<'s>(
    sealed: &'s Sealed,
    topic: &OutputTopic,
    partition: i32,
    low: i64,
    from: Option<Offsets>,
) -> PartitionVerifier<'s> {
    let new = |low| {
        PartitionVerifier::new(sealed, topic.stream.clone(), number(partition), unsigned(low))
    };
    match from {
        // Nothing that is still to be read can have expired.
        Some(Offsets { end, .. }) => new(0).behind(unsigned(end)),
        None => new(low),
    }
}

/// The outputs of a trail.
struct Outputs<'a> {
    source: &'a dyn TrailSource,
    topics: &'a TrailTopics,
    /// The bounds of each topic before the seals were read.
    before: &'a [BTreeMap<i32, LogBounds>],
    from: &'a Reached,
    progress: &'a mut Progress,
}

/// Returns the verifier of an output's partition, which begins at a low watermark; `None` if the
/// partition need not be read.
type NewVerifier<'f, 's> = dyn Fn(&OutputTopic, i32, i64) -> Option<PartitionVerifier<'s>> + 'f;

/// A partition of an output that was read.
struct PartitionRead<'a> {
    topic: &'a str,
    partition: i32,
    end: i64,
    report: PartitionReport,
}

impl<'a> Outputs<'a> {
    /// Reads all outputs to their ends.
    fn read(&mut self, new: &NewVerifier<'_, '_>) -> anyhow::Result<Vec<PartitionRead<'a>>> {
        let topics = self.topics.outputs.iter().zip(self.before);
        let mut read = Vec::new();
        for (topic, before) in topics {
            read.extend(self.read_topic(topic, before, new)?);
        }
        Ok(read)
    }

    fn read_topic(
        &mut self,
        topic: &'a OutputTopic,
        before: &BTreeMap<i32, LogBounds>,
        new: &NewVerifier<'_, '_>,
    ) -> anyhow::Result<Vec<PartitionRead<'a>>> {
        let bounds = self.source.bounds(&topic.name)?;
        let verifier = |(partition, log): (&i32, &LogBounds)| {
            Some((*partition, new(topic, *partition, log.low)?))
        };
        let mut verifiers: BTreeMap<_, _> = bounds.iter().filter_map(verifier).collect();
        let mut ranges = self.from.ranges(&topic.name, &bounds)?;
        ranges.retain(|partition, _| verifiers.contains_key(partition));
        self.source.read(&topic.name, &ranges, &mut |record| {
            self.progress.add(&topic.name);
            let Some(verifier) = verifiers.get_mut(&record.partition) else { return Ok(()) };
            let before = before.get(&record.partition).map_or(0, |bounds| bounds.stable_end);
            let headers = record.headers.iter();
            let headers: Vec<_> =
                headers.map(|(name, value)| (name.as_slice(), value.as_deref())).collect();
            let record = Record {
                offset: unsigned(record.offset),
                timestamp_ms: record.timestamp_ms,
                key: record.key,
                value: record.value,
                headers: &headers,
                is_newer_than_seals: record.offset >= before,
            };
            verifier.take(&record).context("read a temporary file")
        })?;
        let finished = verifiers.into_iter().map(|(partition, verifier)| {
            let end = ranges.get(&partition).map_or(0, |(_, end)| *end);
            let report = verifier.finish().context("read a temporary file")?;
            Ok(PartitionRead { topic: &topic.name, partition, end, report })
        });
        finished.collect()
    }
}

fn seal_record<'a>(record: &TrailRecord<'a>) -> SealRecord<'a> {
    SealRecord {
        partition: number(record.partition),
        offset: unsigned(record.offset),
        key: record.key,
        value: record.value,
        has_headers: !record.headers.is_empty(),
    }
}

/// Returns the number of a partition, which is never negative.
fn number(partition: i32) -> u32 {
    u32::try_from(partition).unwrap_or_default()
}

/// Returns an offset of a record, which is never negative.
fn unsigned(offset: i64) -> u64 {
    u64::try_from(offset).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(low: i64, end: i64) -> BTreeMap<i32, LogBounds> {
        BTreeMap::from([(0, LogBounds { low, end, stable_end: end })])
    }

    #[test]
    fn reading_goes_on_unless_the_topic_lost_something() {
        let mut reached = Reached::default();
        assert_eq!(
            reached.ranges("t", &log(3, 9)).expect("all of it"),
            Ranges::from([(0, (3, 9))])
        );
        reached.set("t", 0, Offsets { next: 7, end: 9 });
        assert_eq!(reached.ranges("t", &log(3, 9)).expect("a rest"), Ranges::from([(0, (7, 9))]));
        assert_eq!(reached.ranges("t", &log(7, 12)).expect("more"), Ranges::from([(0, (7, 12))]));
        let refusal = |bounds| reached.ranges("t", &bounds).expect_err("lost").to_string();
        assert!(refusal(log(3, 8)).contains("was read up to 9"), "{}", refusal(log(3, 8)));
        assert!(refusal(log(8, 12)).contains("from 7 on"), "{}", refusal(log(8, 12)));
        assert!(refusal(BTreeMap::new()).contains("not there any more"));
        let topics = TrailTopics { checkpoints: Some("t".to_string()), outputs: Vec::new() };
        reached.check_topics(&topics).expect("it is there");
        let topics = TrailTopics { checkpoints: None, outputs: Vec::new() };
        assert!(reached.check_topics(&topics).is_err());
    }
}
