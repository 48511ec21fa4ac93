//! The severity and reason of an event: every status with every outcome, checked against the
//! published lists.

use audit_cases::Setup;
use audit_judge::fate::Fate;
use serde_json::{Value, json};

const CRITICAL: [u16; 4] = [401, 403, 503, 507];
const WARNING: [u16; 7] = [400, 409, 424, 500, 502, 504, 505];
/// Event names of actions, each with the action's own severity.
const ACTIONS: [(&str, &str); 3] =
    [("Power On", "normal"), ("Power Off", "warning"), ("OS Reload", "critical")];
/// In ascending order.
const SEVERITIES: [&str; 3] = ["normal", "warning", "critical"];

fn rank(severity: &str) -> usize {
    let found = SEVERITIES.iter().position(|known| *known == severity);
    found.expect("a severity")
}

fn expected(own: &'static str, outcome: &str, code: Option<u16>) -> &'static str {
    let by_outcome = if outcome == "failure" { "warning" } else { "normal" };
    let by_code = match code {
        Some(code) if CRITICAL.contains(&code) => "critical",
        Some(code) if WARNING.contains(&code) => "warning",
        _ => "normal",
    };
    let all = [own, by_outcome, by_code];
    all.into_iter().max_by_key(|it| rank(it)).expect("three")
}

#[test]
fn the_highest_severity_of_action_outcome_and_status_applies() {
    let setup = Setup::new("");
    let codes = || (100..=599).map(Some).chain([None]);
    let mut compared = 0;
    for (event_name, own) in ACTIONS {
        for outcome in ["success", "failure", "pending"] {
            for code in codes() {
                let event = event(&setup, event_name, outcome, code);
                let what = format!("{event_name} {outcome} {code:?}");
                assert_eq!(event["severity"], expected(own, outcome, code), "{what}");
                let default = match outcome {
                    "success" => json!(200),
                    "pending" => json!(202),
                    _ => Value::Null,
                };
                let code = code.map_or(default, |code| json!(code));
                assert_eq!(event["reason"]["reasonCode"], code, "{what}");
                compared += 1;
            }
        }
    }
    assert_eq!(compared, 3 * 3 * 501);
}

fn event(setup: &Setup, event_name: &str, outcome: &str, code: Option<u16>) -> Value {
    let record = json!({
        "accountId": 307608, "eventCreateDate": "2021-07-14T09:12:44.318207-05:00", "eventName": event_name,
        "label": "web01", "objectId": 1234567, "objectName": "Server", "userId": 6100101,
        "userType": "CUSTOMER", "outcome": outcome, "reasonCode": code,
    });
    audited(setup, &record)
}

fn audited(setup: &Setup, record: &Value) -> Value {
    match setup.judge(Some(record.to_string().as_bytes())) {
        Fate::Audited(audited) => serde_json::from_slice(&audited.event).expect("JSON"),
        other => panic!("{record}: {other:?}"),
    }
}

/// A message ends with the outcome; a name with the same ending must not change it.
#[test]
fn a_name_cannot_fake_an_outcome() {
    let setup = Setup::new("");
    for pretended in ["-failure", "-pending", "-success", "-success -Failure"] {
        for (outcome, end) in [("success", ""), ("failure", " -failure"), ("pending", " -pending")]
        {
            let record = json!({
                "accountId": 307608, "eventCreateDate": "2021-07-14T09:12:44.318207-05:00",
                "eventName": "Power On", "label": format!("web01 {pretended}"), "objectId": 1234567,
                "objectName": "Server", "userId": 6100101, "userType": "CUSTOMER", "outcome": outcome,
            });
            let event = audited(&setup, &record);
            let message = format!("Bare Metal Servers (Classic): power-on bare-metal web01{end}");
            assert_eq!(event["message"], message, "{pretended} {outcome}");
            assert_eq!(event["target"]["name"], record["label"]);
        }
    }
}
