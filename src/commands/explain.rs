//! `explain`: why was this message audited, skipped or quarantined? It runs the stages one by one, by
//! the same functions as `run`, and says what each found.

use std::io::Read;
use std::path::Path;

use anyhow::Context;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;

use super::print;
use crate::assemble::{Assembly, fill_from_topics};
use crate::cli::ExplainArgs;
use crate::kafka::inspect::read_value;
use crate::pipeline::classify::{Actor, UserAction};
use crate::pipeline::enrich::{AttributedAction, enrich};
use crate::pipeline::fate::{Fate, Unaudited};
use crate::pipeline::record::{Record, parse};
use crate::pipeline::{Reference, framing, judge_action, judge_other, user_action};

mod asked;

use self::asked::Asked;

/// What the stages found of one record, and what became of it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    source: String,
    stages: Vec<Finding>,
    fate: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    reason: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    topic: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<Box<RawValue>>,
    awaits_tables: bool,
}

/// What one stage found.
#[derive(Debug, Serialize)]
struct Finding {
    stage: &'static str,
    found: String,
}

/// Explains the records that the arguments name.
///
/// # Errors
/// If the configuration, or a record, cannot be read. A record that is skipped or quarantined is an
/// answer, not an error.
pub fn explain(arguments: &ExplainArgs) -> anyhow::Result<()> {
    let (config, mut assembly) = super::load(&arguments.config)?;
    // Tables from topics as they are now; without them every principal would be unknown.
    fill_from_topics(&config, &mut assembly).context("read the tables' topics")?;
    let records = match (&arguments.from, &arguments.file) {
        (Some(address), _) => {
            let source = format!("{}/{}/{}", address.topic, address.partition, address.offset);
            vec![(source, read_value(&config, address)?)]
        }
        (None, Some(path)) => split(&path.display().to_string(), &read_file(path)?),
        (None, None) => Vec::new(),
    };
    for (source, payload) in records {
        let explanation = explain_record(source, payload.as_deref(), arguments.at, &assembly);
        if arguments.json {
            print(serde_json::to_string(&explanation)?)?;
        } else {
            print(explanation.text())?;
        }
    }
    Ok(())
}

fn read_file(path: &Path) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if path == Path::new("-") {
        std::io::stdin()
            .read_to_end(&mut bytes)
            .context("read standard input")?;
    } else {
        bytes = std::fs::read(path).with_context(|| format!("read {}", path.display()))?;
    }
    Ok(bytes)
}

/// One record for each JSON value, however it is laid out; from the first place that is not JSON on,
/// the rest is one record, so that it can be explained as well.
fn split(name: &str, bytes: &[u8]) -> Vec<(String, Option<Vec<u8>>)> {
    let mut records = Vec::new();
    let mut values = serde_json::Deserializer::from_slice(bytes).into_iter::<&RawValue>();
    let mut end = 0;
    while let Some(Ok(value)) = values.next() {
        records.push(value.get().as_bytes().to_vec());
        end = values.byte_offset();
    }
    let rest = bytes[end..].trim_ascii();
    if !rest.is_empty() || records.is_empty() {
        records.push(rest.to_vec());
    }
    let numbered = |(number, record)| (format!("{name}#{}", number + 1), Some(record));
    records.into_iter().enumerate().map(numbered).collect()
}

/// Explains one record, as if it had happened at another time if one is given.
pub fn explain_record(
    source: String,
    payload: Option<&[u8]>,
    at: Option<Timestamp>,
    assembly: &Assembly,
) -> Explanation {
    let Assembly {
        rules,
        directory,
        topics,
        ..
    } = assembly;
    let reference = Reference { rules, directory };
    // A CloudEvent is explained by what it holds.
    let unwrapped = payload.map(framing::unwrap).and_then(Result::ok);
    let payload = unwrapped.as_deref().or(payload);
    let read = parse(payload);
    let action = user_action(payload, rules).map(|action| moved(action, at));
    let fate = match action.clone() {
        Ok(action) => judge_action(action, reference),
        Err(unaudited) => judge_other(payload, unaudited, reference),
    };
    let action = action.ok();
    let kind = fate.kind();
    let mut explanation = Explanation {
        source,
        stages: Vec::new(),
        fate: kind.fate(),
        reason: kind.reason(),
        detail: None,
        topic: None,
        event: None,
        awaits_tables: fate.awaits_tables(),
    };
    let stopped = match read {
        Ok(record) => explanation.walk(&record, action, at, assembly).err(),
        Err(_) => Some("parse"),
    };
    match fate {
        Fate::Audited(audited) => {
            explanation.topic = topics.regions.get(audited.envelope.region.0).cloned();
            let event = String::from_utf8(audited.event).ok();
            explanation.event = event.and_then(|event| RawValue::from_string(event).ok());
        }
        Fate::Skipped(skip) => explanation.detail = Some(skip.reason.meaning().to_string()),
        Fate::Quarantined(quarantine) => {
            explanation.topic = Some(topics.quarantine.clone());
            explanation.detail = Some(quarantine.detail);
        }
    }
    if let Some(stage) = stopped {
        explanation.found(stage, format!("stops here: {}", kind.reason()));
    }
    explanation
}

fn moved(action: UserAction<'_>, at: Option<Timestamp>) -> UserAction<'_> {
    let mut action = action;
    action.change.time = at.unwrap_or(action.change.time);
    action
}

impl Explanation {
    fn found(&mut self, stage: &'static str, found: String) {
        self.stages.push(Finding { stage, found });
    }

    /// Runs the stages as far as the record goes; the error is the stage at which it stops.
    fn walk(
        &mut self,
        record: &Record<'_>,
        action: Option<UserAction<'_>>,
        at: Option<Timestamp>,
        assembly: &Assembly,
    ) -> Result<(), &'static str> {
        let Assembly {
            rules, directory, ..
        } = assembly;
        self.found("parse", record.to_string());
        let action = action.ok_or("classify")?;
        self.found("classify", describe_action(&action));
        if let Some(at) = at {
            self.found("classify", format!("judged as if it had happened at {at}"));
        }
        let asked = Asked::of(&action, directory, &rules.policy);
        let enriched: Result<AttributedAction<'_>, Unaudited> =
            enrich(action, directory, &rules.locations, &rules.policy);
        for version in asked.describe(enriched.as_ref().ok()) {
            self.found("enrich", version);
        }
        let attributed = enriched.map_err(|_| "enrich")?;
        self.found("enrich", describe_attribution(&attributed));
        crate::pipeline::route::route(&attributed, rules).map_err(|_| "route")?;
        self.found("route", format!("region {}", attributed.place.region));
        Ok(())
    }

    /// For a person at a terminal.
    pub fn text(&self) -> String {
        let mut lines = vec![self.source.clone()];
        for Finding { stage, found } in &self.stages {
            lines.push(format!("  {stage:<10}{found}"));
        }
        let reason = match self.reason {
            "" => String::new(),
            reason => format!(": {reason}"),
        };
        lines.push(format!("  {:<10}{}{reason}", "fate", self.fate));
        if let Some(detail) = &self.detail {
            lines.push(format!("  {:<10}{detail}", "because"));
        }
        if self.awaits_tables {
            lines.push(format!(
                "  {:<10}what the reference tables do not hold yet could change this: a relay waits for them",
                "note"
            ));
        }
        if let Some(topic) = &self.topic {
            lines.push(format!("  {:<10}{topic}", "topic"));
        }
        if let Some(event) = &self.event {
            lines.push(indented(event));
        }
        lines.join("\n")
    }
}

fn indented(event: &RawValue) -> String {
    let pretty = serde_json::from_str::<serde_json::Value>(event.get())
        .and_then(|value| serde_json::to_string_pretty(&value));
    pretty
        .unwrap_or_else(|_| event.get().to_string())
        .lines()
        .map(|line| format!("  {line}"))
        .collect::<Vec<_>>()
        .join("\n")
}

fn describe_action(action: &UserAction<'_>) -> String {
    let by = match action.actor {
        Actor::User => "a user",
        Actor::SystemOnBehalfOfUser => "the system on behalf of a user",
    };
    format!("{}, by {by}", action.action.name)
}

fn describe_attribution(attributed: &AttributedAction<'_>) -> String {
    format!(
        "initiator {} of account {}, with access; data center {}",
        attributed.initiator.iam_id, attributed.account, attributed.place.data_center
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_holds_any_number_of_records() {
        let records = |text: &str| -> Vec<String> {
            let split = split("f", text.as_bytes());
            let text = |record: &Vec<u8>| String::from_utf8_lossy(record).into_owned();
            split
                .iter()
                .flat_map(|(_, record)| record)
                .map(text)
                .collect()
        };
        assert_eq!(records("{}\n{\"a\":1}\n"), ["{}", "{\"a\":1}"]);
        assert_eq!(records("{\n \"a\": 1\n}\n"), ["{\n \"a\": 1\n}"]);
        assert_eq!(records("{} nonsense"), ["{}", "nonsense"]);
        assert_eq!(records(""), [""]);
    }
}
