//! Checks what only an attempt can show: the transactional id, and writing.

use super::finding::{Finding, Verdict};
use crate::config::Config;
use crate::kafka::producer::{OutgoingRecord, TransactionalProducer};
use crate::kafka::settings;
use crate::kafka::topics::TopicNames;
use crate::stream::Failure;

/// Checks that transactions work: aborts an empty one. It uses a transactional id of its own, so
/// that no running relay is fenced.
pub fn check_transactions(config: &Config) -> Finding {
    let result = probe_producer(config, None).and_then(|producer| {
        producer.begin()?;
        producer.abort()
    });
    Finding::new(
        format!("transactional id {}", probe_id(config)),
        result.map_or_else(
            |failure| Verdict::Fail(failure.to_string()),
            |()| Verdict::Pass("transactions work".to_string()),
        ),
    )
}

/// Checks that each output topic can be written to: writes a record in a transaction that is
/// aborted.
pub fn check_writing(config: &Config, topics: &TopicNames) -> Vec<Finding> {
    let check = |topic: &str| {
        let result = probe_producer(config, Some(topic)).and_then(|producer| {
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
            result.map_or_else(
                |failure| Verdict::Fail(failure.to_string()),
                |()| Verdict::Pass("allowed".to_string()),
            ),
        )
    };
    topics.outputs().map(check).collect()
}

fn probe_id(config: &Config) -> String {
    format!("{}-check", settings::transactional_id(config, 0))
}

fn probe_producer(config: &Config, topic: Option<&str>) -> Result<TransactionalProducer, Failure> {
    let mut client = settings::producer(config, 0);
    client.set("transactional.id", probe_id(config));
    TransactionalProducer::open(&client, topic)
}
