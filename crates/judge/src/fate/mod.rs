//! The possible outcomes of a record: the closed set of fates and reasons. This module decides
//! nothing. It only names, so that counting, documentation and quarantine headers cannot disagree.

mod kind;

use std::fmt;

use compact_str::CompactString;
use uuid::Uuid;
use uuid::fmt::Hyphenated;

use super::text::{clean, cut};
use crate::json::bytes::is_printable_ascii;
pub use kind::{FateKind, fates_markdown};

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

/// Index of a region in the table of output regions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RegionIndex(pub usize);

/// An audit event, ready to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audited {
    /// Its destination and its metadata.
    pub envelope: Envelope,
    /// The event as canonical JSON.
    pub event: Vec<u8>,
    /// See [`Fate::awaits_tables`].
    pub awaits_tables: bool,
}

/// What the output record states outside the event itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// The configured region, which decides the topic.
    pub region: RegionIndex,
    /// Key of the output record: the device, which keeps order per device.
    pub device: CompactString,
    /// The account, for the `account` header.
    pub account: CompactString,
    /// The data center, for the `location` header.
    pub location: CompactString,
    /// Id of the event, for the `id` header.
    pub id: Uuid,
}

impl Envelope {
    /// Returns the record headers that describe the event. `region` (where it was processed) and
    /// `location` (where the resource is) are different values. `id` is the buffer for the text of
    /// the id.
    pub fn headers<'a>(
        &'a self,
        region: &'a str,
        id: &'a mut [u8; Hyphenated::LENGTH],
    ) -> [(&'static str, &'a str); 5] {
        [
            ("type", "audit"),
            ("account", &self.account),
            ("region", region),
            ("location", &self.location),
            ("id", self.id.hyphenated().encode_lower(id)),
        ]
    }
}

/// A record that does not belong in the audit trail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skip {
    /// The reason, from a closed set.
    pub reason: SkipReason,
    /// See [`Fate::awaits_tables`].
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
    /// See [`Fate::awaits_tables`].
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
    /// See [`Fate::Skipped`].
    Skipped(Skip),
    /// See [`Fate::Quarantined`].
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

/// Declares a closed set of reasons in one place: the variants, their names and their meanings.
macro_rules! reasons {
    ($(#[$outer:meta])* $type:ident { $($variant:ident = $name:literal, $meaning:literal;)+ }) => {
        $(#[$outer])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $type { $(#[doc = $meaning] $variant,)+ }

        impl $type {
            /// Every reason, in the order of the documentation.
            pub const ALL: &'static [$type] = &[$($type::$variant,)+];

            /// Returns the name used in metrics, headers and documentation.
            pub const fn name(self) -> &'static str {
                match self { $($type::$variant => $name,)+ }
            }

            /// Returns one sentence for the documentation.
            pub const fn meaning(self) -> &'static str {
                match self { $($type::$variant => $meaning,)+ }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}

reasons! {
    /// Why a record does not belong in the audit trail.
    SkipReason {
        UnlistedAction = "unlisted_action", "The event is not an enabled action of the catalogue.";
        NotUserInitiated = "not_user_initiated", "The system or the provider's staff acted, not a user of the account.";
        NoInfrastructureAccess = "no_infrastructure_access", "The principal had no Infrastructure access at the time of the action.";
        UnknownPrincipal = "unknown_principal", "The principal is in no table, and the policy says that only those with access are.";
        UnknownService = "unknown_service", "The system acted under an IAM identity that was in no table at the time of the action.";
    }
}

reasons! {
    /// Why a record could neither be audited nor skipped.
    QuarantineReason {
        Malformed = "malformed", "The record is not a state change, or a field of it cannot be read.";
        UnsupportedVersion = "unsupported_version", "`schemaVersion` is not 1.";
        UnknownPrincipal = "unknown_principal", "The principal was in no table at the time of the action.";
        UnlinkedPrincipal = "unlinked_principal", "The principal is known, but which IAM identity it has is not certain.";
        NoInfrastructureAccess = "no_infrastructure_access", "The principal had no Infrastructure access, and the policy wants to see such actions.";
        UnknownDevice = "unknown_device", "The record lacks what only the device table can supply, and the device is not in it, or has no account or another one there.";
        UnknownLocation = "unknown_location", "The data center is not in the location table at the time of the action.";
        UnroutedRegion = "unrouted_region", "The region is not one of the configured output regions.";
        TooLarge = "too_large", "The audit event exceeds the size limit even without its request data and with its texts cut.";
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
    /// fate: the fate rests on something missing from the tables, or on an account or a place that
    /// the device table supplied. Such a fate is final only once the tables have caught up with
    /// their sources (decision 5).
    pub fn awaits_tables(&self) -> bool {
        match self {
            Fate::Audited(audited) => audited.awaits_tables,
            Fate::Skipped(skip) => skip.awaits_tables,
            Fate::Quarantined(quarantine) => quarantine.awaits_tables,
        }
    }
}

impl SkipReason {
    /// Returns whether the reason itself means that something is missing from the tables.
    const fn awaits_tables(self) -> bool {
        use SkipReason::*;
        match self {
            NoInfrastructureAccess | UnknownPrincipal | UnknownService => true,
            UnlistedAction | NotUserInitiated => false,
        }
    }
}

impl QuarantineReason {
    /// Returns whether the reason itself means that something is missing from the tables.
    const fn awaits_tables(self) -> bool {
        use QuarantineReason::*;
        match self {
            UnknownPrincipal
            | UnlinkedPrincipal
            | NoInfrastructureAccess
            | UnknownDevice
            | UnknownLocation => true,
            Malformed | UnsupportedVersion | UnroutedRegion | TooLarge => false,
        }
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
