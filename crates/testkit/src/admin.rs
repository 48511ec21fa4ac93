//! Administers a broker for tests: topics, end offsets, committed offsets, deletion. Every
//! operation is complete when it returns; an error fails the test with the reason. `topics.rs`
//! writes and reads records.

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
use rdkafka::groups::GroupInfo;
use rdkafka::{Offset, TopicPartitionList};

use crate::kafka::KafkaBroker;
use crate::{REQUEST_MAX, client_config, or_fail};

impl KafkaBroker {
    /// Creates a topic without a retention time. It can be written and read when this returns.
    #[track_caller]
    pub fn create_topic(&self, name: &str, partitions: i32) {
        self.create_topic_with(name, partitions, &[]);
    }

    /// Creates a topic with these settings, such as `("cleanup.policy", "compact")`. Records are
    /// kept forever unless the settings include `retention.ms`. Every partition has a leader when
    /// this returns.
    #[track_caller]
    pub fn create_topic_with(&self, name: &str, partitions: i32, config: &[(&str, &str)]) {
        or_fail(
            self.try_create_topic(name, partitions, config),
            format_args!("create topic {name}"),
        );
    }

    /// Returns the end offset of each partition, uncommitted records and transaction markers
    /// included.
    #[track_caller]
    pub fn end_offsets(&self, topic: &str) -> BTreeMap<i32, i64> {
        or_fail(self.try_end_offsets(topic), format_args!("end offsets of {topic}"))
    }

    /// Returns the group's committed offsets, for the partitions that have one. Waits while an open
    /// transaction holds back an offset, so the returned offsets are final.
    #[track_caller]
    pub fn committed(&self, group: &str, topic: &str) -> BTreeMap<i32, i64> {
        or_fail(self.try_committed(group, topic), format_args!("offsets of {group} in {topic}"))
    }

    /// Commits offsets for a group without members, as an operator's tool does.
    #[track_caller]
    pub fn commit(&self, group: &str, topic: &str, offsets: &BTreeMap<i32, i64>) {
        or_fail(
            self.try_commit(group, topic, offsets),
            format_args!("commit offsets of {group} in {topic}"),
        );
    }

    /// Returns the group's state as the broker names it, such as `Stable`.
    #[track_caller]
    pub fn group_state(&self, group: &str) -> String {
        let state = self.try_group(group, |found| found.state().to_string());
        or_fail(state, format_args!("the state of {group}"))
    }

    /// Returns the number of the group's members.
    #[track_caller]
    pub fn group_members(&self, group: &str) -> usize {
        let members = self.try_group(group, |found| found.members().len());
        or_fail(members, format_args!("the members of {group}"))
    }

    /// Deletes each partition's records below the given offset, as retention does. Returns the new
    /// start offsets.
    #[track_caller]
    pub fn delete_records(&self, topic: &str, before: &BTreeMap<i32, i64>) -> BTreeMap<i32, i64> {
        or_fail(self.try_delete_records(topic, before), format_args!("delete records of {topic}"))
    }

    /// Retries: the answer lacks the group until the client is connected to all brokers.
    fn try_group<T>(&self, group: &str, read: impl Fn(&GroupInfo) -> T) -> anyhow::Result<T> {
        let client: BaseConsumer = client_config(self.bootstrap()).create()?;
        let since = Instant::now();
        loop {
            let list = client.client().fetch_group_list(Some(group), REQUEST_MAX)?;
            if let Some(found) = list.groups().first() {
                return Ok(read(found));
            }
            ensure!(since.elapsed() < REQUEST_MAX, "there is no such group");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Like [`KafkaBroker::create_topic_with`], but returns errors, for a cluster with faults.
    pub fn try_create_topic(
        &self,
        name: &str,
        partitions: i32,
        config: &[(&str, &str)],
    ) -> anyhow::Result<()> {
        // -1 selects the broker's default, which suits both a single broker and an external
        // cluster.
        let mut topic = NewTopic::new(name, partitions, TopicReplication::Fixed(-1));
        // Records with old timestamps must not expire during a test.
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

    /// Deletes a topic. Returns when the brokers no longer list it.
    pub fn try_delete_topic(&self, name: &str) -> anyhow::Result<()> {
        let results = block_on(self.admin.delete_topics(&[name], &admin_options()))??;
        for result in results {
            result.map_err(|(name, code)| anyhow::anyhow!("{name}: {code}"))?;
        }
        let since = Instant::now();
        while self.partitions_with_leader(name) > 0 {
            ensure!(since.elapsed() < REQUEST_MAX, "{name} is still there");
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Adds partitions to a topic. They can be written when this returns.
    pub fn try_add_partitions(&self, name: &str, count: i32) -> anyhow::Result<()> {
        let more = NewPartitions::new(name, usize::try_from(count)?);
        let results = block_on(self.admin.create_partitions([&more], &admin_options()))??;
        for result in results {
            result.map_err(|(name, code)| anyhow::anyhow!("{name}: {code}"))?;
        }
        self.await_leaders(name, count)
    }

    /// Sets these settings of a topic and resets all others to their defaults.
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
                since.elapsed() < REQUEST_MAX,
                "not every partition got a leader within {REQUEST_MAX:?}"
            );
            thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    fn partitions_with_leader(&self, topic: &str) -> usize {
        let Ok(metadata) = self.admin.inner().fetch_metadata(Some(topic), REQUEST_MAX) else {
            return 0;
        };
        let partitions = metadata.topics().iter().flat_map(|topic| topic.partitions());
        partitions.filter(|partition| partition.leader() >= 0).count()
    }

    /// Returns whether an open transaction has written to this topic: the last stable offset is
    /// then below the end offset. May miss a transaction that just begins.
    #[track_caller]
    pub fn has_open_transaction(&self, topic: &str) -> bool {
        let ends = |isolation| {
            let ends = self.try_ends(topic, isolation);
            or_fail(ends, format_args!("end offsets of {topic}"))
        };
        // In this order, records committed in between cannot produce a false positive.
        let all = ends("read_uncommitted");
        ends("read_committed").iter().any(|(partition, stable)| stable < &all[partition])
    }

    /// Like [`KafkaBroker::end_offsets`], but returns errors, for a cluster with faults.
    pub fn try_end_offsets(&self, topic: &str) -> anyhow::Result<BTreeMap<i32, i64>> {
        self.try_ends(topic, "read_uncommitted")
    }

    fn try_ends(&self, topic: &str, isolation: &str) -> anyhow::Result<BTreeMap<i32, i64>> {
        let consumer = reader(self.bootstrap(), "support-reader", isolation)?;
        let since = Instant::now();
        let end = |partition| loop {
            match consumer.fetch_watermarks(topic, partition, REQUEST_MAX) {
                // A new client may not know the partition yet, and a broker that has just started
                // may not lead it yet.
                Err(KafkaError::MetadataFetch(
                    RDKafkaErrorCode::UnknownPartition | RDKafkaErrorCode::NotLeaderForPartition,
                )) if since.elapsed() < REQUEST_MAX => {
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
            // The first request for the coordinator creates the offsets topic, which can move the
            // coordinator.
            match consumer.committed_offsets(asked.clone(), REQUEST_MAX) {
                Err(KafkaError::MetadataFetch(RDKafkaErrorCode::NotCoordinator))
                    if since.elapsed() < REQUEST_MAX =>
                {
                    thread::sleep(Duration::from_millis(100));
                }
                found => return valid_offsets(&found?),
            }
        }
    }

    /// Waits for the session timeout of killed members: until then the broker refuses the commit.
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
                Err(_) if since.elapsed() < REQUEST_MAX => {
                    thread::sleep(Duration::from_millis(100));
                }
                result => return result.context("the broker refuses the commit"),
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

/// Creates a consumer that joins no group and commits nothing. It can read the offsets of `group`.
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

/// Returns the topic's partitions. Fails if there is no such topic.
pub(crate) fn partitions(consumer: &BaseConsumer, topic: &str) -> anyhow::Result<Vec<i32>> {
    let metadata = consumer.fetch_metadata(Some(topic), REQUEST_MAX)?;
    let found = metadata.topics().iter().flat_map(|topic| topic.partitions());
    let partitions: Vec<i32> = found.map(|partition| partition.id()).collect();
    ensure!(!partitions.is_empty(), "there is no topic {topic}");
    Ok(partitions)
}

/// Returns the entries with an offset. Fails if an entry has an error.
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
    AdminOptions::new().request_timeout(Some(REQUEST_MAX)).operation_timeout(Some(REQUEST_MAX))
}

/// Runs a future of the admin client; tests are plain threads.
fn block_on<F: Future>(future: F) -> anyhow::Result<F::Output> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    Ok(runtime.block_on(future))
}
