//! Whether a principal has Infrastructure access for an action: the rules alone. Which version of the
//! principal to ask is decided by the caller.

use super::catalog::Action;
use super::directory::{DeviceKey, PrincipalView};
use super::policy::AccessRules;

/// Decides by the minimum rule and those that the policy adds. What is no device needs no access to one.
///
/// # Errors
/// Says which rule was not met.
pub fn check(
    rules: AccessRules,
    principal: PrincipalView<'_>,
    action: &Action,
    device: Option<&DeviceKey>,
) -> Result<(), String> {
    if !holds_any(principal) {
        return Err("holds no infrastructure permission".to_string());
    }
    if rules.permission {
        check_permission(principal, action)?;
    }
    if let Some(device) = device
        && rules.device
        && !covers(principal, device)
    {
        return Err(format!("has no access to device {device}"));
    }
    Ok(())
}

/// The minimum rule: the explicit statement decides; without one, any classic permission does.
fn holds_any(principal: PrincipalView<'_>) -> bool {
    principal
        .infrastructure_access
        .unwrap_or(!principal.permissions.is_empty())
}

fn check_permission(principal: PrincipalView<'_>, action: &Action) -> Result<(), String> {
    match &action.permission {
        Some(needed) if !principal.permissions.contains(needed) => {
            Err(format!("lacks the permission {needed}"))
        }
        Some(_) | None => Ok(()),
    }
}

fn covers(principal: PrincipalView<'_>, device: &DeviceKey) -> bool {
    match principal.devices_of(device.kind) {
        None => true,
        Some(devices) => devices.contains(&device.id),
    }
}
