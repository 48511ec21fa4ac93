//! The switches by which an installation decides differently from the defaults. Plain data.

/// What counts as access, and where the doubtful go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Demands beyond the minimum rule.
    pub access: AccessRules,
    /// Audit what the system did on behalf of a user (`onBehalfOf`).
    pub system_on_behalf_of_user: bool,
    /// Audit what the system did under the `iamId` of a service, application, profile or
    /// certificate that the tables know.
    pub service_initiators: bool,
    /// Quarantine actions without access instead of skipping them: they are a security signal.
    pub quarantine_no_infrastructure_access: bool,
    /// Skip unknown principals instead of quarantining them: for tables that list only those with
    /// access.
    pub skip_unknown_principal: bool,
    /// How far the clock of the producer and the times in the tables may disagree, either way, in
    /// milliseconds. A principal that had access at any time so near to the action had it.
    pub clock_skew_ms: u32,
}

impl Default for Policy {
    fn default() -> Self {
        Policy {
            access: AccessRules::default(),
            system_on_behalf_of_user: false,
            service_initiators: true,
            quarantine_no_infrastructure_access: false,
            skip_unknown_principal: false,
            clock_skew_ms: Policy::CLOCK_SKEW_MS,
        }
    }
}

impl Policy {
    /// The clock skew where nothing else is said.
    pub const CLOCK_SKEW_MS: u32 = 5_000;
}

/// Demands on a principal beyond holding any infrastructure permission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AccessRules {
    /// It must hold the permission that the catalogue names for the action.
    pub permission: bool,
    /// The device must be one of its devices.
    pub device: bool,
}
