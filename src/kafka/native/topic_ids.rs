//! Asks for the ids of topics. A topic that is deleted and made anew keeps its name and gets another id.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::client::{Client, ClientContext};

use super::describe_topics::Question;

/// The id of each topic that exists, in base64. Brokers before 2.8 give none. A missing right to describe a topic looks as if there
/// were none.
///
/// # Errors
/// Why no broker could be asked.
pub fn topic_ids<C: ClientContext>(
    client: &Client<C>,
    topics: &[&str],
    limit: Duration,
) -> Result<BTreeMap<String, String>, String> {
    let deadline = Instant::now() + limit;
    let broker = any_broker(client, topics, limit)?;
    let question = Question {
        topics,
        broker,
        with_rights: false,
        limit: deadline.saturating_duration_since(Instant::now()),
    };
    let told = question.ask(client, |topic| Some((topic.name(), topic.id()?)))?;
    Ok(told.into_iter().collect())
}

/// The id of a topic, if it exists: see [`topic_ids`].
///
/// # Errors
/// Why no broker could be asked.
pub fn topic_id<C: ClientContext>(
    client: &Client<C>,
    topic: &str,
    limit: Duration,
) -> Result<Option<String>, String> {
    Ok(topic_ids(client, &[topic], limit)?.remove(topic))
}

/// Returns a broker that answers. Without being told one the client waits for the controller, which is not needed.
fn any_broker<C: ClientContext>(
    client: &Client<C>,
    topics: &[&str],
    limit: Duration,
) -> Result<i32, String> {
    let told = client.fetch_metadata(topics.first().copied(), limit);
    let told = told.map_err(|error| error.to_string())?;
    // The first answer may come from a broker whose id was not known when it was asked.
    let answered = Some(told.orig_broker_id()).filter(|broker| *broker >= 0);
    let first = || told.brokers().first().map(|broker| broker.id());
    answered
        .or_else(first)
        .ok_or_else(|| "the cluster names no broker".to_string())
}

#[cfg(test)]
mod tests {
    use rdkafka::ClientConfig;
    use rdkafka::consumer::{BaseConsumer, Consumer};
    use rdkafka::mocking::MockCluster;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(20);

    #[test]
    fn each_topic_has_an_id_of_its_own() {
        let cluster = MockCluster::new(1).expect("cluster");
        for topic in ["a", "b"] {
            cluster.create_topic(topic, 1, 1).expect("topic");
        }
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", cluster.bootstrap_servers())
            .create()
            .expect("client");
        let client = consumer.client();
        let ids = topic_ids(client, &["a", "b"], LIMIT).expect("ids");
        assert_eq!(ids.len(), 2, "{ids:?}");
        assert_eq!(ids["a"].len(), 22, "{ids:?}");
        assert_ne!(ids["a"], ids["b"]);
        assert_eq!(
            topic_id(client, "a", LIMIT).as_ref(),
            Ok(&Some(ids["a"].clone()))
        );
    }

    #[test]
    fn without_a_broker_there_is_an_error() {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", "127.0.0.1:1")
            .create()
            .expect("client");
        let told = topic_id(consumer.client(), "a", Duration::from_millis(100));
        assert!(told.is_err(), "{told:?}");
    }
}
