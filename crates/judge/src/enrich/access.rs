//! Decides whether a principal has Infrastructure access for an action: only the rules. The caller
//! picks the version of the principal.

use crate::catalog::Action;
use crate::reference::{DeviceKey, PrincipalView};
use crate::rules::permissions::{PermissionNames, is_same};
use crate::rules::policy::AccessRules;

/// The access that an action needs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Demand<'a> {
    /// What the policy demands beyond the minimum rule.
    pub rules: AccessRules,
    /// The meaning of permissions.
    pub names: &'a PermissionNames,
    /// The action.
    pub action: &'a Action,
    /// The device; `None` if the object is not a device and needs no device access.
    pub device: Option<&'a DeviceKey>,
}

impl Demand<'_> {
    /// Applies the minimum rule and those that the policy adds.
    ///
    /// # Errors
    /// Names the rule that was not met.
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

    /// Applies the minimum rule: the master user has access. For others the explicit statement
    /// decides, and without one, any infrastructure permission does.
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

    /// Returns whether the principal may touch a device. A device that the action creates is in no
    /// list yet.
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

/// Returns whether the table grants a principal access without listing permissions, which means
/// every permission.
fn holds_all(principal: PrincipalView<'_>) -> bool {
    let has_access = principal.infrastructure_access == Some(true);
    principal.master || has_access && principal.permissions.is_empty()
}
