//! Writes what becomes of quarantined records: events and outcomes, with what seals them, in
//! transactions of their own. One transactional id for the whole group fences a second replayer.

use rdkafka::consumer::BaseConsumer;

use crate::compose::{RecordFormat, compose_outcome};
use crate::config::Config;
use crate::kafka::client::context::PlainContext;
use crate::kafka::producer::TransactionalProducer;
use crate::kafka::producer::output_record::{outgoing, output_record, seal_record};
use crate::kafka::settings;
use crate::kafka::topics::{
    METADATA_WAIT_MAX, OutputTopics, TopicNames, output_partition, partition_count,
};
use crate::quarantine::resolved::{Destination, Resolved};
use crate::stream::{Failure, Output, Proof};

/// A producer that no other replayer of the group can have at the same time.
pub struct Replayer {
    producer: TransactionalProducer,
    topics: OutputTopics,
    format: RecordFormat,
    /// The index and the number of partitions of the topic with the outcomes.
    outcomes: (usize, i32),
}

impl Replayer {
    /// Fences every other replayer of the group, and waits until whatever it had begun has ended.
    ///
    /// # Errors
    /// Fails if a topic cannot be used, or the cluster refuses the producer.
    pub fn open(
        config: &Config,
        names: &TopicNames,
        regions: &[String],
        outcomes: &str,
    ) -> Result<Self, Failure> {
        let client = settings::follower(config, "replay");
        let client: BaseConsumer<PlainContext> = client
            .create_with_context(PlainContext::default())
            .map_err(|error| Failure::Broken(error.to_string()))?;
        let topics = OutputTopics::discover(&client, names).map_err(|problems| {
            let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
            Failure::Held(problems.join("; "))
        })?;
        let partitions = partition_count(&client, outcomes, METADATA_WAIT_MAX)
            .map_err(|problem| Failure::Held(problem.to_string()))?;
        let written: Vec<&str> = names.outputs().chain([outcomes]).collect();
        let mut properties = settings::producer(config, 0);
        properties.set("transactional.id", transactional_id(config));
        properties.set("client.id", format!("{}-replay", config.instance));
        Ok(Replayer {
            producer: TransactionalProducer::open(&properties, written.iter().copied())?,
            topics,
            format: RecordFormat::new(config, regions.to_vec()),
            outcomes: (written.len() - 1, partitions),
        })
    }

    /// Returns where the event and the outcome of a record go. `None` for a region without a topic.
    pub fn destination(&self, record: &Resolved<'_>) -> Option<Destination> {
        let event = match &record.event {
            Some(output) => Some(self.topics.destination(output)?.1),
            None => None,
        };
        let (_, outcome) = self.outcome_destination(record);
        Some(Destination { event, outcome })
    }

    fn outcome_destination(&self, record: &Resolved<'_>) -> (usize, i32) {
        let (topic, partitions) = self.outcomes;
        (topic, output_partition(record.partition, partitions))
    }

    /// Writes what became of these records, in one transaction, with the proof of it if the trail
    /// is sealed. A producer that must not begin another transaction is not replaced here: another
    /// replayer may have had the id meanwhile, so the outcomes must be read again.
    ///
    /// # Errors
    /// As the loop's transactions; after [`Failure::Aborted`] it can be tried again once
    /// [`Replayer::abort`] succeeded.
    pub fn publish(&self, resolved: &[Resolved<'_>], proof: Option<&Proof>) -> Result<(), Failure> {
        self.check_reusable()?;
        self.producer.begin()?;
        let mut next = 0..;
        let mut chain = || proof.zip(next.next()).and_then(|(proof, next)| proof.header(next));
        let time_ms = proof.map_or(0, Proof::time_ms);
        for record in resolved {
            if let Some(output) = &record.event {
                self.send_event(record, output, chain(), time_ms)?;
            }
            self.send_outcome(record, chain())?;
        }
        for seal in proof.map_or(&[][..], Proof::seals) {
            self.producer.send(seal_record(seal, &self.topics)?)?;
        }
        self.producer.drain()?;
        self.producer.commit()
    }

    /// Aborts what could not be committed.
    ///
    /// # Errors
    /// If the producer cannot go on.
    pub fn abort(&self) -> Result<(), Failure> {
        self.producer.abort()?;
        self.check_reusable()
    }

    /// Fails if what the producer sent before may still arrive, in a later transaction.
    fn check_reusable(&self) -> Result<(), Failure> {
        match self.producer.is_spent() {
            true => Err(Failure::Broken("the producer cannot be used again".to_string())),
            false => Ok(()),
        }
    }

    fn send_event(
        &self,
        record: &Resolved<'_>,
        output: &Output<'_>,
        chain: Option<&str>,
        time_ms: i64,
    ) -> Result<(), Failure> {
        self.format.compose_replayed(output, record.place, time_ms, |composed| {
            self.producer.send(output_record(output, composed, chain, &self.topics)?)
        })
    }

    fn send_outcome(&self, record: &Resolved<'_>, chain: Option<&str>) -> Result<(), Failure> {
        let (composed, destination) = (compose_outcome(record), self.outcome_destination(record));
        self.producer.send(outgoing(&composed, chain, destination))
    }
}

/// Returns the transactional id of the group's replayer.
pub fn transactional_id(config: &Config) -> String {
    format!("{}-quarantine", config.input.group)
}
