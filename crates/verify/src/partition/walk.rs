//! The events of one stream in one partition, block by block.

use std::collections::BTreeMap;
use std::io;

use super::PartitionReport;
use super::candidate::Candidate;
use super::failed_block::{Claim, FailedBlock, Missing};
use super::open_block::{Confirmed, OpenBlock};
use crate::block::{Block, Head};
use crate::finding::{Findings, Label};
use crate::record::Place;
use crate::seals::Stream;
use crate::spill::{List, Spill};

/// Blocks of a stream that are open at a time, at most: those that wait for a record that may have
/// been moved.
const OPEN_MAX: usize = 64;
/// Blocks of a stream whose edges are remembered, to see records that changed places.
const EDGES_MAX: usize = 256;
/// Blocks of a partition that could not be confirmed and are kept until the end.
const FAILED_MAX: usize = 10_000;

/// Whether a record has a place in its stream.
pub(super) enum Taken {
    Placed,
    /// Its block is confirmed now, with these events.
    Confirmed(Vec<Candidate>),
    /// Its block is elsewhere, or was closed before.
    Stray,
}

/// The events of a stream in a partition.
#[derive(Debug)]
pub(super) struct Walk<'s> {
    stream: &'s Stream,
    blocks: Option<&'s List<Block>>,
    /// Blocks that were closed, as ranges of indexes: first, and the one behind the last.
    closed: BTreeMap<u64, u64>,
    open: BTreeMap<u64, OpenBlock>,
    /// The offsets of the first and last record of blocks that were confirmed lately.
    edges: BTreeMap<u64, [u64; 2]>,
    /// The lowest number that a record claims.
    lowest: Option<u64>,
    /// The last source that was confirmed.
    last_source: Option<u64>,
}

impl<'s> Walk<'s> {
    pub(super) fn new(stream: &'s Stream, partition: u32) -> Self {
        Walk {
            stream,
            blocks: stream.blocks.get(&partition),
            closed: BTreeMap::new(),
            open: BTreeMap::new(),
            edges: BTreeMap::new(),
            lowest: None,
            last_source: None,
        }
    }

    pub(super) fn take(
        &mut self,
        candidate: Candidate,
        spill: &Spill,
        report: &mut PartitionReport,
    ) -> io::Result<Taken> {
        let Some(index) = self.index(candidate.number, spill)? else {
            return Ok(Taken::Stray);
        };
        let number = candidate.number;
        self.lowest = Some(self.lowest.map_or(number, |lowest| lowest.min(number)));
        let Some(open) = self.open.get_mut(&index) else { return Ok(Taken::Stray) };
        if let Some(confirmed) = open.add(candidate) {
            self.open.remove(&index);
            self.close(index);
            self.confirm(index, &confirmed, report);
            return Ok(Taken::Confirmed(confirmed.events));
        }
        while self.open.len() > OPEN_MAX
            && let Some((index, open)) = self.open.pop_first()
        {
            self.close(index);
            self.fail(open.block, open.into_candidates(), report);
        }
        Ok(Taken::Placed)
    }

    /// Returns the index of the block that an event belongs to, and opens it. `None` if another
    /// partition has it, or it was closed before.
    fn index(&mut self, number: u64, spill: &Spill) -> io::Result<Option<u64>> {
        if let Some((index, _)) = self.open.iter().find(|(_, open)| open.block.contains(number)) {
            return Ok(Some(*index));
        }
        let Some(blocks) = self.blocks else { return Ok(None) };
        // Nearly always it is the block behind the last one.
        let next = self.closed.last_key_value().map_or(0, |(_, end)| *end);
        let next = next.max(self.open.last_key_value().map_or(0, |(index, _)| index + 1));
        let index = match blocks.get(next, spill)? {
            Some(block) if block.contains(number) => Some(next),
            _ => crate::seals::find(blocks, number, spill)?,
        };
        let Some(index) = index.filter(|index| !self.is_closed(*index)) else { return Ok(None) };
        if let Some(block) = blocks.get(index, spill)? {
            self.open.insert(index, OpenBlock::new(block));
        }
        Ok(Some(index))
    }

    fn is_closed(&self, index: u64) -> bool {
        let range = self.closed.range(..=index).next_back();
        range.is_some_and(|(_, end)| index < *end)
    }

    fn close(&mut self, index: u64) {
        let mut range = (index, index + 1);
        if let Some(end) = self.closed.remove(&range.1) {
            range.1 = end;
        }
        match self.closed.range_mut(..index).next_back() {
            Some((_, end)) if *end == index => *end = range.1,
            _ => _ = self.closed.insert(range.0, range.1),
        }
    }

    fn confirm(&mut self, index: u64, confirmed: &Confirmed, report: &mut PartitionReport) {
        let Confirmed { block, events, others } = confirmed;
        let name = &self.stream.name;
        let place = |offset| report.place(offset);
        let mut findings = Findings::default();
        for other in others {
            let authentic = events.get((other.number - block.start.size) as usize);
            let label = authentic.map_or(Label::Inserted, |it| other.label_beside(it));
            findings.add_event(label, name, other.number, &place(other.offset));
        }
        let first = events.first().map_or(0, |it| it.offset);
        let before = self.edges.range(..index).next_back().map(|(_, [_, last])| *last);
        let after = self.edges.range(index + 1..).next().map(|(_, [first, _])| *first);
        let mut last = before;
        for event in events {
            if last.is_some_and(|last| event.offset < last) {
                findings.add_event(Label::Reordered, name, event.number, &place(event.offset));
            }
            last = Some(event.offset);
        }
        if let (Some(last), Some(after)) = (last, after)
            && after < last
        {
            findings.add_event(Label::Reordered, name, block.end.size, &place(after));
        }
        check_alternates(self.stream, block, events, &mut findings);
        report.findings.append(findings);
        self.count(block, events, report);
        self.edges.insert(index, [first, last.unwrap_or(first)]);
        if self.edges.len() > EDGES_MAX {
            self.edges.pop_first();
        }
    }

    /// Counts confirmed events, and the messages of the input that they come from.
    fn count(&mut self, block: &Block, events: &[Candidate], report: &mut PartitionReport) {
        let name = &self.stream.name;
        *report.confirmed.entry(name.clone()).or_default() += events.len() as u64;
        if !name.name().is_region() {
            return;
        }
        let audited = report.audited.entry(name.set().clone()).or_default();
        if self.stream.is_replay {
            // Each event is of one record, and the records are of any offsets: also of one that
            // another had before, if the quarantine topic was created again.
            *audited += events.len() as u64;
            return;
        }
        let [start, end] = block.input;
        for event in events {
            if !(start..end).contains(&event.source) {
                let text = format_args!(
                    "{name} event {} comes from offset {}, and its seal covers {start} to {end}",
                    event.number, event.source
                );
                report.findings.add(Label::SealCounts, text);
            }
            *audited += u64::from(self.last_source != Some(event.source));
            self.last_source = Some(event.source);
        }
    }

    fn fail(&self, block: Block, candidates: Vec<Candidate>, report: &mut PartitionReport) {
        let placed = |candidate: Candidate| Claim {
            candidate,
            place: report.place(candidate.offset),
            is_stray: false,
        };
        let failed = FailedBlock {
            stream: self.stream.name.clone(),
            partition: report.partition,
            block,
            claims: candidates.into_iter().map(placed).collect(),
        };
        report.keep(failed);
    }

    /// Ends the stream in this partition: what is still open cannot be confirmed, and blocks that
    /// were never opened are missing.
    pub(super) fn finish(mut self, spill: &Spill, report: &mut PartitionReport) -> io::Result<()> {
        let Some(blocks) = self.blocks else { return Ok(()) };
        if report.low_watermark > 0 {
            // Retention removes the oldest, so nothing that it left is older than what is missing.
            let lowest = self.lowest.unwrap_or(u64::MAX);
            report.expired_before.insert(self.stream.name.clone(), lowest);
        }
        let mut index = 0;
        while index < blocks.len() {
            let range = self.closed.range(..=index).next_back();
            if let Some((_, end)) = range.filter(|(_, end)| index < **end) {
                index = *end;
                continue;
            }
            if let Some(open) = self.open.remove(&index) {
                let block = open.block;
                self.fail(block, open.into_candidates(), report);
            } else if let Some(block) = blocks.get(index, spill)? {
                let (start, end) = (block.start.size, block.end.size);
                let (stream, partition) = (self.stream.name.clone(), report.partition);
                Missing { stream, partition, start, end }.join(&mut report.missing);
            }
            index += 1;
        }
        Ok(())
    }
}

impl PartitionReport {
    /// Keeps a block for the end, when records that belong to it may have been found elsewhere.
    fn keep(&mut self, failed: FailedBlock) {
        if self.failed.len() < FAILED_MAX {
            return self.failed.push(failed);
        }
        let judged = failed.judge(&mut self.findings);
        *self.confirmed.entry(failed.stream.clone()).or_default() += judged.confirmed;
        judged.missing.into_iter().for_each(|missing| missing.join(&mut self.missing));
    }

    pub(super) fn place(&self, offset: u64) -> Place {
        Place { output: self.output.clone(), partition: self.partition, offset }
    }
}

/// Compares the heads inside a block with those that other seals sign.
fn check_alternates(stream: &Stream, block: &Block, events: &[Candidate], findings: &mut Findings) {
    for Head { size, digest } in &stream.alternates {
        if *size <= block.start.size || *size > block.end.size {
            continue;
        }
        let at = (*size - block.start.size) as usize;
        let head = events.get(at).map_or(block.end.digest, |next| next.previous);
        if head != *digest {
            let text =
                format_args!("{}: two different heads of {size} events are signed", stream.name);
            findings.add(Label::Forked, text);
        }
    }
}
