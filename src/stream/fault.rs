//! Why one partition is held while the others of its worker go on.

/// What is wrong with a partition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PartitionFault {
    /// The client cannot read on from this offset: the log is damaged there, or a record is larger
    /// than the client takes.
    #[error("cannot be read at offset {offset}: {cause}")]
    Unreadable {
        /// Where reading fails.
        offset: i64,
        /// What the client says.
        cause: String,
    },
    /// The group's committed offset lies behind the end of the log: the log was truncated, or
    /// replaced by a shorter one.
    #[error("the committed offset {committed} is behind the end of the log, which is {end}")]
    BehindEnd {
        /// The group's committed offset.
        committed: i64,
        /// The offset that the next record would get.
        end: i64,
    },
    /// The client went on before the floor, where everything was judged already.
    #[error(
        "reading went back to offset {offset}, but everything before {floor} was judged already"
    )]
    WentBack {
        /// Where the client went on.
        offset: i64,
        /// The first offset that may be judged.
        floor: i64,
    },
    /// The output of this record cannot be written, however small the batch is.
    #[error("the output of offset {offset} cannot be written: {cause}")]
    Unpublishable {
        /// The offset of the record.
        offset: i64,
        /// Why the last transaction failed.
        cause: String,
    },
    /// It is not known where reading is to go on.
    #[error("the committed offset is not known: {cause}")]
    Unplaced {
        /// What was asked for, and why there is no answer.
        cause: String,
    },
}

impl PartitionFault {
    /// All that [`PartitionFault::reason`] can be.
    pub const REASONS: [&str; 5] =
        ["unreadable", "behind_end", "went_back", "unpublishable", "unplaced"];

    /// As metrics say it.
    pub const fn reason(&self) -> &'static str {
        match self {
            PartitionFault::Unreadable { .. } => "unreadable",
            PartitionFault::BehindEnd { .. } => "behind_end",
            PartitionFault::WentBack { .. } => "went_back",
            PartitionFault::Unpublishable { .. } => "unpublishable",
            PartitionFault::Unplaced { .. } => "unplaced",
        }
    }
}
