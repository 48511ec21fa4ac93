//! What must hold of any bytes that are read as a record, a catalogue, a record of a table,
//! locations, permissions, or a configuration. The fuzz targets look for bytes of which it does not
//! hold; `crates/judge/tests/judge/corpus.rs` and `tests/local/corpus.rs` run the known ones.

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

/// As shipped, but with every action enabled.
static SETUP: LazyLock<Setup> = LazyLock::new(|| {
    Setup::new(
        "[catalog]\nenable = [\"audit-log.vsi.*\", \"audit-log.user.login\"]\n[output]\nmax_message_bytes = 4000\n",
    )
});

/// Any record has a fate, the same each time; an event is JSON on one line and within its limit,
/// and what is said of a bad record fits a header.
pub fn record(data: &[u8]) {
    let fate = SETUP.judge(Some(data));
    assert_eq!(fate, SETUP.judge(Some(data)), "the same record, the same fate");
    match fate {
        Fate::Audited(audited) => {
            assert!(audited.event.len() <= SETUP.rules.max_event_bytes);
            assert!(audited.envelope.region.0 < SETUP.rules.routes.regions().len());
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
    if value.is_some_and(|value| value.len() > 2 * VALUE_BYTES_MAX) {
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

/// What a configuration shows of itself once it is taken.
#[derive(Debug)]
pub struct TakenConfiguration {
    /// All of it, as a log would show it.
    pub shown: String,
    pub password: Option<String>,
}

/// Reads a configuration and variables of the environment, or says what is wrong with them. The
/// relay's own function, which is not known here.
pub type ReadConfiguration =
    fn(&str, Vec<(String, String)>) -> Result<TakenConfiguration, Vec<String>>;

/// A configuration is either taken or refused with reasons; what follows a NUL is a variable of the
/// environment.
pub fn configuration(data: &[u8], read: ReadConfiguration) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    // No file that a secret may name is to be read.
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
            // One that stands elsewhere as well is no secret.
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
