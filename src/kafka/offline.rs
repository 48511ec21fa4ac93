//! What a command does in the place of a group that does not run: it looks at the committed
//! offsets, and commits others together with their seals, in one transaction.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, bail};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::RDKafkaErrorCode;

use crate::config::Config;
use crate::kafka::client::context::{PlainContext, prime_oauth};
use crate::kafka::client::lookup::TopicLookup;
use crate::kafka::producer::output_record::outgoing_seal;
use crate::kafka::producer::{TransactionalProducer, offset_list};
use crate::kafka::settings;
use crate::kafka::topics::{output_partition, partition_count};
use crate::stream::{Failure, Partition, Position, ResumePoint, SealRecord};

/// Longest wait for an answer of the cluster.
const ANSWER_MAX: Duration = Duration::from_secs(30);

/// The relays' consumer group, while none of them runs.
pub struct OfflineGroup<'a> {
    config: &'a Config,
    lookup: TopicLookup<PlainContext>,
}

impl<'a> OfflineGroup<'a> {
    /// Creates the client. It does not connect yet.
    ///
    /// # Errors
    /// If the client cannot be created.
    pub fn new(config: &'a Config) -> anyhow::Result<Self> {
        let client = settings::follower(config, "offline");
        let client: BaseConsumer<_> =
            client.create_with_context(PlainContext::default()).context("create a Kafka client")?;
        prime_oauth(&client);
        Ok(OfflineGroup { config, lookup: TopicLookup::new(client, &config.input.topic) })
    }

    /// Returns where each partition of the input would resume.
    ///
    /// # Errors
    /// If the cluster does not answer.
    pub fn places(&self) -> anyhow::Result<BTreeMap<Partition, ResumePoint>> {
        let input = &self.config.input.topic;
        let identity = self.lookup.identity(ANSWER_MAX);
        let identity = identity.map_err(|error| anyhow::anyhow!("topic {input:?}: {error}"))?;
        let mut committed = self
            .lookup
            .committed(0..identity.partitions, ANSWER_MAX)
            .context("look up the committed offsets of the group")?;
        let place = |number: i32| {
            let partition = Partition(number);
            let place = match committed.remove(&number) {
                None => ResumePoint::Beginning,
                Some(found) => ResumePoint::At(Position {
                    partition,
                    next_offset: found.offset,
                    leader_epoch: found.leader_epoch,
                    metadata: found.metadata,
                }),
            };
            (partition, place)
        };
        Ok((0..identity.partitions).map(place).collect())
    }

    /// Commits positions outside a transaction. The broker accepts that only while the group has no
    /// members, so the commit of what is committed already tells whether it has. By the consumer
    /// protocol no list of members can be had.
    ///
    /// # Errors
    /// If there are members, or the cluster does not answer.
    pub fn commit(&self, positions: &[Position]) -> anyhow::Result<()> {
        use RDKafkaErrorCode::{
            FencedInstanceId, IllegalGeneration, RebalanceInProgress, StaleMemberEpoch,
            UnknownMemberId,
        };
        let group = &self.config.input.group;
        self.lookup.serve();
        let offsets = offset_list(&self.config.input.topic, positions)?;
        let committed = self.lookup.consumer().commit(&offsets, CommitMode::Sync);
        let Err(error) = committed else { return Ok(()) };
        match error.rdkafka_error_code() {
            Some(
                UnknownMemberId | IllegalGeneration | StaleMemberEpoch | RebalanceInProgress
                | FencedInstanceId,
            ) => bail!(
                "the group {group:?} has members: stop all of them first, and wait until their sessions have ended"
            ),
            _ => Err(error).with_context(|| format!("commit for the group {group:?}")),
        }
    }

    /// Writes seals and commits the positions that belong to them, in one transaction.
    ///
    /// # Errors
    /// If the transaction is not committed, or its outcome is not known.
    pub fn publish(
        &self,
        topic: &str,
        seals: &[SealRecord],
        positions: &[Position],
    ) -> Result<(), Failure> {
        self.lookup.serve();
        let client = self.lookup.consumer();
        let partitions = partition_count(client, topic, ANSWER_MAX)
            .map_err(|problem| Failure::Held(problem.to_string()))?;
        let offsets = offset_list(&self.config.input.topic, positions)?;
        let membership = client
            .group_metadata()
            .ok_or_else(|| Failure::Held("the client has no group to commit for".to_string()))?;
        let mut producer = settings::producer(self.config, 0);
        let id = format!("{}-resume", settings::transactional_id(self.config, 0));
        producer.set("transactional.id", id);
        let producer = TransactionalProducer::open(&producer, [topic])?;
        producer.begin()?;
        for seal in seals {
            let partition = output_partition(seal.partition, partitions);
            producer.send(outgoing_seal(seal, (0, partition)))?;
        }
        producer.drain()?;
        producer.send_offsets(&offsets, &membership)?;
        producer.commit()
    }
}
