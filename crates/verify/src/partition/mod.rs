//! The second half: the records of one output partition, in its order.

mod candidate;
mod failed_block;
mod open_block;
mod walk;

use std::collections::{BTreeMap, HashMap};
use std::io;

use audit_chain::hash::leaf::{Event, RecordHeader, leaf};
use audit_chain::header::{ChainHeader, HEADER_NAME};
use audit_chain::name::{Set, StreamName};
use audit_chain::{Digest, name};

pub(crate) use self::candidate::{Candidate, Stray};
pub(crate) use self::failed_block::{Claim, FailedBlock, Missing};
use self::walk::{Taken, Walk};
use crate::finding::{Findings, Label};
use crate::record::Record;
use crate::seals::Sealed;

/// Records that fit nowhere yet and are kept, for each partition.
const STRAYS_MAX: usize = 100_000;

/// Verifies one output partition. Partitions are independent of each other, so they can be verified
/// in any order, or at once.
#[derive(Debug)]
pub struct PartitionVerifier<'s> {
    sealed: &'s Sealed,
    walks: HashMap<Box<str>, Walk<'s>>,
    /// Records of an earlier reading that claim to be events of this partition.
    asked: HashMap<Box<str>, BTreeMap<u64, Vec<Stray>>>,
    /// Where the events end that were verified earlier; they may stand before this offset only.
    begin: u64,
    report: PartitionReport,
}

/// What was found in an output partition.
#[derive(Debug, Clone)]
pub struct PartitionReport {
    pub(crate) output: StreamName,
    pub(crate) partition: u32,
    /// The offset of the oldest record that retention has left.
    pub(crate) low_watermark: u64,
    pub(crate) records: u64,
    /// Records of before the seal at which verification begins.
    pub(crate) before: u64,
    /// The offset of the first record that is newer than the seals.
    pub(crate) newer: Option<u64>,
    /// Events that were confirmed, by stream.
    pub(crate) confirmed: BTreeMap<name::Stream, u64>,
    /// Input messages that the confirmed events come from, by set.
    pub(crate) audited: BTreeMap<Set, u64>,
    /// Blocks that could not be confirmed.
    pub(crate) failed: Vec<FailedBlock>,
    /// Events that no record claims to be.
    pub(crate) missing: Vec<Missing>,
    /// For each stream the number of the oldest event that is there, if retention has removed
    /// records from the partition.
    pub(crate) expired_before: BTreeMap<name::Stream, u64>,
    /// What was found out about strays of an earlier reading.
    pub(crate) answers: Findings,
    pub(crate) strays: Vec<Stray>,
    pub(crate) findings: Findings,
}

impl<'s> PartitionVerifier<'s> {
    /// Starts before the first record that the partition still has, at `low_watermark`.
    pub fn new(sealed: &'s Sealed, output: StreamName, partition: u32, low_watermark: u64) -> Self {
        let report = PartitionReport {
            output,
            partition,
            low_watermark,
            records: 0,
            before: 0,
            newer: None,
            confirmed: BTreeMap::new(),
            audited: BTreeMap::new(),
            failed: Vec::new(),
            missing: Vec::new(),
            expired_before: BTreeMap::new(),
            answers: Findings::default(),
            strays: Vec::new(),
            findings: Findings::default(),
        };
        let (walks, asked) = (HashMap::new(), HashMap::new());
        PartitionVerifier { sealed, walks, asked, begin: u64::MAX, report }
    }

    /// Goes on in a partition of which the records before this offset were read by an earlier
    /// verification. It takes the records from [`PartitionReport::next`] on.
    #[must_use]
    pub fn behind(mut self, offset: u64) -> Self {
        self.begin = offset;
        self
    }

    /// Compares records with the events of this partition that they claim to be.
    pub(crate) fn asking(mut self, strays: Vec<Stray>) -> Self {
        for stray in strays {
            let asked = self.asked.entry(stray.stream.as_str().into()).or_default();
            asked.entry(stray.candidate.number).or_default().push(stray);
        }
        self
    }

    /// Takes the next record.
    ///
    /// # Errors
    /// If the temporary file cannot be read.
    pub fn take(&mut self, record: &Record<'_>) -> io::Result<()> {
        self.report.records += 1;
        match self.header(record) {
            Ok((header, is_last)) => self.take_event(record, header, is_last),
            Err(why) => {
                let place = self.report.place(record.offset);
                self.report.findings.add(Label::Inserted, format_args!("{place}: {why}"));
                Ok(())
            }
        }
    }

    /// Returns the chain header of a record, and whether it stands where it must.
    fn header(&self, record: &Record<'_>) -> Result<(ChainHeader, bool), String> {
        let is_chain = |(name, _): &RecordHeader<'_>| *name == HEADER_NAME.as_bytes();
        let mut found = record.headers.iter().enumerate().filter(|(_, header)| is_chain(header));
        let (index, (_, value)) = found.next().ok_or("the record has no chain header")?;
        if found.next().is_some() {
            return Err("the record has more than one chain header".to_string());
        }
        let value = value.ok_or("the chain header is null")?;
        let header = ChainHeader::parse(value).map_err(|error| error.to_string())?;
        if *header.stream.name() != self.report.output {
            return Err(format!("the chain header is of the stream {}", header.stream));
        }
        Ok((header, index + 1 == record.headers.len()))
    }

    fn take_event(
        &mut self,
        record: &Record<'_>,
        header: ChainHeader,
        is_last: bool,
    ) -> io::Result<()> {
        let number = header.number.get();
        let Some(stream) = self.sealed.streams.get(header.stream.as_str()) else {
            self.unsealed(record, &header);
            return Ok(());
        };
        if number >= stream.head.size {
            self.unsealed(record, &header);
            return Ok(());
        }
        if number < stream.begin {
            self.earlier(record, &stream.name, number);
            return Ok(());
        }
        let candidate = Candidate {
            number,
            previous: header.previous,
            leaf: if is_last { hash(record, &header) } else { None },
            offset: record.offset,
            source: header.source.offset.get(),
        };
        let walk = match self.walks.get_mut(header.stream.as_str()) {
            Some(walk) => walk,
            None => self
                .walks
                .entry(header.stream.as_str().into())
                .or_insert_with(|| Walk::new(stream, self.report.partition)),
        };
        match walk.take(candidate, &self.sealed.spill, &mut self.report)? {
            Taken::Placed => {}
            Taken::Confirmed(events) => self.answer(header.stream.as_str(), &events),
            Taken::Stray => self.stray(stream.name.clone(), candidate),
        }
        Ok(())
    }

    /// Labels the records that claim to be one of these events, which are authentic.
    fn answer(&mut self, stream: &str, events: &[Candidate]) {
        let Some(asked) = self.asked.get_mut(stream) else { return };
        for event in events {
            for stray in asked.remove(&event.number).into_iter().flatten() {
                let Stray { stream, candidate, place } = &stray;
                let label = candidate.label_beside(event);
                self.report.answers.add_event(label, stream, event.number, place);
            }
        }
    }

    /// Takes a record that claims to be an event of before the beginning.
    fn earlier(&mut self, record: &Record<'_>, stream: &name::Stream, number: u64) {
        let label = match () {
            () if self.walks.contains_key(stream.as_str()) => Label::Reordered,
            () if record.offset >= self.begin => Label::Inserted,
            () => {
                self.report.before += 1;
                return;
            }
        };
        let place = self.report.place(record.offset);
        self.report.findings.add_event(label, stream, number, &place);
    }

    /// Reports an event that no seal covers.
    fn unsealed(&mut self, record: &Record<'_>, header: &ChainHeader) {
        if record.is_newer_than_seals {
            self.report.newer.get_or_insert(record.offset);
            return;
        }
        let is_known = self.sealed.sets.contains_key(header.stream.set());
        let label = match is_known || self.sealed.sets.is_empty() {
            true => Label::Unsealed,
            false => Label::Inserted,
        };
        let place = self.report.place(record.offset);
        self.report.findings.add_event(label, &header.stream, header.number.get(), &place);
    }

    fn stray(&mut self, stream: name::Stream, candidate: Candidate) {
        let place = self.report.place(candidate.offset);
        if self.report.strays.len() < STRAYS_MAX {
            return self.report.strays.push(Stray { stream, candidate, place });
        }
        self.report.findings.add_event(Label::Inserted, &stream, candidate.number, &place);
    }

    /// Ends the partition.
    ///
    /// # Errors
    /// If the temporary file cannot be read.
    pub fn finish(mut self) -> io::Result<PartitionReport> {
        let (output, partition) = (self.report.output.clone(), self.report.partition);
        for stream in self.sealed.streams.iter().filter(|it| *it.name.name() == output) {
            if !stream.blocks.contains_key(&partition) {
                continue;
            }
            let walk = self.walks.remove(stream.name.as_str());
            let walk = walk.unwrap_or_else(|| Walk::new(stream, partition));
            walk.finish(&self.sealed.spill, &mut self.report)?;
        }
        // What the signatures lead to would have been compared.
        for stray in self.asked.values().flat_map(BTreeMap::values).flatten() {
            let Stray { stream, candidate, place } = stray;
            self.report.answers.add_event(Label::Inserted, stream, candidate.number, place);
        }
        Ok(self.report)
    }
}

impl PartitionReport {
    /// Returns the partition: the name of its output, and its number.
    pub fn partition(&self) -> (&StreamName, u32) {
        (&self.output, self.partition)
    }

    /// Returns where to go on in the partition, which was read up to before this offset: at the
    /// first record that no seal covers yet.
    pub fn next(&self, end: u64) -> u64 {
        self.newer.unwrap_or(end)
    }
}

/// Returns the hash of a record; `None` if it cannot have one.
fn hash(record: &Record<'_>, header: &ChainHeader) -> Option<Digest> {
    let event = Event {
        source: header.source,
        timestamp_ms: record.timestamp_ms,
        key: record.key,
        value: record.value,
    };
    let (_, others) = record.headers.split_last()?;
    leaf(&event, others.iter().copied()).ok()
}
