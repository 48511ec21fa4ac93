//! What differs, in numbers and examples.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Value, json};

use super::fields::{OutputRecord, changed};
use super::pairing::Place;
use super::written::Topics;
use crate::commands::replay::window::Window;
use crate::kafka::trail_reader::TrailReader;
use crate::quarantine::outcomes::Outcome;

/// Of so many changed records it is found out what has changed.
const SAMPLES_MAX: usize = 1_000;

/// The place of a record in the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Source {
    pub(super) partition: i32,
    pub(super) offset: i64,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.partition, self.offset)
    }
}

/// What became of a record, or would.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum State {
    /// An event is in an output.
    Audited,
    /// A record is in quarantine, for this reason.
    Quarantined(String),
    /// It was in quarantine, and closed.
    Closed(Outcome),
    /// It is skipped, for this reason.
    Skipped(String),
    /// Nothing is there: it was skipped, for a reason that is not known.
    Nothing,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            State::Audited => f.write_str("audited"),
            State::Quarantined(reason) => write!(f, "quarantined ({reason})"),
            State::Closed(outcome) => write!(f, "closed in quarantine ({outcome})"),
            State::Skipped(reason) => write!(f, "skipped ({reason})"),
            State::Nothing => f.write_str("skipped"),
        }
    }
}

/// Records that are as they would be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Equal {
    pub(super) audited: u64,
    pub(super) quarantined: u64,
    pub(super) skipped: u64,
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Example {
    what: String,
    /// The record in the input, if that is known.
    source: Option<Source>,
    /// The record in an output.
    place: Option<String>,
}

/// A record of which something has changed.
#[derive(Debug)]
struct Sample {
    source: Source,
    place: Place,
    now: OutputRecord,
}

/// All that was found.
#[derive(Debug, Default)]
pub(super) struct Report {
    /// Records of the input.
    pub(super) read: u64,
    pub(super) equal: Equal,
    changed: u64,
    /// How many of the samples have changed in a field.
    fields: BTreeMap<String, u64>,
    samples: Vec<Sample>,
    sampled: usize,
    became: BTreeMap<(State, State), u64>,
    twice: u64,
    out_of_order: u64,
    /// Events that were read and are of other records.
    pub(super) others: u64,
    examples: Vec<Example>,
    examples_max: usize,
}

impl Report {
    pub(super) fn new(examples_max: usize) -> Self {
        Report { examples_max, ..Report::default() }
    }

    /// The record that is written is another one than that which is there.
    pub(super) fn change(&mut self, source: Source, place: Place, now: OutputRecord) {
        self.changed += 1;
        if self.samples.len() < SAMPLES_MAX {
            self.samples.push(Sample { source, place, now });
        }
    }

    /// Something else would become of a record.
    pub(super) fn became(
        &mut self,
        source: Source,
        place: Option<String>,
        there: State,
        now: State,
    ) {
        self.example(|| format!("{there} became {now}"), Some(source), place);
        *self.became.entry((there, now)).or_default() += 1;
    }

    /// A record is in an output once more.
    pub(super) fn twice(&mut self, place: String) {
        self.twice += 1;
        self.example(|| "is there twice".to_string(), None, Some(place));
    }

    /// An event stands before one of an earlier record of its partition.
    pub(super) fn out_of_order(&mut self, source: Source, place: String) {
        self.out_of_order += 1;
        self.example(|| "is out of order".to_string(), Some(source), Some(place));
    }

    fn example(
        &mut self,
        what: impl FnOnce() -> String,
        source: Option<Source>,
        place: Option<String>,
    ) {
        if self.examples.len() < self.examples_max {
            self.examples.push(Example { what: what(), source, place });
        }
    }

    /// Returns how many differences there are.
    pub(super) fn differences(&self) -> u64 {
        self.changed + self.became.values().sum::<u64>() + self.twice + self.out_of_order
    }

    /// Reads the changed records again, as far as they are samples, and finds out what has changed.
    pub(super) fn find_fields(
        &mut self,
        reader: &TrailReader,
        topics: &Topics,
    ) -> anyhow::Result<()> {
        let samples = std::mem::take(&mut self.samples);
        let places: Vec<Place> = samples.iter().map(|sample| sample.place).collect();
        let there = topics.read_at(reader, &places)?;
        for Sample { source, place, now } in &samples {
            let Some(there) = there.get(place) else { continue };
            let fields = changed(now, there);
            let names = || fields.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
            self.example(
                || format!("changed: {}", names()),
                Some(*source),
                Some(topics.place(*place)),
            );
            for field in fields {
                *self.fields.entry(field).or_default() += 1;
            }
        }
        self.sampled = samples.len();
        Ok(())
    }

    pub(super) fn to_json(&self, window: &Window) -> Value {
        let Equal { audited, quarantined, skipped } = self.equal;
        let became = self.became.iter().map(|((there, now), count)| {
            json!({"from": there.to_string(), "to": now.to_string(), "count": count})
        });
        let examples = self.examples.iter().map(|example| {
            let source = example.source.map(|source| source.to_string());
            json!({"what": example.what, "input": source, "output": example.place})
        });
        json!({
            "offsets": window.to_string(),
            "read": self.read,
            "equal": {"audited": audited, "quarantined": quarantined, "skipped": skipped},
            "differences": self.differences(),
            "changed": {"records": self.changed, "examined": self.sampled, "fields": self.fields},
            "became": became.collect::<Vec<_>>(),
            "twice": self.twice,
            "outOfOrder": self.out_of_order,
            "ofOtherRecords": self.others,
            "examples": examples.collect::<Vec<_>>(),
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Equal { audited, quarantined, skipped } = self.equal;
        write!(
            f,
            "{} records judged; as they are there: {audited} audited, {quarantined} quarantined, {skipped} skipped",
            self.read
        )?;
        if self.others > 0 {
            write!(f, "\n{} events are of other records", self.others)?;
        }
        if self.differences() == 0 {
            return write!(f, "\nNo difference.");
        }
        for (count, what) in [
            (self.changed, "changed"),
            (self.twice, "there twice"),
            (self.out_of_order, "out of order"),
        ] {
            if count > 0 {
                write!(f, "\n{count:>9} {what}")?;
            }
        }
        for ((there, now), count) in &self.became {
            write!(f, "\n{count:>9} {there} became {now}")?;
        }
        if !self.fields.is_empty() {
            write!(f, "\nOf {} changed records, so many changed in:", self.sampled)?;
            for (field, count) in &self.fields {
                write!(f, "\n{count:>9} {field}")?;
            }
        }
        if !self.examples.is_empty() {
            write!(f, "\nFor example:")?;
        }
        for Example { what, source, place } in &self.examples {
            write!(f, "\n  {what}")?;
            if let Some(source) = source {
                write!(f, "; input {source}")?;
            }
            if let Some(place) = place {
                write!(f, "; {place}")?;
            }
        }
        write!(
            f,
            "\nA difference need not be a fault: another version or configuration, tables that have changed since, or no longer hold what they held."
        )
    }
}
