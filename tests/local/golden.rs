//! Every case of `schemas/examples` is documentation and test at once: the input, judged by the
//! rules and tables beside it, must have exactly the outcome beside it. `UPDATE_EXAMPLES=1 cargo
//! test --test local golden` writes the outcomes as they are judged now; whoever does that reads
//! the difference.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use audit_judge::fate::{Audited, Fate, FateKind};
use audit_judge::judge;
use audit_relay::config::Config;
use audit_relay::deployment::{Assembly, assemble};
use serde_json::{Value, json};

/// A case, read.
pub struct Case {
    pub name: String,
    folder: PathBuf,
    pub input: Vec<u8>,
    outcome: Value,
}

/// Whether the outcomes are to be written instead of compared.
fn updates() -> bool {
    std::env::var_os("UPDATE_EXAMPLES").is_some_and(|value| value == "1")
}

/// All cases; fails if there are suspiciously few.
pub fn cases() -> Vec<Case> {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas/examples");
    let mut folders: Vec<PathBuf> = std::fs::read_dir(&examples)
        .expect("schemas/examples")
        .map(|entry| entry.expect("entry").path())
        .filter(|path| path.is_dir() && !path.ends_with("_reference"))
        .collect();
    folders.sort();
    assert!(folders.len() >= 40, "only {} cases", folders.len());
    folders.into_iter().map(Case::read).collect()
}

impl Case {
    fn read(folder: PathBuf) -> Case {
        let input = std::fs::read(folder.join("input.json"))
            .or_else(|_| std::fs::read(folder.join("input.bin")))
            .expect("input.json or input.bin");
        let outcome = match std::fs::read(folder.join("outcome.json")) {
            Err(_) if updates() => b"null".to_vec(),
            outcome => outcome.expect("outcome.json"),
        };
        Case {
            name: folder.file_name().expect("name").to_string_lossy().into(),
            input,
            outcome: serde_json::from_slice(&outcome).expect("outcome.json is JSON"),
            folder,
        }
    }

    /// What must become of the input.
    pub fn outcome(&self) -> &Value {
        &self.outcome
    }

    /// A file of the case, or the shared one.
    pub fn reference(&self, name: &str) -> PathBuf {
        let own = self.folder.join(name);
        if own.exists() {
            return own;
        }
        self.folder.with_file_name("_reference").join(name)
    }

    fn update(&self, described: &Value) {
        let text = serde_json::to_string_pretty(described).expect("JSON") + "\n";
        std::fs::write(self.folder.join("outcome.json"), text).expect("can be written");
    }

    fn config(&self) -> Config {
        let changes = std::fs::read_to_string(self.folder.join("config.toml")).unwrap_or_default();
        let text = format!(
            "[kafka]\n\"bootstrap.servers\" = \"127.0.0.1:9092\"\n[principals]\nfile = {:?}\n[devices]\nfile = {:?}\n{changes}",
            self.reference("principals.jsonl"),
            self.reference("devices.jsonl")
        );
        Config::from_toml(&text, std::iter::empty())
            .unwrap_or_else(|problems| panic!("{}: {problems}", self.name))
    }

    /// The rules and tables of the case.
    pub fn assembly(&self) -> Assembly {
        assemble(&self.config()).unwrap_or_else(|problems| panic!("{}: {problems}", self.name))
    }

    /// The headers of an event. Whether there are any, the file says itself.
    fn headers(&self, config: &Config, audited: &Audited, region: &str) -> Value {
        let text = std::fs::read_to_string(self.folder.join("config.toml")).unwrap_or_default();
        let are_off = text.lines().any(|line| line == "headers = false");
        assert_eq!(config.output.headers, !are_off, "{}", self.name);
        if are_off {
            return json!({});
        }
        let mut id = [0; 36];
        let headers = audited.envelope.headers(region, &mut id);
        let headers = headers.map(|(name, value)| (name.to_string(), json!(value)));
        Value::Object(headers.into_iter().collect())
    }

    /// Judges the input and describes what happened in the words of `outcome.json`.
    fn judge(&self) -> (Value, Fate) {
        let config = self.config();
        let assembly = self.assembly();
        let Assembly { rules, directory, topics, .. } = &assembly;
        let fate = judge(Some(&self.input), rules, || directory);
        let described = match &fate {
            Fate::Audited(audited) => {
                let region = &rules.routes.regions()[audited.envelope.region.0];
                let headers = self.headers(&config, audited, region);
                let event: Value = serde_json::from_slice(&audited.event).expect("JSON");
                json!({
                    "fate": "audited", "region": region, "topic": topics.regions[audited.envelope.region.0],
                    "key": audited.envelope.device, "headers": headers, "event": event,
                })
            }
            Fate::Skipped(skip) => {
                let mut described = json!({"fate": "skipped", "reason": skip.reason.name()});
                if let Some(name) = &skip.unlisted_name {
                    described["unlisted_name"] = json!(name);
                }
                described
            }
            Fate::Quarantined(quarantine) => {
                let mut described =
                    json!({"fate": "quarantined", "reason": quarantine.reason.name()});
                if let Some(word) = self.outcome["detail_contains"].as_str() {
                    let holds = quarantine.detail.contains(word);
                    described["detail_contains"] =
                        if holds { json!(word) } else { json!(quarantine.detail) };
                }
                described
            }
        };
        (described, fate)
    }
}

#[test]
fn every_example_has_its_outcome() {
    let mut wrong = Vec::new();
    for case in cases() {
        let (described, _) = case.judge();
        // Compared as text: the order of the fields is part of the contract.
        let (got, expected) = (described.to_string(), case.outcome.to_string());
        if got != expected && updates() {
            case.update(&described);
        } else if got != expected {
            wrong.push(format!("{}\n  expected {expected}\n  got      {got}", case.name));
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// What stands in the headers stands in the event, too.
#[test]
fn the_headers_of_an_event_are_those_of_the_provider() {
    let (mut with, mut without) = (0, 0);
    for case in cases().iter().filter(|case| case.outcome["fate"] == "audited") {
        let event = &case.outcome["event"];
        let crn = event["logSourceCRN"].as_str().expect("a CRN");
        let segments: Vec<&str> = crn.split(':').collect();
        let expected = json!({
            "type": "audit",
            "account": segments[6].strip_prefix("a/"),
            "region": case.outcome["region"],
            "location": segments[5],
            "id": event["id"],
        });
        if case.outcome["headers"] == json!({}) {
            without += 1;
        } else {
            with += 1;
            assert_eq!(case.outcome["headers"].to_string(), expected.to_string(), "{}", case.name);
        }
    }
    assert!(with > 50 && without == 1, "{with} {without}");
}

#[test]
fn the_bytes_of_an_event_are_canonical_json() {
    for case in cases().iter().filter(|_| !updates()) {
        if let (_, Fate::Audited(audited)) = case.judge() {
            let text = std::str::from_utf8(&audited.event).expect("UTF-8");
            let expected = case.outcome["event"].to_string();
            assert_eq!(text, expected, "{}", case.name);
        }
    }
}

#[test]
fn the_examples_cover_every_fate_action_and_region() {
    let mut kinds = BTreeSet::new();
    let mut actions = BTreeSet::new();
    let mut regions = BTreeSet::new();
    for case in cases() {
        let (described, fate) = case.judge();
        kinds.insert(fate.kind());
        if let Some(action) = described["event"]["action"].as_str() {
            actions.insert(action.to_string());
            regions.insert(described["region"].as_str().expect("region").to_string());
        }
    }
    let missing: Vec<FateKind> = FateKind::all().filter(|kind| !kinds.contains(kind)).collect();
    assert!(missing.is_empty(), "no example for {missing:?}");
    let config = cases().remove(0).config();
    let assembly = assemble(&config).expect("assembles");
    for action in assembly.rules.catalog.actions().filter(|action| action.enabled) {
        assert!(actions.contains(&action.name), "no example for {}", action.name);
    }
    for region in assembly.rules.routes.regions() {
        assert!(regions.contains(region), "no example for {region}");
    }
}
