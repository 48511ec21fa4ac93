//! Describes a record's fate in the format of `outcome.json`.

use audit_judge::fate::{Audited, Fate, Quarantine, Skip};
use serde_json::{Value, json};

use crate::Setup;

/// What an outcome contains in addition to a fate.
#[derive(Debug)]
pub struct Outputs<'a> {
    /// The regions that have a topic.
    pub regions: &'a [String],
    /// The topics, in the order of the regions.
    pub topics: Vec<String>,
    /// Whether audit events have headers.
    pub headers: bool,
}

impl Setup {
    /// Describes a record's fate. The detail of a quarantined record is shortened to the expected
    /// text if it contains it.
    pub fn describe(&self, fate: &Fate, expected: &Value) -> Value {
        let regions = self.rules.routes.regions();
        let topic = |region: &String| format!("{}{region}", self.topic_prefix);
        let topics = regions.iter().map(topic).collect();
        Outputs { regions, topics, headers: self.headers }.describe(fate, expected)
    }
}

impl Outputs<'_> {
    /// See [`Setup::describe`].
    pub fn describe(&self, fate: &Fate, expected: &Value) -> Value {
        match fate {
            Fate::Audited(audited) => self.audited(audited),
            Fate::Skipped(skip) => skipped(skip),
            Fate::Quarantined(quarantine) => {
                quarantined(quarantine, expected["detail_contains"].as_str())
            }
        }
    }

    fn audited(&self, audited: &Audited) -> Value {
        let index = audited.envelope.region.0;
        let region = &self.regions[index];
        let event: Value = serde_json::from_slice(&audited.event).expect("JSON");
        json!({
            "fate": "audited", "region": region, "topic": self.topics[index],
            "key": audited.envelope.device, "headers": self.headers(audited, region), "event": event,
        })
    }

    fn headers(&self, audited: &Audited, region: &str) -> Value {
        if !self.headers {
            return json!({});
        }
        let mut id = [0; 36];
        let headers = audited.envelope.headers(region, &mut id);
        let headers = headers.map(|(name, value)| (name.to_string(), json!(value)));
        Value::Object(headers.into_iter().collect())
    }
}

fn skipped(skip: &Skip) -> Value {
    let mut described = json!({"fate": "skipped", "reason": skip.reason.name()});
    if let Some(name) = &skip.unlisted_name {
        described["unlisted_name"] = json!(name);
    }
    described
}

fn quarantined(quarantine: &Quarantine, word: Option<&str>) -> Value {
    let mut described = json!({"fate": "quarantined", "reason": quarantine.reason.name()});
    if let Some(word) = word {
        let holds = quarantine.detail.contains(word);
        described["detail_contains"] = if holds { json!(word) } else { json!(quarantine.detail) };
    }
    described
}
