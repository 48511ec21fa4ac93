//! The possible outcomes of a record: the closed set of fates and reasons. This module decides
//! nothing. It only names, so that counting, documentation and quarantine headers cannot disagree.

mod audited;
mod kind;
mod reasons;
mod unaudited;

pub use audited::{Audited, Envelope, RegionIndex};
pub use kind::{FateKind, fates_markdown};
pub use reasons::{QuarantineReason, SkipReason};
pub use unaudited::{Quarantine, Skip, Unaudited};

/// The single fate of one input record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// An audit event, for the topic of its region.
    Audited(Audited),
    /// Writes nothing. The reason is counted.
    Skipped(Skip),
    /// The original record, for the quarantine topic.
    Quarantined(Quarantine),
}

impl From<Unaudited> for Fate {
    fn from(unaudited: Unaudited) -> Self {
        match unaudited {
            Unaudited::Skipped(skip) => Fate::Skipped(skip),
            Unaudited::Quarantined(quarantine) | Unaudited::Unrecognised(quarantine) => {
                Fate::Quarantined(quarantine)
            }
        }
    }
}

impl From<Result<Audited, Unaudited>> for Fate {
    fn from(judged: Result<Audited, Unaudited>) -> Self {
        judged.map_or_else(Fate::from, Fate::Audited)
    }
}

impl Fate {
    /// Returns the kind under which this fate is counted.
    pub fn kind(&self) -> FateKind {
        match self {
            Fate::Audited(_) => FateKind::Audited,
            Fate::Skipped(skip) => FateKind::Skipped(skip.reason),
            Fate::Quarantined(quarantine) => FateKind::Quarantined(quarantine.reason),
        }
    }

    /// Returns whether a table record that is already written but not yet read could change this
    /// fate: the fate depends on something missing from the tables, or on an account or a place
    /// that the device table supplied. Such a fate is final only once the tables have caught up
    /// with their sources (decision 5).
    pub fn awaits_tables(&self) -> bool {
        match self {
            Fate::Audited(audited) => audited.awaits_tables,
            Fate::Skipped(skip) => skip.awaits_tables,
            Fate::Quarantined(quarantine) => quarantine.awaits_tables,
        }
    }
}
