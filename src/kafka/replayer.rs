//! Writes what becomes of quarantined records: events and outcomes, in transactions of their own.
//! One transactional id for the whole group fences a second replayer.

use rdkafka::consumer::BaseConsumer;

use audit_chain::hash::leaf::RecordHeader;

use crate::compose::{Composed, RecordFormat};
use crate::config::Config;
use crate::kafka::client::context::PlainContext;
use crate::kafka::producer::output_record::output_record;
use crate::kafka::producer::{OutgoingRecord, TransactionalProducer};
use crate::kafka::settings;
use crate::kafka::topics::{METADATA_WAIT_MAX, OutputTopics, TopicNames, partition_count};
use crate::quarantine::headers::REPLAYED;
use crate::stream::{Failure, Output, Partition};

/// What became of a quarantined record.
#[derive(Debug)]
pub struct Resolved<'a> {
    /// The audit event, with the place in the quarantine of the record that it is of.
    pub event: Option<(Output<'a>, &'a str)>,
    /// The partition of the input that the record is of.
    pub partition: Partition,
    /// The key of the outcome.
    pub key: &'a [u8],
    /// The outcome.
    pub outcome: &'a [u8],
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
}

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

    /// Writes what became of these records, in one transaction.
    ///
    /// # Errors
    /// As the loop's transactions; after [`Failure::Aborted`] it can be tried again once
    /// [`Replayer::abort`] succeeded.
    pub fn publish(&self, resolved: &[Resolved<'_>]) -> Result<(), Failure> {
        self.producer.begin()?;
        for record in resolved {
            if let Some((output, place)) = &record.event {
                self.send_event(output, place)?;
            }
            self.producer.send(self.outcome(record))?;
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
        match self.producer.is_spent() {
            true => Err(Failure::Broken("the producer cannot be used again".to_string())),
            false => Ok(()),
        }
    }

    /// Sends an event as the relay would have, and one header more.
    fn send_event(&self, output: &Output<'_>, place: &str) -> Result<(), Failure> {
        self.format.compose(output, 0, |composed| {
            let replayed = (REPLAYED.as_bytes(), Some(place.as_bytes()));
            let headers: Vec<RecordHeader<'_>> =
                composed.headers.iter().copied().chain([replayed]).collect();
            let composed = Composed { headers: &headers, ..*composed };
            self.producer.send(output_record(output, &composed, None, &self.topics)?)
        })
    }

    fn outcome<'a>(&self, record: &Resolved<'a>) -> OutgoingRecord<'a> {
        let (topic, partitions) = self.outcomes;
        OutgoingRecord {
            topic,
            partition: record.partition.0.rem_euclid(partitions),
            timestamp_ms: record.at_ms,
            key: Some(record.key),
            payload: Some(record.outcome),
            headers: None,
        }
    }
}

/// Returns the transactional id of the group's replayer.
pub fn transactional_id(config: &Config) -> String {
    format!("{}-quarantine", config.input.group)
}
