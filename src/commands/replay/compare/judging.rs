//! Judges the input, and finds for each record what the outputs have of it.

use std::collections::HashMap;

use audit_judge::fate::Fate;
use audit_judge::judge;
use audit_judge::parse::record::Field;

use super::fields::OutputRecord;
use super::pairing::{Event, Subject, number};
use super::report::{Report, Source, State};
use super::written::{Topics, Written};
use crate::commands::arguments::InputReplayArgs;
use crate::commands::state_change::id_of;
use crate::compose::RecordFormat;
use crate::config::Config;
use crate::deployment::Deployment;
use crate::kafka::trail_reader::TrailRecord;
use crate::quarantine::outcomes::Outcome;
use crate::stream::kept_record::KeptRecord;
use crate::stream::{Content, Output, Partition, QuarantinedRecord};

/// Compares record by record.
pub(super) struct Comparison<'a> {
    deployment: &'a Deployment,
    topics: &'a Topics,
    format: RecordFormat,
    written: Written,
    report: Report,
    /// Records that found no event of theirs, while others of their time and device were left.
    pending: Vec<Pending>,
    /// The place of the last event of an input partition in a partition of an output.
    last: HashMap<(u16, i32, i32), i64>,
}

struct Pending {
    source: Source,
    subject: Subject,
    judged: Judged,
}

/// What would be written of a record.
enum Judged {
    Audited(OutputRecord),
    Skipped(&'static str),
    Quarantined(&'static str, OutputRecord),
}

impl Judged {
    fn state(&self) -> State {
        match self {
            Judged::Audited(_) => State::Audited,
            Judged::Skipped(reason) => State::Skipped((*reason).to_string()),
            Judged::Quarantined(reason, _) => State::Quarantined((*reason).to_string()),
        }
    }

    /// Returns whether it agrees with what became of the record in quarantine, of which there is no
    /// event. What a person closed need not be judged alike.
    const fn is_as_closed(&self, outcome: Outcome) -> bool {
        match outcome {
            Outcome::Present => matches!(self, Judged::Audited(_)),
            Outcome::Skipped => matches!(self, Judged::Skipped(_)),
            Outcome::Done => !matches!(self, Judged::Audited(_)),
            Outcome::Audited | Outcome::Again => false,
        }
    }
}

impl<'a> Comparison<'a> {
    pub(super) fn new(
        config: &Config,
        deployment: &'a Deployment,
        topics: &'a Topics,
        written: Written,
        arguments: &InputReplayArgs,
    ) -> Self {
        let regions = deployment.rules.routes.regions().to_vec();
        Comparison {
            deployment,
            topics,
            format: RecordFormat::new(config, regions),
            written,
            report: Report::new(arguments.examples),
            pending: Vec::new(),
            last: HashMap::new(),
        }
    }

    /// Takes the next record of the input.
    pub(super) fn take(&mut self, record: &TrailRecord<'_>) {
        self.report.read += 1;
        let source = Source { partition: record.partition, offset: record.offset };
        let Deployment { rules, reference, .. } = self.deployment;
        match judge(record.value, rules, || reference) {
            Fate::Audited(audited) => {
                let content = Content::Event { envelope: &audited.envelope, event: &audited.event };
                let event = self.compose(record, content, Some(audited.envelope.region.0));
                let subject = Subject::new(record.timestamp_ms, audited.envelope.device.as_bytes());
                let id = number(audited.envelope.id.as_bytes());
                self.audited(source, subject, (id, event));
            }
            Fate::Skipped(skip) => {
                self.unaudited(source, record, Judged::Skipped(skip.reason.name()));
            }
            Fate::Quarantined(quarantine) => {
                let reason = quarantine.reason.name();
                let original = kept(record);
                let kept = QuarantinedRecord { original, quarantine };
                let written = self.compose(record, Content::Quarantined(&kept), None);
                self.unaudited(source, record, Judged::Quarantined(reason, written));
            }
        }
    }

    fn audited(&mut self, source: Source, subject: Subject, (id, event): (u64, OutputRecord)) {
        let digest = event.digest();
        let events = &mut self.written.events;
        if let Some(found) = events.take(subject, |it| it.digest == digest) {
            self.report.equal.audited += 1;
            self.follow(source, &found);
        } else if let Some(found) = events.take(subject, |it| it.id == id) {
            self.report.change(source, found.place, event);
            self.follow(source, &found);
        } else if events.has(subject) {
            self.pending.push(Pending { source, subject, judged: Judged::Audited(event) });
        } else {
            self.without_event(source, Judged::Audited(event));
        }
    }

    /// Takes a record without an event: the outputs may have one nevertheless.
    fn unaudited(&mut self, source: Source, record: &TrailRecord<'_>, judged: Judged) {
        let events = &self.written.events;
        // Most records are skipped, and nothing is there of their time.
        if events.has_time(record.timestamp_ms)
            && let Some(device) = id_of(record.value, Field::ObjectId)
        {
            let subject = Subject::new(record.timestamp_ms, device.as_bytes());
            if events.has(subject) {
                self.pending.push(Pending { source, subject, judged });
                return;
            }
        }
        self.without_event(source, judged);
    }

    /// Takes a record of which no event is in the outputs.
    fn without_event(&mut self, source: Source, judged: Judged) {
        let quarantine = &self.written.quarantine;
        let found = quarantine.of((source.partition, source.offset));
        for twice in found.iter().skip(1) {
            self.report.twice(self.topics.place(twice.place));
        }
        let Some(found) = found.first() else {
            match judged {
                Judged::Skipped(_) => self.report.equal.skipped += 1,
                judged => self.report.became(source, None, State::Nothing, judged.state()),
            }
            return;
        };
        let there = quarantine.name(found.reason);
        match judged {
            judged if found.closed.is_some_and(|outcome| judged.is_as_closed(outcome)) => {
                match judged {
                    Judged::Audited(_) => self.report.equal.audited += 1,
                    Judged::Skipped(_) => self.report.equal.skipped += 1,
                    Judged::Quarantined(..) => self.report.equal.quarantined += 1,
                }
            }
            Judged::Quarantined(reason, record) if reason == there && found.closed.is_none() => {
                if found.digest.is_none_or(|digest| digest == record.digest()) {
                    self.report.equal.quarantined += 1;
                } else {
                    self.report.change(source, found.place, record);
                }
            }
            judged => {
                let there = match found.closed {
                    Some(outcome) => State::Closed(outcome),
                    None => State::Quarantined(there.to_string()),
                };
                let place = self.topics.place(found.place);
                self.report.became(source, Some(place), there, judged.state());
            }
        }
    }

    /// Checks that the event of a record stands behind those of the records before.
    fn follow(&mut self, source: Source, event: &Event) {
        // One that was replayed from the quarantine stands where it came.
        if event.is_replayed {
            return;
        }
        let place = event.place;
        let last = self.last.entry((place.topic, place.partition, source.partition));
        let last = last.or_insert(place.offset);
        if place.offset < *last {
            self.report.out_of_order(source, self.topics.place(place));
        }
        *last = place.offset.max(*last);
    }

    /// Gives each record that is pending the first event that is left, and returns what differs.
    pub(super) fn finish(mut self) -> Report {
        for Pending { source, subject, judged } in std::mem::take(&mut self.pending) {
            match (self.written.events.take_rest(subject), judged) {
                (Some(found), Judged::Audited(event)) => {
                    self.report.change(source, found.place, event);
                }
                (Some(found), judged) => {
                    let place = self.topics.place(found.place);
                    self.report.became(source, Some(place), State::Audited, judged.state());
                }
                (None, judged) => self.without_event(source, judged),
            }
        }
        for (event, is_twice) in self.written.events.left() {
            match is_twice {
                true => self.report.twice(self.topics.place(event.place)),
                false => self.report.others += 1,
            }
        }
        self.report
    }

    /// Returns the record that would be written.
    fn compose(
        &self,
        record: &TrailRecord<'_>,
        content: Content<'_>,
        region: Option<usize>,
    ) -> OutputRecord {
        let (topic, partition) = self.topics.destination(region, record.partition);
        let output = Output {
            source_partition: Partition(record.partition),
            source_offset: record.offset,
            timestamp_ms: Some(record.timestamp_ms).filter(|time| *time >= 0),
            content,
        };
        self.format.compose(&output, record.timestamp_ms, |composed| OutputRecord {
            topic: topic.to_string(),
            partition,
            timestamp_ms: composed.timestamp_ms,
            key: composed.key.map(<[u8]>::to_vec),
            value: composed.value.map(<[u8]>::to_vec),
            headers: composed
                .headers
                .iter()
                .map(|(name, value)| (name.to_vec(), value.map(<[u8]>::to_vec)))
                .collect(),
        })
    }
}

/// Keeps a record whole, as it is in quarantine unless it is too large for that.
fn kept(record: &TrailRecord<'_>) -> KeptRecord {
    KeptRecord {
        key: record.key.map(<[u8]>::to_vec),
        payload: record.value.map(<[u8]>::to_vec),
        headers: record.headers.clone(),
        stub: None,
    }
}
