//! Every holder of rights as a separate principal, the rules with every policy, and the records to
//! judge.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::LazyLock;

use audit_judge::catalog::{Catalog, Switches};
use audit_judge::judge;
use audit_judge::reference::{ReferenceTables, read_principals};
use audit_judge::regions::Locations;
use audit_judge::route::Routes;
use audit_judge::rules::Rules;
use audit_judge::rules::crn::{CrnTemplate, CrnTemplates};
use audit_judge::rules::permissions::PermissionNames;
use audit_judge::rules::policy::{AccessRules, Policy};

use super::{ACCESS, DEVICES, Holder, KNOWN, PERMISSIONS, PolicyOptions, RULES, When, Who};
use super::{Known::*, Listed::*, Permissions::*, When::*, Who::*};

const NEEDED: &str = "REMOTE_MANAGEMENT";
const DEVICE: u32 = 1_234_567;

fn holders() -> Vec<Holder> {
    let mut holders = Vec::new();
    for (_, known) in KNOWN {
        for (_, access) in ACCESS {
            for (_, permissions) in PERMISSIONS {
                holders.extend(DEVICES.map(|(_, devices)| Holder {
                    known,
                    access,
                    permissions,
                    devices,
                }));
            }
        }
    }
    holders
}

/// All combinations of the three policies and the two rules.
fn options() -> Vec<PolicyOptions> {
    let policies = (0..8).map(|bits| [bits & 1, bits & 2, bits & 4].map(|bit| bit != 0));
    let options = |[system_on_behalf, quarantine_no_access, skip_unknown]: [bool; 3]| {
        RULES.map(|(_, (permission, device))| PolicyOptions {
            system_on_behalf,
            quarantine_no_access,
            skip_unknown,
            permission,
            device,
        })
    };
    policies.flat_map(options).collect()
}

/// Every holder as a separate principal, by user id.
pub struct World {
    pub users: BTreeMap<Holder, usize>,
    reference: ReferenceTables,
    /// One for each of [`options`].
    pub rules: Vec<(PolicyOptions, Rules)>,
}

pub static WORLD: LazyLock<World> = LazyLock::new(|| {
    let users: BTreeMap<Holder, usize> = holders().into_iter().zip(1..).collect();
    let mut lines = String::new();
    for (id, rights) in [(OWNER, r#""masterUser":true"#), (CLERK, r#""permissions":[]"#)] {
        let line = format!(
            r#"{{"accountId":1,"userId":{id},"iamId":"IBMid-{id}",{rights},"validFrom":"2010-01-01T00:00:00Z"}}"#
        );
        lines += &line;
        lines += "\n";
    }
    for (holder, user) in users.iter().filter(|(holder, _)| holder.known != Unknown) {
        principal(&mut lines, *holder, *user, "user");
        principal(&mut lines, *holder, SERVICES + user, "serviceId");
    }
    let principals = read_principals("principals", &lines).expect("principals");
    World {
        users,
        reference: ReferenceTables { principals, devices: None },
        rules: options().into_iter().map(|it| (it, rules(it))).collect(),
    }
});

/// A service's classic id is its user's id plus this.
const SERVICES: usize = 10_000;

/// Two users that are always known: one has access to everything, the other to nothing.
const OWNER: usize = 20_001;
const CLERK: usize = 20_002;

/// Writes an entry that is valid from 2020 to the end of 2021.
fn principal(lines: &mut String, holder: Holder, user: usize, kind: &str) {
    let linked = match holder.known {
        Unlinked => format!(r#","linked":false,"iamId":"IBMid-{user}""#),
        LinkedWithoutIamId => r#","linked":true"#.to_string(),
        Unknown | Linked => format!(r#","linked":true,"iamId":"IBMid-{user}""#),
    };
    let access = match holder.access {
        None => String::new(),
        Some(said) => format!(r#","infrastructureAccess":{said}"#),
    };
    let permissions = match holder.permissions {
        Nothing => String::new(),
        Ticket => r#","permissions":["TICKET_VIEW"]"#.to_string(),
        Other => r#","permissions":["HARDWARE_VIEW"]"#.to_string(),
        Needed => format!(r#","permissions":["HARDWARE_VIEW","{NEEDED}"]"#),
    };
    let devices = match holder.devices {
        DevicesAbsent => String::new(),
        All => r#","devices":"all""#.to_string(),
        ThisOne => format!(r#","devices":[7,{DEVICE}]"#),
        AnotherOne => r#","devices":[7,"8"]"#.to_string(),
    };
    let key = format!(r#""accountId":1,"userId":{user},"kind":"{kind}""#);
    writeln!(
        lines,
        r#"{{{key}{linked}{access}{permissions}{devices},"validFrom":"2020-01-01T00:00:00Z"}}
{{{key},"deleted":true,"validFrom":"2022-01-01T00:00:00Z"}}"#
    )
    .expect("writing to a String cannot fail");
}

/// Returns rules with these options and all regions.
pub fn rules(options: PolicyOptions) -> Rules {
    let catalog = Catalog::load(&Catalog::embedded_files(), &Switches::default());
    let locations = Locations::embedded("six").expect("locations");
    let regions: Vec<String> = locations.regions().map(str::to_string).collect();
    let template =
        |end: &str| CrnTemplate::parse(&format!("crn:v1:b:p:s:l:a/1:{end}")).expect("a template");
    Rules {
        catalog: catalog.expect("the catalogue"),
        locations,
        routes: Routes::new(regions),
        permissions: PermissionNames::load(PermissionNames::EMBEDDED).expect("valid names"),
        policy: Policy {
            service_initiators: true,
            access: AccessRules { permission: options.permission, device: options.device },
            system_on_behalf_of_user: options.system_on_behalf,
            quarantine_no_infrastructure_access: options.quarantine_no_access,
            skip_unknown_principal: options.skip_unknown,
            clock_skew_ms: 0,
        },
        crns: CrnTemplates {
            target: template(":{resource_type}:{id}"),
            log_source: template("::"),
        },
        max_event_bytes: 1_000_000,
    }
}

/// Returns a power-on by the user or on the user's behalf.
pub fn record(who: Who, user: usize, when: When) -> String {
    let who = match who {
        Customer => format!(r#""userType":"CUSTOMER","userId":{user}"#),
        Assumed => {
            format!(r#""userType":"CUSTOMER","userId":{OWNER},"iamId":"IBMid-{}""#, SERVICES + user)
        }
        Employee => format!(r#""userType":"EMPLOYEE","userId":{user}"#),
        EmployeeOnBehalf => {
            format!(r#""userType":"EMPLOYEE","userId":{CLERK},"onBehalfOf":{{"userId":{user}}}"#)
        }
        System => format!(r#""userType":"SYSTEM","userId":{user}"#),
        SystemBare => r#""userType":"SYSTEM""#.to_string(),
        SystemOnBehalf => format!(r#""userType":"SYSTEM","onBehalfOf":{{"userId":{user}}}"#),
        SystemClerkOnBehalf => {
            format!(r#""userType":"SYSTEM","userId":{CLERK},"onBehalfOf":{{"userId":{user}}}"#)
        }
        SystemOwnerOnBehalf => {
            format!(r#""userType":"SYSTEM","userId":{OWNER},"onBehalfOf":{{"userId":{user}}}"#)
        }
        SystemAsUser => format!(r#""userType":"SYSTEM","iamId":"IBMid-{user}""#),
        SystemAsService => format!(r#""userType":"SYSTEM","iamId":"IBMid-{}""#, SERVICES + user),
    };
    // At the boundaries: the entry is valid from its first moment until just before its removal.
    let time = match when {
        Before => "2019-12-31T23:59:59.999999999Z",
        Valid => "2019-12-31T18:00:00-06:00",
        AfterRemoval => "2022-01-01T00:00:00Z",
    };
    format!(
        r#"{{{who},"accountId":1,"eventCreateDate":"{time}","eventName":"Power On","objectName":"Server","objectId":{DEVICE},"label":"web01","datacenter":"dal10"}}"#
    )
}

/// Returns the fate as text, and whether it waits for the tables.
pub fn judged(rules: &Rules, payload: &str) -> (String, bool) {
    let reference = &WORLD.reference;
    let fate = judge(Some(payload.as_bytes()), rules, || reference);
    let kind = fate.kind();
    let words = format!("{} {}", kind.fate(), kind.reason());
    (words.trim_end().to_string(), fate.awaits_tables())
}
