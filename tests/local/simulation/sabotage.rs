//! Planted faults, one for each rule that the loop and its edge must keep, each with the violation
//! that gives it away. Production code has no hooks for them: they sit at the seam (`seam.rs`) or
//! in what plays the edge. The simulation must catch them all: that is the proof that its silence
//! means something.

use super::oracle::Violation;

/// The rule that is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sabotage {
    /// After a failure, reading goes on where it was.
    NoRewind,
    /// A partition that could not be moved is overlooked.
    RewindFailureOverlooked,
    /// Committed offsets are taken although an open transaction is about to change them.
    UnstableOffsetsTaken,
    /// Going back fails in a way that is tolerated forever.
    RewindNeverDone,
    /// Positions are this much too high.
    OffsetOff(i64),
    /// Outputs are written in another order.
    OutputsReversed,
    /// Outputs go to the wrong region.
    RegionsMistaken,
    /// A batch without outputs is not committed.
    QuietBatchesKept,
    /// A batch is counted before it is committed.
    CountedTooEarly,
    /// The worker is not told of revoked partitions.
    RevokedUnheard,
    /// The worker is not told of lost partitions.
    LostUnheard,
    /// The outputs of a failed publication are written with the next.
    BatchNotCleared,
    /// After a result that is not known the same producer commits again and goes on.
    NoRebuild,
    /// After a result that is not known the same producer aborts and goes on.
    AbortInsteadOfRebuild,
    /// The positions have a transaction of their own.
    PositionsApart,
    /// A commit whose result is not known is taken for done.
    DoubtTakenForSuccess,
    /// A client that was thrown out commits without a member id, and is taken for one outside any
    /// group.
    NobodysMembership,
    /// A process whose place in the group was taken goes on throwing its successor's producer out.
    ConsumerUnchecked,
    /// The session of a stale member is kept.
    StaleMemberUnnoticed,
    /// The producer goes on in the same epoch although the client had sent a request twice.
    ResendingUnheeded,
    /// The same, after a call that failed.
    LateFailureUnheeded,
    /// A commit that failed while it may still arrive is taken for one that needs only to be
    /// aborted.
    LateCommitAborted,
    /// The loop is told 0 as the floor of each partition that is assigned.
    FloorUntold,
    /// The loop is not told that an offset which the group names is older than one that it
    /// confirmed.
    StalePositionsTrusted,
    /// The client is moved one record too far behind what cannot be read.
    SkippedTooFar,
    /// A fate that rests on absence is final at once.
    NoBarrier,
    /// The barrier says yes without having asked how far the tables' topics are.
    BarrierUnasked,
    /// Tables that were not heard of for too long are relied on.
    StaleTablesTrusted,
}

/// A planted fault, and what it must show as.
pub type Planted = (Sabotage, fn(&Violation) -> bool);

fn lost(violation: &Violation) -> bool {
    matches!(violation, Violation::Lost(..))
}

fn doubled(violation: &Violation) -> bool {
    matches!(violation, Violation::Doubled(..))
}

fn torn(violation: &Violation) -> bool {
    matches!(violation, Violation::Torn(..))
}

pub const PLANTED: &[Planted] = &[
    (Sabotage::NoRewind, lost),
    (Sabotage::RewindFailureOverlooked, lost),
    (Sabotage::UnstableOffsetsTaken, doubled),
    (Sabotage::RewindNeverDone, |v| matches!(v, Violation::Endless(_))),
    (Sabotage::OffsetOff(1), lost),
    (Sabotage::OffsetOff(-1), doubled),
    (Sabotage::OutputsReversed, |v| matches!(v, Violation::Reordered(..))),
    (Sabotage::RegionsMistaken, |v| matches!(v, Violation::Changed(..))),
    (Sabotage::QuietBatchesKept, |v| matches!(v, Violation::Stalled(..))),
    (Sabotage::CountedTooEarly, |v| matches!(v, Violation::Miscounted(_))),
    (Sabotage::RevokedUnheard, doubled),
    (Sabotage::LostUnheard, doubled),
    (Sabotage::BatchNotCleared, doubled),
    (Sabotage::NoRebuild, torn),
    (Sabotage::AbortInsteadOfRebuild, torn),
    (Sabotage::PositionsApart, doubled),
    (Sabotage::DoubtTakenForSuccess, lost),
    (Sabotage::NobodysMembership, doubled),
    (Sabotage::ConsumerUnchecked, |v| matches!(v, Violation::Usurped(_))),
    (Sabotage::StaleMemberUnnoticed, |v| matches!(v, Violation::Stalled(..))),
    (Sabotage::ResendingUnheeded, doubled),
    (Sabotage::ResendingUnheeded, lost),
    (Sabotage::ResendingUnheeded, |v| matches!(v, Violation::Regressed(..))),
    (Sabotage::LateFailureUnheeded, |v| {
        matches!(v, Violation::Regressed(..)) || lost(v) || doubled(v)
    }),
    (Sabotage::LateCommitAborted, torn),
    (Sabotage::FloorUntold, doubled),
    (Sabotage::StalePositionsTrusted, doubled),
    (Sabotage::SkippedTooFar, lost),
    (Sabotage::NoBarrier, lost),
    (Sabotage::BarrierUnasked, lost),
    (Sabotage::StaleTablesTrusted, |v| matches!(v, Violation::Guessed(_))),
];
