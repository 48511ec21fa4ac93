//! Checks the cluster for everything that the relay needs, before it needs it: at the start of
//! `run`, and for `check --connect`. It never joins the group, and writes a record only on request.
//! `requirements` says what a topic must be like; this file queries the cluster and combines the
//! results.

mod committed;
pub mod demanded;
mod finding;
mod inspector;
mod probes;
pub mod requirements;
mod topic_use;

use std::num::NonZeroUsize;
use std::panic::resume_unwind;
use std::thread;

use rdkafka::error::KafkaError;

use self::inspector::ClusterInspector;
use self::requirements::{Requirements, Role, TopicFacts, judge};
use self::topic_use::TopicUse;
use super::topics::{TopicNames, TopicProblem};
use crate::config::{Client, Config, TableSource};
use crate::stream::kept_record::RecordLimit;

pub use committed::how_to_reset;
pub use finding::{Finding, Verdict};
pub use probes::{check_transactions, check_writing};

/// librdkafka's default batch.size, used unless the operator sets another.
const BATCH_SIZE: u64 = 1_000_000;

/// The result of all checks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checked {
    /// All findings.
    pub findings: Vec<Finding>,
    /// What the workers are started with.
    pub facts: ClusterFacts,
}

/// What the workers need to know about the cluster, as far as it could be read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ClusterFacts {
    /// The largest record that the quarantine topic accepts.
    pub quarantine: RecordLimit,
    /// The input's partition count.
    pub input_partitions: Option<NonZeroUsize>,
}

/// Checks all that `run` needs, except the transactional ids: checking one would fence a running
/// relay. Stops early only if no broker answers.
pub fn check_cluster(config: &Config, topics: &TopicNames) -> Checked {
    let (inspector, count) = match connect(config) {
        Ok(connected) => connected,
        Err(finding) => {
            return Checked { findings: vec![finding], facts: ClusterFacts::default() };
        }
    };
    let reached = Finding::new(brokers(config), Verdict::Pass("reached".to_string()));
    let mut checked = Checked { findings: vec![reached], facts: ClusterFacts::default() };
    let used = topics_in_use(config, topics);
    // Finding the group coordinator takes the client half a second, so the other checks run
    // meanwhile.
    thread::scope(|scope| {
        let group = scope.spawn(|| committed::check_group(config, &topics.input));
        check_topics(config, &inspector, &used, count, &mut checked);
        let group = group.join().unwrap_or_else(|panic| resume_unwind(panic));
        checked.findings.extend(group);
    });
    checked
}

/// Checks the topic with what became of quarantined records, which only `quarantine` uses, and that
/// with the seals, which seal it if the trail is sealed.
pub fn check_outcomes(config: &Config, topics: &TopicNames, outcomes: &str) -> Vec<Finding> {
    match connect(config) {
        Ok((inspector, count)) => {
            let mut checked = Checked::default();
            let checkpoints = topics.checkpoints.as_deref().map(checkpoints_use);
            let used: Vec<_> = [outcomes_use(outcomes)].into_iter().chain(checkpoints).collect();
            check_topics(config, &inspector, &used, count, &mut checked);
            checked.findings
        }
        Err(finding) => vec![finding],
    }
}

fn brokers(config: &Config) -> String {
    format!("brokers {}", config.kafka.bootstrap_servers())
}

/// Connects; returns the number of brokers as well, or why there is no answer.
fn connect(config: &Config) -> Result<(ClusterInspector, usize), Finding> {
    ClusterInspector::connect(config).map_err(|error| {
        let text = format!("{error:#}");
        let verdict = match error.downcast_ref() {
            // The client is built from the settings alone, so that retrying cannot help.
            Some(KafkaError::ClientCreation(_) | KafkaError::ClientConfig(..)) => {
                Verdict::Fail(text)
            }
            _ => Verdict::Unreachable(text),
        };
        Finding::new(brokers(config), verdict)
    })
}

fn outcomes_use(topic: &str) -> TopicUse<'_> {
    TopicUse { role: Role::Outcomes, kind: "outcomes", name: topic }
}

fn checkpoints_use(topic: &str) -> TopicUse<'_> {
    TopicUse { role: Role::Checkpoints, kind: "checkpoints", name: topic }
}

/// Returns the names of all topics that the relays of a configuration read or write.
pub fn names_in_use<'a>(config: &'a Config, topics: &'a TopicNames) -> Vec<&'a str> {
    topics_in_use(config, topics).iter().map(|topic| topic.name).collect()
}

fn topics_in_use<'a>(config: &'a Config, topics: &'a TopicNames) -> Vec<TopicUse<'a>> {
    let of = |role, kind, name| TopicUse { role, kind, name };
    let mut used = vec![of(Role::Input, "input", topics.input.as_str())];
    for (kind, source) in
        [("principals", Some(&config.principals)), ("devices", config.devices.as_ref())]
    {
        if let Some(TableSource::Topic(topic)) = source {
            used.push(of(Role::Table, kind, topic));
        }
    }
    let regions = topics.regions.iter();
    used.extend(regions.map(|topic| of(Role::Output, "output", topic)));
    used.push(of(Role::Quarantine, "quarantine", &topics.quarantine));
    used.extend(topics.checkpoints.as_deref().map(checkpoints_use));
    used
}

fn check_topics(
    config: &Config,
    inspector: &ClusterInspector,
    used: &[TopicUse<'_>],
    brokers: usize,
    checked: &mut Checked,
) {
    let mut problems = Vec::new();
    let mut found = Vec::new();
    for topic in used {
        match inspector.shape(topic.name) {
            Ok(facts) => found.push((topic, facts)),
            Err(problem) => problems.push((topic, problem)),
        }
    }
    // If none of the topics exists, this is probably the wrong cluster, and waiting does not help.
    let has_others = !found.is_empty();
    let unusable = problems.iter().map(|(topic, problem)| {
        Finding::new(topic.subject(), unusable(topic, problem, has_others))
    });
    let findings = &mut checked.findings;
    findings.extend(unusable);
    let unknown = inspector.add_details(&mut found);
    let requirements = requirements(config, message_limit(Role::Input, &found), brokers);
    for (topic, facts) in &found {
        let verdicts = judge(topic.role, facts, &requirements).into_iter();
        findings.extend(verdicts.map(|verdict| Finding::new(topic.subject(), verdict)));
    }
    findings.extend(unknown);
    findings.extend(inspector.transaction_timeout(config));
    if let Some(bytes) = message_limit(Role::Quarantine, &found) {
        checked.facts.quarantine = RecordLimit::new(bytes);
    }
    let input = facts_of(Role::Input, &found);
    let partitions = input.and_then(|facts| usize::try_from(facts.partitions).ok());
    checked.facts.input_partitions = partitions.and_then(NonZeroUsize::new);
}

fn unusable(topic: &TopicUse<'_>, problem: &TopicProblem, has_others: bool) -> Verdict {
    match problem {
        TopicProblem::Denied(_) => {
            let rights: Vec<&str> = topic.role.rights().iter().map(|right| right.name()).collect();
            let rights = rights.join(" and ");
            Verdict::Fail(format!(
                "the relay's principal may not see it; grant it {rights} on this topic (each implies Describe)"
            ))
        }
        TopicProblem::Missing(_) if has_others => Verdict::Missing(problem.to_string()),
        TopicProblem::Missing(_) => Verdict::Fail(problem.to_string()),
        TopicProblem::Unknown { .. } => Verdict::Unreachable(problem.to_string()),
    }
}

fn requirements(config: &Config, input_bytes: Option<u64>, brokers: usize) -> Requirements {
    let batch = config.kafka.get(Client::Producer, "batch.size");
    Requirements {
        event_bytes: config.output.max_message_bytes as u64,
        batch_bytes: batch.and_then(|bytes| bytes.parse().ok()).unwrap_or(BATCH_SIZE),
        input_bytes,
        brokers,
        history: config.tables.history,
        is_sealed: config.integrity.is_some(),
    }
}

/// Returns the max.message.bytes of the first topic of this role, if it is known.
fn message_limit(role: Role, topics: &[(&TopicUse<'_>, TopicFacts)]) -> Option<u64> {
    u64::try_from(facts_of(role, topics)?.number("max.message.bytes")?).ok()
}

/// Returns the facts of the first topic of this role.
fn facts_of<'a>(role: Role, topics: &'a [(&TopicUse<'_>, TopicFacts)]) -> Option<&'a TopicFacts> {
    topics.iter().find(|(topic, _)| topic.role == role).map(|(_, facts)| facts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_no_client_accepts_fail_at_once() {
        // Each property is valid alone; librdkafka rejects the combination when it creates the
        // client.
        let text = "[kafka]\n\"bootstrap.servers\" = \"127.0.0.1:1\"\n\"max.poll.interval.ms\" = 10000\n[principals]\ntopic = \"p\"\n";
        let config = Config::from_toml(text, std::iter::empty()).expect("configuration");
        let topics = TopicNames {
            input: "i".to_string(),
            regions: Vec::new(),
            quarantine: "q".to_string(),
            checkpoints: None,
        };
        match check_cluster(&config, &topics).findings.as_slice() {
            [Finding { verdict: Verdict::Fail(what), .. }] => {
                assert!(what.contains("max.poll.interval.ms"), "{what}");
            }
            other => panic!("{other:?}"),
        }
    }
}
