//! Looks up the input's partitions and their end offsets on a connection of its own: the watchdog
//! must not rely on what a worker's consumer believes. It reads no records and belongs to no group.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use rdkafka::error::KafkaError;

use crate::config::Config;
use crate::kafka::client::context::PlainContext;
use crate::kafka::client::lookup::{Bound, TopicLookup};
use crate::kafka::settings;
use crate::kafka::topics::partition_count;
use crate::stream::Partition;

/// Longest wait for an answer.
const LOOKUP_WAIT_MAX: Duration = Duration::from_secs(5);
/// The same for a single partition, and for all partitions that are looked up one by one.
const ONE_WAIT_MAX: Duration = Duration::from_secs(1);
const ONE_BY_ONE_WAIT_MAX: Duration = Duration::from_secs(5);

/// A client that looks up end offsets.
pub struct InputEndOffsets {
    input: TopicLookup<PlainContext>,
    /// Partitions that did not answer when they were looked up alone.
    silent: BTreeSet<Partition>,
}

impl InputEndOffsets {
    /// Creates the client. It does not connect yet.
    ///
    /// # Errors
    /// Fails if the client cannot be created.
    pub fn new(config: &Config) -> Result<Self, KafkaError> {
        let client = settings::follower(config, "watchdog");
        Ok(InputEndOffsets {
            input: TopicLookup::new(
                client.create_with_context(PlainContext::default())?,
                &config.input.topic,
            ),
            silent: BTreeSet::new(),
        })
    }

    /// Returns for each partition the offset after its last readable record. Partitions whose
    /// brokers do not answer are left out. Call it even without partitions: it serves the client's
    /// own events.
    pub fn look_up(
        &mut self,
        partitions: impl Iterator<Item = Partition>,
    ) -> BTreeMap<Partition, i64> {
        self.input.serve();
        let partitions: Vec<Partition> = partitions.collect();
        if partitions.is_empty() {
            return BTreeMap::new();
        }
        // The client answers for all partitions or for none: one partition without a leader would
        // hide the others.
        self.ask(&partitions, LOOKUP_WAIT_MAX).unwrap_or_else(|_| {
            let since = Instant::now();
            let mut silent = std::mem::take(&mut self.silent);
            let ends = one_by_one(&partitions, &mut silent, |partition| {
                let left = ONE_BY_ONE_WAIT_MAX.checked_sub(since.elapsed())?;
                let ends = self.ask(&[partition], left.min(ONE_WAIT_MAX));
                Some(ends.ok().and_then(|ends| ends.get(&partition).copied()))
            });
            self.silent = silent;
            ends
        })
    }

    /// Returns how many partitions the input has; `None` if the cluster does not say at once.
    pub fn partition_count(&self) -> Option<usize> {
        let count = partition_count(self.input.consumer(), self.input.topic(), ONE_WAIT_MAX);
        usize::try_from(count.ok()?).ok()
    }

    fn ask(
        &self,
        partitions: &[Partition],
        limit: Duration,
    ) -> Result<BTreeMap<Partition, i64>, KafkaError> {
        let numbers = partitions.iter().map(|partition| partition.0);
        let ends = self.input.bounds(Bound::End, numbers, limit)?.into_iter();
        Ok(ends.filter_map(|(number, end)| Some((Partition(number), end.ok()?))).collect())
    }
}

/// Looks up each partition alone, until no time is left (the outer `None`). Partitions that did not
/// answer are remembered in `silent` and come last the next time, since they use up all the time.
fn one_by_one(
    partitions: &[Partition],
    silent: &mut BTreeSet<Partition>,
    mut ask: impl FnMut(Partition) -> Option<Option<i64>>,
) -> BTreeMap<Partition, i64> {
    let mut order = partitions.to_vec();
    order.sort_by_key(|partition| silent.contains(partition));
    let mut ends = BTreeMap::new();
    for partition in order {
        match ask(partition) {
            None => break,
            Some(Some(end)) => {
                silent.remove(&partition);
                ends.insert(partition, end);
            }
            Some(None) => {
                silent.insert(partition);
            }
        }
    }
    ends
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_without_an_answer_do_not_hide_the_others() {
        let partitions: Vec<Partition> = (0..6).map(Partition).collect();
        let mut silent = BTreeSet::new();
        let mut look = |seconds: u64| {
            // A partition without a leader takes a second, the others no time.
            let mut left = seconds;
            let ends = one_by_one(&partitions, &mut silent, |Partition(number)| {
                if number > 2 {
                    return Some(Some(100 + i64::from(number)));
                }
                left = left.checked_sub(1)?;
                Some(None)
            });
            ends.keys().map(|partition| partition.0).collect::<Vec<_>>()
        };
        assert_eq!(look(3), [3, 4, 5], "there was time for all");
        assert_eq!(look(0), [3, 4, 5], "those that answer come first");
        let mut silent = BTreeSet::from([Partition(0)]);
        let ends = one_by_one(&partitions[..1], &mut silent, |_| Some(Some(7)));
        assert_eq!(ends, BTreeMap::from([(Partition(0), 7)]));
        assert!(silent.is_empty(), "it answers again");
    }
}
