//! Compares the group's committed offset in each input partition with the offsets that the
//! partition's log holds. It needs Read on the group, but joins nothing.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};

use super::finding::{Finding, Verdict};
use crate::config::Config;
use crate::kafka::client::context::{ErrorContext, poll_errors, prime_oauth};
use crate::kafka::client::lookup::{Bound, TopicLookup};
use crate::kafka::settings;
use crate::kafka::topics::{METADATA_WAIT_MAX, partition_count};

/// Longest wait for one answer, before the client's errors are checked.
const ATTEMPT: Duration = Duration::from_secs(1);

/// Offsets by partition.
type PartitionOffsets = BTreeMap<i32, i64>;
/// The offsets that a partition's log holds, by partition.
type Logs = BTreeMap<i32, Range<i64>>;

/// Checks every committed offset of the group.
pub(super) fn check_group(config: &Config, topic: &str) -> Vec<Finding> {
    let subject = format!("consumer group {}", config.input.group);
    let verdict = match GroupLookup::open(config, topic).and_then(|lookup| lookup.offsets()) {
        Ok((committed, logs)) => return compare(config, topic, &committed, &logs),
        Err(error) if has_code(&error, RDKafkaErrorCode::GroupAuthorizationFailed) => {
            Verdict::Fail(
                "the relay's principal may not use it; grant it Read on this group".to_string(),
            )
        }
        Err(error) if has_code(&error, RDKafkaErrorCode::TopicAuthorizationFailed) => {
            Verdict::NotPermitted(
                "not checked: the relay's principal may not see the input topic".to_string(),
            )
        }
        Err(error) => Verdict::Unreachable(format!("cannot read its committed offsets: {error}")),
    };
    vec![Finding::new(subject, verdict)]
}

/// A client that looks up the group's offsets.
struct GroupLookup(TopicLookup<ErrorContext>);

impl GroupLookup {
    fn open(config: &Config, topic: &str) -> KafkaResult<Self> {
        let mut client = settings::inspector(config);
        client.set("group.id", &config.input.group);
        // Do not wait for open transactions: running relays commit all the time.
        client.set("isolation.level", "read_uncommitted");
        let consumer = client.create_with_context(ErrorContext::default())?;
        prime_oauth(&consumer);
        Ok(GroupLookup(TopicLookup::new(consumer, topic)))
    }

    /// Looks up the ends last, so that no end is older than a committed offset.
    fn offsets(&self) -> KafkaResult<(PartitionOffsets, Logs)> {
        // A topic that cannot be read has a finding of its own. One partition is enough to find out
        // whether the relay may use the group.
        let count =
            partition_count(self.0.consumer(), self.0.topic(), METADATA_WAIT_MAX).unwrap_or(1);
        let committed = self.committed(count)?;
        let logs = self.logs(&committed);
        Ok((committed, logs))
    }

    fn committed(&self, count: i32) -> KafkaResult<PartitionOffsets> {
        let deadline = Instant::now() + METADATA_WAIT_MAX;
        loop {
            let error = match self.0.committed(0..count, ATTEMPT) {
                Ok(found) => {
                    return Ok(found.into_iter().map(|(p, found)| (p, found.offset)).collect());
                }
                Err(error) => error,
            };
            // An authorization error arrives as an event; the call itself only times out.
            poll_errors(self.0.consumer());
            let last_error = self.0.consumer().context().0.last_error();
            if last_error.and_then(|error| error.code)
                == Some(RDKafkaErrorCode::GroupAuthorizationFailed)
            {
                return Err(KafkaError::OffsetFetch(RDKafkaErrorCode::GroupAuthorizationFailed));
            }
            if !is_temporary(&error) || Instant::now() >= deadline {
                return Err(error);
            }
        }
    }

    /// Returns the offset ranges of the logs whose leaders answer.
    fn logs(&self, committed: &PartitionOffsets) -> Logs {
        match (self.bounds(Bound::Start, committed), self.bounds(Bound::End, committed)) {
            (Ok(starts), Ok(ends)) => log_ranges(&starts, &ends),
            // One unreachable leader fails the request for all.
            _ => self.logs_one_by_one(committed),
        }
    }

    fn bounds(&self, bound: Bound, committed: &PartitionOffsets) -> KafkaResult<PartitionOffsets> {
        let found = self.0.bounds(bound, committed.keys().copied(), METADATA_WAIT_MAX)?;
        found.into_iter().map(|(partition, offset)| Ok((partition, offset?))).collect()
    }

    fn logs_one_by_one(&self, committed: &PartitionOffsets) -> Logs {
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

fn log_ranges(starts: &PartitionOffsets, ends: &PartitionOffsets) -> Logs {
    let logs = starts.iter().filter_map(|(partition, start)| {
        let end = ends.get(partition)?;
        Some((*partition, *start..*end))
    });
    logs.collect()
}

fn has_code(error: &KafkaError, code: RDKafkaErrorCode) -> bool {
    error.rdkafka_error_code() == Some(code)
}

/// Returns whether the error is temporary: the group coordinator is still being elected or loaded,
/// as after a cluster start.
fn is_temporary(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::{
        CoordinatorLoadInProgress, CoordinatorNotAvailable, NotCoordinator, OperationTimedOut,
    };
    let code = error.rdkafka_error_code();
    code.is_some_and(|code| {
        [NotCoordinator, CoordinatorNotAvailable, CoordinatorLoadInProgress, OperationTimedOut]
            .contains(&code)
    })
}

/// Returns one finding for the group, and one for each partition whose offset the log does not
/// hold.
fn compare(
    config: &Config,
    topic: &str,
    committed: &PartitionOffsets,
    logs: &Logs,
) -> Vec<Finding> {
    let group = &config.input.group;
    let subject = format!("consumer group {group}");
    let summary = match committed.len() {
        0 => "nothing is committed yet".to_string(),
        1 => "the offset of 1 partition is committed".to_string(),
        some => format!("offsets of {some} partitions are committed"),
    };
    let mut findings = vec![Finding::new(&subject, Verdict::Pass(summary))];
    let unknown = committed.keys().filter(|partition| !logs.contains_key(partition));
    let unknown: Vec<String> = unknown.map(ToString::to_string).collect();
    if !unknown.is_empty() {
        let text = format!(
            "the committed offsets of partitions {} were not compared with their logs: the partition leaders did not answer",
            unknown.join(", ")
        );
        findings.push(Finding::new(&subject, Verdict::NotPermitted(text)));
    }
    for (partition, offset) in committed {
        let verdict = logs.get(partition).and_then(|log| {
            let bootstrap = config.kafka.bootstrap_servers();
            let reset = || how_to_reset(bootstrap, group, topic, *partition);
            judge(*offset, log, reset)
        });
        let subject = format!("{subject}, topic {topic}, partition {partition}");
        findings.extend(verdict.map(|verdict| Finding::new(subject, verdict)));
    }
    findings
}

/// Returns a verdict if the log does not hold the committed offset.
fn judge(committed: i64, log: &Range<i64>, reset: impl FnOnce() -> String) -> Option<Verdict> {
    let Range { start, end } = log;
    if committed > *end {
        return Some(Verdict::Held(format!(
            "committed up to offset {committed}, but the log ends at {end}: the log was truncated, the topic was deleted and created again, \
             or it was restored from an older copy; the relay holds this partition; {}",
            reset()
        )));
    }
    (committed < *start).then(|| {
        Verdict::Warn(format!(
            "committed up to offset {committed}, but the log begins at {start}: the records between were deleted before they were read; \
             the relay resumes at {start}"
        ))
    })
}

/// Returns instructions for the operator: how to set the offset of a partition whose committed
/// offset its log does not hold.
pub fn how_to_reset(bootstrap: &str, group: &str, topic: &str, partition: i32) -> String {
    format!(
        "choose the offset N to resume from (records before N are not audited again, records from N on are), stop all \
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

    fn texts(committed: &[(i32, i64)], logs: &[(i32, Range<i64>)]) -> Vec<String> {
        let committed = committed.iter().copied().collect();
        let logs = logs.iter().cloned().collect();
        let findings = compare(&config(), "t", &committed, &logs);
        let text = |finding: &Finding| format!("{} {finding}", finding.verdict.word());
        findings.iter().map(text).collect()
    }

    #[test]
    fn an_offset_within_the_log_or_at_its_end_passes() {
        assert_eq!(texts(&[], &[]), ["ok consumer group g: nothing is committed yet"]);
        assert_eq!(
            texts(&[(0, 5), (1, 9), (2, 0)], &[(0, 5..9), (1, 5..9), (2, 0..0)]),
            ["ok consumer group g: offsets of 3 partitions are committed"]
        );
    }

    #[test]
    fn an_offset_past_the_end_is_reported_with_the_command_that_resets_it() {
        let texts = texts(&[(0, 5), (3, 100)], &[(0, 0..5), (3, 2..15)]);
        assert_eq!(texts.len(), 2, "{texts:?}");
        let problem = "PROBLEM consumer group g, topic t, partition 3: committed up to offset 100, but the log ends at 15";
        assert!(texts[1].starts_with(problem), "{texts:?}");
        let command = "kafka-consumer-groups --bootstrap-server b:1 --group g --topic t:3 --reset-offsets --to-offset N --execute";
        assert!(texts[1].ends_with(command), "{texts:?}");
    }

    #[test]
    fn an_offset_before_the_start_is_a_warning() {
        let texts = texts(&[(3, 10)], &[(3, 15..20)]);
        let warning = "WARNING consumer group g, topic t, partition 3: committed up to offset 10, but the log begins at 15";
        assert!(texts[1].starts_with(warning), "{texts:?}");
    }

    #[test]
    fn partitions_that_were_not_compared_are_named() {
        let texts = texts(&[(1, 10), (2, 10), (4, 1)], &[(2, 0..10)]);
        assert_eq!(texts.len(), 2, "{texts:?}");
        assert!(
            texts[1]
                .starts_with("unknown consumer group g: the committed offsets of partitions 1, 4"),
            "{texts:?}"
        );
    }
}
