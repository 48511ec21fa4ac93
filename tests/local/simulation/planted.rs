//! Planted faults: deliberate bugs, one for each rule that the loop and its edge must keep, each
//! with the violation that reveals it. Production code has no hooks for them: they are in the seam
//! (`seam.rs`) or in the files that simulate the edge. The simulation must catch all of them, which
//! proves that a run without violations means something.

use super::oracle::Violation;

/// A deliberate bug that breaks one rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlantedFault {
    /// After a failure, reading continues without a rewind.
    NoRewind,
    /// A partition that could not be rewound is treated as if it had been.
    RewindFailureIgnored,
    /// Committed offsets are used although an open transaction is about to change them.
    UnstableOffsetsUsed,
    /// Every rewind fails with an error that is retried forever.
    RewindNeverSucceeds,
    /// Committed positions are too high by this much.
    OffsetShifted(i64),
    /// Outputs are written in reverse order.
    OutputsReversed,
    /// Outputs are written to the wrong region.
    WrongRegions,
    /// A batch without outputs is not committed.
    EmptyBatchesNotCommitted,
    /// A batch is counted before it is committed.
    CountedBeforeCommit,
    /// Revocations are not delivered to the worker.
    RevocationNotDelivered,
    /// Losses of partitions are not delivered to the worker.
    LossNotDelivered,
    /// The outputs of a failed publication are written again with the next one.
    BatchNotCleared,
    /// After an unknown result the same producer commits again and continues.
    NoRebuild,
    /// After an unknown result the same producer aborts and continues.
    AbortInsteadOfRebuild,
    /// The positions are committed in a separate transaction.
    PositionsInOwnTransaction,
    /// A commit whose result is unknown is treated as done.
    UnknownResultTakenForSuccess,
    /// An expelled client commits without a member id, as if it belonged to no group.
    MembershipAfterLoss,
    /// A process that is fenced in the group keeps fencing its successor's producer.
    ConsumerNotChecked,
    /// The session of a stale member is not closed.
    StaleMemberIgnored,
    /// The producer keeps its epoch although the client may have sent a request twice.
    ResendIgnored,
    /// The producer keeps its epoch after a failed call whose request may still arrive.
    LateFailureIgnored,
    /// A failed commit that may still arrive is aborted instead of costing the producer.
    LateCommitAborted,
    /// The loop gets 0 as the floor of each assigned partition.
    FloorNotDelivered,
    /// The loop trusts an offset of the group that is older than one that the group confirmed.
    StalePositionsTrusted,
    /// The client skips one record more than those that cannot be read.
    SkippedTooFar,
    /// A fate that rests on a missing table entry is final at once.
    NoBarrier,
    /// The barrier passes without asking for the ends of the tables' topics.
    BarrierSkipped,
    /// Tables that have been silent for too long are used.
    StaleTablesTrusted,
    /// After a failure a partition's chains are not read from the committed state again.
    ChainsNotReloaded,
    /// The chains count as committed before the transaction is, and stay so if it fails.
    ChainsNotRestored,
    /// The seals of one partition are not written.
    SealNotWritten,
    /// Each partition's offset is committed with the chains of another.
    MetadataOfAnotherPartition,
    /// Offsets are committed without the state of their chains.
    MetadataNotCommitted,
}

impl PlantedFault {
    /// Whether only a sealed run can show it.
    pub fn needs_seals(self) -> bool {
        matches!(
            self,
            PlantedFault::ChainsNotReloaded
                | PlantedFault::ChainsNotRestored
                | PlantedFault::SealNotWritten
                | PlantedFault::MetadataOfAnotherPartition
                | PlantedFault::MetadataNotCommitted
        )
    }
}

/// A planted fault, and the violation that must reveal it.
pub type Planted = (PlantedFault, fn(&Violation) -> bool);

fn lost(violation: &Violation) -> bool {
    matches!(violation, Violation::Lost(..))
}

fn doubled(violation: &Violation) -> bool {
    matches!(violation, Violation::Doubled(..))
}

fn torn(violation: &Violation) -> bool {
    matches!(violation, Violation::Torn(..))
}

fn stalled(violation: &Violation) -> bool {
    matches!(violation, Violation::Stalled(..))
}

fn unproven(violation: &Violation) -> bool {
    matches!(violation, Violation::Unproven(_))
}

pub const PLANTED: &[Planted] = &[
    (PlantedFault::NoRewind, lost),
    (PlantedFault::RewindFailureIgnored, lost),
    (PlantedFault::UnstableOffsetsUsed, doubled),
    (PlantedFault::RewindNeverSucceeds, |v| matches!(v, Violation::Livelocked(_))),
    (PlantedFault::OffsetShifted(1), lost),
    (PlantedFault::OffsetShifted(-1), doubled),
    (PlantedFault::OutputsReversed, |v| matches!(v, Violation::Reordered(..))),
    (PlantedFault::WrongRegions, |v| matches!(v, Violation::Changed(..))),
    (PlantedFault::EmptyBatchesNotCommitted, stalled),
    (PlantedFault::CountedBeforeCommit, |v| matches!(v, Violation::Unaccounted(_))),
    (PlantedFault::RevocationNotDelivered, doubled),
    (PlantedFault::LossNotDelivered, doubled),
    (PlantedFault::BatchNotCleared, doubled),
    (PlantedFault::NoRebuild, torn),
    (PlantedFault::AbortInsteadOfRebuild, torn),
    (PlantedFault::PositionsInOwnTransaction, doubled),
    (PlantedFault::UnknownResultTakenForSuccess, lost),
    (PlantedFault::MembershipAfterLoss, doubled),
    (PlantedFault::ConsumerNotChecked, |v| matches!(v, Violation::FencedSuccessor(_))),
    (PlantedFault::StaleMemberIgnored, stalled),
    (PlantedFault::ResendIgnored, doubled),
    (PlantedFault::ResendIgnored, lost),
    (PlantedFault::ResendIgnored, |v| matches!(v, Violation::Regressed(..))),
    (PlantedFault::LateFailureIgnored, |v| {
        matches!(v, Violation::Regressed(..)) || lost(v) || doubled(v)
    }),
    (PlantedFault::LateCommitAborted, torn),
    (PlantedFault::FloorNotDelivered, doubled),
    (PlantedFault::StalePositionsTrusted, doubled),
    (PlantedFault::SkippedTooFar, lost),
    (PlantedFault::NoBarrier, lost),
    (PlantedFault::BarrierSkipped, lost),
    (PlantedFault::StaleTablesTrusted, |v| matches!(v, Violation::StaleTables(_))),
    (PlantedFault::ChainsNotReloaded, unproven),
    (PlantedFault::ChainsNotRestored, unproven),
    (PlantedFault::SealNotWritten, unproven),
    (PlantedFault::MetadataOfAnotherPartition, stalled),
    (PlantedFault::MetadataNotCommitted, stalled),
];
