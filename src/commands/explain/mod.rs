//! `explain`: why was this message audited, skipped or quarantined? It runs the stages one by one,
//! by the same functions as `run`, and says what each found.

use std::io::Read;
use std::path::Path;

use anyhow::{Context, bail};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::{print, visible};
use crate::commands::arguments::{ExpectedFate, ExplainArgs};
use crate::deployment::{Assembly, fill_from_topics};
use crate::kafka::inspect::read_value;
use crate::kafka::topics::TopicNames;
use audit_judge::classify::{Actor, UserAction};
use audit_judge::enrich::{AttributedAction, enrich};
use audit_judge::fate::{Fate, FateKind, QuarantineReason, Unaudited};
use audit_judge::format::format;
use audit_judge::parse::framing;
use audit_judge::parse::record::{Record, parse};
use audit_judge::{Reference, judge_action, judge_other, user_action};

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
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'static str>,
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
        (None, Some(path)) => records(path, read_file(path)?, arguments.lines),
        (None, None) => Vec::new(),
    };
    let mut unexpected = 0;
    let count = records.len();
    for (source, payload) in records {
        let explanation = explain_record(source, payload.as_deref(), arguments.at, &assembly);
        unexpected += usize::from(!explanation.is(arguments.expect));
        if arguments.json {
            print(serde_json::to_string(&explanation)?)?;
        } else {
            print(explanation.text())?;
        }
    }
    match arguments.expect {
        Some(fate) if unexpected > 0 => {
            bail!("{unexpected} of {count} records are not {}", word(fate))
        }
        _ => Ok(()),
    }
}

const fn word(fate: ExpectedFate) -> &'static str {
    match fate {
        ExpectedFate::Audited => "audited",
        ExpectedFate::Skipped => "skipped",
        ExpectedFate::Quarantined => "quarantined",
    }
}

fn read_file(path: &Path) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if path == Path::new("-") {
        std::io::stdin().read_to_end(&mut bytes).context("read standard input")?;
    } else {
        bytes = std::fs::read(path).with_context(|| format!("read {}", path.display()))?;
    }
    Ok(bytes)
}

/// The records of a file: all of it, to the last byte, or each of its lines.
fn records(path: &Path, bytes: Vec<u8>, by_line: bool) -> Vec<(String, Option<Vec<u8>>)> {
    let name = path.display().to_string();
    if !by_line {
        return vec![(name, Some(bytes))];
    }
    let lines = bytes.split(|byte| *byte == b'\n').enumerate();
    let filled = lines.filter(|(_, line)| !line.trim_ascii().is_empty());
    filled.map(|(number, line)| (format!("{name}:{}", number + 1), Some(line.to_vec()))).collect()
}

/// Explains one record, as if it had happened at another time if one is given.
pub fn explain_record(
    source: String,
    payload: Option<&[u8]>,
    at: Option<Timestamp>,
    assembly: &Assembly,
) -> Explanation {
    let Assembly { rules, directory, topics, .. } = assembly;
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
    let is_malformed = fate.kind() == FateKind::Quarantined(QuarantineReason::Malformed);
    let mut explanation = Explanation::of(source, fate, topics);
    explanation.note = payload.filter(|_| is_malformed).and_then(note_on_lines);
    let stopped = match read {
        Ok(record) => explanation.walk(&record, action.ok(), at, assembly).err(),
        Err(_) => Some("parse"),
    };
    if let Some(stage) = stopped {
        explanation.found(stage, format!("stops here: {}", explanation.reason));
    }
    explanation
}

/// A person who saved several records to one file asks about each of them.
fn note_on_lines(payload: &[u8]) -> Option<&'static str> {
    let mut lines = payload.split(|byte| *byte == b'\n');
    let is_object = |line: &[u8]| serde_json::from_slice::<Map<String, Value>>(line).is_ok();
    let records = lines.by_ref().filter(|line| is_object(line)).take(2);
    (records.count() == 2)
        .then_some("the bytes are judged as one record, as `run` does; --lines judges each line")
}

fn moved(action: UserAction<'_>, at: Option<Timestamp>) -> UserAction<'_> {
    let mut action = action;
    action.change.time = at.unwrap_or(action.change.time);
    action
}

impl Explanation {
    /// What became of a record, before anything is said of the stages.
    fn of(source: String, fate: Fate, topics: &TopicNames) -> Self {
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
            note: None,
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
        explanation
    }

    fn is(&self, expected: Option<ExpectedFate>) -> bool {
        expected.is_none_or(|expected| word(expected) == self.fate)
    }

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
        let Assembly { rules, directory, .. } = assembly;
        self.found("parse", record.to_string());
        let action = action.ok_or("classify")?;
        self.found("classify", describe_action(&action));
        if let Some(at) = at {
            self.found("classify", format!("judged as if it had happened at {at}"));
        }
        let asked = Asked::of(&action, directory, rules);
        let enriched: Result<AttributedAction<'_>, Unaudited> = enrich(action, directory, rules);
        for version in asked.describe(enriched.as_ref().ok()) {
            self.found("enrich", version);
        }
        let attributed = enriched.map_err(|_| "enrich")?;
        self.found("enrich", describe_attribution(&attributed));
        let region = attributed.place.region;
        let index = rules.routes.route(region).map_err(|_| "route")?;
        self.found("route", format!("region {region}"));
        format(&attributed, index, rules).map_err(|_| "format")?;
        Ok(())
    }

    /// For a person at a terminal.
    pub fn text(&self) -> String {
        let mut lines = vec![visible(&self.source)];
        for Finding { stage, found } in &self.stages {
            lines.push(format!("  {stage:<10}{}", visible(found)));
        }
        let reason = match self.reason {
            "" => String::new(),
            reason => format!(": {reason}"),
        };
        lines.push(format!("  {:<10}{}{reason}", "fate", self.fate));
        if let Some(detail) = &self.detail {
            lines.push(format!("  {:<10}{}", "because", visible(detail)));
        }
        if let Some(note) = self.note {
            lines.push(format!("  {:<10}{note}", "note"));
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
    let pretty = serde_json::from_str::<Value>(event.get())
        .and_then(|value| serde_json::to_string_pretty(&value));
    pretty
        .unwrap_or_else(|_| event.get().to_string())
        .lines()
        .map(|line| format!("  {}", visible(line)))
        .collect::<Vec<_>>()
        .join("\n")
}

fn describe_action(action: &UserAction<'_>) -> String {
    let by = match action.actor {
        Actor::User => "a user",
        Actor::SystemOnBehalfOfUser => "the system on behalf of a user",
        Actor::Service => "the system under an IAM identity",
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
    fn a_file_is_one_record_unless_its_lines_are() {
        let read = |text: &str, by_line| -> Vec<(String, String)> {
            let records = records(Path::new("f"), text.as_bytes().to_vec(), by_line);
            let text = |record: Option<Vec<u8>>| String::from_utf8(record.unwrap_or_default());
            let named = |(name, record)| (name, text(record).expect("text"));
            records.into_iter().map(named).collect()
        };
        let named = |name: &str, record: &str| (name.to_owned(), record.to_owned());
        assert_eq!(read("{}\n{} \n", false), [named("f", "{}\n{} \n")]);
        assert_eq!(read("", false), [named("f", "")]);
        assert_eq!(read("{}\n\n{} \n", true), [named("f:1", "{}"), named("f:3", "{} ")]);
        assert_eq!(read("", true), []);
    }
}
