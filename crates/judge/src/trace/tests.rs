//! Each stage reports once and in order; a record that a stage rejects has no later report.

use std::cell::Cell;

use serde_json::{Value, json};

use super::*;
use crate::catalog::{Catalog, Switches};
use crate::enrich::{KeyLookup, Role};
use crate::fate::Fate;
use crate::reference::{DeviceKey, PrincipalKey, ReferenceTables, read_devices, read_principals};
use crate::regions::Locations;
use crate::route::Routes;
use crate::rules::Rules;
use crate::rules::crn::{CrnTemplate, CrnTemplates};
use crate::rules::permissions::PermissionNames;
use crate::rules::policy::Policy;
use crate::{Input, judge, judge_traced};

const PRINCIPALS: &str = r#"
{"accountId":1,"userId":2,"iamId":"IBMid-2","infrastructureAccess":false,"validFrom":"2020-01-01T00:00:00Z"}
{"accountId":1,"userId":2,"iamId":"IBMid-2","infrastructureAccess":true,"validFrom":"2021-01-01T00:00:03Z"}
{"accountId":1,"userId":2,"deleted":true,"validFrom":"2022-01-01T00:00:00Z"}
{"accountId":1,"iamId":"iam-Profile-3","kind":"profile","infrastructureAccess":true,"validFrom":"2020-01-01T00:00:00Z"}"#;
const DEVICES: &str =
    r#"{"deviceId":7,"accountId":1,"datacenter":"dal10","validFrom":"2020-01-01T00:00:00Z"}"#;

/// The reports about one record.
#[derive(Debug, Default)]
struct Heard {
    reports: Vec<&'static str>,
    principals: Vec<KeyLookup<PrincipalKey>>,
    device: Option<KeyLookup<DeviceKey>>,
}

impl Trace for Heard {
    fn parsed(&mut self, _: &Record<'_>) {
        self.reports.push("parsed");
    }

    fn unwrapped(&mut self) {
        self.reports.push("unwrapped");
    }

    fn classified(&mut self, _: &UserAction<'_>) {
        self.reports.push("classified");
    }

    fn looked_up(&mut self, lookups: &KeyLookups<'_, '_>) {
        self.reports.push("looked up");
        self.principals = lookups.principals();
        self.device = lookups.device();
    }

    fn attributed(&mut self, _: &AttributedAction<'_>) {
        self.reports.push("attributed");
    }

    fn routed(&mut self, _: &str) {
        self.reports.push("routed");
    }

    fn formatted(&mut self, _: &Audited) {
        self.reports.push("formatted");
    }
}

fn rules() -> Rules {
    let template = |text| CrnTemplate::parse(text).expect("a template");
    Rules {
        catalog: Catalog::load(&Catalog::embedded_files(), &Switches::default()).expect("good"),
        locations: Locations::embedded("six").expect("locations"),
        routes: Routes::new(["us-south".to_string()]),
        permissions: PermissionNames::load(PermissionNames::EMBEDDED).expect("names"),
        policy: Policy::default(),
        crns: CrnTemplates {
            target: template("crn:v1:b:p:s:l:a/1::{resource_type}:{id}"),
            log_source: template("crn:v1:b:p:s:l:a/1:::"),
        },
        max_event_bytes: 2_000,
    }
}

/// Returns a record that is audited, with one field replaced, or removed for `null`.
fn record(field: &str, value: Value) -> Value {
    let mut record = json!({
        "accountId": 1, "userId": 2, "userType": "CUSTOMER", "datacenter": "dal10",
        "eventCreateDate": "2021-07-14T09:12:44Z", "eventName": "Power On",
        "objectName": "Server", "objectId": 7,
    });
    record[field] = value;
    record
}

/// Returns the reports about a record, its fate, and how often the tables were borrowed. Checks
/// that the fate is the same without a trace.
fn heard(text: &str, at: Option<&str>) -> (Heard, Fate, usize) {
    let rules = rules();
    let reference = &ReferenceTables {
        principals: read_principals("principals", PRINCIPALS).expect("principals"),
        devices: Some(read_devices("devices", DEVICES).expect("devices")),
    };
    let borrowed = Cell::new(0);
    let tables = || {
        borrowed.set(borrowed.get() + 1);
        reference
    };
    let payload = Some(text.as_bytes());
    let mut heard = Heard::default();
    let input = Input { payload, at: at.map(|at| at.parse().expect("a time")) };
    let fate = judge_traced(input, &rules, tables, &mut heard);
    if at.is_none() {
        assert_eq!(fate, judge(payload, &rules, || reference), "{text}");
    }
    (heard, fate, borrowed.get())
}

#[test]
fn each_stage_reports_once_and_in_order_until_one_rejects_the_record() {
    const ALL: [&str; 6] =
        ["parsed", "classified", "looked up", "attributed", "routed", "formatted"];
    let cases = [
        ("schemaVersion", json!(2), 0, "unsupported_version"),
        ("eventName", json!("Tea"), 1, "unlisted_action"),
        ("userType", json!("SYSTEM"), 1, "not_user_initiated"),
        ("objectId", json!(-1), 1, "malformed"),
        ("userId", json!(9), 3, "unknown_principal"),
        ("datacenter", json!("nowhere"), 3, "unknown_location"),
        ("datacenter", json!("fra02"), 4, "unrouted_region"),
        ("objectId", json!(7), 6, ""),
    ];
    for (field, value, count, reason) in cases {
        let text = record(field, value).to_string();
        let (heard, fate, borrowed) = heard(&text, None);
        assert_eq!(heard.reports, ALL[..count], "{text}");
        assert_eq!(fate.kind().reason(), reason, "{text}");
        assert_eq!(borrowed, usize::from(count > 2), "{text}");
    }
}

#[test]
fn an_event_that_does_not_fit_is_routed_and_not_formatted() {
    let name = "x".repeat(900);
    let template = CrnTemplate::parse(&format!("crn:v1:b:{name}:s:l:a/1:::")).expect("a template");
    let mut rules = rules();
    rules.crns = CrnTemplates { target: template.clone(), log_source: template };
    let reference = ReferenceTables {
        principals: read_principals("principals", PRINCIPALS).expect("principals"),
        devices: None,
    };
    let text = record("label", json!("web01")).to_string();
    let input = Input { payload: Some(text.as_bytes()), at: None };
    let mut heard = Heard::default();
    let fate = judge_traced(input, &rules, || &reference, &mut heard);
    assert_eq!(fate.kind().reason(), "too_large");
    assert_eq!(heard.reports.last(), Some(&"routed"));
}

#[test]
fn what_a_cloud_event_holds_is_reported_again() {
    let wrapped = |data| json!({"specversion": "1.0", "id": "1", "data": data}).to_string();
    let (audited, fate, borrowed) = heard(&wrapped(record("objectId", json!(7))), None);
    assert_eq!(audited.reports[..3], ["parsed", "unwrapped", "parsed"]);
    assert_eq!(audited.reports.last(), Some(&"formatted"));
    assert_eq!((fate.kind().fate(), borrowed), ("audited", 1));
    let (skipped, _, borrowed) = heard(&wrapped(record("userType", json!("SYSTEM"))), None);
    assert_eq!(skipped.reports, ["parsed", "unwrapped", "parsed"]);
    assert_eq!(borrowed, 0);
    let (not_json, _, _) = heard(&wrapped(json!([])), None);
    assert_eq!(not_json.reports, ["parsed"]);
    let (bytes, _, _) = heard("no JSON", None);
    assert_eq!(bytes.reports, [""; 0]);
}

#[test]
fn lookups_name_every_key_and_which_versions_count() {
    use Role::{Ignored, ValidAtTheTime, WithinClockSkew};
    let roles = |lookup: &KeyLookup<PrincipalKey>| -> Vec<Role> {
        lookup.versions.iter().map(|(_, role)| *role).collect()
    };
    let mut said = record("iamId", json!("iam-Profile-3"));
    said["onBehalfOf"] = json!({"userId": 9});
    said["eventCreateDate"] = json!("2021-01-01T00:00:00Z");
    let (heard, ..) = heard(&said.to_string(), None);
    let keys: Vec<String> = heard.principals.iter().map(|it| it.key.to_string()).collect();
    assert_eq!(keys, ["1/9", "1/2", "1/iam-Profile-3"]);
    assert_eq!(roles(&heard.principals[0]), []);
    assert_eq!(roles(&heard.principals[1]), [Ignored, WithinClockSkew, ValidAtTheTime]);
    assert_eq!(roles(&heard.principals[2]), [ValidAtTheTime]);
    let device = heard.device.expect("the label is missing");
    assert_eq!(device.key.to_string(), "7");
    assert_eq!(
        device.decides.map(|from| from.to_string()).as_deref(),
        Some("2020-01-01T00:00:00Z")
    );
}

#[test]
fn the_device_is_looked_up_for_what_the_record_lacks() {
    let (complete, ..) = heard(&record("label", json!("web01")).to_string(), None);
    assert_eq!(complete.device, None);
    let (lacking, fate, _) = heard(&record("accountId", Value::Null).to_string(), None);
    assert!(lacking.device.is_some());
    assert_eq!(lacking.principals.len(), 1, "in the account that the device table supplied");
    assert_eq!(fate.kind().fate(), "audited");
    let mut unknown = record("accountId", Value::Null);
    unknown["objectId"] = json!(8);
    let (unknown, fate, _) = heard(&unknown.to_string(), None);
    assert_eq!(unknown.device.expect("it was looked up").versions, []);
    assert_eq!(unknown.principals, []);
    assert_eq!(fate.kind().reason(), "unknown_device");
}

#[test]
fn another_time_replaces_that_of_the_action() {
    let text = record("objectId", json!(7)).to_string();
    let wrapped = format!(r#"{{"specversion":"1.0","id":"1","data":{text}}}"#);
    for text in [text, wrapped] {
        let reason = |at| heard(&text, at).1.kind().reason();
        assert_eq!(reason(None), "");
        assert_eq!(reason(Some("2020-06-01T00:00:00Z")), "no_infrastructure_access");
        assert_eq!(reason(Some("2023-01-01T00:00:00Z")), "unknown_principal");
        let (_, fate, _) = heard(&text, Some("2021-08-01T10:20:30Z"));
        let Fate::Audited(audited) = fate else { panic!("{fate:?}") };
        let event: Value = serde_json::from_slice(&audited.event).expect("JSON");
        assert_eq!(event["eventTime"], "2021-08-01T10:20:30.00+0000");
    }
}
