//! What a record without an audit event becomes: a skip or a quarantine, with its reason.

use std::fmt;

use compact_str::CompactString;

use super::reasons::{QuarantineReason, SkipReason};
use crate::json::bytes::is_printable_ascii;
use crate::text::{clean, cut};

/// A record that does not belong in the audit trail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skip {
    /// The reason, from a closed set.
    pub reason: SkipReason,
    /// See [`Fate::awaits_tables`](super::Fate::awaits_tables).
    pub awaits_tables: bool,
    /// The name of an unlisted event by which a customer changed an object of an audited class:
    /// the catalogue lacks the name, so part of the trail may be missing. At most
    /// [`Skip::NAME_CHARACTERS`] long, on one line.
    pub unlisted_name: Option<CompactString>,
}

impl Skip {
    /// Longest name that is kept; the rest is cut.
    pub const NAME_CHARACTERS: usize = 100;

    /// Skips an event of this name, which no row of the catalogue lists.
    pub fn unlisted_by_a_customer(name: &str) -> Self {
        Skip {
            unlisted_name: Some(CompactString::new(clean(cut(name, Self::NAME_CHARACTERS)))),
            ..Skip::from(SkipReason::UnlistedAction)
        }
    }
}

impl From<SkipReason> for Skip {
    fn from(reason: SkipReason) -> Self {
        Skip { reason, awaits_tables: reason.awaits_tables(), unlisted_name: None }
    }
}

/// A record that cannot become an audit event and must not be lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantine {
    /// The reason, from a closed set.
    pub reason: QuarantineReason,
    /// What exactly was wrong, for the operator. At most [`Quarantine::DETAIL_CHARACTERS`] long.
    pub detail: String,
    /// See [`Fate::awaits_tables`](super::Fate::awaits_tables).
    pub awaits_tables: bool,
}

impl Quarantine {
    /// Longest detail that is kept: it travels in a record header.
    pub const DETAIL_CHARACTERS: usize = 400;

    /// Creates a quarantine, with its detail cut to size and without line breaks.
    pub fn new(reason: QuarantineReason, detail: impl fmt::Display) -> Self {
        let mut detail = detail.to_string();
        detail.truncate(cut(&detail, Self::DETAIL_CHARACTERS).len());
        if !is_printable_ascii(detail.as_bytes()) {
            detail = detail.replace(char::is_control, " ");
        }
        Quarantine { reason, detail, awaits_tables: reason.awaits_tables() }
    }

    /// Marks a quarantine whose action was attributed by data that the tables may still change.
    pub fn awaiting_tables(self, awaits_tables: bool) -> Self {
        Quarantine { awaits_tables: self.awaits_tables || awaits_tables, ..self }
    }

    /// Quarantines a record that does not match `schemas/state-change.schema.json`.
    pub fn malformed(detail: impl fmt::Display) -> Self {
        Self::new(QuarantineReason::Malformed, detail)
    }
}

/// A fate other than an audit event: what a stage returns when the record goes no further.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unaudited {
    /// See [`Fate::Skipped`](super::Fate::Skipped).
    Skipped(Skip),
    /// See [`Fate::Quarantined`](super::Fate::Quarantined).
    Quarantined(Quarantine),
    /// Quarantined as not a state change as it stands; it may be a wrapped one.
    Unrecognised(Quarantine),
}

impl From<Quarantine> for Unaudited {
    fn from(quarantine: Quarantine) -> Self {
        Unaudited::Quarantined(quarantine)
    }
}

impl From<SkipReason> for Unaudited {
    fn from(reason: SkipReason) -> Self {
        Unaudited::Skipped(reason.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_fit_a_header() {
        let quarantine = Quarantine::malformed("a\nb".repeat(1_000));
        assert_eq!(quarantine.detail.chars().count(), Quarantine::DETAIL_CHARACTERS);
        assert!(quarantine.detail.starts_with("a b"));
    }
}
