//! The independent judge: numbered state changes with known expected fates, and a ledger that
//! compares the committed output with the expected output. It shares no code with the relay.

mod accounts;
mod event;
mod evidence;
mod load;
mod planted;

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

use audit_testkit::relay::TestDeployment;
use audit_testkit::topics::{Seen, read_committed};

pub use accounts::assert_accounted;
pub use evidence::header;
use evidence::{Contents, Evidence, number};
pub use load::{ExpectedFate, PRINCIPALS, change, count, expected_fate, location_table, region};

/// The headers that the relay adds to a record in the quarantine topic.
pub const ADDED: [&str; 7] = [
    "audit-relay-reason",
    "audit-relay-detail",
    "audit-relay-topic",
    "audit-relay-partition",
    "audit-relay-offset",
    "audit-relay-version",
    "audit-relay-stub",
];

/// Violations by kind; all must be empty.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    pub lost: Vec<u64>,
    pub doubled: Vec<u64>,
    pub reordered: Vec<u64>,
    /// In the topic of another region, in another partition than the input partition modulo the
    /// partition count, or not in the partition of the device's other events.
    pub misrouted: Vec<u64>,
    /// Unexpected content, key, timestamp or headers.
    pub changed: Vec<String>,
    /// Different records with the same id.
    pub shared_ids: Vec<String>,
    pub unexpected: Vec<String>,
    pub quarantine_incomplete: Vec<u64>,
    pub events: usize,
    pub quarantined: usize,
}

impl fmt::Display for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = [
            ("lost", self.lost.len()),
            ("doubled", self.doubled.len()),
            ("reordered", self.reordered.len()),
            ("misrouted", self.misrouted.len()),
            ("changed", self.changed.len()),
            ("with the id of another", self.shared_ids.len()),
            ("unexpected", self.unexpected.len()),
            ("quarantine incomplete", self.quarantine_incomplete.len()),
        ];
        write!(f, "{} events, {} quarantined", self.events, self.quarantined)?;
        counts.iter().try_for_each(|(kind, count)| write!(f, "; {kind} {count}"))
    }
}

/// The number of outputs of each record, and the order and partition of each device's outputs.
#[derive(Default)]
struct Tally {
    outputs: BTreeMap<u64, u32>,
    last_of_device: BTreeMap<u64, u64>,
    partition_of_device: BTreeMap<u64, i32>,
}

impl Ledger {
    /// Compares the committed output with the expected output of the first `count` records.
    #[track_caller]
    pub fn of(bootstrap: &str, deployment: &TestDeployment, count: u64) -> Ledger {
        let input = read_committed(bootstrap, &deployment.input);
        Ledger::against(bootstrap, deployment, &input, count)
    }

    /// Does the same with an input that was read earlier and may no longer be readable.
    #[track_caller]
    pub fn against(
        bootstrap: &str,
        deployment: &TestDeployment,
        input: &[Seen],
        count: u64,
    ) -> Ledger {
        Ledger::judge(&Evidence::read(bootstrap, deployment, input), count)
    }

    fn judge(evidence: &Evidence, count: u64) -> Ledger {
        let mut ledger = Ledger::default();
        let mut written = ledger.judge_events(evidence).outputs;
        let mut kept = ledger.judge_quarantine(evidence).outputs;
        for number in 0..count {
            let seen = match expected_fate(number) {
                ExpectedFate::Audited => written.remove(&number).unwrap_or(0),
                ExpectedFate::Quarantined => kept.remove(&number).unwrap_or(0),
                ExpectedFate::Skipped => 1,
            };
            match seen {
                0 => ledger.lost.push(number),
                1 => {}
                _ => ledger.doubled.push(number),
            }
        }
        let beyond = written.keys().chain(kept.keys());
        let beyond = beyond.map(|number| format!("output for record {number}"));
        ledger.unexpected.extend(beyond);
        ledger
    }

    fn judge_events(&mut self, evidence: &Evidence) -> Tally {
        let input = evidence.by_number();
        let mut all = Tally::default();
        let mut ids = BTreeMap::new();
        for (contents, region) in evidence.regions() {
            for seen in &contents.records {
                self.events += 1;
                let value = seen.value.as_deref().unwrap_or_default();
                let event: Value = serde_json::from_slice(value).unwrap_or_default();
                let correlation = event["correlationId"].as_str();
                let number = correlation.and_then(|id| id.parse().ok());
                let Some((number, original)) = number.and_then(|it| Some((it, *input.get(&it)?)))
                else {
                    self.unexpected.push(format!("event without input record: {event}"));
                    continue;
                };
                self.place(number, original, seen, contents, &mut all);
                if region != load::region(number) {
                    self.misrouted.push(number);
                }
                self.compare(number, original, seen, &event, evidence.event_headers);
                let id = event["id"].to_string();
                if *ids.entry(id.clone()).or_insert(number) != number {
                    self.shared_ids.push(format!("record {number}: {id}"));
                }
            }
        }
        all
    }

    /// Checks the partition and order of a record's output.
    fn place(
        &mut self,
        number: u64,
        original: &Seen,
        seen: &Seen,
        contents: &Contents,
        tally: &mut Tally,
    ) {
        *tally.outputs.entry(number).or_default() += 1;
        let device = load::device_id(number);
        let partition = original.partition % contents.partitions;
        let first = tally.partition_of_device.entry(device);
        let of_device = *first.or_insert(seen.partition);
        if seen.partition != partition || seen.partition != of_device {
            self.misrouted.push(number);
        }
        match tally.last_of_device.insert(device, number) {
            // An equal number is a duplicate and is counted as such.
            Some(last) if last > number => self.reordered.push(number),
            _ => {}
        }
    }

    /// Checks that an event, its key, timestamp and headers are exactly the expected ones.
    fn compare(
        &mut self,
        number: u64,
        original: &Seen,
        seen: &Seen,
        event: &Value,
        with_headers: bool,
    ) {
        let headers = match with_headers {
            true => event::headers(number),
            false => Vec::new(),
        };
        let key = load::device_id(number).to_string();
        let wrong = [
            ("content", *event != event::expected(number)),
            ("key", seen.key.as_deref() != Some(key.as_bytes())),
            ("timestamp", seen.timestamp != original.timestamp),
            ("headers", seen.headers != headers),
        ];
        for (part, _) in wrong.iter().filter(|(_, is_wrong)| *is_wrong) {
            self.changed.push(format!("{part} of record {number}: {seen:?}"));
        }
    }

    /// Checks that each quarantined record is its complete original and names its origin.
    fn judge_quarantine(&mut self, evidence: &Evidence) -> Tally {
        let originals = evidence.by_position();
        let mut all = Tally::default();
        for seen in &evidence.quarantine.records {
            self.quarantined += 1;
            let Some(number) = number(seen) else {
                self.unexpected.push(format!("quarantined without number: {seen:?}"));
                continue;
            };
            let partition = header(seen, "audit-relay-partition").parse().ok();
            let offset = header(seen, "audit-relay-offset").parse().ok();
            let found = partition.zip(offset).and_then(|position| originals.get(&position));
            let mut found = found.into_iter().flatten();
            match found.find(|original| is_unchanged(original, seen)) {
                Some(original) if has_reason(original, seen, &evidence.topic) => {
                    self.place(number, original, seen, &evidence.quarantine, &mut all);
                }
                _ => {
                    *all.outputs.entry(number).or_default() += 1;
                    self.quarantine_incomplete.push(number);
                }
            }
        }
        all
    }

    /// Fails the test unless every output exists exactly once, in order and in its place.
    #[track_caller]
    pub fn assert_clean(&self) {
        self.assert_clean_but_for(&[]);
    }

    /// Does the same, except that exactly these records must be lost.
    #[track_caller]
    pub fn assert_clean_but_for(&self, lost: &[u64]) {
        assert!(self.is_clean_but_for(lost), "{self}\n{self:?}");
    }

    fn is_clean_but_for(&self, lost: &[u64]) -> bool {
        let expected = Ledger {
            lost: lost.to_vec(),
            events: self.events,
            quarantined: self.quarantined,
            ..Ledger::default()
        };
        *self == expected && self.events > 0 && self.quarantined > 0
    }
}

fn is_unchanged(original: &Seen, kept: &Seen) -> bool {
    original.key == kept.key
        && original.value == kept.value
        && original.timestamp == kept.timestamp
        && kept.headers.starts_with(&original.headers)
}

/// Returns whether a quarantined record has the expected headers of the relay, and no others.
fn has_reason(original: &Seen, kept: &Seen, topic: &str) -> bool {
    let added = kept.headers.iter().skip(original.headers.len());
    added.map(|(name, _)| name.as_str()).eq(ADDED)
        && header(kept, "audit-relay-reason") == "malformed"
        && header(kept, "audit-relay-topic") == topic
        && header(kept, "audit-relay-version") == env!("CARGO_PKG_VERSION")
        && header(kept, "audit-relay-stub") == "false"
        && !header(kept, "audit-relay-detail").is_empty()
}
