//! Whether a principal has Infrastructure access for an action: the rules alone. Which version of
//! the principal to ask is decided by the caller.

use crate::catalog::Action;
use crate::reference::{DeviceKey, PrincipalView};
use crate::rules::permissions::{PermissionNames, is_same};
use crate::rules::policy::AccessRules;

/// What access is asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Demand<'a> {
    /// What the policy demands beyond the minimum rule.
    pub rules: AccessRules,
    /// What permissions mean.
    pub names: &'a PermissionNames,
    /// What was done.
    pub action: &'a Action,
    /// To which device; nothing if to what is no device, which needs no access to one.
    pub device: Option<&'a DeviceKey>,
}

impl Demand<'_> {
    /// Decides by the minimum rule and those that the policy adds.
    ///
    /// # Errors
    /// Says which rule was not met.
    pub(super) fn check(&self, principal: PrincipalView<'_>) -> Result<(), String> {
        if !self.holds_any(principal) {
            return Err("holds no infrastructure permission".to_string());
        }
        if self.rules.permission {
            self.check_permission(principal)?;
        }
        match self.device {
            Some(device) if self.rules.device && !self.covers(principal, device) => {
                Err(format!("has no access to device {device}"))
            }
            _ => Ok(()),
        }
    }

    /// The minimum rule: the master user has access, of others the explicit statement decides;
    /// without one, any infrastructure permission does.
    fn holds_any(&self, principal: PrincipalView<'_>) -> bool {
        let stated = principal.infrastructure_access;
        principal.master
            || stated.unwrap_or_else(|| self.names.any_infrastructure(principal.permissions))
    }

    fn check_permission(&self, principal: PrincipalView<'_>) -> Result<(), String> {
        let Some(needed) = &self.action.permission else {
            return Ok(());
        };
        let mut held = principal.permissions.iter();
        if holds_all(principal) || held.any(|held| is_same(held, needed)) {
            return Ok(());
        }
        Err(format!("lacks the permission {needed}"))
    }

    /// What is about to be created is in nobody's list yet.
    fn covers(&self, principal: PrincipalView<'_>, device: &DeviceKey) -> bool {
        let Some(devices) = principal.devices_of(device.kind) else {
            return true;
        };
        let family = &self.action.family;
        self.action.creates
            || devices.contains(&device.id)
            || self.names.covers_family(principal.permissions, family)
    }
}

/// Whether the table says that a principal has access, and does not say which: every permission
/// then.
fn holds_all(principal: PrincipalView<'_>) -> bool {
    let has_access = principal.infrastructure_access == Some(true);
    principal.master || has_access && principal.permissions.is_empty()
}
