//! What tests ask of a broker as an administrator: topics, end offsets, committed offsets,
//! deletion. Every answer is complete when it returns, and an error fails the test with the reason.
//! Records are written and read in `topics.rs`.

use std::collections::BTreeMap;
use std::future::Future;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use rdkafka::admin::{
    AdminOptions, AlterConfig, NewPartitions, NewTopic, ResourceSpecifier, TopicReplication,
};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{Offset, TopicPartitionList};

use crate::kafka::KafkaBroker;
use crate::{REQUEST_LIMIT, client_config, settled};

impl KafkaBroker {
    /// Creates a topic that keeps its records however old they are; it can be written and read when
    /// this returns.
    #[track_caller]
    pub fn create_topic(&self, name: &str, partitions: i32) {
        self.create_topic_with(name, partitions, &[]);
    }

    /// Creates a topic with settings of its own, such as `("cleanup.policy", "compact")`; records
    /// are kept forever unless `retention.ms` is one of them. Every partition has a leader
    /// when this returns.
    #[track_caller]
    pub fn create_topic_with(&self, name: &str, partitions: i32, config: &[(&str, &str)]) {
        settled(
            self.try_create_topic(name, partitions, config),
            format_args!("create topic {name}"),
        );
    }

    /// The offset that the next record of each partition gets: the end of the log, uncommitted
    /// records and transaction markers included.
    #[track_caller]
    pub fn end_offsets(&self, topic: &str) -> BTreeMap<i32, i64> {
        settled(self.try_end_offsets(topic), format_args!("end offsets of {topic}"))
    }

    /// The group's committed offsets, for those partitions that have one. Waits while an open
    /// transaction holds back an offset, so what is returned cannot be aborted any more.
    #[track_caller]
    pub fn committed(&self, group: &str, topic: &str) -> BTreeMap<i32, i64> {
        settled(self.try_committed(group, topic), format_args!("offsets of {group} in {topic}"))
    }

    /// Commits offsets for a group that has no members, as an operator's tool would.
    #[track_caller]
    pub fn commit(&self, group: &str, topic: &str, offsets: &BTreeMap<i32, i64>) {
        settled(
            self.try_commit(group, topic, offsets),
            format_args!("commit offsets of {group} in {topic}"),
        );
    }

    /// What the group is doing, in the broker's words, such as `Stable`.
    #[track_caller]
    pub fn group_state(&self, group: &str) -> String {
        settled(self.try_group_state(group), format_args!("the state of {group}"))
    }

    /// Deletes each partition's records below the given offset, as retention would; returns the new
    /// first offsets.
    #[track_caller]
    pub fn delete_records(&self, topic: &str, before: &BTreeMap<i32, i64>) -> BTreeMap<i32, i64> {
        settled(self.try_delete_records(topic, before), format_args!("delete records of {topic}"))
    }

    /// The answer lacks the group as long as the client is not connected to all brokers.
    fn try_group_state(&self, group: &str) -> anyhow::Result<String> {
        let client: BaseConsumer = client_config(self.bootstrap()).create()?;
        let since = Instant::now();
        loop {
            let list = client.client().fetch_group_list(Some(group), REQUEST_LIMIT)?;
            if let Some(found) = list.groups().first() {
                return Ok(found.state().to_string());
            }
            ensure!(since.elapsed() < REQUEST_LIMIT, "there is no such group");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// As [`KafkaBroker::create_topic_with`], for a cluster that may be in trouble.
    pub fn try_create_topic(
        &self,
        name: &str,
        partitions: i32,
        config: &[(&str, &str)],
    ) -> anyhow::Result<()> {
        // -1 leaves the replication to the broker's default, which suits a single broker and a
        // given cluster.
        let mut topic = NewTopic::new(name, partitions, TopicReplication::Fixed(-1));
        // Records with the times of past years must not be deleted under a test's eyes.
        let forever = ("retention.ms", "-1");
        let default = config.iter().all(|(name, _)| *name != forever.0);
        for (name, value) in config.iter().chain(default.then_some(&forever)) {
            topic = topic.set(name, value);
        }
        let results = block_on(self.admin.create_topics([&topic], &admin_options()))??;
        for result in results {
            result.map_err(|(name, code)| anyhow::anyhow!("{name}: {code}"))?;
        }
        self.await_leaders(name, partitions)
    }

    /// Deletes a topic, and returns when no broker that is asked knows it any more.
    pub fn try_delete_topic(&self, name: &str) -> anyhow::Result<()> {
        let results = block_on(self.admin.delete_topics(&[name], &admin_options()))??;
        for result in results {
            result.map_err(|(name, code)| anyhow::anyhow!("{name}: {code}"))?;
        }
        let since = Instant::now();
        while self.partitions_with_leader(name) > 0 {
            ensure!(since.elapsed() < REQUEST_LIMIT, "{name} is still there");
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Gives a topic more partitions; they can be written when this returns.
    pub fn try_add_partitions(&self, name: &str, count: i32) -> anyhow::Result<()> {
        let more = NewPartitions::new(name, usize::try_from(count)?);
        let results = block_on(self.admin.create_partitions([&more], &admin_options()))??;
        for result in results {
            result.map_err(|(name, code)| anyhow::anyhow!("{name}: {code}"))?;
        }
        self.await_leaders(name, count)
    }

    /// Sets a topic's settings to these, and all others to their defaults.
    pub fn try_alter_topic(&self, name: &str, config: &[(&str, &str)]) -> anyhow::Result<()> {
        let mut altered = AlterConfig::new(ResourceSpecifier::Topic(name));
        for (key, value) in config {
            altered = altered.set(key, value);
        }
        let results = block_on(self.admin.alter_configs([&altered], &admin_options()))??;
        for result in results {
            result.map_err(|(resource, code)| anyhow::anyhow!("{resource:?}: {code}"))?;
        }
        Ok(())
    }

    fn await_leaders(&self, topic: &str, partitions: i32) -> anyhow::Result<()> {
        let since = Instant::now();
        while self.partitions_with_leader(topic) != usize::try_from(partitions)? {
            ensure!(
                since.elapsed() < REQUEST_LIMIT,
                "not every partition got a leader within {REQUEST_LIMIT:?}"
            );
            thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    fn partitions_with_leader(&self, topic: &str) -> usize {
        let Ok(metadata) = self.admin.inner().fetch_metadata(Some(topic), REQUEST_LIMIT) else {
            return 0;
        };
        let partitions = metadata.topics().iter().flat_map(|topic| topic.partitions());
        partitions.filter(|partition| partition.leader() >= 0).count()
    }

    /// Whether a transaction is open in which records of this topic were written: then readers of
    /// committed records see its end earlier than others do. May miss one that just begins.
    #[track_caller]
    pub fn has_open_transaction(&self, topic: &str) -> bool {
        let ends = |isolation| {
            let ends = self.try_ends(topic, isolation);
            settled(ends, format_args!("end offsets of {topic}"))
        };
        // In this order: what is written and committed in between makes no difference.
        let all = ends("read_uncommitted");
        ends("read_committed").iter().any(|(partition, stable)| stable < &all[partition])
    }

    /// As [`KafkaBroker::end_offsets`], for a cluster that may be in trouble.
    pub fn try_end_offsets(&self, topic: &str) -> anyhow::Result<BTreeMap<i32, i64>> {
        self.try_ends(topic, "read_uncommitted")
    }

    fn try_ends(&self, topic: &str, isolation: &str) -> anyhow::Result<BTreeMap<i32, i64>> {
        let consumer = reader(self.bootstrap(), "support-reader", isolation)?;
        let since = Instant::now();
        let end = |partition| loop {
            match consumer.fetch_watermarks(topic, partition, REQUEST_LIMIT) {
                // A client that has just been made may ask about the partition before it has taken
                // in that there is one; a broker that has just been started, before
                // it leads it.
                Err(KafkaError::MetadataFetch(
                    RDKafkaErrorCode::UnknownPartition | RDKafkaErrorCode::NotLeaderForPartition,
                )) if since.elapsed() < REQUEST_LIMIT => {
                    thread::sleep(Duration::from_millis(100));
                }
                found => return anyhow::Ok((partition, found?.1)),
            }
        };
        partitions(&consumer, topic)?.into_iter().map(end).collect()
    }

    fn try_committed(&self, group: &str, topic: &str) -> anyhow::Result<BTreeMap<i32, i64>> {
        let consumer = reader(self.bootstrap(), group, "read_committed")?;
        let mut asked = TopicPartitionList::new();
        for partition in partitions(&consumer, topic)? {
            asked.add_partition(topic, partition);
        }
        let since = Instant::now();
        loop {
            // The group's coordinator moves when its topic is created, and that is when it is first
            // asked for.
            match consumer.committed_offsets(asked.clone(), REQUEST_LIMIT) {
                Err(KafkaError::MetadataFetch(RDKafkaErrorCode::NotCoordinator))
                    if since.elapsed() < REQUEST_LIMIT =>
                {
                    thread::sleep(Duration::from_millis(100));
                }
                found => return valid_offsets(&found?),
            }
        }
    }

    /// Members that were killed are waited for: until the broker misses them, it refuses everybody
    /// else.
    fn try_commit(
        &self,
        group: &str,
        topic: &str,
        offsets: &BTreeMap<i32, i64>,
    ) -> anyhow::Result<()> {
        let consumer = reader(self.bootstrap(), group, "read_committed")?;
        let mut list = TopicPartitionList::new();
        for (partition, offset) in offsets {
            list.add_partition_offset(topic, *partition, Offset::Offset(*offset))?;
        }
        let since = Instant::now();
        loop {
            match consumer.commit(&list, CommitMode::Sync) {
                Err(_) if since.elapsed() < REQUEST_LIMIT => {
                    thread::sleep(Duration::from_millis(100));
                }
                result => return result.context("refused"),
            }
        }
    }

    fn try_delete_records(
        &self,
        topic: &str,
        before: &BTreeMap<i32, i64>,
    ) -> anyhow::Result<BTreeMap<i32, i64>> {
        let mut asked = TopicPartitionList::new();
        for (partition, offset) in before {
            asked.add_partition_offset(topic, *partition, Offset::Offset(*offset))?;
        }
        let deleted = block_on(self.admin.delete_records(&asked, &admin_options()))??;
        valid_offsets(&deleted)
    }
}

/// A consumer that belongs to no group and commits nothing, whatever group it names.
pub(crate) fn reader(
    bootstrap: &str,
    group: &str,
    isolation: &str,
) -> anyhow::Result<BaseConsumer> {
    let mut config = client_config(bootstrap);
    config
        .set("group.id", group)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("isolation.level", isolation)
        .set("enable.partition.eof", "true")
        .set("auto.offset.reset", "earliest")
        .set("check.crcs", "true");
    config.create().context("create a consumer")
}

/// The topic's partitions; an error when there is no such topic.
pub(crate) fn partitions(consumer: &BaseConsumer, topic: &str) -> anyhow::Result<Vec<i32>> {
    let metadata = consumer.fetch_metadata(Some(topic), REQUEST_LIMIT)?;
    let found = metadata.topics().iter().flat_map(|topic| topic.partitions());
    let partitions: Vec<i32> = found.map(|partition| partition.id()).collect();
    ensure!(!partitions.is_empty(), "there is no topic {topic}");
    Ok(partitions)
}

/// The entries that hold an offset; an error when one holds an error.
fn valid_offsets(list: &TopicPartitionList) -> anyhow::Result<BTreeMap<i32, i64>> {
    let mut offsets = BTreeMap::new();
    for entry in list.elements() {
        entry.error()?;
        if let Offset::Offset(offset) = entry.offset() {
            offsets.insert(entry.partition(), offset);
        }
    }
    Ok(offsets)
}

fn admin_options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(REQUEST_LIMIT)).operation_timeout(Some(REQUEST_LIMIT))
}

/// The admin client answers through futures; tests are plain threads.
fn block_on<F: Future>(future: F) -> anyhow::Result<F::Output> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    Ok(runtime.block_on(future))
}
