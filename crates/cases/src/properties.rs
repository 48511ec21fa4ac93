//! Properties that must hold for any bytes read as a record, a catalogue, a table record,
//! locations, permissions or a configuration. The fuzz targets search for counterexamples;
//! `crates/judge/tests/judge/corpus.rs` and `tests/local/corpus.rs` check the known inputs.

use std::sync::LazyLock;

use audit_judge::catalog::{Catalog, CatalogFile, Switches};
use audit_judge::fate::{Fate, Quarantine};
use audit_judge::reference::packing::Packed;
use audit_judge::reference::{
    Oddities, TableChange, TableKey, TableWriter, VALUE_BYTES_MAX, parse_device_record,
    parse_principal_record,
};
use audit_judge::regions::Locations;
use audit_judge::rules::permissions::PermissionNames;

use crate::setup::Setup;

/// The shipped rules with every action enabled.
static SETUP: LazyLock<Setup> = LazyLock::new(|| {
    Setup::new(
        "[catalog]\nenable = [\"audit-log.vsi.*\", \"audit-log.user.login\"]\n[output]\nmax_message_bytes = 4000\n",
    )
});

/// Checks a record: it always gets the same fate; an event is JSON on one line within its limit; a
/// quarantine detail fits a header.
pub fn record(data: &[u8]) {
    let fate = SETUP.judge(Some(data));
    assert_eq!(fate, SETUP.judge(Some(data)), "the same record must get the same fate");
    match fate {
        Fate::Audited(audited) => {
            assert!(audited.event.len() <= SETUP.rules.max_event_bytes);
            assert!(audited.envelope.region.0 < SETUP.rules.routes.regions().len());
            assert!(!audited.event.iter().any(|byte| *byte < b' '), "the event must be one line");
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

/// Checks that a catalogue is accepted, or refused with reasons.
pub fn catalogue(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let file = CatalogFile { name: "fuzz.toml", text };
    match Catalog::load(&[file], &Switches::default()) {
        Ok(catalog) => assert!(catalog.actions().all(|action| !action.name.is_empty())),
        Err(problems) => check_problems(&problems),
    }
}

/// Checks that a permissions file is accepted and knows the names it lists, or is refused with
/// reasons.
pub fn permissions(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let file = CatalogFile { name: "fuzz.toml", text };
    match PermissionNames::load(file) {
        Ok(names) => {
            let table: toml::Table = text.parse().expect("an accepted file is TOML");
            let listed = table.get("infrastructure").and_then(|list| list.as_array());
            let listed = listed.expect("an accepted file lists permissions");
            assert!(!listed.is_empty());
            for name in listed {
                assert!(names.is_known(name.as_str().expect("a name")), "{name}");
            }
        }
        Err(problems) => check_problems(&problems),
    }
}

/// Checks that locations are accepted, or refused with reasons.
pub fn locations(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    for profile in ["six", "all"] {
        match Locations::load("fuzz.toml", text, profile) {
            Ok(locations) => assert!(locations.regions().all(|region| !region.is_empty())),
            Err(problems) => check_problems(&problems),
        }
    }
}

/// Checks that a table record is accepted and found under its key, or is refused with a reason on
/// one line. The key ends at the first line break; without a value it is a tombstone.
pub fn table_record(data: &[u8]) {
    let at = data.iter().position(|byte| *byte == b'\n');
    let (key, value) = match at {
        Some(at) => (&data[..at], Some(&data[at + 1..])),
        None => (data, None),
    };
    if value.is_some_and(|value| value.len() > 2 * VALUE_BYTES_MAX) {
        return;
    }
    let written_ms = Some(1_600_000_000_000);
    let odd = &mut Oddities::default();
    check_parsed(parse_principal_record(key, value, written_ms, odd));
    check_parsed(parse_device_record(key, value, written_ms, odd));
}

fn check_parsed<K: TableKey + Clone, V: Packed, P: ToString>(parsed: Result<TableChange<K, V>, P>) {
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

fn check_problems<P: ToString>(problems: &[P]) {
    assert!(!problems.is_empty(), "refused without a reason");
    assert!(problems.iter().all(|problem| !problem.to_string().trim().is_empty()));
}

/// What an accepted configuration shows of itself.
#[derive(Debug)]
pub struct TakenConfiguration {
    /// The whole configuration as a log shows it.
    pub shown: String,
    pub password: Option<String>,
}

/// Reads a configuration and environment variables, or returns their problems. This is the relay's
/// own function, which this crate cannot call.
pub type ReadConfiguration =
    fn(&str, Vec<(String, String)>) -> Result<TakenConfiguration, Vec<String>>;

/// Checks that a configuration is accepted, or refused with reasons. Each NUL starts an environment
/// variable.
pub fn configuration(data: &[u8], read: ReadConfiguration) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    // Do not read files that a secret may name.
    if text.contains("file") || text.contains("\\") {
        return;
    }
    let whole = text;
    let (text, variables) = text.split_once('\0').unwrap_or((text, ""));
    let variables = variables.split('\0').filter_map(|variable| {
        let (name, value) = variable.split_once('=')?;
        Some((name.to_string(), value.to_string()))
    });
    match read(text, variables.collect()) {
        Ok(TakenConfiguration { shown, password }) => {
            // A text that also occurs elsewhere is no secret.
            let secret =
                password.filter(|it| it.len() > 5 && whole.matches(it.as_str()).count() == 1);
            assert!(
                !secret.is_some_and(|secret| shown.contains(secret.as_str())),
                "a secret is shown: {shown}"
            );
        }
        Err(problems) => {
            let mut problems = problems.iter().peekable();
            assert!(problems.peek().is_some(), "refused without a reason");
            assert!(problems.all(|problem| !problem.trim().is_empty()));
        }
    }
}
