//! What a replay into other topics has written, in numbers.

use std::fmt;

use audit_judge::fate::FateKind;
use serde_json::{Value, json};

use super::window::Window;
use crate::stream::GapCause;
use crate::stream::batch::Batch;

/// What became of the records that this run has committed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Summary {
    pub(super) records: u64,
    audited: u64,
    skipped: u64,
    quarantined: u64,
    /// Offsets that were deleted before they were read.
    pub(super) deleted: u64,
    /// Offsets that the configuration lets pass.
    passed_over: u64,
}

impl Summary {
    /// Counts a batch that was committed.
    pub(super) fn add(&mut self, batch: &Batch) {
        for tally in batch.partitions().values() {
            self.records += tally.read;
            for (kind, count) in FateKind::all().zip(tally.fates) {
                *match kind {
                    FateKind::Audited => &mut self.audited,
                    FateKind::Skipped(_) => &mut self.skipped,
                    FateKind::Quarantined(_) => &mut self.quarantined,
                } += count;
            }
            for gap in &tally.gaps {
                let offsets = u64::try_from(gap.offsets.end - gap.offsets.start);
                *match gap.cause {
                    GapCause::Deleted => &mut self.deleted,
                    GapCause::PassedOver => &mut self.passed_over,
                } += offsets.unwrap_or_default();
            }
        }
    }

    pub(super) fn to_json(self, window: &Window) -> Value {
        json!({
            "offsets": window.to_string(),
            "records": self.records,
            "audited": self.audited,
            "skipped": self.skipped,
            "quarantined": self.quarantined,
            "deleted": self.deleted,
            "passedOver": self.passed_over,
        })
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Summary { records, audited, skipped, quarantined, deleted, passed_over } = self;
        write!(
            f,
            "{records} records in this run: {audited} audited, {skipped} skipped, {quarantined} quarantined"
        )?;
        if *passed_over > 0 {
            write!(f, "; {passed_over} offsets passed over (input.pass_over)")?;
        }
        if *deleted > 0 {
            write!(f, "; {deleted} offsets were deleted before they were read")?;
        }
        Ok(())
    }
}
