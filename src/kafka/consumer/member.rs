//! How a consumer stands in its group: for whom a commit speaks, what it owns, and whether it still
//! hears of the group.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerGroupMetadata};

use super::placing::Placing;
use crate::kafka::client::context::Logged;
use crate::kafka::consumer::callbacks::{CallbackQueue, Event};
use crate::kafka::native::has_member_id;
use crate::stream::{Arrival, Failure, Partition};

/// A client that rests for so long in a group without being a member is deaf to it. One that is
/// well joins again at once.
const LONGEST_DEAF: Duration = Duration::from_secs(10);

/// One member of the group, as its client sees it.
#[derive(Default)]
pub(in crate::kafka) struct Member {
    /// For whom a commit speaks: the member and generation that own the partitions of the batch.
    pub membership: Option<ConsumerGroupMetadata>,
    pub owned: BTreeSet<Partition>,
    /// Since when the client seems deaf to its group. Not how often: after a long call statistics
    /// from before it come in a row.
    deaf_since: Option<Instant>,
}

impl Member {
    /// Hands over what the callbacks of the last poll reported.
    pub(super) fn follow(
        &mut self,
        consumer: &BaseConsumer<Logged<CallbackQueue>>,
        placing: &mut Placing,
        receive: &mut dyn FnMut(Arrival<'_>),
    ) {
        while let Some(event) = consumer.context().0.take() {
            match event {
                Event::Assigned(partitions) => {
                    self.membership = current_membership(consumer);
                    self.owned.extend(&partitions);
                    placing.assigned(&partitions);
                    receive(Arrival::Assigned(&partitions));
                }
                Event::Revoked(partitions) => {
                    self.give_up(&partitions);
                    placing.gone(&partitions);
                    receive(Arrival::Revoked(&partitions));
                }
                Event::Lost(partitions) => {
                    self.membership = None;
                    self.give_up(&partitions);
                    placing.gone(&partitions);
                    receive(Arrival::Lost(&partitions));
                }
                Event::Statistics(statistics) => {
                    let is_deaf = statistics.steady && !has_member_id(consumer.client());
                    self.deaf_since = is_deaf.then(|| self.deaf_since.unwrap_or_else(Instant::now));
                    receive(Arrival::Statistics(statistics));
                }
            }
        }
    }

    /// A client can come to answer no rebalance any more, and believe itself a member for ever
    /// (`docs/reliability.md`).
    pub(super) fn check(&self) -> Result<(), Failure> {
        let is_over = |since: Instant| since.elapsed() > LONGEST_DEAF;
        if !self.deaf_since.is_some_and(is_over) {
            return Ok(());
        }
        Err(Failure::ConsumerDead(
            "the consumer does not notice that its group has gone on without it".to_string(),
        ))
    }

    fn give_up(&mut self, partitions: &[Partition]) {
        self.owned.retain(|partition| !partitions.contains(partition));
    }
}

/// The membership, unless the client knows that it has been lost. A client that was thrown out has
/// forgotten its member id, and the broker would take its commit for one of a group without
/// members. Looked at in this order: the client marks the loss, if it does, before it can hand out
/// the empty member id.
pub(in crate::kafka) fn current_membership(
    consumer: &BaseConsumer<Logged<CallbackQueue>>,
) -> Option<ConsumerGroupMetadata> {
    let membership = consumer.group_metadata();
    membership.filter(|_| !consumer.assignment_lost() && has_member_id(consumer.client()))
}
