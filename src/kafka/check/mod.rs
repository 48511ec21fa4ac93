//! Asks the cluster for everything that the relay needs, before it needs it: for the start of `run`
//! and for `check --connect`. It never joins the group, and writes a record only on request. What a
//! topic must be like is in `requirements`; this asks, and puts the answers together.

mod committed;
mod inspector;
mod probes;
pub mod requirements;

use std::fmt;
use std::panic::resume_unwind;
use std::thread;

use rdkafka::error::KafkaError;

use self::inspector::ClusterInspector;
use self::requirements::{Requirements, Role, TopicFacts, judge};
use super::topics::{TopicNames, TopicProblem};
use crate::config::{Client, Config, TableSource};
use crate::stream::kept_record::RecordLimit;

pub use committed::how_to_reset;
pub use probes::{check_transactions, check_writing};

/// librdkafka's own, where the operator says nothing.
const BATCH_SIZE: u64 = 1_000_000;

/// What came of looking at one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// As it must be; what was seen.
    Pass(String),
    /// It will do, but somebody should know.
    Warn(String),
    /// We are not allowed to know, or the broker cannot say.
    NotPermitted(String),
    /// The cluster did not say, which may pass.
    Unreachable(String),
    /// A topic is not there although others are: it may be created yet.
    Missing(String),
    /// The relay begins all the same, and holds what this is about until somebody decides how to go
    /// on.
    Held(String),
    /// Not as it must be, with the remedy.
    Fail(String),
}

impl Verdict {
    /// The word before it in a list.
    pub const fn word(&self) -> &'static str {
        match self {
            Verdict::Pass(_) => "ok",
            Verdict::Warn(_) => "WARNING",
            Verdict::NotPermitted(_) => "unknown",
            Verdict::Unreachable(_) | Verdict::Missing(_) | Verdict::Held(_) | Verdict::Fail(_) => {
                "PROBLEM"
            }
        }
    }

    /// What it says.
    pub fn text(&self) -> &str {
        match self {
            Verdict::Pass(text)
            | Verdict::Warn(text)
            | Verdict::NotPermitted(text)
            | Verdict::Unreachable(text)
            | Verdict::Missing(text)
            | Verdict::Held(text)
            | Verdict::Fail(text) => text,
        }
    }

    /// Whether the relay cannot work as things are.
    pub const fn is_problem(&self) -> bool {
        match self {
            Verdict::Pass(_) | Verdict::Warn(_) | Verdict::NotPermitted(_) => false,
            Verdict::Unreachable(_) | Verdict::Missing(_) | Verdict::Held(_) | Verdict::Fail(_) => {
                true
            }
        }
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at.
    pub subject: String,
    /// What was seen, or what is wrong.
    pub verdict: Verdict,
}

impl Finding {
    fn new(subject: impl Into<String>, verdict: Verdict) -> Self {
        Finding { subject: subject.into(), verdict }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.subject, self.verdict.text())
    }
}

/// What the cluster said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checked {
    /// All that was looked at.
    pub findings: Vec<Finding>,
    /// What the quarantine topic takes, as far as is known.
    pub quarantine: RecordLimit,
}

/// A topic, and what the relay does with it.
struct TopicUse<'a> {
    role: Role,
    /// As a person would call it.
    kind: &'static str,
    name: &'a str,
}

impl TopicUse<'_> {
    fn subject(&self) -> String {
        format!("{} topic {}", self.kind, self.name)
    }
}

/// Asks for all that `run` needs except the transactional ids, which asking would take from a
/// running relay. Stops early only if no broker answers.
pub fn check_cluster(config: &Config, topics: &TopicNames) -> Checked {
    let brokers = format!("brokers {}", config.kafka.bootstrap_servers());
    let (asking, count) = match ClusterInspector::connect(config) {
        Ok(connected) => connected,
        Err(error) => {
            let what = format!("{error:#}");
            let verdict = match error.downcast_ref() {
                // It is made of the settings alone, and never will be.
                Some(KafkaError::ClientCreation(_) | KafkaError::ClientConfig(..)) => {
                    Verdict::Fail(what)
                }
                _ => Verdict::Unreachable(what),
            };
            return Checked {
                findings: vec![Finding::new(brokers, verdict)],
                quarantine: RecordLimit::default(),
            };
        }
    };
    let reached = Finding::new(brokers, Verdict::Pass("reached".to_string()));
    let mut checked = Checked { findings: vec![reached], quarantine: RecordLimit::default() };
    let used = used(config, topics);
    // Finding the group's coordinator takes the client half a second, in which it can be asked for
    // the rest.
    thread::scope(|scope| {
        let group = scope.spawn(|| committed::check_group(config, &topics.input));
        check_topics(config, &asking, &used, count, &mut checked);
        let group = group.join().unwrap_or_else(|panic| resume_unwind(panic));
        checked.findings.extend(group);
    });
    checked
}

fn used<'a>(config: &'a Config, topics: &'a TopicNames) -> Vec<TopicUse<'a>> {
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
    used
}

fn check_topics(
    config: &Config,
    asking: &ClusterInspector,
    used: &[TopicUse<'_>],
    brokers: usize,
    checked: &mut Checked,
) {
    let mut problems = Vec::new();
    let mut seen = Vec::new();
    for topic in used {
        match asking.shape(topic.name) {
            Ok(facts) => seen.push((topic, facts)),
            Err(problem) => problems.push((topic, problem)),
        }
    }
    // A cluster that has none of them is likely to be the wrong one, and no waiting helps.
    let has_others = !seen.is_empty();
    let unusable = problems.iter().map(|(topic, problem)| {
        Finding::new(topic.subject(), unusable(topic, problem, has_others))
    });
    let findings = &mut checked.findings;
    findings.extend(unusable);
    let unknown = asking.complete(&mut seen);
    let needs = needs(config, &seen, brokers);
    for (topic, facts) in &seen {
        let verdicts = judge(topic.role, facts, &needs).into_iter();
        findings.extend(verdicts.map(|verdict| Finding::new(topic.subject(), verdict)));
    }
    findings.extend(unknown);
    findings.extend(asking.transaction_timeout(config));
    if let Some(bytes) = limit_of(Role::Quarantine, &seen) {
        checked.quarantine = RecordLimit::new(bytes);
    }
}

fn unusable(topic: &TopicUse<'_>, problem: &TopicProblem, has_others: bool) -> Verdict {
    match problem {
        TopicProblem::Denied(_) => {
            let right = topic.role.right().name();
            Verdict::Fail(format!(
                "the relay's principal may not see it; grant it {right} on this topic (Describe comes with it)"
            ))
        }
        TopicProblem::Missing(_) if has_others => Verdict::Missing(problem.to_string()),
        TopicProblem::Missing(_) => Verdict::Fail(problem.to_string()),
        TopicProblem::Unknown { .. } => Verdict::Unreachable(problem.to_string()),
    }
}

fn needs(config: &Config, seen: &[(&TopicUse<'_>, TopicFacts)], brokers: usize) -> Requirements {
    let batch = config.kafka.get(Client::Producer, "batch.size");
    Requirements {
        event_bytes: config.output.max_message_bytes as u64,
        batch_bytes: batch.and_then(|bytes| bytes.parse().ok()).unwrap_or(BATCH_SIZE),
        input_bytes: limit_of(Role::Input, seen),
        brokers,
        history: config.tables.history,
    }
}

/// What the first topic of this role takes, if it says so.
fn limit_of(role: Role, seen: &[(&TopicUse<'_>, TopicFacts)]) -> Option<u64> {
    let (_, facts) = seen.iter().find(|(topic, _)| topic.role == role)?;
    u64::try_from(facts.number("max.message.bytes")?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_client_can_be_made_of_is_not_waited_for() {
        // Each is right by itself; together librdkafka refuses them, when the client is made.
        let text = "[kafka]\n\"bootstrap.servers\" = \"127.0.0.1:1\"\n\"max.poll.interval.ms\" = 10000\n[principals]\ntopic = \"p\"\n";
        let config = Config::from_toml(text, std::iter::empty()).expect("configuration");
        let topics =
            TopicNames { input: "i".to_string(), regions: Vec::new(), quarantine: "q".to_string() };
        match check_cluster(&config, &topics).findings.as_slice() {
            [Finding { verdict: Verdict::Fail(what), .. }] => {
                assert!(what.contains("max.poll.interval.ms"), "{what}");
            }
            other => panic!("{other:?}"),
        }
    }
}
