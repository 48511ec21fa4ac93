//! `explain`: why was this message audited, skipped or quarantined? It judges with the same
//! function as `run` and prints what each stage reports.

use std::borrow::Cow;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, bail};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::{print, visible};
use crate::commands::arguments::{ExpectedFate, ExplainArgs};
use crate::deployment::Deployment;
use crate::kafka::inspect::read_value;
use crate::kafka::topics::TopicNames;
use audit_judge::fate::{Fate, FateKind, QuarantineReason};
use audit_judge::parse::framing;
use audit_judge::{Input, judge_traced};

mod findings;
mod versions;

use self::findings::{Findings, StageFinding};

/// The findings of the stages for one record, and its fate.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    source: String,
    stages: Vec<StageFinding>,
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

/// Explains the records that the arguments name.
///
/// # Errors
/// Fails if the configuration or a record cannot be read. A skipped or quarantined record is an
/// answer, not an error.
pub fn explain(arguments: &ExplainArgs) -> anyhow::Result<()> {
    let (config, mut deployment) = super::load(&arguments.config)?;
    // Read the tables from their topics: otherwise every principal would be unknown.
    deployment.read_table_topics(&config).context("read the tables' topics")?;
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
        let explanation = explain_record(source, payload.as_deref(), arguments.at, &deployment);
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

/// Returns the records of a file: the whole file as one record, or each line.
fn records(path: &Path, bytes: Vec<u8>, by_line: bool) -> Vec<(String, Option<Vec<u8>>)> {
    let name = path.display().to_string();
    if !by_line {
        return vec![(name, Some(bytes))];
    }
    let lines = bytes.split(|byte| *byte == b'\n').enumerate();
    let filled = lines.filter(|(_, line)| !line.trim_ascii().is_empty());
    filled.map(|(number, line)| (format!("{name}:{}", number + 1), Some(line.to_vec()))).collect()
}

/// Explains one record, as if its action had happened at the time `at` if that is given.
pub fn explain_record(
    source: String,
    payload: Option<&[u8]>,
    at: Option<Timestamp>,
    deployment: &Deployment,
) -> Explanation {
    let Deployment { rules, reference, topics, .. } = deployment;
    let mut findings = Findings::of(at);
    let fate = judge_traced(Input { payload, at }, rules, || reference, &mut findings);
    let is_malformed = fate.kind() == FateKind::Quarantined(QuarantineReason::Malformed);
    let mut explanation = Explanation::of(source, fate, topics);
    explanation.note = payload.filter(|_| is_malformed).and_then(note_on_lines);
    explanation.stages = findings.finish(explanation.reason);
    explanation
}

/// Hints at `--lines` if a file seems to hold several records.
fn note_on_lines(payload: &[u8]) -> Option<&'static str> {
    let payload = framing::unwrap(payload).unwrap_or(Cow::Borrowed(payload));
    let mut lines = payload.split(|byte| *byte == b'\n');
    let is_object = |line: &[u8]| serde_json::from_slice::<Map<String, Value>>(line).is_ok();
    let records = lines.by_ref().filter(|line| is_object(line)).take(2);
    (records.count() == 2)
        .then_some("the bytes are judged as one record, as `run` does; --lines judges each line")
}

impl Explanation {
    /// Returns an explanation that states the fate, without any findings yet.
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

    /// Returns the explanation as text for a terminal.
    pub fn text(&self) -> String {
        let mut lines = vec![visible(&self.source)];
        for StageFinding { stage, found } in &self.stages {
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
