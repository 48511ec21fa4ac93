//! The case tables in `crates/judge/tests/cases`. Each row is a case, given as the difference from
//! another case; by default from the example `power-on`.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::case::Case;
use crate::difference::{self, Difference};
use crate::examples::shared_tables;
use crate::record_text::RecordText;
use crate::{read, root};

const FOLDER: &str = "crates/judge/tests/cases";
/// The default base of a row.
pub(crate) const BASE: &str = "power-on";

/// A table row. `schemas/README.md` explains the fields.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    why: String,
    base: Option<String>,
    #[serde(default)]
    without: Vec<String>,
    change: Option<String>,
    input: Option<String>,
    input_base64: Option<String>,
    #[serde(default)]
    settings: toml::Table,
    permissions: Option<String>,
    principals: Option<String>,
    more_principals: Option<String>,
    devices: Option<String>,
    more_devices: Option<String>,
    audited: Option<String>,
    skipped: Option<String>,
    unlisted_name: Option<String>,
    quarantined: Option<String>,
    detail: Option<String>,
}

/// Reads the tables and adds their cases to the known ones.
pub(crate) fn read_into(known: &mut BTreeMap<String, Case>) {
    let mut rows = rows();
    while !rows.is_empty() {
        let is_ready = |row: &Row| known.contains_key(row.base());
        let (ready, waiting): (Vec<_>, Vec<_>) = rows.into_iter().partition(|(_, it)| is_ready(it));
        let names: Vec<&String> = waiting.iter().map(|(name, _)| name).collect();
        assert!(!ready.is_empty(), "the bases of {names:?} do not exist");
        for (name, row) in ready {
            let case = row.case(&name, &known[row.base()]);
            assert!(known.insert(name.clone(), case).is_none(), "there are two cases {name}");
        }
        rows = waiting;
    }
}

fn rows() -> Vec<(String, Row)> {
    let entries = std::fs::read_dir(root().join(FOLDER)).expect(FOLDER);
    let mut rows = Vec::new();
    let paths = entries.map(|entry| entry.expect("an entry").path());
    for path in paths.filter(|path| path.extension().is_some_and(|it| it == "toml")) {
        let table: Result<BTreeMap<String, Row>, _> = toml::from_str(&read(&path));
        rows.extend(table.unwrap_or_else(|error| panic!("{}: {error}", path.display())));
    }
    rows
}

impl Row {
    fn base(&self) -> &str {
        self.base.as_deref().unwrap_or(BASE)
    }

    fn case(&self, name: &str, base: &Case) -> Case {
        let [principals, devices] = shared_tables();
        let table = |own: &Option<String>, more: &Option<String>, shared: String| {
            own.clone().unwrap_or(shared) + more.as_deref().unwrap_or_default()
        };
        Case {
            name: name.to_string(),
            why: self.why.clone(),
            input: self.record(name, base),
            outcome: self.outcome(name, base),
            settings: self.settings.clone(),
            permissions: self.permissions.clone(),
            principals: table(&self.principals, &self.more_principals, principals),
            devices: table(&self.devices, &self.more_devices, devices),
            folder: None,
            base: self.base.clone(),
        }
    }

    fn record(&self, name: &str, base: &Case) -> Vec<u8> {
        match (&self.input, &self.input_base64) {
            (Some(text), None) => text.clone().into_bytes(),
            (None, Some(text)) => STANDARD.decode(text).expect(name),
            (None, None) if self.change.is_none() && self.without.is_empty() => base.input.clone(),
            (None, None) => {
                let change = self.change.as_deref().unwrap_or("{}");
                let change = RecordText::parse(change.as_bytes()).expect(name);
                let record = RecordText::parse(&base.input).expect(name);
                record.changed(&self.without, change).write()
            }
            (Some(_), Some(_)) => panic!("{name} has two inputs"),
        }
    }

    fn outcome(&self, name: &str, base: &Case) -> Value {
        match (&self.audited, &self.skipped, &self.quarantined) {
            (Some(difference), None, None) => {
                let difference: Difference = serde_json::from_str(difference).expect(name);
                let mut outcome = difference::apply(&base.outcome, &difference);
                self.send(&mut outcome);
                outcome
            }
            (None, Some(reason), None) => with(
                json!({"fate": "skipped", "reason": reason}),
                "unlisted_name",
                &self.unlisted_name,
            ),
            (None, None, Some(reason)) => {
                let outcome = json!({"fate": "quarantined", "reason": reason});
                with(outcome, "detail_contains", &self.detail)
            }
            _ => panic!("{name} must be audited, skipped or quarantined"),
        }
    }

    /// Sets the topic and headers from the region and the settings.
    fn send(&self, outcome: &mut Value) {
        let output = self.settings.get("output");
        let setting = |name: &str| output.and_then(|output| output.get(name));
        let prefix = setting("topic_prefix").and_then(toml::Value::as_str);
        let region = outcome["region"].as_str().unwrap_or_default();
        outcome["topic"] = format!("{}{region}", prefix.unwrap_or("audit.events.")).into();
        if setting("headers").and_then(toml::Value::as_bool) == Some(false) {
            outcome["headers"] = json!({});
        }
    }
}

fn with(mut outcome: Value, field: &str, value: &Option<String>) -> Value {
    if let Some(value) = value {
        outcome[field] = value.as_str().into();
    }
    outcome
}

/// Returns the lines that describe an outcome in a table row with this base.
pub fn lines(base: &Case, described: &Value) -> String {
    let text = |field: &str| described[field].as_str().unwrap_or_default();
    match text("fate") {
        "audited" => {
            let difference = difference::between(&base.outcome, described);
            format!("audited = '{}'", Value::Object(difference))
        }
        "skipped" => {
            format!("skipped = {:?}\nunlisted_name = {:?}", text("reason"), text("unlisted_name"))
        }
        _ => format!("quarantined = {:?}\ndetail = {:?}", text("reason"), text("detail_contains")),
    }
}
