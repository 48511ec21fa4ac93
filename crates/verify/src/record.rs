//! What a verifier is given: the records of a trail, as they were read.

use std::fmt;

use audit_chain::hash::leaf::RecordHeader;
use audit_chain::name::StreamName;

/// A record of an output topic. It is borrowed, since it is looked at once.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    /// Its offset in the partition.
    pub offset: u64,
    /// Its timestamp, in milliseconds since 1970.
    pub timestamp_ms: i64,
    /// Its key, which may be null.
    pub key: Option<&'a [u8]>,
    /// Its value, which may be null.
    pub value: Option<&'a [u8]>,
    /// All its headers, in order.
    pub headers: &'a [RecordHeader<'a>],
    /// Whether it was written after the seals were read, so that its seal may not have been seen.
    pub is_newer_than_seals: bool,
}

/// A record of the checkpoints topic.
#[derive(Debug, Clone, Copy)]
pub struct SealRecord<'a> {
    /// The partition of the checkpoints topic.
    pub partition: u32,
    /// Its offset in the partition.
    pub offset: u64,
    /// Its key: the name of the set.
    pub key: Option<&'a [u8]>,
    /// Its value: the signed note.
    pub value: Option<&'a [u8]>,
    /// Whether it has headers, which a seal has not.
    pub has_headers: bool,
}

/// Where a record of an output stands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The topic: that of a region, the quarantine or the replays' state.
    pub output: StreamName,
    /// The partition.
    pub partition: u32,
    /// The offset.
    pub offset: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} partition {} offset {}", self.output, self.partition, self.offset)
    }
}

impl fmt::Display for SealRecord<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "checkpoints partition {} offset {}", self.partition, self.offset)
    }
}
