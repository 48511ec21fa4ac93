//! Reads the topics of a trail for a verifier: which there are, their bounds, and every record up
//! to an end. It belongs to no group and commits nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::Consumer;

use crate::config::Config;
use crate::kafka::client::lookup::{self, Bound};
use crate::kafka::range_reader::{Patience, RangeReader, Ranges};
use crate::kafka::settings;
use crate::kafka::topics::partition_count;
use crate::stream::{OwnedHeaders, SourceHeaders};

/// Longest wait for an answer of the cluster.
const ANSWER_MAX: Duration = Duration::from_secs(30);
/// Longest wait for the next record, or for the end of a transaction that hides it. Brokers abort
/// transactions after 15 minutes at most, unless configured; the relay's after 10 s.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// The bounds of a partition's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogBounds {
    /// The first offset that is still there.
    pub low: i64,
    /// The offset behind the last record that a `read_committed` reader may see now.
    pub stable_end: i64,
    /// The offset behind the last record.
    pub end: i64,
}

/// A record of the trail.
#[derive(Debug)]
pub struct TrailRecord<'a> {
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// Its timestamp, in milliseconds since 1970; -1 if it has none.
    pub timestamp_ms: i64,
    /// Its key.
    pub key: Option<&'a [u8]>,
    /// Its value.
    pub value: Option<&'a [u8]>,
    /// Its headers.
    pub headers: OwnedHeaders,
}

/// A client that reads the topics of a trail.
pub struct TrailReader {
    config: ClientConfig,
    /// Look up ends: what a `read_committed` reader may see, and all.
    committed: RangeReader,
    uncommitted: RangeReader,
}

impl TrailReader {
    /// Takes the client's properties, `bootstrap.servers` among them. It does not connect yet.
    ///
    /// # Errors
    /// If the client refuses a property.
    pub fn new<'a>(
        properties: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> anyhow::Result<Self> {
        let mut config = ClientConfig::new();
        config.set("client.id", "audit-relay-verify").set("ssl.ca.location", "probe");
        // Reading asks for a group, and nothing is committed.
        config.set("group.id", "audit-relay-verify");
        for (name, value) in properties {
            config.set(name, value);
        }
        Self::of(config)
    }

    /// Reads as the relay of this configuration. It does not connect yet.
    ///
    /// # Errors
    /// If the client cannot be created.
    pub fn of_relay(config: &Config) -> anyhow::Result<Self> {
        Self::of(settings::follower(config, "trail"))
    }

    fn of(mut config: ClientConfig) -> anyhow::Result<Self> {
        config
            .set("enable.auto.commit", "false")
            .set("enable.partition.eof", "true")
            .set("auto.offset.reset", "error")
            .set("allow.auto.create.topics", "false")
            .set("check.crcs", "true")
            // Closing a client waits for its last fetch.
            .set("fetch.wait.max.ms", "50");
        let lookup =
            |level| RangeReader::new(&isolated(&config, level)).context("create a Kafka client");
        let (committed, uncommitted) = (lookup("read_committed")?, lookup("read_uncommitted")?);
        Ok(TrailReader { config, committed, uncommitted })
    }

    /// Returns the names of all topics that begin with a prefix, in order.
    ///
    /// # Errors
    /// Fails if the cluster does not answer.
    pub fn topics(&self, prefix: &str) -> anyhow::Result<Vec<String>> {
        let metadata = self.committed.client().fetch_metadata(None, ANSWER_MAX);
        let metadata = metadata.context("ask the cluster for its topics")?;
        let names = metadata.topics().iter().map(|topic| topic.name().to_string());
        let mut names: Vec<String> = names.filter(|name| name.starts_with(prefix)).collect();
        names.sort();
        Ok(names)
    }

    /// Returns the bounds of each partition of a topic.
    ///
    /// # Errors
    /// Fails if the topic does not exist, or the cluster does not answer for a partition.
    pub fn bounds(&self, topic: &str) -> anyhow::Result<BTreeMap<i32, LogBounds>> {
        let count = partition_count(self.committed.client(), topic, ANSWER_MAX)?;
        let ask = |reader: &RangeReader, bound| -> anyhow::Result<Vec<i64>> {
            let found = lookup::bounds(reader.client(), topic, bound, 0..count, ANSWER_MAX);
            let found = found.with_context(|| format!("ask for the bounds of topic {topic:?}"))?;
            let mut found: BTreeMap<i32, _> = found.into_iter().collect();
            let bound = |partition| {
                let bound = found.remove(&partition).context("no answer")?;
                bound.with_context(|| format!("bounds of topic {topic:?} partition {partition}"))
            };
            (0..count).map(bound).collect()
        };
        // The committed end first: what is seen by then has its seals before the ends that follow.
        let stable_ends = ask(&self.committed, Bound::End)?;
        let lows = ask(&self.uncommitted, Bound::Start)?;
        let ends = ask(&self.uncommitted, Bound::End)?;
        let bounds = lows.into_iter().zip(stable_ends).zip(ends);
        let bounds = bounds.map(|((low, stable_end), end)| LogBounds { low, stable_end, end });
        Ok((0..).zip(bounds).collect())
    }

    /// Returns all records of these partitions of a topic that were written since a time, in
    /// milliseconds since 1970, and those between them; all if the time is 0.
    ///
    /// # Errors
    /// Fails if the topic does not exist, or the cluster does not answer for a partition.
    pub fn since(&self, topic: &str, times: &BTreeMap<i32, u64>) -> anyhow::Result<Ranges> {
        let bounds = self.bounds(topic)?;
        let first = self.first_since(topic, times)?.into_iter();
        Ok(first.filter_map(|(it, start)| Some((it, (start, bounds.get(&it)?.end)))).collect())
    }

    /// Returns for each of these partitions the offset of its first record from a time on, in
    /// milliseconds since 1970. Partitions without such a record are left out.
    ///
    /// # Errors
    /// Fails if the cluster does not answer for a partition.
    pub fn first_since(
        &self,
        topic: &str,
        times: &BTreeMap<i32, u64>,
    ) -> anyhow::Result<BTreeMap<i32, i64>> {
        let first = lookup::first_since(self.committed.client(), topic, times, ANSWER_MAX);
        first.with_context(|| format!("look for a time in topic {topic:?}"))
    }

    /// Reads the committed records of a topic's partitions, each from an offset to before another,
    /// and hands them over in the order of each partition. Waits for transactions that are open.
    ///
    /// # Errors
    /// Fails if a partition cannot be read to its end, or with the error of `receive`.
    pub fn read(
        &self,
        topic: &str,
        ranges: &Ranges,
        receive: &mut dyn FnMut(&TrailRecord<'_>) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        // A client for each topic: one that has just read another would finish its last fetch
        // first.
        let reader = RangeReader::new(&isolated(&self.config, "read_committed"));
        let reader = reader.context("create a Kafka client")?;
        reader.read(topic, ranges, Patience::Silence(SILENCE_MAX), &mut |record| {
            receive(&TrailRecord {
                partition: record.partition(),
                offset: record.offset(),
                timestamp_ms: record.timestamp_ms().unwrap_or(-1),
                key: record.key(),
                value: record.payload(),
                headers: record.read(),
            })
        })
    }
}

fn isolated(config: &ClientConfig, level: &str) -> ClientConfig {
    let mut config = config.clone();
    config.set("isolation.level", level);
    config
}
