//! Which versions of a principal within the clock skew count, and in which order. The tables are
//! generated: an example with so many versions would not be readable.

use audit_judge::fate::Fate;
use audit_judge::judge;
use audit_judge::reference::{ReferenceTables, read_principals};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::decisions::{PolicyOptions, rules};

/// The documented clock skew.
const SKEW_MS: u32 = 5_000;

/// A version that starts this many milliseconds after the action, with its name.
fn version(after_ms: i64, name: &str, has_access: bool) -> String {
    let from = action_time() + SignedDuration::from_millis(after_ms);
    let line = json!({
        "accountId": 1, "userId": 2, "iamId": "IBMid-2", "name": name,
        "infrastructureAccess": has_access, "validFrom": from.to_string(),
    });
    format!("{line}\n")
}

fn action_time() -> Timestamp {
    "2021-07-14T09:12:44Z".parse().expect("a time")
}

/// Returns the initiator's name, or the reason why the action is not audited.
fn judged(principals: &str) -> String {
    judged_as(principals, &Value::Null)
}

/// Does the same for an action with an IAM id.
fn judged_as(principals: &str, iam_id: &Value) -> String {
    let mut rules = rules(PolicyOptions::default());
    rules.policy.clock_skew_ms = SKEW_MS;
    let reference = ReferenceTables {
        principals: read_principals("principals", principals).expect("valid lines"),
        devices: None,
    };
    let record = json!({
        "accountId": 1, "userId": 2, "iamId": iam_id, "userType": "CUSTOMER", "eventCreateDate": action_time().to_string(),
        "eventName": "Power On", "objectName": "Server", "objectId": 1, "label": "web01", "datacenter": "dal10",
    });
    match judge(Some(record.to_string().as_bytes()), &rules, || &reference) {
        Fate::Audited(audited) => {
            let event: Value = serde_json::from_slice(&audited.event).expect("JSON");
            let name = &event["initiator"]["name"];
            name.as_str().expect("a name").to_string()
        }
        other => other.kind().reason().to_string(),
    }
}

#[test]
fn access_by_any_of_the_32_nearest_versions_counts() {
    for (number, expected) in [
        (1, "granted"),
        (2, "granted"),
        (31, "granted"),
        (32, "granted"),
        (33, "no_infrastructure_access"),
    ] {
        let mut lines = version(-10_000, "now", false);
        for nearer in 1..number {
            lines += &version(nearer, "revoked", false);
        }
        lines += &version(number, "granted", true);
        assert_eq!(judged(&lines), expected, "number {number}");
    }
}

#[test]
fn the_nearest_version_decides_and_the_earlier_wins_a_tie() {
    for (before_ms, after_ms, expected) in [
        (-10, 20, "before"),
        (-20, 10, "after"),
        (-10, 10, "before"),
        (-5_001, 5_000, "after"),
        (-4_999, 5_001, "before"),
        (-5_000, 5_001, "no_infrastructure_access"),
    ] {
        // The version `before` ends where `now`, without access, starts.
        let lines = version(-60_000, "before", true)
            + &version(before_ms, "now", false)
            + &version(after_ms, "after", true);
        assert_eq!(judged(&lines), expected, "{before_ms} {after_ms}");
    }
}

/// An IAM id that belongs to a user a moment later does not prove that another user may act under
/// it.
#[test]
fn a_user_cannot_act_under_the_iam_id_of_another_user() {
    let entry = |kind: &str, after_ms: i64, has_access: bool| {
        let from = action_time() + SignedDuration::from_millis(after_ms);
        let line = json!({
            "accountId": 1, "iamId": "iam-7", "name": kind, "kind": kind, "infrastructureAccess": has_access,
            "validFrom": from.to_string(),
        });
        format!("{line}\n")
    };
    for (later, expected) in [("user", "no_infrastructure_access"), ("profile", "profile")] {
        let lines = version(-10_000, "login", true)
            + &entry("profile", -10_000, false)
            + &entry(later, 1, true);
        assert_eq!(judged_as(&lines, &json!("iam-7")), expected, "{later}");
    }
}
