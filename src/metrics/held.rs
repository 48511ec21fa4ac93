//! Messages about held partitions, for the log, now and then, and for `/readyz`. Each names the
//! place and the remedy.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tracing::warn;

use crate::kafka::check::how_to_reset;
use crate::stream::{Partition, PartitionFault};

/// Shortest interval between log lines about a partition that stays held for the same reason.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// Names the input in messages and commands for the operator.
#[derive(Debug, Clone)]
pub struct InputName {
    /// The topic.
    pub topic: String,
    /// The consumer group.
    pub group: String,
    /// The bootstrap servers.
    pub bootstrap: String,
}

/// The partitions of one worker that are held.
#[derive(Debug)]
pub(super) struct HeldPartitions {
    input: InputName,
    held: BTreeMap<Partition, Logged>,
}

/// The last log line about a partition.
#[derive(Debug)]
struct Logged {
    reason: &'static str,
    at: Instant,
}

impl HeldPartitions {
    pub(super) fn new(input: InputName) -> Self {
        HeldPartitions { input, held: BTreeMap::new() }
    }

    /// Notes that a partition is held, on this attempt in a row, and logs it if that is due.
    /// Returns the message.
    pub(super) fn hold(
        &mut self,
        worker: usize,
        partition: Partition,
        fault: &PartitionFault,
        attempt: u32,
    ) -> String {
        let text = self.describe(partition, fault);
        let reason = fault.reason();
        let is_due =
            |logged: &Logged| logged.reason != reason || logged.at.elapsed() > LOG_INTERVAL;
        if self.held.get(&partition).is_none_or(is_due) {
            let at = Instant::now();
            self.held.insert(partition, Logged { reason, at });
            warn!(worker, %partition, reason, attempt, "{text}");
        }
        text
    }

    /// Notes that a partition is no longer held. Returns whether it was.
    pub(super) fn release(&mut self, partition: Partition) -> bool {
        self.held.remove(&partition).is_some()
    }

    /// Forgets partitions that the worker does not own any more.
    pub(super) fn forget(&mut self, partitions: &[Partition]) {
        for partition in partitions {
            self.held.remove(partition);
        }
    }

    fn describe(&self, partition: Partition, fault: &PartitionFault) -> String {
        let topic = &self.input.topic;
        let remedy = self.remedy(partition, fault);
        format!(
            "partition {partition} of topic {topic:?} is held, the others continue: {fault}; retrying every few seconds{remedy}"
        )
    }

    fn remedy(&self, partition: Partition, fault: &PartitionFault) -> String {
        match fault {
            PartitionFault::Unreadable { offset, .. } => format!(
                "; if the log is permanently damaged there, find the last offset of the batch with kafka-dump-log and set pass_over = [\"{partition}:{offset}-LAST\"] in [input]: skipped offsets are counted and logged"
            ),
            PartitionFault::BehindEnd { .. } | PartitionFault::WentBack { .. } => {
                let InputName {
                    topic,
                    group,
                    bootstrap,
                } = &self.input;
                let reset = how_to_reset(bootstrap, group, topic, partition.0);
                format!(
                    "; the log was truncated, recreated, or restored from a shorter copy: {reset}"
                )
            }
            PartitionFault::Unpublishable { .. } => {
                "; create the topic if it is missing, or make it accept the record, for example by its max.message.bytes".to_string()
            }
            // What to do about a chain stands in its cause.
            PartitionFault::Unplaced { .. } | PartitionFault::Unsealable { .. } => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_names_the_place_and_the_remedy() {
        let input = InputName {
            topic: "changes".to_string(),
            group: "relays".to_string(),
            bootstrap: "b:9092".to_string(),
        };
        let mut held = HeldPartitions::new(input);
        let damaged = PartitionFault::Unreadable { offset: 1200, cause: "bad CRC".to_string() };
        let behind = PartitionFault::BehindEnd { committed: 100, end: 15 };
        let unpublishable = PartitionFault::Unpublishable {
            offset: 7,
            cause: "unknown topic audit.eu-de".to_string(),
        };
        let cases = [
            (
                &unpublishable,
                vec!["offset 7", "audit.eu-de", "create the topic", "max.message.bytes"],
            ),
            (
                &damaged,
                vec!["partition 3 of topic \"changes\"", "offset 1200: bad CRC", "3:1200-LAST"],
            ),
            (
                &behind,
                vec![
                    "offset 100",
                    "which is 15",
                    "--bootstrap-server b:9092 --group relays --topic changes:3 --reset-offsets",
                ],
            ),
        ];
        for (fault, parts) in cases {
            let text = held.hold(0, Partition(3), fault, 1);
            for part in parts {
                assert!(text.contains(part), "{part} in {text}");
            }
        }
        assert!(held.release(Partition(3)) && !held.release(Partition(3)));
    }
}
