//! Why one partition is held while its worker continues with the others.

/// The fault of a held partition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PartitionFault {
    /// The client cannot read past this offset: the log is damaged there, or a record is larger
    /// than the client accepts.
    #[error("cannot be read at offset {offset}: {cause}")]
    Unreadable {
        /// Where reading fails.
        offset: i64,
        /// The client's error.
        cause: String,
    },
    /// The group's committed offset lies beyond the end of the log: the log was truncated, or
    /// replaced by a shorter one.
    #[error("the committed offset {committed} is beyond the end of the log, which is {end}")]
    BehindEnd {
        /// The group's committed offset.
        committed: i64,
        /// The offset that the next record would get.
        end: i64,
    },
    /// The client resumed below the floor, where everything was judged already.
    #[error("reading regressed to offset {offset}, but all records before {floor} were judged")]
    WentBack {
        /// Where the client resumed.
        offset: i64,
        /// The first offset that may be judged.
        floor: i64,
    },
    /// The output of this record cannot be written, not even in a batch of its own.
    #[error("the output of offset {offset} cannot be written: {cause}")]
    Unpublishable {
        /// The offset of the record.
        offset: i64,
        /// Why the last transaction failed.
        cause: String,
    },
    /// The offset at which to resume is not known.
    #[error("the committed offset is not known: {cause}")]
    Unplaced {
        /// Which request failed, and why.
        cause: String,
    },
    /// The chains of the partition must not be continued, or cannot be.
    #[error("cannot be sealed: {cause}")]
    Unsealable {
        /// Why, and what to do.
        cause: String,
    },
}

impl PartitionFault {
    /// All values of [`PartitionFault::reason`].
    pub const REASONS: [&str; 6] =
        ["unreadable", "behind_end", "went_back", "unpublishable", "unplaced", "unsealable"];

    /// Returns the label value that metrics use.
    pub const fn reason(&self) -> &'static str {
        match self {
            PartitionFault::Unreadable { .. } => "unreadable",
            PartitionFault::BehindEnd { .. } => "behind_end",
            PartitionFault::WentBack { .. } => "went_back",
            PartitionFault::Unpublishable { .. } => "unpublishable",
            PartitionFault::Unplaced { .. } => "unplaced",
            PartitionFault::Unsealable { .. } => "unsealable",
        }
    }
}
