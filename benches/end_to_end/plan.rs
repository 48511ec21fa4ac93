//! What a raw copy needs to write the relay's output without judging. For each input record, by
//! offset, one number holds the output's topic and length. The bytes come from real events and
//! headers. The library's `judge` makes the plan beforehand; the raw copy loads it from a file
//! before it connects.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::Path;

use anyhow::{Context, bail, ensure};
use audit_judge::fate::{Audited, Fate};
use audit_judge::judge;
use audit_relay::deployment::Deployment;
use serde::{Deserialize, Serialize};

use super::records::{Expected, Record};

/// Size of the concatenated real events that bodies are cut from, so that bodies compress as events
/// do. Larger than any codec's window, and small enough to stay in the processor's cache, as a
/// relay's own bytes do.
const BODY_BYTES: usize = 1 << 20;
/// Header sets kept for each topic and used in rotation.
const HEADER_SETS: usize = 64;
/// A number holds the topic in its upper bits and the length in these lower bits.
const LENGTH_BITS: u32 = 24;

/// The output of one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlannedOutput {
    /// Nothing is written.
    Nothing,
    /// This many bytes go to the topic with this index.
    Event { topic: usize, length: usize },
    /// The record itself goes to the quarantine topic, with a detail of this many bytes.
    Quarantined { detail: usize },
}

/// Values of the five headers.
pub type HeaderSet = [String; 5];

#[derive(Debug, Default, Serialize, Deserialize)]
struct Head {
    /// Headers of real events, by region.
    headers: Vec<Vec<HeaderSet>>,
    body_bytes: usize,
    /// Number of records in each input partition.
    records: Vec<usize>,
}

/// A complete plan.
#[derive(Debug)]
pub struct Plan {
    head: Head,
    bodies: Vec<u8>,
    /// Four bytes for each record, by partition.
    numbers: Vec<Vec<u8>>,
}

impl Plan {
    /// Creates an empty plan.
    pub fn new(partitions: usize, regions: usize) -> Self {
        Plan {
            head: Head {
                headers: vec![Vec::new(); regions],
                body_bytes: 0,
                records: vec![0; partitions],
            },
            bodies: Vec::new(),
            numbers: vec![Vec::new(); partitions],
        }
    }

    /// Judges the next record of a partition and adds its output.
    pub fn add(
        &mut self,
        partition: usize,
        record: &Record,
        deployment: &Deployment,
    ) -> anyhow::Result<()> {
        let Deployment { rules, reference, .. } = deployment;
        let fate = judge(Some(record.value.as_bytes()), rules, || reference);
        let number = match (&fate, record.expected) {
            (Fate::Skipped(_), Expected::Skipped) => 0,
            (Fate::Audited(audited), Expected::Audited) => self.event(audited, deployment),
            (Fate::Quarantined(quarantine), Expected::Malformed | Expected::UnknownPrincipal) => {
                number(self.head.headers.len(), quarantine.detail.len())
            }
            (fate, expected) => bail!("expected {expected:?}, got {fate:?}: {}", record.value),
        };
        self.numbers[partition].extend(number.to_le_bytes());
        self.head.records[partition] += 1;
        Ok(())
    }

    fn event(&mut self, audited: &Audited, deployment: &Deployment) -> u32 {
        let region = audited.envelope.region.0;
        let sets = &mut self.head.headers[region];
        if sets.len() < HEADER_SETS {
            let name = &deployment.rules.routes.regions()[region];
            let mut id = [0; 36];
            sets.push(audited.envelope.headers(name, &mut id).map(|(_, value)| value.to_string()));
        }
        if self.bodies.len() < BODY_BYTES {
            self.bodies.extend(&audited.event);
        }
        number(region, audited.event.len())
    }

    /// Returns the planned output of a record.
    pub fn output(&self, partition: i32, offset: i64) -> Option<PlannedOutput> {
        let numbers = self.numbers.get(usize::try_from(partition).ok()?)?;
        let begin = usize::try_from(offset).ok()? * 4;
        let bytes = numbers.get(begin..begin + 4)?;
        let number = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        if number == 0 {
            return Some(PlannedOutput::Nothing);
        }
        let topic = (number >> LENGTH_BITS) as usize - 1;
        let length = (number & ((1 << LENGTH_BITS) - 1)) as usize;
        Some(if topic == self.head.headers.len() {
            PlannedOutput::Quarantined { detail: length }
        } else {
            PlannedOutput::Event { topic, length }
        })
    }

    /// Headers of a topic's real events; empty if no event goes there.
    pub fn headers(&self, topic: usize) -> &[HeaderSet] {
        &self.head.headers[topic]
    }

    /// The number of region topics.
    pub fn topics(&self) -> usize {
        self.head.headers.len()
    }

    /// Concatenated real events.
    pub fn bodies(&self) -> &[u8] {
        &self.bodies
    }

    /// Writes the plan and returns the file's size, which is the memory that a raw copy needs for
    /// it.
    pub fn write(&mut self, path: &Path) -> anyhow::Result<u64> {
        while !self.bodies.is_empty() && self.bodies.len() < BODY_BYTES {
            self.bodies.extend_from_within(..);
        }
        self.head.body_bytes = self.bodies.len();
        let file = File::create(path).with_context(|| format!("create {}", path.display()))?;
        let mut file = BufWriter::new(file);
        let head = serde_json::to_vec(&self.head)?;
        file.write_all(&(head.len() as u64).to_le_bytes())?;
        file.write_all(&head)?;
        file.write_all(&self.bodies)?;
        for numbers in &self.numbers {
            file.write_all(numbers)?;
        }
        file.flush()?;
        Ok(path.metadata()?.len())
    }

    /// Reads a plan without holding it in memory twice: the raw copy's peak memory is reported.
    pub fn read(path: &Path) -> anyhow::Result<Plan> {
        let file = File::open(path).with_context(|| format!("open {}", path.display()))?;
        let mut file = BufReader::new(file);
        let mut length = [0; 8];
        file.read_exact(&mut length)?;
        let mut head = vec![0; usize::try_from(u64::from_le_bytes(length))?];
        file.read_exact(&mut head)?;
        let head: Head = serde_json::from_slice(&head).context("the plan's head")?;
        let mut bodies = vec![0; head.body_bytes];
        file.read_exact(&mut bodies)?;
        let mut numbers = Vec::with_capacity(head.records.len());
        for records in &head.records {
            let mut of_partition = vec![0; records * 4];
            file.read_exact(&mut of_partition)?;
            numbers.push(of_partition);
        }
        ensure!(file.read(&mut [0])? == 0, "the plan is too long");
        Ok(Plan { head, bodies, numbers })
    }
}

fn number(topic: usize, length: usize) -> u32 {
    (topic as u32 + 1) << LENGTH_BITS | (length as u32 & ((1 << LENGTH_BITS) - 1))
}
