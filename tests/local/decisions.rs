//! Who had access? The whole table: every combination of who acted, what is known of the principal, when,
//! and what the deployment demands, judged by the pipeline and by a second statement of the rules that
//! shares nothing with it. A dozen readable lines come first.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::LazyLock;

use audit_relay::pipeline::catalog::{Catalog, Switches};
use audit_relay::pipeline::crn::{CrnTemplate, CrnTemplates};
use audit_relay::pipeline::directory::{Directory, read_principals};
use audit_relay::pipeline::permissions::PermissionNames;
use audit_relay::pipeline::policy::{AccessRules, Policy};
use audit_relay::pipeline::regions::Locations;
use audit_relay::pipeline::route::Routes;
use audit_relay::pipeline::{Reference, Rules, judge};

use self::{Known::*, Listed::*, Permissions::*, When::*, Who::*};

/// Lines to read: all else being as in the first. Policy: `obo` audits the system on behalf of a user, `quarantine`
/// keeps actions without access, `skip` skips unknown principals; rules: what access demands beyond holding any.
const TABLE: &str = "
who         principal  access  permissions  devices   rules       when    policy      | fate
CUSTOMER    linked     -       needed       -         -           valid   -           | audited
CUSTOMER    linked     true    -            -         -           valid   -           | audited
CUSTOMER    linked     false   needed       -         -           valid   -           | skipped no_infrastructure_access
CUSTOMER    linked     false   needed       -         -           valid   quarantine  | quarantined no_infrastructure_access
CUSTOMER    linked     -       -            -         -           valid   -           | skipped no_infrastructure_access
CUSTOMER    linked     -       other        -         -           valid   -           | audited
CUSTOMER    linked     -       other        -         permission  valid   -           | skipped no_infrastructure_access
CUSTOMER    linked     true    -            -         permission  valid   -           | audited
CUSTOMER    linked     true    other        -         permission  valid   -           | skipped no_infrastructure_access
CUSTOMER    linked     -       ticket       -         -           valid   -           | skipped no_infrastructure_access
CUSTOMER    linked     -       needed       listed    both        valid   -           | audited
CUSTOMER    linked     -       needed       unlisted  -           valid   -           | audited
CUSTOMER    linked     -       needed       unlisted  device      valid   -           | skipped no_infrastructure_access
CUSTOMER    linked     -       needed       -         -           before  -           | quarantined unknown_principal
CUSTOMER    linked     -       needed       -         -           after   skip        | skipped unknown_principal
CUSTOMER    unknown    -       -            -         -           valid   -           | quarantined unknown_principal
CUSTOMER    unlinked   true    needed       -         -           valid   -           | quarantined unlinked_principal
CUSTOMER    no-iam-id  true    needed       -         -           valid   -           | quarantined unlinked_principal
EMPLOYEE    linked     true    needed       -         -           valid   -           | skipped not_user_initiated
SYSTEM      linked     true    needed       -         -           valid   obo         | skipped not_user_initiated
SYSTEM-obo  linked     true    needed       -         -           valid   -           | skipped not_user_initiated
SYSTEM-obo  linked     true    needed       -         -           valid   obo         | audited
SYSTEM-user linked     true    needed       -         -           valid   -           | skipped not_user_initiated
SYSTEM-svc  linked     true    needed       -         -           valid   -           | audited
SYSTEM-svc  unknown    -       -            -         -           valid   -           | skipped unknown_service
";

/// The words of the table, which are also all there is to combine.
const WHO: [(&str, Who); 6] = [
    ("CUSTOMER", Customer),
    ("EMPLOYEE", Employee),
    ("SYSTEM", System),
    ("SYSTEM-obo", SystemOnBehalf),
    ("SYSTEM-user", SystemAsUser),
    ("SYSTEM-svc", SystemAsService),
];
const KNOWN: [(&str, Known); 4] = [
    ("unknown", Unknown),
    ("unlinked", Unlinked),
    ("no-iam-id", LinkedWithoutIamId),
    ("linked", Linked),
];
const ACCESS: [(&str, Option<bool>); 3] =
    [("-", None), ("true", Some(true)), ("false", Some(false))];
const PERMISSIONS: [(&str, Permissions); 4] = [
    ("-", Nothing),
    ("ticket", Ticket),
    ("other", Other),
    ("needed", Needed),
];
const DEVICES: [(&str, Listed); 4] = [
    ("-", DevicesAbsent),
    ("all", All),
    ("listed", ThisOne),
    ("unlisted", AnotherOne),
];
/// Whether the permission and the device are asked for.
const RULES: [(&str, (bool, bool)); 4] = [
    ("-", (false, false)),
    ("permission", (true, false)),
    ("device", (false, true)),
    ("both", (true, true)),
];
const WHEN: [(&str, When); 3] = [
    ("before", Before),
    ("valid", Valid),
    ("after", AfterRemoval),
];

/// What `userType` says, and whether `onBehalfOf` names the principal, or `iamId` him or a service with his rights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Who {
    Customer,
    Employee,
    System,
    SystemOnBehalf,
    SystemAsUser,
    SystemAsService,
}

/// What the principals table holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Known {
    Unknown,
    Unlinked,
    LinkedWithoutIamId,
    Linked,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Permissions {
    Nothing,
    Ticket,
    Other,
    Needed,
}

/// The principal's devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Listed {
    DevicesAbsent,
    All,
    ThisOne,
    AnotherOne,
}

/// The time of the action against the time for which the principal is in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum When {
    Before,
    Valid,
    AfterRemoval,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Holder {
    known: Known,
    access: Option<bool>,
    permissions: Permissions,
    devices: Listed,
}

/// What a deployment demands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Demands {
    system_on_behalf: bool,
    quarantine_no_access: bool,
    skip_unknown: bool,
    permission: bool,
    device: bool,
}

/// What the rules say, in their own words.
fn expected(who: Who, holder: Holder, when: When, demands: Demands) -> &'static str {
    let has_iam_id = matches!(holder.known, Unlinked | Linked) && when == Valid;
    match who {
        Customer => {}
        SystemOnBehalf if demands.system_on_behalf => {}
        SystemAsService if has_iam_id => {}
        SystemAsService | SystemAsUser if !has_iam_id => return "skipped unknown_service",
        _ => return "skipped not_user_initiated",
    }
    if holder.known == Unknown || when != Valid {
        return if demands.skip_unknown {
            "skipped unknown_principal"
        } else {
            "quarantined unknown_principal"
        };
    }
    if holder.known != Linked {
        return "quarantined unlinked_principal";
    }
    let holds_any = match holder.access {
        Some(said) => said,
        None => matches!(holder.permissions, Other | Needed),
    };
    let holds_all = holder.access == Some(true) && holder.permissions == Nothing;
    let lacks_permission = demands.permission && !holds_all && holder.permissions != Needed;
    let lacks_device = demands.device && holder.devices == AnotherOne;
    if holds_any && !lacks_permission && !lacks_device {
        "audited"
    } else if demands.quarantine_no_access {
        "quarantined no_infrastructure_access"
    } else {
        "skipped no_infrastructure_access"
    }
}

/// Whether the tables have to be caught up with before the fate is final: all but what rests on the
/// record alone, and on what the tables do hold.
fn awaits_tables(who: Who, fate: &str) -> bool {
    match fate {
        "audited" => false,
        "skipped not_user_initiated" => who == SystemAsUser,
        _ => true,
    }
}

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
fn demands() -> Vec<Demands> {
    let policies = (0..8).map(|bits| [bits & 1, bits & 2, bits & 4].map(|bit| bit != 0));
    let demands = |[system_on_behalf, quarantine_no_access, skip_unknown]: [bool; 3]| {
        RULES.map(|(_, (permission, device))| Demands {
            system_on_behalf,
            quarantine_no_access,
            skip_unknown,
            permission,
            device,
        })
    };
    policies.flat_map(demands).collect()
}

/// Every holder as a principal of its own, by user id.
struct World {
    users: BTreeMap<Holder, usize>,
    directory: Directory,
    /// One for each of [`demands`].
    rules: Vec<(Demands, Rules)>,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let users: BTreeMap<Holder, usize> = holders().into_iter().zip(1..).collect();
    let mut lines = String::new();
    for (holder, user) in users.iter().filter(|(holder, _)| holder.known != Unknown) {
        principal(&mut lines, *holder, *user, "user");
        principal(&mut lines, *holder, SERVICES + user, "serviceId");
    }
    let principals = read_principals("principals", &lines).expect("principals");
    World {
        users,
        directory: Directory {
            principals,
            devices: None,
        },
        rules: demands().into_iter().map(|it| (it, rules(it))).collect(),
    }
});

/// The classic ids of services are those of the users, and this.
const SERVICES: usize = 10_000;

/// Known from 2020 to the end of 2021.
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
    .expect("a String takes all");
}

/// Rules with these demands, and all regions.
pub fn rules(demands: Demands) -> Rules {
    let catalog = Catalog::load(&Catalog::embedded_files(), &Switches::default());
    let locations = Locations::embedded("six").expect("locations");
    let regions: Vec<String> = locations.regions().map(str::to_string).collect();
    let template =
        |end: &str| CrnTemplate::parse(&format!("crn:v1:b:p:s:l:a/1:{end}")).expect("a template");
    Rules {
        catalog: catalog.expect("the catalogue"),
        locations,
        routes: Routes::new(regions),
        permissions: PermissionNames::load(PermissionNames::EMBEDDED).expect("good names"),
        policy: Policy {
            service_initiators: true,
            access: AccessRules {
                permission: demands.permission,
                device: demands.device,
            },
            system_on_behalf_of_user: demands.system_on_behalf,
            quarantine_no_infrastructure_access: demands.quarantine_no_access,
            skip_unknown_principal: demands.skip_unknown,
            clock_skew_ms: 0,
        },
        crns: CrnTemplates {
            target: template(":{resource_type}:{id}"),
            log_source: template("::"),
        },
        max_event_bytes: 1_000_000,
    }
}

/// A power-on by, or on behalf of, the user.
fn record(who: Who, user: usize, when: When) -> String {
    let who = match who {
        Customer => format!(r#""userType":"CUSTOMER","userId":{user}"#),
        Employee => format!(r#""userType":"EMPLOYEE","userId":{user}"#),
        System => format!(r#""userType":"SYSTEM","userId":{user}"#),
        SystemOnBehalf => format!(r#""userType":"SYSTEM","onBehalfOf":{{"userId":{user}}}"#),
        SystemAsUser => format!(r#""userType":"SYSTEM","iamId":"IBMid-{user}""#),
        SystemAsService => format!(r#""userType":"SYSTEM","iamId":"IBMid-{}""#, SERVICES + user),
    };
    // At the very borders: the first moment counts, and the moment of removal no longer.
    let time = match when {
        Before => "2019-12-31T23:59:59.999999999Z",
        Valid => "2019-12-31T18:00:00-06:00",
        AfterRemoval => "2022-01-01T00:00:00Z",
    };
    format!(
        r#"{{{who},"accountId":1,"eventCreateDate":"{time}","eventName":"Power On","objectName":"Server","objectId":{DEVICE},"label":"web01","datacenter":"dal10"}}"#
    )
}

/// The fate as counted, and whether it waits for the tables.
fn judged(rules: &Rules, payload: &str) -> (String, bool) {
    let directory = &WORLD.directory;
    let fate = judge(Some(payload.as_bytes()), Reference { rules, directory });
    let kind = fate.kind();
    let words = format!("{} {}", kind.fate(), kind.reason());
    (words.trim_end().to_string(), fate.awaits_tables())
}

#[test]
fn every_combination_is_decided_as_the_rules_say() {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut wrong = Vec::new();
    for (holder, user) in &WORLD.users {
        for (_, who) in WHO {
            for (_, when) in WHEN {
                let payload = record(who, *user, when);
                for (demands, rules) in &WORLD.rules {
                    let (fate, awaits) = judged(rules, &payload);
                    let expected = expected(who, *holder, when, *demands);
                    if fate != expected || awaits != awaits_tables(who, expected) {
                        wrong.push(format!(
                            "{who:?} {holder:?} {when:?} {demands:?}: expected {expected}, got {fate} (waits for the tables: {awaits})"
                        ));
                    }
                    *seen.entry(fate).or_default() += 1;
                }
            }
        }
    }
    let total: usize = seen.values().sum();
    println!("{total} combinations: {seen:#?}");
    assert_eq!(total, (4 * 3 * 4 * 4) * 6 * 3 * 32);
    let first = &wrong[..wrong.len().min(20)];
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        first.join("\n")
    );
}

#[test]
fn the_readable_lines_hold() {
    let lines: Vec<&str> = TABLE
        .lines()
        .filter(|line| !line.is_empty())
        .skip(1)
        .collect();
    for line in &lines {
        let (conditions, fate) = line.split_once(" | ").expect("a fate");
        let (who, holder, when, wanted) = read(conditions);
        let (_, rules) = WORLD
            .rules
            .iter()
            .find(|(demands, _)| *demands == wanted)
            .expect("all demands");
        let payload = record(who, WORLD.users[&holder], when);
        assert_eq!(judged(rules, &payload).0, fate, "{line}");
        assert_eq!(expected(who, holder, when, wanted), fate, "{line}");
    }
    assert!(lines.len() >= 12);
}

fn read(conditions: &str) -> (Who, Holder, When, Demands) {
    let words: Vec<&str> = conditions.split_whitespace().collect();
    let [
        who,
        known,
        access,
        permissions,
        devices,
        rules,
        when,
        policy,
    ] = words[..]
    else {
        panic!("{} columns in {conditions:?}", words.len());
    };
    let holder = Holder {
        known: one_of(known, &KNOWN),
        access: one_of(access, &ACCESS),
        permissions: one_of(permissions, &PERMISSIONS),
        devices: one_of(devices, &DEVICES),
    };
    let (permission, device) = one_of(rules, &RULES);
    let demands = Demands {
        system_on_behalf: policy == "obo",
        quarantine_no_access: policy == "quarantine",
        skip_unknown: policy == "skip",
        permission,
        device,
    };
    (one_of(who, &WHO), holder, one_of(when, &WHEN), demands)
}

fn one_of<T: Copy>(word: &str, meanings: &[(&str, T)]) -> T {
    let found = meanings.iter().find(|(known, _)| *known == word);
    found.unwrap_or_else(|| panic!("{word:?} is not known")).1
}
