//! What can only be found out by trying: the group, the transactional id, and writing.

use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::{Finding, Verdict};
use crate::config::Config;
use crate::kafka::client_context::{NotingContext, begin, serve};
use crate::kafka::producer::{OutgoingRecord, TransactionalProducer};
use crate::kafka::settings;
use crate::kafka::topics::{METADATA_LIMIT, TopicNames};
use crate::stream::Failure;

/// Longest wait for an answer, before it is looked what the client complains of.
const ATTEMPT: Duration = Duration::from_secs(1);

/// Reads a committed offset of the group, which needs a right to the group but no membership.
pub(super) fn check_group(config: &Config, topic: &str) -> Finding {
    let verdict = match committed(config, topic) {
        Ok(Some(offset)) => Verdict::Met(format!("partition 0 is committed up to offset {offset}")),
        Ok(None) => Verdict::Met("nothing is committed for partition 0 yet".to_string()),
        Err(error) if is(&error, RDKafkaErrorCode::GroupAuthorizationFailed) => Verdict::Unmet(
            "the relay's principal may not use it; grant it Read on this group".to_string(),
        ),
        Err(error) if is(&error, RDKafkaErrorCode::TopicAuthorizationFailed) => {
            Verdict::Unasked("its offsets are those of a topic that we may not see".to_string())
        }
        Err(error) => Verdict::Unclear(format!("cannot read its offsets: {error}")),
    };
    Finding::new(format!("consumer group {}", config.input.group), verdict)
}

fn committed(config: &Config, topic: &str) -> Result<Option<i64>, KafkaError> {
    let mut client = settings::inspector(config);
    client.set("group.id", &config.input.group);
    let consumer: BaseConsumer<NotingContext> =
        client.create_with_context(NotingContext::default())?;
    begin(&consumer);
    let mut list = TopicPartitionList::new();
    list.add_partition(topic, 0);
    let deadline = Instant::now() + METADATA_LIMIT;
    let committed = loop {
        let error = match consumer.committed_offsets(list.clone(), ATTEMPT) {
            Ok(committed) => break committed,
            Err(error) => error,
        };
        // That we may not use the group is said aside; the call only takes too long.
        serve(&consumer);
        let noted = consumer.context().0.noted().and_then(|noted| noted.code);
        if noted == Some(RDKafkaErrorCode::GroupAuthorizationFailed) {
            return Err(KafkaError::OffsetFetch(
                RDKafkaErrorCode::GroupAuthorizationFailed,
            ));
        }
        if !may_pass(&error) || Instant::now() >= deadline {
            return Err(error);
        }
    };
    for element in committed.elements() {
        element.error()?;
        if let Offset::Offset(offset) = element.offset() {
            return Ok(Some(offset));
        }
    }
    Ok(None)
}

fn is(error: &KafkaError, code: RDKafkaErrorCode) -> bool {
    error.rdkafka_error_code() == Some(code)
}

/// Whether the group's coordinator is only just being found, as after the start of a cluster.
fn may_pass(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::{
        CoordinatorLoadInProgress, CoordinatorNotAvailable, NotCoordinator, OperationTimedOut,
    };
    let code = error.rdkafka_error_code();
    code.is_some_and(|code| {
        [
            NotCoordinator,
            CoordinatorNotAvailable,
            CoordinatorLoadInProgress,
            OperationTimedOut,
        ]
        .contains(&code)
    })
}

/// Takes a transactional id of its own, so that no running relay is fenced, and aborts an empty
/// transaction.
pub fn check_transactions(config: &Config) -> Finding {
    let tried = checking_producer(config, None).and_then(|producer| {
        producer.begin()?;
        producer.abort()
    });
    Finding::new(
        format!("transactional id {}", checking_id(config)),
        tried.map_or_else(
            |failure| Verdict::Unmet(failure.to_string()),
            |()| Verdict::Met("transactions are possible".to_string()),
        ),
    )
}

/// Writes a record to each output topic, in a transaction that is aborted.
pub fn check_writing(config: &Config, topics: &TopicNames) -> Vec<Finding> {
    let check = |topic: &str| {
        let tried = checking_producer(config, Some(topic)).and_then(|producer| {
            producer.begin()?;
            producer.send(OutgoingRecord {
                topic: 0,
                partition: 0,
                timestamp_ms: 0,
                key: Some(b"check"),
                payload: Some(b""),
                headers: None,
            })?;
            let delivered = producer.drain();
            producer.abort()?;
            delivered
        });
        Finding::new(
            format!("writing to {topic}"),
            tried.map_or_else(
                |failure| Verdict::Unmet(failure.to_string()),
                |()| Verdict::Met("allowed".to_string()),
            ),
        )
    };
    topics.outputs().map(check).collect()
}

fn checking_id(config: &Config) -> String {
    format!("{}-check", settings::transactional_id(config, 0))
}

fn checking_producer(
    config: &Config,
    topic: Option<&str>,
) -> Result<TransactionalProducer, Failure> {
    let mut client = settings::producer(config, 0);
    client.set("transactional.id", checking_id(config));
    TransactionalProducer::open(&client, topic)
}
