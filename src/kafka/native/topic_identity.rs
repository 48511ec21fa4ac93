//! Looks up a topic's id and partition count, by which a topic is recognised. One that is deleted
//! and created again keeps its name and gets another id, which the safe client does not expose.

use std::time::{Duration, Instant};

use rdkafka::client::{Client, ClientContext};

use super::describe_topics::{DescribeRequest, Description, PendingAnswer, TopicId};
use super::error_number::UNKNOWN_TOPIC;

/// What identifies a topic, as a broker describes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TopicIdentity {
    /// Its id; brokers before 2.8 report none.
    pub id: Option<TopicId>,
    /// Its partition count.
    pub partitions: i32,
}

/// Why a topic was not described.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Undescribed {
    /// The broker reports that there is no such topic.
    #[error("there is no such topic")]
    Missing,
    /// Any other error.
    #[error("{0}")]
    Failed(String),
}

/// Looks up a topic at any broker, and waits for the answer.
///
/// # Errors
/// Fails if the topic does not exist, or no broker describes it in time.
pub(crate) fn topic_identity<C: ClientContext>(
    client: &Client<C>,
    topic: &str,
    limit: Duration,
) -> Result<TopicIdentity, Undescribed> {
    let deadline = Instant::now() + limit;
    let broker = broker_to_query(client, topic, 0, limit).map_err(Undescribed::Failed)?;
    let left = deadline.saturating_duration_since(Instant::now());
    let request = IdentityRequest::send(client, broker, topic, left);
    request.map_err(Undescribed::Failed)?.answer()
}

/// Returns a broker that has just answered, if its id is known, or else the broker of the cluster
/// whose turn it is. Any broker can describe a topic; unless one is given, the client waits for the
/// controller.
///
/// # Errors
/// Fails if no broker answers in time, or the cluster names none.
pub(crate) fn broker_to_query<C: ClientContext>(
    client: &Client<C>,
    topic: &str,
    turn: usize,
    limit: Duration,
) -> Result<i32, String> {
    let metadata = client.fetch_metadata(Some(topic), limit);
    let metadata = metadata.map_err(|error| error.to_string())?;
    // The first answer may come from a bootstrap broker, whose id is not known yet.
    let answered = Some(metadata.orig_broker_id()).filter(|broker| *broker >= 0);
    let brokers = metadata.brokers();
    let next = || brokers.get(turn % brokers.len().max(1));
    answered
        .or_else(|| next().map(|broker| broker.id()))
        .ok_or_else(|| "the cluster metadata lists no broker".to_string())
}

/// A request that is under way. It borrows its client, which must outlive it.
pub(crate) struct IdentityRequest<'c>(PendingAnswer<'c>);

impl<'c> IdentityRequest<'c> {
    /// Sends the request to the broker with this id, without waiting.
    ///
    /// # Errors
    /// Fails if the topic name is not valid.
    pub(crate) fn send<C: ClientContext>(
        client: &'c Client<C>,
        broker: i32,
        topic: &str,
        limit: Duration,
    ) -> Result<Self, String> {
        let request = DescribeRequest { topics: &[topic], broker, with_rights: false, limit };
        Ok(IdentityRequest(request.send(client)?))
    }

    /// Waits for the answer.
    ///
    /// # Errors
    /// Fails if the topic does not exist, or the broker does not describe it in time.
    pub(crate) fn answer(self) -> Result<TopicIdentity, Undescribed> {
        let identities = self.0.collect(|topic| Some(identity(topic)));
        let first = identities.map_err(Undescribed::Failed)?.pop();
        let nothing = || Err(Undescribed::Failed("the answer contains no topic".to_string()));
        first.unwrap_or_else(nothing)
    }
}

fn identity(topic: &Description) -> Result<TopicIdentity, Undescribed> {
    match topic.error() {
        None => Ok(TopicIdentity { id: topic.id(), partitions: topic.partitions() }),
        Some((UNKNOWN_TOPIC, _)) => Err(Undescribed::Missing),
        Some((_, why)) => Err(Undescribed::Failed(why)),
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::ClientConfig;
    use rdkafka::consumer::{BaseConsumer, Consumer};
    use rdkafka::mocking::MockCluster;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(20);

    fn client(bootstrap: &str) -> BaseConsumer {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", bootstrap);
        config.create().expect("client")
    }

    #[test]
    fn each_topic_has_an_id_of_its_own() {
        let cluster = MockCluster::new(1).expect("cluster");
        for (topic, partitions) in [("a", 1), ("b", 3)] {
            cluster.create_topic(topic, partitions, 1).expect("topic");
        }
        let consumer = client(&cluster.bootstrap_servers());
        let identity = |topic| topic_identity(consumer.client(), topic, LIMIT).expect("described");
        let (a, b) = (identity("a"), identity("b"));
        assert!(a.id.is_some() && b.id.is_some(), "{a:?}, {b:?}");
        assert_ne!(a.id, b.id);
        assert_eq!((a.partitions, b.partitions), (1, 3));
        assert_eq!(identity("a"), a, "the id stays the same");
    }

    #[test]
    fn without_a_broker_there_is_an_error() {
        let consumer = client("127.0.0.1:1");
        let described = topic_identity(consumer.client(), "a", Duration::from_millis(100));
        assert!(matches!(described, Err(Undescribed::Failed(_))), "{described:?}");
    }
}
