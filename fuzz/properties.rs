//! What must hold of any bytes that are read as a record, a catalogue, a record of a table,
//! locations, or permissions. The fuzz targets look for bytes of which it does not hold;
//! `tests/local/corpus.rs` runs the known ones.

use std::sync::LazyLock;

use audit_judge::catalog::{Catalog, CatalogFile, Switches};
use audit_judge::fate::{Fate, Quarantine};
use audit_judge::judge;
use audit_judge::reference::packing::Packed;
use audit_judge::reference::{
    Directory, MOST_VALUE_BYTES, Oddities, TableChange, TableKey, TableWriter, parse_device_record,
    parse_principal_record, read_devices, read_principals,
};
use audit_judge::regions::Locations;
use audit_judge::route::Routes;
use audit_judge::rules::Rules;
use audit_judge::rules::crn::{CrnTemplate, CrnTemplates};
use audit_judge::rules::permissions::PermissionNames;
use audit_judge::rules::policy::Policy;

const PRINCIPALS: &str = include_str!("../schemas/examples/_reference/principals.jsonl");
const DEVICES: &str = include_str!("../schemas/examples/_reference/devices.jsonl");

/// As shipped, but with every action enabled.
static RULES: LazyLock<Rules> = LazyLock::new(|| {
    let switches = Switches {
        enable: vec!["audit-log.vsi.*".to_string(), "audit-log.user.login".to_string()],
        disable: Vec::new(),
    };
    let locations = Locations::embedded("six").expect("the shipped locations are good");
    let template = |text| CrnTemplate::parse(text).expect("a good template");
    Rules {
        catalog: Catalog::load(&Catalog::embedded_files(), &switches).expect("a good catalogue"),
        routes: Routes::new(locations.regions().map(str::to_string)),
        locations,
        permissions: PermissionNames::load(PermissionNames::EMBEDDED).expect("good names"),
        policy: Policy::default(),
        crns: CrnTemplates {
            target: template(
                "crn:v1:bluemix:public:{service}:{location}:a/{account}::{resource_type}:{id}",
            ),
            log_source: template("crn:v1:bluemix:public:{service}:{location}:a/{account}:::"),
        },
        max_event_bytes: 4_000,
    }
});

static DIRECTORY: LazyLock<Directory> = LazyLock::new(|| Directory {
    principals: read_principals("principals", PRINCIPALS).expect("good principals"),
    devices: Some(read_devices("devices", DEVICES).expect("good devices")),
});

/// Any record has a fate, the same each time; an event is JSON on one line and within its limit,
/// and what is said of a bad record fits a header.
pub fn record(data: &[u8]) {
    let judged = || judge(Some(data), &RULES, || &*DIRECTORY);
    let fate = judged();
    assert_eq!(fate, judged(), "the same record, the same fate");
    match fate {
        Fate::Audited(audited) => {
            assert!(audited.event.len() <= RULES.max_event_bytes);
            assert!(audited.envelope.region.0 < RULES.routes.regions().len());
            assert!(!audited.event.iter().any(|byte| *byte < b' '), "one line");
            let event: serde_json::Value =
                serde_json::from_slice(&audited.event).expect("an event is JSON");
            assert!(event.is_object());
        }
        Fate::Quarantined(quarantine) => {
            let detail = quarantine.detail;
            assert!(detail.chars().count() <= Quarantine::DETAIL_CHARACTERS);
            assert!(!detail.chars().any(char::is_control));
        }
        Fate::Skipped(_) => {}
    }
}

/// A catalogue is either taken or refused with reasons.
pub fn catalogue(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let file = CatalogFile { name: "fuzz.toml", text };
    match Catalog::load(&[file], &Switches::default()) {
        Ok(catalog) => assert!(catalog.actions().all(|action| !action.name.is_empty())),
        Err(problems) => says_why(&problems),
    }
}

/// A file of permissions is either taken, and then knows the names that it lists, or refused with
/// reasons.
pub fn permissions(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let file = CatalogFile { name: "fuzz.toml", text };
    match PermissionNames::load(file) {
        Ok(names) => {
            let table: toml::Table = text.parse().expect("what was taken is TOML");
            let listed = table.get("infrastructure").and_then(|list| list.as_array());
            let listed = listed.expect("what was taken lists some");
            assert!(!listed.is_empty());
            for name in listed {
                assert!(names.is_known(name.as_str().expect("a name")), "{name}");
            }
        }
        Err(problems) => says_why(&problems),
    }
}

/// Locations are either taken or refused with reasons.
pub fn locations(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    for profile in ["six", "all"] {
        match Locations::load("fuzz.toml", text, profile) {
            Ok(locations) => assert!(locations.regions().all(|region| !region.is_empty())),
            Err(problems) => says_why(&problems),
        }
    }
}

/// A record of a table is either taken, and then found under its key, or refused with a reason on
/// one line. The key ends at the first line break; without a value it is a tombstone.
pub fn table_record(data: &[u8]) {
    let at = data.iter().position(|byte| *byte == b'\n');
    let (key, value) = match at {
        Some(at) => (&data[..at], Some(&data[at + 1..])),
        None => (data, None),
    };
    if value.is_some_and(|value| value.len() > 2 * MOST_VALUE_BYTES) {
        return;
    }
    let written_ms = Some(1_600_000_000_000);
    let odd = &mut Oddities::default();
    is_taken_or_refused(parse_principal_record(key, value, written_ms, odd));
    is_taken_or_refused(parse_device_record(key, value, written_ms, odd));
}

fn is_taken_or_refused<K: TableKey + Clone, V: Packed, P: ToString>(
    parsed: Result<TableChange<K, V>, P>,
) {
    match parsed {
        Ok(change) => {
            let key = change.key.clone();
            let mut table = TableWriter::default();
            table.apply(change).expect("there is room");
            let table = table.snapshot();
            assert!(table.versions(&key).is_some());
            assert_eq!(table.iter().count(), table.len());
        }
        Err(problem) => {
            let problem = problem.to_string();
            assert!(!problem.chars().any(char::is_control), "{problem:?}");
        }
    }
}

fn says_why<P: ToString>(problems: &[P]) {
    assert!(!problems.is_empty(), "refused without a reason");
    assert!(problems.iter().all(|problem| !problem.to_string().trim().is_empty()));
}
