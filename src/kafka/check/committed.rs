//! Compares the group's committed offset in every partition of the input with what the partition's
//! log holds. It needs the right to read the group, but no membership.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};

use super::{Finding, Verdict};
use crate::config::Config;
use crate::kafka::client::context::{ErrorContext, poll_errors, prime_oauth};
use crate::kafka::client::lookup::{Bound, TopicLookup};
use crate::kafka::settings;
use crate::kafka::topics::{METADATA_WAIT_MAX, partition_count};

/// Longest wait for an answer, before it is looked what the client complains of.
const ATTEMPT: Duration = Duration::from_secs(1);

/// Offsets by partition.
type Offsets = BTreeMap<i32, i64>;
/// The offsets that a partition's log holds, by partition.
type Logs = BTreeMap<i32, Range<i64>>;

/// Looks at every committed offset of the group.
pub(super) fn check_group(config: &Config, topic: &str) -> Vec<Finding> {
    let subject = format!("consumer group {}", config.input.group);
    let verdict = match GroupLookup::open(config, topic).and_then(|lookup| lookup.offsets()) {
        Ok((committed, logs)) => return compared(config, topic, &committed, &logs),
        Err(error) if is(&error, RDKafkaErrorCode::GroupAuthorizationFailed) => Verdict::Fail(
            "the relay's principal may not use it; grant it Read on this group".to_string(),
        ),
        Err(error) if is(&error, RDKafkaErrorCode::TopicAuthorizationFailed) => {
            Verdict::NotPermitted(
                "its offsets are those of a topic that we may not see".to_string(),
            )
        }
        Err(error) => Verdict::Unreachable(format!("cannot read its offsets: {error}")),
    };
    vec![Finding::new(subject, verdict)]
}

/// A client that looks, on behalf of the group.
struct GroupLookup(TopicLookup<ErrorContext>);

impl GroupLookup {
    fn open(config: &Config, topic: &str) -> KafkaResult<Self> {
        let mut client = settings::inspector(config);
        client.set("group.id", &config.input.group);
        // Waits for no open transaction: working relays commit all the time.
        client.set("isolation.level", "read_uncommitted");
        let consumer = client.create_with_context(ErrorContext::default())?;
        prime_oauth(&consumer);
        Ok(GroupLookup(TopicLookup::new(consumer, topic)))
    }

    /// The ends are looked up last: they cannot lie before what was committed already.
    fn offsets(&self) -> KafkaResult<(Offsets, Logs)> {
        // Another finding names a topic that cannot be seen. One partition is enough to find out
        // whether the relay may use the group.
        let count = partition_count(self.0.consumer(), self.0.topic()).unwrap_or(1);
        let committed = self.committed(count)?;
        let logs = self.logs(&committed);
        Ok((committed, logs))
    }

    fn committed(&self, count: i32) -> KafkaResult<Offsets> {
        let deadline = Instant::now() + METADATA_WAIT_MAX;
        loop {
            let error = match self.0.committed(0..count, ATTEMPT) {
                Ok(found) => {
                    return Ok(found.into_iter().map(|(p, found)| (p, found.offset)).collect());
                }
                Err(error) => error,
            };
            // A refusal is reported as an event of its own; the call only times out.
            poll_errors(self.0.consumer());
            let last_error = self.0.consumer().context().0.last_error();
            if last_error.and_then(|error| error.code)
                == Some(RDKafkaErrorCode::GroupAuthorizationFailed)
            {
                return Err(KafkaError::OffsetFetch(RDKafkaErrorCode::GroupAuthorizationFailed));
            }
            if !may_pass(&error) || Instant::now() >= deadline {
                return Err(error);
            }
        }
    }

    /// Returns what the logs hold, of the partitions whose leaders answer.
    fn logs(&self, committed: &Offsets) -> Logs {
        match (self.bounds(Bound::Start, committed), self.bounds(Bound::End, committed)) {
            (Ok(starts), Ok(ends)) => both(&starts, &ends),
            // One leader that is away fails the answer for all.
            _ => self.logs_one_by_one(committed),
        }
    }

    fn bounds(&self, bound: Bound, committed: &Offsets) -> KafkaResult<Offsets> {
        let found = self.0.bounds(bound, committed.keys().copied(), METADATA_WAIT_MAX)?;
        found.into_iter().map(|(partition, offset)| Ok((partition, offset?))).collect()
    }

    fn logs_one_by_one(&self, committed: &Offsets) -> Logs {
        let deadline = Instant::now() + METADATA_WAIT_MAX;
        let in_time = committed.keys().take_while(|_| Instant::now() < deadline);
        let found = in_time.filter_map(|partition| {
            let consumer = self.0.consumer();
            let found = consumer.fetch_watermarks(self.0.topic(), *partition, ATTEMPT);
            let (start, end) = found.ok()?;
            Some((*partition, start..end))
        });
        found.collect()
    }
}

fn both(begins: &Offsets, ends: &Offsets) -> Logs {
    let logs = begins.iter().filter_map(|(partition, begins)| {
        let ends = ends.get(partition)?;
        Some((*partition, *begins..*ends))
    });
    logs.collect()
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
        [NotCoordinator, CoordinatorNotAvailable, CoordinatorLoadInProgress, OperationTimedOut]
            .contains(&code)
    })
}

/// One finding for the group, and one for each partition that is not as it should be.
fn compared(config: &Config, topic: &str, committed: &Offsets, logs: &Logs) -> Vec<Finding> {
    let group = &config.input.group;
    let subject = format!("consumer group {group}");
    let seen = match committed.len() {
        0 => "nothing is committed yet".to_string(),
        1 => "an offset of one partition is committed".to_string(),
        some => format!("offsets of {some} partitions are committed"),
    };
    let mut findings = vec![Finding::new(&subject, Verdict::Pass(seen))];
    let unknown = committed.keys().filter(|it| !logs.contains_key(it));
    let unknown: Vec<String> = unknown.map(ToString::to_string).collect();
    if !unknown.is_empty() {
        let what = format!(
            "the committed offsets of the partitions {} were not compared with their logs, whose leaders did not answer",
            unknown.join(", ")
        );
        findings.push(Finding::new(&subject, Verdict::NotPermitted(what)));
    }
    for (partition, offset) in committed {
        let verdict = logs.get(partition).and_then(|log| {
            let bootstrap = config.kafka.bootstrap_servers();
            let reset = || how_to_reset(bootstrap, group, topic, *partition);
            judged(*offset, log, reset)
        });
        let subject = format!("{subject}, topic {topic}, partition {partition}");
        findings.extend(verdict.map(|verdict| Finding::new(subject, verdict)));
    }
    findings
}

/// Whether reading can go on at this offset, in a log that holds these.
fn judged(committed: i64, log: &Range<i64>, reset: impl FnOnce() -> String) -> Option<Verdict> {
    let Range { start, end } = log;
    if committed > *end {
        return Some(Verdict::Held(format!(
            "committed up to offset {committed}, but the log ends at {end}: it was cut off, made anew, or restored from a shorter copy; \
             the relay holds this partition; {}",
            reset()
        )));
    }
    (committed < *start).then(|| {
        Verdict::Warn(format!(
            "committed up to offset {committed}, but the log begins at {start}: what lay between was deleted before it was read; \
             reading goes on at {start}"
        ))
    })
}

/// How an operator says where a partition goes on whose committed offset its log does not hold.
pub fn how_to_reset(bootstrap: &str, group: &str, topic: &str, partition: i32) -> String {
    format!(
        "decide on the offset N at which to go on (records before N are not audited again, records from N on are), stop all \
         relays of the group, and run: kafka-consumer-groups --bootstrap-server {bootstrap} --group {group} \
         --topic {topic}:{partition} --reset-offsets --to-offset N --execute"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        let text = "kafka.\"bootstrap.servers\" = \"b:1\"\nprincipals.topic = \"p\"\ninput.group = \"g\"\n";
        Config::from_toml(text, std::iter::empty()).expect("configuration")
    }

    fn said(committed: &[(i32, i64)], logs: &[(i32, Range<i64>)]) -> Vec<String> {
        let committed = committed.iter().copied().collect();
        let logs = logs.iter().cloned().collect();
        let findings = compared(&config(), "t", &committed, &logs);
        let text = |finding: &Finding| format!("{} {finding}", finding.verdict.word());
        findings.iter().map(text).collect()
    }

    #[test]
    fn what_the_log_holds_is_well_and_so_is_its_end() {
        assert_eq!(said(&[], &[]), ["ok consumer group g: nothing is committed yet"]);
        assert_eq!(
            said(&[(0, 5), (1, 9), (2, 0)], &[(0, 5..9), (1, 5..9), (2, 0..0)]),
            ["ok consumer group g: offsets of 3 partitions are committed"]
        );
    }

    #[test]
    fn an_offset_behind_the_end_is_named_with_the_command_that_resets_it() {
        let said = said(&[(0, 5), (3, 100)], &[(0, 0..5), (3, 2..15)]);
        assert_eq!(said.len(), 2, "{said:?}");
        let problem = "PROBLEM consumer group g, topic t, partition 3: committed up to offset 100, but the log ends at 15";
        assert!(said[1].starts_with(problem), "{said:?}");
        let command = "kafka-consumer-groups --bootstrap-server b:1 --group g --topic t:3 --reset-offsets --to-offset N --execute";
        assert!(said[1].ends_with(command), "{said:?}");
    }

    #[test]
    fn an_offset_before_the_beginning_is_a_warning() {
        let said = said(&[(3, 10)], &[(3, 15..20)]);
        let warning = "WARNING consumer group g, topic t, partition 3: committed up to offset 10, but the log begins at 15";
        assert!(said[1].starts_with(warning), "{said:?}");
    }

    #[test]
    fn what_could_not_be_compared_is_said() {
        let said = said(&[(1, 10), (2, 10), (4, 1)], &[(2, 0..10)]);
        assert_eq!(said.len(), 2, "{said:?}");
        assert!(
            said[1].starts_with(
                "unknown consumer group g: the committed offsets of the partitions 1, 4"
            ),
            "{said:?}"
        );
    }
}
