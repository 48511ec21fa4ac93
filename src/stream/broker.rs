//! The seam between the loop and Kafka: the trait [`Broker`], what a poll brings, and how a step
//! can fail.

use std::ops::Range;
use std::time::Duration;

use super::fault::PartitionFault;
use super::record::{Partition, Position, SourceLog, SourceRecord};
use super::sealer::{SealLog, Transaction};

/// One thing that a poll brings.
#[derive(Debug)]
pub enum Polled<'a> {
    /// A record.
    Record(SourceRecord<'a>),
    /// Something about one partition, in order with its records.
    Partition(Partition, PartitionEvent<'a>),
    /// Something about the consumer group. It comes before the records that follow it.
    Group(&'a GroupEvent),
}

/// An event of one partition.
#[derive(Debug)]
pub enum PartitionEvent<'a> {
    /// The place from which an assigned partition is read: its floor. It comes before the
    /// partition's first record or end. No record before it may be judged.
    Placed(ResumePoint),
    /// The end of the partition: there is nothing to read before this offset.
    End {
        /// The offset that the next record would get.
        offset: i64,
        /// The log that ends there.
        log: &'a dyn SourceLog,
    },
    /// The partition cannot be read. Whatever still comes of it is not to be trusted until it is
    /// rewound.
    Failed(PartitionFault),
}

/// An event of the consumer group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupEvent {
    /// Partitions that this member owns from now on, besides those it has; may be none.
    Assigned(Vec<Partition>),
    /// Partitions that were taken away in an orderly rebalance.
    Revoked(Vec<Partition>),
    /// Partitions that other members may own already: nothing of them may be committed.
    Lost(Vec<Partition>),
    /// The client's view of the group and of the partitions' ends.
    Statistics(GroupStatistics),
}

/// The consumer group and its input, as the client sees them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GroupStatistics {
    /// Whether this member has joined and the group is not rebalancing.
    pub steady: bool,
    /// For each fetched partition, the offset that the next record would get (the last stable
    /// offset).
    pub end_offsets: Vec<(Partition, i64)>,
}

/// Where reading resumes in a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResumePoint {
    /// At the position that the group committed.
    At(Position),
    /// At the beginning of the log, wherever that is: the group has committed nothing.
    Beginning,
    /// At the beginning of another log: the topic was deleted and created again, and what was
    /// committed of the old one means nothing.
    NewLog,
}

/// The result of rewinding one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rewound {
    /// The partition.
    pub partition: Partition,
    /// Where it resumes, or why it cannot.
    pub place: Result<ResumePoint, PartitionFault>,
}

/// Offsets of a partition that were not read and never will be. They are committed, and so counted,
/// like records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// The offsets.
    pub offsets: Range<i64>,
    /// Why they cannot be read.
    pub cause: GapCause,
}

/// Why offsets are not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GapCause {
    /// They were deleted before they were read.
    Deleted,
    /// They cannot be read, and the configuration lists them in `input.pass_over`.
    PassedOver,
}

/// Offsets of a partition that the loop may skip if they cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassOver {
    /// The partition.
    pub partition: Partition,
    /// The offsets.
    pub offsets: Range<i64>,
}

/// Why a step of the loop failed. Each kind has its own way to recover.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The transaction is certain not to be committed: abort it and go back to the committed
    /// position.
    #[error("transaction aborted: {0}")]
    Aborted(String),
    /// Like [`Failure::Aborted`], because a topic does not accept a batch as large as one that was
    /// sent.
    #[error("transaction aborted: {0}")]
    TooLarge(String),
    /// The producer cannot be used any more, or the result of a commit is unknown: replace the
    /// producer and go back to the committed position.
    #[error("producer broken: {0}")]
    Broken(String),
    /// Like [`Failure::Broken`], because another producer with the same transactional id took over,
    /// or because the broker timed the transaction out.
    #[error("producer fenced: {0}")]
    Fenced(String),
    /// Nothing was begun, because the reference tables cannot be relied on, an ACL was removed, or
    /// the committed offsets cannot be read. Go back to the committed position and try again later.
    #[error("held: {0}")]
    Held(String),
    /// This client can never read again, but a new one can: its membership of the group was lost in
    /// a way that it does not recover from. Close the session and open a new one; too often is
    /// [`Failure::Fatal`].
    #[error("consumer dead: {0}")]
    ConsumerDead(String),
    /// The broker still reserves this static member's place for a process that was killed. Close
    /// the session and open one again once the place is free, for as long as that takes.
    #[error("place in the group not released: {0}")]
    Unreleased(String),
    /// This process cannot recover from it.
    #[error("{0}")]
    Fatal(String),
}

impl Failure {
    /// Appends to the message.
    #[must_use]
    pub fn with(self, more: &str) -> Self {
        match self {
            Failure::Aborted(what) => Failure::Aborted(what + more),
            Failure::TooLarge(what) => Failure::TooLarge(what + more),
            Failure::Broken(what) => Failure::Broken(what + more),
            Failure::Fenced(what) => Failure::Fenced(what + more),
            Failure::Held(what) => Failure::Held(what + more),
            Failure::ConsumerDead(what) => Failure::ConsumerDead(what + more),
            Failure::Unreleased(what) => Failure::Unreleased(what + more),
            Failure::Fatal(what) => Failure::Fatal(what + more),
        }
    }
}

/// Everything the loop needs from outside. Every call is bounded in time.
pub trait Broker {
    /// Waits at most `wait` and hands over what arrived, at most `most` records. No transaction is
    /// open meanwhile.
    ///
    /// # Errors
    /// [`Failure::ConsumerDead`], [`Failure::Unreleased`] or [`Failure::Fatal`] if this consumer
    /// can never read again, [`Failure::Held`] if it must not read now.
    fn poll(
        &mut self,
        wait: Duration,
        most: usize,
        receive: &mut dyn FnMut(Polled<'_>),
    ) -> Result<(), Failure>;

    /// Writes the outputs and their seals and commits the positions, in one transaction.
    ///
    /// # Errors
    /// See [`Failure`]. After any error the state of the outputs is unknown until
    /// [`Broker::rewind`].
    fn publish(&mut self, transaction: &Transaction<'_>) -> Result<(), Failure>;

    /// Returns what sealing asks of the cluster; `None` where nothing is sealed.
    fn seal_log(&mut self) -> Option<&mut dyn SealLog> {
        None
    }

    /// Aborts the transaction that failed to be published.
    ///
    /// # Errors
    /// If the producer has to be rebuilt.
    fn abort(&mut self) -> Result<(), Failure>;

    /// Replaces the producer by a new one with the same transactional id, which ends any
    /// transaction that the old one left open.
    ///
    /// # Errors
    /// See [`Failure`]; the call may be repeated.
    fn rebuild(&mut self) -> Result<(), Failure>;

    /// Goes back to the committed position of each of these partitions, or to its beginning if
    /// nothing was committed. A partition that cannot be moved does not stop the others.
    ///
    /// # Errors
    /// If nothing is known of any of them; they may have been moved or not.
    fn rewind(&mut self, partitions: &[Partition]) -> Result<Vec<Rewound>, Failure>;

    /// Moves one partition to an offset that the group has not committed, or to the end of its log
    /// if that comes first. Returns where it resumes, or why it cannot.
    ///
    /// # Errors
    /// If this consumer can never read again.
    fn skip_to(
        &mut self,
        partition: Partition,
        offset: i64,
    ) -> Result<Result<i64, PartitionFault>, Failure>;

    /// Stops reading these partitions until they are rewound. A few more of their records may still
    /// arrive.
    ///
    /// # Errors
    /// If that is not possible now.
    fn park(&mut self, partitions: &[Partition]) -> Result<(), Failure>;

    /// Lets time pass before the next attempt.
    fn pause(&mut self, time: Duration);

    /// Returns the time since a fixed moment; it never goes back.
    fn now(&self) -> Duration;
}
