//! What a transaction consumed of its set's input, as its seal says it.

use audit_chain::Number;
use audit_chain::seal::{Cause, Counts, Gap};
use audit_judge::fate::FateKind;

use crate::quarantine::outcomes::Outcome;
use crate::stream::batch::PartitionTally;
use crate::stream::{self, GapCause};

/// What a transaction consumed of the input of a set.
#[derive(Debug, Clone, Default)]
pub(super) struct Consumed {
    /// Where the first seal of the set begins, if not at the end.
    pub(super) first: Option<Number>,
    /// Where it ends.
    pub(super) end: Number,
    pub(super) counts: Counts,
    /// In ascending order.
    pub(super) gaps: Vec<Gap>,
}

impl Consumed {
    /// Consumes what a batch has of a partition of the input.
    pub(super) fn input(tally: &PartitionTally) -> Result<Self, String> {
        let first = tally.gaps.iter().map(|gap| gap.offsets.start).chain(tally.first_offset).min();
        let mut gaps = tally.gaps.iter().map(gap).collect::<Result<Vec<_>, String>>()?;
        gaps.sort_by_key(|gap| gap.start);
        Ok(Consumed {
            first: first.map(number).transpose()?,
            end: number(tally.next_offset)?,
            counts: counts(tally)?,
            gaps,
        })
    }

    /// Consumes the outcomes of a replay, whose places are those in their own chain: it ends behind
    /// them.
    pub(super) fn outcomes(
        outcomes: impl Iterator<Item = Outcome>,
        end: Number,
    ) -> Result<Self, String> {
        let [mut read, mut events, mut skipped, mut quarantined] = [0; 4];
        for outcome in outcomes {
            read += 1;
            match outcome {
                Outcome::Audited => events += 1,
                Outcome::Skipped | Outcome::Present | Outcome::Done => skipped += 1,
                Outcome::Again => quarantined += 1,
            }
        }
        let [read, events, skipped, quarantined] = [read, events, skipped, quarantined].map(count);
        let counts =
            Counts { read: read?, events: events?, skipped: skipped?, quarantined: quarantined? };
        Ok(Consumed { end, counts, ..Consumed::default() })
    }
}

fn gap(gap: &stream::Gap) -> Result<Gap, String> {
    let cause = match gap.cause {
        GapCause::Deleted => Cause::Deleted,
        GapCause::PassedOver => Cause::PassedOver,
    };
    Ok(Gap { start: number(gap.offsets.start)?, end: number(gap.offsets.end)?, cause })
}

fn counts(tally: &PartitionTally) -> Result<Counts, String> {
    let [mut skipped, mut quarantined] = [0; 2];
    for (kind, count) in FateKind::all().zip(tally.fates) {
        match kind {
            FateKind::Audited => {}
            FateKind::Skipped(_) => skipped += count,
            FateKind::Quarantined(_) => quarantined += count,
        }
    }
    Ok(Counts {
        read: count(tally.read)?,
        // Each audited message gives one event.
        events: count(tally.read.saturating_sub(skipped + quarantined))?,
        skipped: count(skipped)?,
        quarantined: count(quarantined)?,
    })
}

fn count(count: u64) -> Result<Number, String> {
    Number::new(count).ok_or_else(|| "a count is too large".to_string())
}

/// Returns an offset as a seal has it.
pub(super) fn number(value: i64) -> Result<Number, String> {
    let number = u64::try_from(value).ok().and_then(Number::new);
    number.ok_or_else(|| format!("{value} is not an offset"))
}
