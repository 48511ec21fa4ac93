//! The switches by which a deployment departs from the defaults. Plain data.

/// What counts as access, and what happens to doubtful records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Requirements beyond the minimum rule.
    pub access: AccessRules,
    /// Audit actions of the system on behalf of a user (`onBehalfOf`).
    pub system_on_behalf_of_user: bool,
    /// Audit actions of the system under the `iamId` of a service, application, profile or
    /// certificate that the tables list.
    pub service_initiators: bool,
    /// Quarantine actions without access instead of skipping them: they are a security signal.
    pub quarantine_no_infrastructure_access: bool,
    /// Skip unknown principals instead of quarantining them, for tables that list only principals
    /// with access.
    pub skip_unknown_principal: bool,
    /// How far the producer's clock and the times in the tables may differ, in either direction,
    /// in milliseconds. A principal that had access at any time this close to the action had
    /// access.
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
    /// The default clock skew.
    pub const CLOCK_SKEW_MS: u32 = 5_000;
}

/// Requirements on a principal beyond holding any infrastructure permission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AccessRules {
    /// The principal must hold the permission that the catalogue names for the action.
    pub permission: bool,
    /// The device must be one of the principal's devices.
    pub device: bool,
}
