//! Asks whether a topic is still the one that it was: its id and its partition count. A topic that
//! is deleted and made anew keeps its name and gets another id, which the safe client does not hand
//! on.

use std::time::{Duration, Instant};

use rdkafka::client::{Client, ClientContext};

use super::describe_topics::{Asked, Description, Question, TopicId};
use super::error_number::UNKNOWN_TOPIC;

/// A topic, as a broker describes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TopicIdentity {
    /// Its id; brokers before 2.8 tell none.
    pub id: Option<TopicId>,
    /// How many partitions it has.
    pub partitions: i32,
}

/// Why a topic was not described.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Undescribed {
    /// The broker says that there is no such topic.
    Missing,
    /// Anything else, in words.
    Failed(String),
}

/// Asks any broker, and waits for the answer.
///
/// # Errors
/// See [`Undescribed`].
pub(crate) fn topic_identity<C: ClientContext>(
    client: &Client<C>,
    topic: &str,
    limit: Duration,
) -> Result<TopicIdentity, Undescribed> {
    let deadline = Instant::now() + limit;
    let broker = broker_to_ask(client, topic, 0, limit).map_err(Undescribed::Failed)?;
    let left = deadline.saturating_duration_since(Instant::now());
    let question = IdentityQuestion::ask(client, broker, topic, left);
    question.map_err(Undescribed::Failed)?.answer()
}

/// Returns a broker that just answered, if its id is known, or else the one of the cluster whose
/// turn it is. Any can describe a topic; without being told one the client waits for the
/// controller.
///
/// # Errors
/// Why there is none.
pub(crate) fn broker_to_ask<C: ClientContext>(
    client: &Client<C>,
    topic: &str,
    turn: usize,
    limit: Duration,
) -> Result<i32, String> {
    let told = client.fetch_metadata(Some(topic), limit);
    let told = told.map_err(|error| error.to_string())?;
    // The first answer may come from a broker whose id was not known when it was asked.
    let answered = Some(told.orig_broker_id()).filter(|broker| *broker >= 0);
    let brokers = told.brokers();
    let next = || brokers.get(turn % brokers.len().max(1));
    answered
        .or_else(|| next().map(|broker| broker.id()))
        .ok_or_else(|| "the cluster names no broker".to_string())
}

/// A question that is under way. It borrows its client, which must outlive it.
pub(crate) struct IdentityQuestion<'c>(Asked<'c>);

impl<'c> IdentityQuestion<'c> {
    /// Asks the broker of this id, and does not wait.
    ///
    /// # Errors
    /// If the name of the topic is none.
    pub(crate) fn ask<C: ClientContext>(
        client: &'c Client<C>,
        broker: i32,
        topic: &str,
        limit: Duration,
    ) -> Result<Self, String> {
        let question = Question { topics: &[topic], broker, with_rights: false, limit };
        Ok(IdentityQuestion(question.ask(client)?))
    }

    /// Waits for the answer.
    ///
    /// # Errors
    /// See [`Undescribed`].
    pub(crate) fn answer(self) -> Result<TopicIdentity, Undescribed> {
        let told = self.0.collect(|topic| Some(identity(topic)));
        let first = told.map_err(Undescribed::Failed)?.pop();
        let nothing = || Err(Undescribed::Failed("the answer is of no topic".to_string()));
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
        assert_eq!(identity("a"), a, "it stays the same");
    }

    #[test]
    fn without_a_broker_there_is_an_error() {
        let consumer = client("127.0.0.1:1");
        let told = topic_identity(consumer.client(), "a", Duration::from_millis(100));
        assert!(matches!(told, Err(Undescribed::Failed(_))), "{told:?}");
    }
}
