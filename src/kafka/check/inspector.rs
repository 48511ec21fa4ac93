//! Collects what the cluster says of topics. What cannot be asked for lack of a right is said once,
//! not failed: the relay works without DescribeConfigs.

use std::collections::BTreeMap;
use std::future::Future;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use rdkafka::admin::{AdminClient, AdminOptions, ConfigResource, ResourceSpecifier};
use rdkafka::consumer::{BaseConsumer, Consumer};

use super::requirements::TopicFacts;
use super::{Finding, TopicUse, Verdict};
use crate::config::{Client, Config};
use crate::kafka::client::context::{
    ClientError, ErrorContext, PlainContext, poll_errors, prime_oauth,
};
use crate::kafka::client::oauth;
use crate::kafka::native::rights_on;
use crate::kafka::settings;
use crate::kafka::topics::{METADATA_WAIT_MAX, TopicProblem, shape};

/// Longest wait for settings and rights, which the relay can do without.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(5);
/// Longest wait for a broker, before it is looked what the client complains of.
const ATTEMPT: Duration = Duration::from_secs(1);

/// Clients that ask.
pub(super) struct ClusterInspector {
    consumer: BaseConsumer<ErrorContext>,
    admin: AdminClient<PlainContext>,
    /// Any broker, for the settings that all have.
    broker: i32,
}

impl ClusterInspector {
    /// Connects; says as well how many brokers there are.
    pub(super) fn connect(config: &Config) -> anyhow::Result<(Self, usize)> {
        let client = settings::inspector(config);
        let consumer: BaseConsumer<ErrorContext> =
            client.create_with_context(ErrorContext::default()).context("create a client")?;
        prime_oauth(&consumer);
        let brokers = reach(&consumer)?;
        let admin: AdminClient<PlainContext> =
            client.create_with_context(PlainContext::default()).context("create a client")?;
        oauth::give(admin.inner(), &client)?;
        let broker = brokers.first().copied().unwrap_or_default();
        let asking = ClusterInspector { consumer, admin, broker };
        Ok((asking, brokers.len()))
    }

    /// Partitions and replicas of a topic, and nothing else yet.
    pub(super) fn shape(&self, topic: &str) -> Result<TopicFacts, TopicProblem> {
        let shape = shape(&self.consumer, topic)?;
        Ok(TopicFacts {
            partitions: shape.partitions,
            replicas: shape.replicas,
            ..TopicFacts::default()
        })
    }

    /// Adds settings and rights; returns what could not be asked.
    pub(super) fn complete(&self, seen: &mut [(&TopicUse<'_>, TopicFacts)]) -> Vec<Finding> {
        let mut unknown = Vec::new();
        unknown.extend(self.add_rights(seen));
        unknown.extend(self.add_settings(seen));
        unknown
    }

    fn add_rights(&self, seen: &mut [(&TopicUse<'_>, TopicFacts)]) -> Option<Finding> {
        let names: Vec<&str> = seen.iter().map(|(topic, _)| topic.name).collect();
        match rights_on(self.consumer.client(), self.broker, &names, ANSWER_WAIT_MAX) {
            Ok(mut told) => {
                for (topic, facts) in seen {
                    facts.rights = told.remove(topic.name);
                }
                None
            }
            Err(why) => Some(Finding::new(
                "rights on topics",
                Verdict::NotPermitted(format!("the broker does not tell them ({why})")),
            )),
        }
    }

    fn add_settings(&self, seen: &mut [(&TopicUse<'_>, TopicFacts)]) -> Option<Finding> {
        // All are asked before the first is waited for.
        let topics = seen.iter().map(|(topic, _)| topic.name);
        let topics: Vec<_> = topics.map(ResourceSpecifier::Topic).collect();
        let asked: Vec<_> = topics.iter().map(|topic| self.settings_of(topic)).collect();
        let mut untold = Vec::new();
        let mut why = String::new();
        for ((topic, facts), answer) in seen.iter_mut().zip(asked) {
            match wait(answer) {
                Ok(settings) => facts.settings = Some(settings),
                Err(error) => {
                    untold.push(topic.name);
                    why = format!("{error:#}");
                }
            }
        }
        (!untold.is_empty()).then(|| {
            Finding::new(
                format!("settings of {}", untold.join(", ")),
                Verdict::NotPermitted(format!(
                    "cleanup.policy, min.insync.replicas and max.message.bytes are not checked ({why})"
                )),
            )
        })
    }

    /// Whether the broker takes our transactions' time-out.
    pub(super) fn transaction_timeout(&self, config: &Config) -> Option<Finding> {
        const SETTING: &str = "transaction.max.timeout.ms";
        let subject = "brokers' transaction.max.timeout.ms";
        let broker = ResourceSpecifier::Broker(self.broker);
        let told = wait(self.settings_of(&broker));
        let longest: u64 = match told {
            Ok(settings) => settings.get(SETTING)?.parse().ok()?,
            Err(error) => {
                let verdict = Verdict::NotPermitted(format!("not checked ({error:#})"));
                return Some(Finding::new(subject, verdict));
            }
        };
        let ours = settings::producer(config, 0);
        let ours: u64 = ours.get("transaction.timeout.ms")?.parse().ok()?;
        let given = config.kafka.get(Client::Producer, "transaction.timeout.ms");
        let remedy = match given {
            Some(_) => "lower transaction.timeout.ms under [kafka]",
            None => "set transaction.timeout.ms under [kafka] to no more than that",
        };
        Some(Finding::new(
            subject,
            if ours > longest {
                Verdict::Fail(format!("{longest}, less than our {ours}; {remedy}"))
            } else {
                Verdict::Pass(format!("{longest}, ours is {ours}"))
            },
        ))
    }

    fn settings_of<'a>(
        &self,
        resource: &'a ResourceSpecifier<'a>,
    ) -> impl Future<Output = anyhow::Result<BTreeMap<String, String>>> + use<'a> {
        // Any broker can answer; by default the client would look for the controller first.
        let options =
            AdminOptions::new().request_timeout(Some(ANSWER_WAIT_MAX)).broker_id(self.broker);
        let asked = self.admin.describe_configs([resource], &options);
        async move {
            let answers = asked.await.map_err(|error| anyhow!("{error}"))?;
            let settings = answers.into_iter().find_map(Result::ok).map(entries);
            // The client keeps a refusal to itself: then it tells no setting at all.
            let told = settings.filter(|settings| !settings.is_empty());
            told.context("the broker tells none; grant the relay's principal DescribeConfigs")
        }
    }
}

/// Waits for any broker, and returns the ids of all. The error has what the client complained of
/// last: that a password is wrong is not in the failure of the call.
fn reach(consumer: &BaseConsumer<ErrorContext>) -> anyhow::Result<Vec<i32>> {
    let deadline = Instant::now() + METADATA_WAIT_MAX;
    loop {
        // All topics: the one request that needs no right at all.
        let error = match consumer.fetch_metadata(None, ATTEMPT) {
            Ok(metadata) => {
                let brokers = metadata.brokers().iter();
                return Ok(brokers.map(|broker| broker.id()).collect());
            }
            Err(error) => error,
        };
        poll_errors(consumer);
        let last_error = consumer.context().0.last_error();
        let is_refused = last_error.as_ref().is_some_and(ClientError::is_refusal);
        if is_refused || Instant::now() >= deadline {
            let cause = last_error.map_or(error.to_string(), |last| last.text);
            return Err(anyhow!(cause)).context(
                "no broker answered; check \"bootstrap.servers\" and the security settings",
            );
        }
    }
}

fn entries(resource: ConfigResource) -> BTreeMap<String, String> {
    let entries = resource.entries.into_iter();
    entries.filter_map(|entry| Some((entry.name, entry.value?))).collect()
}

/// The admin client answers through futures; whoever checks is a plain thread.
fn wait<T>(answer: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    runtime.block_on(answer)
}
