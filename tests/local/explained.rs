//! `explain` names every identity and version that decided a record, and its output agrees with the
//! record's fate.

use std::cell::RefCell;
use std::collections::BTreeSet;

use audit_cases::generators::{hold, near_valid};
use audit_cases::{Case, case, cases};
use audit_judge::fate::{Audited, Fate};
use audit_judge::judge;
use audit_relay::commands::explain::explain_record;
use audit_relay::deployment::Deployment;
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use serde_json::Value;

use crate::configured::configured;

/// Returns the output of `explain` for a case.
fn explained(name: &str) -> String {
    let case = case(name);
    let (_, deployment) = configured(case);
    explain_record(name.to_string(), Some(&case.input), None, &deployment).text()
}

#[test]
fn explain_names_every_identity_it_looked_up() {
    let service = "principal 307608/iam-ServiceId-3f8e1c52-6b7d-4c1e-9a55-0d2b7c9e4f10 from";
    let profile = "principal 307608/iam-Profile-2b1d7c36-58f4-4e09-8f6a-9d1c3b5a7e42 from";
    let cases: [(&str, &[&str]); 7] = [
        // By IAM id, although the table has classic ids as keys.
        ("initiator-user-by-iam-id-alone", &["principal 307608/6100101 from"]),
        (
            "customer-on-behalf-by-iam-id",
            &["principal 307608/6100102 from", "principal 307608/6100101 from"],
        ),
        (
            "customer-on-behalf-acting-service-by-iam-id",
            &["principal 307608/6100102 from", service],
        ),
        (
            "customer-on-behalf-acting-under-a-profile",
            &["principal 307608/6100102 from", "principal 307608/6100101 from", profile],
        ),
        (
            "customer-on-behalf-acting-service-unknown",
            &["principal 307608/iam-ServiceId-nobody: not in the table"],
        ),
        (
            "initiator-iam-id-of-two-principals",
            &["principal 307608/7 from", "principal 307608/8 from"],
        ),
        ("system-under-a-service-id", &[service, "(decides)"]),
    ];
    for (name, lines) in cases {
        let text = explained(name);
        for line in lines {
            assert!(text.contains(line), "{name} lacks {line:?}:\n{text}");
        }
    }
}

#[test]
fn the_deciding_device_version_is_marked() {
    let text = explained("device-of-the-account-within-the-clock-skew");
    let decided = "device 2 from 2021-07-14T14:12:46Z (decides)";
    assert!(text.contains(decided), "{text}");
}

/// Deployments in which each stage rejects some record.
const DEPLOYMENTS: [&str; 2] = [
    "[policy]\nsystem_on_behalf_of_user = true\n[output]\nmax_message_bytes = 1000",
    "[policy]\nunknown_principal = \"skip\"\n[output]\nregions = [\"us-south\", \"us-east\"]",
];

/// The stages, in order.
const STAGES: [&str; 5] = ["parse", "classify", "enrich", "route", "format"];

#[test]
fn the_explanation_agrees_with_the_fate() {
    for case in cases() {
        let (_, deployment) = configured(case);
        let stopped = check_agreement(&case.input, &deployment);
        stopped.unwrap_or_else(|problem| panic!("{}: {problem}", case.name));
    }
    let deployments = DEPLOYMENTS.map(|settings| {
        let settings = toml::from_str(settings).expect("TOML");
        configured(&Case { settings, ..case("power-on").clone() }).1
    });
    let seen: RefCell<BTreeSet<String>> = RefCell::default();
    hold(2_000, near_valid(), |record| {
        for deployment in &deployments {
            seen.borrow_mut().insert(check_agreement(record.text().as_bytes(), deployment)?);
        }
        Ok(())
    });
    let all: BTreeSet<String> = STAGES.into_iter().chain([""]).map(str::to_owned).collect();
    assert_eq!(seen.into_inner(), all, "every stage must stop some record");
}

/// Compares the explanation of a record with its fate. Returns the stage that stops it, or an empty
/// string if it is audited.
fn check_agreement(payload: &[u8], deployment: &Deployment) -> Result<String, TestCaseError> {
    let explanation = explain_record(String::new(), Some(payload), None, deployment);
    let json = serde_json::to_value(&explanation).expect("JSON");
    let fate = judge(Some(payload), &deployment.rules, || &deployment.reference);
    let (kind, detail) = (
        fate.kind(),
        match &fate {
            Fate::Audited(_) => None,
            Fate::Skipped(skip) => Some(skip.reason.meaning()),
            Fate::Quarantined(quarantine) => Some(quarantine.detail.as_str()),
        },
    );
    prop_assert_eq!(&json["fate"], kind.fate());
    prop_assert_eq!(json["reason"].as_str().unwrap_or_default(), kind.reason());
    prop_assert_eq!(json["detail"].as_str(), detail);
    prop_assert_eq!(&json["awaitsTables"], fate.awaits_tables());
    let lines = lines(&json);
    let place = |line: &(&str, &str)| STAGES.iter().position(|stage| *stage == line.0);
    prop_assert!(lines.is_sorted_by_key(place), "{:?}", lines);
    prop_assert_eq!(lines.iter().filter(|(stage, _)| *stage == "parse").count(), 1);
    let stops: Vec<_> = lines.iter().filter(|(_, line)| line.starts_with("stops here")).collect();
    if let Fate::Audited(audited) = &fate {
        prop_assert_eq!(stops.len(), 0, "{:?}", lines);
        check_event_facts(&json, &lines, audited, deployment)?;
        return Ok(String::new());
    }
    let (stage, line) = lines.last().expect("the stage that stops it");
    prop_assert_eq!(stops.len(), 1, "{:?}", lines);
    prop_assert_eq!(line, &format!("stops here: {}", kind.reason()));
    prop_assert!(
        stages_of(kind.reason()).contains(stage),
        "stages_of does not list {stage} for {}: {lines:?}",
        kind.reason()
    );
    Ok((*stage).to_owned())
}

/// Returns the findings of each stage, in order.
fn lines(json: &Value) -> Vec<(&str, &str)> {
    let stages = json["stages"].as_array().expect("a list");
    stages
        .iter()
        .map(|stage| {
            let [stage, found] = [&stage["stage"], &stage["found"]].map(Value::as_str);
            (stage.expect("a stage"), found.expect("a text"))
        })
        .collect()
}

/// Checks that the facts reported by the stages are those of the event.
fn check_event_facts(
    json: &Value,
    lines: &[(&str, &str)],
    audited: &Audited,
    deployment: &Deployment,
) -> Result<(), TestCaseError> {
    let event: Value = serde_json::from_slice(&audited.event).expect("JSON");
    prop_assert_eq!(&json["event"], &event);
    let envelope = &audited.envelope;
    let (account, location) = (&envelope.account, &envelope.location);
    let initiator = event["initiator"]["id"].as_str().expect("an id");
    let action = event["action"].as_str().expect("an action");
    let region = &deployment.rules.routes.regions()[envelope.region.0];
    let attributed =
        format!("initiator {initiator} of account {account}, with access; data center {location}");
    let (listed, routed) = (format!("{action}, by "), format!("region {region}"));
    let has =
        |stage, is: &dyn Fn(&str) -> bool| lines.iter().any(|(of, line)| *of == stage && is(line));
    prop_assert!(has("classify", &|line| line.starts_with(&listed)), "{:?}", lines);
    prop_assert!(has("enrich", &|line| line == attributed), "{:?}", lines);
    prop_assert_eq!(lines.last(), Some(&("route", routed.as_str())));
    let principal = format!("principal {account}/");
    let decides = |line: &str| line.starts_with(&principal) && line.ends_with(" (decides)");
    prop_assert!(has("enrich", &decides), "{:?}", lines);
    Ok(())
}

/// Returns the stages that can give a reason.
fn stages_of(reason: &str) -> &'static [&'static str] {
    match reason {
        "malformed" => &["parse", "classify", "enrich"],
        "unsupported_version" => &["parse"],
        "unlisted_action" => &["classify"],
        "not_user_initiated" => &["classify", "enrich"],
        "unrouted_region" => &["route"],
        "too_large" => &["format"],
        _ => &["enrich"],
    }
}
