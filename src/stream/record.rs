//! Input records, and the positions up to which they were read.

use std::fmt;

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
    /// The leader epoch in which it was written, if the broker reports it.
    pub leader_epoch: Option<i32>,
    /// The log that it was read from.
    pub log: &'a dyn SourceLog,
}

/// Names and values of headers, in order.
pub type OwnedHeaders = Vec<(Vec<u8>, Option<Vec<u8>>)>;

/// The headers of an input record, parsed on demand: few records need them.
pub trait SourceHeaders: fmt::Debug {
    /// Returns the headers, in order. The names are bytes, since Kafka does not check that they are
    /// text.
    fn read(&self) -> OwnedHeaders;
}

impl SourceHeaders for OwnedHeaders {
    fn read(&self) -> OwnedHeaders {
        self.clone()
    }
}

/// The log of an input partition. A question costs about as much as judging a record, so it is
/// asked only where offsets are missing.
pub trait SourceLog: fmt::Debug {
    /// Returns the first offset that the log holds, as the client's last fetch reported it.
    fn first_offset(&self) -> Option<i64>;
}

/// A log whose first offset is known already.
impl SourceLog for Option<i64> {
    fn first_offset(&self) -> Option<i64> {
        *self
    }
}

/// How far a partition has been read: what is committed for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// The input partition.
    pub partition: Partition,
    /// The offset of the next record to read.
    pub next_offset: i64,
    /// The leader epoch of the last record before it, if known. It lets the broker tell whether
    /// that record is still in the log.
    pub leader_epoch: Option<i32>,
    /// Text committed with the offset, at most 4,096 characters; empty for none.
    pub metadata: String,
}
