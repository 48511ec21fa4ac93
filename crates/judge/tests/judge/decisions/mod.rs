//! The complete access decision: every combination of initiator, known principal, time and policy,
//! judged by the relay and by an independent statement of the rules. A readable table comes first.

mod world;

use std::collections::BTreeMap;

pub use self::world::rules;
use self::world::{WORLD, judged, record};
use self::{Known::*, Listed::*, Permissions::*, When::*, Who::*};

/// Readable examples. Policy: `obo` audits the system on behalf of a user, `quarantine` quarantines
/// actions without access, `skip` skips unknown principals. Rules: additional requirements for
/// access.
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
SYSTEM-bare linked     true    needed       -         -           valid   obo         | skipped not_user_initiated
EMPLOYEE-obo linked    true    needed       -         -           valid   obo         | skipped not_user_initiated
SYSTEM-clerk linked    true    needed       -         -           valid   -           | skipped not_user_initiated
SYSTEM-clerk linked    true    needed       -         -           valid   obo         | audited
SYSTEM-clerk linked    false   needed       -         -           valid   obo         | skipped no_infrastructure_access
SYSTEM-owner linked    false   needed       -         -           valid   obo         | audited
assumed     linked     -       needed       -         -           valid   -           | audited
assumed     linked     false   needed       -         -           valid   -           | skipped no_infrastructure_access
assumed     linked     true    -            unlisted  device      valid   -           | skipped no_infrastructure_access
assumed     unlinked   true    needed       -         -           valid   -           | quarantined unlinked_principal
assumed     unknown    -       -            -         -           valid   -           | quarantined unlinked_principal
SYSTEM-svc  linked     true    needed       -         -           valid   -           | audited
SYSTEM-svc  unknown    -       -            -         -           valid   -           | skipped unknown_service
";

/// The words of the table, which are also all values to combine.
const WHO: [(&str, Who); 11] = [
    ("CUSTOMER", Customer),
    ("assumed", Assumed),
    ("EMPLOYEE", Employee),
    ("EMPLOYEE-obo", EmployeeOnBehalf),
    ("SYSTEM", System),
    ("SYSTEM-bare", SystemBare),
    ("SYSTEM-obo", SystemOnBehalf),
    ("SYSTEM-clerk", SystemClerkOnBehalf),
    ("SYSTEM-owner", SystemOwnerOnBehalf),
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
const PERMISSIONS: [(&str, Permissions); 4] =
    [("-", Nothing), ("ticket", Ticket), ("other", Other), ("needed", Needed)];
const DEVICES: [(&str, Listed); 4] =
    [("-", DevicesAbsent), ("all", All), ("listed", ThisOne), ("unlisted", AnotherOne)];
/// Whether the permission and the device are required.
const RULES: [(&str, (bool, bool)); 4] = [
    ("-", (false, false)),
    ("permission", (true, false)),
    ("device", (false, true)),
    ("both", (true, true)),
];
const WHEN: [(&str, When); 3] = [("before", Before), ("valid", Valid), ("after", AfterRemoval)];

/// The `userType`, and the field that names the principal: `userId`, `onBehalfOf` or `iamId`; or
/// `iamId` of a service with the same rights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Who {
    Customer,
    /// `userId` is the owner's, `iamId` the service's.
    Assumed,
    Employee,
    EmployeeOnBehalf,
    System,
    /// Without any id.
    SystemBare,
    SystemOnBehalf,
    /// `userId` is a clerk's, who has no access.
    SystemClerkOnBehalf,
    /// `userId` is the owner's, who has access.
    SystemOwnerOnBehalf,
    SystemAsUser,
    SystemAsService,
}

/// The principal's entry in the table.
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

/// The time of the action relative to the validity of the principal's entry.
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

/// The policy of a deployment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PolicyOptions {
    system_on_behalf: bool,
    quarantine_no_access: bool,
    skip_unknown: bool,
    permission: bool,
    device: bool,
}

/// States the rules independently of the relay.
fn expected(who: Who, holder: Holder, when: When, options: PolicyOptions) -> &'static str {
    let has_iam_id = matches!(holder.known, Unlinked | Linked) && when == Valid;
    match who {
        Customer => {}
        Assumed if has_iam_id => {}
        Assumed => return "quarantined unlinked_principal",
        SystemOnBehalf | SystemClerkOnBehalf | SystemOwnerOnBehalf if options.system_on_behalf => {}
        SystemAsService if has_iam_id => {}
        SystemAsService | SystemAsUser if !has_iam_id => return "skipped unknown_service",
        _ => return "skipped not_user_initiated",
    }
    if holder.known == Unknown || when != Valid {
        return if options.skip_unknown {
            "skipped unknown_principal"
        } else {
            "quarantined unknown_principal"
        };
    }
    if holder.known != Linked {
        return "quarantined unlinked_principal";
    }
    let holds_any = match holder.access {
        Some(value) => value,
        None => matches!(holder.permissions, Other | Needed),
    };
    let holds_all = holder.access == Some(true) && holder.permissions == Nothing;
    let lacks_permission = options.permission && !holds_all && holder.permissions != Needed;
    let lacks_device = options.device && holder.devices == AnotherOne;
    let is_allowed = holds_any && !lacks_permission && !lacks_device;
    // Access of either side is sufficient.
    if is_allowed || who == SystemOwnerOnBehalf {
        "audited"
    } else if options.quarantine_no_access {
        "quarantined no_infrastructure_access"
    } else {
        "skipped no_infrastructure_access"
    }
}

/// Returns whether the fate must wait for the tables. It need not if it depends only on the record
/// or on existing entries.
fn awaits_tables(who: Who, fate: &str) -> bool {
    match fate {
        "audited" => false,
        "skipped not_user_initiated" => who == SystemAsUser,
        _ => true,
    }
}

#[test]
fn every_combination_follows_the_rules() {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut wrong = Vec::new();
    for (holder, user) in &WORLD.users {
        for (_, who) in WHO {
            for (_, when) in WHEN {
                let payload = record(who, *user, when);
                for (options, rules) in &WORLD.rules {
                    let (fate, awaits) = judged(rules, &payload);
                    let expected = expected(who, *holder, when, *options);
                    if fate != expected || awaits != awaits_tables(who, expected) {
                        wrong.push(format!(
                            "{who:?} {holder:?} {when:?} {options:?}: expected {expected}, got {fate} (waits for the tables: {awaits})"
                        ));
                    }
                    *seen.entry(fate).or_default() += 1;
                }
            }
        }
    }
    let total: usize = seen.values().sum();
    println!("{total} combinations: {seen:#?}");
    assert_eq!(total, (4 * 3 * 4 * 4) * 11 * 3 * 32);
    let first = &wrong[..wrong.len().min(20)];
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), first.join("\n"));
}

#[test]
fn the_readable_table_holds() {
    let lines: Vec<&str> = TABLE.lines().filter(|line| !line.is_empty()).skip(1).collect();
    for line in &lines {
        let (conditions, fate) = line.split_once(" | ").expect("a fate");
        let (who, holder, when, options) = read(conditions);
        let (_, rules) = WORLD
            .rules
            .iter()
            .find(|(known, _)| *known == options)
            .expect("all combinations of options");
        let payload = record(who, WORLD.users[&holder], when);
        assert_eq!(judged(rules, &payload).0, fate, "{line}");
        assert_eq!(expected(who, holder, when, options), fate, "{line}");
    }
    assert!(lines.len() >= 12);
}

fn read(conditions: &str) -> (Who, Holder, When, PolicyOptions) {
    let words: Vec<&str> = conditions.split_whitespace().collect();
    let [who, known, access, permissions, devices, rules, when, policy] = words[..] else {
        panic!("{} columns in {conditions:?}", words.len());
    };
    let holder = Holder {
        known: one_of(known, &KNOWN),
        access: one_of(access, &ACCESS),
        permissions: one_of(permissions, &PERMISSIONS),
        devices: one_of(devices, &DEVICES),
    };
    let (permission, device) = one_of(rules, &RULES);
    let options = PolicyOptions {
        system_on_behalf: policy == "obo",
        quarantine_no_access: policy == "quarantine",
        skip_unknown: policy == "skip",
        permission,
        device,
    };
    (one_of(who, &WHO), holder, one_of(when, &WHEN), options)
}

fn one_of<T: Copy>(word: &str, meanings: &[(&str, T)]) -> T {
    let found = meanings.iter().find(|(known, _)| *known == word);
    found.unwrap_or_else(|| panic!("{word:?} is not known")).1
}
