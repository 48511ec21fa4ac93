//! The loop around the core: it knows partitions, offsets and batches, and asks the small trait
//! [`Broker`] for everything else, time included. So a whole consumer group runs from a seed in the
//! tests. It names no Kafka client.

pub mod batch;
mod batch_timer;
mod cursors;
mod fault;
pub mod keeping;
pub mod outputs;
mod portion;
mod retry_budget;
pub mod unlisted;
pub mod worker;

use std::fmt;
use std::ops::Range;
use std::time::Duration;

use self::keeping::KeptRecord;
use self::outputs::Outputs;
use audit_judge::fate::{Envelope, Quarantine};

pub use fault::PartitionFault;

/// A partition of the input topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Partition(pub i32);

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An input record, borrowed from the client's fetch buffer.
#[derive(Debug, Clone)]
pub struct SourceRecord<'a> {
    /// The partition it was read from.
    pub partition: Partition,
    /// Its offset in that partition.
    pub offset: i64,
    /// Its timestamp, in milliseconds since 1970.
    pub timestamp_ms: Option<i64>,
    /// Its key.
    pub key: Option<&'a [u8]>,
    /// Its value.
    pub payload: Option<&'a [u8]>,
    /// Its headers.
    pub headers: &'a dyn SourceHeaders,
    /// The leader epoch in which it was written, if the broker says.
    pub leader_epoch: Option<i32>,
}

/// The headers of an input record. The client has to read them first, and for most records nobody
/// asks.
pub trait SourceHeaders: fmt::Debug {
    /// The headers, in order; the names as bytes, since nobody has checked that they are text.
    fn read(&self) -> OwnedHeaders;
}

impl SourceHeaders for OwnedHeaders {
    fn read(&self) -> OwnedHeaders {
        self.clone()
    }
}

/// What a poll can bring.
#[derive(Debug)]
pub enum Arrival<'a> {
    /// A record.
    Record(SourceRecord<'a>),
    /// The end of a partition was reached: nothing is left to read before this offset.
    CaughtUp(Partition, i64),
    /// The floor of a partition that was assigned: the group's committed offset, or 0 if it has
    /// none. It comes before the partition's first record or end. No record before it may be
    /// judged.
    Placed(Partition, i64),
    /// Offsets of a partition that will never be read; reading goes on behind them.
    Gap(Partition, Gap),
    /// A partition cannot be read on. What still comes of it is not to be trusted until it was
    /// rewound.
    Faulty(Partition, PartitionFault),
    /// These partitions are now ours as well.
    Assigned(&'a [Partition]),
    /// These partitions were taken from us in good order.
    Revoked(&'a [Partition]),
    /// These partitions were given to others while we were away: nothing of them may be committed.
    Lost(&'a [Partition]),
    /// What the client knows of the group and of the partitions' ends.
    Statistics(GroupStatistics),
}

/// Offsets of a partition that were not read and never will be. They are committed, and so counted,
/// like records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// The offsets.
    pub offsets: Range<i64>,
    /// Why nobody can read them.
    pub cause: GapCause,
}

/// Why offsets are not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GapCause {
    /// They were deleted before they were read.
    Deleted,
    /// They are damaged, and the configuration says to go on behind them.
    PassedOver,
}

/// A look at the consumer group from the client's side.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GroupStatistics {
    /// Whether this member has joined and the group is not rebalancing.
    pub steady: bool,
    /// For each partition that is fetched, the offset that the next record would get (last stable
    /// offset).
    pub end_offsets: Vec<(Partition, i64)>,
}

/// A record to be written, in the transaction of the batch that it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Output<'a> {
    /// The input partition; the output partition follows from it, so that order is kept.
    pub source_partition: Partition,
    /// The offset of the input record.
    pub source_offset: i64,
    /// The timestamp of the input record, in milliseconds since 1970, taken over.
    pub timestamp_ms: Option<i64>,
    /// What is written, and by that, where.
    pub content: Content<'a>,
}

/// The two kinds of records that the relay writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content<'a> {
    /// An audit event, to the topic of its region.
    Event {
        /// Where it goes, and what is said beside it.
        envelope: &'a Envelope,
        /// The event as canonical JSON.
        event: &'a [u8],
    },
    /// An input record, as it was or as a stub, to the quarantine topic.
    Quarantined(&'a QuarantinedRecord),
}

/// Names and values of headers, in order.
pub type OwnedHeaders = Vec<(Vec<u8>, Option<Vec<u8>>)>;

/// An input record that could neither be audited nor skipped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuarantinedRecord {
    /// What is kept of the record.
    pub original: KeptRecord,
    /// Why it is here.
    pub quarantine: Quarantine,
}

/// How far a partition has been read: what is committed for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// The input partition.
    pub partition: Partition,
    /// The offset of the next record to read.
    pub next_offset: i64,
    /// The leader epoch of the last record before it, if that is known: with it the broker can
    /// tell that the record is not in the log any more.
    pub leader_epoch: Option<i32>,
    /// Text committed with the offset, at most 4,096 characters; empty for none.
    pub metadata: String,
}

/// Where a partition goes on after it was rewound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rewound {
    /// The partition.
    pub partition: Partition,
    /// Where it goes on, or why it cannot.
    pub place: Result<Place, PartitionFault>,
}

/// A place from which records may be judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The group's committed offset, or one behind it if the offsets between are passed over; 0 if
    /// the group has none.
    At(i64),
    /// The beginning of another log: the topic was made anew, and what was committed of the old one
    /// means nothing.
    Anew,
}

/// Why a step of the loop did not succeed. The two kinds that can be mended differ in how.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The transaction is certain not to be committed: abort it and go back to the committed
    /// position.
    #[error("transaction aborted: {0}")]
    Aborted(String),
    /// As [`Failure::Aborted`], because a topic takes no batch as large as one that was sent.
    #[error("transaction aborted: {0}")]
    TooLarge(String),
    /// The producer is of no use any more, or the result of a commit is not known: throw the
    /// producer away, build a new one, and go back to the committed position.
    #[error("producer broken: {0}")]
    Broken(String),
    /// As [`Failure::Broken`], because another producer with the same transactional id took over,
    /// or because the broker gave the transaction up.
    #[error("producer fenced: {0}")]
    Fenced(String),
    /// The reference tables cannot be relied on, a right to read was taken away, or the group does
    /// not say where it is: nothing was begun. Go back to the committed position, and try again
    /// later.
    #[error("held: {0}")]
    Held(String),
    /// This client can never read again, though another one of this process can: its membership of
    /// the group was lost in a way that it does not recover from. Close the whole session and
    /// open a new one; too often is [`Failure::Fatal`].
    #[error("consumer dead: {0}")]
    ConsumerDead(String),
    /// The broker still keeps this member's place in the group for a process that was killed. Close
    /// the session, and open one again once the place is free, for as long as that takes.
    #[error("place in the group not released: {0}")]
    Unreleased(String),
    /// Nothing in this process can mend it.
    #[error("{0}")]
    Fatal(String),
}

impl Failure {
    /// The same, with more to say.
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

/// Everything the loop asks of the outside. Every call is bounded in time.
pub trait Broker {
    /// Waits at most `wait` and hands over what arrived, at most `most` records. Rebalances are
    /// handed over before the records that follow them. No transaction is open while this runs.
    ///
    /// # Errors
    /// [`Failure::ConsumerDead`], [`Failure::Unreleased`] or [`Failure::Fatal`] if this consumer
    /// can never read again, [`Failure::Held`] if it must not.
    fn poll(
        &mut self,
        wait: Duration,
        most: usize,
        receive: &mut dyn FnMut(Arrival<'_>),
    ) -> Result<(), Failure>;

    /// Writes the outputs and commits the positions in one transaction.
    ///
    /// # Errors
    /// See [`Failure`]; after any error nothing may be assumed of the outputs until
    /// [`Broker::rewind`].
    fn publish(&mut self, outputs: &Outputs, positions: &[Position]) -> Result<(), Failure>;

    /// Aborts the transaction that failed to be published.
    ///
    /// # Errors
    /// Then the producer has to be rebuilt.
    fn abort(&mut self) -> Result<(), Failure>;

    /// Replaces the producer by a new one with the same transactional id, which ends whatever the
    /// old one left open.
    ///
    /// # Errors
    /// May be tried again.
    fn rebuild(&mut self) -> Result<(), Failure>;

    /// Goes back to the committed position of each of these partitions, or to its beginning if none
    /// was ever committed. Says of each where it goes on; one that cannot does not keep the
    /// others.
    ///
    /// # Errors
    /// If nothing is known of any of them; they may have been moved or not.
    fn rewind(&mut self, partitions: &[Partition]) -> Result<Vec<Rewound>, Failure>;

    /// Keeps the client from reading these partitions until they are rewound. A little of them may
    /// still come.
    ///
    /// # Errors
    /// If that cannot be done now.
    fn park(&mut self, partitions: &[Partition]) -> Result<(), Failure>;

    /// Lets time pass before the next attempt.
    fn pause(&mut self, time: Duration);

    /// Time since some fixed moment, never going back.
    fn now(&self) -> Duration;
}
