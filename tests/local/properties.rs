//! What holds of every input, proved on many: no bytes make judging panic, the same record gives
//! the same bytes, every record is counted once, and nothing gets into an audit event that may not
//! be there. What a particular record should become is shown by `golden` and `decisions`.
//!
//! The seed is fixed, so a run is repeatable; `PROPTEST_RNG_SEED=7 PROPTEST_CASES=25600` tries
//! another seed and a hundred times as many cases.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::path::Path;
use std::sync::{LazyLock, Mutex};

use audit_judge::fate::{Audited, Fate, FateKind, Quarantine};
use audit_judge::judge;
use audit_relay::config::Config;
use audit_relay::deployment::{Assembly, assemble};
use audit_relay::stream::batch::Batch;
use audit_relay::stream::{Content, Partition, SourceRecord};
use jsonschema::Validator;
use proptest::prelude::*;
use proptest::test_runner::{RngSeed, TestCaseError, TestRunner};
use serde_json::Value;

use crate::golden::cases;
use crate::records::{any_record, near_valid};
use crate::schemas::schema;

/// The seed unless the environment names one.
const SEED: u64 = 20_181_106;
/// What proptest runs by default, which `PROPTEST_CASES` replaces.
const DEFAULT_CASES: u32 = 256;

/// Deployments that differ in what they let through.
const DEPLOYMENTS: [&str; 4] = [
    "",
    "[policy]\naccess = [\"permission\", \"device\"]\nsystem_on_behalf_of_user = true\nno_infrastructure_access = \"quarantine\"
     [catalog]\nenable = [\"audit-log.vsi.*\", \"audit-log.user.login\"]\n[locations]\nprofile = \"all\"",
    // Around the size of an event: some fit, some are cut, some are too large.
    "[output]\nmax_message_bytes = 1000",
    "[policy]\nunknown_principal = \"skip\"\n[output]\nregions = [\"us-south\", \"us-east\"]",
];

/// Each deployment loaded twice: two loads have nothing in common but what was loaded, in
/// particular not the order of their hash maps.
static LOADED: LazyLock<Vec<[Assembly; 2]>> = LazyLock::new(|| {
    let twice = |settings: &&str| [load(settings), load(settings)];
    DEPLOYMENTS.iter().map(twice).collect()
});
static AUDIT_EVENT: LazyLock<Validator> = LazyLock::new(|| schema("audit-event"));

/// A deployment with the tables of the examples.
pub fn load(settings: &str) -> Assembly {
    let case = cases()
        .into_iter()
        .find(|case| case.name == "power-on")
        .expect("an example with the shared tables");
    let tables = ["principals.jsonl", "devices.jsonl"].map(|name| case.reference(name));
    load_with(&tables[0], &tables[1], settings)
}

/// A deployment with tables of one's own.
pub fn load_with(principals: &Path, devices: &Path, settings: &str) -> Assembly {
    let text = format!(
        "[kafka]\n\"bootstrap.servers\" = \"127.0.0.1:9092\"\n[principals]\nfile = {principals:?}\n[devices]\nfile = {devices:?}\n{settings}"
    );
    let config = Config::from_toml(&text, std::iter::empty()).expect("a good configuration");
    assemble(&config).expect("good files")
}

/// What becomes of a record.
pub fn judged(assembly: &Assembly, payload: &[u8]) -> Fate {
    let Assembly { rules, directory, .. } = assembly;
    judge(Some(payload), rules, || directory)
}

/// The same record with white space that sends it past the reader of plain records.
fn not_plain(payload: &[u8]) -> Vec<u8> {
    // The frame of a schema registry, a zero and an id of four bytes, is the first of its bytes.
    let frame = if payload.first() == Some(&0) { 5 } else { 0 };
    let (frame, rest) = payload.split_at(frame.min(payload.len()));
    [frame, b"\t", rest].concat()
}

/// A fate without the place in the text that a detail may name.
fn without_detail(fate: &Fate) -> Fate {
    match fate {
        Fate::Quarantined(quarantine) => Fate::Quarantined(Quarantine::new(quarantine.reason, "")),
        fate => fate.clone(),
    }
}

/// Runs a property on cases from a fixed seed. Nothing is written into the source tree.
pub fn hold<S: Strategy>(
    cases: u32,
    strategy: S,
    property: impl Fn(S::Value) -> Result<(), TestCaseError>,
) where
    S::Value: Debug,
{
    let wanted = ProptestConfig::default();
    let config = ProptestConfig {
        cases: cases * wanted.cases / DEFAULT_CASES,
        failure_persistence: None,
        rng_seed: match wanted.rng_seed {
            RngSeed::Random => RngSeed::Fixed(SEED),
            given => given,
        },
        ..wanted
    };
    if let Err(failure) = TestRunner::new(config).run(&strategy, property) {
        panic!("{failure}");
    }
}

/// All that is promised of the judgement of one record, under every deployment.
fn keeps_its_promises(payload: &[u8]) -> Result<Vec<FateKind>, TestCaseError> {
    let mut kinds = Vec::new();
    for [assembly, twin] in LOADED.iter() {
        let fate = judged(assembly, payload);
        prop_assert_eq!(&fate, &judged(assembly, payload), "judged again");
        prop_assert_eq!(&fate, &judged(twin, payload), "judged by the same rules");
        let by_serde = judged(assembly, &not_plain(payload));
        prop_assert_eq!(without_detail(&fate), without_detail(&by_serde), "by serde");
        prop_assert!(FateKind::all().any(|kind| kind == fate.kind()));
        if let Fate::Audited(audited) = &fate {
            may_be_written(audited, assembly)?;
        }
        kinds.push(fate.kind());
    }
    Ok(kinds)
}

fn may_be_written(audited: &Audited, assembly: &Assembly) -> Result<(), TestCaseError> {
    let rules = &assembly.rules;
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
    names_one_thing(audited, &event)?;
    has_one_type_in_each_place("", &event)?;
    holds_only_what_is_allowed(assembly, &event)
}

/// The type that was first met in each place of an event. Consumers keep events in tables with one
/// type for a column.
static TYPES: Mutex<BTreeMap<String, &'static str>> = Mutex::new(BTreeMap::new());

fn has_one_type_in_each_place(place: &str, value: &Value) -> Result<(), TestCaseError> {
    let found = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "list",
        Value::Object(_) => "object",
    };
    let first =
        *TYPES.lock().expect("nobody panics with it").entry(place.to_string()).or_insert(found);
    prop_assert_eq!(first, found, "{}", place);
    for (key, value) in value.as_object().into_iter().flatten() {
        has_one_type_in_each_place(&format!("{place}/{key}"), value)?;
    }
    Ok(())
}

#[test]
fn the_examples_have_one_type_in_each_place() {
    for case in cases() {
        if let Some(event) = case.outcome().get("event") {
            has_one_type_in_each_place("", event).expect(&case.name);
        }
    }
}

/// Ids cannot smuggle segments into a CRN: each segment is what it should be, and there are ten.
fn names_one_thing(audited: &Audited, event: &Value) -> Result<(), TestCaseError> {
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

/// What each action may take over from the metadata, written out: the catalogue is under test. No
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

fn holds_only_what_is_allowed(assembly: &Assembly, event: &Value) -> Result<(), TestCaseError> {
    const ALWAYS: [&str; 3] = ["truncated", "unreadable", "unreadableFields"];
    let name = event["action"].as_str().unwrap_or_default();
    let mut actions = assembly.rules.catalog.actions();
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
    hold(2_000, any::<Vec<u8>>(), |bytes| keeps_its_promises(&bytes).map(drop));
}

#[test]
fn any_json_has_a_fate() {
    hold(500, any_record(), |text| keeps_its_promises(text.as_bytes()).map(drop));
}

#[test]
fn a_record_without_value_has_a_fate() {
    for [assembly, _] in LOADED.iter() {
        let Assembly { rules, directory, .. } = assembly;
        let kind = judge(None, rules, || directory).kind();
        assert_eq!(kind.reason(), "malformed");
    }
}

#[test]
fn examples_cut_short_or_with_a_wrong_byte_have_a_fate() {
    let inputs: Vec<Vec<u8>> = cases().into_iter().map(|case| case.input).collect();
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
        keeps_its_promises(&input).map(drop)
    });
}

#[test]
fn records_near_the_valid_shape_keep_every_promise() {
    let seen: RefCell<BTreeMap<FateKind, usize>> = RefCell::default();
    hold(4_000, near_valid(), |record| {
        for kind in keeps_its_promises(record.text().as_bytes())? {
            *seen.borrow_mut().entry(kind).or_default() += 1;
        }
        Ok(())
    });
    let seen = seen.into_inner();
    println!("{seen:#?}");
    // A generator that no longer reaches the last stage proves nothing.
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
        let kinds = keeps_its_promises(text.to_string().as_bytes())?;
        let seen = if kinds.contains(&FateKind::Audited) { &plain } else { &forged };
        *seen.borrow_mut() += 1;
        Ok(())
    });
    assert!(plain.into_inner() > 100 && forged.into_inner() > 100);
}

#[test]
fn every_record_of_a_batch_is_counted_once() {
    let record = (
        0..4_i32,
        prop_oneof![3 => near_valid().prop_map(|record| record.text()), 1 => any_record()],
    );
    hold(100, prop::collection::vec(record, 0..40), |records| {
        let assembly = &LOADED[1][0];
        let mut batch = Batch::default();
        let mut expected: BTreeMap<i32, BTreeMap<FateKind, u64>> = BTreeMap::new();
        let (mut written, mut read) = (0, BTreeMap::<i32, u64>::new());
        for (offset, (partition, text)) in (0..).zip(&records) {
            let fate = judged(assembly, text.as_bytes());
            let counts = expected.entry(*partition).or_default();
            *counts.entry(fate.kind()).or_default() += 1;
            *read.entry(*partition).or_default() += 1;
            written += usize::from(!matches!(fate, Fate::Skipped(_)));
            let source = SourceRecord {
                partition: Partition(*partition),
                offset,
                timestamp_ms: Some(offset),
                key: None,
                payload: Some(text.as_bytes()),
                headers: &Vec::new(),
                leader_epoch: None,
            };
            batch.add(&source, fate);
        }
        prop_assert_eq!(batch.records(), records.len());
        prop_assert_eq!(batch.outputs().len(), written);
        prop_assert_eq!(batch.partitions().len(), expected.len());
        for (partition, tally) in batch.partitions() {
            prop_assert_eq!(tally.read, tally.fates.iter().sum::<u64>());
            prop_assert_eq!(tally.read, read[&partition.0]);
            for kind in FateKind::all() {
                let count = expected[&partition.0].get(&kind).copied().unwrap_or_default();
                prop_assert_eq!(tally.fates[kind.index()], count, "{:?}", kind);
            }
        }
        quarantine_keeps_the_bytes(&batch, &records)
    });
}

fn quarantine_keeps_the_bytes(
    batch: &Batch,
    records: &[(i32, String)],
) -> Result<(), TestCaseError> {
    for output in batch.outputs().iter() {
        let (partition, text) = &records[usize::try_from(output.source_offset).expect("small")];
        prop_assert_eq!(output.source_partition.0, *partition);
        if let Content::Quarantined(kept) = output.content {
            prop_assert_eq!(kept.original.payload.as_deref(), Some(text.as_bytes()));
        }
    }
    Ok(())
}
