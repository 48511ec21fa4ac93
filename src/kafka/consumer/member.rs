//! The consumer's membership in its group: the member that commits, the partitions that it owns,
//! and whether it still takes part in rebalances.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerGroupMetadata};

use super::resume_points::ResumePoints;
use crate::kafka::client::context::LoggingContext;
use crate::kafka::consumer::callbacks::CallbackQueue;
use crate::kafka::native::has_member_id;
use crate::stream::{Failure, GroupEvent, Partition, Polled};

/// A client that reports `steady` without a member id for this long missed a rebalance; a healthy
/// one rejoins at once.
const STALE_MEMBER_MAX: Duration = Duration::from_secs(10);

/// One member of the group, as its client sees it.
#[derive(Default)]
pub(in crate::kafka) struct Member {
    /// The member and generation that own the partitions of the batch. Commits use them.
    pub membership: Option<ConsumerGroupMetadata>,
    pub owned: BTreeSet<Partition>,
    /// Since when the client has been `steady` without a member id. A time, not a count: after a
    /// long call the statistics from before it arrive together.
    stale_since: Option<Instant>,
}

impl Member {
    /// Passes on the events that the callbacks queued during the last poll.
    pub(super) fn follow(
        &mut self,
        consumer: &BaseConsumer<LoggingContext<CallbackQueue>>,
        points: &mut ResumePoints,
        receive: &mut dyn FnMut(Polled<'_>),
    ) {
        while let Some(event) = consumer.context().0.take() {
            match &event {
                GroupEvent::Assigned(partitions) => {
                    self.membership = current_membership(consumer);
                    self.owned.extend(partitions);
                    points.assigned(partitions);
                }
                GroupEvent::Revoked(partitions) => self.give_up(partitions, points),
                GroupEvent::Lost(partitions) => {
                    self.membership = None;
                    self.give_up(partitions, points);
                }
                GroupEvent::Statistics(statistics) => {
                    let is_stale = statistics.steady && !has_member_id(consumer.client());
                    let since = || self.stale_since.unwrap_or_else(Instant::now);
                    self.stale_since = is_stale.then(since);
                }
            }
            receive(Polled::Group(&event));
        }
    }

    /// Fails if the client was dropped from its group without noticing. It can then miss every
    /// later rebalance and believe itself a member forever (`docs/reliability.md`).
    pub(super) fn check(&self) -> Result<(), Failure> {
        let is_over = |since: Instant| since.elapsed() > STALE_MEMBER_MAX;
        if !self.stale_since.is_some_and(is_over) {
            return Ok(());
        }
        Err(Failure::ConsumerDead(
            "the consumer was dropped from its group without noticing (a librdkafka bug)"
                .to_string(),
        ))
    }

    fn give_up(&mut self, partitions: &[Partition], points: &mut ResumePoints) {
        self.owned.retain(|partition| !partitions.contains(partition));
        points.unassigned(partitions);
    }
}

/// Returns the membership, unless the client knows that it was lost. A client that was removed from
/// the group has forgotten its member id, and the broker would accept its commit as that of a group
/// without members. The order of the checks matters: the client marks a loss before it can return
/// the empty member id.
pub(in crate::kafka) fn current_membership(
    consumer: &BaseConsumer<LoggingContext<CallbackQueue>>,
) -> Option<ConsumerGroupMetadata> {
    let membership = consumer.group_metadata();
    membership.filter(|_| !consumer.assignment_lost() && has_member_id(consumer.client()))
}
