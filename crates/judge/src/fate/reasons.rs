//! The reasons why a record is skipped or quarantined: two closed sets, each with its names and its
//! meanings.

use std::fmt;

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
        UnknownPrincipal = "unknown_principal", "The principal is in no table, and the policy skips such actions.";
        UnknownService = "unknown_service", "The system acted under an IAM identity that was in no table at the time of the action.";
    }
}

reasons! {
    /// Why a record could neither be audited nor skipped.
    QuarantineReason {
        Malformed = "malformed", "The record is not a state change, or a field of it cannot be read.";
        UnsupportedVersion = "unsupported_version", "`schemaVersion` is not 1.";
        UnknownPrincipal = "unknown_principal", "The principal was in no table at the time of the action.";
        UnlinkedPrincipal = "unlinked_principal", "The principal is known, but it is not certain which IAM identity it has.";
        NoInfrastructureAccess = "no_infrastructure_access", "The principal had no Infrastructure access, and the policy quarantines such actions.";
        UnknownDevice = "unknown_device", "The record lacks data that only the device table has, and the device is not in it, or its entry has no account or a different one.";
        UnknownLocation = "unknown_location", "The data center is not in the location table at the time of the action.";
        UnroutedRegion = "unrouted_region", "The region is not one of the configured output regions.";
        TooLarge = "too_large", "The audit event exceeds the size limit even without its request data and with its texts cut.";
    }
}

impl SkipReason {
    /// Returns whether the reason itself means that something is missing from the tables.
    pub(super) const fn awaits_tables(self) -> bool {
        use SkipReason::*;
        match self {
            NoInfrastructureAccess | UnknownPrincipal | UnknownService => true,
            UnlistedAction | NotUserInitiated => false,
        }
    }
}

impl QuarantineReason {
    /// Returns whether the reason itself means that something is missing from the tables.
    pub(super) const fn awaits_tables(self) -> bool {
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
