//! What can only be found out by trying: the transactional id, and writing.

use super::{Finding, Verdict};
use crate::config::Config;
use crate::kafka::producer::{OutgoingRecord, TransactionalProducer};
use crate::kafka::settings;
use crate::kafka::topics::TopicNames;
use crate::stream::Failure;

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
            |failure| Verdict::Fail(failure.to_string()),
            |()| Verdict::Pass("transactions are possible".to_string()),
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
                |failure| Verdict::Fail(failure.to_string()),
                |()| Verdict::Pass("allowed".to_string()),
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
