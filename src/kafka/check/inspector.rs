//! Collects facts about the cluster and its topics. Facts that cannot be read for lack of a right
//! are reported once and fail nothing: the relay works without DescribeConfigs.

use std::collections::BTreeMap;
use std::future::Future;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use rdkafka::admin::{AdminClient, AdminOptions, ConfigResource, ResourceSpecifier};
use rdkafka::consumer::{BaseConsumer, Consumer};

use super::finding::{Finding, Verdict};
use super::requirements::TopicFacts;
use super::topic_use::TopicUse;
use crate::config::{Client, Config};
use crate::kafka::client::context::{
    ClientError, ErrorContext, PlainContext, poll_errors, prime_oauth,
};
use crate::kafka::client::oauth;
use crate::kafka::native::rights_on;
use crate::kafka::settings;
use crate::kafka::topics::{METADATA_WAIT_MAX, TopicProblem, shape};

/// Longest wait for topic configs and rights, which the relay can work without.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(5);
/// Longest wait for one answer, before the client's errors are checked.
const ATTEMPT: Duration = Duration::from_secs(1);

/// The clients that query the cluster.
pub(super) struct ClusterInspector {
    consumer: BaseConsumer<ErrorContext>,
    admin: AdminClient<PlainContext>,
    /// The id of any broker, for settings that all brokers share.
    broker: i32,
}

impl ClusterInspector {
    /// Connects. Returns the number of brokers as well.
    pub(super) fn connect(config: &Config) -> anyhow::Result<(Self, usize)> {
        let client = settings::inspector(config);
        let consumer: BaseConsumer<ErrorContext> =
            client.create_with_context(ErrorContext::default()).context("create a client")?;
        prime_oauth(&consumer);
        let brokers = await_brokers(&consumer)?;
        let admin: AdminClient<PlainContext> =
            client.create_with_context(PlainContext::default()).context("create a client")?;
        oauth::set_initial_token(admin.inner(), &client)?;
        let broker = brokers.first().copied().unwrap_or_default();
        let inspector = ClusterInspector { consumer, admin, broker };
        Ok((inspector, brokers.len()))
    }

    /// Returns the partition and replica counts of a topic, and no other facts yet.
    pub(super) fn shape(&self, topic: &str) -> Result<TopicFacts, TopicProblem> {
        let shape = shape(&self.consumer, topic, METADATA_WAIT_MAX)?;
        Ok(TopicFacts {
            partitions: shape.partitions,
            replicas: shape.replicas,
            ..TopicFacts::default()
        })
    }

    /// Adds topic configs and rights. Returns findings for those that could not be read.
    pub(super) fn add_details(&self, topics: &mut [(&TopicUse<'_>, TopicFacts)]) -> Vec<Finding> {
        let mut findings = Vec::new();
        findings.extend(self.add_rights(topics));
        findings.extend(self.add_settings(topics));
        findings
    }

    fn add_rights(&self, topics: &mut [(&TopicUse<'_>, TopicFacts)]) -> Option<Finding> {
        let names: Vec<&str> = topics.iter().map(|(topic, _)| topic.name).collect();
        match rights_on(self.consumer.client(), self.broker, &names, ANSWER_WAIT_MAX) {
            Ok(mut rights) => {
                for (topic, facts) in topics {
                    facts.rights = rights.remove(topic.name);
                }
                None
            }
            Err(why) => Some(Finding::new(
                "rights on topics",
                Verdict::NotPermitted(format!(
                    "not checked: the broker does not report them ({why})"
                )),
            )),
        }
    }

    fn add_settings(&self, topics: &mut [(&TopicUse<'_>, TopicFacts)]) -> Option<Finding> {
        // Send all requests before waiting for the first answer.
        let names = topics.iter().map(|(topic, _)| topic.name);
        let resources: Vec<_> = names.map(ResourceSpecifier::Topic).collect();
        let answers: Vec<_> =
            resources.iter().map(|resource| self.request_settings(resource)).collect();
        let mut unknown = Vec::new();
        let mut why = String::new();
        for ((topic, facts), answer) in topics.iter_mut().zip(answers) {
            match wait(answer) {
                Ok(settings) => facts.settings = Some(settings),
                Err(error) => {
                    unknown.push(topic.name);
                    why = format!("{error:#}");
                }
            }
        }
        (!unknown.is_empty()).then(|| {
            Finding::new(
                format!("settings of {}", unknown.join(", ")),
                Verdict::NotPermitted(format!(
                    "cleanup.policy, min.insync.replicas and max.message.bytes are not checked ({why})"
                )),
            )
        })
    }

    /// Checks that the brokers accept the producer's transaction.timeout.ms.
    pub(super) fn transaction_timeout(&self, config: &Config) -> Option<Finding> {
        const SETTING: &str = "transaction.max.timeout.ms";
        let subject = "brokers' transaction.max.timeout.ms";
        let broker = ResourceSpecifier::Broker(self.broker);
        let max: u64 = match wait(self.request_settings(&broker)) {
            Ok(settings) => settings.get(SETTING)?.parse().ok()?,
            Err(error) => {
                let verdict = Verdict::NotPermitted(format!("not checked ({error:#})"));
                return Some(Finding::new(subject, verdict));
            }
        };
        let producer = settings::producer(config, 0);
        let timeout: u64 = producer.get("transaction.timeout.ms")?.parse().ok()?;
        let configured = config.kafka.get(Client::Producer, "transaction.timeout.ms");
        let remedy = match configured {
            Some(_) => "lower transaction.timeout.ms under [kafka]",
            None => "set transaction.timeout.ms under [kafka] to no more than that",
        };
        Some(Finding::new(
            subject,
            if timeout > max {
                Verdict::Fail(format!("{max}, less than the producer's {timeout}; {remedy}"))
            } else {
                Verdict::Pass(format!("{max}, the producer's is {timeout}"))
            },
        ))
    }

    fn request_settings<'a>(
        &self,
        resource: &'a ResourceSpecifier<'a>,
    ) -> impl Future<Output = anyhow::Result<BTreeMap<String, String>>> + use<'a> {
        // Any broker can answer; by default the client would look up the controller first.
        let options =
            AdminOptions::new().request_timeout(Some(ANSWER_WAIT_MAX)).broker_id(self.broker);
        let request = self.admin.describe_configs([resource], &options);
        async move {
            let answers = request.await.map_err(|error| anyhow!("{error}"))?;
            let settings = answers.into_iter().find_map(Result::ok).map(entries);
            // The client hides an authorization error and returns no settings at all.
            let settings = settings.filter(|settings| !settings.is_empty());
            settings.context(
                "the broker reports no settings; grant the relay's principal DescribeConfigs",
            )
        }
    }
}

/// Waits until any broker answers, and returns the ids of all. The error contains the last one that
/// the client reported: the call itself does not say that a password is wrong.
fn await_brokers(consumer: &BaseConsumer<ErrorContext>) -> anyhow::Result<Vec<i32>> {
    let deadline = Instant::now() + METADATA_WAIT_MAX;
    loop {
        // Metadata of all topics is the only request that needs no right at all.
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

/// Waits for an answer. The admin client returns futures, but the check runs on a plain thread.
fn wait<T>(answer: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    runtime.block_on(answer)
}
