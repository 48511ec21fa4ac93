//! Fates as they are counted: each fate with its reason has its own index in tables of counters.

use super::reasons::{QuarantineReason, SkipReason};

/// A fate reduced to what metrics count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FateKind {
    /// See [`Fate::Audited`](super::Fate::Audited).
    Audited,
    /// See [`Fate::Skipped`](super::Fate::Skipped).
    Skipped(SkipReason),
    /// See [`Fate::Quarantined`](super::Fate::Quarantined).
    Quarantined(QuarantineReason),
}

impl FateKind {
    /// The number of kinds.
    pub const COUNT: usize = 1 + SkipReason::ALL.len() + QuarantineReason::ALL.len();

    /// Iterates over every kind, each at its own [`FateKind::index`].
    pub fn all() -> impl Iterator<Item = FateKind> {
        let skipped = SkipReason::ALL.iter().copied().map(FateKind::Skipped);
        let quarantined = QuarantineReason::ALL.iter().copied();
        std::iter::once(FateKind::Audited)
            .chain(skipped)
            .chain(quarantined.map(FateKind::Quarantined))
    }

    /// Returns the index of the kind in a table of counters.
    pub const fn index(self) -> usize {
        match self {
            FateKind::Audited => 0,
            FateKind::Skipped(reason) => 1 + reason as usize,
            FateKind::Quarantined(reason) => 1 + SkipReason::ALL.len() + reason as usize,
        }
    }

    /// Returns `audited`, `skipped` or `quarantined`.
    pub const fn fate(self) -> &'static str {
        match self {
            FateKind::Audited => "audited",
            FateKind::Skipped(_) => "skipped",
            FateKind::Quarantined(_) => "quarantined",
        }
    }

    /// Returns the name of the reason. Empty for an audited record, which needs none.
    pub const fn reason(self) -> &'static str {
        match self {
            FateKind::Audited => "",
            FateKind::Skipped(reason) => reason.name(),
            FateKind::Quarantined(reason) => reason.name(),
        }
    }

    /// Returns one sentence for the documentation.
    pub const fn meaning(self) -> &'static str {
        match self {
            FateKind::Audited => {
                "An audit event went to the topic of the region in which the action happened."
            }
            FateKind::Skipped(reason) => reason.meaning(),
            FateKind::Quarantined(reason) => reason.meaning(),
        }
    }
}

/// Renders all fates as the table of the reference: fate, reason, meaning.
pub fn fates_markdown() -> String {
    let mut table = String::from("| fate | reason | meaning |\n|---|---|---|\n");
    for kind in FateKind::all() {
        let reason = match kind.reason() {
            "" => String::new(),
            reason => format!("`{reason}`"),
        };
        table.push_str(&format!("| {} | {reason} | {} |\n", kind.fate(), kind.meaning()));
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_own_index() {
        let kinds: Vec<FateKind> = FateKind::all().collect();
        assert_eq!(kinds.len(), FateKind::COUNT);
        for (position, kind) in kinds.iter().enumerate() {
            assert_eq!(kind.index(), position, "{kind:?}");
        }
    }
}
