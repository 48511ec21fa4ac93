//! Properties of every input, checked on many: judging never panics, the same record gives the same
//! bytes, and an audit event contains only what is allowed. `golden` and `decisions` test the fates
//! of particular records.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::{LazyLock, Mutex};

use audit_cases::generators::{any_record, hold, near_valid};
use audit_cases::{Setup, cases};
use audit_judge::fate::{Audited, Fate, FateKind, Quarantine};
use jsonschema::Validator;
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use serde_json::Value;

use crate::schemas::schema;

/// Deployments with different policies and limits.
const DEPLOYMENTS: [&str; 4] = [
    "",
    "[policy]\naccess = [\"permission\", \"device\"]\nsystem_on_behalf_of_user = true\nno_infrastructure_access = \"quarantine\"
     [catalog]\nenable = [\"audit-log.vsi.*\", \"audit-log.user.login\"]\n[locations]\nprofile = \"all\"",
    // Close to the size of an event: some fit, some are truncated, some are too large.
    "[output]\nmax_message_bytes = 1000",
    "[policy]\nunknown_principal = \"skip\"\n[output]\nregions = [\"us-south\", \"us-east\"]",
];

/// Each deployment loaded twice: the two share nothing except their input, in particular not the
/// order of hash maps.
static LOADED: LazyLock<Vec<[Setup; 2]>> = LazyLock::new(|| {
    let twice = |settings: &&str| [Setup::new(settings), Setup::new(settings)];
    DEPLOYMENTS.iter().map(twice).collect()
});
static AUDIT_EVENT: LazyLock<Validator> = LazyLock::new(|| schema("audit-event"));

/// Adds white space, so that the reader of plain records does not handle the record.
fn not_plain(payload: &[u8]) -> Vec<u8> {
    // Keep the frame of a schema registry at the start: a zero and an id of four bytes.
    let frame = if payload.first() == Some(&0) { 5 } else { 0 };
    let (frame, rest) = payload.split_at(frame.min(payload.len()));
    [frame, b"\t", rest].concat()
}

/// Removes the detail, which may contain a position in the text.
fn without_detail(fate: &Fate) -> Fate {
    match fate {
        Fate::Quarantined(quarantine) => Fate::Quarantined(Quarantine::new(quarantine.reason, "")),
        fate => fate.clone(),
    }
}

/// Checks all guarantees for one record in every deployment. Returns its fates.
fn check_guarantees(payload: &[u8]) -> Result<Vec<FateKind>, TestCaseError> {
    let mut kinds = Vec::new();
    for [setup, twin] in LOADED.iter() {
        let fate = setup.judge(Some(payload));
        prop_assert_eq!(
            &fate,
            &setup.judge(Some(payload)),
            "judging again must give the same fate"
        );
        prop_assert_eq!(
            &fate,
            &twin.judge(Some(payload)),
            "the same rules must give the same fate"
        );
        let by_serde = setup.judge(Some(&not_plain(payload)));
        prop_assert_eq!(
            without_detail(&fate),
            without_detail(&by_serde),
            "serde must give the same fate"
        );
        prop_assert!(FateKind::all().any(|kind| kind == fate.kind()));
        if let Fate::Audited(audited) = &fate {
            check_event(audited, setup)?;
        }
        kinds.push(fate.kind());
    }
    Ok(kinds)
}

fn check_event(audited: &Audited, setup: &Setup) -> Result<(), TestCaseError> {
    let rules = &setup.rules;
    prop_assert!(audited.event.len() <= rules.max_event_bytes);
    prop_assert!(audited.envelope.region.0 < rules.routes.regions().len());
    let event: Value = serde_json::from_slice(&audited.event)
        .map_err(|error| TestCaseError::fail(format!("the event is not JSON: {error}")))?;
    let errors: Vec<String> = AUDIT_EVENT
        .iter_errors(&event)
        .map(|error| format!("{error} at {}", error.instance_path()))
        .collect();
    prop_assert!(errors.is_empty(), "{errors:?} in {event}");
    prop_assert_eq!(&event["id"], &audited.envelope.id.to_string());
    check_crns(audited, &event)?;
    check_types("", &event)?;
    check_allowed_data(setup, &event)
}

/// The first type seen at each path of an event. Consumers store events in tables with one type per
/// column.
static TYPES: Mutex<BTreeMap<String, &'static str>> = Mutex::new(BTreeMap::new());

fn check_types(place: &str, value: &Value) -> Result<(), TestCaseError> {
    let found = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "list",
        Value::Object(_) => "object",
    };
    let first = *TYPES
        .lock()
        .expect("no thread panics while it holds the lock")
        .entry(place.to_string())
        .or_insert(found);
    prop_assert_eq!(first, found, "{}", place);
    for (key, value) in value.as_object().into_iter().flatten() {
        check_types(&format!("{place}/{key}"), value)?;
    }
    Ok(())
}

#[test]
fn event_fields_have_one_type_in_all_cases() {
    for case in cases() {
        if let Some(event) = case.outcome.get("event") {
            check_types("", event).expect(&case.name);
        }
    }
}

/// Checks that ids cannot inject segments into a CRN: there are ten segments, all with the expected
/// values.
fn check_crns(audited: &Audited, event: &Value) -> Result<(), TestCaseError> {
    let action = event["action"].as_str().unwrap_or_default();
    let service = action.split('.').next().unwrap_or_default();
    let scope = format!("a/{}", audited.envelope.account);
    let beginning =
        ["crn", "v1", "bluemix", "public", service, &audited.envelope.location, &scope, ""];
    let segments = |crn: &Value| -> Vec<String> {
        let crn = crn.as_str().unwrap_or_default();
        crn.split(':').map(str::to_string).collect()
    };
    let target = segments(&event["target"]["id"]);
    prop_assert_eq!(target.len(), 10, "{:?}", target);
    prop_assert_eq!(&target[..8], &beginning);
    prop_assert_eq!(&target[9], audited.envelope.device.as_str());
    let log_source = segments(&event["logSourceCRN"]);
    prop_assert_eq!(log_source.len(), 10, "{:?}", log_source);
    prop_assert_eq!(&log_source[..8], &beginning);
    prop_assert_eq!(&log_source[8..], &["", ""]);
    for id in [&audited.envelope.account, &audited.envelope.device, &audited.envelope.location] {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        prop_assert!(!id.is_empty() && id.chars().all(plain), "{:?}", id);
    }
    Ok(())
}

/// The metadata that each action may copy. Written out here because the catalogue is under test. No
/// action has response data.
const ALLOWED: [(&str, &[&str]); 7] = [
    (".provision", &["hostname", "domain", "datacenter", "operatingSystem", "imageTemplateId"]),
    (".rename", &["updateType", "initialValue", "newValue"]),
    (".reload", &["imageTemplateId", "operatingSystem"]),
    ("-port.disable", &["interface", "port", "speed"]),
    ("-port.enable", &["interface", "port", "speed"]),
    (
        "-port-speed.update",
        &["interface", "port", "speed", "updateType", "initialValue", "newValue"],
    ),
    ("-image-template.create", &["imageTemplateId", "imageTemplateName"]),
];
const SECURITY_GROUP: &[&str] =
    &["securityGroupId", "securityGroupName", "networkComponentId", "networkInterfaceType"];

fn allowed(action: &str) -> &'static [&'static str] {
    if action.contains("-security-group.") {
        return SECURITY_GROUP;
    }
    let mut listed = ALLOWED.iter();
    let found = listed.find(|(end, _)| action.ends_with(end));
    found.map_or(&[], |(_, keys)| keys)
}

fn check_allowed_data(setup: &Setup, event: &Value) -> Result<(), TestCaseError> {
    const ALWAYS: [&str; 3] = ["truncated", "unreadable", "unreadableFields"];
    let name = event["action"].as_str().unwrap_or_default();
    let mut actions = setup.rules.catalog.actions();
    let is_enabled = actions.any(|action| action.name == name && action.enabled);
    prop_assert!(is_enabled, "{} is not enabled", name);
    for key in event["requestData"].as_object().into_iter().flat_map(|data| data.keys()) {
        let key = key.as_str();
        let is_allowed = allowed(name).contains(&key) || ALWAYS.contains(&key);
        prop_assert!(is_allowed, "requestData of {} holds {}", name, key);
    }
    prop_assert!(event.get("responseData").is_none(), "no action has response data");
    Ok(())
}

#[test]
fn any_bytes_have_a_fate() {
    hold(2_000, any::<Vec<u8>>(), |bytes| check_guarantees(&bytes).map(drop));
}

#[test]
fn any_json_has_a_fate() {
    hold(500, any_record(), |text| check_guarantees(text.as_bytes()).map(drop));
}

#[test]
fn a_record_without_value_has_a_fate() {
    for [setup, _] in LOADED.iter() {
        let kind = setup.judge(None).kind();
        assert_eq!(kind.reason(), "malformed");
    }
}

#[test]
fn truncated_and_damaged_cases_have_a_fate() {
    let inputs: Vec<Vec<u8>> = cases().iter().map(|case| case.input.clone()).collect();
    let damage =
        (proptest::sample::select(inputs), any::<prop::sample::Index>(), any::<Option<u8>>());
    hold(1_000, damage, |(mut input, position, byte)| {
        if !input.is_empty() {
            let position = position.index(input.len());
            match byte {
                Some(byte) => input[position] = byte,
                None => input.truncate(position),
            }
        }
        check_guarantees(&input).map(drop)
    });
}

#[test]
fn nearly_valid_records_keep_every_guarantee() {
    let seen: RefCell<BTreeMap<FateKind, usize>> = RefCell::default();
    hold(4_000, near_valid(), |record| {
        for kind in check_guarantees(record.text().as_bytes())? {
            *seen.borrow_mut().entry(kind).or_default() += 1;
        }
        Ok(())
    });
    let seen = seen.into_inner();
    println!("{seen:#?}");
    // If the generator no longer reaches every fate, the test proves nothing.
    let missing: Vec<FateKind> = FateKind::all().filter(|kind| !seen.contains_key(kind)).collect();
    assert!(missing.is_empty(), "never seen: {missing:?}");
    let audited = seen[&FateKind::Audited];
    assert!(audited * 5 > seen.values().sum(), "only {audited} audited");
}

#[test]
fn ids_cannot_forge_a_crn() {
    let (plain, forged) = (RefCell::new(0), RefCell::new(0));
    let ids = "[0-9A-Za-z]{1,3}([:/@._ -]?[0-9A-Za-z]{1,20}){0,4}";
    let fields =
        (ids, prop_oneof![Just("dal10".to_string()), ids.prop_map(|id| format!("dal10{id}"))]);
    hold(1_000, fields, |(id, data_center)| {
        let text = serde_json::json!({
            "accountId": 307608, "objectId": id, "objectName": "Server", "label": "web01",
            "datacenter": data_center, "eventName": "Power On", "userType": "CUSTOMER",
            "userId": 6100101, "eventCreateDate": "2021-07-14T09:12:44Z",
        });
        let kinds = check_guarantees(text.to_string().as_bytes())?;
        let seen = if kinds.contains(&FateKind::Audited) { &plain } else { &forged };
        *seen.borrow_mut() += 1;
        Ok(())
    });
    assert!(plain.into_inner() > 100 && forged.into_inner() > 100);
}
