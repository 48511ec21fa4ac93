//! Who had access? The whole table: every combination of who acted, what is known of the principal,
//! when, and what the deployment demands, judged by the relay and by a second statement of the
//! rules that shares nothing with it. A dozen readable lines come first.

mod world;

use std::collections::BTreeMap;

pub use self::world::rules;
use self::world::{WORLD, judged, record};
use self::{Known::*, Listed::*, Permissions::*, When::*, Who::*};

/// Lines to read: all else being as in the first. Policy: `obo` audits the system on behalf of a
/// user, `quarantine` keeps actions without access, `skip` skips unknown principals; rules: what
/// access demands beyond holding any.
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

/// The words of the table, which are also all there is to combine.
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
/// Whether the permission and the device are asked for.
const RULES: [(&str, (bool, bool)); 4] = [
    ("-", (false, false)),
    ("permission", (true, false)),
    ("device", (false, true)),
    ("both", (true, true)),
];
const WHEN: [(&str, When); 3] = [("before", Before), ("valid", Valid), ("after", AfterRemoval)];

/// What `userType` says, and where the record names the principal: in `userId`, in `onBehalfOf`, in
/// `iamId`, or, as a service with the same rights, in `iamId`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Who {
    Customer,
    /// `userId` is the owner's, `iamId` that of the service.
    Assumed,
    Employee,
    EmployeeOnBehalf,
    System,
    /// Without any id.
    SystemBare,
    SystemOnBehalf,
    /// `userId` is that of a clerk without access.
    SystemClerkOnBehalf,
    /// `userId` is that of the owner, who has access.
    SystemOwnerOnBehalf,
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
        Assumed if has_iam_id => {}
        Assumed => return "quarantined unlinked_principal",
        SystemOnBehalf | SystemClerkOnBehalf | SystemOwnerOnBehalf if demands.system_on_behalf => {}
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
    let is_allowed = holds_any && !lacks_permission && !lacks_device;
    // The access of either side suffices.
    if is_allowed || who == SystemOwnerOnBehalf {
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
    assert_eq!(total, (4 * 3 * 4 * 4) * 11 * 3 * 32);
    let first = &wrong[..wrong.len().min(20)];
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), first.join("\n"));
}

#[test]
fn the_readable_lines_hold() {
    let lines: Vec<&str> = TABLE.lines().filter(|line| !line.is_empty()).skip(1).collect();
    for line in &lines {
        let (conditions, fate) = line.split_once(" | ").expect("a fate");
        let (who, holder, when, wanted) = read(conditions);
        let (_, rules) =
            WORLD.rules.iter().find(|(demands, _)| *demands == wanted).expect("all demands");
        let payload = record(who, WORLD.users[&holder], when);
        assert_eq!(judged(rules, &payload).0, fate, "{line}");
        assert_eq!(expected(who, holder, when, wanted), fate, "{line}");
    }
    assert!(lines.len() >= 12);
}

fn read(conditions: &str) -> (Who, Holder, When, Demands) {
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
