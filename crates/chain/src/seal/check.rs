//! What must hold between the lines of a seal. Whether it agrees with other seals or with events is
//! for a verifier.

use super::{Counts, Input, Seal, SealError};
use crate::Number;
use crate::hash::seal_genesis;
use crate::name::StreamName;

impl Seal {
    /// Refuses a seal that contradicts itself. The messages say what must hold.
    pub(super) fn check(&self) -> Result<(), SealError> {
        let partition = self.set.partition();
        let is_linked = self.number == Number::ZERO && self.set.epoch() > Number::from(1);
        require(partition < self.partitions, "the set's partition is below their number")?;
        require(
            self.after.is_some() == is_linked,
            "`after` stands exactly in seal 0 of every epoch but 1",
        )?;
        if let Some(after) = &self.after {
            require(
                self.set.follows(&after.set),
                "`after` names the epoch before of the same set",
            )?;
        }
        self.check_genesis()?;
        check_counts(self.input, self.counts)?;
        self.check_gaps()?;
        self.check_heads()?;
        let is_own = self.next_key.as_ref().is_none_or(|key| *key.name() == self.origin);
        require(is_own, "the next key has the name of the origin")
    }

    fn check_genesis(&self) -> Result<(), SealError> {
        if self.number > Number::ZERO {
            return Ok(());
        }
        let last = self.after.as_ref().map(|after| &after.digest);
        let genesis = seal_genesis(&self.origin, &self.set, last);
        require(
            genesis == Some(self.previous),
            "`prev` of seal 0 is the genesis of the set's seals",
        )
    }

    fn check_gaps(&self) -> Result<(), SealError> {
        let mut behind = self.input.start;
        let mut missing = 0;
        for gap in &self.gaps {
            require(gap.start < gap.end, "a gap is not empty")?;
            require(behind <= gap.start, "gaps lie in the input, one behind the other")?;
            missing += gap.end.get() - gap.start.get();
            behind = gap.end;
        }
        require(behind <= self.input.end, "gaps lie in the input, one behind the other")?;
        // Both are at most the length of the input, so the sum does not overflow.
        let length = self.input.end.get() - self.input.start.get();
        require(self.counts.read.get() + missing <= length, "what is in a gap is not read")
    }

    fn check_heads(&self) -> Result<(), SealError> {
        let heads = || self.heads.values();
        require(heads().all(|head| head.size > Number::ZERO), "a head has a size above 0")?;
        let is_extended =
            |name: &StreamName| self.heads.get(name).is_some_and(|head| head.partition.is_some());
        let regions = self.heads.iter().filter(|(name, _)| name.is_region());
        let extended = regions.filter(|(_, head)| head.partition.is_some());
        let sizes = extended.map(|(_, head)| u128::from(head.size.get()));
        let (streams, events) =
            sizes.fold((0, 0), |(streams, events), size| (streams + 1, events + size));
        let counted = u128::from(self.counts.events.get());
        require(counted >= streams, "each head of a region with a partition has an event")?;
        require(counted <= events, "the events fit into the heads of regions with a partition")?;
        let is_quarantined = self.counts.quarantined > Number::ZERO;
        require(
            is_quarantined || !is_extended(&StreamName::Quarantine),
            "~quarantine has a partition only if something was quarantined",
        )
    }
}

fn check_counts(input: Input, counts: Counts) -> Result<(), SealError> {
    let [start, end] = [input.start, input.end].map(Number::get);
    let Counts { read, events, skipped, quarantined } = counts;
    let [read, events, skipped, quarantined] =
        [read, events, skipped, quarantined].map(Number::get);
    require(start <= end, "the input ends at or after its start")?;
    require(read <= end - start, "no more is read than the input holds")?;
    // Each is below 2^63, so the sum does not overflow.
    require(skipped + quarantined <= read, "no more is skipped and quarantined than is read")?;
    let audited = read - skipped - quarantined;
    require(
        events >= audited,
        "each message that is neither skipped nor quarantined has an event",
    )?;
    require(
        events == 0 || audited > 0,
        "events come of messages that are neither skipped nor quarantined",
    )
}

fn require(holds: bool, rule: &'static str) -> Result<(), SealError> {
    if holds { Ok(()) } else { Err(SealError::Contradiction(rule)) }
}
